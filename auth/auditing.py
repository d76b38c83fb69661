"""May this caller read the events of the log, and of which organisations? The rules in the order of their judgement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from auth.caller import Caller
from auth.decision import AllOf, Decision, Deny, Permit
from auth.reviewing import REVIEWERS
from auth.rules import HasScope
from auth.sharing import EVERY_ORGANISATION, Organisation
from schema.vocabulary import Scope


class AuditingRefusal(StrEnum):
    """Why events are not shown; goes to the log. Callers get FORBIDDEN."""

    NO_AUDITOR = "NO_AUDITOR"
    NOT_THEIR_ORGANISATION = "NOT_THEIR_ORGANISATION"


@dataclass(frozen=True, slots=True)
class EventsRequest:
    """Who wants to read events. `party`: their organisation as the agreements list it; `of`: the one that is named."""

    caller: Caller
    party: Organisation | None
    of: str | None


@dataclass(frozen=True, slots=True)
class IsAuditor:
    """The caller is a security auditor or a privacy officer."""

    def decide(self, asked: EventsRequest) -> Decision:
        """Deny NO_AUDITOR for every other role, and for a system that names nobody."""
        if asked.caller.effective_roles & REVIEWERS and not asked.caller.is_machine:
            return Permit("is-auditor")
        return Deny("is-auditor", AuditingRefusal.NO_AUDITOR)


@dataclass(frozen=True, slots=True)
class WithinWhatTheyAudit:
    """An organisation that is named is the caller's own, or one that the agreements let them audit."""

    def decide(self, asked: EventsRequest) -> Decision:
        """Deny NOT_THEIR_ORGANISATION, the same for an organisation that does not exist."""
        audited = audited_by(asked.caller, asked.party)
        if asked.of is None or audited is None or asked.of in audited:
            return Permit("within-what-they-audit")
        return Deny("within-what-they-audit", AuditingRefusal.NOT_THEIR_ORGANISATION)


def audited_by(caller: Caller, party: Organisation | None) -> frozenset[str] | None:
    """Return the organisations whose events the caller may read; None for every one. Always their own."""
    more = party.audits if party is not None and party.id == caller.organisation else frozenset()
    return None if EVERY_ORGANISATION in more else more | {caller.organisation}


READ_EVENTS: Final[AllOf[EventsRequest]] = AllOf((HasScope(Scope.AUDIT), IsAuditor(), WithinWhatTheyAudit()))
