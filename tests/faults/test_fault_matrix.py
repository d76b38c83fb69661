"""Whatever one or two of four sources do wrong, each reads as it must and no source's practitioner is lost.

CONTACTPOINT_TEST_FAULT_DEEDS sets how many of the deeds are combined (4); the proof combines all of them.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from tests.faults.matrix import DEEDS, spread
from tests.faults.rig import SOURCES, Rig, running_rig
from tests.progress import Progress

pytestmark = pytest.mark.network

DEEDS_TRIED = int(os.environ.get("CONTACTPOINT_TEST_FAULT_DEEDS", "4"))
AT_ONCE = 12
STEP = 400

Combination = Mapping[str, str]  # source -> what it does


def combinations(deeds: Sequence[str]) -> list[Combination]:
    """Return every deed at every source, and every pair of deeds at every pair of sources."""
    singles = [{source: deed} for source in SOURCES for deed in DEEDS]
    pairs = [
        {one: first, two: second}
        for one, two in itertools.combinations(SOURCES, 2)
        for first in deeds
        for second in deeds
    ]
    return [*singles, *pairs]


async def tried(rig: Rig, some: Sequence[Combination]) -> list[str]:
    """Return what is wrong with any of the combinations."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(combination: Combination) -> list[str]:
        async with free:
            found = await rig.findings({source: DEEDS[deed] for source, deed in combination.items()})
        return [f"{dict(combination)}: {each}" for each in found]

    return [each for found in await asyncio.gather(*map(one, some)) for each in found]


def test_every_fault_of_one_source_and_every_pair_of_two_reads_as_it_must(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    everything = combinations(spread(DEEDS_TRIED))

    async def chunk(some: Sequence[Combination]) -> dict[str, Any]:
        async with running_rig() as rig:
            found = await tried(rig, some)
            records = rig.records()
        found += [f"records are {kinds}" for kinds in records.values() if kinds != ["INTENT", "OUTCOME"]]
        lookups = len(records)
        return {"found": found, "lookups": lookups, "again": rig.again, "longest": rig.longest_seconds}

    def work(step: str) -> dict[str, Any]:
        start = int(step.partition(" ")[0])
        return asyncio.run(chunk(everything[start : start + STEP]))

    steps = [f"{start} of {len(everything)}" for start in range(0, len(everything), STEP)]
    done = Progress.of_this_proof("faults").run(steps, work)
    found = [each for step in done for each in step["found"]]

    record_testsuite_property("deeds of a source", len(DEEDS))
    record_testsuite_property("rows of the matrix among them", len({d.row for d in DEEDS.values()}))
    record_testsuite_property("combinations: each deed at each source, and pairs at two sources", len(everything))
    record_testsuite_property("wrong", len(found))
    record_testsuite_property("lookups, each with one INTENT and one OUTCOME", sum(step["lookups"] for step in done))
    record_testsuite_property("made twice because a good source was late", sum(step["again"] for step in done))
    record_testsuite_property("longest answer, seconds", round(max(step["longest"] for step in done), 2))
    assert found == []


def _comparable(data: dict[str, Any]) -> object:
    entries = [{k: v for k, v in entry.items() if k != "id"} for entry in data["involvements"]]
    return [data["outcome"], data["sources"], entries]


def test_the_answer_does_not_depend_on_the_order_in_which_sources_answer() -> None:
    cases = [{"police": deed} for deed in spread(6)] + [{"cs": "500", "health": "one-practitioner-twice"}, {}]

    async def run() -> None:
        async with running_rig() as rig:
            for case in cases:
                deeds = {source: DEEDS[deed] for source, deed in case.items()}
                told = [
                    await rig.told(deeds, {source: place * 0.03 for place, source in enumerate(order)})
                    for order in (list(SOURCES), list(SOURCES)[::-1])
                ]
                assert _comparable(told[0]) == _comparable(told[1])

    asyncio.run(run())
