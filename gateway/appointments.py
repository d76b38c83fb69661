"""The register of appointments on the database: who is appointed is read by lookups, written by the appointing body.

Appointee and child are in it as keyed pseudonyms. Registering asks no agency and tells nothing of the child.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import sqlalchemy as sa
import strawberry

from auth.appointing import REGISTER_AN_APPOINTMENT, AppointingRefusal, AppointmentRequest
from auth.appointments import APPOINTABLE, AppointmentsUnreadable
from auth.caller import Caller
from auth.decision import Deny
from auth.sharing import AgreementSet
from gateway.asked import text_within
from gateway.audit.errors import AlongsideRefused
from gateway.audit.events import AdminAction, EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.errors import BadUserInput
from gateway.randomness import RANDOM
from gateway.register_requests import NotPermitted, RegisterRequest
from gateway.storage.engine import awaited, reading
from gateway.storage.tables import appointment
from schema.appointing import Appointment
from schema.identifiers import NHSNumber
from schema.vocabulary import Purpose

MOST_YEARS: Final = 3
MOST_LISTED: Final = 200
_MOST_SUBJECT, _MOST_EVIDENCE = 255, 200

# Refused by the database, and its record with it, where another process has ended the appointment: then no column that
# must be there would be.
_END: Final = sa.text(
    "UPDATE appointment SET ended_by = :who, ended_at = :at, "
    "registered_by = CASE WHEN ended_at IS NULL THEN registered_by END WHERE id = :ended"
)


@dataclass(frozen=True, slots=True)
class Stated:
    """An appointment as its body states it, checked from the input alone."""

    nhs_number: NHSNumber
    subject: str
    organisation: str
    purpose: Purpose
    evidence: str
    starts_on: date
    expires_on: date


def stated_in(given: Mapping[str, Any], today: date) -> Stated:
    """Return what an `AppointmentInput` states. Raises BadUserInput, with nothing of the input in it."""
    purpose: Purpose = given["purpose"]
    if purpose not in APPOINTABLE:
        raise BadUserInput("Nobody is appointed for this `purpose`.")
    subject: str = given["appointeeSubject"]
    if not 0 < len(subject) <= _MOST_SUBJECT or not subject.isprintable() or not subject.strip():
        raise BadUserInput("`appointeeSubject` must be the `sub` of a token.")
    starts_on: date = given.get("startsOn") or today
    expires_on: date = given["expiresOn"]
    if not today < expires_on <= _years_after(today, MOST_YEARS):
        raise BadUserInput("`expiresOn` must be after today and at most three years from now.")
    if starts_on > expires_on:
        raise BadUserInput("`startsOn` is after `expiresOn`.")
    evidence = text_within(given["evidence"], _MOST_EVIDENCE, "`evidence` must have 1 to 200 characters.")
    return Stated(given["nhsNumber"], subject, given["appointeeOrganisation"], purpose, evidence, starts_on, expires_on)


class Appointments:
    """The register. For one event loop."""

    def __init__(
        self, engine: sa.Engine, keys: AuditKeys, log: AuditLog, agreements: Callable[[], AgreementSet]
    ) -> None:
        self._engine = engine
        self._keys = keys
        self._log = log
        self._agreements = agreements
        # from the look at a row to its change
        self._changing = asyncio.Lock()

    async def find(self, caller: Caller, nhs_number: NHSNumber, purpose: Purpose, today: date) -> str | None:
        """Return the id of an appointment that counts, as any process has committed it, or None.

        Raises AppointmentsUnreadable.
        """
        try:
            return await awaited(self._engine, lambda: self.held(caller, nhs_number, purpose, today))
        except sa.exc.SQLAlchemyError:
            raise AppointmentsUnreadable("the register of appointments cannot be read") from None

    def held(self, caller: Caller, nhs_number: NHSNumber, purpose: Purpose, today: date) -> str | None:
        """Return the id of an appointment of this person by their organisation that counts, for child and purpose.

        Raises AppointmentsUnreadable.
        """
        of = appointment.c
        bodies = self._bodies(purpose)
        query = sa.select(of.id).where(
            of.appointing_organisation.in_(bodies),
            of.appointee == self._person(caller.organisation, caller.person),
            of.child == self._keys.pseudonym(nhs_number),
            of.purpose == purpose.value,
            of.appointee_organisation == caller.organisation,
            of.starts_on <= today.isoformat(),
            of.expires_on >= today.isoformat(),
            of.ended_at.is_(None),
        )
        try:
            with self._engine.connect() as connection:
                return connection.execute(query.order_by(of.id).limit(1)).scalar()
        except sa.exc.SQLAlchemyError:
            # its text holds the statement's parameters
            raise AppointmentsUnreadable("the register of appointments cannot be read") from None

    async def register(self, request: RegisterRequest, given: Mapping[str, Any], today: date) -> Appointment:
        """Return the appointment once it and its record are on disk. Raises BadUserInput, NotPermitted, AuditError."""
        agreements = self._agreements()
        caller = request.caller
        stated = stated_in(given, today)
        body = agreements.organisations.get(caller.organisation)
        decision = REGISTER_AN_APPOINTMENT.decide(AppointmentRequest(caller, body, stated.purpose, stated.subject))
        if isinstance(decision, Deny):
            raise NotPermitted(decision)
        if stated.organisation not in agreements.organisations:
            # after the policy: only a body that may appoint learns who is a party
            raise BadUserInput("`appointeeOrganisation` is no party to the agreements.")
        row = {
            "id": RANDOM.text(16),
            "appointing_organisation": caller.organisation,
            "appointee_organisation": stated.organisation,
            "appointee": self._person(stated.organisation, stated.subject),
            "child": self._keys.pseudonym(stated.nhs_number),
            "purpose": stated.purpose.value,
            "evidence": stated.evidence,
            "registered_by": request.person(self._keys),
            "registered_at": _now(),
            "starts_on": stated.starts_on.isoformat(),
            "expires_on": stated.expires_on.isoformat(),
            "ended_by": None,
            "ended_at": None,
        }
        payload = self._payload(request, AdminAction.APPOINTMENT_REGISTERED, row, agreements)
        await self._log.append(EventKind.ADMIN, payload, alongside=[(sa.insert(appointment), row)])
        return _seen(row)

    async def end(self, request: RegisterRequest, appointment_id: str) -> Appointment:
        """Return the appointment, ended from now on; one that had ended before as it was.

        Raises NotPermitted for one that is not the caller's organisation's, or not there; AuditError.
        """
        of = appointment.c
        async with self._changing:
            theirs = (of.id == appointment_id, of.appointing_organisation == request.caller.organisation)
            found = await self._one(*theirs)
            if found is None:
                raise NotPermitted(Deny("of-their-organisation", AppointingRefusal.NOT_THEIR_APPOINTMENT))
            if found["ended_at"] is not None:
                return _seen(found)
            row = {**found, "ended_by": request.person(self._keys), "ended_at": _now()}
            parameters = {"ended": row["id"], "who": row["ended_by"], "at": row["ended_at"]}
            payload = self._payload(request, AdminAction.APPOINTMENT_ENDED, row, self._agreements())
            try:
                await self._log.append(EventKind.ADMIN, payload, alongside=[(_END, parameters)])
            except AlongsideRefused:
                # another process has ended it since it was read
                if (ended := await self._one(*theirs)) is None or ended["ended_at"] is None:
                    raise
                return _seen(ended)
        return _seen(row)

    async def of_body(self, organisation: str) -> list[Appointment]:
        """Return what a body registered, the newest first, at most MOST_LISTED. Raises sqlalchemy errors."""
        of = appointment.c
        query = sa.select(appointment).where(of.appointing_organisation == organisation)
        query = query.order_by(of.registered_at.desc(), of.id).limit(MOST_LISTED)
        rows = await reading(self._engine, lambda c: [dict(row) for row in c.execute(query).mappings()])
        return [_seen(row) for row in rows]

    def _bodies(self, purpose: Purpose) -> list[str]:
        """Who appoints for a purpose today: what a body registered that no longer does counts no longer."""
        return [o.id for o in self._agreements().organisations.values() if purpose in o.appoints]

    async def _one(self, *conditions: sa.ColumnElement[bool]) -> dict[str, Any] | None:
        query = sa.select(appointment).where(*conditions)
        found = await reading(self._engine, lambda c: c.execute(query).mappings().first())
        return None if found is None else dict(found)

    def _person(self, organisation: str, subject: str) -> str:
        return self._keys.opaque_id("appointee", organisation, subject)

    def _payload(
        self, request: RegisterRequest, action: AdminAction, row: Mapping[str, Any], agreements: AgreementSet
    ) -> dict[str, Any]:
        return {
            **request.words(),
            "action": action,
            "subject": row["child"],
            "version": agreements.version,
            "appointment": {
                "id": row["id"],
                "appointee": row["appointee"],
                "organisation": row["appointee_organisation"],
                "purpose": row["purpose"],
                "evidence": row["evidence"],
                "startsOn": row["starts_on"],
                "expiresOn": row["expires_on"],
            },
        }


def _seen(row: Mapping[str, Any]) -> Appointment:
    return Appointment(
        id=strawberry.ID(row["id"]),
        appointee=strawberry.ID(row["appointee"]),
        appointee_organisation=row["appointee_organisation"],
        purpose=Purpose(row["purpose"]),
        evidence=row["evidence"],
        starts_on=date.fromisoformat(row["starts_on"]),
        expires_on=date.fromisoformat(row["expires_on"]),
        registered_at=datetime.fromisoformat(row["registered_at"]),
        ended_at=datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else None,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _years_after(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        # 29 February
        return day.replace(year=day.year + years, day=28)
