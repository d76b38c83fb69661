"""What is asked of the registers: appointments, reviews, and the events of the log.

Each stands alone in its operation; refusals are recorded.
The answer is made, and its record durable, before the operation is executed; the executor hands it out.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
import structlog

from auth.decision import Deny
from gateway.appointments import Appointments
from gateway.audit.errors import AuditError
from gateway.audit.events_query import NotWhatWasWritten
from gateway.auditing import AuditEvents
from gateway.errors import AuditUnavailable, Forbidden, Overloaded
from gateway.front.repeated_refusals import RepeatedRefusals
from gateway.register_requests import NotPermitted, RegisterRequest
from gateway.reviews import Reviews
from schema.vocabulary import ReviewState

log = structlog.get_logger("gateway.registers")

_Asked = Callable[[RegisterRequest, Mapping[str, Any], date], Awaitable[Any]]


@dataclass(frozen=True)
class Registers:
    """The registers, and where their refusals go."""

    appointments: Appointments
    reviews: Reviews
    events: AuditEvents
    refusals: RepeatedRefusals
    today: Callable[[], date]

    async def answer(self, field: str, request: RegisterRequest, arguments: Mapping[str, Any]) -> Any:
        """Return what the field gives, once it is on record where it must be. Raises GatewayError."""
        fields: Mapping[str, _Asked] = {
            "appointments": self._appointments,
            "auditEvents": self._audit_events,
            "registerAppointment": self._register,
            "endAppointment": self._end,
            "reviews": self._reviews,
            "decideReview": self._decide,
        }
        try:
            return await fields[field](request, arguments, self.today())
        except NotPermitted as refused:
            await self.refuse(request, refused.decision)
        except AuditError:
            raise AuditUnavailable(1) from None
        except NotWhatWasWritten:
            log.critical("log_not_what_was_written", advice="contactpoint audit verify; audit index --check")
            raise AuditUnavailable(60) from None
        except sa.exc.SQLAlchemyError:
            # its text holds the statement's parameters
            raise Overloaded(1) from None

    async def waiting_reviews(self) -> tuple[float, float]:
        """Return how many reviews wait and how many are overdue; NaN for both if the queue cannot be read."""
        try:
            return await self.reviews.waiting()
        except sa.exc.SQLAlchemyError:
            # a queue that cannot be read must not look like one that is empty
            return math.nan, math.nan

    async def refuse(self, request: RegisterRequest, decision: Deny) -> None:
        """Record a refusal and raise Forbidden; AuditUnavailable if it cannot be recorded."""
        payload = {**request.words(), "code": decision.reason, "rule": decision.rule}
        person = f"{request.caller.issuer}\n{request.caller.person}"
        try:
            await self.refusals.note(person, decision.reason, payload)
        except AuditError:
            raise AuditUnavailable(1) from None
        raise Forbidden("You may not do this.")

    async def _appointments(self, request: RegisterRequest, arguments: Mapping[str, Any], today: date) -> Any:
        return await self.appointments.of_body(request.caller.organisation)

    async def _register(self, request: RegisterRequest, arguments: Mapping[str, Any], today: date) -> Any:
        return await self.appointments.register(request, arguments["appointment"], today)

    async def _end(self, request: RegisterRequest, arguments: Mapping[str, Any], today: date) -> Any:
        return await self.appointments.end(request, arguments["id"])

    async def _audit_events(self, request: RegisterRequest, arguments: Mapping[str, Any], today: date) -> Any:
        return await self.events.read(request, arguments)

    async def _reviews(self, request: RegisterRequest, arguments: Mapping[str, Any], today: date) -> Any:
        return await self.reviews.read(request, arguments.get("state") or list(ReviewState))

    async def _decide(self, request: RegisterRequest, arguments: Mapping[str, Any], today: date) -> Any:
        return await self.reviews.decide(request, arguments["id"], arguments["verdict"], arguments["note"])
