"""JSON that two readers could understand differently is not an answer."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.strict_json import MAX_DEPTH, NotStrictJSON, decode, decode_as

leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8"))
documents = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner))


@given(documents, st.booleans())
def test_what_is_json_is_read_as_it_was_written(document: Any, ascii_only: bool) -> None:
    assert decode(json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")) == document


@given(st.dictionaries(st.text(max_size=4), leaves, min_size=1, max_size=6), st.data(), st.booleans())
def test_a_member_written_twice_is_always_found(members: dict[str, Any], data: st.DataObject, ascii_only: bool) -> None:
    again = data.draw(st.sampled_from(sorted(members)))
    pairs = [*members.items(), (again, data.draw(leaves))]
    written = [[json.dumps(part, ensure_ascii=ascii_only) for part in pair] for pair in pairs]
    body = ",".join(f"{name} : {value}" for name, value in written)

    with pytest.raises(NotStrictJSON):
        decode(f'[{{"inner": {{{body}}}}}]'.encode())


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        value = decode(body)
    except NotStrictJSON:
        return
    assert value == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"a":NaN}', id="nan"),
        pytest.param(b"[-Infinity]", id="infinity"),
        pytest.param(b"1e999", id="beyond-a-double"),
        pytest.param(b"1" * 5000, id="a-number-of-5000-digits"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="byte-order-mark"),
        pytest.param(b'"\xff"', id="not-utf-8"),
        pytest.param(b'"\xed\xa0\x80"', id="a-surrogate-in-utf-8"),
        pytest.param(b'"\\ud800"', id="a-lone-surrogate"),
        pytest.param(b'"\\udc00\\ud800"', id="surrogates-the-wrong-way-round"),
        pytest.param(b'"\x00"', id="a-raw-control-character"),
        pytest.param(b'{"a":1,}', id="trailing-comma"),
        pytest.param(b"{} x", id="trailing-bytes"),
        pytest.param("{}".encode("utf-16"), id="utf-16"),
        pytest.param(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), id="one-level-too-deep"),
        pytest.param(b"[" * 100_000, id="deep-enough-for-a-stack"),
        pytest.param(b'{"a":' * 900 + b'"\\n"' + b"}" * 900, id="deep-with-an-escape"),
        pytest.param(b'{"a":1,"\\u0061":2}', id="one-name-in-two-spellings"),
    ],
)
def test_what_is_not_strict_is_refused(body: bytes) -> None:
    with pytest.raises(NotStrictJSON) as caught:
        decode(body)

    assert not body or body[:6].decode("latin-1") not in str(caught.value)


def test_the_depth_that_is_allowed_is_allowed() -> None:
    assert decode(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


class Row(msgspec.Struct):
    """Members may be missing, and others may stand beside them."""

    name: str
    since: date | None = None
    share: float = 0.0
    more: dict[str, Any] = {}


PARTS = st.sampled_from(
    [
        '"name":"Ann"',
        '"name":"B\u00fc"',
        '"name":"\\u0041"',
        '"name":1',
        '"since":"2024-02-29"',
        '"since":"2023-02-29"',
        '"since":null',
        '"share":1',
        '"share":0.5',
        '"share":5e-1',
        '"more":{}',
        '"more":{"a":1}',
        '"more":{"a":1,"a":2}',
        '"other":"x"',
        '"other":[1e999]',
    ]
)


@given(st.lists(PARTS, max_size=5), st.sampled_from([",", ", "]))
def test_what_is_told_at_a_glance_as_a_type_is_what_reading_twice_tells(parts: list[str], comma: str) -> None:
    body = f"{{{comma.join(parts)}}}".encode()
    told = decode_as(body, Row)
    if told is not None:
        assert told == msgspec.convert(decode(body), Row)


WHOLE = b'{"name":"Ann","since":"2024-02-29","share":0.5,"more":{"a":1}}'


def test_an_answer_as_it_is_written_is_told_at_a_glance() -> None:
    assert decode_as(WHOLE, Row) == Row("Ann", date(2024, 2, 29), 0.5, {"a": 1})


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(WHOLE[:-1] + b',"name":"Ann"}', id="a-member-twice"),
        pytest.param(WHOLE.replace(b'"a":1', b'"a":1,"a":1'), id="a-member-twice-within"),
        pytest.param(WHOLE.replace(b'"since":"2024-02-29"', b'"name":"Bob","name":"Ann"'), id="one-twice-one-missing"),
        pytest.param(WHOLE[:-1] + b',"other":1}', id="a-member-that-is-not-known"),
        pytest.param(WHOLE.replace(b"0.5", b"1e999"), id="a-number-out-of-range"),
        pytest.param(WHOLE + b"{}", id="more-than-one"),
        pytest.param(WHOLE.replace(b'"a":1', b'"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH), id="nested-too-deeply"),
    ],
)
def test_what_is_not_so_at_a_glance_is_read_with_care(body: bytes) -> None:
    assert decode_as(body, Row) is None


class Nested(msgspec.Struct):
    inner: list[Nested]


class Names(msgspec.Struct):
    names: list[list[str]]


def test_many_brackets_that_are_not_deep_are_told_at_a_glance_where_the_type_bounds_them() -> None:
    body = b'{"names":[' + b",".join([b'["a"]'] * MAX_DEPTH) + b"]}"
    assert decode_as(body, Names) == Names([["a"]] * MAX_DEPTH)


def test_a_type_that_bounds_no_depth_is_read_with_care_where_there_are_many_brackets() -> None:
    deep = MAX_DEPTH // 2 + 1
    body = b'{"inner":[' * deep + b"]}" * deep
    assert msgspec.json.encode(msgspec.json.decode(body, type=Nested)) == body
    assert decode_as(body, Nested) is None
    with pytest.raises(NotStrictJSON):
        decode(body)
