"""JSON and base64url have one reading or none."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.strict_json import NotStrict, decode_base64url, decode_object

SCALARS = st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    SCALARS | TEXTS, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXTS, v, max_size=3), max_leaves=5
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_once_is_read_as_it_was(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    depth = max(text.count("[") + text.count("{"), 1)

    if depth <= 8:
        assert decode_object(text.encode()) == value


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"a":1,"a":1}', id="twice"),
        pytest.param(b'{"a":{"b":1,"b":2}}', id="twice-inside"),
        pytest.param(b'{"a":1,"\\u0061":2}', id="twice-by-escape"),
        pytest.param(b'{"a":NaN}', id="nan"),
        pytest.param(b'{"a":-Infinity}', id="infinity"),
        pytest.param(b'{"a":1e999}', id="overflow"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", id="long-number"),
        pytest.param(b'{"a":"\\ud800"}', id="lone-surrogate"),
        pytest.param(b'{"\\udfff":1}', id="lone-surrogate-in-a-name"),
        pytest.param(b'{"a":"\xff"}', id="not-utf-8"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="byte-order-mark"),
        pytest.param('{"a":1}'.encode("utf-16"), id="utf-16"),
        pytest.param(b'{"a":1}{"b":2}', id="two-documents"),
        pytest.param(b'{"a":1}\x00', id="trailing-nul"),
        pytest.param(b"{'a':1}", id="single-quotes"),
        pytest.param(b'{"a":1,}', id="trailing-comma"),
        pytest.param(b'{"a":"line\nbreak"}', id="raw-control-character"),
        pytest.param(b"[1]", id="array"),
        pytest.param(b"1", id="number"),
        pytest.param(b"", id="empty"),
        pytest.param(b'{"a":' + b"[" * 8 + b"]" * 8 + b"}", id="nine-deep"),
        pytest.param(b"[" * 100_000, id="a-hundred-thousand-deep"),
        pytest.param(b'{"a":"' + b'\\"[' * 20 + b"[" * 20, id="unterminated"),
    ],
)
def test_what_has_two_readings_or_none_is_refused(raw: bytes) -> None:
    with pytest.raises(NotStrict):
        decode_object(raw)


def test_brackets_inside_a_text_are_not_depth() -> None:
    assert decode_object(b'{"a":"[[[[[[[[[[[[{{{{\\"["}') == {"a": '[[[[[[[[[[[[{{{{"['}


def test_eight_deep_is_read() -> None:
    assert decode_object(b'{"a":' + b"[" * 7 + b"]" * 7 + b"}")


@given(st.binary(max_size=40))
def test_bytes_have_exactly_one_spelling(raw: bytes) -> None:
    text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    assert decode_base64url(text) == raw


@given(st.text("AQgw_-Bz09", max_size=12))
def test_a_text_is_the_spelling_of_its_bytes_or_refused(text: str) -> None:
    try:
        raw = decode_base64url(text)
    except NotStrict:
        return
    assert base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == text


@pytest.mark.parametrize("text", ["A", "AB", "AAB", "AA==", "A+A", "A/A", "AA\n", "AA A", "é"])
def test_any_other_spelling_is_refused(text: str) -> None:
    with pytest.raises(NotStrict):
        decode_base64url(text)
