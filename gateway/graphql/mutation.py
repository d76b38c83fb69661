"""What a caller reads and changes in the registers, which never tells anything of a child.

Resolvers hand out what the register gave before execution began; they decide nothing.
"""

from __future__ import annotations

import strawberry

from schema.appointing import Appointment, AppointmentInput
from schema.auditing import AuditEventConnection, AuditFilter
from schema.declaring import Disclosure, shown
from schema.reviewing import Review
from schema.vocabulary import ReviewState, ReviewVerdict, Scope


def _registered(info: strawberry.Info, appointment: AppointmentInput) -> Appointment:
    found: Appointment = info.context.register
    return found


def _ended(info: strawberry.Info, id: strawberry.ID) -> Appointment:
    found: Appointment = info.context.register
    return found


def _decided(
    info: strawberry.Info,
    id: strawberry.ID,
    verdict: ReviewVerdict,
    note: str,
) -> Review:
    found: Review = info.context.register
    return found


def _appointments(info: strawberry.Info) -> list[Appointment]:
    found: list[Appointment] = info.context.register
    return found


def _reviews(info: strawberry.Info, state: list[ReviewState] | None = None) -> list[Review]:
    found: list[Review] = info.context.register
    return found


def _audit_events(
    info: strawberry.Info,
    filter: AuditFilter | None = strawberry.UNSET,
    first: int | None = strawberry.UNSET,
    after: str | None = strawberry.UNSET,
) -> AuditEventConnection:
    found: AuditEventConnection = info.context.register
    return found


@strawberry.type
class RegisterQueries:
    """What is read of the registers; each field stands alone in its operation."""

    appointments: list[Appointment] = shown(
        Disclosure.REGISTER,
        "What the caller's organisation has registered, the newest first.",
        scope=Scope.APPOINTMENT,
        resolver=_appointments,
    )
    reviews: list[Review] = shown(
        Disclosure.AUDIT,
        "Overrides of the caller's organisation, the oldest first; for its security auditors and privacy officers. "
        "Reading them is recorded. Without `state`: in every state.",
        scope=Scope.AUDIT,
        resolver=_reviews,
    )
    audit_events: AuditEventConnection = shown(
        Disclosure.AUDIT,
        "Who asked what and was told what, the newest first; for security auditors and privacy officers, of the "
        "organisations that they audit. Reading it is recorded. `first` is 1 to 50, and 50 if left out.",
        scope=Scope.AUDIT,
        resolver=_audit_events,
    )


@strawberry.type
class Mutation:
    """Changes to registers: one in an operation, by POST, each recorded."""

    register_appointment: Appointment = shown(
        Disclosure.REGISTER,
        "Appoint somebody else for one child; for bodies that the agreements let appoint for the purpose.",
        scope=Scope.APPOINTMENT,
        resolver=_registered,
    )
    end_appointment: Appointment = shown(
        Disclosure.REGISTER,
        "End an appointment of the caller's organisation before its time.",
        scope=Scope.APPOINTMENT,
        resolver=_ended,
    )
    decide_review: Review = shown(
        Disclosure.AUDIT,
        "Decide on an override of somebody else in the caller's organisation.",
        scope=Scope.AUDIT,
        resolver=_decided,
    )
