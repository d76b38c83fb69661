"""What a source says, before anybody has decided who may see it. No GraphQL here.

`auth.disclosure` is the only door from these records to `schema.types`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from schema.identifiers import CRN, NHSNumber, PrisonNumber
from schema.made_quickly import made_quickly
from schema.vocabulary import (
    AgencyKind,
    ContactMode,
    DisclosureBasis,
    InvolvementRelationship,
    InvolvementStatus,
    RefusalReason,
    Sensitivity,
    SourceReason,
)


@made_quickly
@dataclass(frozen=True, slots=True)
class ChildRef:
    """The child an ask is about. An ask carries the number alone: corroboration is done on what comes back."""

    nhs_number: NHSNumber


@made_quickly
@dataclass(frozen=True, slots=True)
class AdultRef:
    """An adult whom children's services linked to the child; a caller can never name one."""

    identifier: CRN | PrisonNumber


SubjectRef = ChildRef | AdultRef


@made_quickly
@dataclass(frozen=True, slots=True)
class Agency:
    """An agency as a caller may see it. For a sensitive service this is its broker."""

    id: str
    name: str
    kind: AgencyKind
    area: str | None = None
    safeguarding_lead: Contact | None = None


@made_quickly
@dataclass(frozen=True, slots=True)
class Contact:
    """How somebody is reached. Telephone and e-mail as the source wrote them."""

    mode: ContactMode
    phone: str | None = None
    email: str | None = None
    out_of_hours: str | None = None
    expected_response: str | None = None


@made_quickly
@dataclass(frozen=True, slots=True)
class Registration:
    """A professional registration, for example body SWE, number SW900001."""

    body: str
    number: str


@made_quickly
@dataclass(frozen=True, slots=True)
class Practitioner:
    """A named practitioner; a row without one speaks for its team."""

    name: str
    role: str | None = None
    registration: Registration | None = None
    phone: str | None = None
    email: str | None = None


@made_quickly
@dataclass(frozen=True, slots=True)
class Team:
    """A team and its own contact, which stays when the practitioner's is withheld."""

    name: str
    phone: str | None = None
    email: str | None = None
    out_of_hours: str | None = None


@made_quickly
@dataclass(frozen=True, slots=True)
class Service:
    """What kind of service, for example code HEALTH_VISITING."""

    code: str | None
    name: str


@made_quickly
@dataclass(frozen=True, slots=True)
class IdentityClaim:
    """Who a source holds the record to be about: proves, or fails to prove, that the asker means this child."""

    date_of_birth: date
    family_names: tuple[str, ...]  # current, former and alias names
    given_names: tuple[str, ...] = ()


@made_quickly
@dataclass(frozen=True, slots=True)
class Involvement:
    """One practitioner's or team's work with the subject, as one source states it."""

    local_id: str  # the source's own key; never leaves the gateway
    practitioner: Practitioner | None
    role: str | None
    team: Team | None
    service: Service | None
    contact_mode: ContactMode
    expected_response: str | None
    status: InvolvementStatus
    started_on: date | None
    ended_on: date | None
    lead: bool
    relationship: InvolvementRelationship
    last_confirmed_at: datetime | None
    # No defaults below: each decides access.
    sensitivity: Sensitivity
    basis: DisclosureBasis | None
    basis_until: date | None
    refusal: RefusalReason | None  # the source's own hard stop, and why; None: it lets the row be told
    identity: IdentityClaim | None  # the record this row hangs on, where it has an identity of its own


@made_quickly
@dataclass(frozen=True, slots=True)
class LinkedAdult:
    """An adult linked to the child, asserted by children's services."""

    adult: AdultRef
    relationship: str


@made_quickly
@dataclass(frozen=True, slots=True)
class Answered:
    """A source's complete, authenticated, schema-valid answer about exactly the subject asked."""

    subject: SubjectRef
    involvements: tuple[Involvement, ...]
    trace: IdentityClaim | None  # an identity trace: FHIR Patient, the children's-services child
    shielded: bool | None  # None: this source does not say
    linked_adults: tuple[LinkedAdult, ...]
    sections: Mapping[type, object]  # section class -> its instance
    as_of: datetime | None  # extracts only; an answer that is dated more than five minutes ahead is not believed


@made_quickly
@dataclass(frozen=True, slots=True)
class NoAnswer:
    """A source gave no answer about this subject. Never the same as an answer that holds nothing."""

    subject: SubjectRef
    reason: SourceReason
    code: str  # the finer code, for audit and metrics only


Answer = Answered | NoAnswer
