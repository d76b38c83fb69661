"""Whatever goes wrong at one or two of the agencies, each shipped driver reads it as it must and nobody is lost.

CONTACTPOINT_TEST_DRIVER_PAIRS sets how many pairs are drawn, always the same ones, and how many singles are tried at
each agency (4); the proof tries every single.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from connectors.probation import client as probation
from gateway.federation.fanout import FanOut
from schema.vocabulary import SourceStatus
from tests.faults.drivers import DRIVERS, Drivers, deeds_of, running_drivers
from tests.faults.rig import unrecorded
from tests.faults.test_seeded_defects import swallowed_timeout
from tests.progress import Progress

pytestmark = pytest.mark.network

PAIRS = int(os.environ.get("CONTACTPOINT_TEST_DRIVER_PAIRS", "4"))
RIGS = 6
STEP = 240

Case = Mapping[str, str]  # source -> what happens there


def cases(count: int) -> list[Case]:
    """Return so many things that can happen at each agency, or all there are, and so many pairs at two of them."""
    singles: list[Case] = []
    for source in DRIVERS:
        names = list(deeds_of(source))
        some = names if count >= len(names) else [names[i * len(names) // count] for i in range(count)]
        singles += [{source: name} for name in some]
    drawn = random.Random(9990000018)
    pairs: dict[tuple[tuple[str, str], ...], None] = {}
    while len(pairs) < count:
        two = sorted(drawn.sample(list(DRIVERS), 2))
        pairs[tuple((source, drawn.choice(list(deeds_of(source)))) for source in two)] = None
    return [*singles, *map(dict, pairs)]


async def tried(some: Sequence[Case]) -> dict[str, Any]:
    """Return what came of the cases, tried on several gateways at one time."""
    found: list[str] = []
    totals = {"lookups": 0, "again": 0}

    async def on_one(rig: Drivers, mine: Sequence[Case]) -> None:
        for case in mine:
            found.extend(f"{dict(case)}: {each}" for each in await rig.findings(case))
        found.extend(unrecorded(rig))
        totals["lookups"] += rig.made
        totals["again"] += rig.again

    async with AsyncExitStack() as stack:
        # one after another: what starts would make the sources of another late
        count = max(1, min(RIGS, len(some) // 16))
        rigs = [await stack.enter_async_context(running_drivers()) for _ in range(count)]
        await asyncio.gather(*(on_one(rig, some[place::count]) for place, rig in enumerate(rigs)))
    return {"found": found, **totals}


def test_whatever_goes_wrong_at_the_agencies_the_shipped_drivers_read_it_as_they_must(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    everything = cases(PAIRS)

    def work(step: str) -> dict[str, Any]:
        start = int(step.partition(" ")[0])
        return asyncio.run(tried(everything[start : start + STEP]))

    steps = [f"{start} of {len(everything)}" for start in range(0, len(everything), STEP)]
    done = Progress.of_this_proof("drivers").run(steps, work)
    found = [each for step in done for each in step["found"]]

    record_testsuite_property("shipped drivers, each before an agency of the demo", len(DRIVERS))
    record_testsuite_property("what can go wrong, at all of them", sum(len(deeds_of(source)) for source in DRIVERS))
    record_testsuite_property("singles tried", sum(len(case) == 1 for case in everything))
    record_testsuite_property("pairs tried, drawn", sum(len(case) == 2 for case in everything))
    record_testsuite_property("wrong", len(found))
    record_testsuite_property("lookups, each with one INTENT and one OUTCOME", sum(step["lookups"] for step in done))
    record_testsuite_property("made twice because a good source was late", sum(step["again"] for step in done))
    assert found == []


def believes_in_somebody_else(patch: pytest.MonkeyPatch) -> None:
    """The record of another adult is taken for that of the one who was asked about."""
    patch.setattr(probation, "must_be_about", lambda *_: None)


def overlooks_who_could_have_named_an_adult(patch: pytest.MonkeyPatch) -> None:
    """A source about adults counts as asked although nobody could say about whom."""
    ask = FanOut._ask_adults

    async def anyway(self: FanOut, upstream: Any, naming: Any, named: Any, mask: Any) -> Any:
        named = await asyncio.gather(*naming) if named is None else named
        well = [replace(each, status=SourceStatus.ANSWERED, reason=None) for each in named]
        return await ask(self, upstream, naming, well, mask)

    patch.setattr(FanOut, "_ask_adults", anyway)


@pytest.mark.parametrize(
    ("defect", "case", "word"),
    [
        pytest.param(
            swallowed_timeout,
            {"health": "accepts-then-says-nothing"},
            "health is ANSWERED None, not TIMEOUT",
            id="swallowed-timeout",
        ),
        pytest.param(
            believes_in_somebody_else,
            {"probation": "WRONG_PERSON"},
            "probation is ANSWERED None, not INVALID_ANSWER",
            id="somebody-else-believed",
        ),
        pytest.param(
            overlooks_who_could_have_named_an_adult,
            {"cs": "500"},
            "probation is ANSWERED None, not PROTOCOL",
            id="nobody-named-and-counted-as-asked",
        ),
    ],
)
def test_a_defect_of_a_driver_or_of_who_asks_it_is_found(
    defect: Callable[[pytest.MonkeyPatch], None], case: Case, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    defect(monkeypatch)

    found = asyncio.run(tried([case]))["found"]

    assert any(word in each for each in found), found
