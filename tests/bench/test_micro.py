"""`make bench-micro` says how far it is and nothing else, and its figures are for machines where that is asked."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.commands import factor, times

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


def test_what_cannot_be_measured_is_refused() -> None:
    done = run("--scale", "0")

    assert done.returncode == 2
    assert "make bench-micro: error: argument --scale: a number above 0 is needed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("read", "texts"),
    [(factor, ("0", "-1", "nan", "inf", "x", "")), (times, ("0", "-1", "1.5", "\N{SUPERSCRIPT TWO}", ""))],
)
def test_only_a_factor_above_0_and_a_whole_number_from_1_are_taken(
    read: Callable[[str], float], texts: tuple[str, ...]
) -> None:
    for text in texts:
        with pytest.raises(argparse.ArgumentTypeError):
            read(text)
    assert read("2") == 2
