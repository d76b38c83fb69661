"""How many comparisons a document costs: told without making them, and bounded before they are made."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    OverlappingFieldsCanBeMergedRule,
    build_schema,
    parse,
    validate,
)
from graphql.validation.rules import overlapping_fields_can_be_merged as rule
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import LimitExceeded
from gateway.graphql.body import GraphQLRequest
from gateway.graphql.documents import Documents
from gateway.graphql.merging import check_comparisons

SCHEMA = build_schema("type Query { a: Query b(n: [Int!]): Query leaf: Int }")


def comparisons(text: str, most: int = 10**9) -> int:
    document = parse(text)
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    return check_comparisons(operations, fragments, most)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("{ leaf a { leaf } }", 0, id="nothing-twice"),
        pytest.param("{ leaf leaf }", 1, id="twice"),
        pytest.param("{ " + "leaf " * 10 + "}", 45, id="ten-times"),
        pytest.param("{ a { leaf } a { leaf } }", 2, id="below-what-is-there-twice"),
        pytest.param("{ a { leaf leaf } a { leaf leaf } }", 1 + 6, id="each-with-each-below"),
        pytest.param("{ x: leaf y: leaf x: leaf }", 1, id="by-alias"),
        pytest.param("{ ...F ...F } fragment F on Query { leaf }", 0, id="one-node-spread-twice"),
        pytest.param("{ leaf ...F } fragment F on Query { leaf }", 1, id="through-a-fragment"),
        pytest.param("{ leaf ... { leaf } }", 1, id="through-an-inline-fragment"),
        pytest.param("{ b(n: [1, 2]) { leaf } b(n: [1, 2]) { leaf } }", 1 + 8 + 1, id="with-arguments"),
        pytest.param("{ leaf } ", 0, id="one-operation"),
        pytest.param("query A { leaf leaf } query B { leaf leaf }", 2, id="two-operations"),
    ],
)
def test_every_pair_that_shares_a_place_counts(text: str, wanted: int) -> None:
    assert comparisons(text) == wanted


@st.composite
def _documents(draw: st.DrawFn) -> str:
    count = draw(st.integers(0, 3))

    def selections(first: int, depth: int) -> str:
        choices = ["leaf", "x: leaf", *(f"...F{n}" for n in range(first, count))]
        found = draw(st.lists(st.sampled_from(choices), min_size=1, max_size=4))
        if depth:
            found += [
                f"{name} {{ {selections(first, depth - 1)} }}"
                for name in draw(st.lists(st.sampled_from(["a", "b", "b(n: [1])", "... on Query"]), max_size=3))
            ]
        return " ".join(found)

    text = "{ " + selections(0, 3) + " " + " ".join(f"...F{n}" for n in range(count)) + " } "
    return text + " ".join(f"fragment F{n} on Query {{ {selections(n + 1, 1)} }}" for n in range(count))


@given(_documents())
@settings(max_examples=150)
def test_the_count_is_never_below_the_comparisons_that_the_rule_makes(text: str) -> None:
    made = _comparisons_made(parse(text))

    assert made <= comparisons(text)


def _comparisons_made(document: DocumentNode) -> int:
    made = 0
    original = rule.find_conflict

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal made
        made += 1
        return original(*arguments, **named)

    rule.find_conflict = counted
    try:
        validate(SCHEMA, document, [OverlappingFieldsCanBeMergedRule])
    finally:
        rule.find_conflict = original
    return made


LEAVES = "subject " * 10


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{ " + f"viewer {{ {LEAVES} }} " * 10 + "}", id="ten-by-ten"),
        pytest.param("{ viewer { ...F } } fragment F on Viewer { " + LEAVES + LEAVES + "}", id="in-a-fragment"),
    ],
)
def test_a_document_that_repeats_too_much_is_refused_before_validation(schema: Any, text: str) -> None:
    with pytest.raises(LimitExceeded):
        Documents(schema).prepare(GraphQLRequest(text, None, {}), may_introspect=False)


def test_the_walk_ends_as_soon_as_the_limit_is_passed() -> None:
    with pytest.raises(LimitExceeded):
        comparisons("{ " + "leaf " * 2_000 + "}", most=10)
