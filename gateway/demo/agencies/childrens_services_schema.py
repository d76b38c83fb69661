"""The GraphQL schema of a fictional authority's case system, as `docs/wire-interfaces.md` publishes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import Enum
from typing import NewType

import strawberry
from graphql import GraphQLError
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from gateway.demo import people
from gateway.demo.agencies.desk import Ask
from gateway.demo.agencies.faults import Fault

SHIELDS_PER_PAGE = 4

NhsNumber = NewType("NhsNumber", str)


def _nhs_number(value: object) -> NhsNumber:
    if not isinstance(value, str) or len(value) != 10 or not value.isascii() or not value.isdigit():
        raise GraphQLError("an NHS number has ten digits")
    return NhsNumber(value)


@dataclass(frozen=True, slots=True)
class Authority:
    """The children of one authority, and somebody to talk of when it is told to answer about the wrong person."""

    name: str
    children: Mapping[str, tuple[people.Child, people.CouncilRecord]]
    stand_in: str


@dataclass(frozen=True, slots=True)
class Context:
    """What one execution may look at."""

    authority: Authority
    ask: Ask


Info = strawberry.Info[Context, None]


@strawberry.enum
class InvolvementStatus(Enum):
    OPEN = "OPEN"
    CLOSED = "CLOSED"


@strawberry.enum
class NameUse(Enum):
    CURRENT = "CURRENT"
    FORMER = "FORMER"
    ALIAS = "ALIAS"


@strawberry.type
class Name:
    use: NameUse
    given_names: list[str]
    family_name: str


@strawberry.type
class Team:
    id: strawberry.ID
    name: str
    phone: str | None
    email: str | None
    duty_phone: str | None


@strawberry.type
class Worker:
    id: strawberry.ID
    display_name: str
    role: str
    social_work_england_no: str | None
    phone: str | None
    email: str | None


@strawberry.type
class Sharing:
    decision: str
    reason: str | None


@strawberry.type
class Involvement:
    id: strawberry.ID
    kind: str
    status: InvolvementStatus
    team: Team
    worker: Worker | None
    started_on: date
    ended_on: date | None
    is_lead: bool
    last_confirmed_at: datetime | None
    sharing: Sharing | None


@strawberry.type
class LinkedAdult:
    crn: str | None
    prison_number: str | None
    relationship: str
    asserted_on: date


@strawberry.type
class StatutoryStatus:
    status: str
    since: date
    until: date | None


@strawberry.type
class Plan:
    kind: str
    started_on: date
    ended_on: date | None
    review_due_on: date | None
    conference_on: date | None
    core_group_on: date | None
    category: str | None


@strawberry.type
class Consent:
    given_on: date
    until: date | None
    withdrawn_on: date | None


@strawberry.type
class Assessment:
    id: strawberry.ID
    kind: str
    holder_team: Team
    started_on: date
    completed_on: date | None
    consent: Consent | None


@strawberry.type
class Child:
    person: strawberry.Private[people.Child]
    record: strawberry.Private[people.CouncilRecord]

    @strawberry.field
    def local_id(self) -> strawberry.ID:
        return strawberry.ID(self.record.local_id)

    @strawberry.field
    def nhs_number(self) -> NhsNumber:
        return NhsNumber(self.person.nhs_number)

    @strawberry.field
    def date_of_birth(self) -> date:
        return self.person.date_of_birth

    @strawberry.field
    def sex(self) -> str | None:
        return self.person.sex

    @strawberry.field
    def names(self) -> list[Name]:
        return [
            Name(use=NameUse[one.use], given_names=list(one.given), family_name=one.family) for one in self.person.names
        ]

    @strawberry.field
    def shielded(self) -> bool:
        return self.record.shielded

    @strawberry.field
    def sharing(self) -> Sharing | None:
        return _sharing(self.record.sharing)

    @strawberry.field
    def deceased_on(self) -> date | None:
        return self.person.deceased_on

    @strawberry.field
    def involvements(
        self,
        status: list[InvolvementStatus] | None = [InvolvementStatus.OPEN],  # noqa: B006  the default is part of the SDL
    ) -> list[Involvement]:
        rows = map(_involvement, self.record.involvements)
        return [row for row in rows if status is None or row.status in status]

    @strawberry.field
    def linked_adults(self) -> list[LinkedAdult]:
        return [
            LinkedAdult(
                crn=one.crn,
                prison_number=one.prison_number,
                relationship=one.relationship,
                asserted_on=one.asserted_on,
            )
            for one in self.record.linked_adults
        ]

    @strawberry.field
    def statutory(self) -> list[StatutoryStatus]:
        return [StatutoryStatus(status=one.status, since=one.since, until=one.until) for one in self.record.statutory]

    @strawberry.field
    def plans(self) -> list[Plan]:
        return [
            Plan(
                kind=plan.kind,
                started_on=plan.started_on,
                ended_on=plan.ended_on,
                review_due_on=plan.review_due_on,
                conference_on=plan.conference_on,
                core_group_on=plan.core_group_on,
                category=plan.category,
            )
            for plan in self.record.plans
        ]

    @strawberry.field
    def assessments(self) -> list[Assessment]:
        return [
            Assessment(
                id=strawberry.ID(one.id),
                kind=one.kind,
                holder_team=_team(one.team),
                started_on=one.started_on,
                completed_on=one.completed_on,
                consent=_consent(one.consent),
            )
            for one in self.record.assessments
        ]


@strawberry.type
class ChildResult:
    nhs_number: NhsNumber
    complete: bool
    child: Child | None


@strawberry.type
class ShieldedPage:
    nhs_numbers: list[NhsNumber]
    next: str | None
    complete: bool


@strawberry.type
class Health:
    status: str


@strawberry.type
class Query:
    @strawberry.field
    def children(self, info: Info, nhs_numbers: list[NhsNumber]) -> list[ChildResult]:
        authority, fault = info.context.authority, info.context.ask.about(*nhs_numbers)
        if fault is Fault.MISSING_RESULT:
            nhs_numbers = nhs_numbers[1:]
        results = []
        for number in nhs_numbers:
            held = authority.children.get(authority.stand_in if fault is Fault.WRONG_PERSON else number)
            child = None if held is None else Child(person=held[0], record=held[1])
            results.append(ChildResult(nhs_number=number, complete=fault is not Fault.PARTIAL_PAGE, child=child))
        return results

    @strawberry.field
    def shielded(self, info: Info, after: str | None = strawberry.UNSET) -> ShieldedPage:
        fault = info.context.ask.about()
        shields = [number for number, (_, record) in info.context.authority.children.items() if record.shielded]
        start = _start(after or None, len(shields))
        end = start + SHIELDS_PER_PAGE
        return ShieldedPage(
            nhs_numbers=[NhsNumber(number) for number in shields[start:end]],
            next=f"p{end}" if end < len(shields) else None,
            complete=fault is not Fault.PARTIAL_PAGE,
        )

    @strawberry.field
    def health(self) -> Health:
        return Health(status="ok")


class _QuietSchema(strawberry.Schema):
    """Logs nothing: what a client got wrong may hold an identifier."""

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        return None


SCHEMA = _QuietSchema(
    Query,
    config=StrawberryConfig(
        scalar_map={NhsNumber: strawberry.scalar(name="NhsNumber", serialize=str, parse_value=_nhs_number)}
    ),
    extensions=[ParserCache, ValidationCache],
)


def _start(after: str | None, count: int) -> int:
    if after is None:
        return 0
    if not after.startswith("p") or not after[1:].isdigit() or int(after[1:]) >= count:
        raise GraphQLError("no such page")
    return int(after[1:])


def _team(team: people.Team) -> Team:
    return Team(
        id=strawberry.ID(team.code),
        name=team.name,
        phone=team.phone,
        email=team.email,
        duty_phone=team.out_of_hours,
    )


def _worker(worker: people.Worker) -> Worker:
    return Worker(
        id=strawberry.ID(worker.code),
        display_name=worker.name,
        role=worker.role,
        social_work_england_no=worker.registration,
        phone=worker.phone,
        email=worker.email,
    )


def _consent(consent: people.Consent | None) -> Consent | None:
    if consent is None:
        return None
    return Consent(given_on=consent.given_on, until=consent.until, withdrawn_on=consent.withdrawn_on)


def _sharing(sharing: people.Sharing | None) -> Sharing | None:
    return None if sharing is None else Sharing(decision=sharing.decision, reason=sharing.reason)


def _involvement(row: people.CouncilInvolvement) -> Involvement:
    return Involvement(
        id=strawberry.ID(row.id),
        kind=row.kind,
        status=InvolvementStatus.OPEN if row.ended_on is None else InvolvementStatus.CLOSED,
        team=_team(row.team),
        worker=None if row.worker is None else _worker(row.worker),
        started_on=row.started_on,
        ended_on=row.ended_on,
        is_lead=row.is_lead,
        last_confirmed_at=datetime.combine(row.last_confirmed_on, time(9), UTC),
        sharing=_sharing(row.sharing),
    )
