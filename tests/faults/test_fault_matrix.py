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

from schema.identifiers import NHSNumber
from tests.faults.matrix import DEEDS, spread
from tests.faults.rig import SOURCES, Rig, running_rig, unrecorded
from tests.progress import Progress
from tests.prove import PROOFS

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
    paired = spread(DEEDS_TRIED)
    everything = combinations(paired)

    async def chunk(some: Sequence[Combination]) -> dict[str, Any]:
        async with running_rig() as rig:
            found = await tried(rig, some)
            found += unrecorded(rig)
            lookups = rig.made
        return {"found": found, "lookups": lookups, "again": rig.again, "longest": rig.longest_seconds}

    def work(step: str) -> dict[str, Any]:
        start = int(step.partition(" ")[0])
        return asyncio.run(chunk(everything[start : start + STEP]))

    steps = [f"{start} of {len(everything)}" for start in range(0, len(everything), STEP)]
    done = Progress.of_this_proof("faults").run(steps, work)
    found = [each for step in done for each in step["found"]]

    record_testsuite_property("deeds of a source", len(DEEDS))
    record_testsuite_property("rows of the matrix among them", len({d.row for d in DEEDS.values()}))
    record_testsuite_property("deeds of which every two were tried at every two sources", len(paired))
    record_testsuite_property("combinations: each deed at each source, and pairs at two sources", len(everything))
    record_testsuite_property("wrong", len(found))
    record_testsuite_property("lookups, each with one INTENT and one OUTCOME", sum(step["lookups"] for step in done))
    record_testsuite_property("made twice because a good source was late", sum(step["again"] for step in done))
    record_testsuite_property("longest answer, seconds", round(max(step["longest"] for step in done), 2))
    assert found == []


def _comparable(data: dict[str, Any]) -> object:
    # how old an answer is goes by the clock, which has gone on
    sources = [line | {"asOf": line["asOf"] is not None} for line in data["sources"]]
    return [data["outcome"], data["complete"], data["advice"], sources, data["involvements"]]


async def differing(rig: Rig, cases: Sequence[Combination]) -> list[str]:
    """Return the cases of which the answer is another one when the sources answer in the opposite order."""
    free = asyncio.Semaphore(AT_ONCE)

    async def told(case: Combination, child: NHSNumber, order: Sequence[str]) -> object:
        deeds = {source: DEEDS[deed] for source, deed in case.items()}
        return _comparable(await rig.told(deeds, {s: place * 0.03 for place, s in enumerate(order)}, child))

    async def differs(case: Combination) -> bool:
        async with free:
            child = rig.child()
            one, other = [await told(case, child, order) for order in (list(SOURCES), list(SOURCES)[::-1])]
        return one != other

    async def twice(case: Combination) -> bool:
        # a busy machine makes a good source late; that is not what is looked for, and does not happen twice
        return await differs(case) and await differs(case)

    return [str(dict(c)) for c, found in zip(cases, await asyncio.gather(*map(twice, cases)), strict=True) if found]


def _each_in_turn(deeds: Sequence[str]) -> list[Combination]:
    """Return every deed alone, and beside the next one; at one source after another."""
    names = list(SOURCES)
    alone = [{names[place % 4]: deed} for place, deed in enumerate(deeds)]
    beside = [
        {names[place % 4]: deed, names[(place + 1) % 4]: deeds[(place + 1) % len(deeds)]}
        for place, deed in enumerate(deeds)
    ]
    return [{}, *alone, *beside]


def test_the_answer_does_not_depend_on_the_order_in_which_sources_answer(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    cases = _each_in_turn(spread(max(DEEDS_TRIED, 6)))

    async def run() -> list[str]:
        async with running_rig() as rig:
            return await differing(rig, cases)

    found = asyncio.run(run())
    record_testsuite_property(
        "combinations answered in two orders of arrival, and those that differ", (f"{len(cases)}, {len(found)}")
    )
    assert found == []


def test_the_proof_pairs_every_deed() -> None:
    assert spread(PROOFS["fault-matrix"].size) == list(DEEDS)
