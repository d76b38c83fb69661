"""The other children of the fictional counties: most are known to nobody but a health visitor, a few to many."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from gateway.demo.names import BOYS, FAMILIES, GIRLS
from gateway.demo.people import (
    Adult,
    Allocation,
    CareTeam,
    Child,
    CouncilRecord,
    HealthRecord,
    Inclusion,
    NameUse,
    PersonName,
    PoliceRecord,
    SchoolInvolvement,
)
from gateway.demo.records import Scribe, named
from gateway.demo.registry_office import years_before
from gateway.demo.staff import (
    CAMHS,
    CAMHS_STAFF,
    CASEY_MOOR,
    COUNCILS,
    DANA_AMIN,
    HANA_LIND,
    HEALTH_VISITING,
    HEALTH_VISITORS,
    OFFICERS,
    PETRA_BLUM,
    PRACTICES,
    PROBATION_OFFICERS,
    PROBATION_TEAMS,
    PUBLIC_PROTECTION,
    SAM_OKORO,
    SCHOOL_NURSES,
    SCHOOL_NURSING,
    SCHOOL_STAFF,
    YOUNG_PEOPLES_SUBSTANCE_USE,
)

_AREAS = ("northshire",) * 6 + ("eastmarch",) * 2 + ("westvale",) * 2
_YEAR = 365.25
_STATUSES = ("EARLY_HELP", "CIN_S17", "CIN_S17", "ENQUIRY_S47", "CP_PLAN", "CLA_S20")
_HEALTH_VISITORS = (*HEALTH_VISITORS, HANA_LIND)
_NORTHSHIRE_WORKERS = (*COUNCILS["northshire"].workers, SAM_OKORO, CASEY_MOOR)
_PROBATION_OFFICERS = (*PROBATION_OFFICERS, PETRA_BLUM)


def households(scribe: Scribe, chance: Random, adults: list[Adult]) -> Iterator[Child]:
    """Yield children without end, home by home; adults on probation join `adults` as their homes are met."""
    while True:
        area = chance.choice(_AREAS)
        family = chance.choice(FAMILIES)
        postcode = f"ZZ{chance.randrange(10, 99)} {chance.randrange(1, 9)}AA"
        known_to_council = chance.random() < 0.16
        parent = _parent(scribe, chance, family) if known_to_council and chance.random() < 0.2 else None
        if parent is not None:
            adults.append(parent)
        size = chance.choices((1, 2, 3, 4), (45, 38, 12, 5))[0]
        twins = size == 2 and chance.random() < 0.05
        born = scribe.days_ago(chance.randrange(30, 6500))
        for order in range(size):
            if order and not twins:
                born += timedelta(days=chance.randrange(400, 1200))
            if born > scribe.today:
                break
            council = _council(scribe, chance, area, parent) if known_to_council else None
            shielded = council is not None and council.shielded
            sex = chance.choice("FM")
            yield scribe.child(
                _names(scribe, chance, sex, family, born),
                born,
                sex,
                area=area,
                postcode=None if shielded else postcode,
                birth_order=order + 1 if twins else None,
                health=_health(scribe, chance, area, born, shielded),
                police=_police(scribe, chance, area, known_to_council, shielded),
                councils=() if council is None else (council,),
                school=() if shielded else _school(scribe, chance, area, born),
            )


def _names(scribe: Scribe, chance: Random, sex: str, family: str, born: date) -> tuple[PersonName, ...]:
    given = chance.choice(GIRLS if sex == "F" else BOYS)
    current = named(given, family, born)
    if chance.random() >= 0.03:
        return (current,)
    changed = scribe.days_ago(chance.randrange(0, max(1, (scribe.today - born).days)))
    former = named(given, chance.choice(FAMILIES), born, NameUse.FORMER, changed)
    return (named(given, family, changed), former)


def _health(scribe: Scribe, chance: Random, area: str, born: date, shielded: bool) -> HealthRecord | None:
    if chance.random() < 0.02:
        return None  # not registered anywhere
    teams: list[CareTeam] = []
    age = (scribe.today - born).days
    if area == "northshire":
        inclusion = chance.choices(tuple(Inclusion), (6, 3, 1))[0]
        if age < 5 * _YEAR and chance.random() < 0.7:
            visitor = chance.choice(HEALTH_VISITORS if shielded else _HEALTH_VISITORS)
            teams.append(scribe.care_team(HEALTH_VISITING, visitor, since=max(1, age - 10), inclusion=inclusion))
        elif age >= 5 * _YEAR and chance.random() < 0.15:
            nurse = chance.choice(SCHOOL_NURSES)
            teams.append(scribe.care_team(SCHOOL_NURSING, nurse, since=chance.randrange(20, 900), inclusion=inclusion))
        if age > 11 * _YEAR and chance.random() < 0.05:
            teams.append(scribe.care_team(CAMHS, chance.choice(CAMHS_STAFF), labels=("MH",)))
        if age > 13 * _YEAR and chance.random() < 0.02:
            teams.append(scribe.care_team(YOUNG_PEOPLES_SUBSTANCE_USE, labels=("SUD",)))
    practice = None if shielded else chance.choice(PRACTICES)
    return HealthRecord("R" if shielded else "U", practice, care_teams=tuple(teams))


def _council(scribe: Scribe, chance: Random, area: str, parent: Adult | None) -> CouncilRecord:
    council = COUNCILS[area]
    shielded = chance.random() < 0.04
    workers = _NORTHSHIRE_WORKERS if area == "northshire" and not shielded else council.workers
    worker = None if chance.random() < 0.08 else chance.choice(workers)
    since = chance.randrange(10, 900)
    ended = since // 2 if chance.random() < 0.3 else None
    status = chance.choice(_STATUSES)
    return scribe.council(
        area,
        scribe.council_row(chance.choice(council.teams), worker, since=since, ended=ended, lead=ended is None),
        shielded=shielded,
        adults=() if parent is None else (scribe.linked(parent, chance.choice(("FATHER", "MOTHER", "STEPFATHER"))),),
        status=status,
        since=since,
        until=ended,
        assessments=(scribe.early_help(council.early_help),) if status == "EARLY_HELP" else (),
    )


def _police(scribe: Scribe, chance: Random, area: str, known_to_council: bool, shielded: bool) -> PoliceRecord | None:
    if area != "northshire" or chance.random() >= (0.4 if known_to_council else 0.04):
        return None
    officer = chance.choice((*OFFICERS, None))
    ended = chance.choice((None, None, 20))
    row = scribe.police_row(officer, event_type="DOMESTIC_INCIDENT", unit=PUBLIC_PROTECTION, ended=ended)
    return scribe.police(
        row,
        restricted=shielded,
        handling_code=chance.choices("PCS", (8, 1, 1))[0],
        match_score=0.9 + chance.random() / 10,
    )


def _school(scribe: Scribe, chance: Random, area: str, born: date) -> tuple[SchoolInvolvement, ...]:
    age = (scribe.today - born).days / _YEAR
    if area != "northshire" or not 4.5 < age < 11.5 or chance.random() >= 0.25:
        return ()
    return (scribe.school_row(chance.choice((DANA_AMIN, *SCHOOL_STAFF)), since=chance.randrange(10, 400)),)


def _parent(scribe: Scribe, chance: Random, family: str) -> Adult:
    allocation = Allocation.OFFICER if chance.random() < 0.8 else chance.choice(tuple(Allocation))
    return Adult(
        crn=scribe.office.crn(),
        prison_number=None,
        given=chance.choice(BOYS),
        middle=None,
        family=family,
        date_of_birth=years_before(scribe.today, chance.randrange(22, 50), chance.randrange(365)),
        sex="M",
        team=chance.choice(PROBATION_TEAMS),
        officer=chance.choice(_PROBATION_OFFICERS) if allocation is Allocation.OFFICER else None,
        allocation=allocation,
    )
