"""Refusals that somebody repeats: the first of a minute on the log singly, the others as one count, none lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from gateway.audit.errors import AuditUnavailable
from gateway.audit.events import EventKind
from gateway.front.repeated_refusals import RepeatedRefusals
from tests.fixtures.sources import CHILD, OTHER_CHILD, known, row, source
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio

PAYLOAD = {"caller": {"subject": "a"}, "code": "X", "rule": None, "subject": "child", "reason": "words", "request": "r"}


class Log:
    """Keeps what is appended; refuses the next so many."""

    def __init__(self, *, refuses: int = 0) -> None:
        self.written: list[Mapping[str, Any]] = []
        self.refuses = refuses
        self.counted = anyio.Event()
        self.before: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint

    async def append(self, kind: EventKind, payload: Mapping[str, Any]) -> None:
        assert kind is EventKind.DENIED
        await self.before()
        if self.refuses:
            self.refuses -= 1
            raise AuditUnavailable("no")
        self.written.append(payload)
        if "count" in payload:
            self.counted.set()


def over(log: Log, seconds: float = 60.0) -> RepeatedRefusals:
    return RepeatedRefusals(log, seconds=seconds)  # type: ignore[arg-type]


async def test_the_first_is_written_in_full_and_the_others_as_a_count_of_who_and_why() -> None:
    log = Log()
    refusals = over(log)
    for _ in range(1000):
        await refusals.note("a", "X", PAYLOAD)
    await refusals.drain()

    assert log.written == [PAYLOAD, {"caller": {"subject": "a"}, "code": "X", "rule": None, "count": 999}]


async def test_the_count_is_written_when_its_minute_ends_whether_or_not_anybody_comes_back() -> None:
    log = Log()
    refusals = over(log, seconds=0.02)
    for _ in range(3):
        await refusals.note("a", "X", PAYLOAD)
    with anyio.fail_after(5):
        await log.counted.wait()
    await refusals.note("a", "X", PAYLOAD)

    assert [payload.get("count") for payload in log.written] == [None, 2, None]


async def test_one_refusal_leaves_no_count() -> None:
    log = Log()
    refusals = over(log)
    await refusals.note("a", "X", PAYLOAD)
    await refusals.drain()

    assert log.written == [PAYLOAD]


async def test_other_people_and_other_causes_are_counted_apart() -> None:
    log = Log()
    refusals = over(log)
    for person, code in [("a", "X"), ("b", "X"), ("a", "Y"), ("a", "X"), ("b", "X")]:
        await refusals.note(person, code, {**PAYLOAD, "caller": {"subject": person}, "code": code})
    await refusals.drain()

    assert [(p["caller"]["subject"], p["code"], p.get("count")) for p in log.written] == [
        ("a", "X", None),
        ("b", "X", None),
        ("a", "Y", None),
        ("a", "X", 1),
        ("b", "X", 1),
    ]


async def test_one_that_could_not_be_written_is_refused_and_the_next_is_the_first() -> None:
    log = Log(refuses=1)
    refusals = over(log)
    with pytest.raises(AuditUnavailable):
        await refusals.note("a", "X", PAYLOAD)
    await refusals.note("a", "X", PAYLOAD)
    await refusals.drain()

    assert log.written == [PAYLOAD]


async def test_those_who_came_while_the_first_waited_in_vain_are_counted() -> None:
    log = Log(refuses=1)
    refusals = over(log)
    others = anyio.Event()
    log.before = others.wait
    async with anyio.create_task_group() as group:
        group.start_soon(two_more, refusals, others)
        with pytest.raises(AuditUnavailable):
            await refusals.note("a", "X", PAYLOAD)
    await refusals.drain()

    assert log.written == [{"caller": {"subject": "a"}, "code": "X", "rule": None, "count": 2}]


async def two_more(refusals: RepeatedRefusals, then: anyio.Event) -> None:
    for _ in range(2):
        await refusals.note("a", "X", PAYLOAD)
    then.set()


async def test_a_spent_budget_cannot_fill_the_log(running: Running) -> None:
    council = source("cs-amber", known(CHILD, row()), known(OTHER_CHILD, row("b")))
    async with running(council, limits={"person_lookups": {"day": 1}}) as world:
        await world.ask()
        told = [await world.ask(number) for number in (CHILD, OTHER_CHILD) * 20]
        other = await world.ask(sub="somebody-else")
        written = len(world.records(EventKind.DENIED))

    denied = [record.payload for record in world.records(EventKind.DENIED) if record.payload]
    assert {t.status for t in told} == {429}
    assert other.outcome == "DISCLOSED"
    assert written == 1
    # the end of the gateway is the end of the minute too
    assert [payload.get("count") for payload in denied] == [None, 39]
    assert "subject" not in denied[1]


async def test_a_count_never_stands_under_another_organisations_name() -> None:
    log = Log()
    refusals = over(log)
    for organisation in ("amber", "brook", "brook"):
        await refusals.note("a", "X", {**PAYLOAD, "caller": {"subject": "a", "organisation": organisation}})
    await refusals.drain()

    assert [(p["caller"]["organisation"], p.get("count")) for p in log.written] == [
        ("amber", None),
        ("brook", None),
        ("brook", 1),
    ]
