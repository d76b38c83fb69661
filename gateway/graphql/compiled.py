"""A lookup's answer, compiled: once an operation is known to be valid, answering it is copying fields of plain objects.

Compiled once for an operation and the variables that select. The executor of graphql-core stays the oracle: a property
test runs random operations both ways and requires equal answers. What is not a lookup alone is left to the executor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import Any

from graphql import (
    FieldNode,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    SelectionSetNode,
)

from gateway.graphql.documents import Operation
from gateway.graphql.query import GRAPHQL_SCHEMA
from gateway.graphql.selection import EntryFilter, Variables, entry_filter, fields_of
from schema import types

Read = Callable[[Any], Any]
Fields = Mapping[str, list[FieldNode]]

ENTRY_FIELDS = frozenset({"involvements", "leadPractitioner"})
FRAME = frozenset({"__typename", "outcome", "complete", "advice", "sources", "receipt"})


@dataclass(frozen=True, slots=True)
class EntriesInBody:
    """Where entries stand in the body, and which of their leaves do: (schema path, reader of the entry's object)."""

    key: str
    wanted: EntryFilter
    leaves: tuple[tuple[str, Read], ...]


@dataclass(frozen=True, slots=True)
class SectionInBody:
    """Where a section stands in the body, its leaves readable from the value."""

    key: str
    name: str
    leaves: tuple[tuple[str, Read], ...]


@dataclass(frozen=True)
class CompiledLookup:
    """`shape` turns the tree into the data; the rest says what the data discloses."""

    shape: Callable[[Any], dict[str, Any]] | None  # None: the executor answers
    lookup_key: str
    entries: tuple[EntriesInBody, ...]
    sections: tuple[SectionInBody, ...]


def compile_lookup(operation: Operation, variables: Variables) -> CompiledLookup:
    """Return the compiled form of a lookup operation, for the coerced variables that select."""
    roots = collected([operation.node.selection_set], operation, variables)
    (key, nodes), *_ = [(k, n) for k, n in roots.items() if n[0].name.value == operation.lookup_field]
    query = GRAPHQL_SCHEMA.query_type
    if query is None:
        raise TypeError("the schema has no query type")
    alone = all(n[0].name.value in {"__typename", operation.lookup_field} for n in roots.values())
    shape = _root(query, roots, key, operation, variables) if alone else None
    lookup = _named(query.fields[nodes[0].name.value].type)
    inner = collected((n.selection_set for n in nodes), operation, variables)
    entries, sections = [], []
    for response_key, found in inner.items():
        name = found[0].name.value
        if name in FRAME:
            continue
        leaves = tuple(_leaves(_named(lookup.fields[name].type), found, operation, variables))
        if name in ENTRY_FIELDS:
            entries.append(EntriesInBody(response_key, entry_filter(found[0], variables), leaves))
        else:
            sections.append(SectionInBody(response_key, name, leaves))
    return CompiledLookup(shape, key, tuple(entries), tuple(sections))


def collected(
    selection_sets: Iterable[SelectionSetNode | None], operation: Operation, variables: Variables
) -> dict[str, list[FieldNode]]:
    """Return the fields of selection sets by response key, in order (GraphQL, section 6.3.2)."""
    found: dict[str, list[FieldNode]] = {}
    for selection_set in selection_sets:
        for node in fields_of(selection_set, operation.fragments, variables):
            found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
    return found


def _root(
    query: GraphQLObjectType, roots: Fields, lookup_key: str, operation: Operation, variables: Variables
) -> Callable[[Any], dict[str, Any]]:
    field = query.fields[roots[lookup_key][0].name.value]
    lookup = _value(field.type, roots[lookup_key], operation, variables)
    typename = query.name

    def shape(tree: Any) -> dict[str, Any]:
        return {key: lookup(tree) if key == lookup_key else typename for key in roots}

    return shape


def _value(kind: GraphQLOutputType, nodes: list[FieldNode], operation: Operation, variables: Variables) -> Read:
    """Return what turns a resolved value of a type into its place in the data."""
    if isinstance(kind, GraphQLNonNull):
        return _present(_value(kind.of_type, nodes, operation, variables))
    if isinstance(kind, GraphQLList):
        item = _value(kind.of_type, nodes, operation, variables)
        return lambda values: None if values is None else [item(value) for value in values]
    if isinstance(kind, GraphQLObjectType):
        return _object(kind, nodes, operation, variables)
    if isinstance(kind, GraphQLScalarType) and kind.name in {"Date", "DateTime"}:
        return _iso
    # strings, identifiers, booleans, integers and words of closed lists stand for themselves
    return _itself


def _object(kind: GraphQLObjectType, nodes: list[FieldNode], operation: Operation, variables: Variables) -> Read:
    members: list[tuple[str, Read]] = []
    for key, found in collected((n.selection_set for n in nodes), operation, variables).items():
        name = found[0].name.value
        if name == "__typename":
            members.append((key, _constant(kind.name)))
            continue
        value = _value(kind.fields[name].type, found, operation, variables)
        members.append((key, _member(kind, name, found[0], value, variables)))
    shaped = tuple(members)
    return lambda source: None if source is None else {key: read(source) for key, read in shaped}


def _member(kind: GraphQLObjectType, name: str, node: FieldNode, value: Read, variables: Variables) -> Read:
    if kind.name == "ChildLookup" and name in ENTRY_FIELDS:
        wanted = entry_filter(node, variables)
        if wanted.leads_only:
            return lambda tree: value(next(iter(matching(tree.rows, wanted)), None))
        return lambda tree: value(matching(tree.rows, wanted))
    get = attrgetter(types.python_name(name))
    if value is _itself:
        return get
    return lambda source: value(get(source))


def matching(rows: list[types.Involvement], wanted: EntryFilter) -> list[types.Involvement]:
    """Return the rows that one selection of entries takes, in their order."""
    found = [r for r in rows if r.status in wanted.statuses and (wanted.kinds is None or r.agency.kind in wanted.kinds)]
    return [r for r in found if r.lead][:1] if wanted.leads_only else found


def _leaves(
    kind: GraphQLObjectType, nodes: list[FieldNode], operation: Operation, variables: Variables
) -> Iterable[tuple[str, Read]]:
    """Yield (schema path, reader) for every leaf below an object of the data; the reader gives None or a value."""
    for key, found in collected((n.selection_set for n in nodes), operation, variables).items():
        name = found[0].name.value
        if name == "__typename":
            yield name, _constant(kind.name)
            continue
        inner = _named_or_none(kind.fields[name].type)
        if inner is None:
            yield name, _at(key)
            continue
        for path, read in _leaves(inner, found, operation, variables):
            yield f"{name}.{path}", _below(key, read)


def _at(key: str) -> Read:
    return lambda data: data[key]


def _below(key: str, read: Read) -> Read:
    def below(data: Mapping[str, Any]) -> Any:
        value = data[key]
        if isinstance(value, list):
            return next((found for found in map(read, value) if found is not None), None)
        return None if value is None else read(value)

    return below


def _constant(value: Any) -> Read:
    return lambda _: value


def _itself(value: Any) -> Any:
    return value


def _iso(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


def _present(read: Read) -> Read:
    if read is _itself:
        return read

    def present(value: Any) -> Any:
        if value is None:
            raise TypeError("a value that the schema requires is missing")
        return read(value)

    return present


def _named(kind: GraphQLOutputType) -> GraphQLObjectType:
    found = _named_or_none(kind)
    if found is None:
        raise TypeError("not an object type")
    return found


def _named_or_none(kind: Any) -> GraphQLObjectType | None:
    while isinstance(kind, GraphQLNonNull | GraphQLList):
        kind = kind.of_type
    return kind if isinstance(kind, GraphQLObjectType) else None
