"""How a caller stands to a child before anything is known of the child: appointed, or by break-glass, or neither."""

from __future__ import annotations

from datetime import date

from auth.appointments import AppointmentRegister, AppointmentsUnreadable
from auth.caller import Caller
from auth.sharing import AgreementSet
from auth.standing import NO_STANDING, Standing, standing_of
from gateway.asked import Access, Key
from gateway.errors import Overloaded
from gateway.plan import Planner
from schema.vocabulary import Relationship


def floor_of(
    planner: Planner,
    register: AppointmentRegister,
    agreements: AgreementSet,
    caller: Caller,
    access: Access,
    key: Key,
    today: date,
) -> Standing:
    """Return the standing from which a lookup starts. Raises Overloaded if the register cannot be read.

    It is read only for callers to whom an appointment could open something: for all others a lookup costs no more.
    """
    held = standing_of(Relationship.OVERRIDE) if access.justification is not None else NO_STANDING
    ordinary = planner.entitlements(agreements, caller, access.purpose, today, held)
    if ordinary.may_be_appointed and is_appointed(register, caller, access, key, today):
        return standing_of(*held, Relationship.APPOINTED)
    return held


def is_appointed(register: AppointmentRegister, caller: Caller, access: Access, key: Key, today: date) -> bool:
    """Return whether the caller is appointed for the child and the purpose. Raises Overloaded."""
    try:
        return register.held(caller, key.nhs_number, access.purpose, today)
    except AppointmentsUnreadable:
        raise Overloaded(1) from None
