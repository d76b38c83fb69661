"""A lookup's answer, compiled: once an operation is known to be valid, answering it is copying fields of plain objects.

Compiled once for an operation and the variables that select. The executor of graphql-core stays the oracle: a property
test runs random operations both ways and requires equal answers. What is not a lookup alone is left to the executor.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from graphql import (
    FieldNode,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
)

from gateway.graphql import generated
from gateway.graphql.documents import Operation
from gateway.graphql.leaves import Found, Leaves, Selected, collected, named_or_none
from gateway.graphql.query import GRAPHQL_SCHEMA
from gateway.graphql.selection import EntryFilter, Variables, entry_filter
from schema import types
from schema.vocabulary import InvolvementStatus

Read = Callable[[Any], Any]
Fields = Mapping[str, list[FieldNode]]

ENTRY_FIELDS = frozenset({"involvements", "leadPractitioner"})
FRAME = frozenset({"__typename", "outcome", "complete", "advice", "sources", "receipt"})


@dataclass(frozen=True, slots=True)
class EntriesInBody:
    """Where entries stand in the body, and what finds their leaves that are not null."""

    key: str
    wanted: EntryFilter
    found: Found


@dataclass(frozen=True, slots=True)
class SectionInBody:
    """Where a section stands in the body, and what finds its leaves that are not null."""

    key: str
    found: Found


@dataclass(frozen=True)
class CompiledLookup:
    """`shape` turns the tree into the data; the rest says what the data discloses."""

    shape: Callable[[Any], dict[str, Any]] | None  # None: the executor answers
    lookup_key: str
    entries: tuple[EntriesInBody, ...]
    sections: tuple[SectionInBody, ...]
    leaves: Leaves


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
    entries, sections, leaves = [], [], Leaves()
    for response_key, found in inner.items():
        name = found[0].name.value
        if name in FRAME:
            continue
        selection = Selected(operation, variables)
        kind = _named(lookup.fields[name].type)
        if name in ENTRY_FIELDS:
            find = leaves.of(kind, found, selection, "")
            entries.append(EntriesInBody(response_key, entry_filter(found[0], variables), find))
        else:
            sections.append(SectionInBody(response_key, leaves.of(kind, found, selection, f"{name}.")))
    return CompiledLookup(shape, key, tuple(entries), tuple(sections), leaves)


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
        if isinstance(kind.of_type, GraphQLObjectType):
            return _object(kind.of_type, nodes, operation, variables, required=True)
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


def _object(
    kind: GraphQLObjectType,
    nodes: list[FieldNode],
    operation: Operation,
    variables: Variables,
    *,
    required: bool = False,
) -> Read:
    """Return a function made for this selection: a display of a dict costs a third of putting one together.

    What is `required` and missing has no attribute to read: an error of ours, which is no answer.
    """
    reads: dict[str, Read] = {}
    members: dict[str, ast.expr] = {}
    for key, found in collected((n.selection_set for n in nodes), operation, variables).items():
        name = found[0].name.value
        if name == "__typename":
            members[key] = generated.constant(kind.name)
            continue
        value = _value(kind.fields[name].type, found, operation, variables)
        read: ast.expr = generated.name("source")
        if kind.name == "ChildLookup" and name in ENTRY_FIELDS:
            value = _entries(found[0], value, variables)
        else:
            read = generated.attribute(read, types.python_name(name))
        if value is not _itself:
            reader = f"read_{len(reads)}"
            reads[reader] = value
            read = generated.call(reader, read)
        members[key] = read
    shaped = generated.display(members)
    if required and any(not isinstance(member, ast.Constant) for member in members.values()):
        return generated.function("source", [generated.returned(shaped)], reads)
    made = generated.function("source", [generated.none_or("source", shaped)], reads)
    return _present(made) if required else made


def _entries(node: FieldNode, value: Read, variables: Variables) -> Read:
    wanted = entry_filter(node, variables)
    if wanted.leads_only:
        return lambda tree: value(next(iter(matching(tree.rows, wanted)), None))
    return lambda tree: value(matching(tree.rows, wanted))


def matching(rows: list[types.Involvement], wanted: EntryFilter) -> list[types.Involvement]:
    """Return the rows that one selection of entries takes, in their order."""
    if wanted.kinds is None and len(wanted.statuses) == len(InvolvementStatus):
        found = rows.copy()
    else:
        kinds = wanted.kinds
        found = [r for r in rows if r.status in wanted.statuses and (kinds is None or r.agency.kind in kinds)]
    return [r for r in found if r.lead][:1] if wanted.leads_only else found


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
    found = named_or_none(kind)
    if found is None:
        raise TypeError("not an object type")
    return found
