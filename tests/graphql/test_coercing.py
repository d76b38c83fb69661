"""The readers of variables give what graphql-core gives, for whatever is sent."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import (
    GraphQLInputType,
    GraphQLNonNull,
    Undefined,
    build_schema,
    coerce_input_value,
    is_input_type,
    parse_type,
    type_from_ast,
)
from hypothesis import given
from hypothesis import strategies as st

from gateway.graphql.coercing import reader_of
from gateway.graphql.query import GRAPHQL_SCHEMA

OTHERS = build_schema("""
  enum Word { ONE TWO }
  input Inner { a: Int! b: [String!] c: Word = TWO d: Inner }
  input Either @oneOf { a: Int b: String }
  input Outer { inner: Inner! either: Either list: [Inner] many: [[Boolean]] }
  type Query { a: Int }
""")
KINDS = {
    **{
        f"{name}": type_from_ast(GRAPHQL_SCHEMA, parse_type(name))
        for name in ("ChildKey!", "AccessRequest", "Override")
    },
    **{
        f"{name}": type_from_ast(OTHERS, parse_type(name)) for name in ("Outer!", "Inner", "Either", "[Inner!]", "Word")
    },
}
NAMES = [
    *("nhsNumber", "handle", "dateOfBirth", "familyName", "purpose", "reason", "caseReference", "override"),
    *("justification", "acceptReview", "a", "b", "c", "d", "inner", "either", "list", "many", "none"),
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 2**40)
    | st.floats(allow_nan=False)
    | st.sampled_from(["9990000018", "2015-03-14", "CP_S47", "ONE", "TWO", "a word", ""])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner), max_leaves=12
)
keys = st.fixed_dictionaries(
    {"nhsNumber": scalars, "dateOfBirth": st.sampled_from(["2015-03-14", "x", 1]), "familyName": scalars},
    optional={"handle": scalars},
)


def told(value: Any, kind: GraphQLInputType) -> Any:
    return coerce_input_value(value, kind)


@pytest.mark.parametrize("kind", [pytest.param(kind, id=name) for name, kind in KINDS.items()])
@given(value=values | keys)
def test_a_reader_gives_what_the_library_gives(kind: GraphQLInputType, value: Any) -> None:
    assert is_input_type(kind)

    assert reader_of(kind)(value) == told(value, kind)


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ({"nhsNumber": "999 000 0018", "dateOfBirth": "2015-03-14", "familyName": "Archer"}, True),
        ({"handle": "h", "dateOfBirth": "2015-03-14", "familyName": "Archer", "nhsNumber": None}, True),
        ({"nhsNumber": "9990000019", "dateOfBirth": "2015-03-14", "familyName": "Archer"}, False),
        ({"nhsNumber": "9990000018", "dateOfBirth": "2015-03-14"}, False),
        ({"nhsNumber": "9990000018", "dateOfBirth": "2015-03-14", "familyName": None}, False),
        ({"nhsNumber": "9990000018", "dateOfBirth": "2015-03-14", "familyName": "Archer", "age": 9}, False),
        (None, False),
        ("9990000018", False),
    ],
)
def test_a_key_is_read_or_not(value: Any, taken: bool) -> None:
    kind = GraphQLNonNull(GRAPHQL_SCHEMA.type_map["ChildKey"])
    read = reader_of(kind)(value)

    assert (read is not Undefined) is taken
    assert read == told(value, kind)
