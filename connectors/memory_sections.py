"""Deeper records in the JSON file of driver `memory`, in the shapes that `schema.sections` declares.

    "sections": {"police": {"events": [{"kind": "MISSING_EPISODE", "openedOn": "2026-03-01", "status": "OPEN"}]},
                 "assessments": [{"kind": "EARLY_HELP_ASSESSMENT", "holder": "Pastoral team", "completedOn": null,
                   "consent": {"givenOn": "2026-01-10", "until": "2027-01-10", "withdrawnOn": null}}]}

Who says it is not in the file: every item is the source's own. An assessment bears the consent on which it is told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import GenericAlias, MappingProxyType, NoneType
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec

from connectors.consent import Consent
from schema.records import Agency
from schema.sections import (
    SECTIONS,
    AssessmentPointer,
    Assessments,
    ChildIdentity,
    ProbationRecord,
    SectionDeclaration,
    camel,
    form_of,
    words_of,
)

# who the child is stands in the record itself; probation's is about an adult, and the file is about children
_ELSEWHERE = frozenset({ChildIdentity, ProbationRecord})
HELD = MappingProxyType({name: one for name, one in SECTIONS.items() if one.cls not in _ELSEWHERE})
"""The sections that a file may hold, by the name under which it holds them."""

_LINE = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class Holding:
    """Which sections a file may hold, and whose they are."""

    agency: Agency
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class ConsentedPointer(AssessmentPointer):
    """A pointer with the consent on which it is told; none recorded, and it is not."""

    consent: Consent | None = None


def read(raw: Mapping[str, Any], holding: Holding) -> dict[type, object]:
    """Return the sections that a record holds. Raises msgspec.ValidationError, also for one that is not held here."""
    told = msgspec.convert(raw, _only(holding.names))
    values = {name: getattr(told, name) for name in HELD if name in holding.names}
    return {
        HELD[name].cls: _section(HELD[name], value, holding.agency)
        for name, value in values.items()
        if value is not msgspec.UNSET
    }


@lru_cache(maxsize=32)
def _only(names: frozenset[str]) -> Any:
    return msgspec.defstruct(
        "Sections",
        [(name, form, msgspec.UNSET) for name, form in _FORMS.items() if name in names],
        frozen=True,
        forbid_unknown_fields=True,
    )


def on(sections: Mapping[type, object], today: date) -> Mapping[type, object]:
    """Return the sections as they may be told on this day: assessments while their consent lasts."""
    held = sections.get(Assessments)
    if held is None:
        return sections
    told = tuple(
        _plain(pointer) if isinstance(pointer, ConsentedPointer) else pointer
        for pointer in getattr(held, "assessments", None) or ()
        if not isinstance(pointer, ConsentedPointer) or (pointer.consent and pointer.consent.holds_on(today))
    )
    made: type = Assessments
    return {**sections, Assessments: made(assessments=told or None)}


def _plain(pointer: ConsentedPointer) -> AssessmentPointer:
    return AssessmentPointer(pointer.agency, pointer.kind, pointer.holder, pointer.completed_on)


def _section(declaration: SectionDeclaration, value: Any, agency: Agency) -> object:
    only = declaration.fields[0].name
    held = (
        {only: value}
        if declaration.hoisted
        else {field.name: getattr(value, field.name) for field in declaration.fields}
    )
    return declaration.cls(
        **{
            field.name: tuple(_item(_class_of(field.item), item, agency) for item in held[field.name]) or None
            for field in declaration.fields
            if field.item is not None
        }
    )


def _class_of(item: type) -> type:
    return ConsentedPointer if item is AssessmentPointer else item


def _item(cls: type, told: Any, agency: Agency) -> object:
    return cls(agency=agency, **{name: getattr(told, name) for name in told.__struct_fields__})


def _item_form(cls: type) -> Any:
    hints = get_type_hints(cls)
    fields: list[Any] = []
    for field in dataclasses.fields(cls):
        if field.name == "agency":
            continue
        optional = NoneType in get_args(hints[field.name])
        kind = _kind(
            field, next(one for one in get_args(hints[field.name]) or (hints[field.name],) if one is not NoneType)
        )
        # None where it may be left out; msgspec keeps fields with a default behind those without one
        fields.append((field.name, kind | None, None) if optional else (field.name, kind))
    return msgspec.defstruct(
        cls.__name__, fields, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
    )


def _kind(field: dataclasses.Field[Any], hint: Any) -> Any:
    if words_of(field):
        return Literal.__getitem__(words_of(field))
    if form := form_of(field):
        return Annotated[str, msgspec.Meta(pattern=rf"\A{form}\Z")]
    return _LINE if hint is str else hint


def _form(declaration: SectionDeclaration) -> Any:
    lists = {
        field.name: GenericAlias(tuple, (_item_form(_class_of(field.item)), ...))
        for field in declaration.fields
        if field.item is not None
    }
    if declaration.hoisted:
        return lists[declaration.fields[0].name]
    return msgspec.defstruct(
        declaration.cls.__name__,
        [(name, kind, ()) for name, kind in lists.items()],
        frozen=True,
        forbid_unknown_fields=True,
        rename={name: camel(name) for name in lists},
    )


_FORMS = {name: _form(declaration) for name, declaration in HELD.items()}
