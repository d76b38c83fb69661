"""A circuit breaker: a source in trouble is let alone for a while, in place of costing every lookup its patience.

Closed, it counts. At least half of at least twenty calls failing within ten seconds, or five failing one after another,
opens it. Open, every call is refused at once; after five seconds one call is let through to see (half-open), and what
comes of it closes the circuit or opens it again.

There is one for each source, and it knows nothing of who asks or about whom. What counts is decided by
`connectors.faults`: trouble of the source or of the way there, not what stands in one child's record.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from connectors.faults import Bearing


class Circuit(IntEnum):
    """The states of a breaker, as the metric shows them."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


# bound once: to look a word up in its list costs more than all else that is done for a call
_CLOSED, _HALF_OPEN = Circuit.CLOSED, Circuit.HALF_OPEN
_NONE, _SOUND, _FAILING = Bearing.NONE, Bearing.SOUND, Bearing.FAILING


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a circuit opens, and for how long."""

    window_seconds: int = 10
    least_calls: int = 20
    failing_share: float = 0.5
    failing_in_a_row: int = 5
    open_seconds: float = 5.0


class Breaker:
    """The circuit of one source. Times are those of one monotonic clock, given with every call."""

    def __init__(self, rules: BreakerRules | None = None) -> None:
        self._rules = rules or BreakerRules()
        self._slots = [[-1, 0, 0] for _ in range(self._rules.window_seconds)]  # second, calls, failures
        self._in_a_row = 0
        self._open_until = 0.0
        self._period = 0  # what was let through before a change of state says nothing about the state after it
        self.state = Circuit.CLOSED

    def admit(self, now: float) -> int | None:
        """Return a ticket for one call, to be handed to `note`; None while the circuit is open."""
        if self.state is not _CLOSED:
            if self.state is _HALF_OPEN or now < self._open_until:
                return None
            self._become(Circuit.HALF_OPEN)
        return self._period

    def note(self, ticket: int, bearing: Bearing, now: float) -> None:
        """Take what came of an admitted call; every ticket comes back once."""
        if ticket != self._period:
            return
        if self.state is _HALF_OPEN:
            if bearing is _SOUND:
                self._close()
            else:
                # a call that proved nothing lets the next one try at once
                self._open(now + self._rules.open_seconds if bearing is _FAILING else now)
            return
        if bearing is _NONE:
            return
        second = int(now)
        slot = self._slots[second % len(self._slots)]
        if slot[0] != second:
            slot[:] = (second, 0, 0)
        slot[1] += 1
        if bearing is not _FAILING:
            self._in_a_row = 0
            return
        slot[2] += 1
        self._in_a_row += 1
        if self._in_a_row >= self._rules.failing_in_a_row or self._mostly_failing(now):
            self._open(now + self._rules.open_seconds)

    def _mostly_failing(self, now: float) -> bool:
        recent = [slot for slot in self._slots if now - slot[0] < self._rules.window_seconds]
        calls = sum(slot[1] for slot in recent)
        return calls >= self._rules.least_calls and (
            sum(slot[2] for slot in recent) >= self._rules.failing_share * calls
        )

    def _open(self, until: float) -> None:
        self._open_until = until
        self._become(Circuit.OPEN)

    def _close(self) -> None:
        self._in_a_row = 0
        for slot in self._slots:
            slot[:] = (-1, 0, 0)
        self._become(Circuit.CLOSED)

    def _become(self, state: Circuit) -> None:
        self.state = state
        self._period += 1
