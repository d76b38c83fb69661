"""The proof can fail: each of these defects, put in by hand, is found by what looks for it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from connectors import http
from connectors.faults import FaultCode, SourceFailed
from connectors.wire_answer import WireAnswer
from connectors.wire_connection import Connection
from gateway.federation import fanout
from gateway.federation.batching import Batches
from gateway.federation.breaker import BreakerRules
from gateway.federation.gathering import Gathering
from gateway.federation.upstream import Upstream
from schema.records import ChildRef
from schema.vocabulary import AgencyKind, SourceReason, SourceStatus
from tests.faults.matrix import DEEDS
from tests.faults.rig import TOTAL_SECONDS, running_rig, unrecorded
from tests.faults.test_fault_matrix import differing
from tests.fixtures.sources import CHILD, OTHER_CHILD, Remembering, SlowSource, known, row, source
from tests.gateway.test_batching import MASK, an_ask

pytestmark = pytest.mark.network

Defect = Callable[[pytest.MonkeyPatch], None]


def swallowed_timeout(patch: pytest.MonkeyPatch) -> None:
    """A source that is late reads as one that holds nothing."""
    none = fanout._none

    def nobody(name: str, reason: SourceReason, code: str, started: float) -> Any:
        outcome = none(name, reason, code, started)
        if reason is not SourceReason.TIMEOUT:
            return outcome
        return replace(outcome, status=SourceStatus.ANSWERED, reason=None, code=None)

    # the client's own deadlines end the wait at the same moment: whose timer came first would decide what is swallowed
    patch.setattr(fanout, "_none", nobody)
    patch.setattr(http, "asyncio", _NoTimeout())
    patch.setattr(Connection, "expire", lambda self: setattr(self, "at", math.inf))


class _NoTimeout:
    """asyncio without the deadline of a call that waits for its credentials: the fan-out's ends the wait."""

    def __getattr__(self, name: str) -> Any:
        return (lambda _: asyncio.timeout(None)) if name == "timeout_at" else getattr(asyncio, name)


def unframed_accepted(patch: pytest.MonkeyPatch) -> None:
    """An answer that only the end of the connection ends is taken for whole."""
    announced = http.announced_length

    def length(answer: Any) -> int | None:
        try:
            return announced(answer)
        except SourceFailed as failed:
            if failed.code is FaultCode.UNFRAMED:
                return None
            raise

    ended = WireAnswer.ended

    def whole(self: WireAnswer, failure: FaultCode | None) -> None:
        framed = any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in self.raw_headers)
        ended(self, failure if framed else None)

    # two places look at it, and either would do
    patch.setattr(http, "announced_length", length)
    patch.setattr(WireAnswer, "ended", whole)


@pytest.mark.parametrize(
    ("defect", "deed"),
    [
        pytest.param(swallowed_timeout, "accepts-then-says-nothing", id="swallowed-timeout"),
        pytest.param(unframed_accepted, "unframed-and-right-in-every-field", id="unframed-empty-list-accepted"),
    ],
)
def test_a_false_nobody_is_found(defect: Defect, deed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def findings() -> list[str]:
        async with running_rig() as rig:
            return await rig.findings({"police": DEEDS[deed]})

    assert asyncio.run(findings()) == []
    defect(monkeypatch)

    assert asyncio.run(findings()) != []


def patient_with_sources(patch: pytest.MonkeyPatch) -> None:
    """A source is waited for beyond the time of the lookup."""
    asking = fanout.FanOut._as

    def later(self: fanout.FanOut, *how: Any) -> Any:
        ask = asking(self, *how)
        return replace(ask, deadline=replace(ask.deadline, at=ask.deadline.at + TOTAL_SECONDS))

    patch.setattr(fanout.FanOut, "_as", later)


def asks_again_and_again(patch: pytest.MonkeyPatch) -> None:
    """What failed is tried once more, and then once more."""
    once = http.SourceClient._once

    async def again(self: http.SourceClient, *how: Any) -> Any:
        try:
            return await once(self, *how)
        except SourceFailed:
            return await once(self, *how)

    patch.setattr(http.SourceClient, "_once", again)


@pytest.mark.parametrize(
    ("defect", "deed", "word"),
    [
        pytest.param(patient_with_sources, "accepts-then-says-nothing", "beyond the deadline", id="late"),
        pytest.param(asks_again_and_again, "500", "was asked", id="more-than-one-retry"),
    ],
)
def test_what_is_too_late_or_too_often_is_found(
    defect: Defect, deed: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    defect(monkeypatch)

    async def findings() -> list[str]:
        async with running_rig() as rig:
            return await rig.findings({"police": DEEDS[deed]})

    assert any(word in each for each in asyncio.run(findings()))


def test_a_lookup_without_its_records_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found() -> list[str]:
        async with running_rig() as rig:
            assert await rig.findings({}) == []
            before = unrecorded(rig)
            records = rig.world.records
            monkeypatch.setattr(rig.world, "records", lambda *kinds: records(*kinds)[:-2])
            return [*before, *unrecorded(rig)]

    assert asyncio.run(found()) == ["0 of 1 lookups are on record"]


def test_an_answer_in_the_order_of_arrival_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Gathering._facts

    def arriving(self: Gathering) -> Any:
        arrived = sorted(self.outcomes.values(), key=lambda outcome: outcome.milliseconds)
        places = {outcome.source: place for place, outcome in enumerate(arrived)}
        return sorted(facts(self), key=lambda each: places[each.agency.id])

    monkeypatch.setattr(Gathering, "_facts", arriving)
    monkeypatch.setattr("gateway.federation.gathering.merge", list)

    async def found() -> list[str]:
        async with running_rig() as rig:
            return await differing(rig, [{}])

    assert asyncio.run(found()) == ["{}"]


def shared_pool(patch: pytest.MonkeyPatch) -> None:
    """One bulkhead for all sources."""
    shared = {"under_way": 0}
    patch.setattr(
        Upstream,
        "under_way",
        property(lambda _: shared["under_way"], lambda _, value: shared.update(under_way=value)),
        raising=False,
    )


async def isolation() -> list[str]:
    """Return what is wrong with one source while another holds all the asks that it may."""
    hanging = SlowSource(_narrow("hanging"))
    stuck, free = Upstream(hanging), Upstream(_narrow("free"))
    waiting = [asyncio.create_task(stuck.involvements([ChildRef(CHILD)], MASK, an_ask(n), alone=True)) for n in (0, 1)]
    await hanging.begun.wait()
    await asyncio.sleep(0)
    try:
        await free.involvements([ChildRef(CHILD)], MASK, an_ask(2), alone=True)
    except SourceFailed as failed:
        return [f"a source in order reads {failed.code}"]
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return []


def _narrow(name: str) -> Any:
    inner = source(name, known(CHILD, row("one")), known(OTHER_CHILD, row("two")), kind=AgencyKind.POLICE)
    vars(inner)["_manifest"] = replace(inner.manifest, max_asks=2)
    return inner


def shared_batch(patch: pytest.MonkeyPatch) -> None:
    """Batches of all sources in one place: what is asked of one source goes out under another's credential."""
    made = Batches.__init__
    shared: dict[Any, Any] = {}

    def init(self: Batches, *how: Any, **more: Any) -> None:
        made(self, *how, **more)
        self._open = shared

    patch.setattr(Batches, "__init__", init)


async def credentials() -> list[str]:
    """Return what is wrong with two sources, each with its own credential, that are asked in one moment."""
    behind = [Remembering(_narrow(name)) for name in ("one", "two")]
    upstreams = [Upstream(each) for each in behind]
    children = [ChildRef(CHILD), ChildRef(OTHER_CHILD)]
    await asyncio.gather(
        *(u.involvements([c], MASK, an_ask(n)) for n, (u, c) in enumerate(zip(upstreams, children, strict=True)))
    )
    return [
        f"asked about {[a.subjects for a in each.asked]}"
        for each, child in zip(behind, children, strict=True)
        if [a.subjects for a in each.asked] != [(child,)]
    ]


@pytest.mark.parametrize(
    ("defect", "look"),
    [
        pytest.param(shared_pool, isolation, id="shared-pool"),
        pytest.param(shared_batch, credentials, id="batch-shared-across-credentials"),
    ],
)
def test_what_sources_must_not_share_is_found(defect: Defect, look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asyncio.run(look()) == []
    defect(monkeypatch)

    assert asyncio.run(look()) != []


def test_a_flapping_source_opens_its_circuit_and_costs_no_other_source_its_answer() -> None:
    async def statuses() -> list[dict[str, Any]]:
        async with running_rig(rules=BreakerRules()) as rig:
            return [await rig.told({"police": DEEDS["500"]}, {}) for _ in range(8)]

    told = asyncio.run(statuses())
    lines = [{line["agency"]["id"]: line for line in each["sources"]} for each in told]

    assert [line["police"]["reason"] for line in lines] == ["PROTOCOL"] * 5 + ["CIRCUIT_OPEN"] * 3
    assert {line[name]["status"] for line in lines for name in ("cs", "health", "school")} == {"ANSWERED"}
