"""When somebody works: weekly windows, dated windows over them, and leave, in the legal time of England.

A rota reads `Mon-Fri 08:30-17:30; Sat 09:00-13:00; 2026-03-02 20:00-08:00`; a window that ends before it begins ends on
the next day. Leave reads `2026-04-06..2026-04-17; 2026-05-04`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

_DAYS: Final = {name: index for index, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))}
_WINDOW: Final = re.compile(
    r"(?:(?P<day>\d{4}-\d\d-\d\d)|(?P<first>[A-Z][a-z]{2})(?:-(?P<last>[A-Z][a-z]{2}))?)"
    r" (?P<from>\d\d:\d\d)-(?P<to>\d\d:\d\d)"
)
_DAY = 24 * 60
_WEEK = 7 * _DAY


class RotaFault(ValueError):
    """The rota or the leave cannot be read; the message says which, and repeats nothing."""


@dataclass(frozen=True, slots=True)
class Rota:
    """Hours of work. Times are minutes: of the week for `weekly`, since the first day of the calendar for `dated`."""

    weekly: tuple[tuple[int, int], ...]
    dated: tuple[tuple[int, int], ...]
    leave: tuple[tuple[int, int], ...]  # ordinals of days, both included

    @classmethod
    def read(cls, rota: str, leave: str) -> Rota:
        """Return the rota of two cells of the feed. Raises RotaFault."""
        weekly: list[tuple[int, int]] = []
        dated: list[tuple[int, int]] = []
        for text in _parts(rota):
            if (found := _WINDOW.fullmatch(text)) is None:
                raise RotaFault("rota: a window must read as Mon-Fri 08:30-17:30 or 2026-03-02 20:00-08:00")
            begins, ends = _minute(found["from"]), _minute(found["to"])
            length = (ends - begins) % _DAY or _DAY
            if found["day"]:
                start = _ordinal(found["day"], "rota") * _DAY + begins
                dated.append((start, start + length))
                continue
            for day in _weekdays(found["first"], found["last"]):
                start = day * _DAY + begins
                weekly.append((start, start + length))
                if start + length > _WEEK:
                    # Sunday night reaches into Monday
                    weekly.append((start - _WEEK, start + length - _WEEK))
        return cls(tuple(sorted(weekly)), tuple(sorted(dated)), tuple(sorted(_leave(part) for part in _parts(leave))))

    def on_leave(self, day: date) -> bool:
        """Whether the day is one of leave."""
        at = bisect_right(self.leave, (day.toordinal() + 1,)) - 1
        return at >= 0 and self.leave[at][1] >= day.toordinal()

    def minutes_outside(self, at: datetime) -> int:
        """Return how many minutes a local time is from the nearest hours of work: 0 within them, at most a day.

        On leave, 0 too: that is another thing than a late evening. Without any window nothing is known: 0.
        """
        if not self.weekly and not self.dated:
            return 0
        minute = at.hour * 60 + at.minute
        of_week = at.weekday() * _DAY + minute
        nearest = _DAY
        for begins, ends in self.weekly:
            nearest = min(nearest, _apart(of_week, begins, ends))
            if nearest == 0:
                return 0
        # of the week before and after, for who asks late on a Sunday
        for begins, ends in self.weekly:
            nearest = min(nearest, _apart(of_week - _WEEK, begins, ends), _apart(of_week + _WEEK, begins, ends))
        if self.dated:
            absolute = at.toordinal() * _DAY + minute
            first = max(0, bisect_right(self.dated, (absolute, absolute)) - 2)
            for begins, ends in self.dated[first : first + 4]:
                nearest = min(nearest, _apart(absolute, begins, ends))
        return nearest

    def works_at(self, at: datetime) -> bool:
        """Whether somebody is on the rota at a local time, and not on leave."""
        return bool(self.weekly or self.dated) and self.minutes_outside(at) == 0 and not self.on_leave(at.date())


def _apart(at: int, begins: int, ends: int) -> int:
    if at < begins:
        return begins - at
    return at - ends if at >= ends else 0


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _minute(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if hours > 23 or minutes > 59:
        raise RotaFault("rota: a time must be 00:00 to 23:59")
    return hours * 60 + minutes


def _ordinal(text: str, cell: str) -> int:
    try:
        return date.fromisoformat(text).toordinal()
    except ValueError:
        raise RotaFault(f"{cell}: a day must be a date, YYYY-MM-DD") from None


def _weekdays(first: str, last: str | None) -> range:
    try:
        begins = _DAYS[first]
        ends = _DAYS[last] if last else begins
    except KeyError:
        raise RotaFault("rota: a day must be one of Mon, Tue, Wed, Thu, Fri, Sat, Sun") from None
    if ends < begins:
        raise RotaFault("rota: a range of days must not pass the end of the week")
    return range(begins, ends + 1)


def _leave(text: str) -> tuple[int, int]:
    first, parted, last = text.partition("..")
    begins = _ordinal(first.strip(), "leave")
    ends = _ordinal(last.strip(), "leave") if parted else begins
    if ends < begins:
        raise RotaFault("leave: ends before it begins")
    return begins, ends
