"""Everybody at once, each within a deadline: one source's trouble costs its own answer and no other's."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import uvloop

from connectors.base import Ask, Asker, Connector, Deadline, FieldMask
from connectors.faults import REASON_OF, FaultCode, SourceFailed
from gateway.federation.breaker import Circuit
from gateway.federation.fanout import FanOut, SourceOutcome, linked_adults
from gateway.federation.upstream import Upstream
from schema.identifiers import CRN
from schema.records import AdultRef, Answered, ChildRef
from schema.vocabulary import AgencyKind, InvolvementRelationship, PurposeClass, SourceReason, SourceStatus
from tests.fixtures.sources import (
    ADULT,
    CHILD,
    FailingSource,
    LyingSource,
    RaisingSource,
    Remembering,
    ShapelessSource,
    SilentSource,
    SlowSource,
    UnwellSource,
    known,
    row,
    source,
)

pytestmark = pytest.mark.anyio

EVERYTHING = FieldMask(frozenset({"involvements", "involvements.previous", "involvements.linkedAdult"}))


def fan_out(*, seconds: float = 5.0, source_seconds: float = 5.0) -> FanOut:
    return FanOut(
        request_id="1c2d7f6e-0000-4000-8000-000000000000",
        traceparent=None,
        purpose_class=PurposeClass.SAFEGUARDING,
        asker=Asker("worker", "amber-council"),
        deadline=Deadline.after(seconds),
        source_seconds=source_seconds,
    )


async def ask(
    *connectors: Connector, named: Sequence[SourceOutcome] | None = None, only: Sequence[str] = (), **how: float
) -> dict[str, SourceOutcome]:
    masks = {c.manifest.agency.id: EVERYTHING for c in connectors if not only or c.manifest.agency.id in only}
    return await fan_out(**how).ask_all(ChildRef(CHILD), [Upstream(c) for c in connectors], masks, named)


def police(name: str = "police", *rows: object) -> Connector:
    return source(name, known(CHILD, row(f"{name}-row")), kind=AgencyKind.POLICE)


DOES: Mapping[str, tuple[Callable[[Connector], Connector], SourceReason | None]] = {
    "answers": (Remembering, None),
    "times out": (SlowSource, SourceReason.TIMEOUT),
    "raises": (RaisingSource, SourceReason.PROTOCOL),
    "lies": (LyingSource, SourceReason.INVALID_ANSWER),
    "says nothing of the subject": (SilentSource, SourceReason.INVALID_ANSWER),
    "returns no mapping": (ShapelessSource, SourceReason.PROTOCOL),
    "gives no answer": (FailingSource, SourceReason.OVERLOADED),
}


@pytest.mark.parametrize(
    "deeds", [" / ".join(each) for each in itertools.product([*list(DOES)[:4], "gives no answer"], repeat=3)]
)
async def test_whatever_three_sources_do_each_has_its_own_outcome_and_no_row_is_lost(deeds: str) -> None:
    wanted = {f"s{i}": DOES[deed] for i, deed in enumerate(deeds.split(" / "))}
    outcomes = await ask(*(flaw(police(name)) for name, (flaw, _) in wanted.items()), source_seconds=0.1)

    assert list(outcomes) == list(wanted)
    for name, (_, reason) in wanted.items():
        outcome = outcomes[name]
        assert outcome.reason == reason
        assert outcome.status is (SourceStatus.ANSWERED if reason is None else SourceStatus.NO_ANSWER)
        rows = [r.local_id for answer in outcome.answers for r in answer.involvements]
        assert rows == ([f"{name}-row"] if reason is None else [])
    complete = all(o.status is not SourceStatus.NO_ANSWER for o in outcomes.values())
    assert complete == (set(deeds.split(" / ")) == {"answers"})


@pytest.mark.parametrize("deed", DOES)
async def test_each_kind_of_trouble_reads_as_its_reason_beside_a_source_that_answers(deed: str) -> None:
    flaw, reason = DOES[deed]
    outcomes = await ask(flaw(police("odd")), police("good"), source_seconds=0.2)

    assert outcomes["odd"].reason == reason
    assert outcomes["good"].status is SourceStatus.ANSWERED


@pytest.mark.parametrize("code", FaultCode)
async def test_every_fault_code_reads_as_its_reason(code: FaultCode) -> None:
    outcomes = await ask(FailingSource(police(), code))

    assert (outcomes["police"].reason, outcomes["police"].code) == (REASON_OF[code], code.value)


async def test_a_timeout_that_a_connector_raises_itself_reads_timeout() -> None:
    outcomes = await ask(RaisingSource(police(), TimeoutError()))

    assert outcomes["police"].reason is SourceReason.TIMEOUT


@pytest.mark.parametrize("shares_calls", [True, False], ids=["with-others", "alone"])
async def test_a_connector_that_ends_itself_as_cancelled_costs_its_own_answer_at_once(shares_calls: bool) -> None:
    odd = source("odd", known(CHILD, row()), depends_on_asker=not shares_calls)
    outcomes = await ask(RaisingSource(odd, asyncio.CancelledError()), police("good"))

    assert (outcomes["odd"].status, outcomes["odd"].code) == (SourceStatus.NO_ANSWER, "CONNECTOR_FAULT")
    assert outcomes["good"].status is SourceStatus.ANSWERED


@pytest.mark.parametrize("adults", [[ADULT], []], ids=["asked", "health"])
async def test_so_does_one_about_linked_adults(adults: list[CRN]) -> None:
    outcomes = await ask(RaisingSource(probation(*adults), asyncio.CancelledError()), council(*adults))

    assert (outcomes["probation"].status, outcomes["probation"].code) == (SourceStatus.NO_ANSWER, "CONNECTOR_FAULT")
    assert outcomes["cs"].status is SourceStatus.ANSWERED


async def test_only_connectors_with_a_mask_are_asked_and_with_that_mask() -> None:
    asked, other = Remembering(police("asked")), Remembering(police("other"))
    outcomes = await ask(asked, other, only=["asked"])

    assert list(outcomes) == ["asked"]
    assert [a.mask for a in asked.asked] == [EVERYTHING]
    assert other.asked == []


async def test_the_deadline_of_the_whole_binds_a_source_that_would_have_longer() -> None:
    outcomes = await ask(SlowSource(police()), seconds=0.01, source_seconds=60)

    assert outcomes["police"].reason is SourceReason.TIMEOUT


async def test_no_deadline_that_a_source_is_told_is_later_than_that_of_the_whole() -> None:
    near = Remembering(police("near"))
    await ask(near, seconds=1.0, source_seconds=60)

    assert near.asked[0].ask.deadline.remaining() <= 1.0


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_loop_that_stood_still_until_the_deadline_reads_timeout_and_loses_no_lookup(run: Callable[..., Any]) -> None:
    async def stands_still() -> dict[str, SourceOutcome]:
        loop = asyncio.get_running_loop()
        asking = loop.create_task(ask(SlowSource(police()), SlowSource(council()), seconds=0.01))
        # once the asks are made, and before one of them has begun
        loop.call_soon(time.sleep, 0.05)
        return await asking

    outcomes = run(stands_still())

    assert {name: outcome.reason for name, outcome in outcomes.items()} == dict.fromkeys(
        ("police", "cs"), SourceReason.TIMEOUT
    )


async def test_cancelling_the_fan_out_cancels_every_ask() -> None:
    slow = SlowSource(police())
    task = asyncio.ensure_future(ask(slow, source_seconds=60, seconds=60))
    await slow.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await slow.ended.wait()


# ----------------------------------------------------------------------------------------------- linked adults


def council(*adults: CRN, name: str = "cs") -> Connector:
    return source(name, known(CHILD, row(), adults=adults), names_adults=True)


def probation(*adults: CRN, name: str = "probation") -> Remembering:
    linked = [known(AdultRef(adult), row(adult, relationship=InvolvementRelationship.LINKED_ADULT)) for adult in adults]
    return Remembering(source(name, *linked, kind=AgencyKind.PROBATION, about_adults=True))


async def test_a_source_about_adults_is_asked_about_the_adults_that_childrens_services_name() -> None:
    about = probation(ADULT)
    outcomes = await ask(about, council(ADULT))

    assert [a.subjects for a in about.asked] == [(AdultRef(ADULT),)]
    assert outcomes["probation"].status is SourceStatus.ANSWERED
    assert about.health_calls == 0


async def test_where_no_adult_is_linked_its_health_is_called_instead() -> None:
    about = probation()
    outcomes = await ask(council(), about)

    assert (about.asked, about.health_calls) == ([], 1)
    assert outcomes["probation"].status is SourceStatus.ANSWERED


async def test_no_agency_is_asked_about_the_adult_of_somebody_else_under_the_same_number() -> None:
    about = probation(ADULT)
    fan = replace(fan_out(), of_this_child=lambda answer: replace(answer, linked_adults=()))
    masks = {"cs": EVERYTHING, "probation": EVERYTHING}
    outcomes = await fan.ask_all(ChildRef(CHILD), [Upstream(council(ADULT)), Upstream(about)], masks)

    assert (about.asked, about.health_calls) == ([], 1)
    assert outcomes["probation"].status is SourceStatus.ANSWERED


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        pytest.param(FailingSource, SourceReason.OVERLOADED, id="the-source-says-so"),
        pytest.param(RaisingSource, SourceReason.PROTOCOL, id="the-connector-raises"),
        pytest.param(SlowSource, SourceReason.TIMEOUT, id="it-hangs"),
    ],
)
@pytest.mark.parametrize("adults", [(), (ADULT,)], ids=["no-adult", "one-adult"])
async def test_its_status_does_not_depend_on_whether_an_adult_is_linked(
    flaw: type[Remembering], reason: SourceReason, adults: Sequence[CRN]
) -> None:
    about = flaw(source("probation", kind=AgencyKind.PROBATION, about_adults=True))
    outcomes = await ask(council(*adults), about, source_seconds=0.02)

    assert (outcomes["probation"].status, outcomes["probation"].reason) == (SourceStatus.NO_ANSWER, reason)


async def test_a_health_call_that_says_it_is_not_well_is_no_answer() -> None:
    outcomes = await ask(council(), UnwellSource(probation().inner))

    assert outcomes["probation"].reason is SourceReason.PROTOCOL


async def test_when_a_source_that_could_name_an_adult_is_silent_so_is_the_source_about_adults() -> None:
    silent = FailingSource(council(name="cs-two"), FaultCode.CONNECT)
    about = probation(ADULT)
    outcomes = await ask(council(ADULT), silent, about)

    assert (outcomes["probation"].status, outcomes["probation"].reason) == (
        SourceStatus.NO_ANSWER,
        SourceReason.CONNECT,
    )
    assert [a.subject for a in outcomes["probation"].answers] == [AdultRef(ADULT)], "what it did answer is not lost"


async def test_its_own_failure_is_told_before_that_of_a_source_that_could_name_an_adult() -> None:
    silent = FailingSource(council(), FaultCode.CONNECT)
    about = FailingSource(source("probation", kind=AgencyKind.PROBATION, about_adults=True), FaultCode.AUTH)
    outcomes = await ask(silent, about)

    assert outcomes["probation"].reason is SourceReason.REFUSED


async def test_one_adult_without_an_answer_leaves_the_others_answer_and_reads_no_answer() -> None:
    other = CRN("X654321")

    class HalfSource(Remembering):
        async def _answers(self, subjects, mask, ask):  # type: ignore[no-untyped-def]
            found = dict(await super()._answers(subjects, mask, ask))
            del found[AdultRef(other)]
            return found

    half = HalfSource(probation(ADULT, other).inner)
    outcomes = await ask(council(ADULT, other), half)

    assert outcomes["probation"].reason is SourceReason.INVALID_ANSWER
    assert [a.subject for a in outcomes["probation"].answers] == [AdultRef(ADULT)]


async def test_adults_are_named_by_childrens_services_alone() -> None:
    gossip = source("police", known(CHILD, row(), adults=[ADULT]), kind=AgencyKind.POLICE)
    about = probation(ADULT)
    await ask(gossip, about)

    assert about.asked == []


async def test_an_adult_whom_two_authorities_name_is_asked_about_once() -> None:
    about = probation(ADULT)
    await ask(council(ADULT, name="one"), council(ADULT, name="two"), about)

    assert [a.subjects for a in about.asked] == [(AdultRef(ADULT),)]


async def test_a_second_wave_asks_about_the_adults_that_the_first_named() -> None:
    about, naming = probation(ADULT), Remembering(council(ADULT))
    first = await ask(naming, about)
    second = await ask(naming, about, only=["probation"], named=[first["cs"]])

    assert list(second) == ["probation"]
    assert [a.subjects for a in about.asked] == [(AdultRef(ADULT),)] * 2
    assert (len(naming.asked), about.health_calls) == (1, 0)


class PromptSource(Remembering):
    """Answers soon, if there is any time at all, as a connector over HTTP does."""

    async def health(self, ask: Ask) -> bool:
        if ask.deadline.remaining() <= 0:
            raise SourceFailed(FaultCode.DEADLINE)
        await asyncio.sleep(0.001)
        return await super().health(ask)


async def test_a_source_is_not_in_trouble_because_others_left_it_no_time() -> None:
    hanging, prompt = SlowSource(council()), Upstream(PromptSource(probation().inner))
    masks = {"cs": EVERYTHING, "probation": EVERYTHING}
    for _ in range(6):
        # as for a client that waits a second at most, while children's services say nothing
        hurried = fan_out(seconds=0.01, source_seconds=5.0)
        outcomes = await hurried.ask_all(ChildRef(CHILD), [Upstream(hanging), prompt], masks)
        assert outcomes["probation"].reason is SourceReason.TIMEOUT

    outcomes = await fan_out().ask_all(ChildRef(CHILD), [Upstream(council()), prompt], masks)
    assert outcomes["probation"].status is SourceStatus.ANSWERED


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "in-a-batch"])
@pytest.mark.parametrize(("share", "circuit"), [(0.2, Circuit.CLOSED), (0.6, Circuit.OPEN)])
async def test_a_deadline_counts_for_a_circuit_only_where_the_source_had_a_fair_part_of_its_time(
    share: float, circuit: Circuit, *, alone: bool
) -> None:
    hanging = Upstream(SlowSource(police()))
    for _ in range(5):
        fan = replace(fan_out(seconds=0.05, source_seconds=0.05 / share), alone=alone)
        await fan.ask_all(ChildRef(CHILD), [hanging], {"police": EVERYTHING})

    assert hanging.circuit is circuit


def test_linked_adults_come_once_each_in_an_order_that_does_not_tell_who_named_them() -> None:
    first, second = CRN("X000001"), CRN("X000002")
    outcomes = [
        SourceOutcome("a", SourceStatus.ANSWERED, None, None, (known(CHILD, adults=[second, first]),), 0),
        SourceOutcome("b", SourceStatus.ANSWERED, None, None, (known(CHILD, adults=[first]),), 0),
    ]

    assert linked_adults(outcomes) == linked_adults(outcomes[::-1]) == (AdultRef(first), AdultRef(second))
    assert all(isinstance(a, Answered) for o in outcomes for a in o.answers)
