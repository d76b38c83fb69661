"""Refuses work that there is no room for, before any is done: 503 within milliseconds, not late answers for all.

How much is answered at once is found by additive increase and multiplicative decrease. What it goes by is how long a
callback that is ready waits for its turn in this process: the latency that our own load makes. Neither a slow agency
nor the beat at which an answer without a disclosure leaves is in it, so that what is shed tells nothing of a child.

Who goes first: break-glass has room of its own above the limit, lookups have all of it, everything else three quarters.
Break-glass is taken at its word here, before the token is read; the word buys a place in the queue and nothing else.

Who is refused is told when to come back: the later the more are refused, so that refusing does not become the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum
from typing import Any

from gateway.errors import Overloaded
from gateway.metrics import note_shed, watch_requests

LEAST = 128
_REFUSALS_A_SECOND = 200  # of which each costs a tenth of a lookup: what more would come back in a second comes later
_LONGEST_RETRY_SECONDS = 30
_TURN_SECONDS = 0.02  # a longer turn of the event loop is one in which a refusal would come late, too
_STEP_SECONDS = 0.1
_MORE, _FEWER = 8, 0.9
_LATEST = 0.2  # the weight of one measured turn


class Priority(Enum):
    """Whose work is refused last; the value is the part of the limit that it may fill."""

    BREAK_GLASS = 1.25
    LOOKUP = 1.0
    OTHER = 0.75


class Admission:
    """Counts the requests under way, and lets in no more than can be answered in time."""

    def __init__(self, most: int = 1024) -> None:
        """`most`: the limit never grows beyond it, and never shrinks below `LEAST` unless it is less."""
        self._most = most
        self._least = min(LEAST, most)
        self.limit = float(self._least)
        self.under_way = 0
        self._turn = 0.0  # how long a turn takes, smoothed
        self._measuring = False
        self._next_step = 0.0
        self._pressed = False  # whether the limit was what kept more from being under way
        self._second, self._refused, self._refused_before = 0, 0, 0  # in this second, and in the one before it
        watch_requests(self)

    def enter(self, priority: Priority) -> None:
        """Let a request in; it must `leave`. Raises Overloaded, having cost next to nothing."""
        if self.under_way >= self.limit * priority.value:
            self._pressed = True
            note_shed(priority.name)
            raise Overloaded(self._seconds_to_wait(priority))
        self.under_way += 1
        if not self._measuring:
            loop = asyncio.get_running_loop()
            self._measuring = True
            loop.call_soon(self._turned, loop, loop.time())

    def _seconds_to_wait(self, priority: Priority) -> int:
        """Return after how many seconds who is refused may come back, and count it among the refused."""
        second = int(asyncio.get_running_loop().time())
        if second != self._second:
            self._refused_before = self._refused if second == self._second + 1 else 0
            self._second, self._refused = second, 0
        self._refused += 1
        if priority is Priority.BREAK_GLASS:
            return 1
        most = max(self._refused, self._refused_before)
        return min(1 + most // _REFUSALS_A_SECOND, _LONGEST_RETRY_SECONDS)

    def leave(self) -> None:
        """Count a request out, however it ended."""
        self.under_way -= 1

    def _turned(self, loop: asyncio.AbstractEventLoop, since: float) -> None:
        self._measuring = False
        now = loop.time()
        self._turn += _LATEST * (now - since - self._turn)
        if now < self._next_step:
            return
        self._next_step = now + _STEP_SECONDS
        if self._turn > _TURN_SECONDS:
            self.limit = max(self._least, self.limit * _FEWER)
        elif self._pressed:
            self.limit = min(self._most, self.limit + _MORE)
        self._pressed = False


def priority_of(query: str, variables: Mapping[str, Any]) -> Priority:
    """Return what a request says that it is, from its text alone: it has been neither parsed nor authenticated."""
    if "override" in query or any(isinstance(v, Mapping) and v.get("override") for v in variables.values()):
        return Priority.BREAK_GLASS
    return Priority.LOOKUP if "child" in query or "findChild" in query else Priority.OTHER
