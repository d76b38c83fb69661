"""Who asks, and why: viewers of every role and kind of organisation, from a seeded generator."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from tests.noninterference.facts import Asked, Viewer
from tests.noninterference.table import (
    ALL_SCOPES,
    BASES,
    EDGE,
    HOMES,
    ORGANISATIONS,
    OVERRIDE_SCOPE,
)

ROLES = tuple(HOMES)
BORN_DAYS_AGO = 2600
FAMILIES = ("Amis", "Núñez-Bell", "O'Dare", "Van der Elm")
OTHER_FAMILIES = ("Quayle", "Stranger", "Holt")
_LAW_ROLES = {"probation_practitioner", "prison_offender_manager", "youth_justice_worker"}


def viewer(rng: Random, name: str) -> Viewer:
    """Return somebody; roles come in equal shares, and most people work where their role usually does."""
    role = rng.choice(ROLES)
    roles = (role, rng.choice(ROLES)) if rng.random() < 0.06 else (role,)
    organisation = rng.choice(HOMES[role])
    chance = rng.random()
    if chance < 0.08:
        organisation = rng.choice(tuple(ORGANISATIONS))
    elif chance < 0.1:
        organisation = "stranger"
    scopes = set(ALL_SCOPES)
    if rng.random() < 0.35:
        scopes = {scope for scope in sorted(scopes) if rng.random() < 0.7} | {"involvement:read"}
        if rng.random() < 0.06:
            scopes.discard("involvement:read")
    if rng.random() < 0.9:
        scopes.add(OVERRIDE_SCOPE)
    chance = rng.random()
    return Viewer(
        subject=name,
        organisation=organisation,
        roles=tuple(dict.fromkeys(roles)),
        scopes=frozenset(scopes),
        strong=rng.random() < 0.75,
        registration=f"SWE:SW{rng.randrange(3)}" if rng.random() < 0.8 else None,
        machine="FOR_PRACTITIONER" if chance < 0.12 else "NOBODY" if chance < 0.14 else "PERSON",
    )


def asked(rng: Random, who: Viewer, number: str, today: date) -> Asked:
    """Return what this viewer asks about the child of this number: mostly the right key, for a purpose that they have."""
    role = who.effective_roles[0]
    chance = rng.random()
    purpose = "CP_S47"
    if role in _LAW_ROLES and chance < 0.3:
        purpose = rng.choice(("OMA_S14", "MAPPA_S325"))
    elif chance > 0.86:
        purpose = rng.choice(tuple(BASES))
    elif chance > 0.7:
        purpose = "CAFCASS_S42" if role == "cafcass_guardian" else "CIN_S17"
    born, family = today - timedelta(days=BORN_DAYS_AGO), family_of(number)
    if rng.random() < 0.05:
        born += timedelta(days=rng.choice((-1, 1, 31)))
    if rng.random() < 0.05:
        family = rng.choice(OTHER_FAMILIES)
    often = 0.4 if role in EDGE else 0.12
    return Asked(number, born, family, purpose, override=rng.random() < often, accepts_review=rng.random() < 0.96)


def family_of(number: str) -> str:
    """The family name of the child of this number, in every world."""
    return FAMILIES[int(number[3:9]) // 2 % len(FAMILIES)]


def nhs_number(index: int) -> str:
    """Return a valid number of the range that is never issued to anybody, another for every index below 499 000."""
    # of two stems that follow each other at most one has no check digit
    for stem in (999_000_010 + 2 * index, 999_000_011 + 2 * index):
        digits = [int(c) for c in str(stem)]
        check = 11 - sum(d * w for d, w in zip(digits, range(10, 1, -1), strict=False)) % 11
        if check != 10:
            return f"{stem}{0 if check == 11 else check}"
    raise AssertionError(index)
