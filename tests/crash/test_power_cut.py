"""The power is cut at every moment of the log's work: no acknowledged record is missing from any state of the disk.

CONTACTPOINT_TEST_STATES sets how many states are tried (2,000); the longer proof takes more.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.crash import tracing
from tests.crash.power_cut import ROOT, Run
from tests.progress import Progress

STATES = int(os.environ.get("CONTACTPOINT_TEST_STATES", "2000"))
OF_A_RUN = 10_000
OF_A_CONTROL = min(2_000, max(500, STATES // 10))
TOGETHER = 2
# callers, and after how many pages the write-ahead log is copied: 1,000 is SQLite's own, the others copy often
SHAPES = ((4, 64), (16, 1_000), (1, 48), (8, 128))

pytestmark = pytest.mark.skipif(tracing.COMPILER is None, reason=tracing.NO_COMPILER)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tracing.build(tmp_path_factory.mktemp("library"))


def replayed(library: Path, mode: str, states: int) -> list[Mapping[str, Any]]:
    """Return the counts of as many runs as the states need, two at a time."""
    runs = max(1, round(states / OF_A_RUN))

    def work(step: str) -> Mapping[str, Any]:
        seed = int(step.rpartition(" ")[2])
        callers, pages = SHAPES[seed % len(SHAPES)]
        # a run that has more moments than states wanted of it would be cut short
        lookups = max(24, min(160, states // runs // 40))
        wanted = Run(str(library), mode, seed, callers, lookups, pages, states // runs, 250)
        child = subprocess.run(
            [sys.executable, "-m", "tests.crash.power_cut", wanted.argument()],
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            timeout=600,
        )
        found: Mapping[str, Any] = json.loads(child.stdout)
        return found

    steps = [f"{mode} {states} {seed}" for seed in range(runs)]
    return Progress.of_this_proof("power-cut").run(steps, work, at_once=TOGETHER)


def summed(counts: Sequence[Mapping[str, Any]], key: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count[key])
    return total


def told(counter: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counter.items())) or "none"


def test_no_acknowledged_record_is_missing_from_any_state_that_a_power_cut_may_leave(
    library: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    counts = replayed(library, "FULL", STATES)

    tried, bad = summed(counts, "states"), summed(counts, "bad")
    record_testsuite_property("states of the disk tried, write-ahead log and synchronous=FULL", tried.total())
    record_testsuite_property("of them, by how they came about", told(tried))
    record_testsuite_property("runs; acknowledgements, checkpoints, calls and syncs in them", told_runs(counts))
    record_testsuite_property("bad states", told(bad))
    reopened = sum(count["reopened"] for count in counts)
    record_testsuite_property("taken up again by the real log and verified by the real verifier", reopened)
    assert bad == {}
    assert sum(count["not_reopened"] for count in counts) == 0
    assert tried.total() >= 0.9 * STATES
    assert set(tried) == {"prefix", "all unsynced lost", "subset", "torn"}
    assert reopened > 0


def told_runs(counts: Sequence[Mapping[str, Any]]) -> str:
    totals = [
        len(counts),
        *(sum(count[key] for count in counts) for key in ("acknowledged", "checkpoints", "calls", "syncs")),
    ]
    return ", ".join(map(str, totals))


@pytest.mark.parametrize(
    ("mode", "name", "found"),
    [
        ("NORMAL", "synchronous=NORMAL", {"acknowledged row lost"}),
        ("OFF", "synchronous=OFF", {"acknowledged row lost", "corrupt"}),
        ("EARLY", "an answer before the commit", {"acknowledged row lost"}),
    ],
)
def test_a_log_that_would_lose_records_is_caught(
    library: Path, mode: str, name: str, found: set[str], record_testsuite_property: Callable[[str, object], None]
) -> None:
    """The controls."""
    counts = replayed(library, mode, OF_A_CONTROL)

    tried, bad = summed(counts, "states").total(), summed(counts, "bad")
    as_killed = sum(count["bad_as_killed"] for count in counts)
    record_testsuite_property(
        f"control: bad states with {name}", f"{bad.total()} of {tried} ({told(bad)}; {as_killed} as a kill leaves them)"
    )
    assert found <= set(bad)
    # a kill alone does not show a missing sync: this is why the power is cut
    assert (as_killed > 0) == (mode == "EARLY")
