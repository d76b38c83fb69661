"""What a caller may see. Instances are made by `auth.disclosure` and by nothing else; an architecture test holds it."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime
from types import GenericAlias
from typing import Any, NewType

import strawberry

from schema import records, vocabulary
from schema.declaring import Disclosure, shown
from schema.identifiers import NHSNumber as NHSNumberText
from schema.sections import SECTIONS, SectionDeclaration, SectionField, words_of
from schema.vocabulary import Scope

NHSNumber = NewType("NHSNumber", str)

NHS_NUMBER_SCALAR = strawberry.scalar(
    name="NHSNumber",
    description="Ten digits, the last a check digit (NHS Data Dictionary); 3-3-4 with spaces or hyphens is accepted.",
    serialize=str,
    parse_value=NHSNumberText,
)

for _words in (
    vocabulary.AgencyKind,
    vocabulary.Purpose,
    vocabulary.LookupOutcome,
    vocabulary.SourceStatus,
    vocabulary.SourceReason,
    vocabulary.InvolvementStatus,
    vocabulary.InvolvementRelationship,
    vocabulary.ContactMode,
    vocabulary.Relationship,
    vocabulary.Assurance,
    vocabulary.WithheldCode,
):
    strawberry.enum(_words, description=(_words.__doc__ or "").split("\n", maxsplit=1)[0])

_CALLER, _LOOKUP = Disclosure.CALLER, Disclosure.LOOKUP
_ROW, _PERSON = Disclosure.INVOLVEMENT, Disclosure.PRACTITIONER
_CURRENT = vocabulary.InvolvementStatus.CURRENT


@strawberry.type(description="How somebody is reached. BROKERED: ask the named broker, who will make the contact.")
class Contact:
    mode: vocabulary.ContactMode = shown(_ROW)
    phone: str | None = shown(_ROW)
    email: str | None = shown(_ROW)
    out_of_hours: str | None = shown(_ROW)
    expected_response: str | None = shown(_ROW)


@strawberry.type(description="An agency; for a sensitive service, its broker.")
class Agency:
    id: strawberry.ID = shown(_CALLER)
    name: str = shown(_CALLER)
    kind: vocabulary.AgencyKind = shown(_CALLER)
    area: str | None = shown(_CALLER)
    safeguarding_lead: Contact | None = shown(_CALLER)


@strawberry.type(description="A kind of service.")
class Service:
    code: str | None = shown(_ROW)
    name: str = shown(_ROW)


@strawberry.type(description="A professional registration: the body and the number it gave.")
class Registration:
    body: str = shown(_PERSON)
    number: str = shown(_PERSON)


@strawberry.type(description="A named practitioner.")
class Practitioner:
    name: str = shown(_PERSON)
    role: str | None = shown(_PERSON)
    registration: Registration | None = shown(_PERSON)


@strawberry.type(description="A team.")
class Team:
    name: str = shown(_ROW)


@strawberry.type(description="One agency's work with the child, or with an adult linked to the child.")
class Involvement:
    id: strawberry.ID = shown(_ROW, "Opaque; another caller sees another id.")
    agency: Agency = shown(_ROW)
    sources: list[Agency] = shown(_ROW, "Every agency that said so; entries are joined by registration number only.")
    service: Service | None = shown(_ROW)
    practitioner: Practitioner | None = shown(_PERSON)
    role: str | None = shown(_ROW)
    team: Team | None = shown(_ROW)
    contact: Contact = shown(_ROW)
    status: vocabulary.InvolvementStatus = shown(_ROW)
    started_on: date | None = shown(_ROW)
    ended_on: date | None = shown(_ROW)
    lead: bool = shown(_ROW)
    relationship: vocabulary.InvolvementRelationship = shown(_ROW)
    last_confirmed_at: datetime | None = shown(_ROW)
    stale_as_of: datetime | None = shown(
        _ROW,
        "Null for what its source says now. Otherwise the source does not answer, and this is what it said then. "
        "Such entries stand only in lists that select this field.",
        default=None,
    )


@strawberry.type(description="What one source did. A function of the caller and the configuration, never of the child.")
class SourceAnswer:
    agency: Agency = shown(_LOOKUP)
    status: vocabulary.SourceStatus = shown(_LOOKUP)
    reason: vocabulary.SourceReason | None = shown(_LOOKUP)
    as_of: datetime | None = shown(_LOOKUP, "For extracts only.")


def _generated(item: type) -> type:
    """Return the Strawberry type of a section's item class, field for field."""
    return _strawberry_type(
        item, {f.name: (_seen(f.type), shown(Disclosure.SECTION, _listed(f))) for f in dataclasses.fields(item)}
    )


def _listed(field: dataclasses.Field[Any]) -> str | None:
    return f"One of {', '.join(words_of(field))}." if words_of(field) else None


def _seen(hint: Any) -> Any:
    return Agency if hint in ("Agency", records.Agency) else eval(hint, _HINTS)  # noqa: S307 - hints of this project


_HINTS = {"date": date, "datetime": datetime, "str": str, "int": int, "bool": bool}


def _strawberry_type(source: type, fields: dict[str, tuple[Any, Any]]) -> type:
    body: dict[str, Any] = {"__annotations__": {n: hint for n, (hint, _) in fields.items()}, "__module__": __name__}
    body |= {n: field for n, (_, field) in fields.items()}
    description = (source.__doc__ or "").strip().split("\n", maxsplit=1)[0]
    return strawberry.type(type(source.__name__, (), body), description=description)


def _section_type(declaration: SectionDeclaration) -> type:
    fields = {}
    for field in declaration.fields:
        written = next(f.type for f in dataclasses.fields(declaration.cls) if f.name == field.name)
        hint = _list_of(field) if field.item else _scalar_hint(str(written))
        fields[field.name] = (hint, shown(Disclosure.SECTION, scope=field.scope))
    return _strawberry_type(declaration.cls, fields)


def _maybe(kind: Any) -> Any:
    return kind | None


def _list(kind: Any) -> Any:
    return GenericAlias(list, (kind,))


def _list_of(field: SectionField) -> Any:
    if field.item is None:
        raise TypeError(f"{field.path} holds no items")
    return _maybe(_list(ITEM_TYPES[field.item]))


def _scalar_hint(written: str) -> Any:
    if written.startswith("tuple["):
        inner = written.removeprefix("tuple[").partition(",")[0]
        return _maybe(_list(_HINTS[inner]))
    return eval(written, _HINTS)  # noqa: S307 - hints of this project


ITEM_TYPES: dict[type, type] = {
    field.item: _generated(field.item) for d in SECTIONS.values() for field in d.fields if field.item
}
"""Section item class -> the type a caller sees."""

SECTION_TYPES: dict[str, type] = {name: _section_type(d) for name, d in SECTIONS.items() if not d.hoisted}
"""Lookup field -> the type a caller sees."""


@strawberry.type(description="Why a field is closed to this caller, whatever the child; null when it is open.")
class FieldAccess:
    agency: Agency = shown(_CALLER)
    field: str = shown(_CALLER, "The path inside a lookup, for example police.events.")
    open: bool = shown(_CALLER)
    relationship: vocabulary.Relationship | None = shown(_CALLER, "The least relationship for which it opens.")
    code: vocabulary.WithheldCode | None = shown(_CALLER)
    required_scopes: list[str] = shown(_CALLER)


@strawberry.type(description="Who is asking, as the token says.")
class ViewerFacts:
    subject: str = shown(_CALLER)
    organisation: str | None = shown(_CALLER)
    on_behalf_of: str | None = shown(_CALLER)
    roles: list[str] = shown(_CALLER)
    scopes: list[str] = shown(_CALLER)


@strawberry.input(description="Exactly one of nhsNumber and handle, and what corroborates it.")
class ChildKey:
    nhs_number: NHSNumber | None = strawberry.UNSET
    handle: strawberry.ID | None = strawberry.UNSET
    date_of_birth: date
    family_name: str


@strawberry.input(description="Break-glass: for one child and one lookup; always reviewed.")
class Override:
    justification: str
    accept_review: bool


@strawberry.input(description="Why the caller asks.")
class AccessRequest:
    purpose: vocabulary.Purpose
    reason: str
    case_reference: str | None = strawberry.UNSET
    override: Override | None = strawberry.UNSET


def _lookup_type() -> type:
    """`ChildLookup`: the frame, the default answer, and one field for every declared section."""
    result, row = _LOOKUP, _ROW
    involvement = Scope.INVOLVEMENT
    fields: dict[str, tuple[Any, Any]] = {
        "outcome": (vocabulary.LookupOutcome, shown(result)),
        "complete": (bool, shown(result, "No source gave NO_ANSWER.")),
        "advice": (str, shown(result, "What this answer does not mean, and what to do next.")),
        "sources": (list[SourceAnswer], shown(result)),
        "involvements": (list[Involvement], shown(row, scope=involvement, resolver=_selected_involvements)),
        "lead_practitioner": (_maybe(Involvement), shown(row, scope=involvement, resolver=_lead)),
        "receipt": (strawberry.ID, shown(result, "128 random bits; redeemable for a proof from the audit log.")),
        "rows": (strawberry.Private[list[Involvement]], dataclasses.field(default_factory=list)),
    }
    for name, declaration in SECTIONS.items():
        if declaration.hoisted:
            (only,) = declaration.fields
            hint: Any = _list_of(only)
            fields[only.name] = (hint, shown(Disclosure.SECTION, scope=only.scope))
        else:
            hint = _maybe(SECTION_TYPES[name])
            fields[python_name(name)] = (hint, shown(Disclosure.SECTION, declaration.cls.__doc__))
    body: dict[str, Any] = {"__annotations__": {n: hint for n, (hint, _) in fields.items()}, "__module__": __name__}
    body |= {n: field for n, (_, field) in fields.items()}
    body["__annotations__"].pop("involvements")
    body["__annotations__"].pop("lead_practitioner")
    return strawberry.type(
        type("ChildLookup", (), body),
        description="Who else is working with this child, as far as this caller may know.",
    )


def python_name(name: str) -> str:
    """Return the Python spelling of a GraphQL name: `startedOn` -> `started_on`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _selected_involvements(
    self: Any,
    status: list[vocabulary.InvolvementStatus] | None = [_CURRENT],  # noqa: B006 - a GraphQL default
    agency_kinds: list[vocabulary.AgencyKind] | None = strawberry.UNSET,
) -> list[Involvement]:
    rows: list[Involvement] = self.rows
    statuses = status or [_CURRENT]
    return [r for r in rows if r.status in statuses and (not agency_kinds or r.agency.kind in agency_kinds)]


def _lead(self: Any) -> Involvement | None:
    rows: list[Involvement] = self.rows
    leads = (r for r in rows if r.lead and r.status is _CURRENT)
    return next(leads, None)


ChildLookup: Any = _lookup_type()
