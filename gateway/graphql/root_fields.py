"""What an operation asks of the root, and the rules that a lookup and a register keep there.

At most one lookup in an operation, no introspection beside it, and `outcome` always in the answer; what a register
answers stands alone, once and unconditionally. Every walk is linear in the document. Pure functions; refusals are
GatewayErrors and name nothing of the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)

from gateway.errors import LimitExceeded, ValidationFailed
from gateway.graphql.guard import INTROSPECTION_FIELDS, locations_of, response_key

LOOKUP_FIELDS = frozenset({"child", "findChild"})
#: what a register answers: each is recorded on its own, so each stands alone
REGISTER_FIELDS = frozenset(
    {"appointments", "auditEvents", "reviews", "registerAppointment", "endAppointment", "decideReview"}
)
#: what a request is counted as that has not one root field of the schema
OTHER_OPERATIONS = frozenset({"introspection", "several", "typename", "unread"})
_CONDITIONS = frozenset({"skip", "include"})


@dataclass(frozen=True, slots=True)
class RootFields:
    """The fields that an operation asks of the root, fragments included."""

    names: tuple[str, ...]
    lookup: FieldNode | None
    lookup_is_conditional: bool
    introspection: FieldNode | None
    register: FieldNode | None
    register_is_conditional: bool

    @property
    def counted_as(self) -> str:
        """One word of a closed list for what is asked: of a valid document, a name of the schema."""
        if self.lookup is not None:
            return self.lookup.name.value
        if self.introspection is not None:
            return "introspection"
        named = [name for name in self.names if name != "__typename"]
        return named[0] if len(named) == 1 else "several" if named else "typename"


def root_fields(operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> RootFields:
    """Return what the operation asks of the root; raise LimitExceeded when that is more than one lookup, or register.

    A fragment is walked once for each way to reach it (under a condition, or not), as in CollectFields (GraphQL,
    section 6.3.2).
    """
    names: dict[str, None] = {}
    # by node: one field is reached more than once when its fragment is spread twice
    lookups: dict[int, FieldNode] = {}
    registers: dict[int, FieldNode] = {}
    unconditional: set[int] = set()
    introspection: FieldNode | None = None
    for field, conditional in _fields_at_top(operation.selection_set, fragments):
        name = field.name.value
        names[name] = None
        if name in LOOKUP_FIELDS:
            lookups[id(field)] = field
            if not conditional:
                unconditional.add(id(field))
        elif name in REGISTER_FIELDS:
            registers[id(field)] = field
            if not conditional:
                unconditional.add(id(field))
        elif name in INTROSPECTION_FIELDS and introspection is None:
            introspection = field
    if len(lookups) > 1:
        raise LimitExceeded("Ask for one child in one operation.")
    if len(registers) > 1:
        raise LimitExceeded("Ask a register for one thing in one operation.")
    return RootFields(
        names=tuple(names),
        lookup=next(iter(lookups.values()), None),
        lookup_is_conditional=bool(lookups) and not unconditional,
        introspection=introspection,
        register=next(iter(registers.values()), None),
        register_is_conditional=bool(registers) and not unconditional,
    )


def check_root_fields(root: RootFields, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
    """Raise ValidationFailed unless the root fields keep the rules of a lookup. For a document that is valid.

    `outcome` is what keeps an incomplete answer from reading as an empty one, so nothing may take it away: not its
    absence, not another response key, not a condition on it or on anything around it.
    """
    if root.register is not None:
        _check_register(root, root.register)
    if root.lookup is None:
        return
    if root.introspection is not None:
        raise ValidationFailed(
            "A lookup and introspection do not share an operation.", locations=locations_of(root.introspection)
        )
    if root.lookup.name.value != "child":
        return
    if root.lookup_is_conditional or not _selects_outcome(root.lookup, fragments):
        raise ValidationFailed(
            "Select `outcome` in `child`, under that name and without @skip or @include on it or around it.",
            locations=locations_of(root.lookup),
        )


def _check_register(root: RootFields, register: FieldNode) -> None:
    if set(root.names) - {register.name.value, "__typename"}:
        raise ValidationFailed("This field stands alone in its operation.", locations=locations_of(register))
    if root.register_is_conditional:
        raise ValidationFailed(
            "This field takes no @skip or @include on it or around it.", locations=locations_of(register)
        )


def is_query(operation: OperationDefinitionNode) -> bool:
    """Return whether the operation is a query: what a GET may carry."""
    return operation.operation is OperationType.QUERY


def _selects_outcome(child: FieldNode, fragments: Mapping[str, FragmentDefinitionNode]) -> bool:
    return child.selection_set is not None and any(
        field.name.value == "outcome" and response_key(field) == "outcome" and not conditional
        for field, conditional in _fields_at_top(child.selection_set, fragments)
    )


def _fields_at_top(
    selection_set: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> list[tuple[FieldNode, bool]]:
    """Return the fields of a selection set and of the fragments in it, each with whether a condition governs it."""
    found: list[tuple[FieldNode, bool]] = []
    walked: set[tuple[str, bool]] = set()
    waiting: list[tuple[SelectionSetNode, bool]] = [(selection_set, False)]
    while waiting:
        selections, around = waiting.pop()
        for selection in selections.selections:
            conditional = around or any(directive.name.value in _CONDITIONS for directive in selection.directives or ())
            if isinstance(selection, FieldNode):
                found.append((selection, conditional))
            elif isinstance(selection, InlineFragmentNode):
                waiting.append((selection.selection_set, conditional))
            elif isinstance(selection, FragmentSpreadNode):
                spread = (selection.name.value, conditional)
                if spread not in walked:
                    walked.add(spread)
                    waiting.append((fragments[spread[0]].selection_set, conditional))
    return found
