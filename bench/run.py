"""`make bench`: this project beside the peers of the rig; the run writes its tables to docs/benchmarks.md.

The rig is a folder of its own (BENCH_RIG, by default `../shared/bench` beside the repository) with a `run` command; the
arguments are its own, and so are the options below. Without any: every peer, both kinds of agencies, 1, 32 and 128
connections at 0 ms and at 20/50 ms. Ten times the connections and one dead connector are `make bench-strain`.

BENCH_PYTHON names the interpreter that serves, if not this environment's: of the same version, with this environment's
libraries. What is deployed is built with profile-guided optimisation; a version manager's own build often is not.

A ratio that falls short of its aim is named on standard error. Where an answer of this project was wrong nothing is
written, and the exit code is 1; it is 1 as well where a peer failed, whose row then says so.

examples:
  make bench
  make bench ARGS="--only grafbase,python-floor --scenario '0 ms' --conns 32 --scale 0.1"
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.commands import CannotRun, RunFailed, command, must_be_free, must_be_writable, output_of  # noqa: E402 - after the path
from bench.conditions import conditions  # noqa: E402
from bench.serve import AGENCIES  # noqa: E402

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PROJECTS = ("system.toml", "system-batching.toml")
OURS = "contactpoint gateway"
BATCHING = "contactpoint gateway, batching agencies"
_OURS = frozenset({OURS, BATCHING})
_RIG_PORT = 18100
REACH = (
    (BATCHING, "grafbase (Rust)", (32, 128), 0.7),
    (OURS, "grafbase (Rust)", (32, 128), 1.3),
    (OURS, "mercurius-gateway", (32, 128), 1.1),
    (OURS, "apollo-gateway", (32, 128), 0.3),
    (OURS, "hive-gateway (rust planner, JWT)", (32, 128), 0.2),
    (OURS, "grafbase (Rust)", (1,), 2.5),
)
"""Of whose CPU to whose, at how many connections, and the most that the ratio is to be."""

Run = dict[str, Any]
Runs = Sequence[Run]


@dataclass(frozen=True)
class Aim:
    """The most that a figure of our own is to be, whatever a peer's is."""

    what: str
    systems: tuple[str, ...]
    scenario: str
    connections: int
    most: float
    of_a_run: Callable[[Run], float]
    of_rounds: Callable[[Sequence[float]], float] = statistics.median


_SLOWEST_MS = 50  # of the scenario's agencies
AIMS = (
    Aim(
        "p50 beyond the slowest agency, ms", (OURS, BATCHING), "20/50 ms", 32, 3.0, lambda run: run["p50"] - _SLOWEST_MS
    ),
    Aim(
        "p99 beyond the slowest agency, ms",
        (OURS, BATCHING),
        "20/50 ms",
        32,
        15.0,
        lambda run: run["p99"] - _SLOWEST_MS,
    ),
    Aim("calls a lookup, of each agency", (BATCHING,), "0 ms", 128, 0.2, lambda run: run["calls"] / len(AGENCIES)),
    Aim("peak memory, MiB", (OURS, BATCHING), "0 ms", 128, 150.0, lambda run: run["rss"], max),
)


_STOPPING_SECONDS = 60.0


def main(arguments: list[str]) -> int:
    """Return the rig's exit code: 0 when every answer of the run was right. Raises CannotRun, RunFailed."""
    options = argparse.ArgumentParser(prog="make bench", add_help=False, allow_abbrev=False)
    options.add_argument("--help", "-h", action="store_true")
    options.add_argument("--document", type=Path, default=DOCUMENT)
    options.add_argument("--port", type=int, default=_RIG_PORT)
    options.add_argument("--json", type=Path)
    chosen, of_the_rig = options.parse_known_args(arguments)
    if chosen.help:
        print(
            f"{__doc__}\n--document FILE is written instead of docs/benchmarks.md, and --json FILE beside it: every "
            "run's figures, for machines.\n",
            flush=True,
        )
    rig = Path(os.environ.get("BENCH_RIG", ROOT.parent / "shared" / "bench"))
    if not (rig / "run").exists():
        if chosen.help:
            return 0
        raise CannotRun("the rig is not there; set BENCH_RIG to its folder")
    if chosen.help:
        return subprocess.run([sys.executable, str(rig / "run"), "--help"], check=False).returncode
    for written in filter(None, (chosen.document, chosen.json)):
        must_be_writable(written)
    must_be_free([chosen.port])
    descriptors = [part for name in PROJECTS for part in ("--with", str(ROOT / "bench" / name))]
    told = [*of_the_rig, "--port", str(chosen.port)]
    with tempfile.TemporaryDirectory(prefix="contactpoint-bench-") as folder:
        figures = Path(folder) / "runs.json"
        rig_run = [sys.executable, str(rig / "run"), *told, *descriptors, "--json", str(figures)]
        code, tables = output_of(rig_run, stopping_seconds=_STOPPING_SECONDS)
        print(tables)
        if not figures.exists():
            return code or 1
        told_all = figures.read_text(encoding="utf-8")
    runs: Runs = json.loads(told_all)
    if chosen.json is not None:
        chosen.json.write_text(told_all, encoding="utf-8")
    reached = "\n".join(filter(None, [against_the_aims(runs), our_own_figures(runs)]))
    print(reached, flush=True)
    for line in reached.splitlines():
        if line.endswith("| no |"):
            print(f"bench: short of its aim: {line.strip('| ')}", file=sys.stderr)
    ours = sorted({f"{run['system']}: {run['error']}" for run in runs if run["system"] in _OURS and "error" in run})
    if ours:
        raise RunFailed(f"{ours[0]}; no document was written")
    chosen.document.write_text(_document(of_the_rig, reached, tables), encoding="utf-8")
    return code


def against_the_aims(runs: Runs) -> str:
    """Return a table of the ratios that have an aim: the median of those of each round."""
    rows = []
    for ours, peer, connections, most in REACH:
        for conns in connections:
            ratio = _median_ratio(runs, ours, peer, conns)
            if ratio is not None:
                met = "yes" if ratio <= most else "no"
                rows.append(f"| {ours} | {peer} | {conns} | {ratio:.2f} | {most:.1f} | {met} |")
    if not rows:
        return ""
    return "\n".join(
        [
            "### CPU a lookup as a part of a peer's, upstream latency 0 ms\n",
            "| system | peer | connections | ratio | at most | reached |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def our_own_figures(runs: Runs) -> str:
    """Return a table of the figures with an aim beside no peer's: the median of the rounds, of memory the most."""
    rows = [row for aim in AIMS for system in aim.systems if (row := _row_of(aim, system, runs))]
    if not rows:
        return ""
    return "\n".join(
        [
            "### Beside no peer\n",
            "| system | figure | connections | measured | at most | reached |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _row_of(aim: Aim, system: str, runs: Runs) -> str | None:
    where = (system, aim.scenario, aim.connections)
    found = [
        aim.of_a_run(run) for run in runs if (run["system"], run["scenario"], run["conns"]) == where and "cpu" in run
    ]
    if not found:
        return None
    figure = aim.of_rounds(found)
    what = f"{aim.what}, upstream latency {aim.scenario}"
    met = "yes" if figure <= aim.most else "no"
    return f"| {system} | {what} | {aim.connections} | {figure:.2f} | {aim.most:.1f} | {met} |"


def _median_ratio(runs: Runs, ours: str, peer: str, conns: int) -> float | None:
    def cpu(system: str) -> dict[int, float]:
        return {
            run["round"]: run["cpu"]
            for run in runs
            if run["system"] == system and run["conns"] == conns and run["scenario"] == "0 ms" and "cpu" in run
        }

    mine, theirs = cpu(ours), cpu(peer)
    ratios = sorted(mine[number] / theirs[number] for number in mine.keys() & theirs.keys() if theirs[number])
    return ratios[len(ratios) // 2] if ratios else None


def _document(arguments: list[str], reached: str, tables: str) -> str:
    return (
        "# Benchmarks\n\nWritten by `make bench`; do not edit. "
        "Ratios count; absolute figures move from machine to machine.\n\n"
        f"{conditions(arguments)}\n"
        f"{reached}\n{tables}"
    )


if __name__ == "__main__":
    raise SystemExit(command(main, sys.argv[1:]))
