"""`make bench-micro` says how far it is and nothing else, and its figures are for machines where that is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.network


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "bench" / "micro.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def test_a_run_of_a_part_prints_figures_and_a_line_for_each_while_it_runs() -> None:
    document = (ROOT / "docs" / "benchmarks-micro.md").read_bytes()
    done = run("--only", "lookup", "--scale", "0.02", "--rounds", "1", "--json")

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures.pop("account") == {}
    assert all(figure > 0 for figure in figures.values())
    # a line for each lookup is the gateway's, and would bury these
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == list(figures)
    assert (ROOT / "docs" / "benchmarks-micro.md").read_bytes() == document


@pytest.mark.parametrize("arguments", [["--scale", "0"], ["--rounds", "0"], ["--only", "nothing"]])
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    done = run(*arguments)

    assert done.returncode == 2
    assert "make bench-micro: error: argument --" in done.stderr
    assert "Traceback" not in done.stderr
