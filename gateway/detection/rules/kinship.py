"""D1 and D2: children whom the asker knows at home."""

from __future__ import annotations

from gateway.detection.explanations import Ground
from gateway.detection.lookups import SeenLookup
from gateway.detection.rules.base import ANYTHING, CASEWORK, NOTHING, Severity, Signal, Situation, Stateless

_LEAST_SURNAMES = 500


class OwnFamily(Stateless):
    """D1: the asker's own child or a declared relative; or the same family name in the asker's own district."""

    id = "D1"
    severity = Severity.REVIEW

    def __init__(self) -> None:
        self._surnames: dict[str, int] = {}
        self._total = 0

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        member = around.member
        share = self._share(seen.surname)
        if member is None:
            return None
        if seen.subject in member.children:
            words = "The child is the asker's own, or one whom the asker has declared as a relative."
            return Signal(self.id, 1.0, self.severity, words, NOTHING)
        if seen.surname is None or seen.surname != member.surname:
            return None
        bounds = around.thresholds
        if not _at_home(seen, around):
            # a name alone says something only if few bear it
            if share >= bounds.rare_surname:
                return None
            words = "The child has the asker's family name, which is a rare one."
            return Signal(self.id, 0.7, self.severity, words, CASEWORK)
        words = "The child has the asker's family name and is known to services of the asker's home district."
        weight = 1.0 if share < bounds.common_surname else 0.7
        return Signal(self.id, weight, self.severity, words, CASEWORK)

    def _share(self, surname: str | None) -> float:
        """Return how common a family name is among all that were looked up, and count it."""
        if surname is None:
            return 1.0
        count = self._surnames.get(surname, 0) + 1
        self._surnames[surname] = count
        self._total += 1
        return count / max(self._total, _LEAST_SURNAMES)


class ColleagueOrNeighbour(Stateless):
    """D2: the child of a colleague, or a child known to services of the district in which the asker lives."""

    id = "D2"
    severity = Severity.QUEUE

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        member = around.member
        if member is None or seen.subject is None:
            return None
        for relative in around.workforce.relatives_of.get(seen.subject, ()):
            if relative.organisation == member.organisation and relative.person != member.person:
                words = "The child is a colleague's own, or one whom a colleague has declared as a relative."
                return Signal(self.id, 0.7, self.severity, words, CASEWORK | {Ground.DUTY})
        if around.explanation is None and _at_home(seen, around):
            words = "The child is known to services of the asker's home district."
            return Signal(self.id, 0.4, self.severity, words, ANYTHING)
        return None


def _at_home(seen: SeenLookup, around: Situation) -> bool:
    """Whether somebody who was disclosed serves the district in which the asker lives."""
    member = around.member
    if member is None or member.address_district is None:
        return False
    for registration in seen.involved:
        known = around.workforce.by_registration.get(registration)
        if known is not None and known.serves_district == member.address_district:
            return True
    return False
