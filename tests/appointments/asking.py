"""A court, a guardian and a child: who registers, who is appointed, and how each of them asks."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from tests.fixtures.sources import CHILD
from tests.fixtures.world import Opening, Terms, Told, World, today

COURT: Final[dict[str, Any]] = {
    "org": "amber-court",
    "sub": "court-officer",
    "roles": [],
    "scope": "appointment:write",
}
GUARDIAN: Final[dict[str, Any]] = {
    "org": "amber-guardians",
    "sub": "guardian-1",
    "roles": ["cafcass_guardian"],
    "scope": "involvement:read child.identity:read",
}
PURPOSES: Final = ("CAFCASS_S42", "COURT_ORDER")
TO_GUARDIANS: Final = {"to": ("CAFCASS",), "roles": ("cafcass_guardian",), "purposes": PURPOSES}
TO_THE_APPOINTED: Final = (Terms("kind:CHILDRENS_SERVICES", (Opening(**TO_GUARDIANS, relationship="APPOINTED"),)),)
"""Everything of local authorities to guardians who are appointed for the child, and nothing to anybody else."""

FIELDS: Final = "id appointee appointeeOrganisation purpose evidence startsOn expiresOn registeredAt endedAt"
REGISTER: Final = (
    f"mutation Appoint($stated: AppointmentInput!) {{ registerAppointment(appointment: $stated) {{ {FIELDS} }} }}"
)
END: Final = f"mutation End($id: ID!) {{ endAppointment(id: $id) {{ {FIELDS} }} }}"
LIST: Final = f"{{ appointments {{ {FIELDS} }} }}"


def in_days(days: int) -> str:
    return (today() + timedelta(days=days)).isoformat()


def stated(**differs: Any) -> dict[str, Any]:
    """Return an `AppointmentInput` for the guardian and the child, with members replaced or, by None, left out."""
    usual = {
        "nhsNumber": str(CHILD),
        "appointeeSubject": GUARDIAN["sub"],
        "appointeeOrganisation": GUARDIAN["org"],
        "purpose": "CAFCASS_S42",
        "evidence": "ZE26C00123, order of the family court",
        "expiresOn": in_days(90),
    }
    return {name: value for name, value in (usual | differs).items() if value is not None}


async def register(world: World, *, by: dict[str, Any] = COURT, **differs: Any) -> Told:
    """Send the registration of an appointment."""
    return await world.post(REGISTER, {"stated": stated(**differs)}, **by)


async def registered(world: World, **differs: Any) -> dict[str, Any]:
    """Register an appointment and return it."""
    told = await register(world, **differs)
    found: dict[str, Any] = told.body["data"]["registerAppointment"]
    return found


async def end(world: World, appointment: str, *, by: dict[str, Any] = COURT) -> Told:
    return await world.post(END, {"id": appointment}, **by)


async def look_up(world: World, *arguments: Any, **differs: Any) -> Told:
    """Ask about the child as the guardian."""
    return await world.ask(*arguments, **({"purpose": "CAFCASS_S42"} | GUARDIAN | differs))


def a_year_and_more_after(day: date, years: int) -> str:
    """Return the day after the same day of that year."""
    return (date(day.year + years, day.month, min(day.day, 28)) + timedelta(days=4)).isoformat()
