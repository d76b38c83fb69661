"""Many askers, one call: who shares one, who never does, and that what befalls one asker befalls nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from connectors.base import Ask, Asker, Connector, Deadline, FieldMask
from connectors.faults import SourceFailed
from gateway.federation.batching import WINDOW_SECONDS, Batches, Said
from gateway.federation.breaker import Circuit
from gateway.federation.upstream import Upstream
from schema.identifiers import NHSNumber
from schema.records import Answer, Answered, ChildRef, NoAnswer, SubjectRef
from schema.vocabulary import AgencyKind, PurposeClass, SourceReason
from tests.fixtures.sources import CHILD, OTHER_CHILD, UNKNOWN_CHILD, FailingSource, Remembering, known, row, source

pytestmark = pytest.mark.anyio

MASK = FieldMask(frozenset({"involvements"}))
WIDER = FieldMask(frozenset({"involvements", "involvements.previous"}))
CHILDREN = (ChildRef(CHILD), ChildRef(OTHER_CHILD), ChildRef(UNKNOWN_CHILD))


class HeldSource(Remembering):
    """Answers when it is let."""

    def __init__(self, inner: Connector) -> None:
        super().__init__(inner)
        self.let = asyncio.Event()
        self.begun: asyncio.Queue[None] = asyncio.Queue()  # one for each call that has come
        self.ended = 0

    async def _answers(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Mapping[SubjectRef, Answer]:
        self.begun.put_nowait(None)
        try:
            await self.let.wait()
            return await super()._answers(subjects, mask, ask)
        finally:
            self.ended += 1


def police(name: str = "police", **how: Any) -> Connector:
    answers = [known(CHILD, row("one")), known(OTHER_CHILD, row("two"))]
    return source(name, *answers, kind=AgencyKind.POLICE, **how)


def held(**manifest: Any) -> HeldSource:
    inner = police()
    vars(inner)["_manifest"] = replace(inner.manifest, **manifest)
    return HeldSource(inner)


def an_ask(number: int = 0, *, seconds: float = 5.0, **how: Any) -> Ask:
    usual: dict[str, Any] = {
        "request_id": f"00000000-0000-4000-8000-{number:012}",
        "traceparent": None,
        "purpose_class": PurposeClass.SAFEGUARDING,
        "deadline": Deadline.after(seconds),
        "asker": None,
    }
    return Ask(**(usual | how))


async def busy(upstream: Upstream, behind: HeldSource) -> asyncio.Task[Said]:
    """Return a call that is under way, so that those after it wait for one another."""
    first = asyncio.create_task(upstream.involvements([ChildRef(NHSNumber("9990000042"))], MASK, an_ask(99)))
    await behind.begun.get()
    return first


def rows_of(said: Said, subject: SubjectRef) -> list[str]:
    answer = said.answers[subject]
    assert isinstance(answer, Answered)
    return [r.local_id for r in answer.involvements]


async def test_while_nothing_is_under_way_an_ask_leaves_without_waiting() -> None:
    behind = Remembering(police())
    said = await Upstream(behind).involvements([CHILDREN[0]], MASK, an_ask(7))

    assert rows_of(said, CHILDREN[0]) == ["one"]
    assert said.shared_call is None
    assert [a.ask.request_id for a in behind.asked] == ["00000000-0000-4000-8000-000000000007"]


async def test_lookups_that_ask_in_the_window_share_one_call_and_each_is_told_its_own_child_alone() -> None:
    behind = held()
    upstream = Upstream(behind)
    await busy(upstream, behind)
    asking = [asyncio.create_task(upstream.involvements([child], MASK, an_ask(n))) for n, child in enumerate(CHILDREN)]
    behind.let.set()
    told = await asyncio.gather(*asking)

    assert [a.subjects for a in behind.asked[1:]] == [CHILDREN]
    assert [set(said.answers) for said in told] == [{child} for child in CHILDREN]
    assert [rows_of(said, child) for said, child in zip(told, CHILDREN, strict=True)] == [["one"], ["two"], []]


async def test_a_shared_call_has_an_id_of_its_own_that_every_asker_learns() -> None:
    behind = held()
    upstream = Upstream(behind)
    await busy(upstream, behind)
    asking = [asyncio.create_task(upstream.involvements([c], MASK, an_ask(n))) for n, c in enumerate(CHILDREN)]
    behind.let.set()
    told = await asyncio.gather(*asking)

    shared = behind.asked[1].ask
    assert {said.shared_call for said in told} == {shared.request_id}
    assert shared.request_id not in {an_ask(n).request_id for n in range(3)}
    assert shared.asker is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"purpose_class": PurposeClass.LAW_ENFORCEMENT}, {}, id="purpose-class"),
        pytest.param({"silent": True}, {}, id="notification"),
        pytest.param({"mask": WIDER}, {}, id="field-mask"),
    ],
)
async def test_asks_that_differ_in_what_the_agency_is_told_never_share_a_call(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    behind = held()
    upstream = Upstream(behind)
    await busy(upstream, behind)
    asking = [
        asyncio.create_task(upstream.involvements([child], how.pop("mask", MASK), an_ask(n, **how)))
        for n, (child, how) in enumerate(zip(CHILDREN, (dict(first), dict(second)), strict=False))
    ]
    behind.let.set()
    await asyncio.gather(*asking)

    assert sorted(len(a.subjects) for a in behind.asked) == [1, 1, 1]


async def test_two_sources_never_share_a_call() -> None:
    one, two = held(), held()
    upstreams = [Upstream(one), Upstream(two)]
    for upstream, behind in zip(upstreams, (one, two), strict=True):
        await busy(upstream, behind)
    asking = [
        asyncio.create_task(upstream.involvements([child], MASK, an_ask()))
        for upstream, child in zip(upstreams, CHILDREN, strict=False)
    ]
    one.let.set()
    two.let.set()
    await asyncio.gather(*asking)

    assert [[a.subjects for a in behind.asked[1:]] for behind in (one, two)] == [[CHILDREN[:1]], [CHILDREN[1:2]]]


@pytest.mark.parametrize(
    "manifest", [{"answers_depend_on_asker": True}, {"can_batch": False}], ids=["depends-on-asker", "cannot-batch"]
)
async def test_a_source_that_must_know_the_asker_or_takes_one_child_is_called_one_by_one(
    manifest: dict[str, Any],
) -> None:
    behind = held(**manifest)
    upstream = Upstream(behind)
    askers = [Asker(f"worker-{n}", "amber-council") for n in range(3)]
    asking = [
        asyncio.create_task(upstream.involvements([child], MASK, an_ask(n, asker=askers[n])))
        for n, child in enumerate(CHILDREN)
    ]
    behind.let.set()
    await asyncio.gather(*asking)

    assert [a.subjects for a in behind.asked] == [(child,) for child in CHILDREN]
    assert [a.ask.asker for a in behind.asked] == askers


async def test_break_glass_waits_for_nobody_and_shares_with_nobody() -> None:
    behind = held()
    upstream = Upstream(behind)
    await busy(upstream, behind)
    asking = [
        asyncio.create_task(upstream.involvements([child], MASK, an_ask(n), alone=n == 1))
        for n, child in enumerate(CHILDREN)
    ]
    await asyncio.sleep(0)
    assert [a.subjects for a in behind.asked[1:]] == [(CHILDREN[1],)]
    behind.let.set()
    await asyncio.gather(*asking)

    assert [a.subjects for a in behind.asked[2:]] == [(CHILDREN[0], CHILDREN[2])]


async def test_two_who_ask_about_one_child_are_told_by_one_question_that_has_not_been_sent() -> None:
    behind = held()
    upstream = Upstream(behind)
    await busy(upstream, behind)
    asking = [asyncio.create_task(upstream.involvements([CHILDREN[0]], MASK, an_ask(n))) for n in range(2)]
    behind.let.set()
    told = await asyncio.gather(*asking)

    assert [a.subjects for a in behind.asked[1:]] == [(CHILDREN[0],)]
    assert [rows_of(said, CHILDREN[0]) for said in told] == [["one"], ["one"]]


async def test_a_question_that_has_been_sent_answers_nobody_who_asks_after_it() -> None:
    behind = held()
    upstream = Upstream(behind)
    first = asyncio.create_task(upstream.involvements([CHILDREN[0]], MASK, an_ask(0)))
    await behind.begun.get()
    second = asyncio.create_task(upstream.involvements([CHILDREN[0]], MASK, an_ask(1)))
    await asyncio.sleep(0.01)
    behind.let.set()
    await asyncio.gather(first, second)

    assert [a.subjects for a in behind.asked] == [(CHILDREN[0],)] * 2


async def test_an_asker_who_goes_away_takes_nothing_from_the_others() -> None:
    behind = held()
    upstream = Upstream(behind)
    await busy(upstream, behind)
    asking = [asyncio.create_task(upstream.involvements([c], MASK, an_ask(n))) for n, c in enumerate(CHILDREN)]
    await behind.begun.get()
    asking[0].cancel()
    behind.let.set()
    ended = await asyncio.gather(*asking, return_exceptions=True)

    assert isinstance(ended[0], asyncio.CancelledError)
    assert [rows_of(said, CHILDREN[n]) for n, said in enumerate(ended) if isinstance(said, Said)] == [["two"], []]


async def test_a_call_that_nobody_waits_for_any_more_ends() -> None:
    behind = held()
    upstream = Upstream(behind)
    asking = [asyncio.create_task(upstream.involvements([c], MASK, an_ask(n))) for n, c in enumerate(CHILDREN)]
    await behind.begun.get()
    for asker in asking:
        asker.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await asyncio.sleep(0)

    assert (behind.ended, upstream.under_way) == (1, 0)


async def test_an_asker_who_goes_away_before_the_call_is_sent_leaves_no_call_behind() -> None:
    behind = held()
    upstream = Upstream(behind)
    asker = asyncio.create_task(upstream.involvements([CHILDREN[0]], MASK, an_ask()))
    await asyncio.sleep(0)
    asker.cancel()
    await asyncio.gather(asker, return_exceptions=True)
    await asyncio.sleep(0.01)

    assert behind.asked == []


async def test_nobody_is_asked_about_for_an_asker_who_went_away_before_the_call_was_sent() -> None:
    behind = held()
    upstream = Upstream(behind)
    await busy(upstream, behind)
    asking = [
        asyncio.create_task(upstream.involvements([child], MASK, an_ask(n, seconds=seconds)))
        for n, (child, seconds) in enumerate(zip(CHILDREN, (90.0, 5.0, 7.0), strict=True))
    ]
    await asyncio.sleep(0)
    asking[0].cancel()
    behind.let.set()
    ended = await asyncio.gather(*asking, return_exceptions=True)

    assert isinstance(ended[0], asyncio.CancelledError)
    assert [a.subjects for a in behind.asked[1:]] == [CHILDREN[1:]]
    assert behind.asked[1].ask.deadline.remaining() < 8, "nor has the call the time that only they had"


async def test_who_is_left_alone_in_a_call_that_was_not_sent_asks_under_their_own_id() -> None:
    behind = held()
    upstream = Upstream(behind)
    await busy(upstream, behind)
    asking = [asyncio.create_task(upstream.involvements([CHILDREN[0]], MASK, an_ask(n))) for n in (1, 2)]
    await asyncio.sleep(0)
    asking[0].cancel()
    behind.let.set()
    said = (await asyncio.gather(*asking, return_exceptions=True))[1]

    assert isinstance(said, Said)
    assert rows_of(said, CHILDREN[0]) == ["one"]
    assert said.shared_call is None
    assert behind.asked[1].ask.request_id == an_ask(2).request_id


ENDLESS = 3600.0


def test_nobody_waits_longer_for_others_than_two_milliseconds() -> None:
    assert 0 < WINDOW_SECONDS <= 0.002


async def test_while_nothing_is_under_way_nobody_waits_for_the_window_and_otherwise_the_call_does() -> None:
    let = asyncio.Event()
    sent: list[Sequence[SubjectRef]] = []

    async def call(subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Mapping[SubjectRef, Answer]:
        sent.append(subjects)
        await let.wait()
        return {}

    batches = Batches(call, most=2, window=ENDLESS)
    asking = []
    for number, child in enumerate(CHILDREN):
        asking.append(asyncio.create_task(batches.ask(child, MASK, an_ask(number))))
        for _turn in range(5):
            await asyncio.sleep(0)
        assert len(sent) == (1, 1, 2)[number], "the first left at once, the second waits until the call is full"
    let.set()
    await asyncio.gather(*asking)

    assert sent == [CHILDREN[:1], CHILDREN[1:]]


async def test_a_window_that_ends_sends_the_call_that_is_not_full() -> None:
    behind = held()
    upstream = Upstream(behind)
    await busy(upstream, behind)
    waiting = asyncio.create_task(upstream.involvements([CHILDREN[0]], MASK, an_ask()))
    await behind.begun.get()
    behind.let.set()

    assert rows_of(await waiting, CHILDREN[0]) == ["one"]


async def test_a_call_ends_with_the_time_of_those_who_asked_however_long_the_source_takes() -> None:
    behind = held()
    upstream = Upstream(behind)
    asking = asyncio.create_task(upstream.involvements([CHILDREN[0]], MASK, an_ask(seconds=0.05)))

    with pytest.raises(TimeoutError):
        await asking
    assert (behind.ended, upstream.under_way) == (1, 0)


async def test_the_call_has_the_time_of_the_most_patient_asker() -> None:
    behind = held()
    upstream = Upstream(behind)
    await busy(upstream, behind)
    asking = [
        asyncio.create_task(upstream.involvements([c], MASK, an_ask(n, seconds=seconds)))
        for n, (c, seconds) in enumerate(zip(CHILDREN, (0.5, 9.0, 2.0), strict=True))
    ]
    behind.let.set()
    await asyncio.gather(*asking)

    assert behind.asked[1].ask.deadline.remaining() > 8


async def test_a_batch_is_sent_when_it_is_full_and_the_next_asker_begins_another() -> None:
    behind = held(max_batch=2)
    upstream = Upstream(behind)
    await busy(upstream, behind)
    asking = [asyncio.create_task(upstream.involvements([c], MASK, an_ask(n))) for n, c in enumerate(CHILDREN)]
    behind.let.set()
    await asyncio.gather(*asking)

    assert [a.subjects for a in behind.asked[1:]] == [CHILDREN[:2], CHILDREN[2:]]


async def test_trouble_with_one_child_of_a_call_is_that_childs_alone() -> None:
    class HalfSource(HeldSource):
        async def _answers(self, subjects: Any, mask: Any, ask: Any) -> Any:
            found = dict(await super()._answers(subjects, mask, ask))
            found[CHILDREN[1]] = NoAnswer(CHILDREN[1], SourceReason.INVALID_ANSWER, "SCHEMA")
            del found[CHILDREN[2]]
            return found

    behind = HalfSource(held().inner)
    behind.let.set()
    upstream = Upstream(behind)
    told = await asyncio.gather(*(upstream.involvements([c], MASK, an_ask(n)) for n, c in enumerate(CHILDREN)))

    assert len(behind.asked) == 1
    assert rows_of(told[0], CHILDREN[0]) == ["one"]
    assert isinstance(told[1].answers[CHILDREN[1]], NoAnswer)
    assert told[2].answers == {}, "a child left out is not answered about, whatever the others were told"


class SilentOfOne(HeldSource):
    """Says of each child of a call what it has, as it comes, and never anything of the second."""

    ahead = timedelta(0)

    async def _answers(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Mapping[SubjectRef, Answer]:
        found = dict(await super()._answers(subjects, mask, ask))
        if ask.tell is not None:
            for subject in subjects:
                answer = found[subject]
                assert isinstance(answer, Answered)
                if subject != CHILDREN[1]:
                    ask.tell(subject, replace(answer, as_of=datetime.now(UTC) + self.ahead))
            await asyncio.Event().wait()
        return found


async def told_by(behind: SilentOfOne, upstream: Upstream) -> list[Said | BaseException]:
    """Return what those who share a call are told, or what it raises, of each child."""
    behind.let.set()
    asking = (upstream.involvements([child], MASK, an_ask(n, seconds=0.1)) for n, child in enumerate(CHILDREN))
    return await asyncio.gather(*asking, return_exceptions=True)


async def test_who_is_answered_waits_for_no_other_child_of_the_call() -> None:
    behind = SilentOfOne(held().inner)
    told = await told_by(behind, Upstream(behind))

    assert [a.subjects for a in behind.asked] == [CHILDREN]
    assert isinstance(told[1], TimeoutError)
    assert [rows_of(said, CHILDREN[n]) for n, said in enumerate(told) if isinstance(said, Said)] == [["one"], []]
    assert {(said.shared_call, said.size) for said in told if isinstance(said, Said)} == {
        (behind.asked[0].ask.request_id, 3)
    }


async def test_a_source_that_is_silent_about_one_child_and_answers_about_others_keeps_its_circuit_closed() -> None:
    behind = SilentOfOne(held().inner)
    upstream = Upstream(behind)
    for _ in range(6):
        await told_by(behind, upstream)

    assert (upstream.circuit, upstream.under_way) == (Circuit.CLOSED, 0)


async def test_an_answer_of_the_future_is_none_however_early_it_is_handed_on() -> None:
    behind = SilentOfOne(held().inner)
    behind.ahead = timedelta(hours=1)
    told = await told_by(behind, Upstream(behind))

    assert isinstance(told[0], Said)
    answer = told[0].answers[CHILDREN[0]]
    assert isinstance(answer, NoAnswer)
    assert answer.code == "SCHEMA"


async def test_what_fails_as_a_whole_fails_for_everyone_in_it_and_for_nobody_after() -> None:
    class FailsOnce(HeldSource):
        async def _answers(self, subjects: Any, mask: Any, ask: Any) -> Any:
            if len(self.asked) == 1:
                raise RuntimeError("ours")
            return await super()._answers(subjects, mask, ask)

    behind = FailsOnce(held().inner)
    behind.let.set()
    upstream = Upstream(behind)
    asking = (upstream.involvements([c], MASK, an_ask(n)) for n, c in enumerate(CHILDREN))
    ended = await asyncio.gather(*asking, return_exceptions=True)

    assert [type(end) for end in ended] == [RuntimeError] * 3
    assert rows_of(await upstream.involvements([CHILDREN[0]], MASK, an_ask()), CHILDREN[0]) == ["one"]


async def test_the_size_of_every_call_is_counted() -> None:
    def count(limit: str) -> float:
        labels = {"source": "police", "le": limit}
        return REGISTRY.get_sample_value("contactpoint_batch_size_bucket", labels) or 0.0

    behind = Remembering(police())
    before = {limit: count(limit) for limit in ("2.0", "4.0")}
    upstream = Upstream(behind)
    await asyncio.gather(*(upstream.involvements([c], MASK, an_ask(n)) for n, c in enumerate(CHILDREN)))

    assert {limit: count(limit) - before[limit] for limit in before} == {"2.0": 0.0, "4.0": 1.0}


async def test_a_call_that_is_not_made_has_no_size() -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("contactpoint_batch_size_count", {"source": "police"}) or 0.0

    behind = FailingSource(held(circuit_failures=1).inner)
    upstream = Upstream(behind)
    await upstream.involvements([CHILDREN[0]], MASK, an_ask())
    before = count()
    refused = await asyncio.gather(
        *(upstream.involvements([c], MASK, an_ask(n)) for n, c in enumerate(CHILDREN)), return_exceptions=True
    )

    assert [str(each) for each in refused] == ["CIRCUIT_OPEN"] * 3
    assert count() == before


# ------------------------------------------------------------------------------------------- bulkhead and breaker


async def test_a_full_bulkhead_refuses_at_once_and_a_shared_call_counts_once() -> None:
    behind = held(max_asks=1)
    upstream = Upstream(behind)
    asking = [asyncio.create_task(upstream.involvements([c], MASK, an_ask(n))) for n, c in enumerate(CHILDREN)]
    await behind.begun.get()
    assert upstream.under_way == 1
    with pytest.raises(SourceFailed) as refused:
        await upstream.involvements([CHILDREN[0]], MASK, an_ask(), alone=True)
    behind.let.set()
    await asyncio.gather(*asking)

    assert (refused.value.code, refused.value.reason) == ("BULKHEAD_FULL", SourceReason.OVERLOADED)
    assert len(behind.asked) == 1
    assert rows_of(await upstream.involvements([CHILDREN[0]], MASK, an_ask()), CHILDREN[0]) == ["one"]


async def test_a_full_bulkhead_of_one_source_leaves_another_free() -> None:
    stuck, free = held(max_asks=1), held(max_asks=1)
    free.let.set()
    upstreams = [Upstream(stuck), Upstream(free)]
    waiting = await busy(upstreams[0], stuck)

    assert rows_of(await upstreams[1].involvements([CHILDREN[0]], MASK, an_ask()), CHILDREN[0]) == ["one"]
    stuck.let.set()
    await waiting


class SourceWith(Remembering):
    """Answers every ask, and its health call, with one code."""

    def __init__(self, inner: Connector, code: str) -> None:
        super().__init__(inner)
        self.code = code

    async def _answers(self, subjects: Any, mask: Any, ask: Any) -> Any:
        return {s: NoAnswer(s, SourceReason.PROTOCOL, self.code) for s in subjects}


async def test_an_open_circuit_answers_for_every_child_at_once_without_asking() -> None:
    behind = SourceWith(police(), "STATUS_5XX")
    upstream = Upstream(behind)
    for _ in range(5):
        await upstream.involvements([CHILDREN[0]], MASK, an_ask(), alone=True)
    for child in CHILDREN:
        with pytest.raises(SourceFailed) as refused:
            await upstream.involvements([child], MASK, an_ask())
        assert refused.value.reason is SourceReason.CIRCUIT_OPEN
    with pytest.raises(SourceFailed) as refused:
        await upstream.health(an_ask())

    assert refused.value.reason is SourceReason.CIRCUIT_OPEN
    assert (len(behind.asked), behind.health_calls) == (5, 0)


@pytest.mark.parametrize("code", ["SCHEMA", "MISMATCH", "TOO_LARGE", "AUTH", "BULKHEAD_FULL", "SUBJECT_KIND"])
async def test_what_stands_in_one_childs_record_or_is_our_own_doing_opens_no_circuit(code: str) -> None:
    behind = SourceWith(police(), code)
    upstream = Upstream(behind)
    for _ in range(30):
        await upstream.involvements([CHILDREN[0]], MASK, an_ask(), alone=True)

    assert len(behind.asked) == 30


async def test_a_call_that_answers_about_anybody_is_sound_whatever_it_lacks() -> None:
    class HalfDown(Remembering):
        async def _answers(self, subjects: Any, mask: Any, ask: Any) -> Any:
            found = dict(await super()._answers(subjects, mask, ask))
            return {**found, CHILDREN[1]: NoAnswer(CHILDREN[1], SourceReason.PROTOCOL, "STATUS_5XX")}

    behind = HalfDown(police())
    upstream = Upstream(behind)
    for _ in range(10):
        await asyncio.gather(*(upstream.involvements([c], MASK, an_ask()) for c in CHILDREN[:2]))

    assert len(behind.asked) == 10


async def test_asks_that_end_at_their_deadline_open_the_circuit_and_asks_that_are_given_up_do_not() -> None:
    behind = held()
    upstream = Upstream(behind)
    for _ in range(10):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(upstream.involvements([CHILDREN[0]], MASK, an_ask(), alone=True), 0.001)
    assert len(behind.asked) == 10
    for _ in range(5):
        ask = an_ask(seconds=0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(ask.deadline.at):
                await upstream.involvements([CHILDREN[0]], MASK, ask, alone=True)
    with pytest.raises(SourceFailed):
        await upstream.involvements([CHILDREN[0]], MASK, an_ask())

    assert (len(behind.asked), upstream.under_way) == (15, 0)


async def test_the_state_of_a_source_is_in_the_metrics() -> None:
    behind = SourceWith(police("metered"), "CONNECT")
    upstream = Upstream(behind)
    labels = {"source": "metered"}
    assert REGISTRY.get_sample_value("contactpoint_source_circuit", labels) == 0
    for _ in range(5):
        await upstream.involvements([CHILDREN[0]], MASK, an_ask())

    assert REGISTRY.get_sample_value("contactpoint_source_circuit", labels) == 2
    assert REGISTRY.get_sample_value("contactpoint_source_asks_under_way", labels) == 0
