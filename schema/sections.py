"""Deeper records, each declared once.

A section is a frozen dataclass whose every field names the scope that opens it. The GraphQL type, `@requiresScopes`
in the SDL, the access matrix, the pruning and the mask sent to connectors all come from this one declaration. A field
without a scope fails when the class is made.

Fields hold either a tuple of items, each stamped with the agency that said it, or a single value; either is None when
there is nothing to show, whatever the cause: withheld looks absent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from schema.records import Agency
from schema.vocabulary import Scope

_SCOPE = "scope"
_WORDS = "words"
_FORM = "form"
T = TypeVar("T", bound=type)


class UndeclaredDisclosure(TypeError):
    """A section's field names no scope: nobody decided who may see it."""


def opened_by(scope: Scope) -> Any:
    """Declare a section field that `scope` opens; its value defaults to None, which shows nothing."""
    return field(default=None, metadata={_SCOPE: scope})


def words(of: Any) -> dict[str, tuple[str, ...]]:
    """Declare, as metadata of an item's field, the only words that it may hold: those of a `Literal`."""
    return {_WORDS: get_args(of)}


def words_of(item_field: dataclasses.Field[Any]) -> tuple[str, ...]:
    """Return the only words that an item's field may hold, in their order; empty if it is no closed list."""
    found: tuple[str, ...] = item_field.metadata.get(_WORDS, ())
    return found


CODE = r"[A-Z][A-Z0-9_]{0,63}"
"""The form of a word of an open list, such as a kind of event: nothing longer can be told in its place."""
CODED = MappingProxyType({_FORM: CODE})
"""Declares, as metadata of an item's field, that it holds a word of that form."""


def form_of(item_field: dataclasses.Field[Any]) -> str | None:
    """Return the regular expression that an item's field matches as a whole, or None if it declares none."""
    found: str | None = item_field.metadata.get(_FORM)
    return found


@dataclass(frozen=True, slots=True)
class SectionField:
    """One declared field: its path in a lookup (`police.events`), its scope, and its item class if it is a list."""

    path: str
    name: str
    scope: Scope
    item: type | None


@dataclass(frozen=True, slots=True)
class SectionDeclaration:
    """A section class as the rest of the system sees it. `hoisted`: its only field stands at the lookup's own level."""

    cls: type
    field: str
    hoisted: bool
    fields: tuple[SectionField, ...]


_declared: dict[str, SectionDeclaration] = {}
SECTIONS = MappingProxyType(_declared)


def section(field_name: str, *, hoisted: bool = False) -> Any:
    """Class decorator: register a section that answers the lookup field `field_name`.

    Raises UndeclaredDisclosure if a field names no scope, ValueError if the name is taken.
    """

    def declare(cls: T) -> T:
        made: Any = dataclass(frozen=True, slots=True)(cls)
        if field_name in _declared:
            raise ValueError(f"section {field_name} is declared twice")
        hints = get_type_hints(made)
        found = []
        for f in dataclasses.fields(made):
            scope = f.metadata.get(_SCOPE)
            if not isinstance(scope, Scope):
                raise UndeclaredDisclosure(f"{cls.__name__}.{f.name} names no scope")
            path = field_name if hoisted else f"{field_name}.{camel(f.name)}"
            found.append(SectionField(path, f.name, scope, _item_class(hints[f.name])))
        _declared[field_name] = SectionDeclaration(made, field_name, hoisted, tuple(found))
        return made  # type: ignore[no-any-return]

    return declare


def camel(name: str) -> str:
    """Return the GraphQL spelling of a Python name: `started_on` -> `startedOn`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _item_class(hint: Any) -> type | None:
    """The dataclass inside `tuple[Item, ...] | None`, else None."""
    for option in get_args(hint):
        inner = get_args(option)
        if inner and dataclasses.is_dataclass(inner[0]):
            return inner[0] if isinstance(inner[0], type) else None
    return None


def section_fields() -> Iterator[SectionField]:
    """Every declared field of every section, in declaration order."""
    for declaration in _declared.values():
        yield from declaration.fields


# ---------------------------------------------------------------------------------------------------------------
# Facts alone: that something exists, its kind, its dates, and how to reach those who answer for it. Nothing below may
# hold a narrative, a reason or a note, so every kind, code and level is a word of a list or of a fixed form.


# Identity


@section("identity")
class ChildIdentity:
    """Who the child is, as an identity trace has it. The asker already brought a number, a name and a date of birth."""

    given_names: tuple[str, ...] | None = opened_by(Scope.IDENTITY)
    family_name: str | None = opened_by(Scope.IDENTITY)
    date_of_birth: date | None = opened_by(Scope.IDENTITY)


# Children's services

LegalStatus = Literal["EARLY_HELP", "CIN_S17", "ENQUIRY_S47", "CP_PLAN", "CLA_S20", "CLA_S31", "CARE_LEAVER"]
"""A child's standing under the Children Act 1989; EARLY_HELP stands below it and beside it."""
PlanKind = Literal["CHILD_PROTECTION", "CHILD_IN_NEED", "CARE", "PATHWAY", "EARLY_HELP"]


@dataclass(frozen=True, slots=True)
class StatutoryStatus:
    """A legal status under the Children Act 1989, for example CP_PLAN; `agency` is the responsible authority."""

    agency: Agency
    status: str = field(metadata=words(LegalStatus))
    since: date | None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class CarePlan:
    """That a child protection or care plan exists, and when those who keep it meet next; never its content."""

    agency: Agency
    kind: str = field(metadata=words(PlanKind))
    started_on: date | None
    review_due_on: date | None
    ended_on: date | None = None
    conference_on: date | None = None
    core_group_on: date | None = None


@section("childrensServices")
class ChildrensServicesRecord:
    """What local authorities hold beyond who is involved."""

    statuses: tuple[StatutoryStatus, ...] | None = opened_by(Scope.STATUTORY_STATUS)
    plans: tuple[CarePlan, ...] | None = opened_by(Scope.PLAN)


@dataclass(frozen=True, slots=True)
class AssessmentPointer:
    """That an assessment exists and who holds it; never its content. Only while the recorded consent lasts."""

    agency: Agency
    kind: str = field(metadata=CODED)
    holder: str
    completed_on: date | None


@section("assessments", hoisted=True)
class Assessments:
    """Early-help and other assessments, as pointers."""

    assessments: tuple[AssessmentPointer, ...] | None = opened_by(Scope.ASSESSMENT)


# Police

EventStatus = Literal["OPEN", "CLOSED"]
NotificationRecipient = Literal["CHILDRENS_SERVICES", "HEALTH", "SCHOOL", "PROBATION", "YOUTH_JUSTICE", "POLICE"]
"""The kind of agency that a force told: a word of AgencyKind."""


@dataclass(frozen=True, slots=True)
class PoliceEvent:
    """That an event of a kind exists; never its narrative, nor its reference, which is an identifier."""

    agency: Agency
    kind: str = field(metadata=CODED)
    opened_on: date | None
    status: str = field(metadata=words(EventStatus))
    closed_on: date | None = None


@dataclass(frozen=True, slots=True)
class ProtectionOrder:
    """A protection power or civil order, for example POLICE_PROTECTION_S46, and the unit that answers for it."""

    agency: Agency
    kind: str = field(metadata=CODED)
    started_on: date | None
    ended_on: date | None
    unit: str | None = None
    phone: str | None = None
    out_of_hours: str | None = None


@dataclass(frozen=True, slots=True)
class PoliceNotification:
    """That the force told an agency of a kind something, for example by a PUBLIC_PROTECTION_NOTICE; never what."""

    agency: Agency
    kind: str = field(metadata=CODED)
    sent_on: date | None
    recipient: str = field(metadata=words(NotificationRecipient))


@section("police")
class PoliceRecord:
    """What police forces hold beyond who is involved."""

    events: tuple[PoliceEvent, ...] | None = opened_by(Scope.POLICE_EVENTS)
    orders: tuple[ProtectionOrder, ...] | None = opened_by(Scope.POLICE_ORDERS)
    notifications: tuple[PoliceNotification, ...] | None = opened_by(Scope.POLICE_EVENTS)


# Probation and prisons: about a linked adult

SupervisionKind = Literal["COMMUNITY", "CUSTODY"]
HarmLevel = Literal["LOW", "MEDIUM", "HIGH", "VERY_HIGH"]
"""Risk of serious harm, as probation and prisons grade it."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """That a linked adult is under supervision; `allocated`: by a named officer; `establishment`: a prison's code."""

    agency: Agency
    kind: str = field(metadata=words(SupervisionKind))
    since: date | None
    until: date | None = None
    allocated: bool | None = None
    establishment: str | None = None


@dataclass(frozen=True, slots=True)
class RiskRegistration:
    """A dynamic risk registration about a linked adult, for example code RCCO (child concerns)."""

    agency: Agency
    code: str
    description: str
    started_on: date | None
    review_due_on: date | None = None


@dataclass(frozen=True, slots=True)
class RiskToChildren:
    """The assessed risk of serious harm that a linked adult is to children in the community: the level alone."""

    agency: Agency
    level: str = field(metadata=words(HarmLevel))
    assessed_on: date | None


@dataclass(frozen=True, slots=True)
class MappaStatus:
    """MAPPA level and category of a linked adult (Criminal Justice Act 2003 s.325)."""

    agency: Agency
    level: int | None
    category: int | None
    started_on: date | None = None
    review_due_on: date | None = None


@section("probation")
class ProbationRecord:
    """What probation holds about an adult linked to the child."""

    supervision: tuple[Supervision, ...] | None = opened_by(Scope.SUPERVISION)
    risk: tuple[RiskRegistration, ...] | None = opened_by(Scope.PROBATION_RISK)
    risk_to_children: tuple[RiskToChildren, ...] | None = opened_by(Scope.PROBATION_RISK)
    mappa: tuple[MappaStatus, ...] | None = opened_by(Scope.MAPPA)


# Health

FlagCode = Literal["CPP", "LAC", "UCPP"]
"""Child Protection - Information Sharing: child protection plan, looked-after child, unborn child with a plan."""


@dataclass(frozen=True, slots=True)
class Registered:
    """Where the child is registered, for example the ODS code of a GP practice."""

    agency: Agency
    practice: str
    since: date | None
    practice_name: str | None = None


@dataclass(frozen=True, slots=True)
class SafeguardingFlag:
    """A safeguarding flag in a health record, and the authority that answers for it: by day, and out of hours."""

    agency: Agency
    code: str = field(metadata=words(FlagCode))
    since: date | None
    until: date | None = None
    authority: str | None = None
    phone: str | None = None
    out_of_hours: str | None = None


@section("health")
class HealthRecord:
    """What health sources hold beyond who is involved."""

    registration: tuple[Registered, ...] | None = opened_by(Scope.HEALTH_REGISTRATION)
    safeguarding: tuple[SafeguardingFlag, ...] | None = opened_by(Scope.HEALTH_SAFEGUARDING)
