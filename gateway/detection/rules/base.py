"""What every rule is: one question about one look-up, with what was seen before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from gateway.detection.explanations import Explanation, Ground
from gateway.detection.lookups import SeenLookup
from gateway.detection.past import Past, View
from gateway.detection.thresholds import Thresholds
from gateway.detection.workforce import Member, Workforce
from schema.vocabulary import ReviewSeverity

Severity = ReviewSeverity
_ORDER: Final = tuple(Severity)


def rank(severity: Severity) -> int:
    """Return the place of a severity: the higher, the sooner."""
    return _ORDER.index(severity)


NOTHING: Final[frozenset[Ground]] = frozenset()
ANYTHING: Final = frozenset(Ground)
CASEWORK: Final = frozenset({Ground.OWN_WORK, Ground.TEAM, Ground.FOLLOW_UP, Ground.SHARED_CASE, Ground.LATER})
"""What shows that this asker had to do with this child; that their desk or organisation has does not."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What a rule says of a look-up. `words` name no child and no person; `about` keeps one alert a day apart."""

    rule: str
    weight: float
    severity: Severity
    words: str
    excused_by: frozenset[Ground]
    receipts: tuple[str, ...] = ()  # other look-ups that belong to it
    of_person: bool = False  # about what the person does, not about this child
    quiet_days: int = 1  # for how long the same is not said again of a person


@dataclass(slots=True)
class Situation:
    """What is known around one look-up."""

    view: View
    member: Member | None
    explanation: Explanation | None
    local: datetime
    past: Past
    workforce: Workforce
    thresholds: Thresholds


class Rule(Protocol):
    """One rule. Keeps no more than its own window of time."""

    id: str
    severity: Severity

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        """Return what there is to say of a look-up, or None. Called once for each, in the order of time."""
        ...

    def forget(self, before_ms: int) -> None:
        """Drop what was kept of earlier times."""
        ...


class Stateless:
    """A rule that keeps nothing of its own."""

    def forget(self, before_ms: int) -> None:
        """Nothing is kept."""
