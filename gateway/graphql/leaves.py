"""Which leaves of a selection stand in the data that will be sent: one function for each place, written once.

It gives a number with a bit for each schema path, because most answers hold one of a few sets of leaves: the names of
a set are put together once.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from graphql import (
    FieldNode,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    SelectionSetNode,
)

from gateway.audit.canonical import once
from gateway.graphql import generated
from gateway.graphql.documents import Operation
from gateway.graphql.selection import Variables, fields_of

Found = Callable[[Mapping[str, Any]], int]
"""An object of the data -> the set of its leaves that are not null, as a number."""

_MOST_SETS = 1024


def collected(
    selection_sets: Iterable[SelectionSetNode | None], operation: Operation, variables: Variables
) -> dict[str, list[FieldNode]]:
    """Return the fields of selection sets by response key, in order (GraphQL, section 6.3.2)."""
    found: dict[str, list[FieldNode]] = {}
    for selection_set in selection_sets:
        for node in fields_of(selection_set, operation.fragments, variables):
            found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
    return found


@dataclass(frozen=True, slots=True)
class Selected:
    """The operation, and the variables that select."""

    operation: Operation
    variables: Variables


class Leaves:
    """The leaves of one operation, numbered: one path has one number, however many keys it is selected under."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._sets: dict[int, tuple[tuple[str, ...], msgspec.Raw]] = {}

    def of(self, kind: GraphQLObjectType, nodes: list[FieldNode], selected: Selected, before: str) -> Found:
        """Return what finds the leaves of an object that was selected by these nodes; `before` begins their paths."""
        body: list[ast.stmt] = [generated.assign("found", generated.constant(0))]
        body += self._statements("data", kind, nodes, selected, before)
        body.append(generated.returned(generated.name("found")))
        return generated.function("data", body, {})

    def names(self, found: int) -> tuple[str, ...]:
        """Return the schema paths of a set, sorted."""
        return self._named(found)[0]

    def recorded(self, found: int) -> msgspec.Raw:
        """Return the schema paths of a set, sorted, as records hold them."""
        named = self._sets.get(found)
        return self._named(found)[1] if named is None else named[1]

    def _named(self, found: int) -> tuple[tuple[str, ...], msgspec.Raw]:
        named = self._sets.get(found)
        if named is None:
            names = tuple(sorted(path for path, number in self._numbers.items() if found >> number & 1))
            named = names, once(names)
            if len(self._sets) < _MOST_SETS:
                self._sets[found] = named
        return named

    def _bit(self, path: str) -> int:
        return 1 << self._numbers.setdefault(path, len(self._numbers))

    def _statements(
        self, data: str, kind: GraphQLObjectType, nodes: list[FieldNode], selected: Selected, before: str
    ) -> list[ast.stmt]:
        """Return what notes the leaves of the object in the variable `data`."""
        statements: list[ast.stmt] = []
        selections = (node.selection_set for node in nodes)
        for place, (key, found) in enumerate(collected(selections, selected.operation, selected.variables).items()):
            name = found[0].name.value
            if name == "__typename":
                statements.append(generated.add_bits("found", self._bit(before + name)))
                continue
            below = named_or_none(kind.fields[name].type)
            if below is None:
                noted = generated.add_bits("found", self._bit(before + name))
                statements.append(generated.unless_none(generated.member(data, key), [noted]))
                continue
            value = f"{data}_{place}"
            statements.append(generated.assign(value, generated.member(data, key)))
            if _is_list(kind.fields[name].type):
                deeper = self._statements(f"{value}_each", below, found, selected, f"{before}{name}.")
                deeper = [generated.each(f"{value}_each", value, deeper)] if deeper else []
            else:
                deeper = self._statements(value, below, found, selected, f"{before}{name}.")
            if deeper:
                statements.append(generated.unless_none(generated.name(value), deeper))
        return statements


def named_or_none(kind: Any) -> GraphQLObjectType | None:
    """Return the object type inside lists and non-nulls, or None if it is no object type."""
    while isinstance(kind, GraphQLNonNull | GraphQLList):
        kind = kind.of_type
    return kind if isinstance(kind, GraphQLObjectType) else None


def _is_list(kind: Any) -> bool:
    return isinstance(kind.of_type if isinstance(kind, GraphQLNonNull) else kind, GraphQLList)
