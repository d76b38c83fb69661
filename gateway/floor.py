"""How a caller stands to a child before anything is known of the child: appointed, or by break-glass, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from auth.appointments import AppointmentRegister, AppointmentsUnreadable
from auth.caller import Caller
from auth.entitlements import Entitlements
from auth.sharing import AgreementSet
from auth.standing import NO_STANDING, standing_of
from gateway.asked import Access, Key
from gateway.errors import Overloaded
from gateway.plan import Planner
from schema.made_quickly import made_quickly
from schema.vocabulary import Relationship


@made_quickly
@dataclass(frozen=True, slots=True)
class Floor:
    """What is open with the standing from which a lookup starts, and the appointment that it rests on, if any."""

    entitlements: Entitlements
    appointment: str | None


async def floor_of(
    planner: Planner,
    register: AppointmentRegister,
    agreements: AgreementSet,
    caller: Caller,
    access: Access,
    key: Key,
    today: date,
) -> Floor:
    """Return from where a lookup starts. Raises Overloaded if the register of appointments cannot be read.

    It is read only for callers to whom an appointment could open something: for all others a lookup costs no more.
    """
    held = standing_of(Relationship.OVERRIDE) if access.justification is not None else NO_STANDING
    ordinary = planner.entitlements(agreements, caller, access.purpose, today, held)
    if not ordinary.may_be_appointed:
        return Floor(ordinary, None)
    if (found := await appointment_of(register, caller, access, key, today)) is not None:
        appointed = standing_of(*held, Relationship.APPOINTED)
        return Floor(planner.entitlements(agreements, caller, access.purpose, today, appointed), found)
    return Floor(ordinary, None)


async def appointment_of(
    register: AppointmentRegister, caller: Caller, access: Access, key: Key, today: date
) -> str | None:
    """Return the appointment of the caller for the child and the purpose, if there is one. Raises Overloaded."""
    try:
        return await register.find(caller, key.nhs_number, access.purpose, today)
    except AppointmentsUnreadable:
        raise Overloaded(1) from None
