"""Refuses work that there is no room for, before any is done: 503 within milliseconds, not late answers for all.

How much is worked on at once is found by additive increase and multiplicative decrease. What it goes by is how long a
callback that is ready waits for its turn in this process: the latency that our own load makes. Neither a slow agency
nor the beat at which an answer without a disclosure leaves is in it, so that what is shed tells nothing of a child.

A refusal, too, waits for its turn, so turns are kept short: a few more than are worked on are let in and wait, which
costs nothing a turn. `LEAST` are let in however slow the turns.

Who goes first: break-glass has room of its own above the limit, lookups have all of it, everything else three quarters.
Break-glass is taken at its word here, before the token is read; who turns out not to do it gives the place up again,
before anything is done for it (`give_way`).

Who is refused is told when to come back: the later the more are refused, so that refusing does not become the work, and
not all at the same moment, for who comes back together waits for the refusals of the others.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from gateway.errors import Overloaded
from gateway.metrics import note_shed, watch_requests

LEAST = 128
_LEAST_AT_WORK = 48  # with fewer, a commit of the log is shared by too few: of 32, a lookup costs a tenth more
_REFUSALS_A_SECOND = 200  # of which each costs a tenth of a lookup: what more would come back in a second comes later
_LONGEST_RETRY_SECONDS = 30
_SOONEST, _AT_LAST = 0.5, 2.0  # parts of that time, so far apart that of a crowd no more come back in any second
_MANY_REFUSALS = 2 * _REFUSALS_A_SECOND
_GOLDEN = 0.618_033_988_75  # the fractions of its multiples lie evenly, however many of them are looked at
_TURN_SECONDS = 0.004  # a refusal may wait for two turns, and one turn in a hundred is several times as long as most
_STEP_SECONDS = 0.1
_MORE, _FEWER = 8, 0.9
_LATEST = 0.2  # the weight of one measured turn


class Priority(Enum):
    """Whose work is refused last; the value is the part of the limit that it may fill."""

    BREAK_GLASS = 1.25
    LOOKUP = 1.0
    OTHER = 0.75


class Admission:
    """Counts the requests under way, lets in no more than can be answered in time, and has some of them wait."""

    def __init__(self, most: int = 1024, clock: Callable[[], float] = time.monotonic) -> None:
        """`most`: the limit never grows beyond it, and never shrinks below `LEAST` unless it is less."""
        self._clock = clock
        self._most = most
        self._least = min(LEAST, most)
        self._pace = float(self._least)  # how many are worked on at once
        self.under_way = 0
        self._coming = 0  # of those read in this turn, who will enter in the next
        self._at_work = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._waiting_to_break_glass: deque[asyncio.Future[None]] = deque()
        self._turn = 0.0  # how long a turn takes, smoothed
        self._measuring = False
        self._next_step = 0.0
        self._pressed = False  # whether more would be at work but for the pace
        self._second, self._refused, self._refused_before = 0, 0, 0  # in this second, and in the one before it
        self._spread = 0.0  # where between the soonest and the latest the next is told to come back
        watch_requests(self, [priority.name for priority in Priority])

    @property
    def limit(self) -> float:
        """How many lookups are let in at once."""
        return max(self._pace, self._least)

    @property
    def full(self) -> bool:
        """Whether a lookup would be refused that comes now, and with it all but break-glass."""
        return self.under_way + self._coming >= self.limit

    def expect(self) -> None:
        """Count one who was read in this turn of the loop and will enter in the next: one place less for the others.

        A crowd that is read in one turn would be let through to the last for the sake of the first, for whom there was
        room, and then be refused by `enter`, at several times the cost.
        """
        if not self._coming:
            asyncio.get_running_loop().call_soon(self._all_came)
        self._coming += 1

    def _all_came(self) -> None:
        self._coming = 0

    @property
    def refuses_many(self) -> bool:
        """Whether so many are refused that refusing is to be kept from becoming the work."""
        return max(self._refused, self._refused_before) >= _MANY_REFUSALS

    def enter(self, priority: Priority) -> asyncio.Future[None] | None:
        """Let a request in; return what it has to await before its work, if anything. With that, it must `leave`.

        Raises Overloaded, having cost next to nothing.
        """
        if self.under_way >= max(self._pace, self._least) * priority.value:
            raise self.refusal(priority)
        loop = asyncio.get_running_loop()
        # who is not let in for want of memory does not leave either: it is counted last
        if not self._measuring:
            loop.call_soon(self._turned, self._clock())
            self._measuring = True
        urgent = priority is Priority.BREAK_GLASS
        if self._at_work < self._pace * (priority.value if urgent else 1):
            self._at_work += 1
            self.under_way += 1
            return None
        self._pressed = True
        place: asyncio.Future[None] = loop.create_future()
        (self._waiting_to_break_glass if urgent else self._waiting).append(place)
        self.under_way += 1
        return place

    async def give_way(self, priority: Priority) -> None:
        """Have one that was let in as break-glass, and is none, wait as what it is; it must `leave` all the same.

        Raises Overloaded where there was no room for such a one.
        """
        if self.under_way > self.limit * priority.value:
            raise self.refusal(priority)
        if self._at_work <= self._pace:
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._at_work -= 1
        self._waiting.append(place)
        self._call_in()
        try:
            await place
        finally:
            if place.cancelled():
                self._at_work += 1  # `leave` takes it off

    def refusal(self, priority: Priority) -> Overloaded:
        """Return what a request is told that is not let in, and count it."""
        self._pressed = True
        note_shed(priority.name)
        return Overloaded(self._seconds_to_wait(priority))

    def _seconds_to_wait(self, priority: Priority) -> int:
        """Return after how many seconds who is refused may come back, and count it among the refused."""
        second = int(self._clock())
        if second != self._second:
            self._refused_before = self._refused if second == self._second + 1 else 0
            self._second, self._refused = second, 0
        self._refused += 1
        if priority is Priority.BREAK_GLASS:
            return 1
        most = max(self._refused, self._refused_before)
        self._spread = (self._spread + _GOLDEN) % 1
        # whole seconds are all that can be said: who is told the same comes back in the crowd in which it came
        part = _SOONEST + self._spread * (_AT_LAST - _SOONEST)
        return min(int(1 + part * most / _REFUSALS_A_SECOND), _LONGEST_RETRY_SECONDS)

    def leave(self, place: asyncio.Future[None] | None = None) -> None:
        """Count a request out, however it ended; `place` is what `enter` returned."""
        self.under_way -= 1
        if place is None or (place.done() and not place.cancelled()):
            self._at_work -= 1
            if self._waiting or self._waiting_to_break_glass:
                self._call_in()

    def _call_in(self) -> None:
        for waiting, part in ((self._waiting_to_break_glass, Priority.BREAK_GLASS.value), (self._waiting, 1)):
            while waiting and self._at_work < self._pace * part:
                place = waiting.popleft()
                if not place.done():  # its request ended while it waited
                    self._at_work += 1
                    place.set_result(None)

    def _turned(self, since: float) -> None:
        self._measuring = False
        now = self._clock()
        self._turn += _LATEST * (now - since - self._turn)
        if now < self._next_step:
            return
        self._next_step = now + _STEP_SECONDS
        if self._turn > _TURN_SECONDS:
            self._pace = max(min(_LEAST_AT_WORK, self._most), self._pace * _FEWER)
        elif self._pressed:
            self._pace = min(self._most, self._pace + _MORE)
            self._call_in()
        self._pressed = bool(self._waiting)


def priority_of(query: str, variables: Mapping[str, Any]) -> Priority:
    """Return what a request says that it is, from its text alone: it has been neither parsed nor authenticated."""
    if "override" in query:
        return Priority.BREAK_GLASS
    for value in variables.values():
        if isinstance(value, dict) and value.get("override"):
            return Priority.BREAK_GLASS
    return Priority.LOOKUP if "child" in query or "findChild" in query else Priority.OTHER


def priority_at_most(body: bytes) -> Priority:
    """Return the highest priority that the request in this body could have, at a glance: it is not even decoded."""
    if b"override" in body or b"\\u" in body:  # a letter may be written as its number
        return Priority.BREAK_GLASS
    return Priority.LOOKUP if b"child" in body or b"findChild" in body else Priority.OTHER
