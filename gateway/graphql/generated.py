"""Functions made for one operation: what is the same for every lookup of it is decided once.

Made of syntax trees, never of text: a response key is a caller's word, and is nothing here but a constant.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

_NOTHING = ast.Constant(None)


def function(argument: str, body: Sequence[ast.stmt], names: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return a function of one argument; `names` are all that it can use."""
    arguments = ast.arguments([], [ast.arg(argument)], None, [], [], None, [])
    definition = ast.FunctionDef("made", arguments, list(body), [])
    module = ast.fix_missing_locations(ast.Module([definition], []))
    code = next(c for c in compile(module, "<operation>", "exec").co_consts if isinstance(c, CodeType))
    return FunctionType(code, {"__builtins__": {}, **names})


def name(of: str) -> ast.Name:
    """Return what reads a variable."""
    return ast.Name(of, ast.Load())


def attribute(of: ast.expr, named: str) -> ast.Attribute:
    """Return what reads an attribute."""
    return ast.Attribute(of, named, ast.Load())


def member(of: str, key: str) -> ast.Subscript:
    """Return what reads a member of the dict in a variable."""
    return ast.Subscript(name(of), ast.Constant(key), ast.Load())


def call(of: str, argument: ast.expr) -> ast.Call:
    """Return the call of a named function with one argument."""
    return ast.Call(name(of), [argument], [])


def display(members: Mapping[str, ast.expr]) -> ast.Dict:
    """Return the display of a dict with these members."""
    return ast.Dict([ast.Constant(key) for key in members], list(members.values()))


def none_or(variable: str, otherwise: ast.expr) -> ast.Return:
    """Return the statement that returns None if the variable is None, else the expression."""
    return ast.Return(ast.IfExp(ast.Compare(name(variable), [ast.Is()], [_NOTHING]), _NOTHING, otherwise))


def unless_none(tested: ast.expr, then: Sequence[ast.stmt]) -> ast.If:
    """Return the statement that does something unless the expression is None."""
    return ast.If(ast.Compare(tested, [ast.IsNot()], [_NOTHING]), list(then), [])


def each(variable: str, of: str, then: Sequence[ast.stmt]) -> ast.For:
    """Return the loop over a variable's items."""
    return ast.For(ast.Name(variable, ast.Store()), name(of), list(then), [])


def assign(variable: str, value: ast.expr) -> ast.Assign:
    """Return the assignment to a variable."""
    return ast.Assign([ast.Name(variable, ast.Store())], value)


def add_bits(variable: str, bits: int) -> ast.AugAssign:
    """Return the statement that sets bits of a number."""
    return ast.AugAssign(ast.Name(variable, ast.Store()), ast.BitOr(), ast.Constant(bits))
