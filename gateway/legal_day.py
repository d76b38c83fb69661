"""The date that counts in law. Birthdays, review dates and commencement turn at midnight in London."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

_LEGAL_TIME = ZoneInfo("Europe/London")


class LegalDay:
    """The date, worked out once a day: a lookup needs it more than once, and finding it costs as much as a hash."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` is the time of day in seconds since the epoch; it may be set forward or back."""
        self._clock = clock
        self._since, self._until, self._day = 0.0, 0.0, date.min

    def today(self) -> date:
        """Return the date that counts in law."""
        now = self._clock()
        if not self._since <= now < self._until:
            self._day = datetime.fromtimestamp(now, _LEGAL_TIME).date()
            self._since, self._until = _midnight(self._day), _midnight(self._day + timedelta(days=1))
        return self._day


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=_LEGAL_TIME).timestamp()


legal_today = LegalDay().today
