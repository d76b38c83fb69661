"""Whether the time of day still goes on as it did: a clock that was set spoils what hangs on it.

Tokens end, agreements lapse and budgets run by the time of day, and the log is dated by it. A machine's clock is
corrected by making it run faster or slower; one that jumps was set, or follows a server that is wrong. What jumps is
seen beside a clock that nobody can set: the difference of the two does not change, however long the process runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

log = structlog.get_logger("gateway.clock")

MOST_SECONDS: Final = 5.0
"""How far the two may come apart: more than a leap second, less than what a token's leeway forgives."""

# goes on while the machine sleeps, as the time of day does; outside Linux, the nearest to it
_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _time_of_day() -> float:
    return time.time()


steady: Callable[[], float] = partial(time.clock_gettime, _STEADY)
"""Returns seconds of a clock that only goes forward and that nobody can set."""


class ClockWatch:
    """Compares the time of day with a clock that only goes forward, each time it is asked."""

    def __init__(self, time_of_day: Callable[[], float] = _time_of_day, steady: Callable[[], float] = steady) -> None:
        self._time_of_day = time_of_day
        self._steady = steady
        self._began = self._difference()
        self._jumped = False

    @property
    def holds(self) -> bool:
        """Whether the time of day is where it must be. After a jump it is again once the clock is set back right.

        A process that is started anew takes the clock as it is: so does the one that follows a wanted correction.
        """
        apart = self._difference() - self._began
        jumped = abs(apart) > MOST_SECONDS
        if jumped != self._jumped:
            self._jumped = jumped
            if jumped:
                advice = "not ready: set the clock right, or start the gateway again if it is right now"
                log.critical("clock_jumped", seconds=round(apart), advice=advice)
            else:
                log.warning("clock_is_back")
        return not jumped

    def _difference(self) -> float:
        return self._time_of_day() - self._steady()
