"""`make bench-strain` runs to its end and writes its table; with a rig of its own, whose gateway is a few lines."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.ports import free_port

pytestmark = pytest.mark.network

ROOT = Path(__file__).parents[2]

RIG = '''
import os, subprocess, sys, types, urllib.request
CACHE = os.path.dirname(os.path.abspath(__file__))
GATEWAY = """
import asyncio, sys
ROOM = 140
under_way = 0
async def serve(reader, writer):
    global under_way
    try:
        while True:
            await reader.readuntil(b"\\\\r\\\\n\\\\r\\\\n")
            under_way += 1
            full = under_way > ROOM
            if not full:
                await asyncio.sleep(0.01)
            under_way -= 1
            body = b'{"outcome":"ANSWERED","complete":true}'
            status = b"503 Service Unavailable" if full else b"200 OK"
            fields = b"retry-after: 1\\\\r\\\\ncontent-length: %d" % len(body)
            writer.write(b"HTTP/1.1 " + status + b"\\\\r\\\\n" + fields + b"\\\\r\\\\n\\\\r\\\\n" + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=2048)
    print("up", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
procs = types.SimpleNamespace(cpu=lambda pid: sum(os.times()[2:4]) + 1)
data = types.SimpleNamespace(AGENCIES={"health": ""}, nhs_numbers=lambda: ["9990000018", "9990000026"])
class Upstream:
    url = "http://127.0.0.1:9"
    def __init__(self, port, cpus):
        self.proc = subprocess.Popen(["sleep", "600"])
    def latency(self, ms): pass
class System:
    def __init__(self, spec, port, upstream):
        self.port = port
    def start(self, cpus, logs):
        self.proc = subprocess.Popen([sys.executable, "-c", GATEWAY, str(self.port)], stdout=subprocess.PIPE, text=True)
        assert self.proc.stdout.readline() == "up\\n"
    def stop(self):
        self.proc.kill()
        self.proc.communicate()
    def request(self, nhs, number):
        return b"GET / HTTP/1.1\\r\\nhost: gateway\\r\\n\\r\\n"
def fresh_tokens(): pass
def setup(systems, port): pass
'''


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "bench" / "under_strain.py"), *arguments]


def environment(rig: Path) -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "BENCH_RIG": str(rig), "TMPDIR": str(rig)}


def run(rig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what came of the command."""
    return subprocess.run(
        command(*arguments),
        env=environment(rig),
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_it_writes_every_figure_and_its_aim(tmp_path: Path) -> None:
    (tmp_path / "run").write_text(RIG, encoding="utf-8")
    document = tmp_path / "strain.md"
    done = run(tmp_path, "--scale", "0.02", "--port", str(free_port(4)), "--document", str(document), "--json")

    assert done.returncode == 0, done.stderr
    written = document.read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in written.splitlines() if line.startswith("| ")][2:]
    aims = {row[0].split(" with ")[0]: row[2].strip(" |") for row in rows if len(row) == 3 and row[2].strip(" |")}
    assert {"goodput": "0.90 or more", "p99 of a refusal, ms": "20.0 at most"}.items() <= aims.items()
    assert any(row[0].startswith("p99 with one dead connector") for row in rows)
    figures = {row[0]: row[1] for row in rows}
    assert figures["refused"].replace(",", "").isdigit()
    assert figures["answers neither right nor refused, and requests cut off"] == "0"
    assert "- options: `--scale 0.02`" in written
    assert "- machine: " in written
    assert {row["figure"]: row["measured"] for row in json.loads(done.stdout)}.items() <= figures.items()


def test_without_a_rig_it_says_so_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "BENCH_RIG" in done.stderr


def test_wrong_answers_end_with_1_and_write_no_table(tmp_path: Path) -> None:
    right = '"complete":true}'
    assert right in RIG
    (tmp_path / "run").write_text(RIG.replace(right, '"complete":false}'), encoding="utf-8")
    document = tmp_path / "strain.md"
    done = run(tmp_path, "--scale", "0.005", "--port", str(free_port(4)), "--document", str(document))

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("bench: answers were wrong")
    assert any("short of its aim: answers neither right" in line for line in done.stderr.splitlines())
    assert not document.exists()


def test_a_gateway_that_does_not_start_leaves_its_log_and_says_where(tmp_path: Path) -> None:
    up = 'assert self.proc.stdout.readline() == "up\\n"'
    assert up in RIG
    ended = 'open(logs + "/gateway.log", "w").close(); raise SystemExit("gateway did not start")'
    (tmp_path / "run").write_text(RIG.replace(up, ended), encoding="utf-8")
    done = run(tmp_path, "--port", str(free_port(4)), "--document", str(tmp_path / "strain.md"))

    assert done.returncode == 1
    assert "gateway did not start" in done.stderr
    (named,) = [line for line in done.stderr.splitlines() if line.startswith("bench: the gateways' logs are in ")]
    assert (Path(named.rpartition(" in ")[2]) / "gateway.log").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_ends_what_it_started_and_says_so_in_one_line(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "run").write_text(RIG, encoding="utf-8")
    document, port = tmp_path / "strain.md", free_port(4)
    arguments = command("--scale", "0.1", "--port", str(port), "--document", str(document))
    with subprocess.Popen(arguments, env=environment(tmp_path), stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        first = running.stderr.readline()
        running.send_signal(how)
        _, told = running.communicate(timeout=60)

    assert first.startswith("none dead, 8 connections")
    assert running.returncode == 130
    assert told == "bench: stopped; no document was written\n"
    assert not document.exists()
    with socket.socket() as tried:
        assert tried.connect_ex(("127.0.0.1", port + 1)) != 0
    assert list(tmp_path.glob("bench-strain-*")) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scale", "0"], "--scale: a number above 0 is needed"),
        (["--scale", "nan"], "--scale: a number above 0 is needed"),
        (["--document", "/proc/nowhere/strain.md"], "strain.md cannot be written"),
        (["--nothing"], "unrecognized arguments: --nothing"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_measured(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "run").write_text("raise AssertionError('the rig was run')", encoding="utf-8")
    done = run(tmp_path, "--document", str(tmp_path / "strain.md"), *arguments)

    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "strain.md").exists()


def test_ports_that_another_run_has_are_refused_since_its_answers_would_be_measured(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("raise AssertionError('the rig was run')", encoding="utf-8")
    port = free_port(4)
    with socket.create_server(("127.0.0.1", port + 3)):
        done = run(tmp_path, "--port", str(port), "--document", str(tmp_path / "strain.md"))

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"port {port + 3} cannot be had" in done.stderr
