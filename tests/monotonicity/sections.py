"""Section records of any declared shape, each value marked with who said it; and the operation that reads all of them.

Made from the declarations in `schema.sections`, so that a new section is in these tests from its first day.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from datetime import UTC, date, datetime, timedelta
from types import NoneType, UnionType
from typing import Any, Final

from schema.records import Agency
from schema.sections import SECTIONS, SectionDeclaration, camel

_FIRST_DAY: Final = date(2001, 1, 1)


def record(declaration: SectionDeclaration, agency: Agency, mark: str, number: int) -> Any:
    """Return the section as one source might tell it: every text holds `mark`, every date and number is its own."""
    hints = typing.get_type_hints(declaration.cls)
    values = {
        field.name: _value(hints[field.name], agency, f"{mark}.{camel(field.name)}", number)
        for field in declaration.fields
    }
    return declaration.cls(**values)


def _value(hint: Any, agency: Agency, mark: str, number: int) -> Any:
    options = [o for o in typing.get_args(hint) if o is not NoneType]
    if isinstance(hint, UnionType) or typing.get_origin(hint) is typing.Union:
        return _value(options[0], agency, mark, number)
    if typing.get_origin(hint) in {tuple, list, frozenset}:
        return typing.get_origin(hint)([_value(options[0], agency, mark, number)])
    if hint is Agency:
        return agency
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        made = {
            f.name: _value(hints[f.name], agency, f"{mark}.{f.name}", number + i)
            for i, f in enumerate(dataclasses.fields(hint))
        }
        return hint(**made)  # type: ignore[operator]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return list(hint)[number % len(hint)]
    plain: dict[Any, Any] = {
        str: mark,
        bool: True,
        int: number,
        date: _FIRST_DAY + timedelta(days=number),
        datetime: datetime(2001, 1, 1, tzinfo=UTC) + timedelta(days=number),
    }
    return plain[hint]


def selection() -> str:
    """Return what an operation selects of a lookup to read every section in full."""
    return " ".join(_section(declaration) for declaration in SECTIONS.values())


def _section(declaration: SectionDeclaration) -> str:
    fields = " ".join(
        f"{camel(field.name)} {{ {_item(field.item)} }}" if field.item else camel(field.name)
        for field in declaration.fields
    )
    return fields if declaration.hoisted else f"{declaration.field} {{ {fields} }}"


def _item(item: type) -> str:
    hints = typing.get_type_hints(item)
    return " ".join(_field(camel(f.name), hints[f.name]) for f in dataclasses.fields(item))


def _field(name: str, hint: Any) -> str:
    options = [o for o in (typing.get_args(hint) or (hint,)) if o is not NoneType]
    inner = next((o for o in options if dataclasses.is_dataclass(o)), None)
    if inner is Agency:
        return f"{name} {{ id }}"
    return f"{name} {{ {_item(inner)} }}" if isinstance(inner, type) else name
