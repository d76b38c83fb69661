"""Frozen dataclasses that cost little to make.

What `dataclass(frozen=True)` generates calls `object.__setattr__` for every field. A lookup makes some hundred records
of up to twenty fields: that was an eighth of its steps.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence
from types import CodeType, FunctionType
from typing import TypeVar

T = TypeVar("T")


def made_quickly(cls: type[T]) -> type[T]:
    """Return the class, a frozen dataclass with slots, with an `__init__` that assigns its fields.

    While it is being made, an instance is of a class with the same slots that may be assigned to; nobody else has it
    before it is frozen. Raises TypeError for a class that needs more than assignments.
    """
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    plain = all(f.init and not f.kw_only and f.default_factory is dataclasses.MISSING for f in fields)
    if not plain or hasattr(cls, "__post_init__") or "__slots__" not in vars(cls):
        raise TypeError(f"{cls.__name__} is more than a frozen dataclass with slots")
    made = _assigning([field.name for field in fields])
    open_class = type(cls.__name__, (), {"__slots__": vars(cls)["__slots__"]})
    init = FunctionType(made, {"__builtins__": {}, "_assign": object.__setattr__, "_open": open_class, "_frozen": cls})
    init.__defaults__ = tuple(field.default for field in fields if field.default is not dataclasses.MISSING)
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = vars(cls)["__init__"].__annotations__
    cls.__init__ = init  # type: ignore[method-assign]
    return cls


def _assigning(names: Sequence[str]) -> CodeType:
    """Return the code of an `__init__`; made of a syntax tree, never of text."""
    begin = ast.parse("_assign(self, '__class__', _open)").body
    end = ast.parse("self.__class__ = _frozen").body
    assigned: list[ast.stmt] = [
        ast.Assign([ast.Attribute(ast.Name("self", ast.Load()), name, ast.Store())], ast.Name(name, ast.Load()))
        for name in names
    ]
    arguments = ast.arguments([], [ast.arg("self"), *map(ast.arg, names)], None, [], [], None, [])
    definition = ast.FunctionDef("__init__", arguments, [*begin, *assigned, *end], [])
    module = ast.fix_missing_locations(ast.Module([definition], []))
    return next(c for c in compile(module, "<record>", "exec").co_consts if isinstance(c, CodeType))
