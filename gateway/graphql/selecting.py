"""Which variables of an operation decide what is selected: those in directives and filters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    InlineFragmentNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)


def selecting_variables(
    node: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> frozenset[str]:
    """Return the names of the variables that decide what is selected."""
    found: set[str] = set()
    _note_variables(node.selection_set, found)
    for fragment in fragments.values():
        _note_variables(fragment.selection_set, found)
    return frozenset(found)


def _note_variables(selection_set: SelectionSetNode | None, found: set[str]) -> None:
    for node in selection_set.selections if selection_set else ():
        for directive in node.directives or ():
            found |= {a.value.name.value for a in directive.arguments or () if isinstance(a.value, VariableNode)}
        if isinstance(node, FieldNode):
            for argument in node.arguments or ():
                if argument.name.value in {"status", "agencyKinds"}:
                    found |= set(_variables_in(argument.value))
        if isinstance(node, FieldNode | InlineFragmentNode):
            _note_variables(node.selection_set, found)


def _variables_in(value: ValueNode) -> Iterator[str]:
    if isinstance(value, VariableNode):
        yield value.name.value
    elif isinstance(value, ListValueNode):
        for item in value.values:
            yield from _variables_in(item)
