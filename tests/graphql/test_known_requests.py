"""A body that is like one before is read to exactly what it is read to in full, or refused alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BodyNotJSON, GatewayError, NotAGraphQLRequest
from gateway.graphql import known_requests
from gateway.graphql.body import BodyLimits, GraphQLRequest, parse_body
from gateway.graphql.documents import Documents
from gateway.graphql.known_requests import KnownRequests
from gateway.graphql.query import GRAPHQL_SCHEMA

LIMITS = BodyLimits()
QUERY = "query Q($k: ChildKey!, $a: AccessRequest!) {\n child(key: $k, access: $a) { outcome } }"
KEY = {"nhsNumber": "9990000018", "dateOfBirth": "2015-03-14", "familyName": "Archer"}
ASKED = {"k": KEY, "a": {"purpose": "CP_S47", "reason": "asked"}}


def written(members: dict[str, Any], **form: Any) -> bytes:
    return json.dumps(members, **({"separators": (",", ":"), "ensure_ascii": False} | form)).encode()


def knowing(*bodies: bytes) -> KnownRequests:
    documents, known = Documents(GRAPHQL_SCHEMA), KnownRequests(LIMITS)
    for body in bodies:
        request = known.read(body)
        sha256 = documents.check_source(request)
        known.keep(body, request, documents.prepare(request, may_introspect=False), sha256)
    return known


def variables_of(form: bytes) -> bytes:
    return json.dumps(ASKED).encode() if json.dumps(ASKED).encode() in form else written(ASKED)


def is_known(known: KnownRequests, body: bytes) -> bool:
    return known.read(body).sha256 is not None


def told(read: Any, body: bytes) -> Any:
    try:
        request: GraphQLRequest = read(body)
    except GatewayError as refused:
        return type(refused)
    # 1, 1.0 and True are equal, and are not the same
    return request.query, request.operation_name, repr(request.variables)


FORMS = [
    written({"query": QUERY, "variables": ASKED}),
    written({"operationName": "Q", "variables": ASKED, "query": QUERY}),
    written({"query": QUERY, "operationName": None, "variables": ASKED}),
    json.dumps({"query": QUERY, "variables": ASKED}).encode(),
    json.dumps({"operationName": "Q", "variables": ASKED, "query": QUERY}).encode(),
]
NAMES = ["last", "in-the-middle", "behind-a-name", "spaced", "spaced-in-the-middle"]
KNOWN = knowing(*FORMS)
OTHER = {"k": KEY | {"familyName": "Núñez {[]}"}, "a": {"purpose": "CP_S47", "reason": "another"}}


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
def test_only_the_variables_of_a_request_like_one_before_are_read(form: bytes) -> None:
    other = form.replace(variables_of(form), written(OTHER, **({"separators": None} if b": " in form else {})))

    assert not is_known(KnownRequests(LIMITS), other)
    assert is_known(KNOWN, other)
    assert told(KNOWN.read, other) == told(lambda body: parse_body(body, LIMITS), other)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(written({"query": QUERY + " # 9990000018", "variables": ASKED}), id="a-comment"),
        pytest.param(written({"query": QUERY, "extensions": {"of": "Archer"}, "variables": ASKED}), id="extensions"),
        pytest.param(written({"Archer": 1, "query": QUERY, "variables": ASKED}), id="another-member"),
    ],
)
def test_a_request_in_which_something_of_a_client_could_stand_is_not_kept(body: bytes) -> None:
    assert not is_known(knowing(body), body)


REFUSED = [
    (b'{"k":1,"k":1}', BodyNotJSON),
    (b'{"k":NaN}', BodyNotJSON),
    (b'{"k":1e999}', BodyNotJSON),
    (b'{"k":"\\ud800"}', BodyNotJSON),
    (b'{"k":"\xed\xa0\x80"}', BodyNotJSON),
    (b'{"k":"\x01"}', BodyNotJSON),
    (b'{"k":' + b"9" * 4301 + b"}", BodyNotJSON),
    (b'{"k":' * 10 + b"1" + b"}" * 10, BodyNotJSON),
    (b'{"k":1},"query":"{ a }"', BodyNotJSON),
    (b'{"k":1},"variables":{}', BodyNotJSON),
    (b'{"k":1}}', BodyNotJSON),
    (b"[1]", NotAGraphQLRequest),
]


@pytest.mark.parametrize("form", FORMS, ids=NAMES)
@pytest.mark.parametrize(("given_variables", "refusal"), REFUSED)
def test_variables_that_have_not_one_reading_are_refused_in_a_known_request_too(
    form: bytes, given_variables: bytes, refusal: type[GatewayError]
) -> None:
    body = form.replace(variables_of(form), given_variables)

    assert told(KNOWN.read, body) is refusal


def test_variables_that_would_be_let_pass_unseen_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # negative control: what is written again is not compared
    monkeypatch.setattr(known_requests, "_encode", lambda value: _Equal())
    body = FORMS[0].replace(written(ASKED), b'{"k":1,"k":1}')

    assert told(KNOWN.read, body) is not BodyNotJSON


class _Equal(bytes):
    __hash__ = bytes.__hash__

    def __eq__(self, other: object) -> bool:
        return True


numbers = st.sampled_from(
    ["0", "-0", "-0.0", "1.0", "1E5", "1e22", "0.1", "18446744073709551616", "9" * 4300, "01", "+1"]
)
leaves = st.integers().map(str) | st.floats().map(repr) | numbers | st.text().map(json.dumps) | st.text().map(repr)
texts = st.recursive(
    leaves | st.sampled_from(["null", "true", "NaN", '"variables":{', '"é"']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(st.sampled_from('akQé"'), inner), max_size=3).map(
            lambda members: "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"
        )
    ),
    max_leaves=20,
)


@given(st.sampled_from(FORMS), texts | st.recursive(st.just("{}"), lambda inner: inner.map('{{"a":{}}}'.format)))
def test_whatever_stands_for_the_variables_is_read_as_in_full(form: bytes, text: str) -> None:
    body = form.replace(variables_of(form), text.encode("utf-8", "surrogatepass"))

    assert told(KNOWN.read, body) == told(lambda body: parse_body(body, LIMITS), body)


@given(
    st.sampled_from(FORMS),
    st.integers(0, 300),
    st.integers(0, 30),
    st.binary(max_size=4) | st.sampled_from([b'},"', b'}, "', b" "]),
)
def test_whatever_is_changed_in_a_body_it_is_read_as_in_full(form: bytes, at: int, gone: int, come: bytes) -> None:
    body = form[:at] + come + form[at + gone :]

    assert told(KNOWN.read, body) == told(lambda body: parse_body(body, LIMITS), body)
