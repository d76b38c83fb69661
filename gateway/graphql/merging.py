"""How much work it is to show that the fields of a document can be merged (GraphQL, section 5.3.2).

Validation compares every two field nodes that share a response key at one place of the answer, with their arguments,
and does so again below them: ten repeats of a field with ten repeats in each are ten thousand comparisons in forty
tokens. So the comparisons are counted, by one walk that makes none, before the rule is let at the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphql import (
    ArgumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
)

from gateway.errors import LimitExceeded
from gateway.graphql.guard import response_key


def check_comparisons(
    operations: Iterable[OperationDefinitionNode], fragments: Mapping[str, FragmentDefinitionNode], most: int
) -> int:
    """Return how many comparisons merging takes, at most; raise LimitExceeded when that is more than `most`.

    For a document that `measure` has passed: no fragment is unknown or spreads itself.
    """
    found = 0
    #: for each place of the answer, the selection sets whose fields come together there; the rule looks at a fragment
    #: by itself too
    places: list[list[SelectionSetNode]] = [[d.selection_set] for d in (*operations, *fragments.values())]
    while places:
        for nodes in _collected(places.pop(), fragments).values():
            repeats = len(nodes) - 1
            if repeats:
                # each node is compared with every other one, and its arguments are written out each time
                found += repeats * len(nodes) // 2 + repeats * sum(map(_values_in_arguments, nodes))
                if found > most:
                    raise LimitExceeded("The document selects one response key too often.")
            below = [node.selection_set for node in nodes if node.selection_set is not None]
            if below:
                places.append(below)
    return found


def _collected(
    selection_sets: list[SelectionSetNode], fragments: Mapping[str, FragmentDefinitionNode]
) -> dict[str, list[FieldNode]]:
    """Return the field nodes of one place by response key; a fragment that is spread there again adds nothing."""
    found: dict[str, list[FieldNode]] = {}
    spread: set[str] = set()
    waiting = list(selection_sets)
    while waiting:
        for selection in waiting.pop().selections:
            if isinstance(selection, FieldNode):
                found.setdefault(response_key(selection), []).append(selection)
            elif isinstance(selection, InlineFragmentNode):
                waiting.append(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
                spread.add(selection.name.value)
                waiting.append(fragments[selection.name.value].selection_set)
    return found


def _values_in_arguments(field: FieldNode) -> int:
    found = 0
    waiting: list[ArgumentNode | ValueNode] = list(field.arguments or ())
    while waiting:
        node = waiting.pop()
        found += 1
        if isinstance(node, ArgumentNode):
            waiting.append(node.value)
        elif isinstance(node, ListValueNode):
            waiting.extend(node.values)
        elif isinstance(node, ObjectValueNode):
            waiting.extend(member.value for member in node.fields)
    return found
