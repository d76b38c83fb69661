"""What agencies hold, in the closed list of phrases that scenario files use, and what each phrase would let be seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from connectors.base import Connector
from schema.identifiers import CRN, NHSNumber
from schema.records import AdultRef, Agency, Answered, IdentityClaim, Involvement
from schema.sections import SECTIONS, SectionDeclaration, form_of, words_of
from schema.vocabulary import (
    AgencyKind,
    ContactMode,
    DisclosureBasis,
    InvolvementRelationship,
    InvolvementStatus,
    RefusalReason,
    Sensitivity,
)
from tests.fixtures.sources import BORN, FAMILY, known, row, sensitive, source

REGISTRATION: Final = "SW900001"
_PLAIN: Final = frozenset({"involvements", "involvements.practitioner"})
_YESTERDAY: Final = date.today() - timedelta(days=1)  # noqa: DTZ011 - a day, whatever the clock


@dataclass(frozen=True, slots=True)
class AgencyOfTheTown:
    """One agency that is asked."""

    kind: AgencyKind
    organisation: str
    area: str
    sections: tuple[str, ...] = ()
    about_adults: bool = False


TOWN: Final[Mapping[str, AgencyOfTheTown]] = {
    "council": AgencyOfTheTown(
        AgencyKind.CHILDRENS_SERVICES, "amber-council", "amber", ("childrensServices", "assessments", "identity")
    ),
    "brook": AgencyOfTheTown(AgencyKind.CHILDRENS_SERVICES, "brook-council", "brook", ("childrensServices",)),
    "trust": AgencyOfTheTown(AgencyKind.HEALTH, "amber-nhs", "amber", ("health",)),
    "police": AgencyOfTheTown(AgencyKind.POLICE, "amber-police", "amber", ("police",)),
    "school": AgencyOfTheTown(AgencyKind.SCHOOL, "elm-school", "amber"),
    "housing": AgencyOfTheTown(AgencyKind.HOUSING, "amber-housing", "amber"),
    "charity": AgencyOfTheTown(AgencyKind.VOLUNTARY_SECTOR, "amber-charity", "amber"),
    "youth": AgencyOfTheTown(AgencyKind.YOUTH_JUSTICE, "amber-youth-justice", "amber"),
    "probation": AgencyOfTheTown(AgencyKind.PROBATION, "amber-probation", "amber", ("probation",), about_adults=True),
}


@dataclass(frozen=True, slots=True)
class Phrase:
    """One phrase: the row it makes, if it makes one, and the fields that it holds."""

    holds: frozenset[str]
    row: Mapping[str, Any] | None = None
    clinic: bool = False


def _refused(reason: RefusalReason) -> Phrase:
    return Phrase(_PLAIN, {"refusal": reason})


def _clinic(**differs: Any) -> Phrase:
    return Phrase(frozenset({"involvements.sensitive"}), differs, clinic=True)


PHRASES: Final[Mapping[str, Phrase]] = {
    "a worker": Phrase(_PLAIN, {}),
    "the asker": Phrase(_PLAIN, {"number": REGISTRATION, "name": "The asker"}),
    "a worker who is reached through the team": Phrase(_PLAIN, {"contact_mode": ContactMode.TEAM_ONLY}),
    "work that ended yesterday": Phrase(
        frozenset({"involvements.previous"}), {"status": InvolvementStatus.PREVIOUS, "ended_on": _YESTERDAY}
    ),
    "work before the birth": Phrase(_PLAIN, {"relationship": InvolvementRelationship.UNBORN, "identity": None}),
    "work with an adult of the family": Phrase(
        frozenset({"involvements.linkedAdult"}),
        {"relationship": InvolvementRelationship.LINKED_ADULT, "identity": None},
    ),
    "a row that it refuses to share: more detrimental to the child": _refused(RefusalReason.MORE_DETRIMENTAL),
    "a row that it refuses to share: handling code": _refused(RefusalReason.HANDLING_CODE),
    "a row that it refuses to share: named users only": _refused(RefusalReason.ACCESS_LIMITATION),
    "a clinic, with consent": _clinic(),
    "a clinic, whose consent ended yesterday": _clinic(basis_until=_YESTERDAY),
    "a clinic, without consent": _clinic(basis=None, basis_until=None),
    "a clinic, on significant harm": _clinic(basis=DisclosureBasis.SIGNIFICANT_HARM, basis_until=None),
    "a service of which it does not say how sensitive it is": _clinic(
        sensitivity=Sensitivity.UNKNOWN, basis=None, basis_until=None
    ),
    "a shield": Phrase(frozenset()),
    "another child under this number": Phrase(frozenset()),
    "deeper records": Phrase(frozenset()),
    "a linked adult": Phrase(frozenset()),
    "the linked adult, supervised": Phrase(
        frozenset({"involvements.linkedAdult", "involvements.practitioner"}),
        {"relationship": InvolvementRelationship.LINKED_ADULT, "identity": None},
    ),
    "no answer today": Phrase(frozenset()),
    "nothing": Phrase(frozenset()),
}


@dataclass(frozen=True, slots=True)
class Child:
    """One scenario's own child, so that many scenarios share a world."""

    number: NHSNumber
    adult: CRN


def child_of(place: int) -> Child:
    """Return the child of the scenario at this place: fictional, with a valid number of the test range."""
    for digit in range(10):
        try:
            return Child(NHSNumber(f"999{place + 1:06d}{digit}"), CRN(f"X{100000 + place}"))
        except ValueError:
            continue
    # a number whose check digit would be 10 does not exist: the one after the last scenario's does not matter
    return child_of(place + 50_000)


def held(agency: str, phrases: Iterable[str]) -> frozenset[str]:
    """Return every path that an agency holds something for."""
    found = frozenset[str]().union(*(PHRASES[phrase].holds for phrase in phrases))
    if "deeper records" in phrases:
        found |= {field.path for name in TOWN[agency].sections for field in SECTIONS[name].fields}
    return found


def answer(agency: str, child: Child, phrases: list[str]) -> Answered:
    """Return what an agency says. Raises KeyError for a phrase that is none."""
    of = TOWN[agency]
    other = "another child under this number" in phrases
    claim = IdentityClaim(date(2012, 12, 12), ("Quayle",)) if other else IdentityClaim(BORN, (FAMILY,))
    rows = [_row(f"{agency}-{place}", PHRASES[phrase], claim) for place, phrase in enumerate(phrases)]
    deeper = "deeper records" in phrases
    return known(
        AdultRef(child.adult) if of.about_adults else child.number,
        *(row for row in rows if row is not None),
        trace=claim if deeper and not of.about_adults else None,
        shielded="a shield" in phrases,
        adults=[child.adult] if "a linked adult" in phrases else [],
        sections=[_section(SECTIONS[name], agency, of) for name in of.sections] if deeper else [],
    )


def connector(agency: str, answers: Iterable[Answered]) -> Connector:
    """Return the agency as a source."""
    of = TOWN[agency]
    paths = [field.path for name in of.sections for field in SECTIONS[name].fields]
    return source(
        agency,
        *answers,
        kind=of.kind,
        organisation=of.organisation,
        area=of.area,
        holds=paths,
        names_adults=of.kind is AgencyKind.CHILDRENS_SERVICES,
        about_adults=of.about_adults,
    )


def _row(name: str, phrase: Phrase, claim: IdentityClaim) -> Involvement | None:
    if phrase.row is None:
        return None
    made = sensitive if phrase.clinic else row
    return made(name, **({"identity": claim} | dict(phrase.row)))


def _section(declaration: SectionDeclaration, agency: str, of: AgencyOfTheTown) -> object:
    values = {}
    for field in declaration.fields:
        values[field.name] = (_item(field.item, Agency(agency, agency, of.kind)),) if field.item else None
    if declaration.field == "identity":
        values |= {"given_names": ("Bo",), "family_name": FAMILY, "date_of_birth": BORN}
    return declaration.cls(**values)


def _item(item: type, agency: Agency) -> object:
    """Return an item with a word in every text that it must have."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(item):
        words = words_of(field)
        text = words[0] if words else "ONE" if form_of(field) else "One" if str(field.type) == "str" else None
        values[field.name] = agency if field.name == "agency" else text
    return item(**values)
