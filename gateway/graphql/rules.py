"""The rules of validation that run (GraphQL, section 5): the specified ones that nothing before them has shown."""

from __future__ import annotations

from graphql import GraphQLError, GraphQLInputType, ValueNode, specified_rules
from graphql.language.visitor import VisitorAction
from graphql.validation import (
    ExecutableDefinitionsRule,
    KnownFragmentNamesRule,
    LoneAnonymousOperationRule,
    NoFragmentCyclesRule,
    NoUnusedFragmentsRule,
    UniqueFragmentNamesRule,
    UniqueOperationNamesRule,
    ValuesOfCorrectTypeRule,
)

from gateway.exhaustion import raise_exhaustion


class LiteralFault(GraphQLError):
    """A literal that its type does not take; holds no message, for the scalar's own may quote the literal."""


class _LiteralsOfCorrectType(ValuesOfCorrectTypeRule):
    """The specified rule, with its errors marked: a bad literal is the caller's value and not a document's fault."""

    def is_valid_value_node(self, node: ValueNode, input_type: GraphQLInputType | None) -> VisitorAction:
        self._literal = node
        return super().is_valid_value_node(node, input_type)

    def report_error(self, error: GraphQLError) -> None:
        raise_exhaustion(error)
        super().report_error(LiteralFault("", error.nodes or self._literal))


_SHOWN_BY_MEASURING = frozenset(
    {
        ExecutableDefinitionsRule,
        UniqueOperationNamesRule,
        LoneAnonymousOperationRule,
        UniqueFragmentNamesRule,
        KnownFragmentNamesRule,
        NoUnusedFragmentsRule,
        NoFragmentCyclesRule,
    }
)
"""What `measure` refuses before any rule runs: each rule left out is a twentieth of the time of validation."""

# Built once. Every limit that keeps the pairwise OverlappingFieldsCanBeMerged cheap holds before these run.
RULES = tuple(
    _LiteralsOfCorrectType if rule is ValuesOfCorrectTypeRule else rule
    for rule in specified_rules
    if rule not in _SHOWN_BY_MEASURING
)
