"""May this caller register this appointment? The rules in the order in which they are judged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from auth.caller import Caller
from auth.decision import AllOf, Decision, Deny, Permit
from auth.rules import HasScope
from auth.sharing import Organisation
from schema.vocabulary import Purpose, Scope


class AppointingRefusal(StrEnum):
    """Why an appointment is not registered or ended; goes to the log. Callers get FORBIDDEN."""

    MAY_NOT_APPOINT = "MAY_NOT_APPOINT"
    APPOINTS_THEMSELVES = "APPOINTS_THEMSELVES"
    NOT_THEIR_APPOINTMENT = "NOT_THEIR_APPOINTMENT"
    NO_PERSON_REGISTERS = "NO_PERSON_REGISTERS"


@dataclass(frozen=True, slots=True)
class AppointmentRequest:
    """What the policy judges: never the child. `organisation` is the caller's; None if it is no party."""

    caller: Caller
    organisation: Organisation | None
    purpose: Purpose
    appointee_subject: str


@dataclass(frozen=True, slots=True)
class NamesWhoRegisters:
    """Somebody answers for an appointment: a system that names nobody could appoint whoever runs it."""

    def decide(self, asked: AppointmentRequest) -> Decision:
        """Deny NO_PERSON_REGISTERS for client credentials that name nobody."""
        if asked.caller.is_machine:
            return Deny("names-who-registers", AppointingRefusal.NO_PERSON_REGISTERS)
        return Permit("names-who-registers")


@dataclass(frozen=True, slots=True)
class OrganisationAppoints:
    """The caller's organisation is a body that appoints for this purpose, as the parties list it."""

    def decide(self, asked: AppointmentRequest) -> Decision:
        """Deny MAY_NOT_APPOINT for every other organisation and purpose."""
        if asked.organisation is not None and asked.purpose in asked.organisation.appoints:
            return Permit("organisation-appoints")
        return Deny("organisation-appoints", AppointingRefusal.MAY_NOT_APPOINT)


@dataclass(frozen=True, slots=True)
class AppointsSomebodyElse:
    """Nobody appoints themselves, at whatever organisation: a person may work for two."""

    def decide(self, asked: AppointmentRequest) -> Decision:
        """Deny APPOINTS_THEMSELVES when the appointee is the caller, or the system that the caller uses."""
        caller = asked.caller
        if asked.appointee_subject in {caller.person, caller.subject, caller.actor, caller.client_id}:
            return Deny("appoints-somebody-else", AppointingRefusal.APPOINTS_THEMSELVES)
        return Permit("appoints-somebody-else")


REGISTER_AN_APPOINTMENT: AllOf[AppointmentRequest] = AllOf(
    (HasScope(Scope.APPOINTMENT), NamesWhoRegisters(), OrganisationAppoints(), AppointsSomebodyElse())
)
