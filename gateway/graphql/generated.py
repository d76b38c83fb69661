"""Functions made for one operation: what is the same for every lookup of it is decided once.

Made of syntax trees, never of text: a response key is a caller's word, and is nothing here but a constant.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

# Every node says where it stands as it is made: `ast.fix_missing_locations` costs more than making and compiling them.
_AT: Any = {"lineno": 1, "col_offset": 0}
_LOAD, _STORE, _IS, _IS_NOT, _OR = ast.Load(), ast.Store(), ast.Is(), ast.IsNot(), ast.BitOr()
_NOTHING = ast.Constant(None, **_AT)


def function(argument: str, body: Sequence[ast.stmt], names: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return a function of one argument; `names` are all that it can use."""
    arguments = ast.arguments([], [ast.arg(argument, **_AT)], None, [], [], None, [])
    definition = ast.FunctionDef("made", arguments, list(body), [], **_AT)
    module = compile(ast.Module([definition], []), "<operation>", "exec")
    code = next(c for c in module.co_consts if isinstance(c, CodeType))
    return FunctionType(code, {"__builtins__": {}, **names})


def constant(value: str | int) -> ast.Constant:
    """Return what is always this value."""
    return ast.Constant(value, **_AT)


def returned(value: ast.expr) -> ast.Return:
    """Return the statement that returns the expression."""
    return ast.Return(value, **_AT)


def name(of: str) -> ast.Name:
    """Return what reads a variable."""
    return ast.Name(of, _LOAD, **_AT)


def attribute(of: ast.expr, named: str) -> ast.Attribute:
    """Return what reads an attribute."""
    return ast.Attribute(of, named, _LOAD, **_AT)


def member(of: str, key: str) -> ast.Subscript:
    """Return what reads a member of the dict in a variable."""
    return ast.Subscript(name(of), constant(key), _LOAD, **_AT)


def call(of: str, argument: ast.expr) -> ast.Call:
    """Return the call of a named function with one argument."""
    return ast.Call(name(of), [argument], [], **_AT)


def display(members: Mapping[str, ast.expr]) -> ast.Dict:
    """Return the display of a dict with these members."""
    return ast.Dict([constant(key) for key in members], list(members.values()), **_AT)


def none_or(variable: str, otherwise: ast.expr) -> ast.Return:
    """Return the statement that returns None if the variable is None, else the expression."""
    is_none = ast.Compare(name(variable), [_IS], [_NOTHING], **_AT)
    return returned(ast.IfExp(is_none, _NOTHING, otherwise, **_AT))


def unless_none(tested: ast.expr, then: Sequence[ast.stmt]) -> ast.If:
    """Return the statement that does something unless the expression is None."""
    return ast.If(ast.Compare(tested, [_IS_NOT], [_NOTHING], **_AT), list(then), [], **_AT)


def each(variable: str, of: str, then: Sequence[ast.stmt]) -> ast.For:
    """Return the loop over a variable's items."""
    return ast.For(_stored(variable), name(of), list(then), [], **_AT)


def assign(variable: str, value: ast.expr) -> ast.Assign:
    """Return the assignment to a variable."""
    return ast.Assign([_stored(variable)], value, **_AT)


def add_bits(variable: str, bits: int) -> ast.AugAssign:
    """Return the statement that sets bits of a number."""
    return ast.AugAssign(_stored(variable), _OR, constant(bits), **_AT)


def _stored(variable: str) -> ast.Name:
    return ast.Name(variable, _STORE, **_AT)
