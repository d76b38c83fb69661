"""What an authority answers, member by member. Source: wire interfaces, "Children's services".

A field that the document did not select is UNSET; `mapping` refuses an answer that leaves out one that it selected.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from connectors.consent import Consent
from schema.sections import CODE, LegalStatus, PlanKind

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Word = Annotated[str, msgspec.Meta(pattern=rf"\A{CODE}\Z")]


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    pass


class Name(_Form, frozen=True):
    """One name of the child."""

    use: Literal["CURRENT", "FORMER", "ALIAS"]
    given_names: tuple[Text, ...]
    family_name: Text


class Team(_Form, frozen=True):
    """A team and how it is reached."""

    name: Text
    phone: Text | None
    email: Text | None
    duty_phone: Text | None


class Worker(_Form, frozen=True):
    """A member of the authority's staff."""

    display_name: Text
    role: Text
    social_work_england_no: Text | None
    phone: Text | None
    email: Text | None


class Sharing(_Form, frozen=True):
    """The authority's decision on sharing, and the reason of one not to share; both words may be new to us."""

    decision: Text
    reason: Text | None


class CaseInvolvement(_Form, frozen=True):
    """A team's work with the child; no worker means that nobody is allocated."""

    id: Text
    kind: Text
    status: Literal["OPEN", "CLOSED"]
    team: Team
    worker: Worker | None
    started_on: date
    ended_on: date | None
    is_lead: bool
    last_confirmed_at: Moment | None
    sharing: Sharing | None


class LinkedAdult(_Form, frozen=True):
    """An adult with whom the child lives or has contact."""

    crn: Text | None
    prison_number: Text | None
    relationship: Text


class Statutory(_Form, frozen=True):
    """A legal status under the Children Act 1989."""

    status: LegalStatus | Literal["NONE"]
    since: date
    until: date | None


class Plan(_Form, frozen=True):
    """That a plan exists, and its dates; what it is about is not asked for."""

    kind: PlanKind
    started_on: date
    ended_on: date | None
    review_due_on: date | None
    conference_on: date | None
    core_group_on: date | None


class Holder(_Form, frozen=True):
    """The team that holds an assessment."""

    name: Text


class Assessment(_Form, frozen=True):
    """That an assessment exists, and the consent on which that may be told."""

    kind: Word
    holder_team: Holder
    completed_on: date | None
    consent: Consent | None


class Child(_Form, frozen=True):
    """The authority's record of a child; the last four are there when they were asked for."""

    nhs_number: str
    date_of_birth: date
    names: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    shielded: bool
    sharing: Sharing | None
    linked_adults: tuple[LinkedAdult, ...]
    involvements: tuple[CaseInvolvement, ...] | UnsetType = UNSET
    statutory: tuple[Statutory, ...] | UnsetType = UNSET
    plans: tuple[Plan, ...] | UnsetType = UNSET
    assessments: tuple[Assessment, ...] | UnsetType = UNSET


class ChildResult(_Form, frozen=True):
    """What is held about one number. The child stays unread until the number has been compared."""

    nhs_number: str
    complete: bool
    child: dict[str, Any] | None


class Children(_Form, frozen=True):
    """`data` of the children document. The results stay unread, so that a fault in one is that one's."""

    children: list[dict[str, Any]]


class ShieldedPage(_Form, frozen=True):
    """One page of the authority's shields."""

    nhs_numbers: tuple[str, ...]
    next: Text | None
    complete: bool


class Shielded(_Form, frozen=True):
    """`data` of the shields document."""

    shielded: ShieldedPage


class Status(_Form, frozen=True):
    """The status of the authority's service."""

    status: Literal["ok"]


class Health(_Form, frozen=True):
    """`data` of the health document."""

    health: Status
