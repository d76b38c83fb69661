"""From variables as they were sent to the values that the schema's types take, by a reader made once for each type.

graphql-core asks of every value what its type is; a reader has asked that when it is made. Readers know the plain
cases, which are nearly all: the rest is left to the library, whose `coerce_input_value` is the oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLLeafType,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLString,
    NonNullTypeNode,
    OperationDefinitionNode,
    TypeInfo,
    Undefined,
    ValidationContext,
    coerce_input_value,
    is_leaf_type,
)

from gateway.exhaustion import EXHAUSTION

Read = Callable[[Any], Any]


def reader_of(kind: GraphQLInputType, within: frozenset[str] = frozenset()) -> Read:
    """Return what gives the coerced value of a type (GraphQL, section 3.10 and 3.12), or Undefined if it takes no such.

    `within` are the input objects that this one is a part of: one that is a part of itself is left to the library.
    """
    required = isinstance(kind, GraphQLNonNull)
    of = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    # what reads a type knows whether None is a value: to ask that around each would be a call more
    missing = Undefined if required else None
    if isinstance(of, GraphQLEnumType):
        return _word(of, missing)
    if is_leaf_type(of):
        return _leaf(of, missing)
    if isinstance(of, GraphQLInputObjectType) and of.name not in within and _is_plain(of):
        return _object(of, within | {of.name}, missing)
    return lambda value: missing if value is None or value is Undefined else coerce_input_value(value, of)


def never_null(schema: GraphQLSchema, document: DocumentNode, node: OperationDefinitionNode) -> tuple[str, ...]:
    """Return the variables of a valid operation that may be left out, and stand where null may not.

    A default lets a variable stand there, and a null that is sent is not replaced by it (GraphQL, section 5.8.5). The
    executor finds that while it executes; here it has to be found before anybody is asked.
    """
    nullable = {
        definition.variable.name.value
        for definition in node.variable_definitions or ()
        if not isinstance(definition.type, NonNullTypeNode)
    }
    if not nullable:
        return ()
    context = ValidationContext(schema, document, TypeInfo(schema), lambda _: None)
    usages = context.get_recursive_variable_usages(node)
    required = {usage.node.name.value for usage in usages if isinstance(usage.type, GraphQLNonNull)}
    return tuple(sorted(nullable & required))


def _is_plain(kind: GraphQLInputObjectType) -> bool:
    """Whether an object of the type is its members, each by its own name, without defaults."""
    renamed = any(each.out_name or each.default is not None for each in kind.fields.values())
    defaults = any(each.default_value is not Undefined for each in kind.fields.values())
    return not (renamed or defaults or kind.is_one_of) and kind.out_type is GraphQLInputObjectType.out_type


def _leaf(kind: GraphQLLeafType, missing: Any) -> Read:
    coerced = kind.coerce_input_value

    def read(value: Any) -> Any:
        if value is None or value is Undefined:
            return missing
        try:
            return coerced(value)
        except EXHAUSTION:
            raise
        except Exception:
            return Undefined  # as the library does: what a type raises says that it takes no such value

    return read


def _word(kind: GraphQLEnumType, missing: Any) -> Read:
    read = _leaf(kind, missing)
    words = {name: read(name) for name in kind.values}

    def read_word(value: Any) -> Any:
        known = words.get(value, Undefined) if type(value) is str else Undefined
        return read(value) if known is Undefined else known

    return read_word


def _object(kind: GraphQLInputObjectType, within: frozenset[str], missing: Any) -> Read:
    readers = {name: reader_of(field.type, within) for name, field in kind.fields.items()}
    required = [name for name, field in kind.fields.items() if isinstance(field.type, GraphQLNonNull)]
    texts = {name for name, field in kind.fields.items() if _is_text(field.type)}

    def read(value: Any) -> Any:
        if type(value) is not dict:
            return missing if value is None or value is Undefined else coerce_input_value(value, kind)
        coerced = {}
        for name, member in value.items():
            if type(member) is str and name in texts:
                coerced[name] = member
                continue
            if name not in readers or member is Undefined:
                return coerce_input_value(value, kind)
            told = coerced[name] = readers[name](member)
            if told is Undefined:
                return Undefined
        for name in required:
            if name not in coerced:
                return Undefined
        return coerced

    return read


def _is_text(kind: GraphQLInputType) -> bool:
    """Whether every text is a value of the type, and stands for itself."""
    return kind is GraphQLString or (isinstance(kind, GraphQLNonNull) and kind.of_type is GraphQLString)
