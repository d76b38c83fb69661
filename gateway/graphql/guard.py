"""What a document may ask for, decided before the schema is looked at.

Two passes, both linear in the document: `check_source` over the text, before anybody is known to have sent it, and
`measure` over the parsed document, for an authenticated caller. Each fragment is measured once, however often and from
wherever it is spread: the usual recursive limiters walk every path, of which twenty-five fragments make thirty million.
Pure functions; every refusal is a GatewayError and names nothing of the document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    SelectionSetNode,
    get_location,
)

from gateway.errors import LimitExceeded, Locations, ValidationFailed

INTROSPECTION_FIELDS = frozenset({"__schema", "__type"})


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """Ceilings for one document; the introspection ones hold under `__schema` and `__type` only."""

    max_source_length: int = 8_000
    max_lexical_tokens: int = 600
    max_tokens_in_parentheses: int = 120
    max_comments: int = 20
    max_bracket_nesting: int = 48
    max_operations: int = 10
    max_fragments: int = 10
    max_depth: int = 8
    max_fields: int = 200
    max_aliases: int = 10
    max_directives: int = 20
    max_repeats_of_a_response_key: int = 10
    max_comparisons: int = 100
    max_introspection_depth: int = 20
    max_introspection_fields: int = 300


@dataclass(frozen=True, slots=True)
class Measured:
    """What one pass over a document found. `visited` counts the nodes looked at, each at most once."""

    operations: Mapping[str | None, OperationDefinitionNode]
    fragments: Mapping[str, FragmentDefinitionNode]
    visited: int


# Never counts fewer tokens than the parser's own lexer would before its first error. An unclosed string runs on, and
# nothing is tried twice (possessive), or a text of quotes would cost the square of its length.
_TOKEN = re.compile(
    r'"""(?:[^"\\]++|\\(?:""")?|"(?!""))*+(?:""")?'
    r'|"(?:[^"\\\n\r]++|\\.)*+"?'
    r"|\#[^\n\r]*+"
    r"|[_A-Za-z][_0-9A-Za-z]*+"
    r"|-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
    r"|\.\.\."
    r"|[!$&()\[\]{}:=@|]"
)


def check_source(text: str, limits: DocumentLimits) -> None:
    """Raise LimitExceeded for a text that is too long to parse: characters, tokens, comments, nested brackets.

    Arguments and variables have a ceiling of their own: no rule of the schema bounds how many values a list holds.
    """
    if len(text) > limits.max_source_length:
        raise LimitExceeded("The document is too long.")
    tokens = comments = nesting = parentheses = inside = 0
    for token in _TOKEN.findall(text):
        first = token[0]
        if first == "#":
            comments += 1
            continue
        tokens += 1
        inside += parentheses > 0
        if first in "{[(":
            nesting += 1
            parentheses += first == "("
            if nesting > limits.max_bracket_nesting:
                raise LimitExceeded("The document is nested too deep.")
        elif first in "}])":
            nesting -= 1
            parentheses -= first == ")"
    if tokens > limits.max_lexical_tokens:
        raise LimitExceeded("The document has too many tokens.")
    if inside > limits.max_tokens_in_parentheses:
        raise LimitExceeded("The document has too many arguments and variables.")
    if comments > limits.max_comments:
        raise LimitExceeded("The document has too many comments.")


def measure(document: DocumentNode, limits: DocumentLimits) -> Measured:
    """Return the operations and fragments of a document that keeps every limit.

    Raises LimitExceeded, or ValidationFailed for what makes measuring meaningless: definitions that are not
    executable, fragments that are unknown, unused, named twice or part of a cycle, and empty selection sets.
    """
    return _Measure(document, limits).run()


def locations_of(node: Node) -> Locations:
    """Return line and column of a node, or nothing for a document that was parsed without locations."""
    if node.loc is None:
        return ()
    location = get_location(node.loc.source, node.loc.start)
    return ((location.line, location.column),)


def response_key(field: FieldNode) -> str:
    """Return the name under which a field's value stands in the response (GraphQL, section 2.7)."""
    return field.alias.value if field.alias else field.name.value


@dataclass(slots=True)
class _Totals:
    """What a selection set holds with its fragments spread out. `introspection_*` is what lies under `__schema`."""

    depth: int
    fields: int
    aliases: int
    directives: int
    introspection_depth: int
    introspection_fields: int
    response_keys: dict[str, int]

    def add(self, other: _Totals) -> None:
        self.fields += other.fields
        self.aliases += other.aliases
        self.directives += other.directives
        self.introspection_fields += other.introspection_fields
        self.depth = max(self.depth, other.depth)
        self.introspection_depth = max(self.introspection_depth, other.introspection_depth)


class _Measure:
    def __init__(self, document: DocumentNode, limits: DocumentLimits) -> None:
        self.document = document
        self.limits = limits
        self.visited = 0
        self.fragments: dict[str, FragmentDefinitionNode] = {}
        self.operations: dict[str | None, OperationDefinitionNode] = {}
        #: the totals of each fragment; None while it is being measured, which is how a cycle is seen
        self.measured: dict[str, _Totals | None] = {}
        # what is deeper or larger than both ceilings is refused at once, so no number grows beyond them
        self.deepest = max(limits.max_depth, limits.max_introspection_depth)
        self.most_fields = max(limits.max_fields, limits.max_introspection_fields)

    def run(self) -> Measured:
        self._collect_definitions()
        whole = _empty_totals()
        for operation in self.operations.values():
            whole.add(self._selection_set(operation.selection_set))
            whole.directives += len(operation.directives or ())
            for variable in operation.variable_definitions or ():
                self.visited += 1
                whole.directives += len(variable.directives or ())
            self._check(whole)
        if whole.depth > self.limits.max_depth:
            raise LimitExceeded("The document is nested too deep.")
        if whole.fields > self.limits.max_fields:
            raise LimitExceeded("The document selects too many fields.")
        for name, fragment in self.fragments.items():
            if name not in self.measured:
                raise ValidationFailed("A fragment is not used.", locations=locations_of(fragment))
        return Measured(MappingProxyType(self.operations), MappingProxyType(self.fragments), self.visited)

    def _collect_definitions(self) -> None:
        for definition in self.document.definitions:
            if isinstance(definition, FragmentDefinitionNode):
                if definition.name.value in self.fragments:
                    raise ValidationFailed(locations=locations_of(definition))
                self.fragments[definition.name.value] = definition
            elif isinstance(definition, OperationDefinitionNode):
                name = definition.name.value if definition.name else None
                if name in self.operations or (self.operations and None in {name, *self.operations}):
                    # of two operations one of which has no name, nobody can say which is meant
                    raise ValidationFailed(locations=locations_of(definition))
                self.operations[name] = definition
            else:
                raise ValidationFailed(locations=locations_of(definition))
        if not self.operations:
            raise ValidationFailed
        if len(self.operations) > self.limits.max_operations:
            raise LimitExceeded("The document has too many operations.")
        if len(self.fragments) > self.limits.max_fragments:
            raise LimitExceeded("The document has too many fragments.")

    def _selection_set(self, selection_set: SelectionSetNode) -> _Totals:
        self.visited += 1
        if not selection_set.selections:
            # it would ask whether a child exists, and disclose no field that a record could name
            raise ValidationFailed("A selection set is empty.", locations=locations_of(selection_set))
        totals = _empty_totals()
        for selection in selection_set.selections:
            totals.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                self._field(selection, totals)
            else:
                if isinstance(selection, InlineFragmentNode):
                    self.visited += 1
                    inner = self._selection_set(selection.selection_set)
                else:
                    assert isinstance(selection, FragmentSpreadNode)  # noqa: S101 - the third and last kind
                    inner = self._spread(selection)
                totals.add(inner)
                for key, count in inner.response_keys.items():
                    totals.response_keys[key] = totals.response_keys.get(key, 0) + count
            self._check(totals)
        return totals

    def _field(self, field: FieldNode, totals: _Totals) -> None:
        self.visited += 1
        key = response_key(field)
        totals.response_keys[key] = totals.response_keys.get(key, 0) + 1
        totals.aliases += field.alias is not None
        totals.fields += 1
        totals.depth = max(totals.depth, 1)
        if field.selection_set is None:
            return
        inner = self._selection_set(field.selection_set)
        totals.aliases += inner.aliases
        totals.directives += inner.directives
        if field.name.value in INTROSPECTION_FIELDS:
            totals.introspection_fields += inner.fields + inner.introspection_fields
            totals.introspection_depth = max(totals.introspection_depth, inner.depth, inner.introspection_depth)
        else:
            totals.fields += inner.fields
            totals.introspection_fields += inner.introspection_fields
            totals.depth = max(totals.depth, 1 + inner.depth)
            totals.introspection_depth = max(totals.introspection_depth, inner.introspection_depth)

    def _spread(self, spread: FragmentSpreadNode) -> _Totals:
        self.visited += 1
        name = spread.name.value
        if name in self.measured:
            totals = self.measured[name]
            if totals is None:
                raise ValidationFailed("A fragment spreads itself.", locations=locations_of(spread))
            return totals
        fragment = self.fragments.get(name)
        if fragment is None:
            raise ValidationFailed(locations=locations_of(spread))
        self.visited += 1
        self.measured[name] = None
        totals = self._selection_set(fragment.selection_set)
        totals.directives += len(fragment.directives or ())
        self.measured[name] = totals
        return totals

    def _check(self, totals: _Totals) -> None:
        limits = self.limits
        if max(totals.depth, totals.introspection_depth) > self.deepest:
            raise LimitExceeded("The document is nested too deep.")
        if max(totals.fields, totals.introspection_fields) > self.most_fields:
            raise LimitExceeded("The document selects too many fields.")
        if totals.aliases > limits.max_aliases:
            raise LimitExceeded("The document has too many aliases.")
        if totals.directives > limits.max_directives:
            raise LimitExceeded("The document has too many directives.")
        # two fields with one response key are compared, and what is below them, pair by pair
        if totals.response_keys and max(totals.response_keys.values()) > limits.max_repeats_of_a_response_key:
            raise LimitExceeded("The document selects one response key too often.")


def _empty_totals() -> _Totals:
    return _Totals(0, 0, 0, 0, 0, 0, {})
