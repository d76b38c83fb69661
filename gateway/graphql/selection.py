"""What an operation selects of a lookup, as far as it decides what is asked for: sections and entry states.

One walk over the lookup field's own selection; aliases, fragments, `@skip` and `@include` are honoured.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    ListValueNode,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    value_from_ast_untyped,
)

from gateway.graphql.documents import Operation
from schema.sections import SECTIONS
from schema.vocabulary import AgencyKind, InvolvementStatus

Variables = Mapping[str, Any]
_CURRENT = frozenset({InvolvementStatus.CURRENT})
_PREVIOUS = frozenset({InvolvementStatus.PREVIOUS})


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """What one selection of entries takes; `kinds` None is every kind of agency."""

    statuses: frozenset[InvolvementStatus]
    kinds: frozenset[AgencyKind] | None
    leads_only: bool = False


@dataclass(frozen=True)
class Selection:
    """The paths of sections that the operation selects, and the entries that it asks for.

    A lookup that selects neither is still asked whether anybody is involved: it then has the default filter.
    """

    section_paths: frozenset[str]
    filters: tuple[EntryFilter, ...]
    labels_stale: bool = False  # every list of entries in it selects `staleAsOf`, so that no stale one goes unlabelled
    tells_of_sources: bool = True  # `sources` is in it

    @cached_property
    def statuses(self) -> frozenset[InvolvementStatus]:
        """The states of entries that are asked for; CURRENT always."""
        return _CURRENT.union(*(f.statuses for f in self.filters))

    @cached_property
    def previous_alone(self) -> bool:
        """Whether ended entries are asked for and no others."""
        return bool(self.filters) and all(f.statuses == _PREVIOUS for f in self.filters)


def included(directives: tuple[DirectiveNode, ...], variables: Variables) -> bool:
    """Return whether `@skip` and `@include` leave a selection in (GraphQL, sections 3.13.1 and 3.13.2)."""
    for directive in directives:
        wanted = directive.name.value == "include"
        if directive.name.value not in {"skip", "include"}:
            continue
        for argument in directive.arguments or ():
            if argument.name.value == "if" and bool(_value(argument.value, variables)) is not wanted:
                return False
    return True


def fields_of(
    selection_set: SelectionSetNode | None, fragments: Mapping[str, FragmentDefinitionNode], variables: Variables
) -> Iterator[FieldNode]:
    """Yield the fields of a selection with fragments opened. The schema has no abstract types to tell apart."""
    for node in selection_set.selections if selection_set else ():
        if not included(node.directives or (), variables):
            continue
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode):
            yield from fields_of(node.selection_set, fragments, variables)
        elif isinstance(node, FragmentSpreadNode):
            yield from fields_of(fragments[node.name.value].selection_set, fragments, variables)


def lookup_fields(operation: Operation, variables: Variables) -> list[FieldNode]:
    """Return the nodes of the operation's lookup field that are included; empty if it is skipped.

    Several nodes of one response key are one field (GraphQL, section 6.3.2).
    """
    roots = fields_of(operation.node.selection_set, operation.fragments, variables)
    return [node for node in roots if node.name.value == operation.lookup_field]


def asks_for_override(operation: Operation, variables: Variables) -> bool:
    """Return whether the operation's lookup asks for break-glass, for these coerced variables."""
    for node in lookup_fields(operation, variables):
        for argument in node.arguments or ():
            if argument.name.value == "access":
                access = value_from_ast_untyped(argument.value, dict(variables))
                override = access.get("override") if isinstance(access, Mapping) else None
                return override is not None and override is not Undefined
    return False


def select(operation: Operation, variables: Variables) -> Selection:
    """Return what the operation selects under its lookup field, for these coerced variables."""
    paths: set[str] = set()
    filters: list[EntryFilter] = []
    labelled: list[bool] = []
    names: set[str] = set()
    for lookup in lookup_fields(operation, variables):
        for node in fields_of(lookup.selection_set, operation.fragments, variables):
            name = node.name.value
            names.add(name)
            if name in {"involvements", "leadPractitioner"}:
                filters.append(entry_filter(node, variables))
                inner = fields_of(node.selection_set, operation.fragments, variables)
                labelled.append(any(field.name.value == "staleAsOf" for field in inner))
            elif (declaration := SECTIONS.get(name)) is not None:
                declared = {field.path for field in declaration.fields}
                if declaration.hoisted:
                    paths |= declared
                else:
                    inner = fields_of(node.selection_set, operation.fragments, variables)
                    paths |= {f"{name}.{field.name.value}" for field in inner} & declared
    if not filters and not paths:
        filters.append(EntryFilter(_CURRENT, None))
    return Selection(frozenset(paths), tuple(filters), bool(labelled) and all(labelled), "sources" in names)


def entry_filter(node: FieldNode, variables: Variables) -> EntryFilter:
    """Return which entries one `involvements` or `leadPractitioner` field takes."""
    if node.name.value == "leadPractitioner":
        return EntryFilter(_CURRENT, None, leads_only=True)
    return EntryFilter(_statuses(node, variables), _kinds(node, variables))


def selection_key(operation: Operation, variables: Variables) -> Hashable | None:
    """Return what two requests must share to select the same; None for an operation of which nothing may be kept.

    The text, the operation, and the values of the variables that select.
    """
    if not operation.may_be_kept:
        return None
    names = operation.selecting
    return (operation.named, tuple([_frozen(variables.get(name)) for name in names])) if names else operation.named


def _frozen(value: Any) -> Hashable:
    found: Hashable = tuple(value) if isinstance(value, list) else value
    return found


def _statuses(node: FieldNode, variables: Variables) -> frozenset[InvolvementStatus]:
    return frozenset(InvolvementStatus(word) for word in _words(node, "status", variables)) or _CURRENT


def _kinds(node: FieldNode, variables: Variables) -> frozenset[AgencyKind] | None:
    return frozenset(AgencyKind(word) for word in _words(node, "agencyKinds", variables)) or None


def _words(node: FieldNode, name: str, variables: Variables) -> list[str]:
    for argument in node.arguments or ():
        if argument.name.value == name:
            value = _value(argument.value, variables)
            return [str(word) for word in (value if isinstance(value, list) else [value]) if word is not None]
    return []


def _value(node: ValueNode, variables: Variables) -> Any:
    if isinstance(node, VariableNode):
        return variables.get(node.name.value)
    if isinstance(node, ListValueNode):
        return [_value(item, variables) for item in node.values]
    return getattr(node, "value", None)
