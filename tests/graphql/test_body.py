"""Bytes have one reading or are refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import (
    BodyNotJSON,
    GatewayError,
    NotAGraphQLRequest,
    PayloadTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)
from gateway.graphql import body
from gateway.graphql.body import BodyLimits, ClientDisconnected, decode_json, parse_body, parse_query_string, read_body

pytestmark = pytest.mark.anyio

LIMITS = BodyLimits()
JSON_TYPE = (b"content-type", b"application/json")


def parts(*chunks: bytes, then: str = "end") -> Callable[[], Any]:
    messages: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": then != "end" or number < len(chunks) - 1}
        for number, chunk in enumerate(chunks)
    ]
    if then == "disconnect":
        messages.append({"type": "http.disconnect"})

    async def receive() -> MutableMapping[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return receive


@pytest.mark.parametrize(
    ("raw", "refusal"),
    [
        pytest.param(b"", BodyNotJSON, id="nothing"),
        pytest.param(b"{", BodyNotJSON, id="unclosed"),
        pytest.param(b"1", NotAGraphQLRequest, id="a-number"),
        pytest.param(b'"x"', NotAGraphQLRequest, id="a-string"),
        pytest.param(b"true", NotAGraphQLRequest, id="true"),
        pytest.param(b"null", NotAGraphQLRequest, id="null"),
        pytest.param(b'[{"query":"{ a }"}]', NotAGraphQLRequest, id="a-batch"),
        pytest.param(b"[]", NotAGraphQLRequest, id="an-empty-batch"),
        pytest.param(b"{}", NotAGraphQLRequest, id="no-query"),
        pytest.param(b'{"extensions":{"persistedQuery":{"sha256Hash":"00"}}}', NotAGraphQLRequest, id="hash-only"),
        pytest.param(b'{"query":null}', NotAGraphQLRequest, id="null-query"),
        pytest.param(b'{"query":["{ a }"]}', NotAGraphQLRequest, id="query-in-an-array"),
        pytest.param(b'{"query":"{ a }","operationName":1}', NotAGraphQLRequest, id="operation-name-number"),
        pytest.param(b'{"query":"{ a }","variables":"{}"}', NotAGraphQLRequest, id="variables-as-text"),
        pytest.param(b'{"query":"{ a }","variables":[]}', NotAGraphQLRequest, id="variables-as-array"),
        pytest.param(b'{"query":"{ a }","extensions":false}', NotAGraphQLRequest, id="extensions-false"),
        pytest.param(b'{"query":"{ a }","query":"{ b }"}', BodyNotJSON, id="query-twice"),
        pytest.param(b'{"query":"{ a }","qu\\u0065ry":"{ b }"}', BodyNotJSON, id="query-twice-by-escape"),
        pytest.param(b'{"query":"{ a }","variables":{"a":1,"a":2}}', BodyNotJSON, id="variable-twice"),
        pytest.param(b'{"query":"{ a }","variables":{"a":NaN}}', BodyNotJSON, id="NaN"),
        pytest.param(b'{"query":"{ a }","variables":{"a":-Infinity}}', BodyNotJSON, id="infinity"),
        pytest.param(b'{"query":"{ a }","variables":{"a":1e999}}', BodyNotJSON, id="overflow-to-infinity"),
        pytest.param(b'{"query":"{ a }","variables":{"a":' + b"9" * 5000 + b"}}", BodyNotJSON, id="5000-digits"),
        pytest.param(b'{"query":"\\ud800"}', BodyNotJSON, id="lone-high-surrogate"),
        pytest.param(b'{"query":"{ a }","variables":{"\\uDC00":1}}', BodyNotJSON, id="lone-low-surrogate-in-a-name"),
        pytest.param(b'\xef\xbb\xbf{"query":"{ a }"}', BodyNotJSON, id="byte-order-mark"),
        pytest.param('{"query":"{ a }"}'.encode("utf-16"), BodyNotJSON, id="utf-16"),
        pytest.param('{"query":"{ a }"}'.encode("utf-16-le"), BodyNotJSON, id="utf-16-without-mark"),
        pytest.param(b'{"query":"\xff"}', BodyNotJSON, id="not-utf-8"),
        pytest.param(b'{"query":"\xed\xa0\x80"}', BodyNotJSON, id="surrogate-in-utf-8"),
        pytest.param(b'{"query":"\x00"}', BodyNotJSON, id="raw-control-character"),
        pytest.param(b'{"query":"{ a }"} {}', BodyNotJSON, id="trailing-value"),
        pytest.param(b'{"query":"{ a }","variables":' + b"[" * 8000 + b"]" * 8000 + b"}", BodyNotJSON, id="nested"),
        pytest.param(b"[" * 16000, BodyNotJSON, id="nested-unclosed"),
        pytest.param(b'{"a":' * 3000, BodyNotJSON, id="nested-objects"),
    ],
)
def test_a_body_without_exactly_one_reading_is_refused(raw: bytes, refusal: type[GatewayError]) -> None:
    with pytest.raises(refusal) as refused:
        parse_body(raw, LIMITS)

    # what the decoder knew stands in its own error, which must not travel with ours
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_members_that_the_specification_does_not_name_are_ignored() -> None:
    request = parse_body(b'{"query":"{ a }","operationName":null,"variables":null,"extensions":{},"id":7}', LIMITS)

    assert (request.query, request.operation_name, request.variables) == ("{ a }", None, {})


def test_paired_surrogates_are_one_character() -> None:
    assert parse_body(b'{"query":"{ a } # \\ud83c\\udfc3"}', LIMITS).query == "{ a } # \N{RUNNER}"


def test_ten_levels_of_nesting_pass_and_eleven_do_not() -> None:
    assert decode_json(b"[" * 10 + b"]" * 10, 10) is not None
    with pytest.raises(BodyNotJSON):
        decode_json(b"[" * 11 + b"]" * 11, 10)


def test_brackets_inside_strings_are_not_nesting() -> None:
    text = "[{" * 40 + '\\"' + "[" * 40

    assert decode_json(json.dumps({"query": text}).encode(), 10) == {"query": text}


def test_the_nesting_scan_looks_at_an_unclosed_string_once() -> None:
    # negative control: without the optional quote, each quote starts a scan to the end
    remainder = body._STRING.sub(b"", b'"' + b'\\"' * 8000)

    assert remainder == b""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(json_values)
def test_what_json_writes_is_read_back_or_is_nested_too_deep(value: Any) -> None:
    raw = json.dumps(value).encode()
    try:
        read = decode_json(raw, 10)
    except BodyNotJSON:
        assert _depth(value) > 10
    else:
        assert read == value
        assert _depth(value) <= 10


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


@given(st.binary(max_size=200))
def test_random_bytes_are_always_refused_and_never_raise_anything_else(raw: bytes) -> None:
    with pytest.raises((BodyNotJSON, NotAGraphQLRequest)):
        parse_body(raw, LIMITS)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
    ],
)
async def test_json_in_utf_8_is_read(content_type: str) -> None:
    headers = [(b"content-type", content_type.encode())]

    assert await read_body(parts(b"{}"), headers, LIMITS) == b"{}"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="no-type"),
        pytest.param([(b"content-type", b"text/plain")], id="text"),
        pytest.param([(b"content-type", b"application/x-www-form-urlencoded")], id="form"),
        pytest.param([(b"content-type", b"multipart/form-data; boundary=x")], id="multipart"),
        pytest.param([(b"content-type", b"application/graphql")], id="application-graphql"),
        pytest.param([(b"content-type", b"application/json; charset=utf-16")], id="utf-16"),
        pytest.param([(b"content-type", b"application/json, text/plain")], id="two-in-one"),
        pytest.param([JSON_TYPE, (b"content-type", b"text/plain")], id="two-headers"),
        pytest.param([JSON_TYPE, (b"content-encoding", b"gzip")], id="gzip"),
        pytest.param([JSON_TYPE, (b"content-encoding", b"identity"), (b"content-encoding", b"br")], id="brotli"),
    ],
)
async def test_any_other_type_is_refused_before_the_body_is_read(headers: list[tuple[bytes, bytes]]) -> None:
    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("the body was read")

    with pytest.raises(UnsupportedMediaType):
        await read_body(receive, headers, LIMITS)


async def test_a_length_that_is_announced_too_large_is_refused_before_the_body_is_read() -> None:
    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("the body was read")

    with pytest.raises(PayloadTooLarge):
        await read_body(receive, [JSON_TYPE, (b"content-length", b"16385")], LIMITS)


async def test_a_body_that_grows_too_large_is_refused_without_reading_on() -> None:
    receive = parts(b"x" * 9000, b"x" * 9000, then="hang")

    with pytest.raises(PayloadTooLarge):
        await read_body(receive, [JSON_TYPE], LIMITS)


async def test_exactly_the_largest_body_passes_in_any_parts() -> None:
    whole = b"x" * LIMITS.max_bytes

    assert await read_body(parts(whole), [JSON_TYPE], LIMITS) == whole
    assert await read_body(parts(*[whole[:5], b"", whole[5:]]), [JSON_TYPE], LIMITS) == whole


async def test_a_body_that_stops_arriving_is_a_timeout() -> None:
    with pytest.raises(RequestTimeout):
        await read_body(parts(b"{", then="hang"), [JSON_TYPE], BodyLimits(read_seconds=0.01))


async def test_a_client_that_goes_away_is_not_answered() -> None:
    with pytest.raises(ClientDisconnected):
        await read_body(parts(b"{", then="disconnect"), [JSON_TYPE], LIMITS)


def test_a_query_string_is_read_by_the_same_rules() -> None:
    request = parse_query_string(b"query=%7B+a+%7D&variables=%7B%22n%22%3A1%7D&operationName=&other=%ff", LIMITS)

    assert (request.query, request.operation_name, request.variables) == ("{ a }", None, {"n": 1})


@pytest.mark.parametrize(
    "query_string",
    [
        b"",
        b"query=a&query=b",
        b"query=%FF",
        b"query=a&variables=%5B%5D",
        b"query=a&variables=%7B%22a%22%3A1%2C%22a%22%3A2%7D",
        b"query=a&variables=1",
        b"query=" + b"a" * 17_000,
    ],
)
def test_a_query_string_with_another_reading_is_refused(query_string: bytes) -> None:
    with pytest.raises(GatewayError):
        parse_query_string(query_string, LIMITS)
