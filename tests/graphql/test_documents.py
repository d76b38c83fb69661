"""A text is parsed once, refused in fixed sentences, and kept only when it can hold no identifier."""

from __future__ import annotations

import contextlib
import gc
import hashlib
from typing import Any

import pytest
from graphql import GraphQLSchema, get_introspection_query
from graphql.execution.values import get_variable_values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import BadUserInput, GatewayError, LimitExceeded, ParseFailed, ValidationFailed
from gateway.graphql.body import GraphQLRequest
from gateway.graphql.documents import Documents
from gateway.graphql.query import GRAPHQL_SCHEMA

LOOKUP = "query Who($key: ChildKey!, $access: AccessRequest!) { child(key: $key, access: $access) { outcome } }"
CANARY = "9990000018"
LITERAL = (
    '{ child(key: {nhsNumber: "%s", dateOfBirth: "2015-04-09", familyName: "Amis"},'
    ' access: {purpose: CP_S47, reason: "strategy discussion"}) { outcome } }'
)


def request(query: str, operation_name: str | None = None, **variables: Any) -> GraphQLRequest:
    return GraphQLRequest(query, operation_name, variables)


@pytest.fixture
def documents(schema: GraphQLSchema, counting_parse: Any) -> Documents:
    return Documents(schema, parse=counting_parse)


def test_an_operation_says_what_it_asks_of_the_root(documents: Documents) -> None:
    operation = documents.prepare(request(LOOKUP), may_introspect=False)

    assert operation.root_field_names == ("child",)
    assert operation.lookup_field == "child"
    assert operation.lookup_node is not None
    assert operation.document_sha256 == hashlib.sha256(LOOKUP.encode()).hexdigest()
    assert operation.is_query
    assert not operation.introspects


def test_a_text_is_parsed_once_for_all_its_operations(documents: Documents, counting_parse: Any) -> None:
    text = "query A { viewer { subject } } query B { __typename }"

    first = [documents.prepare(request(text, name), may_introspect=False) for name in ("A", "B", "A")]

    assert counting_parse.calls == 1
    assert first[0] is first[2]
    assert [operation.root_field_names for operation in first[:2]] == [("viewer",), ("__typename",)]


def test_a_refusal_is_remembered_and_raised_anew(documents: Documents, counting_parse: Any) -> None:
    refusals = []
    for _ in range(3):
        with pytest.raises(ValidationFailed) as refused:
            documents.prepare(request("{\n  nobody }"), may_introspect=False)
        refusals.append(refused.value)

    assert counting_parse.calls == 1
    assert len({id(error) for error in refusals}) == 3
    assert [error.formatted() for error in refusals] == [refusals[0].formatted()] * 3
    assert refusals[0].locations == ((2, 3),)


def test_refusals_do_not_push_out_what_others_use(schema: GraphQLSchema, counting_parse: Any) -> None:
    documents = Documents(schema, remembered=2, parse=counting_parse)
    documents.prepare(request(LOOKUP), may_introspect=False)
    for name in "abcdef":
        with pytest.raises(ValidationFailed):
            documents.prepare(request(f"{{ {name} }}"), may_introspect=False)
    parsed = counting_parse.calls

    documents.prepare(request(LOOKUP), may_introspect=False)

    assert counting_parse.calls == parsed


def test_the_memory_is_bounded_and_forgets_the_longest_unused(schema: GraphQLSchema, counting_parse: Any) -> None:
    documents = Documents(schema, remembered=2, parse=counting_parse)
    for text in ("{ __typename }", "{ a: __typename }", "{ __typename }", "{ b: __typename }", "{ __typename }"):
        documents.prepare(request(text), may_introspect=False)

    assert counting_parse.calls == 3
    assert len(documents._accepted._values) == 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(LITERAL % CANARY, id="accepted"),
        pytest.param(LITERAL % "999", id="refused"),
        pytest.param("{ child(key: {nhsNumber: 9990000018}) { outcome } }", id="as-a-number"),
        pytest.param("{ n9990000018: __typename }", id="as-an-alias"),
        pytest.param("{ __typename } # 9990000018", id="in-a-comment"),
        pytest.param('query($n: ID = "Amis") { __typename }', id="as-a-default"),
        pytest.param("{ 9990000018", id="unparsable"),
    ],
)
def test_nothing_is_kept_of_a_text_that_may_hold_an_identifier(
    documents: Documents, counting_parse: Any, text: str
) -> None:
    for _ in range(2):
        with contextlib.suppress(GatewayError):
            assert not documents.prepare(request(text), may_introspect=False).may_be_kept

    assert counting_parse.calls >= 2
    assert not documents._accepted._values
    assert not documents._refused._values


def test_a_kept_document_holds_neither_its_text_nor_its_comments(documents: Documents) -> None:
    marker = "Amis" + "Brown"
    operation = documents.prepare(request("{ viewer { subject } } # " + marker), may_introspect=False)

    assert operation.may_be_kept
    assert operation.document.loc is None
    assert operation.node.loc is None
    assert not any(marker in text for text in _strings_below(operation.document))


def _strings_below(start: object) -> list[str]:
    seen: set[int] = set()
    waiting, texts = [start], []
    while waiting:
        current = waiting.pop()
        if id(current) in seen or isinstance(current, type) or type(current).__name__ == "module":
            continue
        seen.add(id(current))
        if isinstance(current, str):
            texts.append(current)
        waiting.extend(gc.get_referents(current))
    return texts


def test_introspection_without_the_scope_is_a_field_that_does_not_exist(documents: Documents) -> None:
    def refusal(text: str) -> dict[str, Any]:
        with pytest.raises(ValidationFailed) as refused:
            documents.prepare(request(text), may_introspect=False)
        return refused.value.formatted()

    assert refusal("{ __schema { types { name } } }") == refusal("{ _schema_ { types { name } } }")
    assert refusal("{ __type(name: A) { nobody } }") == refusal("{ _type(name: A) { nobody } }")
    assert documents.prepare(request(get_introspection_query()), may_introspect=True).introspects
    # what one caller may is not remembered for another
    assert refusal(get_introspection_query())["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
    assert documents.prepare(request(get_introspection_query()), may_introspect=True).introspects


@pytest.mark.parametrize(
    ("text", "operation_name", "refusal"),
    [
        ("query A { __typename } query B { __typename }", None, ValidationFailed),
        ("query A { __typename }", "B", ValidationFailed),
        ("{ __typename }", "A", ValidationFailed),
        ("{", None, ParseFailed),
        ("", None, ParseFailed),
        ("{ agencies { nobody } }", None, ValidationFailed),
        ("{ agencies(idd: 1) { id } }", None, ValidationFailed),
        ("{ agencies }", None, ValidationFailed),
        ("subscription { __typename }", None, ValidationFailed),
        ("{ agencies @defer { id } }", None, ValidationFailed),
        ("{ ... @defer { __typename } }", None, ValidationFailed),
        ("{ agencies @stream(initialCount: 0) { id } }", None, ValidationFailed),
        ("{ __typename @unknown }", None, ValidationFailed),
        ("{ numbered(first: 99999999999) }", None, BadUserInput),
        ('{ numbered(first: "x") }', None, BadUserInput),
        (LITERAL % "12", None, BadUserInput),
        ("{ " + "__typename " * 11 + "}", None, LimitExceeded),
    ],
)
def test_a_request_that_does_not_fit_is_refused(
    documents: Documents, text: str, operation_name: str | None, refusal: type[GatewayError]
) -> None:
    with pytest.raises(refusal) as refused:
        documents.prepare(request(text, operation_name), may_introspect=True)

    assert type(refused.value) is refusal


def test_a_mutation_is_an_operation_when_the_schema_has_it(documents: Documents) -> None:
    operation = documents.prepare(request("mutation($c: ID!) { registerAppointment(child: $c) }"), may_introspect=False)

    assert not operation.is_query


def test_variables_are_coerced_and_a_bad_one_is_never_quoted(documents: Documents) -> None:
    operation = documents.prepare(request(LOOKUP), may_introspect=False)
    access = {"purpose": "CP_S47", "reason": "r"}
    key = {"nhsNumber": CANARY, "dateOfBirth": "2015-04-09", "familyName": "Amis"}

    assert documents.coerce(operation, {"key": key, "access": access, "more": 1})["key"]["nhsNumber"] == CANARY
    for bad in ({}, {"key": key}, {"key": {**key, "nhsNumber": "x" + CANARY}, "access": access}, {"key": 1}):
        with pytest.raises(BadUserInput) as refused:
            documents.coerce(operation, bad)
        assert CANARY not in repr(refused.value.formatted())


VALUES = st.recursive(
    st.sampled_from([None, True, 1, 2**40, 1.5, "", "CP_S47", CANARY, "2015-04-09"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["nhsNumber", "handle", "dateOfBirth", "familyName", "purpose", "reason", "x"]), inner
        )
    ),
    max_leaves=8,
)


@given(variables=st.dictionaries(st.sampled_from("abcdef"), VALUES))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_variables_are_coerced_as_the_library_does(schema: GraphQLSchema, variables: dict[str, Any]) -> None:
    text = "query($a: Int = 3, $c: Boolean! = true) { numbered(first: $a) @include(if: $c) }"
    documents = Documents(schema)
    for document in (text, LOOKUP.replace("$key", "$a").replace("$access", "$b")):
        operation = documents.prepare(request(document), may_introspect=False)
        expected = get_variable_values(schema, operation.node.variable_definitions or (), variables)
        try:
            coerced = documents.coerce(operation, variables)
        except BadUserInput:
            assert isinstance(expected, list)
        else:
            assert not isinstance(expected, list)
            assert coerced == expected.coerced


@pytest.mark.parametrize("text", [LITERAL % ("x" + CANARY), "{ n9990000018 }", "{ 9990000018 }", '{ a(b: "9990000018'])
def test_no_refusal_carries_the_text_along(documents: Documents, text: str) -> None:
    with pytest.raises(GatewayError) as refused:
        documents.prepare(request(text), may_introspect=False)

    error = refused.value
    assert CANARY not in repr(error.formatted())
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


KEY = {"nhsNumber": CANARY, "dateOfBirth": "2015-04-09", "familyName": "Amis"}
ACCESS = {"purpose": "CP_S47", "reason": "a test"}
NULL_WHERE_NONE_MAY_BE = {
    "a directive": ("query($x: Boolean = true) { viewer { subject @include(if: $x) } }", {}),
    "a directive in a fragment": (
        "query($x: Boolean = true) { viewer { ...F } } fragment F on Viewer { subject roles @skip(if: $x) }",
        {},
    ),
    "an argument": ("query($x: Purpose = CP_S47) { viewer { access(purpose: $x) { open } } }", {}),
    "an item": (
        "query($k: ChildKey!, $a: AccessRequest!, $x: InvolvementStatus = PREVIOUS)"
        " { child(key: $k, access: $a) { outcome involvements(status: [$x]) { id } } }",
        {"k": KEY, "a": ACCESS},
    ),
    "the key": (
        'query($x: ChildKey = {nhsNumber: "9990000018", dateOfBirth: "2015-04-09", familyName: "Amis"},'
        " $a: AccessRequest!) { child(key: $x, access: $a) { outcome } }",
        {"a": ACCESS},
    ),
    "a member with a default of its own": (
        'query($x: Relationship) { explainAccess(asked: {organisation: "o", role: "r", purpose: CP_S47,'
        ' custodian: "c", field: "f", relationship: $x}) { __typename } }',
        {},
    ),
}


@pytest.mark.parametrize("place", NULL_WHERE_NONE_MAY_BE)
def test_a_null_in_place_of_a_default_is_refused_where_null_may_not_stand(place: str) -> None:
    text, others = NULL_WHERE_NONE_MAY_BE[place]
    documents = Documents(GRAPHQL_SCHEMA)
    operation = documents.prepare(request(text), may_introspect=False)

    documents.coerce(operation, others)  # left out, the default stands there
    with pytest.raises(BadUserInput):
        documents.coerce(operation, {**others, "x": None})


def test_a_null_in_place_of_a_default_is_a_value_where_null_may_stand() -> None:
    text = (
        "query($k: ChildKey!, $a: AccessRequest!, $x: [InvolvementStatus!] = [PREVIOUS])"
        " { child(key: $k, access: $a) { outcome involvements(status: $x) { id } } }"
    )
    documents = Documents(GRAPHQL_SCHEMA)
    operation = documents.prepare(request(text), may_introspect=False)

    assert documents.coerce(operation, {"k": KEY, "a": ACCESS, "x": None})["x"] is None
