"""Whether a call is made once more, and after what pause: at most once, where it is safe, out of a small budget.

Safe is what cannot have been answered: a connection that did not come about, or ended before the first byte of an
answer; a 503 that names a time which is still left; and a 5xx on a question that changes nothing. The budget is a
tenth of a source's calls, so that a source in trouble is not asked twice as much for being in trouble.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from connectors.base import Deadline
from connectors.faults import FaultCode, SourceFailed

SHARE = 0.1
_MOST_SAVED = 10.0  # a quiet day does not pay for a storm
_PAUSE_SECONDS = 0.02
_SLOW_CONNECT_SECONDS = 0.15  # refused at once may be a restart; a silence of this length will be one again


class RetryBudget:
    """How many more repetitions a source's calls have paid for."""

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        self._saved = 1.0 - share  # the first call may be repeated: never more than a tenth, rounded up

    def earn(self) -> None:
        """Count one call."""
        if self._saved < _MOST_SAVED:
            self._saved = min(_MOST_SAVED, self._saved + self._share)

    def spend(self) -> bool:
        """Return whether one more repetition is paid for, and take it if it is."""
        if self._saved < 1.0 - 1e-9:
            return False
        self._saved -= 1.0
        return True


@dataclass(slots=True)
class Attempt:
    """One call to a source, as its caller sees it: given with the call, and read when that has ended."""

    again: bool = False  # it is a repetition, which the caller has taken from the budget: it is not made once more
    repeated: bool = False  # the client has made it once more; whoever repeats it now would ask a third time


@dataclass(frozen=True, slots=True)
class Repeating:
    """What may be made once more of one call."""

    repeatable: bool  # it may arrive twice
    separable: bool  # after a 5xx or no answer, its subjects are asked about one by one

    def pause_before(self, failure: SourceFailed, deadline: Deadline, *, took_seconds: float) -> float | None:
        """Return the seconds after which to call once more, None if that may not be or no time is left for it."""
        pause = random.random() * _PAUSE_SECONDS  # noqa: S311 - spreads repetitions over time; nothing secret
        match failure.code:
            case FaultCode.CONNECT:
                # nothing has been sent: safe for whatever must not arrive twice, too
                may = took_seconds <= _SLOW_CONNECT_SECONDS
            case FaultCode.OVERLOADED:
                may = self.repeatable and failure.retry_after_seconds is not None
                pause += failure.retry_after_seconds or 0.0
            case FaultCode.RESET | FaultCode.STATUS_5XX:
                may = self.repeatable and not self.separable
            case _:
                may = False
        return pause if may and pause < deadline.remaining() else None
