"""What the detector remembers: the look-ups of the last days, by child and by person, and no more than that."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from sys import intern
from typing import Final

from gateway.detection.lookups import Place, SeenLookup
from gateway.detection.workforce import Member

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
REMEMBERED: Final = 31 * DAY


@dataclass(slots=True, eq=False)
class View:
    """One look-up as it is remembered. `explained` turns true if something explains it later."""

    at_ms: int
    place: Place
    receipt: str
    person: str
    organisation: str
    team: str | None
    role: str
    purpose: str
    subject: str | None
    case_reference: str | None = field(repr=False)
    reason: str = field(repr=False)
    missed: bool
    number: int | None = field(repr=False)  # without the check digit
    birthday: int | None = field(repr=False)  # ordinal
    explained: bool
    tied: bool  # explained by more than that the asker's organisation works with the child
    involved: bool  # the asker or their team works with the child, as a source says

    @classmethod
    def of(cls, seen: SeenLookup, member: Member | None) -> View:
        """Return the memory of a look-up that nothing has explained yet."""
        return cls(
            at_ms=seen.at_ms,
            place=seen.place,
            receipt=seen.receipt,
            person=seen.person,
            organisation=seen.organisation,
            team=member.team if member is not None else seen.team,
            role=seen.role,
            purpose=seen.purpose,
            subject=seen.subject,
            case_reference=seen.case_reference,
            reason=folded_reason(seen.reason),
            missed=seen.missed,
            number=int(seen.number[:9]) if seen.number else None,
            birthday=seen.born.toordinal() if seen.born else None,
            explained=False,
            tied=False,
            involved=False,
        )

    def same_team(self, other: View) -> bool:
        """Whether two look-ups were made by one team of one organisation, as the feed has it."""
        return self.team is not None and self.team == other.team and self.organisation == other.organisation


def folded_reason(reason: str) -> str:
    """Return a reason as it is compared: without case and spaces."""
    return intern(" ".join(reason.casefold().split()))


class Past:
    """The remembered look-ups. Bounded by time: what is older than a month is dropped."""

    def __init__(self) -> None:
        self._by_child: dict[str, deque[View]] = {}
        self._by_person: dict[str, deque[View]] = {}

    def of_child(self, subject: str, since_ms: int) -> Iterator[View]:
        """Yield the look-ups of a child, the latest first."""
        for view in reversed(self._by_child.get(subject, ())):
            if view.at_ms < since_ms:
                return
            yield view

    def of_person(self, person: str, since_ms: int) -> Iterator[View]:
        """Yield the look-ups of a person, the latest first."""
        for view in reversed(self._by_person.get(person, ())):
            if view.at_ms < since_ms:
                return
            yield view

    def add(self, view: View) -> None:
        """Remember a look-up."""
        if view.subject is not None:
            self._by_child.setdefault(view.subject, deque()).append(view)
        self._by_person.setdefault(view.person, deque()).append(view)

    def forget(self, before_ms: int) -> None:
        """Drop what is older."""
        for kept in (self._by_child, self._by_person):
            empty = []
            for name, views in kept.items():
                while views and views[0].at_ms < before_ms:
                    views.popleft()
                if not views:
                    empty.append(name)
            for name in empty:
                del kept[name]

    def size(self) -> int:
        """Return how many look-ups are remembered."""
        return sum(len(views) for views in self._by_person.values())
