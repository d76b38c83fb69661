"""`make bench` fails loudly: with a rig of its own, which writes the figures that it is given."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.commands import short_of_their_aims
from tests.fixtures.ports import free_port

pytestmark = pytest.mark.network

ROOT = Path(__file__).parents[2]
OURS, PEER = "contactpoint gateway", "grafbase (Rust)"
RIG = """
import pathlib, sys
here = pathlib.Path(__file__).parent
print("### the rig's tables")
pathlib.Path(sys.argv[sys.argv.index("--json") + 1]).write_text((here / "figures").read_text())
sys.exit(int((here / "code").read_text()))
"""
SLOW_RIG = """
import signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
server = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])))
try:
    print("round 1", file=sys.stderr, flush=True)
    time.sleep(600)
finally:
    time.sleep(0.5)
    print("the systems are stopped", file=sys.stderr, flush=True)
"""


def measured(system: str, cpu: float) -> dict[str, Any]:
    return {"system": system, "scenario": "0 ms", "conns": 32, "round": 0, "cpu": cpu}


def command(rig: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "bench" / "run.py"), "--document", str(rig / "benchmarks.md"), *arguments]


def environment(rig: Path) -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "BENCH_RIG": str(rig)}


def run(rig: Path, runs: list[dict[str, Any]], code: int = 0) -> subprocess.CompletedProcess[str]:
    (rig / "run").write_text(RIG, encoding="utf-8")
    (rig / "figures").write_text(json.dumps(runs), encoding="utf-8")
    (rig / "code").write_text(str(code), encoding="utf-8")
    asked = command(rig, "--port", str(free_port()), "--json", str(rig / "runs.json"))
    return subprocess.run(asked, env=environment(rig), check=False, capture_output=True, text=True, timeout=60)


def test_it_prints_the_ratios_and_writes_them(tmp_path: Path) -> None:
    done = run(tmp_path, [measured(OURS, 0.5), measured(PEER, 0.5)])

    assert (done.returncode, done.stderr) == (0, "")
    row = f"| {OURS} | {PEER} | 32 | 1.00 | 1.3 | yes |"
    written = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert row in done.stdout
    assert row in written
    assert "### the rig's tables" in written
    assert len(json.loads((tmp_path / "runs.json").read_text(encoding="utf-8"))) == 2


def test_a_ratio_that_falls_short_of_its_aim_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, [measured(OURS, 1.0), measured(PEER, 0.5)])

    assert done.returncode == 0
    assert done.stderr == f"bench: short of its aim: {OURS} | {PEER} | 32 | 2.00 | 1.3 | no\n"


def test_latency_calls_and_memory_are_held_to_their_aims_too(tmp_path: Path) -> None:
    slow = {"system": OURS, "scenario": "20/50 ms", "conns": 32, "cpu": 0.9}
    busy = {"system": f"{OURS}, batching agencies", "scenario": "0 ms", "conns": 128, "cpu": 0.5}
    runs = [
        *(slow | {"round": number, "p50": 52.0 + number, "p99": 66.0 + number} for number in range(3)),
        *(busy | {"round": number, "calls": 0.8, "rss": 149.0 + number} for number in range(3)),
    ]
    done = run(tmp_path, runs)

    rows = [line.split(" | ")[1:] for line in done.stdout.splitlines() if line.startswith(f"| {OURS}")]
    assert [(row[0], *row[2:]) for row in rows] == [
        ("p50 beyond the slowest agency, ms, upstream latency 20/50 ms", "3.00", "3.0", "yes |"),
        ("p99 beyond the slowest agency, ms, upstream latency 20/50 ms", "17.00", "15.0", "no |"),
        ("calls a lookup, of each agency, upstream latency 0 ms", "0.20", "0.2", "yes |"),
        ("peak memory, MiB, upstream latency 0 ms", "151.00", "150.0", "no |"),
    ]
    assert done.stderr.count("bench: short of its aim: ") == 2


def test_wrong_answers_of_ours_end_with_1_and_write_nothing(tmp_path: Path) -> None:
    wrong = {"system": OURS, "scenario": "0 ms", "conns": 32, "round": 1, "error": "3 of 90 answers wrong"}
    done = run(tmp_path, [measured(OURS, 0.5), measured(PEER, 0.5), wrong], code=1)

    assert done.returncode == 1
    assert done.stderr == f"bench: {OURS}: 3 of 90 answers wrong; no document was written\n"
    assert not (tmp_path / "benchmarks.md").exists()


def test_a_peer_that_fails_ends_with_1_and_has_its_row(tmp_path: Path) -> None:
    wrong = {"system": PEER, "scenario": "0 ms", "conns": 32, "round": 0, "error": "did not start"}
    done = run(tmp_path, [measured(OURS, 0.5), wrong], code=1)

    assert done.returncode == 1
    assert (tmp_path / "benchmarks.md").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_waits_until_the_rig_has_stopped_what_it_runs(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "run").write_text(SLOW_RIG, encoding="utf-8")
    port = free_port()
    asked = command(tmp_path, "--port", str(port))
    with subprocess.Popen(asked, env=environment(tmp_path), stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "round 1\n"
        running.send_signal(how)
        _, told = running.communicate(timeout=60)

    assert running.returncode == 130
    assert told.splitlines()[0] == "the systems are stopped"
    assert told.splitlines()[-1] == "bench: stopped; no document was written"
    assert not (tmp_path / "benchmarks.md").exists()
    with socket.socket() as tried:
        assert tried.connect_ex(("127.0.0.1", port)) != 0


def test_a_second_run_beside_the_first_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("raise AssertionError('the rig was run')", encoding="utf-8")
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        asked = command(tmp_path, "--port", str(port))
        done = subprocess.run(asked, env=environment(tmp_path), check=False, capture_output=True, text=True)

    assert done.returncode == 2
    assert done.stderr == f"bench: port {port} cannot be had; does another run use it? --port names others\n"


def test_help_says_what_it_does_also_where_there_is_no_rig(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path, "--help"), env=environment(tmp_path), check=False, capture_output=True, text=True
    )

    assert done.returncode == 0
    assert "BENCH_RIG" in done.stdout
    assert "examples:" in done.stdout


@pytest.mark.parametrize(
    ("measured", "aim", "short"),
    [
        ("0.91", "0.90 or more", False),
        ("0.89", "0.90 or more", True),
        ("20.0", "20.0 at most", False),
        ("2,070.0", "20.0 at most", True),
        ("0", "0", False),
        ("1", "0", True),
        ("-", "1.10 at most", True),
        ("nothing", "", False),
    ],
)
def test_a_figure_is_short_of_its_aim_when_it_is(measured: str, aim: str, short: bool) -> None:
    assert bool(short_of_their_aims([("a figure", measured, aim)])) is short
