"""Lookups that one commit or one read answers are woken a few in a turn of the loop, in order, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.pending import Entry, Receipt, answer
from gateway.migrate import migrate
from gateway.shedding import LEAST, Admission, Priority
from gateway.shields import DatabaseShields
from gateway.storage.engine import open_engine
from gateway.waking import AT_ONCE, waking
from tests.fixtures.sources import CHILD
from tests.gateway.test_shedding import Clock, give_up, let_in

pytestmark = pytest.mark.anyio

MANY = 10 * AT_ONCE


class Turn:
    """Counts the turns of the running loop."""

    def __init__(self) -> None:
        self.now = 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._next)

    def _next(self) -> None:
        self.now += 1
        self._loop.call_soon(self._next)


def a_commit() -> tuple[list[asyncio.Future[Receipt]], Callable[[], None]]:
    """Return what lookups wait for here, and what answers all of them, as the log's thread does after a commit."""
    entries = [Entry(EventKind.INTENT, b"{}", ()) for _ in range(MANY)]
    waiting: list[asyncio.Future[Receipt]] = []
    for entry in entries:
        entry.loop = asyncio.get_running_loop()
        entry.future = entry.loop.create_future()
        waiting.append(entry.future)
    return waiting, lambda: answer(entries, [Receipt("s", seq) for seq in range(MANY)])


async def woken_in_turns(waiting: Sequence[Awaitable[Any]], *answers: Callable[[], object]) -> list[tuple[int, int]]:
    """Return who was woken, and in which turn, in the order in which they were; these are called once all wait."""
    turn = Turn()
    woken: list[tuple[int, int]] = []

    async def wait(number: int, told: Awaitable[Any]) -> None:
        await told
        woken.append((number, turn.now))

    waits = [asyncio.ensure_future(wait(number, told)) for number, told in enumerate(waiting)]
    await asyncio.sleep(0)
    for each in answers:
        each()
    async with asyncio.timeout(20):
        await asyncio.gather(*waits)
    return woken


async def turns(count: int) -> None:
    """Let so many turns of the loop go by."""
    for _ in range(count):
        await asyncio.sleep(0)


def most_in_a_turn(woken: list[tuple[int, int]]) -> int:
    turns = [turn for _, turn in woken]
    return max(turns.count(turn) for turn in turns)


async def test_whom_one_commit_answers_are_woken_a_few_in_a_turn_and_in_their_order() -> None:
    waiting, commit = a_commit()
    woken = await woken_in_turns(waiting, commit)

    assert [number for number, _ in woken] == list(range(MANY))
    assert most_in_a_turn(woken) == AT_ONCE


async def test_a_commit_s_waiters_come_after_those_of_the_commit_before_it() -> None:
    (first, commit), (second, next_commit) = a_commit(), a_commit()
    woken = await woken_in_turns([*first, *second], commit, next_commit)

    assert [number for number, _ in woken] == list(range(2 * MANY))
    assert most_in_a_turn(woken) == AT_ONCE


async def test_who_waits_for_nothing_else_is_woken_at_once() -> None:
    called: list[int] = []
    waking().add((called.append, number) for number in range(AT_ONCE))

    assert called == list(range(AT_ONCE))


async def test_what_becomes_due_while_others_are_woken_comes_after_them() -> None:
    called: list[int] = []

    def call(number: int) -> None:
        called.append(number)
        if number < MANY:
            waking().add([(call, number + MANY)])

    waking().add((call, number) for number in range(MANY))
    await turns(3 * MANY)

    assert called == list(range(2 * MANY))


async def test_a_fault_in_one_wake_keeps_nobody_else_waiting() -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    called: list[int] = []

    def call(number: int) -> None:
        if number == AT_ONCE + 1:
            raise ValueError("a fault of ours")
        called.append(number)

    waking().add((call, number) for number in range(MANY))
    await turns(MANY)

    assert [type(each["exception"]) for each in faults] == [ValueError]
    assert called == [number for number in range(MANY) if number != AT_ONCE + 1]


async def test_those_told_by_one_read_of_the_shields_are_woken_a_few_in_a_turn_and_share_a_read_meanwhile(
    tmp_path: Path,
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/shields.db")
    migrate(engine)
    shields = DatabaseShields(engine, AuditKeys.load_or_create(tmp_path / "key.json"))
    read_for: list[int] = []
    plain = shields._shielding

    def counted(pseudonyms: list[str]) -> Any:
        read_for.append(len(pseudonyms))
        return plain(pseudonyms)

    shields._shielding = counted  # type: ignore[method-assign, assignment]

    async def asked_twice() -> frozenset[str]:
        await shields.shielding(CHILD)
        return await shields.shielding(CHILD)

    woken = await woken_in_turns([asyncio.ensure_future(shields.shielding(CHILD)) for _ in range(MANY)])
    assert most_in_a_turn(woken) == AT_ONCE
    assert read_for == [MANY]

    await asyncio.gather(*(asked_twice() for _ in range(MANY)))
    # the second time all of them ask in other turns, but before those before them have been told
    assert read_for == [MANY, MANY, MANY]
    shields.close()
    engine.dispose()


@pytest.mark.parametrize(("queued", "shrinks"), [(0, False), (200, True)], ids=["nobody-waits", "many-wait"])
async def test_the_limit_follows_how_long_who_is_due_waits_though_every_turn_is_short(
    queued: int, shrinks: bool
) -> None:
    clock = Clock()
    door = Admission(10_000, clock)

    async def pressed(lookups: int) -> None:
        places = let_in(door, Priority.LOOKUP)
        waking().add((work,) for _ in range(lookups))
        await turns(2 + lookups // AT_ONCE)
        give_up(door, places)
        clock.now += 0.11

    def work() -> None:
        clock.now += 0.0005

    for _ in range(4):
        await pressed(0)
    grown = door.limit
    assert grown > LEAST
    for _ in range(12):
        await pressed(queued)

    assert (door.limit == LEAST) is shrinks
