"""A simulated workforce: places with a council, an NHS trust, police, schools and others, their teams, rotas and leave.

Knows nothing of how misuse is looked for. What the workforce feed would say of it is written as any personnel system
would write it, with the gaps and mistakes that such feeds have.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

FIRST_DAY = date(2026, 1, 5)  # a Monday, in winter: local time is UTC until the end of March
DAYS = 56

SURNAMES = 600
DISTRICTS = 12

_SHIFTS = ((7.0, 15.0), (14.0, 22.0), (21.5, 31.5))


@dataclass(slots=True, eq=False)
class Worker:
    """One person at work."""

    id: str
    place: int
    organisation: str
    team: str
    role: str
    front_door: bool
    registration: str | None
    surname: str
    district: str
    serves: str | None
    starts: int  # day of the simulation; before it, not employed
    leaves: int  # last day
    rate: float  # look-ups a working day
    phrases: int  # how many different reasons this person ever writes; 0: writes a new one each time
    two_clients: bool
    shifts: dict[int, tuple[float, float]] = field(default_factory=dict)  # hours of the day, the end may pass 24
    leave: set[int] = field(default_factory=set)
    works_though_on_leave: bool = False
    caseload: list[int] = field(default_factory=list)
    children: list[int] = field(default_factory=list)
    relatives: list[int] = field(default_factory=list)
    undeclared: list[int] = field(default_factory=list)


# team name, role, people, front door, look-ups a day, registration body, serves one district
_TEAMS: dict[str, tuple[tuple[str, str, int, bool, float, str | None, bool], ...]] = {
    "council": (
        ("mash", "mash_practitioner", 8, True, 16.0, "SWE", False),
        ("protection-north", "social_worker", 12, False, 3.6, "SWE", False),
        ("protection-south", "social_worker", 12, False, 3.6, "SWE", False),
        ("early-help", "early_help_worker", 8, False, 2.5, None, False),
        ("housing-options", "housing_officer", 4, False, 1.2, None, False),
    ),
    "nhs": (
        ("visitors-east", "health_visitor", 10, False, 4.0, "NMC", True),
        ("visitors-west", "health_visitor", 10, False, 4.0, "NMC", True),
        ("emergency", "named_safeguarding_professional", 10, True, 9.0, "NMC", False),
        ("maternity", "midwife", 8, False, 2.5, "NMC", False),
        ("school-nurses", "school_nurse", 6, False, 3.0, "NMC", True),
    ),
    "police": (
        ("referral-desk", "police_safeguarding_officer", 6, True, 12.0, "POL", False),
        ("child-abuse", "police_safeguarding_officer", 8, False, 3.0, "POL", False),
    ),
    "probation": (("offenders", "probation_practitioner", 6, False, 1.5, "PRB", False),),
    "cafcass": (("guardians", "cafcass_guardian", 3, False, 1.5, "SWE", False),),
}
_SCHOOLS = 5


def workforce(random: Random, places: int) -> list[Worker]:
    """Return everybody who works in so many places, with their hours and leave, and without caseloads yet."""
    workers: list[Worker] = []
    for place in range(places):
        for kind, teams in _TEAMS.items():
            for team, role, people, door, rate, body, local in teams:
                for number in range(people):
                    serves = district(place, number % DISTRICTS) if local else None
                    workers.append(
                        _worker(random, len(workers), place, f"{kind}-{place}", team, role, door, rate, body, serves)
                    )
        for school in range(_SCHOOLS):
            for _ in range(2):
                serves = district(place, school)
                workers.append(
                    _worker(
                        random,
                        len(workers),
                        place,
                        f"school-{place}-{school}",
                        "safeguarding",
                        "school_safeguarding_lead",
                        door=False,
                        rate=1.2,
                        body="TRN",
                        serves=serves,
                    )
                )
    return workers


def district(place: int, number: int) -> str:
    """Return a postcode district of a place that no map has."""
    first, second = divmod(place, 26)
    return f"{chr(65 + first % 26)}{chr(65 + second)}{number + 1}"


def surname(random: Random) -> str:
    """Return a family name: a few are common, most are rare."""
    return f"name{min(int(random.paretovariate(0.75)) - 1, SURNAMES * 10) % (SURNAMES * 10)}"


def _worker(
    random: Random,
    number: int,
    place: int,
    organisation: str,
    team: str,
    role: str,
    door: bool,
    rate: float,
    body: str | None,
    serves: str | None,
) -> Worker:
    joins = random.random() < 0.03
    goes = random.random() < 0.05
    worker = Worker(
        id=f"w{number}",
        place=place,
        organisation=organisation,
        team=team,
        role=role,
        front_door=door,
        registration=f"{body}:{100000 + number}" if body else None,
        surname=surname(random),
        district=district(place, random.randrange(DISTRICTS)),
        serves=serves,
        starts=random.randrange(10, DAYS - 10) if joins else 0,
        leaves=random.randrange(DAYS // 2, DAYS) if goes and not joins else DAYS + 365,
        rate=rate * random.uniform(0.6, 1.4),
        phrases=random.choice((0, 0, 0, 1, 3)),
        two_clients=random.random() < 0.08,
    )
    _hours(random, worker, number)
    return worker


def _hours(random: Random, worker: Worker, number: int) -> None:
    for start in random.sample(range(DAYS), k=2):
        if random.random() < 0.7:
            worker.leave |= set(range(start, start + random.choice((1, 2, 5))))
    worker.works_though_on_leave = random.random() < 0.02
    for day in range(DAYS):
        if worker.front_door:
            # four days on, three off, turning through the shifts
            turn = (day + number * 2) // 7
            if (day + number * 2) % 7 < 4:
                worker.shifts[day] = _SHIFTS[(turn + number) % 3]
        elif day % 7 < 5:
            worker.shifts[day] = (8.5, 17.5)


def feed(random: Random, workers: list[Worker], numbers: list[str]) -> str:
    """Return the feed of these people as CSV; `numbers` are the NHS numbers of the children by index."""
    out = io.StringIO()
    names = (
        "issuer,subject,organisation,team,registration,surname,address_district,serves_district,front_door,"
        "rota,leave,starts_on,leaves_on,own_children,relatives"
    )
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names.split(","))
    for worker in workers:
        if random.random() < 0.02:
            continue  # nobody told the personnel system
        team = "pool" if random.random() < 0.01 else worker.team  # moved, and the feed has not heard
        writer.writerow(
            (
                "https://id.example",
                worker.id,
                worker.organisation,
                team,
                worker.registration or "",
                worker.surname.capitalize(),
                worker.district,
                worker.serves or "",
                "yes" if worker.front_door else "no",
                _rota(worker),
                "; ".join(day_of(day).isoformat() for day in sorted(worker.leave) if day < DAYS),
                day_of(worker.starts).isoformat() if worker.starts else "",
                day_of(worker.leaves).isoformat() if worker.leaves < DAYS else "",
                ";".join(numbers[child] for child in worker.children),
                ";".join(numbers[child] for child in worker.relatives),
            )
        )
    return out.getvalue()


def day_of(day: int) -> date:
    """Return the date of a day of the simulation."""
    return FIRST_DAY + timedelta(days=day)


def _rota(worker: Worker) -> str:
    if not worker.front_door:
        return "Mon-Fri 08:30-17:30"
    return "; ".join(
        f"{day_of(day).isoformat()} {_clock(begins)}-{_clock(ends)}" for day, (begins, ends) in worker.shifts.items()
    )


def _clock(hours: float) -> str:
    minutes = round(hours * 60) % (24 * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
