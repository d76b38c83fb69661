"""A request to an operation that is parsed, measured and validated; at most once for each text.

What stays in memory: for a text without a string and without a run of six digits, the document without locations (so
without its text and comments) under the text's SHA-256, or the refusal of it: a class, a fixed sentence and a line and
column. A text that holds a string or a long number may hold an identifier, and nothing of it is kept.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    Undefined,
    parse,
    type_from_ast,
    validate,
)
from graphql.execution.values import get_variable_values
from graphql.validation.validate import ValidationAbortedError

from gateway.errors import BadUserInput, Locations, ParseFailed, RequestError, ValidationFailed
from gateway.exhaustion import raise_exhaustion
from gateway.graphql.body import GraphQLRequest
from gateway.graphql.coercing import Read, never_null, reader_of
from gateway.graphql.guard import DocumentLimits, Measured, check_source, locations_of, measure
from gateway.graphql.locations import take_locations_off
from gateway.graphql.merging import check_comparisons
from gateway.graphql.root_fields import RootFields, check_root_fields, is_query, root_fields
from gateway.graphql.rules import RULES, LiteralFault
from gateway.graphql.selecting import selecting_variables
from gateway.remembered import Remembered

Parse = Callable[..., DocumentNode]
#: the SHA-256 of the text, and whether the caller may introspect
_Key = tuple[bytes, bool]

_NOT_VALID: Final = "A variable is missing, or its value is not valid for its type."
_MAY_HOLD_AN_IDENTIFIER = re.compile(r'"|[0-9]{6}')


@dataclass(frozen=True, slots=True)
class Operation:
    """One valid operation. `node` and `fragments` carry no locations, and no values unless `may_be_kept` is false."""

    document: DocumentNode = field(repr=False)
    node: OperationDefinitionNode = field(repr=False)
    fragments: Mapping[str, FragmentDefinitionNode] = field(repr=False)
    #: SHA-256 of the text, in hexadecimal. Of a text with identifiers it is a fingerprint of them: see `may_be_kept`.
    document_sha256: str = field(repr=False)
    #: that, and the operation's name: which of all operations it is
    named: tuple[str, str | None] = field(repr=False)
    #: False when the text may hold an identifier: then keep, log and cache nothing that is derived from it.
    may_be_kept: bool
    is_query: bool
    introspects: bool
    root_field_names: tuple[str, ...]
    #: what logs, metrics and traces call it: the name of its root field, a word of ours where there is not just one
    counted_as: str
    #: `child` or `findChild`, else None
    lookup_field: str | None
    lookup_node: FieldNode | None = field(repr=False)
    #: what a register answers, else None
    register_node: FieldNode | None = field(repr=False)
    #: the variables that decide what is selected
    selecting: tuple[str, ...]
    #: by the name of each variable, what gives its coerced value
    variable_readers: Mapping[str, Read] = field(repr=False)
    #: the variables that may be left out, and may not be null
    never_null: tuple[str, ...]

    @property
    def is_for_post_alone(self) -> bool:
        """Whether a lookup or a register answers it: identifiers do not go in URLs, and each answer is recorded."""
        return self.lookup_field is not None or self.register_node is not None


_Examined = Mapping[str | None, Operation]
_Roots = Mapping[str | None, RootFields]


@dataclass(frozen=True, slots=True)
class _Refusal:
    kind: type[RequestError]
    sentence: str
    locations: Locations

    def error(self) -> RequestError:
        """Return a new error: raising one object twice would join the tracebacks of two callers."""
        error = self.kind(locations=self.locations)
        error.sentence = self.sentence
        return error


class Documents:
    """The documents of one schema."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: DocumentLimits | None = None,
        *,
        remembered: int = 256,
        parse: Parse = parse,
    ) -> None:
        self._schema = schema
        self._limits = limits or DocumentLimits()
        self._parse = parse
        self._accepted: Remembered[_Key, _Examined] = Remembered(remembered, counted_as="documents")
        # apart, so that a client that errs again and again cannot push out what others use
        self._refused: Remembered[_Key, _Refusal] = Remembered(remembered)

    def check_source(self, request: GraphQLRequest) -> bytes:
        """Return the SHA-256 of the text.

        Raises LimitExceeded for one beyond the lexical limits; before anybody is known to have sent it.
        """
        # only what an authenticated caller has sent is remembered
        digest = request.sha256 or hashlib.sha256(_bytes(request.query)).digest()
        if (digest, False) not in self._accepted and (digest, True) not in self._accepted:
            check_source(request.query, self._limits)
        return digest

    def prepare(self, request: GraphQLRequest, *, may_introspect: bool, sha256: bytes | None = None) -> Operation:
        """Return the operation that the request names, or the only one. `sha256`: of its text, if that is known.

        Raises ParseFailed, LimitExceeded, ValidationFailed, and BadUserInput for a literal that its type does not take.
        For a caller who may not introspect, `__schema` and `__type` are fields that do not exist.
        """
        digest = hashlib.sha256(_bytes(request.query)).digest() if sha256 is None else sha256
        key = (digest, may_introspect)
        operations = self._accepted.get(key)
        if operations is None:
            operations = self._examined(request.query, key)
        if request.operation_name is None:
            if len(operations) > 1:
                raise ValidationFailed("Name the operation to run in `operationName`.")
            return next(iter(operations.values()))
        operation = operations.get(request.operation_name)
        if operation is None:
            raise ValidationFailed("`operationName` names no operation of the document.")
        return operation

    def coerce(self, operation: Operation, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the coerced values of the operation's variables (GraphQL, section 6.1.2); raise BadUserInput."""
        for name in operation.never_null:
            if name in variables and variables[name] is None:
                raise BadUserInput(_NOT_VALID)
        coerced = {}
        for name, read in operation.variable_readers.items():
            # a nesting that could exhaust the stack has been refused with the body
            value = read(variables[name]) if name in variables else Undefined
            if value is Undefined:
                break
            coerced[name] = value
        else:
            return coerced
        # a default, a variable that may be left out, or a fault: rare, and the library's to tell apart
        definitions = operation.node.variable_definitions or ()
        values = get_variable_values(self._schema, definitions, dict(variables), max_errors=1, hide_suggestions=True)
        if isinstance(values, list):
            for error in values:
                raise_exhaustion(error)
            # the errors say which value and what is wrong with it, in the caller's own words: told to nobody
            raise BadUserInput(_NOT_VALID)
        if not variables.keys() & operation.variable_readers.keys() <= values.coerced.keys():
            # the library could not read it at first, found nothing wrong with it then, and left it out
            raise MemoryError
        return values.coerced

    def _examined(self, text: str, key: _Key) -> _Examined:
        refusal = self._refused.get(key)
        if refusal is not None:
            raise refusal.error()
        digest, may_introspect = key
        may_be_kept = not _MAY_HOLD_AN_IDENTIFIER.search(text)
        try:
            examined = self._examine(text, digest.hex(), may_be_kept, may_introspect)
        except RequestError as error:
            error.__cause__ = error.__context__ = None
            if may_be_kept:
                self._refused.keep(key, _Refusal(type(error), error.sentence, error.locations))
            raise
        if may_be_kept:
            self._accepted.keep(key, examined)
        return examined

    def _examine(self, text: str, sha256: str, may_be_kept: bool, may_introspect: bool) -> _Examined:
        # once more, because `prepare` may be called by what did not read a body
        check_source(text, self._limits)
        document = self._parsed(text)
        measured, roots = self._measured(document, may_introspect)
        errors = validate(self._schema, document, RULES, max_errors=1, hide_suggestions=True)
        if errors:
            if isinstance(errors[0], ValidationAbortedError):
                # the library ran out of stack; how deep a document may be was measured before
                raise RecursionError
            raise _refusal_of(errors[0])
        operations = self._operations(document, measured, roots, sha256, may_be_kept)
        # a refusal says where; what is kept must not hold the text
        take_locations_off(document)
        return operations

    def _parsed(self, text: str) -> DocumentNode:
        try:
            return self._parse(
                text,
                max_lexical_tokens=self._limits.max_lexical_tokens,
                max_comments=self._limits.max_comments,
                max_source_length=self._limits.max_source_length,
            )
        except GraphQLSyntaxError as error:
            # `from None`: the parser's message quotes the text
            raise ParseFailed(locations=_locations_in(error)) from None

    def _measured(self, document: DocumentNode, may_introspect: bool) -> tuple[Measured, _Roots]:
        measured = measure(document, self._limits)
        check_comparisons(measured.operations.values(), measured.fragments, self._limits.max_comparisons)
        roots = {name: root_fields(node, measured.fragments) for name, node in measured.operations.items()}
        if not may_introspect:
            # before validation, which knows the types of introspection and would say what is wrong below them
            _check_no_introspection(roots.values())
        return measured, roots

    def _operations(
        self, document: DocumentNode, measured: Measured, roots: _Roots, sha256: str, may_be_kept: bool
    ) -> _Examined:
        for root in roots.values():
            check_root_fields(root, measured.fragments)
        return {
            name: self._operation(document, node, measured.fragments, roots[name], sha256, may_be_kept)
            for name, node in measured.operations.items()
        }

    def _operation(
        self,
        document: DocumentNode,
        node: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        root: RootFields,
        sha256: str,
        may_be_kept: bool,
    ) -> Operation:
        variable_readers = {
            # validation has shown that each is an input type
            definition.variable.name.value: reader_of(
                cast("GraphQLInputType", type_from_ast(self._schema, definition.type))
            )
            for definition in node.variable_definitions or ()
        }
        return Operation(
            document=document,
            node=node,
            fragments=fragments,
            document_sha256=sha256,
            named=(sha256, node.name.value if node.name else None),
            may_be_kept=may_be_kept,
            is_query=is_query(node),
            introspects=root.introspection is not None,
            root_field_names=root.names,
            counted_as=root.counted_as,
            lookup_field=root.lookup.name.value if root.lookup else None,
            lookup_node=root.lookup,
            register_node=root.register,
            selecting=tuple(sorted(selecting_variables(node, fragments))),
            variable_readers=variable_readers,
            never_null=never_null(self._schema, document, node),
        )


def _check_no_introspection(roots: Iterable[RootFields]) -> None:
    for root in roots:
        if root.introspection is not None:
            raise ValidationFailed(locations=locations_of(root.introspection))


def _refusal_of(error: GraphQLError) -> RequestError:
    """Return the refusal for the first validation error: its kind and place, nothing of its message."""
    kind = BadUserInput if isinstance(error, LiteralFault) else ValidationFailed
    return kind(locations=_locations_in(error))


def _locations_in(error: GraphQLError) -> Locations:
    return tuple((location.line, location.column) for location in (error.locations or ())[:1])


def _bytes(text: str) -> bytes:
    # a text that did not come through `gateway.graphql.body` may hold what UTF-8 cannot
    return text.encode("utf-8", "surrogatepass")
