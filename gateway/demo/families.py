"""The fictional world that the simulated agencies know: the same seed and day give the same people and cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from random import Random
from types import MappingProxyType
from typing import Any

from gateway.demo.decided_families import decided_families
from gateway.demo.further_families import further_families
from gateway.demo.households import households
from gateway.demo.people import Adult, Assessment, Child, SchoolInvolvement
from gateway.demo.records import Scribe
from gateway.demo.registry_office import RegistryOffice
from gateway.demo.stories import published_stories

PUBLISHED_STORIES = (
    "ordinary",
    "twins",
    "shielded",
    "sensitive-service",
    "linked-adult-probation",
    "three-authorities",
    "unallocated",
    "nobody-involved",
    "unknown",
    "agency-down",
    "former-surname",
    "turned-18",
    "deceased",
)
"""What the demo prints, one child each; further stories may follow in `World.stories()`."""


@dataclass(frozen=True, slots=True)
class World:
    """All fictional people on one day. Children of stories come first, in the order in which they are told."""

    children: tuple[Child, ...]
    adults: tuple[Adult, ...]
    today: date
    by_nhs_number: Mapping[str, Child]
    by_adult_identifier: Mapping[str, Adult]

    def story(self, name: str) -> Child:
        """Return the first child of a story; raises KeyError for a story that is not told."""
        for child in self.children:
            if child.story == name:
                return child
        raise KeyError(name)

    def stories(self) -> list[tuple[str, str, date, str]]:
        """Return (story, NHS number, date of birth, family name) for each child of a story, in order."""
        return [
            (child.story, child.nhs_number, child.date_of_birth, child.listed_family_name)
            for child in self.children
            if child.story is not None
        ]


def make_world(seed: int = 7, children: int = 2000, today: date | None = None) -> World:
    """Return a world of about `children` children, never fewer than the stories need.

    `today` is the day of the demo (UTC); dates of birth count back from it.
    """
    scribe = Scribe(RegistryOffice(), today or datetime.now(UTC).date())
    told, adults = published_stories(scribe)
    further, further_adults = further_families(scribe)
    told += [*further, *decided_families(scribe)]
    adults += further_adults
    others = islice(households(scribe, Random(seed), adults), max(0, children - len(told)))
    everybody = (*told, *others)
    return World(
        children=everybody,
        adults=tuple(adults),
        today=scribe.today,
        by_nhs_number=MappingProxyType({child.nhs_number: child for child in everybody}),
        by_adult_identifier=MappingProxyType(
            {identifier: adult for adult in adults for identifier in (adult.crn, adult.prison_number) if identifier}
        ),
    )


def school_records(world: World) -> list[dict[str, Any]]:
    """Return what the school holds, as records of the driver `memory`."""
    return [
        {
            "nhsNumber": child.nhs_number,
            "dateOfBirth": child.date_of_birth.isoformat(),
            "familyName": child.current_name.family,
            "givenNames": list(child.current_name.given),
            "formerFamilyNames": [name.family for name in child.names[1:]],
            "shielded": False,
            "involvements": [_school_row(row) for row in child.school],
            "sections": {"assessments": [_school_assessment(one) for one in child.school_assessments]},
        }
        for child in world.children
        if child.school
    ]


def _school_assessment(held: Assessment) -> dict[str, Any]:
    consent = held.consent
    return {
        "kind": held.kind,
        "holder": held.team.name,
        "completedOn": held.completed_on and held.completed_on.isoformat(),
        "consent": consent
        and {
            "givenOn": consent.given_on.isoformat(),
            "until": consent.until and consent.until.isoformat(),
            "withdrawnOn": consent.withdrawn_on and consent.withdrawn_on.isoformat(),
        },
    }


def _school_row(row: SchoolInvolvement) -> dict[str, Any]:
    return {
        "id": row.id,
        "practitioner": {"name": row.worker.name, "role": row.worker.role, "registration": row.worker.registration},
        "role": row.worker.role,
        "team": {"name": row.team.name},
        "contact": {
            "mode": "DIRECT",
            "phone": row.worker.phone,
            "email": row.worker.email,
            "outOfHours": row.team.out_of_hours,
            "expectedResponse": "The same school day",
        },
        "status": "CURRENT" if row.ended_on is None else "PREVIOUS",
        "startedOn": row.started_on.isoformat(),
        "endedOn": None if row.ended_on is None else row.ended_on.isoformat(),
        "lead": row.lead,
        "sensitivity": "STANDARD",
        "lastConfirmedAt": f"{row.last_confirmed_on.isoformat()}T09:00:00Z",
    }
