"""Many askers, one call: whatever sources do wrong about one or two of the children, each asker is told its own.

CONTACTPOINT_TEST_SHARED_DEEDS sets how many of the deeds are combined (3); the proof combines all of them.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from connectors import batches, http
from gateway.federation.batching import Batches
from gateway.graphql.endpoint import GraphQLEndpoint
from gateway.lookup import Lookups
from schema.records import Answer, NoAnswer, SubjectRef
from tests.faults.matrix import DEEDS, spread
from tests.faults.rig import SOURCES, Rig, running_rig
from tests.faults.sharing import ASKERS, Doing, Group, Sharing, SharingConnector, Together, settled
from tests.faults.test_seeded_defects import shared_batch, swallowed_timeout
from tests.progress import Progress
from tests.prove import PROOFS

pytestmark = pytest.mark.network

DEEDS_TRIED = int(os.environ.get("CONTACTPOINT_TEST_SHARED_DEEDS", "3"))
RIGS = 6  # gateways at one time, each with one group of askers at a time: groups share no call with another
STEP = 240

Told = dict[SubjectRef, Answer]
Case = tuple[Doing, int | None]  # what sources do, and whose client goes away


def cases(deeds: Sequence[str]) -> list[Case]:
    """Return every deed at every source, each also with a client that goes away, and every two of them.

    Two are done in one call to every source in turn; and, of as many drawn, at two sources about one child or two.
    """
    sources = list(SOURCES)
    alone: list[Case] = [
        ({(source, place % ASKERS): deed}, None) for source in sources for place, deed in enumerate(deeds)
    ]
    leaving: list[Case] = [
        ({(sources[place % 4], place % ASKERS): deed}, (place + apart) % ASKERS)
        for place, deed in enumerate(deeds)
        for apart in (0, 1)  # whose child it is, and who only shares the call
    ]
    in_one_call: list[Case] = [
        ({(sources[place % 4], place // 4 % ASKERS): one, (sources[place % 4], (place // 4 + 1) % ASKERS): other}, None)
        for place, (one, other) in enumerate(itertools.product(deeds, deeds))
    ]
    drawn = random.Random(9990000018)
    at_two: list[Case] = []
    for _ in deeds:
        for _ in range(8):
            one, other = drawn.sample(sources, 2)
            doing = {
                (one, drawn.randrange(ASKERS)): drawn.choice(deeds),
                (other, drawn.randrange(ASKERS)): drawn.choice(deeds),
            }
            at_two.append((doing, None))
    return [({}, None), *alone, *leaving, *in_one_call, *at_two]


async def tried(some: Sequence[Case]) -> dict[str, Any]:
    """Return what came of the cases, tried on several gateways at one time."""
    found: list[str] = []
    totals = {"lookups": 0, "again": 0, "shared": 0}

    async def on_one(rig: Rig, mine: Sequence[Case]) -> None:
        for doing, leaves in mine:
            wrong = await Group(rig, doing, leaves).findings()
            found.extend(f"{dict(doing)}, {leaves} leaves: {each}" for each in wrong)
        found.extend(await settled(rig))
        totals["lookups"] += rig.made
        totals["again"] += rig.again
        totals["shared"] += sum(len(call) > 1 for calls in calls_of(rig) for call in calls)

    async with AsyncExitStack() as stack:
        # one after another: what starts would make the sources of another late
        count = max(1, min(RIGS, len(some) // 8))
        rigs = [await stack.enter_async_context(running_sharing()) for _ in range(count)]
        await asyncio.gather(*(on_one(rig, some[place::count]) for place, rig in enumerate(rigs)))
    return {"found": found, **totals}


def running_sharing(**how: Any) -> Any:
    """Start a rig whose sources are asked about several children in one call."""
    return running_rig(connects=SharingConnector, misbehaves=Sharing, asks=Together, **how)


def calls_of(rig: Rig) -> list[list[tuple[str, ...]]]:
    """Return the calls that each source got, each with the children that it was about."""
    return [doing.calls for doing in rig.doing.values() if isinstance(doing, Sharing)]


def test_each_of_those_who_share_a_call_is_told_its_own_whatever_the_sources_do(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    combined = spread(DEEDS_TRIED)
    everything = cases(combined)

    def work(step: str) -> dict[str, Any]:
        start = int(step.partition(" ")[0])
        return asyncio.run(tried(everything[start : start + STEP]))

    steps = [f"{start} of {len(everything)}" for start in range(0, len(everything), STEP)]
    done = Progress.of_this_proof("shared").run(steps, work)
    found = [each for step in done for each in step["found"]]

    record_testsuite_property("deeds of a source, each about one child of several in a call", len(combined))
    record_testsuite_property("askers who share each call", ASKERS)
    record_testsuite_property("combinations: a deed, or two of them, in a call or at two sources", len(everything))
    record_testsuite_property("of them with a client that goes away", sum(case[1] is not None for case in everything))
    record_testsuite_property("wrong", len(found))
    record_testsuite_property("lookups, each with one INTENT and one OUTCOME", sum(step["lookups"] for step in done))
    record_testsuite_property("calls that were shared", sum(step["shared"] for step in done))
    record_testsuite_property("made twice because a good source was late", sum(step["again"] for step in done))
    assert found == []


async def impatient() -> list[str]:
    """Return what is wrong when one of those who share a call waits for less time than the source takes."""
    limits = {"total_seconds": 4.0, "source_seconds": 3.0}
    async with running_sharing(limits=limits) as rig:
        told = await Group(rig, {}, prefer={1: 1}, delay=1.2).told()
        calls = [len(call) for calls in calls_of(rig) for call in calls]
    outcomes = [{line["reason"] for line in told[n]["sources"]} for n in range(ASKERS)]
    wanted = [{"TIMEOUT"} if n == 1 else {None} for n in range(ASKERS)]
    return [f"{outcomes} after calls about {calls}"] if outcomes != wanted or calls != [ASKERS] * len(SOURCES) else []


def test_who_waits_for_less_time_takes_nothing_from_those_who_share_its_call() -> None:
    assert asyncio.run(impatient()) == []


SILENT_OF_ONE: Case = ({("police", 0): "500", ("police", 1): "accepts-then-says-nothing"}, None)


def test_a_child_of_whom_a_source_says_nothing_takes_no_time_from_those_who_share_its_call() -> None:
    assert asyncio.run(tried([SILENT_OF_ONE]))["found"] == []


def _handed_out(patch: pytest.MonkeyPatch, change: Callable[[Told], Told]) -> None:
    run = Batches._run

    async def changed(self: Batches, batch: Any) -> None:
        call = self._call

        async def other(subjects: Any, mask: Any, ask: Any) -> Any:
            return change(dict(await call(subjects, mask, ask)))

        self._call = other
        try:
            await run(self, batch)
        finally:
            self._call = call

    patch.setattr(Batches, "_run", changed)


def wrong_asker(patch: pytest.MonkeyPatch) -> None:
    """Each of those who share a call is handed what was said of the next one's child, as if of its own."""

    def shifted(told: Told) -> Told:
        said = list(told.values())
        return {s: replace(answer, subject=s) for s, answer in zip(told, [*said[1:], said[0]], strict=True)}

    _handed_out(patch, shifted)


def silences_all(patch: pytest.MonkeyPatch) -> None:
    """One child about whom there is no answer silences the source for all who share the call."""

    def silenced(told: Told) -> Told:
        failed = next((answer for answer in told.values() if isinstance(answer, NoAnswer)), None)
        return told if failed is None else {subject: replace(failed, subject=subject) for subject in told}

    _handed_out(patch, silenced)


def spread_to_all(patch: pytest.MonkeyPatch) -> None:
    """What fails for one child fails for all of its call: nobody is asked about alone."""
    patch.setattr(batches, "_may_be_one_childs", lambda _: False)


def asks_again_and_again(patch: pytest.MonkeyPatch) -> None:
    """A call that was made twice is divided, and so made a third time."""

    def untold(call: http._Call) -> None:
        call.repeated = True

    patch.setattr(http._Call, "repeat", untold)


def ends_with_its_client(patch: pytest.MonkeyPatch) -> None:
    """A lookup is cancelled when its client goes away."""

    async def ended(self: GraphQLEndpoint[Any], answer: Awaitable[Any], request_id: str) -> Any:
        return await answer

    patch.setattr(GraphQLEndpoint, "_to_its_end", ended)


def leaves_no_outcome(patch: pytest.MonkeyPatch) -> None:
    """A lookup is cancelled when its client goes away, and leaves no OUTCOME."""
    ends_with_its_client(patch)
    close = Lookups._close

    async def closed(self: Lookups, *what: Any, **more: Any) -> None:
        if "fault" not in more:
            await close(self, *what, **more)

    patch.setattr(Lookups, "_close", closed)


def ends_with_any_asker(patch: pytest.MonkeyPatch) -> None:
    """A shared call ends when one of its askers is cancelled."""
    ends_with_its_client(patch)
    ask = Batches.ask

    async def ended(self: Batches, *what: Any) -> Any:
        try:
            return await ask(self, *what)
        except asyncio.CancelledError:
            for task in self._under_way:
                task.cancel()
            raise

    patch.setattr(Batches, "ask", ended)


def told_with_the_last(patch: pytest.MonkeyPatch) -> None:
    """What is found out about one child of a divided call waits for what is found out about all."""
    patch.setattr(batches._Singly, "_tell", lambda self, child, answer: self._told.update({child: answer}))


def first_deadline(patch: pytest.MonkeyPatch) -> None:
    """A shared call ends when the first of its askers waits no more."""
    run = Batches._run

    async def hurried(self: Batches, batch: Any) -> None:
        batch.deadline = min((ask.deadline for ask in batch.asks), key=lambda deadline: deadline.at)
        await run(self, batch)

    patch.setattr(Batches, "_run", hurried)


Defect = Callable[[pytest.MonkeyPatch], None]
CONTROLS: Mapping[str, tuple[Defect, Case, str]] = {
    "batch-shared-across-credentials": (shared_batch, ({}, None), ""),
    "swallowed-timeout": (
        swallowed_timeout,
        ({("police", 2): "accepts-then-says-nothing"}, None),
        "ANSWERED None, not ['TIMEOUT']",
    ),
    "answer-given-to-the-wrong-asker": (wrong_asker, ({}, None), "practitioners are"),
    "one-askers-fault-spread-to-all": (
        spread_to_all,
        ({("police", 0): "500"}, None),
        "NO_ANSWER PROTOCOL, not ['None']",
    ),
    "one-childs-answer-silences-all": (
        silences_all,
        ({("police", 0): "counts-wrong"}, None),
        "NO_ANSWER INVALID_ANSWER, not ['None']",
    ),
    "more-than-one-retry": (
        asks_again_and_again,
        ({("police", 0): "503-once-that-says-at-once", ("police", 1): "500"}, None),
        "was asked 3 times",
    ),
    "lookup-that-leaves-no-outcome": (leaves_no_outcome, ({}, 3), "records are ['INTENT']"),
    "one-childs-silence-takes-the-time-of-all": (told_with_the_last, SILENT_OF_ONE, "NO_ANSWER TIMEOUT, not ['None']"),
    "one-askers-cancellation-ends-the-call": (ends_with_any_asker, ({}, 0), "NO_ANSWER"),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_a_defect_of_sharing_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    defect, case, word = CONTROLS[name]
    defect(monkeypatch)

    found = asyncio.run(tried([case]))["found"]

    assert any(word in each for each in found), found


def test_an_asker_who_is_cancelled_takes_nothing_from_those_who_share_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    ends_with_its_client(monkeypatch)

    assert asyncio.run(tried([({}, leaves) for leaves in (0, 3)]))["found"] == []


def test_a_call_that_ends_with_its_most_impatient_asker_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    first_deadline(monkeypatch)

    assert asyncio.run(impatient()) != []


def test_the_proof_combines_every_deed() -> None:
    assert spread(PROOFS["fault-batches"].size) == list(DEEDS)
