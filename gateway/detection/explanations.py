"""Why was this access reasonable? Reasons that the record itself gives, each with what shows it.

After EBAS (Fabbri, LeFevre): what clinical and organisational data explain need not be read by anybody; what is left is
short enough to be read. No reason here is taken from what the asker says alone, but for a case reference that somebody
whose own access is explained used for the same child.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.detection.lookups import SeenLookup
from gateway.detection.past import DAY, Past, View
from gateway.detection.thresholds import Thresholds
from gateway.detection.workforce import Member, Workforce
from schema.vocabulary import AccessGround

Ground = AccessGround


@dataclass(frozen=True, slots=True)
class Explanation:
    """A ground, and the receipt of the look-up that shows it: this one's own, or another's."""

    ground: Ground
    evidence: str


def explained_by(
    seen: SeenLookup,
    view: View,
    member: Member | None,
    local: datetime,
    past: Past,
    workforce: Workforce,
    thresholds: Thresholds,
) -> Explanation | None:
    """Return the strongest explanation that is known at the time of the look-up, or None.

    Marks the view as explained and, where a source says so, as involved.
    """
    found = _found(seen, view, member, local, past, workforce, thresholds)
    if found is not None:
        view.explained = True
        view.tied = found.ground is not Ground.ORGANISATION
        view.involved = found.ground in {Ground.OWN_WORK, Ground.TEAM}
    return found


def explains_later(earlier: View, later: View) -> bool:
    """Whether an explained look-up of the same child explains an earlier one: by the same person, team or case."""
    if not later.explained:
        return False
    if later.person == earlier.person or (later.involved and later.same_team(earlier)):
        return True
    return earlier.case_reference is not None and earlier.case_reference == later.case_reference


def _found(
    seen: SeenLookup,
    view: View,
    member: Member | None,
    local: datetime,
    past: Past,
    workforce: Workforce,
    thresholds: Thresholds,
) -> Explanation | None:
    own = seen.receipt
    if seen.relationship in {"PRACTITIONER", "APPOINTED"}:
        return Explanation(Ground.OWN_WORK, own)
    if member is not None:
        for registration in seen.involved:
            colleague = workforce.by_registration.get(registration)
            if colleague is not None and _one_team(colleague, member):
                return Explanation(Ground.TEAM, own)
    followed: Explanation | None = None
    shared: Explanation | None = None
    if seen.subject is not None:
        for earlier in past.of_child(seen.subject, seen.at_ms - thresholds.shared_case_days * DAY):
            if not earlier.explained:
                continue
            if earlier.involved and earlier.person != view.person and earlier.same_team(view):
                return Explanation(Ground.TEAM, earlier.receipt)
            if earlier.person == view.person:
                followed = followed or Explanation(Ground.FOLLOW_UP, earlier.receipt)
            elif view.case_reference is not None and earlier.case_reference == view.case_reference:
                shared = shared or Explanation(Ground.SHARED_CASE, earlier.receipt)
    if followed or shared:
        return followed or shared
    if member is not None and member.front_door and member.rota is not None and member.rota.works_at(local):
        return Explanation(Ground.DUTY, own)
    if seen.relationship == "ORGANISATION":
        return Explanation(Ground.ORGANISATION, own)
    return None


def _one_team(one: Member, other: Member) -> bool:
    return one.person != other.person and one.team == other.team and one.organisation == other.organisation
