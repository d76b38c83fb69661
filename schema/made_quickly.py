"""Frozen dataclasses that cost little to make.

A lookup makes some hundred records of up to twenty fields. What `dataclass(frozen=True)` generates calls
`object.__setattr__` for every field, and any `__init__` in Python costs several times as much as msgspec's, in C.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, cast

import msgspec

T = TypeVar("T")

_OF_MSGSPEC = frozenset(
    {"__init__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__getstate__", "__setstate__", "__slots__"}
)
"""What msgspec has of its own, to the same effect: equal are two of one class with equal fields."""


def made_quickly(cls: type[T]) -> type[T]:
    """Return a frozen dataclass with slots as the same dataclass, of which instances are made by msgspec.

    What else stands in the class stays: its methods, what it shows of itself, and what `dataclasses` reads to replace
    and to list. Nothing assigns to an instance, `object.__setattr__` neither: that raises TypeError, and AttributeError
    what tries it plainly. Raises TypeError for a class that needs more than its fields put in their places.
    """
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    plain = all(f.init and not f.kw_only and f.compare and f.default_factory is dataclasses.MISSING for f in fields)
    if not plain or hasattr(cls, "__post_init__") or "__slots__" not in vars(cls):
        raise TypeError(f"{cls.__name__} is more than a frozen dataclass with slots")
    replaced = _OF_MSGSPEC.union(field.name for field in fields)
    kept: dict[str, Any] = {name: value for name, value in vars(cls).items() if name not in replaced}
    placed = [(f.name, f.type) if f.default is dataclasses.MISSING else (f.name, f.type, f.default) for f in fields]
    return cast("type[T]", msgspec.defstruct(cls.__name__, placed, namespace=kept, frozen=True))
