"""One value, one text."""

from __future__ import annotations

import json
import string
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.canonical import NotCanonical, canonical, once
from gateway.audit.events import EventKind

keys = st.text(string.printable, max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8"))
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


def reference(value: Any) -> str:
    """RFC 8785 section 3.2, for what is allowed here."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return '"' + "".join(map(escaped, value)) + '"'
        case list():
            return "[" + ",".join(map(reference, value)) + "]"
        case dict():
            by_utf16 = sorted(value, key=lambda key: key.encode("utf-16-be"))
            return "{" + ",".join(f"{reference(key)}:{reference(value[key])}" for key in by_utf16) + "}"
    raise AssertionError(type(value))


def escaped(character: str) -> str:
    short = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    if character in short:
        return short[character]
    return f"\\u{ord(character):04x}" if ord(character) < 0x20 else character


@given(values)
def test_the_text_is_that_of_rfc_8785(value: Any) -> None:
    assert canonical(value).decode() == reference(value)


@given(values)
def test_the_text_reads_back_as_the_value(value: Any) -> None:
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(keys, scalars))
def test_the_order_in_which_keys_were_set_does_not_matter(value: dict[str, Any]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


def test_a_tuple_reads_as_a_list_and_a_word_of_ours_as_its_text() -> None:
    assert canonical({"kind": EventKind.INTENT, "of": (1, 2)}) == b'{"kind":"INTENT","of":[1,2]}'


class Number(IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Word(StrEnum):
    MET = "met"
    NEVER_MET = "never met"


def deep(levels: int) -> Any:
    value: Any = None
    for _ in range(levels):
        value = [value]
    return value


def endless() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(1.0, id="a-float"),
        pytest.param(float("nan"), id="not-a-number"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param(2**53, id="an-integer-that-a-double-cannot-hold-apart"),
        pytest.param(-(2**53), id="a-negative-one"),
        pytest.param(2**70, id="a-very-large-integer"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param({1, 2}, id="a-set"),
        pytest.param({1: "a"}, id="a-key-that-is-a-number"),
        pytest.param({"é": 1}, id="a-key-outside-ascii"),
        pytest.param({Word.NEVER_MET: 1}, id="a-key-that-is-an-enumeration"),
        pytest.param(datetime.now(UTC), id="a-time"),
        pytest.param(Decimal("1.5"), id="a-decimal"),
        pytest.param(Number.ONE, id="a-number-by-another-name"),
        pytest.param(Text("a"), id="a-text-of-another-type"),
        pytest.param("\ud800", id="a-lone-surrogate"),
        pytest.param(deep(40), id="nested-too-deeply"),
        pytest.param(endless(), id="a-list-that-holds-itself"),
        pytest.param(object(), id="any-object"),
    ],
)
def test_refuses(value: Any) -> None:
    for whole in (value, [value], {"key": value}, {"key": [{"key": value}]}):
        with pytest.raises(NotCanonical):
            canonical(whole)


@pytest.mark.parametrize("key", [Word.MET, Text("met")])
def test_a_key_that_equals_one_seen_before_is_written_as_that_one(key: str) -> None:
    plain = canonical({"met": 1, "other": 2})

    assert canonical({"other": 2, key: 1}) == plain


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(NotCanonical) as refused:
        canonical({"child": Text("999 000 0018")})

    assert "999" not in str(refused.value)


def test_what_is_written_once_stands_in_others_as_it_would_by_itself() -> None:
    inner = {"z": [None, "é", {"b": 1, "a": True}], "a": ""}

    assert canonical({"y": once(inner), "x": [once("1"), 1]}) == canonical({"y": inner, "x": ["1", 1]})
    with pytest.raises(NotCanonical):
        once({"a": 1.5})
