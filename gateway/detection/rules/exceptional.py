"""D3, D5 and D14: what is looked at every time, however well it is explained."""

from __future__ import annotations

from collections.abc import Callable

from gateway.detection.lookups import SeenLookup
from gateway.detection.past import DAY
from gateway.detection.rules.base import NOTHING, Severity, Signal, Situation, Stateless


class ProminentChild(Stateless):
    """D3: a child whom several people of unrelated teams looked up within a day.

    Unrelated is who is tied to the child by no work, team, case or duty; that their organisation works with the
    child, as it does with very many, ties nobody to it.
    """

    id = "D3"
    severity = Severity.IMMEDIATE

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        view = around.view
        if seen.subject is None or view.tied:
            return None
        viewers = {view.person: view}
        for other in around.past.of_child(seen.subject, seen.at_ms - DAY):
            if not other.tied:
                viewers.setdefault(other.person, other)
        # people of one team whom nothing ties to the child are one group of the curious
        # as are those who typed one case reference, until somebody involved shows whether it is one
        teams = {v.case_reference or (v.organisation, v.team or v.person) for v in viewers.values()}
        if len(teams) <= around.thresholds.unrelated_viewers:
            return None
        # how many of them are at other organisations is not told to the reviewers of this one
        own = sum(viewer.organisation == view.organisation for viewer in viewers.values())
        words = (
            "Several people of unrelated teams looked this child up within a day, "
            f"{own} of them at the asker's organisation; nothing ties them to it."
        )
        others = tuple(v.receipt for v in viewers.values() if v is not view)
        return Signal(self.id, 1.0, self.severity, words, NOTHING, others)


class BreakGlass(Stateless):
    """D5: every use of break-glass."""

    id = "D5"
    severity = Severity.IMMEDIATE

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        if not seen.overridden:
            return None
        return Signal(self.id, 1.0, self.severity, "Break-glass was used.", NOTHING)


class CanaryChild(Stateless):
    """D14: a fictitious child, whom nobody can have a reason to look up."""

    id = "D14"
    severity = Severity.PAGE

    def __init__(self, canaries: Callable[[], frozenset[str]]) -> None:
        """`canaries` gives their pseudonyms: the list may change while the detector runs."""
        self._canaries = canaries

    def judge(self, seen: SeenLookup, around: Situation) -> Signal | None:
        if seen.subject not in self._canaries():
            return None
        return Signal(self.id, 1.0, self.severity, "The child does not exist: it was placed to be found.", NOTHING)
