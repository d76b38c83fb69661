"""May this caller read the queue of reviews, or decide one? The rules in the order in which they are judged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from auth.caller import Caller
from auth.decision import AllOf, Decision, Deny, Permit
from auth.rules import HasScope
from schema.vocabulary import ReviewState, Role, Scope

REVIEWERS: Final = frozenset({Role.SECURITY_AUDITOR, Role.PRIVACY_OFFICER})
OF_NO_ORGANISATION: Final = ""
"""Of an item that is a fault of the log, and nobody's access."""


class ReviewingRefusal(StrEnum):
    """Why a review is not shown or decided; goes to the log. Callers get FORBIDDEN."""

    NO_REVIEWER = "NO_REVIEWER"
    NOT_THEIR_REVIEW = "NOT_THEIR_REVIEW"
    OWN_OVERRIDE = "OWN_OVERRIDE"
    ALREADY_DECIDED = "ALREADY_DECIDED"


@dataclass(frozen=True, slots=True)
class QueueRequest:
    """Who wants to read the queue."""

    caller: Caller


@dataclass(frozen=True, slots=True)
class VerdictRequest:
    """Who decides what.

    `organisation` is that of the person whose access it was, OF_NO_ORGANISATION for a fault of the log, and None if
    there is no such review.
    """

    caller: Caller
    organisation: str | None
    audits_everyone: bool  # the agreements let the caller audit every organisation
    state: ReviewState | None
    own: bool  # the access was the caller's


def reviewed_by(caller: Caller, *, audits_everyone: bool) -> frozenset[str]:
    """Return whose items the caller may review: their own organisation's, and what is of none if they audit everyone.

    To audit every organisation opens no other one's queue: its reviewers know whom to ask.
    """
    return frozenset({caller.organisation, OF_NO_ORGANISATION} if audits_everyone else {caller.organisation})


@dataclass(frozen=True, slots=True)
class IsReviewer:
    """The caller is a security auditor or a privacy officer."""

    def decide(self, asked: QueueRequest | VerdictRequest) -> Decision:
        """Deny NO_REVIEWER for every other role, and for a system that names nobody."""
        if asked.caller.effective_roles & REVIEWERS and not asked.caller.is_machine:
            return Permit("is-reviewer")
        return Deny("is-reviewer", ReviewingRefusal.NO_REVIEWER)


@dataclass(frozen=True, slots=True)
class OfTheirOrganisation:
    """The access was one of the caller's own organisation; or it is nobody's, and the caller audits everybody."""

    def decide(self, asked: VerdictRequest) -> Decision:
        """Deny NOT_THEIR_REVIEW, the same for another organisation's and for one that does not exist."""
        if asked.organisation in reviewed_by(asked.caller, audits_everyone=asked.audits_everyone):
            return Permit("of-their-organisation")
        return Deny("of-their-organisation", ReviewingRefusal.NOT_THEIR_REVIEW)


@dataclass(frozen=True, slots=True)
class SomebodyElsesOverride:
    """Nobody reviews themselves."""

    def decide(self, asked: VerdictRequest) -> Decision:
        """Deny OWN_OVERRIDE."""
        if asked.own:
            return Deny("somebody-elses-override", ReviewingRefusal.OWN_OVERRIDE)
        return Permit("somebody-elses-override")


@dataclass(frozen=True, slots=True)
class Undecided:
    """The review still waits: it is open, or was escalated to somebody else."""

    def decide(self, asked: VerdictRequest) -> Decision:
        """Deny ALREADY_DECIDED."""
        if asked.state in {ReviewState.OPEN, ReviewState.ESCALATED}:
            return Permit("undecided")
        return Deny("undecided", ReviewingRefusal.ALREADY_DECIDED)


READ_THE_QUEUE: AllOf[QueueRequest] = AllOf((HasScope(Scope.AUDIT), IsReviewer()))
DECIDE_A_REVIEW: AllOf[VerdictRequest] = AllOf(
    (HasScope(Scope.AUDIT), IsReviewer(), OfTheirOrganisation(), SomebodyElsesOverride(), Undecided())
)
