"""One call on the database's files fails during a lookup: nothing is told without an OUTCOME that is on the disk.

Every call of a lookup is tried, whichever it is, in every way that storage fails. What is on the disk is what a power
cut would leave: pages of a sync that failed are not.

CONTACTPOINT_TEST_FAULTS sets how many calls are tried in each way (2); the longer proof tries all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from tests.crash import tracing
from tests.crash.storage_faults import KINDS, Stand
from tests.end_to_end.world import DemoWorld
from tests.progress import Progress

CALLS = int(os.environ.get("CONTACTPOINT_TEST_FAULTS", "2"))
WAYS = tuple(way for way, kind in KINDS.items() if not kind.only) if CALLS > 2 else ("EIO", "ENOSPC", "short write")
ALWAYS = ("EIO of a write @ 1", "EIO of a sync @ 1")
"""Tried however few are wanted: which call of all of them is a sync differs from lookup to lookup."""

SCENES: Mapping[str, tuple[str, ...]] = {
    "a lookup": (),
    "a lookup with the write-ahead log copied at each commit": ("--copies-often",),
}
TRIED_SCENES = list(SCENES) if CALLS > 2 else list(SCENES)[:1]
STANDS = 2

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(tracing.COMPILER is None, reason=tracing.NO_COMPILER),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tracing.build(tmp_path_factory.mktemp("library"))


@contextmanager
def stands(world: DemoWorld, folder: Path, library: Path, *flags: str) -> Iterator[Callable[[str, int], Any]]:
    """Give a function that tries a fault at a stand that is free; stands are made when they are needed."""
    made: list[Stand] = []
    free: SimpleQueue[Stand | int] = SimpleQueue()
    for number in range(STANDS):
        # two that are made at once must not take one folder
        free.put(number)

    def tried(way: str, at: int) -> Mapping[str, Any]:
        stand = free.get()
        try:
            if isinstance(stand, int):
                place = folder / f"stand-{stand}"
                place.mkdir(parents=True)
                stand = Stand(world, place, library, *flags)
                made.append(stand)
            return stand.look_up_while(way, at)
        finally:
            free.put(stand)

    try:
        yield tried
    finally:
        for stand in made:
            stand.close()


def some(calls: int) -> list[int]:
    """Return which calls are tried: all, or as many as are wanted, evenly, among them the last, which is a sync."""
    wanted = min(CALLS, calls)
    return sorted({calls - number * calls // wanted for number in range(wanted)})


def faults_of(case: Mapping[str, Any], step: str) -> list[str]:
    """Return what a gateway did that it must not, in words."""
    first, *later = case["codes"]
    faults = []
    if case["unrecorded"]:
        faults.append("an answer without an OUTCOME on the disk")
    if not case["verified"]:
        faults.append("a log that does not verify")
    # a write of which only a part was taken is no error yet: SQLite writes the rest
    if case["failed"] and case["exit"] != 70 and (first != 200 or not step.startswith("short write")):
        faults.append("a process that went on")
    if first != 200 and 200 in later:
        faults.append("an answer after a failure of storage")
    if {first, *later} - {200, 503, 0}:
        faults.append("another status")
    return faults


@pytest.mark.parametrize("scene", TRIED_SCENES)
def test_whichever_call_fails_nothing_is_told_without_a_durable_outcome(
    scene: str,
    everything: DemoWorld,
    tmp_path: Path,
    library: Path,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    progress = Progress.of_this_proof(scene.replace(" ", "-"))
    with stands(everything, tmp_path, library, *SCENES[scene]) as tried:

        def work(step: str) -> Mapping[str, Any]:
            way, _, at = step.rpartition(" @ ")
            return tried(way, int(at))

        # at nought, nothing fails and the calls are counted
        counted = progress.run([f"EIO @ {-number}" for number in range(2)], work, at_once=STANDS)
        calls = max(each["calls"] for each in counted)
        assert [each["codes"] for each in counted] == [[200] * 4] * 2
        steps = [*ALWAYS, *(f"{way} @ {at}" for way in WAYS for at in some(calls))]
        found = dict(zip(steps, progress.run(steps, work, at_once=STANDS), strict=True))

    record_testsuite_property(f"{scene}: calls on the database's files", calls)
    for way in WAYS:
        cases = [case for step, case in found.items() if step.startswith(f"{way} @ ") and case["failed"]]
        refused = sum(not case["told"] and case["exit"] == 70 for case in cases)
        durable = sum(case["told"] and not case["unrecorded"] for case in cases)
        without = sum(case["unrecorded"] for case in cases)
        record_testsuite_property(
            f"{scene}: {way}",
            f"{len(cases)} calls failed; {refused} refused and the process stopped, {durable} answered with a durable "
            f"OUTCOME, {without} told without",
        )
    faulty = {step: faults for step, case in found.items() if (faults := faults_of(case, step))}
    assert faulty == {}
    assert [found[step]["failed"] for step in ALWAYS] == ["W", "S"]
    assert [found[step]["exit"] for step in ALWAYS] == [70, 70]


def test_a_gateway_does_not_start_where_the_directory_of_its_log_cannot_be_synced(
    everything: DemoWorld, tmp_path: Path, library: Path
) -> None:
    """SQLite commits all the same, and a power cut could take the whole write-ahead log away."""
    stand = Stand(everything, tmp_path, library)
    try:
        assert stand.start_while("EIO of the directory") == ("D", 2)
    finally:
        stand.close()


@pytest.mark.parametrize(
    ("flag", "caught"),
    [
        ("--takes-no-for-yes", "an answer without an OUTCOME on the disk"),
        ("--carries-on", "an answer after a failure of storage"),
    ],
)
def test_a_gateway_that_does_not_stop_when_storage_fails_is_caught(
    flag: str,
    caught: str,
    everything: DemoWorld,
    tmp_path: Path,
    library: Path,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """The controls."""
    with stands(everything, tmp_path, library, flag) as tried:
        calls = tried("EIO", 0)["calls"]
        # the sync under the OUTCOME is the last call, or stands before what another thread still wrote
        cases = (tried("EIO", at) for at in range(calls, 0, -1))
        case = next((each for each in cases if caught in faults_of(each, "EIO")), None)

    told = "not caught" if case is None else ", ".join(faults_of(case, "EIO"))
    record_testsuite_property(f"control: {flag[2:]} after EIO", told)
    assert case is not None
