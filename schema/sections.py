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
from typing import Any, TypeVar, get_args, get_type_hints

from schema.records import Agency
from schema.vocabulary import Scope

_SCOPE = "scope"
T = TypeVar("T", bound=type)


class UndeclaredDisclosure(TypeError):
    """A section's field names no scope: nobody decided who may see it."""


def opened_by(scope: Scope) -> Any:
    """Declare a section field that `scope` opens; its value defaults to None, which shows nothing."""
    return field(default=None, metadata={_SCOPE: scope})


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
# Identity


@section("identity")
class ChildIdentity:
    """Who the child is, as an identity trace has it. The asker already brought a number, a name and a date of birth."""

    given_names: tuple[str, ...] | None = opened_by(Scope.IDENTITY)
    family_name: str | None = opened_by(Scope.IDENTITY)
    date_of_birth: date | None = opened_by(Scope.IDENTITY)


# Children's services


@dataclass(frozen=True, slots=True)
class StatutoryStatus:
    """A legal status under the Children Act 1989, for example CP_PLAN."""

    agency: Agency
    status: str
    since: date | None


@dataclass(frozen=True, slots=True)
class CarePlan:
    """That a child protection or care plan exists; never its content."""

    agency: Agency
    kind: str
    started_on: date | None
    review_due_on: date | None


@section("childrensServices")
class ChildrensServicesRecord:
    """What local authorities hold beyond who is involved."""

    statuses: tuple[StatutoryStatus, ...] | None = opened_by(Scope.STATUTORY_STATUS)
    plans: tuple[CarePlan, ...] | None = opened_by(Scope.PLAN)


@dataclass(frozen=True, slots=True)
class AssessmentPointer:
    """That an assessment exists and who holds it; never its content."""

    agency: Agency
    kind: str
    holder: str
    completed_on: date | None


@section("assessments", hoisted=True)
class Assessments:
    """Early-help and other assessments, as pointers."""

    assessments: tuple[AssessmentPointer, ...] | None = opened_by(Scope.ASSESSMENT)


# Police


@dataclass(frozen=True, slots=True)
class PoliceEvent:
    """That an event of a kind exists; never its narrative."""

    agency: Agency
    kind: str
    opened_on: date | None
    status: str


@dataclass(frozen=True, slots=True)
class ProtectionOrder:
    """A protection power or civil order, for example POLICE_PROTECTION_S46."""

    agency: Agency
    kind: str
    started_on: date | None
    ended_on: date | None


@section("police")
class PoliceRecord:
    """What police forces hold beyond who is involved."""

    events: tuple[PoliceEvent, ...] | None = opened_by(Scope.POLICE_EVENTS)
    orders: tuple[ProtectionOrder, ...] | None = opened_by(Scope.POLICE_ORDERS)


# Probation and prisons: about a linked adult


@dataclass(frozen=True, slots=True)
class Supervision:
    """That a linked adult is under supervision, for example kind COMMUNITY or CUSTODY."""

    agency: Agency
    kind: str
    since: date | None


@dataclass(frozen=True, slots=True)
class RiskRegistration:
    """A dynamic risk registration about a linked adult, for example code RCCO (child concerns)."""

    agency: Agency
    code: str
    description: str
    started_on: date | None


@dataclass(frozen=True, slots=True)
class MappaStatus:
    """MAPPA level and category of a linked adult (Criminal Justice Act 2003 s.325)."""

    agency: Agency
    level: int | None
    category: int | None


@section("probation")
class ProbationRecord:
    """What probation holds about an adult linked to the child."""

    supervision: tuple[Supervision, ...] | None = opened_by(Scope.SUPERVISION)
    risk: tuple[RiskRegistration, ...] | None = opened_by(Scope.PROBATION_RISK)
    mappa: tuple[MappaStatus, ...] | None = opened_by(Scope.MAPPA)


# Health


@dataclass(frozen=True, slots=True)
class Registered:
    """Where the child is registered, for example the ODS code of a GP practice."""

    agency: Agency
    practice: str
    since: date | None


@dataclass(frozen=True, slots=True)
class SafeguardingFlag:
    """A safeguarding flag in a health record: CPP, LAC or UCPP."""

    agency: Agency
    code: str
    since: date | None


@section("health")
class HealthRecord:
    """What health sources hold beyond who is involved."""

    registration: tuple[Registered, ...] | None = opened_by(Scope.HEALTH_REGISTRATION)
    safeguarding: tuple[SafeguardingFlag, ...] | None = opened_by(Scope.HEALTH_SAFEGUARDING)
