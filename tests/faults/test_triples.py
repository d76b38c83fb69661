"""Whatever three of four sources do wrong at one time, each reads as it must and no source's practitioner is lost.

CONTACTPOINT_TEST_FAULT_TRIPLES sets how many are drawn (12). What is drawn is the same each time.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.matrix import DEEDS
from tests.faults.rig import SOURCES, running_rig, unrecorded
from tests.faults.test_fault_matrix import STEP, Combination, tried
from tests.faults.test_seeded_defects import swallowed_timeout
from tests.progress import Progress

pytestmark = pytest.mark.network

TRIPLES = int(os.environ.get("CONTACTPOINT_TEST_FAULT_TRIPLES", "12"))


def triples(count: int) -> list[Combination]:
    """Return so many combinations of three deeds at three sources, none of them twice."""
    drawn = random.Random(9990000018)
    found: dict[tuple[tuple[str, str], ...], None] = {}
    while len(found) < count:
        sources = sorted(drawn.sample(list(SOURCES), 3))
        found[tuple((source, drawn.choice(list(DEEDS))) for source in sources)] = None
    return [dict(each) for each in found]


async def wrong_of(some: list[Combination]) -> dict[str, Any]:
    """Return what came of these combinations."""
    async with running_rig() as rig:
        found = await tried(rig, some)
        found += unrecorded(rig)
        return {"found": found, "lookups": rig.made, "again": rig.again, "longest": rig.longest_seconds}


def test_whatever_three_sources_do_each_reads_as_it_must(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    everything = triples(TRIPLES)

    def work(step: str) -> dict[str, Any]:
        start = int(step.partition(" ")[0])
        return asyncio.run(wrong_of(everything[start : start + STEP]))

    steps = [f"{start} of {len(everything)}" for start in range(0, len(everything), STEP)]
    done = Progress.of_this_proof("triples").run(steps, work)
    found = [each for step in done for each in step["found"]]

    record_testsuite_property("combinations of three deeds at three sources, drawn", len(everything))
    record_testsuite_property("deeds among them", len({deed for each in everything for deed in each.values()}))
    record_testsuite_property("wrong", len(found))
    record_testsuite_property("lookups, each with one INTENT and one OUTCOME", sum(step["lookups"] for step in done))
    record_testsuite_property("made twice because a good source was late", sum(step["again"] for step in done))
    record_testsuite_property("longest answer, seconds", round(max(step["longest"] for step in done), 2))
    assert found == []


def test_a_timeout_that_is_swallowed_among_three_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    swallowed_timeout(monkeypatch)
    three = {"cs": "500", "police": "accepts-then-says-nothing", "health": "one-practitioner-twice"}

    assert asyncio.run(wrong_of([three]))["found"] != []
