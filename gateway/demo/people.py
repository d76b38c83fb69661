"""What the fictional agencies know about fictional people: plain values, in each agency's own words.

No real person is described: NHS numbers are of the 999 range, which is never issued, telephones of 01632 960000 to
960999, which are kept for drama, and addresses of e-mail end in `.example` (RFC 2606).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class NameUse(StrEnum):
    """How a name is used now."""

    CURRENT = "CURRENT"
    FORMER = "FORMER"
    ALIAS = "ALIAS"


@dataclass(frozen=True, slots=True)
class PersonName:
    """One name of a person; `since` is when it came into use."""

    use: NameUse
    given: tuple[str, ...]
    family: str
    since: date
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Team:
    """A team and how it is reached; `code` is also its identifier."""

    code: str
    name: str
    phone: str
    email: str
    out_of_hours: str | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """A member of staff; `registration` is the bare number of their professional register."""

    code: str
    given: str
    family: str
    role: str
    registration: str | None
    phone: str
    email: str

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"


@dataclass(frozen=True, slots=True)
class Consent:
    """A recorded consent to mention something: from when, until when, and the day on which it was withdrawn."""

    given_on: date
    until: date | None
    withdrawn_on: date | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """That an early-help assessment exists, and which team holds it; no consent means that it may not be mentioned."""

    id: str
    kind: str
    team: Team
    started_on: date
    completed_on: date | None
    consent: Consent | None


# children's services


@dataclass(frozen=True, slots=True)
class Sharing:
    """An authority's decision on sharing, with the reason of one not to share."""

    decision: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class CouncilInvolvement:
    """A team of an authority works, or worked, with the child; no worker means the case waits for one."""

    id: str
    kind: str
    team: Team
    worker: Worker | None
    started_on: date
    ended_on: date | None
    is_lead: bool
    last_confirmed_on: date
    sharing: Sharing | None = None


@dataclass(frozen=True, slots=True)
class LinkedAdult:
    """An adult with whom the child lives or has contact, as the authority asserts it."""

    crn: str | None
    prison_number: str | None
    relationship: str
    asserted_on: date


@dataclass(frozen=True, slots=True)
class StatutoryStatus:
    """The child's standing in law with an authority."""

    status: str
    since: date
    until: date | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A child protection or care plan."""

    kind: str
    started_on: date
    review_due_on: date | None
    category: str | None
    ended_on: date | None = None
    conference_on: date | None = None
    core_group_on: date | None = None


@dataclass(frozen=True, slots=True)
class CouncilRecord:
    """One authority's record of a child."""

    authority: str
    local_id: str
    shielded: bool
    involvements: tuple[CouncilInvolvement, ...] = ()
    linked_adults: tuple[LinkedAdult, ...] = ()
    statutory: tuple[StatutoryStatus, ...] = ()
    plans: tuple[Plan, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    sharing: Sharing | None = None


# police


@dataclass(frozen=True, slots=True)
class Officer:
    """A police officer or member of police staff."""

    collar: str
    name: str
    rank: str


@dataclass(frozen=True, slots=True)
class PoliceInvolvement:
    """A unit's work on an event that concerns the child."""

    id: str
    event_type: str
    role: str
    officer: Officer | None
    unit: Team
    started_on: date
    ended_on: date | None
    last_confirmed_on: date
    do_not_disclose: bool


@dataclass(frozen=True, slots=True)
class PoliceOrder:
    """An order or power used for the child's protection, and the unit that answers for it."""

    kind: str
    started_on: date
    ended_on: date | None
    unit: Team | None = None
    do_not_disclose: bool = False


@dataclass(frozen=True, slots=True)
class PoliceNotification:
    """That the force told an agency of a kind something about the child."""

    kind: str
    sent_on: date
    recipient: str
    do_not_disclose: bool = False


@dataclass(frozen=True, slots=True)
class PoliceRecord:
    """The force's nominal for a child."""

    nominal_id: str
    restricted: bool
    handling_code: str
    roles: tuple[str, ...]
    match_score: float
    involvements: tuple[PoliceInvolvement, ...]
    orders: tuple[PoliceOrder, ...] = ()
    notifications: tuple[PoliceNotification, ...] = ()


# health


class Inclusion(StrEnum):
    """How a care team's answer carries its practitioners: FHIR allows each, and a reader must take each."""

    CONTAINED = "CONTAINED"
    INCLUDED = "INCLUDED"
    BY_REFERENCE = "BY_REFERENCE"


@dataclass(frozen=True, slots=True)
class DisclosureBasis:
    """Why a sensitive service may be mentioned: CONSENT or SIGNIFICANT_HARM, until when, and whether withdrawn."""

    code: str
    until: date | None
    withdrawn_on: date | None = None


@dataclass(frozen=True, slots=True)
class CareTeam:
    """A health team that cares, or cared, for the child; `labels` are security labels of the row."""

    id: str
    team: Team
    organisation: str
    practitioners: tuple[Worker, ...]
    started_on: date
    ended_on: date | None
    labels: tuple[str, ...]
    basis: DisclosureBasis | None
    episode: bool
    inclusion: Inclusion


@dataclass(frozen=True, slots=True)
class SafeguardingFlag:
    """What an authority tells the health service (child protection information sharing): CPP, LAC or UCPP."""

    id: str
    code: str
    authority: str
    started_on: date
    ended_on: date | None


@dataclass(frozen=True, slots=True)
class HealthRecord:
    """The trace and the care teams; `confidentiality` is U or R (a restricted patient)."""

    confidentiality: str
    practice: str | None
    superseded_by: str | None = None
    invalidated: bool = False
    care_teams: tuple[CareTeam, ...] = ()
    flags: tuple[SafeguardingFlag, ...] = ()


# school


@dataclass(frozen=True, slots=True)
class SchoolInvolvement:
    """A member of a school's staff is the contact for the child."""

    id: str
    worker: Worker
    team: Team
    started_on: date
    ended_on: date | None
    last_confirmed_on: date
    lead: bool = False


# people


@dataclass(frozen=True, slots=True)
class Child:
    """A fictional child, and what each agency holds; `story` names the case that the child is there to show."""

    nhs_number: str
    date_of_birth: date
    sex: str
    names: tuple[PersonName, ...]
    area: str
    postcode: str | None
    story: str | None = None
    deceased_on: date | None = None
    birth_order: int | None = None
    health: HealthRecord | None = None
    police: PoliceRecord | None = None
    councils: tuple[CouncilRecord, ...] = ()
    school: tuple[SchoolInvolvement, ...] = ()
    school_assessments: tuple[Assessment, ...] = ()

    @property
    def current_name(self) -> PersonName:
        return self.names[0]

    @property
    def listed_family_name(self) -> str:
        """The family name that the list of stories gives: for a child who changed names, the old one."""
        if self.story == "former-surname":
            return next(name.family for name in self.names if name.use is NameUse.FORMER)
        return self.current_name.family

    def council(self, authority: str) -> CouncilRecord | None:
        """Return what one authority holds, or None."""
        return next((record for record in self.councils if record.authority == authority), None)


@dataclass(frozen=True, slots=True)
class AccessLimitation:
    """A limited-access offender: staff who are kept out, or the only staff who may look."""

    excluded: tuple[str, ...]
    restricted_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mappa:
    """Multi-agency public protection arrangements for an adult."""

    level: int
    category: int
    started_on: date
    review_on: date


@dataclass(frozen=True, slots=True)
class DynamicRisk:
    """A risk register of an adult's probation record, such as RCCO (child concerns)."""

    code: str
    description: str
    started_on: date
    review_on: date


@dataclass(frozen=True, slots=True)
class RiskOfHarm:
    """The assessed risk of serious harm in the community: to children, and the level over all."""

    assessed_on: date
    to_children: str
    overall: str


class Allocation(StrEnum):
    """Who supervises: the two placeholders are both seen in probation's own records."""

    OFFICER = "OFFICER"
    PLACEHOLDER_UNALLOCATED = "PLACEHOLDER_UNALLOCATED"
    PLACEHOLDER_STAFF = "PLACEHOLDER_STAFF"
    NO_NAME = "NO_NAME"


@dataclass(frozen=True, slots=True)
class Adult:
    """A fictional adult on probation or in prison; `merged_into` is the CRN under which the record lives now."""

    crn: str
    prison_number: str | None
    given: str
    middle: str | None
    family: str
    date_of_birth: date
    sex: str
    team: Team
    officer: Worker | None
    allocation: Allocation
    under_supervision: bool = True
    prison: str | None = None
    prison_manager: Worker | None = None
    limitation: AccessLimitation | None = None
    mappa: Mappa | None = None
    risks: tuple[DynamicRisk, ...] = ()
    harm: RiskOfHarm | None = None
    merged_into: str | None = None
