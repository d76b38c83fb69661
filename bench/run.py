"""`make bench`: this project beside the peers of the rig; the run writes its tables to docs/benchmarks.md.

The rig is a folder of its own (BENCH_RIG, by default `../shared/bench` beside the repository) with a `run` command; the
arguments are its own (`make bench ARGS="--help"`). Without any: every peer, both kinds of agencies, 1, 32 and 128
connections at 0 ms and at 20/50 ms. Ten times the connections and one dead connector are `make bench-strain`.

BENCH_PYTHON names the interpreter that serves, if not this environment's: of the same version, with this environment's
libraries. What is deployed is built with profile-guided optimisation; a version manager's own build often is not.

examples:
  make bench
  make bench ARGS="--only grafbase,python-floor --scenario '0 ms' --conns 32 --scale 0.1"
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.conditions import conditions  # noqa: E402 - after the path

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PROJECTS = ("system.toml", "system-batching.toml")
OURS = "contactpoint gateway"
BATCHING = "contactpoint gateway, batching agencies"
REACH = (
    (BATCHING, "grafbase (Rust)", (32, 128), 0.7),
    (OURS, "grafbase (Rust)", (32, 128), 1.3),
    (OURS, "mercurius-gateway", (32, 128), 1.1),
    (OURS, "apollo-gateway", (32, 128), 0.3),
    (OURS, "hive-gateway (rust planner, JWT)", (32, 128), 0.2),
    (OURS, "grafbase (Rust)", (1,), 2.5),
)
"""Of whose CPU to whose, at how many connections, and the most that the ratio is to be."""

Runs = Sequence[dict[str, Any]]


def main(arguments: list[str]) -> int:
    """Return 0 when every answer of the run was right; 2 when there is no rig."""
    rig = Path(os.environ.get("BENCH_RIG", ROOT.parent / "shared" / "bench"))
    if not (rig / "run").exists():
        print("bench: the rig is not there; set BENCH_RIG to its folder", file=sys.stderr)
        return 2
    descriptors = [part for name in PROJECTS for part in ("--with", str(ROOT / "bench" / name))]
    with tempfile.TemporaryDirectory(prefix="contactpoint-bench-") as folder:
        figures = Path(folder) / "runs.json"
        command = [sys.executable, str(rig / "run"), *arguments, *descriptors, "--json", str(figures)]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        print(done.stdout)
        if not figures.exists():
            return done.returncode or 1
        runs: Runs = json.loads(figures.read_text(encoding="utf-8"))
    reached = against_the_aims(runs)
    print(reached)
    DOCUMENT.write_text(_document(arguments, reached, done.stdout), encoding="utf-8")
    return done.returncode


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
    raise SystemExit(main(sys.argv[1:]))
