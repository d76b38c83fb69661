"""Seeded situations: sources with what they hold about one child, agreements, and somebody who asks.

Texts, dates and numbers are each row's own, so that a value in an answer says whose it is. One registered practitioner
works for several sources, who agree about them: such rows are joined in an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any, Final

from auth.paths import SCOPES, SECTION_PATHS
from connectors.base import Connector
from schema.identifiers import CRN, InvalidIdentifier, NHSNumber
from schema.records import AdultRef, Answered, IdentityClaim, Involvement, Practitioner, Registration, Service, Team
from schema.sections import SECTIONS
from schema.vocabulary import (
    AgencyKind,
    ContactMode,
    DisclosureBasis,
    InvolvementRelationship,
    InvolvementStatus,
    RefusalReason,
    Scope,
    Sensitivity,
)
from tests.fixtures.sources import BORN, FAMILY, Remembering, known, row, source
from tests.fixtures.token_factory import STRONG
from tests.fixtures.world import EVERY_PATH, ORGANISATIONS, Opening, Terms
from tests.monotonicity import sections

STANDARD: Final = "urn:contactpoint:acr:standard"
APPOINTABLE: Final = "COURT_ORDER"
PURPOSES: Final = ("CP_S47", "SAFEGUARD_S16LA", APPOINTABLE)
ROLES: Final = ("social_worker", "mash_practitioner", "health_visitor", "police_safeguarding_officer")
KINDS: Final = ("CHILDRENS_SERVICES", "HEALTH", "POLICE", "SCHOOL")
SOURCES: Final = (
    # id, kind, organisation, sections
    ("cs-amber", "CHILDRENS_SERVICES", "amber-council", ("identity", "childrensServices", "assessments")),
    ("cs-brook", "CHILDRENS_SERVICES", "brook-council", ("identity", "childrensServices", "assessments")),
    ("police-amber", "POLICE", "amber-police", ("police",)),
    ("health-amber", "HEALTH", "amber-nhs", ("identity", "health")),
    ("school-elm", "SCHOOL", "elm-school", ()),
    ("probation-amber", "PROBATION", "amber-probation", ("probation",)),
)
ADULTS: Final = {"cs-amber": CRN("X100001"), "cs-brook": CRN("X100002")}
IDENTITY: Final = IdentityClaim(BORN, (FAMILY,))
ABOUT_ADULTS: Final = "probation-amber"


@dataclass(frozen=True)
class Child:
    """One child as every source holds them."""

    number: NHSNumber
    answers: Mapping[str, tuple[Answered, ...]]

    def rows(self) -> Mapping[str, tuple[str, Involvement]]:
        """Every row by its local id, with its source."""
        return {r.local_id: (s, r) for s, answers in self.answers.items() for a in answers for r in a.involvements}


@dataclass(frozen=True)
class Viewer:
    """Somebody who asks, and how: claims of the token and the access request."""

    person: str
    organisation: str
    roles: tuple[str, ...]
    scopes: frozenset[str]
    acr: str
    registration: str | None
    override: bool
    appointed: bool
    purpose: str
    family: str

    def claims(self) -> dict[str, Any]:
        """Return the claims of a token."""
        found: dict[str, Any] = {"sub": self.person, "org": self.organisation, "roles": list(self.roles)}
        found |= {"scope": " ".join(sorted(self.scopes)), "acr": self.acr}
        return found | ({"registration": self.registration} if self.registration else {})

    def access(self) -> dict[str, Any]:
        """Return what the access request holds beside purpose and reason."""
        return {"override": {"justification": "A child at risk", "acceptReview": True}} if self.override else {}


def connectors() -> dict[str, Remembering]:
    """Return the sources, without any child yet; `hold` gives them one."""
    return {name: Remembering(_source(name, ())) for name, *_ in SOURCES}


def hold(held: Mapping[str, Remembering], child: Child) -> None:
    """Let every source hold this child and no other."""
    for name, connector in held.items():
        connector.inner = _source(name, child.answers.get(name, ()))


def _source(name: str, answers: tuple[Answered, ...]) -> Connector:
    _, kind, organisation, held = next(entry for entry in SOURCES if entry[0] == name)
    paths = {f.path for s in held for f in SECTIONS[s].fields}
    return source(
        name,
        *answers,
        kind=AgencyKind(kind),
        organisation=organisation,
        holds=paths,
        names_adults=name in ADULTS,
        about_adults=name == ABOUT_ADULTS,
    )


def number_at(index: int) -> NHSNumber:
    """Return the valid number of the test range that is at or next after this one of 100,000."""
    for check in range(10):
        try:
            return NHSNumber(f"9991{index % 100_000:05d}{check}")
        except InvalidIdentifier:
            continue
    return number_at(index + 50_021)


def make_child(
    random: Random, index: int, prefix: str = "", who: IdentityClaim = IDENTITY, shielded: float = 0.05
) -> Child:
    """Return a child of whom some sources hold something; every text begins with `prefix`."""
    registered = [f"SW9{index % 1000:03d}{n}" for n in range(2)]
    adults = {name: adult for name, adult in ADULTS.items() if random.random() < 0.5}
    number = number_at(index)
    answers: dict[str, tuple[Answered, ...]] = {}
    for at, (name, _, _, held) in enumerate(SOURCES):
        if random.random() < 0.12:
            continue
        subjects = [AdultRef(a) for a in adults.values()] if name == ABOUT_ADULTS else [number]
        told = []
        for order, subject in enumerate(subjects):
            mark = f"{prefix}{index}/{name}/{order}"
            about = 40 * at + 20 * order
            rows = tuple(
                _row(random, mark, n, about + n, registered, who) for n in range(random.choice((0, 1, 1, 2, 3)))
            )
            agency = _source(name, ()).manifest.agency
            said = [
                sections.record(SECTIONS[s], agency, f"{mark}/{s}", about + 10) for s in held if random.random() < 0.7
            ]
            child_alone = name != ABOUT_ADULTS
            told.append(
                known(
                    subject,
                    *(rows if child_alone else map(_about_adult, rows)),
                    trace=who if child_alone and random.random() < 0.7 else None,
                    shielded=_shielded(random, shielded) if child_alone else None,
                    adults=[adults[name]] if name in adults else (),
                    sections=said,
                )
            )
        answers[name] = tuple(told)
    return Child(number, _one_entry_for_each_person(answers))


def _shielded(random: Random, often: float) -> bool | None:
    return True if random.random() < often else random.choice((False, False, False, None))


def _about_adult(made: Involvement) -> Involvement:
    return replace(made, relationship=InvolvementRelationship.LINKED_ADULT, identity=None)


def _row(random: Random, mark: str, n: int, about: int, registered: list[str], who: IdentityClaim) -> Involvement:
    local = f"{mark}/{n}"
    prefix = mark.partition("/")[0]
    day = date(2020, 1, 1) + timedelta(days=about)
    status = random.choice((InvolvementStatus.CURRENT,) * 3 + (InvolvementStatus.PREVIOUS,))
    number = random.choice((None, *registered))
    sensitivity = random.choice((Sensitivity.STANDARD,) * 6 + (Sensitivity.SENSITIVE, Sensitivity.UNKNOWN))
    told: dict[str, Any] = {
        "practitioner": Practitioner(f"{local} Person", f"{local} Post", None, f"{local} own", f"{local}@own.example"),
        "role": f"{local} Role",
        "team": Team(f"{local} Team", f"{local} team", f"{local}@team.example", f"{local} night"),
        "service": Service(f"{local}-CODE", f"{local} Service"),
        "expected_response": f"{local} days",
        "started_on": day,
        "ended_on": day + timedelta(days=400) if status is InvolvementStatus.PREVIOUS else None,
        "contact_mode": random.choice((ContactMode.DIRECT,) * 4 + (ContactMode.TEAM_ONLY,)),
    }
    if number:
        # the same person at several sources, who agree as far as they say anything
        told |= {
            "practitioner": Practitioner(
                f"{prefix} {number}",
                f"{prefix} Post",
                Registration("SWE", number),
                f"{prefix} own {number}",
                f"{prefix}-{number}@own.example",
            ),
            "role": random.choice((None, f"{prefix} Role")),
            "team": None,
            "service": None,
            "expected_response": f"{prefix} soon",
            "started_on": random.choice((None, date(2019, 1, 1))),
            "ended_on": None,
            "contact_mode": ContactMode.DIRECT,
        }
    return row(
        local,
        **told,
        status=status,
        lead=random.random() < 0.3,
        sensitivity=sensitivity,
        basis=random.choice((None, DisclosureBasis.CONSENT, DisclosureBasis.SIGNIFICANT_HARM)),
        basis_until=random.choice((None, date(2999, 1, 1), date(2020, 1, 1))),
        refusal=RefusalReason.HANDLING_CODE if random.random() < 0.08 else None,
        identity=random.choice((who, who, None)),
    )


def _one_entry_for_each_person(answers: Mapping[str, tuple[Answered, ...]]) -> dict[str, tuple[Answered, ...]]:
    """Leave out a source's further rows of one registered person, so that a number and a source name one row."""
    found = {}
    for name, told in answers.items():
        held: set[str] = set()
        kept_answers = []
        for answer in told:
            kept = []
            for each in answer.involvements:
                person = each.practitioner.registration if each.practitioner else None
                if person is None or person.number not in held:
                    kept.append(each)
                    held |= {person.number} if person else set()
            kept_answers.append(replace(answer, involvements=tuple(kept)))
        found[name] = tuple(kept_answers)
    return found


def make_viewer(random: Random, index: int, child: Child, mistaken: float = 0.04) -> Viewer:
    """Return somebody who asks about the child; sometimes one who works with them, sometimes mistaken in the name."""
    organisation = random.choice([name for name, kind, _ in ORGANISATIONS if kind in KINDS])
    own = next(name for name, _, theirs, _ in SOURCES if theirs == organisation)
    people = [
        r.practitioner.registration
        for name, r in child.rows().values()
        if name == own and r.practitioner and r.practitioner.registration
    ]
    registration = f"SWE:{random.choice(people).number}" if people and random.random() < 0.8 else None
    scopes = {s.value for s in SCOPES.values() if random.random() < 0.9} | {Scope.INVOLVEMENT.value}
    override = random.random() < 0.3
    purpose = random.choice(PURPOSES)
    return Viewer(
        person=f"worker-{index}",
        organisation=organisation,
        roles=tuple(random.sample(ROLES, random.choice((1, 2, 2, 3)))),
        scopes=frozenset(scopes | ({Scope.OVERRIDE.value} if override or random.random() < 0.3 else set())),
        acr=STRONG if override or random.random() < 0.75 else STANDARD,
        registration=registration,
        override=override,
        appointed=purpose == APPOINTABLE and random.random() < 0.8,
        purpose=purpose,
        family="Somebody-Else" if random.random() < mistaken else FAMILY,
    )


def make_agreements(random: Random) -> tuple[Terms, ...]:
    """Return a set of agreements: of kinds, of custodians in their own right, some of them lapsed."""
    custodians = [f"kind:{kind}" for kind in dict.fromkeys(kind for _, kind, *_ in SOURCES)]
    custodians += random.sample([name for name, *_ in SOURCES], 2)
    return tuple(
        Terms(
            custodian,
            [_opening(random) for _ in range(random.choice((3, 4, 5)))],
            areas=("amber",) if random.random() < 0.12 else (),
            review_on="2001-01-01" if random.random() < 0.08 else "2999-12-31",
        )
        for custodian in custodians
    )


def _opening(random: Random) -> Opening:
    opens = {path for path in EVERY_PATH if random.random() < (0.5 if path in SECTION_PATHS else 0.75)}
    relationship = random.choice(("NONE",) * 4 + ("ORGANISATION", "PRACTITIONER", "APPOINTED", "OVERRIDE"))
    return Opening(
        opens=sorted(
            opens | ({"involvements", "involvements.linkedAdult"} if random.random() < 0.8 else {"assessments"})
        ),
        to=random.sample(KINDS, random.choice((3, 4))),
        roles=random.sample(ROLES, random.choice((1, 2, 3, 4))),
        purposes=random.choice((PURPOSES, PURPOSES, PURPOSES[:1], PURPOSES[1:])),
        relationship=relationship,
        assurance=random.choice(("STANDARD", "STANDARD", "STRONG")),
        organisations=("amber-council", "amber-nhs", "amber-police") if random.random() < 0.1 else (),
    )
