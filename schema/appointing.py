"""What an appointing body sends and sees: never the child, and never whether anybody knows the child."""

from __future__ import annotations

from datetime import date, datetime

import strawberry

from schema import types, vocabulary
from schema.declaring import Disclosure, shown

_OWN = Disclosure.REGISTER


@strawberry.input(description="Who is appointed for which child, by the evidence of what, and until when.")
class AppointmentInput:
    nhs_number: types.NHSNumber
    appointee_subject: str = strawberry.field(description="`sub` of the appointee's tokens, exactly.")
    appointee_organisation: str = strawberry.field(description="`org` of the appointee's tokens.")
    purpose: vocabulary.Purpose
    evidence: str = strawberry.field(description="Reference of the order, minute or invitation; 1 to 200 characters.")
    starts_on: date | None = strawberry.field(default=strawberry.UNSET, description="Left out: today.")
    expires_on: date = strawberry.field(description="The last day on which it counts; at most three years from now.")


@strawberry.type(description="An appointment, as its own appointing body sees it; the child is not in it.")
class Appointment:
    id: strawberry.ID = shown(_OWN)
    appointee: strawberry.ID = shown(_OWN, "Opaque; the same for every appointment of one person.")
    appointee_organisation: str = shown(_OWN)
    purpose: vocabulary.Purpose = shown(_OWN)
    evidence: str = shown(_OWN)
    starts_on: date = shown(_OWN)
    expires_on: date = shown(_OWN, "The last day on which it counts.")
    registered_at: datetime = shown(_OWN)
    ended_at: datetime | None = shown(_OWN, "When the body ended it early; it then no longer counts.")
