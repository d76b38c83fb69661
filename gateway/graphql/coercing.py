"""From variables as they were sent to the values that the schema's types take, by a reader made once for each type.

graphql-core asks of every value what its type is; a reader has asked that when it is made. Readers know the plain
cases, which are nearly all: the rest is left to the library, whose `coerce_input_value` is the oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLLeafType,
    GraphQLNonNull,
    Undefined,
    coerce_input_value,
    is_leaf_type,
)

from gateway.exhaustion import EXHAUSTION

Read = Callable[[Any], Any]


def reader_of(kind: GraphQLInputType, within: frozenset[str] = frozenset()) -> Read:
    """Return what gives the coerced value of a type (GraphQL, section 3.10 and 3.12), or Undefined if it takes no such.

    `within` are the input objects that this one is a part of: one that is a part of itself is left to the library.
    """
    if isinstance(kind, GraphQLNonNull):
        return _required(reader_of(kind.of_type, within))
    if isinstance(kind, GraphQLEnumType):
        return _word(kind)
    if is_leaf_type(kind):
        return _leaf(kind)
    if isinstance(kind, GraphQLInputObjectType) and kind.name not in within and _is_plain(kind):
        return _object(kind, within | {kind.name})
    return lambda value: coerce_input_value(value, kind)


def _is_plain(kind: GraphQLInputObjectType) -> bool:
    """Whether an object of the type is its members, each by its own name, without defaults."""
    renamed = any(each.out_name or each.default is not None for each in kind.fields.values())
    defaults = any(each.default_value is not Undefined for each in kind.fields.values())
    return not (renamed or defaults or kind.is_one_of) and kind.out_type is GraphQLInputObjectType.out_type


def _required(read: Read) -> Read:
    return lambda value: Undefined if value is None or value is Undefined else read(value)


def _leaf(kind: GraphQLLeafType) -> Read:
    coerced = kind.coerce_input_value

    def read(value: Any) -> Any:
        if value is None or value is Undefined:
            return None
        try:
            return coerced(value)
        except EXHAUSTION:
            raise
        except Exception:
            return Undefined  # as the library does: what a type raises says that it takes no such value

    return read


def _word(kind: GraphQLEnumType) -> Read:
    read = _leaf(kind)
    words = {name: read(name) for name in kind.values}

    def read_word(value: Any) -> Any:
        known = words.get(value, Undefined) if type(value) is str else Undefined
        return read(value) if known is Undefined else known

    return read_word


def _object(kind: GraphQLInputObjectType, within: frozenset[str]) -> Read:
    readers = {name: reader_of(field.type, within) for name, field in kind.fields.items()}
    required = {name for name, field in kind.fields.items() if isinstance(field.type, GraphQLNonNull)}

    def read(value: Any) -> Any:
        if type(value) is not dict:
            return coerce_input_value(value, kind)
        coerced = {}
        for name, member in value.items():
            if name not in readers or member is Undefined:
                return coerce_input_value(value, kind)
            told = coerced[name] = readers[name](member)
            if told is Undefined:
                return Undefined
        return coerced if required <= coerced.keys() else Undefined

    return read
