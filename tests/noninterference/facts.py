"""What is true in a world, in small types of this suite's own: the oracle shares no word with the code that it judges.

People are fictional: NHS numbers from 999, telephones from 01632 960.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

CHILD = ""
"""As a subject: the child itself. Any other subject is a linked adult, by case reference number."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a record is about, as a source holds it."""

    born: date
    families: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    role: str | None
    registration: str | None  # BODY:NUMBER
    phone: str | None
    email: str | None


@dataclass(frozen=True, slots=True)
class Team:
    name: str
    phone: str | None
    email: str | None
    out_of_hours: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """One practitioner's or team's work with a subject."""

    local_id: str
    person: Person | None
    role: str | None
    team: Team | None
    service: tuple[str | None, str] | None
    mode: str
    expected_response: str | None
    status: str
    started: date | None
    ended: date | None
    lead: bool
    about: str  # CHILD, LINKED_ADULT, UNBORN
    confirmed: datetime | None
    sensitivity: str
    basis: str | None
    basis_until: date | None
    refusal: str | None
    identity: Identity | None


Item = tuple[tuple[str, Any], ...]
"""The fields of one section item, or of nothing."""


@dataclass(frozen=True, slots=True)
class Held:
    """What one source holds about one subject. `sections`: by path, items or a single value."""

    rows: tuple[Row, ...] = ()
    trace: Identity | None = None
    shielded: bool | None = None
    adults: tuple[str, ...] = ()
    sections: Mapping[str, Any] = field(default_factory=dict)


World = Mapping[tuple[str, str], Held]
"""(source, subject) -> what is held. What is not in it is not known there."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks, as their token says. `acting_for`: the role of the practitioner for whom a system asks."""

    subject: str
    organisation: str
    roles: tuple[str, ...]
    scopes: frozenset[str]
    strong: bool
    registration: str | None
    machine: str = "PERSON"  # PERSON, FOR_PRACTITIONER (client credentials and a name), NOBODY (client credentials)

    @property
    def effective_roles(self) -> tuple[str, ...]:
        return self.roles[:1] if self.machine == "FOR_PRACTITIONER" else self.roles


@dataclass(frozen=True, slots=True)
class Asked:
    """What one lookup asks, but for the selection: whom, why, and whether by break-glass."""

    number: str
    born: date
    family: str
    purpose: str
    override: bool = False
    accepts_review: bool = True
    appointed: bool = False  # for this child and purpose, by the court: their own fact
    previous: bool = False  # ended work is asked for too: a source is not asked for what nobody selects
