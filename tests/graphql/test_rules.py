"""The rules that do not run find nothing in a document that has been measured."""

from __future__ import annotations

from graphql import build_schema, parse, specified_rules, validate
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import GatewayError
from gateway.graphql.guard import DocumentLimits, measure
from gateway.graphql.rules import RULES

SCHEMA = build_schema("type Query { a: Query leaf: Int }")
LEFT_OUT = [rule for rule in specified_rules if not any(issubclass(kept, rule) for kept in RULES)]
DEFINITIONS = st.sampled_from(
    [
        "{ leaf }",
        "query A { a { ...F } }",
        "query A { leaf }",
        "query B { ...F ...G }",
        "fragment F on Query { leaf ...G }",
        "fragment F on Query { ...F }",
        "fragment G on Query { a { ...H } }",
        "fragment G on Query { leaf }",
        "fragment H on Query { ...F }",
        "type T { a: Int }",
        "extend type Query { b: Int }",
        "schema { query: Query }",
    ]
)


@given(st.lists(DEFINITIONS, min_size=1, max_size=5))
@settings(max_examples=400)
def test_what_measuring_lets_pass_keeps_every_rule_that_is_left_out(definitions: list[str]) -> None:
    document = parse(" ".join(definitions))
    broken = validate(SCHEMA, document, LEFT_OUT)

    try:
        measure(document, DocumentLimits())
    except GatewayError:
        return
    assert broken == []


def test_seven_rules_are_left_out_and_no_more() -> None:
    assert len(LEFT_OUT) == 7
    assert len(RULES) == len(specified_rules) - 7
