"""What there is no room for is refused before any work, break-glass last; the limit follows this process's own load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Overloaded
from gateway.front.shedding import LEAST, Admission, Priority, priority_of
from tests.fixtures.sources import BORN, CHILD, FAMILY, Remembering, SlowSource, known, row, source
from tests.fixtures.token_factory import STRONG
from tests.fixtures.world import ALL_SCOPES, lookup_document, running_world
from tests.gateway.test_batching import HeldSource

pytestmark = pytest.mark.anyio


Place = asyncio.Future[None] | None


def let_in(door: Admission, priority: Priority) -> list[Place]:
    """Return what those who get in before one is refused have to wait for."""
    places: list[Place] = []
    while len(places) < 100_000:
        try:
            places.append(door.enter(priority))
        except Overloaded:
            return places
    raise AssertionError("nothing is ever refused")


def fill(door: Admission, priority: Priority) -> int:
    """Return how many requests get in before one is refused."""
    return len(let_in(door, priority))


def give_up(door: Admission, places: list[Place]) -> None:
    """Let these requests leave, those that still wait as one leaves whose task is cancelled."""
    for place in places:
        if place is not None and not place.done():
            place.cancel()
        door.leave(place)


async def test_lookups_leave_room_for_break_glass_and_everything_else_leaves_room_for_lookups() -> None:
    door = Admission()

    assert fill(door, Priority.OTHER) == LEAST * 3 // 4
    assert fill(door, Priority.LOOKUP) == LEAST // 4
    assert fill(door, Priority.BREAK_GLASS) == LEAST // 4


async def test_room_that_is_left_can_be_taken_again() -> None:
    door = Admission(2)
    fill(door, Priority.LOOKUP)
    door.leave()

    assert fill(door, Priority.LOOKUP) == 1
    assert door.under_way == 2


@dataclass
class Clock:
    """Goes on when it is told to."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


async def pressed(door: Admission, clock: Clock, turns: int, *, busy_seconds: float) -> None:
    """Let more requests come than there is room for, turn by turn of the loop, each turn so long by its clock."""
    for _ in range(turns):
        places = let_in(door, Priority.LOOKUP)
        clock.now += busy_seconds
        await asyncio.sleep(0)
        give_up(door, places)
        clock.now += 0.11


async def test_the_limit_grows_while_turns_are_short_and_shrinks_when_they_are_long_and_never_below_its_least() -> None:
    clock = Clock()
    door = Admission(10_000, clock)
    await pressed(door, clock, 4, busy_seconds=0.0)
    grown = door.limit
    assert grown > LEAST
    await pressed(door, clock, 4, busy_seconds=0.2)
    assert door.limit < grown
    await pressed(door, clock, 6, busy_seconds=0.2)

    assert door.limit == LEAST


async def test_without_pressure_the_limit_stays() -> None:
    door = Admission()
    for _ in range(3):
        door.enter(Priority.LOOKUP)
        await asyncio.sleep(0.11)
        door.leave()

    assert door.limit == LEAST


def told_to_wait(door: Admission, priority: Priority, count: int) -> list[int]:
    """Return for how many seconds each of so many is told to wait that come at once to a full door."""
    waits = []
    for _ in range(count):
        with pytest.raises(Overloaded) as refused:
            door.enter(priority)
        waits.append(int(dict(refused.value.headers())[b"retry-after"]))
    return waits


async def test_the_more_are_refused_the_later_they_are_told_to_come_back_and_break_glass_at_once() -> None:
    door = Admission(1, Clock())
    fill(door, Priority.BREAK_GLASS)

    waits = told_to_wait(door, Priority.LOOKUP, 5_000)

    assert waits[0] == 1
    # from half of what it takes to refuse so many to twice that
    assert all(1 + before // 400 <= wait <= min(1 + before // 100, 30) for before, wait in enumerate(waits, 1))
    # each second as many as are cheap to refuse, whatever their number
    assert max(waits.count(seconds) for seconds in range(2, 20)) <= 200
    assert told_to_wait(door, Priority.BREAK_GLASS, 1) == [1]


async def test_who_was_refused_together_does_not_come_back_together() -> None:
    clock = Clock()
    door = Admission(1, clock)
    fill(door, Priority.BREAK_GLASS)
    told_to_wait(door, Priority.LOOKUP, 600)
    clock.now += 1

    waits = told_to_wait(door, Priority.LOOKUP, 200)

    for crowd in (waits[:20], waits[90:110], waits):
        assert max(crowd.count(seconds) for seconds in crowd) <= len(crowd) // 4


async def test_there_is_no_room_for_more_than_were_read_in_a_turn_until_they_have_come() -> None:
    door = Admission(2)
    door.expect()
    seen = [door.full]
    door.expect()
    seen.append(door.full)
    await asyncio.sleep(0)  # neither has entered: what they came for is no lookup
    seen.append(door.full)

    assert seen == [False, True, False]


async def test_who_is_refused_after_a_pause_is_told_to_come_back_soon() -> None:
    clock = Clock()
    door = Admission(1, clock)
    fill(door, Priority.BREAK_GLASS)
    told_to_wait(door, Priority.LOOKUP, 3_000)
    clock.now += 2.1

    assert told_to_wait(door, Priority.LOOKUP, 1) == [1]


async def paced() -> Admission:
    """Return a door whose turns have become so long that few are worked on at once, and where nobody is."""
    clock = Clock()
    door = Admission(clock=clock)
    await pressed(door, clock, 14, busy_seconds=0.05)
    return door


async def test_while_turns_are_long_some_of_those_let_in_wait_and_break_glass_before_lookups() -> None:
    door = await paced()
    lookups = let_in(door, Priority.LOOKUP)
    at_once = [place for place in lookups if place is None]
    waiting = [place for place in lookups if place is not None]
    urgent = [place for place in let_in(door, Priority.BREAK_GLASS) if place is not None]
    assert at_once
    assert waiting
    assert urgent
    assert not any(place.done() for place in (*waiting, *urgent))

    for _ in at_once:
        door.leave()

    assert all(place.done() for place in urgent)
    assert door.under_way == len(waiting) + LEAST // 4
    # in the order in which they came
    called_in = [place.done() for place in waiting]
    assert called_in == sorted(called_in, reverse=True)


async def test_everybody_who_waits_is_called_in_though_others_give_up_waiting() -> None:
    door = await paced()
    places = let_in(door, Priority.LOOKUP)
    given_up = [place for place in places if place is not None][::3]
    give_up(door, list(given_up))
    left = [place for place in places if place not in given_up]
    while left:
        called_in = [place for place in left if place is None or place.done()]
        assert called_in, "some are never called in"
        for place in called_in:
            door.leave(place)
        left = [place for place in left if place not in called_in]

    assert door.under_way == 0
    assert door.enter(Priority.OTHER) is None


@pytest.mark.parametrize(
    ("query", "variables", "priority"),
    [
        pytest.param("query($k:ChildKey!){child(key:$k){outcome}}", {}, Priority.LOOKUP, id="lookup"),
        pytest.param("{viewer{subject}}", {}, Priority.OTHER, id="viewer"),
        pytest.param("{__schema{types{name}}}", {}, Priority.OTHER, id="introspection"),
        pytest.param("{child(access:{override:{}}){outcome}}", {}, Priority.BREAK_GLASS, id="override-in-the-text"),
        pytest.param("{child{outcome}}", {"a": {"override": {"x": 1}}}, Priority.BREAK_GLASS, id="override-variable"),
        pytest.param("{child{outcome}}", {"a": {"override": None}}, Priority.LOOKUP, id="override-null"),
    ],
)
def test_what_a_request_says_it_is(query: str, variables: dict[str, Any], priority: Priority) -> None:
    assert priority_of(query, variables) is priority


async def until(so: Callable[[], bool]) -> None:
    """Return once it is so."""
    for _ in range(400):
        if so():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


OVERRIDE = {"override": {"justification": "A child is at risk now", "acceptReview": True}}
MAY_BREAK_GLASS: dict[str, Any] = {"scope": f"{ALL_SCOPES} lookup:override", "acr": STRONG}
ONE_DOCUMENT_FOR_ALL = """query Q($key: ChildKey!, $purpose: Purpose!, $override: Override) {
  child(key: $key, access: {purpose: $purpose, reason: "A referral", override: $override}) { outcome }
}"""
KEY = {"nhsNumber": str(CHILD), "dateOfBirth": str(BORN), "familyName": FAMILY}


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        pytest.param({"query": ONE_DOCUMENT_FOR_ALL}, "OVERLOADED", id="word-in-the-text"),
        pytest.param({"query": lookup_document("outcome"), "z": {"override": 1}}, "OVERLOADED", id="unused-variable"),
        pytest.param({"query": "{ override: viewer { subject } }"}, "OVERLOADED", id="word-of-what-is-no-lookup"),
        pytest.param(
            {"query": lookup_document("outcome"), "scope": ALL_SCOPES, **OVERRIDE}, "OVERLOADED", id="no-scope"
        ),
        pytest.param({"query": lookup_document("outcome"), **OVERRIDE}, None, id="break-glass"),
        pytest.param({"query": ONE_DOCUMENT_FOR_ALL, "given": OVERRIDE}, None, id="break-glass-by-a-variable"),
    ],
)
async def test_the_room_above_the_limit_is_for_who_does_break_glass_and_not_for_who_says_so(
    claim: dict[str, Any], told: str | None, tmp_path: Path
) -> None:
    held = HeldSource(source("cs-amber", known(CHILD, row())))
    access = {"purpose": "CP_S47", "reason": "A referral"}
    variables: dict[str, Any] = {"key": KEY, "access": access, "purpose": "CP_S47", **claim.get("given", {})}
    if "override" in claim:
        variables["access"] = {**access, "override": claim["override"]}
    if "z" in claim:
        variables["z"] = claim["z"]
    claims: dict[str, Any] = MAY_BREAK_GLASS | {
        "auth_time": int(time.time()),
        "scope": claim.get("scope", MAY_BREAK_GLASS["scope"]),
    }
    async with running_world(tmp_path, held, limits={"in_flight": 4}) as world:
        filling = [asyncio.create_task(world.ask()) for _ in range(4)]
        await until(lambda: world.kinds().count("INTENT") == 4)
        before = world.kinds()
        asking = asyncio.create_task(world.post(claim["query"], variables, **claims))
        await until(lambda: asking.done() or len(world.kinds()) > len(before))
        recorded = world.kinds()[len(before) :]
        held.let.set()
        asked = await asking
        answered = await asyncio.gather(*filling)

    assert asked.code == told
    assert (recorded == []) is (told is not None), "what is refused for want of room leaves no record"
    assert {each.outcome for each in answered} == {"DISCLOSED"}


async def test_who_was_let_in_at_its_word_and_does_not_break_glass_waits_as_lookups_do() -> None:
    door = await paced()
    lookups = let_in(door, Priority.LOOKUP)
    at_once = [place for place in lookups if place is None]
    door.leave(lookups.pop())  # room for one, which would have to wait
    claimed = door.enter(Priority.BREAK_GLASS)
    assert claimed is None or not claimed.done()
    waiting = [place for place in lookups if place is not None]
    while claimed is not None and not claimed.done():
        door.leave(at_once.pop())
    gives_way = asyncio.create_task(door.give_way(Priority.LOOKUP))
    await asyncio.sleep(0)
    door.leave(at_once.pop())
    await asyncio.sleep(0)

    assert waiting[0].done(), "the next place at work is for who has waited longer"
    assert not gives_way.done()

    gives_way.cancel()
    await asyncio.gather(gives_way, return_exceptions=True)
    door.leave(claimed)
    for place in [*at_once, *waiting]:
        if place is not None and not place.done():
            place.cancel()
        door.leave(place)
    assert door.under_way == 0
    assert fill(door, Priority.LOOKUP) == LEAST


def have_all_wait(patch: pytest.MonkeyPatch, seconds: float) -> list[float]:
    """Have every request wait so long for its turn; return when each came, by the loop's clock."""
    enter, came = Admission.enter, []

    def entered(self: Admission, priority: Priority) -> asyncio.Future[None]:
        assert enter(self, priority) is None
        loop = asyncio.get_running_loop()
        came.append(loop.time())
        place = loop.create_future()
        loop.call_later(seconds, place.set_result, None)
        return place

    patch.setattr(Admission, "enter", entered)
    return came


async def test_what_a_lookup_waits_for_its_turn_is_part_of_the_time_that_it_may_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    council = Remembering(source("cs-amber", known(CHILD, row())))
    limits = {"total_seconds": 2.5, "reserve_seconds": 0.25, "source_seconds": 2.0}
    async with running_world(tmp_path, council, limits=limits) as world:
        came = have_all_wait(monkeypatch, 1.4)
        told = await world.ask()

    assert told.outcome == "DISCLOSED"
    assert council.asked[0].ask.deadline.at <= came[0] + 2.25 + 0.1


async def test_who_waited_until_no_time_is_left_is_refused_before_anything_is_recorded_or_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    council = Remembering(source("cs-amber", known(CHILD, row())))
    limits = {"total_seconds": 0.5, "reserve_seconds": 0.25, "source_seconds": 0.25}
    async with running_world(tmp_path, council, limits=limits) as world:
        have_all_wait(monkeypatch, 0.4)
        told = await world.ask()
        recorded = world.kinds()

    assert (told.status, told.code) == (503, "OVERLOADED")
    assert (recorded, council.asked) == ([], [])


async def test_a_refused_request_costs_no_budget_asks_nobody_and_leaves_no_record(tmp_path: Path) -> None:
    slow = SlowSource(source("cs-amber", known(CHILD, row())))
    async with running_world(tmp_path, slow, limits={"in_flight": 1}) as world:
        first = asyncio.create_task(world.ask())
        await slow.begun.wait()
        before = world.kinds()
        refused = await world.ask()
        after = world.kinds()
        answered = await first

    assert (refused.status, refused.code) == (503, "OVERLOADED")
    assert refused.response.headers["retry-after"] == "1"
    assert before == after
    assert answered.outcome == "INCOMPLETE"
