"""Who asks, and why: viewers of every role and kind of organisation, from a seeded generator."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from random import Random

from tests.noninterference.agreements import BASES, NOBODY
from tests.noninterference.facts import Asked, Viewer
from tests.noninterference.oracle import rights
from tests.noninterference.table import ALL_SCOPES, APPOINTABLE, HOMES, ORGANISATIONS, OVERRIDE_SCOPE, SOURCES

ROLES = tuple(HOMES)
BORN_DAYS_AGO = 2600
FAMILIES = ("Amis", "Núñez-Bell", "O'Dare", "Van der Elm")
OTHER_FAMILIES = ("Quayle", "Stranger", "Holt")
_CONTROLLERS = {source.organisation for source in SOURCES}


def _some_scopes() -> tuple[frozenset[str], ...]:
    """All of them, then sets that lack some; a few sets, because gateways remember what is open to whom."""
    rng = Random("scopes")
    every = ALL_SCOPES | {OVERRIDE_SCOPE}
    some = [frozenset(s for s in sorted(every) if rng.random() < 0.7) | {"involvement:read"} for _ in range(7)]
    return every, *some, every - {OVERRIDE_SCOPE}, every - {"involvement:read"}


_SCOPES = _some_scopes()
# one source alone opens anything to immigration officers, so they come more often
_GRANTED = (*(role for role in ROLES if role not in NOBODY), "immigration_officer")


def viewer(rng: Random, name: str) -> Viewer:
    """Return somebody; roles come in equal shares, and most people work where their role usually does."""
    # a refused lookup asks nobody: those whom nothing is ever opened to come less often
    role = rng.choice(NOBODY if rng.random() < 0.06 else _GRANTED)
    roles = (role, rng.choice(ROLES)) if rng.random() < 0.06 else (role,)
    organisation = rng.choice(HOMES[role])
    chance = rng.random()
    if chance < 0.06:
        organisation = rng.choice(tuple(ORGANISATIONS))
    elif chance < 0.075:
        organisation = "stranger"
    scopes = rng.choice(_SCOPES) if rng.random() < 0.45 else _SCOPES[0]
    chance = rng.random()
    return Viewer(
        subject=name,
        organisation=organisation,
        roles=tuple(dict.fromkeys(roles)),
        scopes=scopes,
        strong=rng.random() < 0.84,
        registration=f"SWE:SW{rng.randrange(3)}" if rng.random() < 0.8 else None,
        machine="FOR_PRACTITIONER" if chance < 0.12 else "NOBODY" if chance < 0.14 else "PERSON",
    )


def asked(rng: Random, who: Viewer, number: str, today: date) -> Asked:
    """Return what this viewer asks about the child of this number: mostly the right key, for a fitting purpose."""
    born, family = today - timedelta(days=BORN_DAYS_AGO), family_of(number)
    if rng.random() < 0.05:
        born += timedelta(days=rng.choice((-1, 1, 31)))
    if rng.random() < 0.05:
        family = rng.choice(OTHER_FAMILIES)
    able = OVERRIDE_SCOPE in who.scopes and who.strong
    often = 0.36 if who.organisation not in _CONTROLLERS else 0.16
    question = Asked(
        number,
        born,
        family,
        "VITAL_INTERESTS",
        override=rng.random() < (often if able else 0.02),
        accepts_review=rng.random() < 0.97,
    )
    chance = rng.random()
    if chance < 0.7:
        return question
    appointed = rng.random() < 0.7
    others = [replace(question, purpose=purpose, appointed=appointed and purpose in APPOINTABLE) for purpose in BASES]
    fitting = [each for each in others if rights(who, each)]
    return rng.choice(fitting if fitting and chance < 0.96 else others)


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
