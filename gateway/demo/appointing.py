"""The family court appoints the guardian for some of the children of the stories, over GraphQL like any court."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any, Final

from gateway.demo.families import World
from gateway.demo.personas import PERSONAS

STORIES: Final = ("ordinary", "twins", "three-authorities", "linked-adult-probation", "former-surname")
"""The stories in which the court has appointed the guardian; in no other, and never for the shielded child."""

_DAYS: Final = 90
_LISTED: Final = "{ appointments { evidence endedAt expiresOn } }"
_REGISTER: Final = "mutation ($stated: AppointmentInput!) { registerAppointment(appointment: $stated) { id } }"

Send = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Sends one operation as the court and returns its `data`."""


def appoint_guardian(world: World, send: Send, stories: Collection[str] = STORIES) -> int:
    """Register what is not registered already; return how many appointments were made."""
    today = world.today.isoformat()
    listed = send(_LISTED, {})["appointments"]
    there = {one["evidence"] for one in listed if one["endedAt"] is None and one["expiresOn"] > today}
    guardian = PERSONAS["cafcass-guardian"]
    made = 0
    for order, (story, number, _, _) in enumerate(world.stories(), 1):
        # the reference of the order names no child
        evidence = f"Northshire Family Court, demo order {order}"
        if story not in stories or evidence in there:
            continue
        stated = {
            "nhsNumber": number,
            "appointeeSubject": guardian.subject,
            "appointeeOrganisation": guardian.organisation,
            "purpose": "CAFCASS_S42",
            "evidence": evidence,
            "expiresOn": (world.today + timedelta(days=_DAYS)).isoformat(),
        }
        send(_REGISTER, {"stated": stated})
        made += 1
    return made
