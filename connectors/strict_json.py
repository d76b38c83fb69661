"""JSON as RFC 8259 asks for it, and nothing that two readers could understand differently.

Refused: duplicate member names (RFC 8259 section 4 leaves their meaning open; the usual reader keeps the last),
NaN and Infinity, numbers out of range, invalid UTF-8, a byte order mark, lone surrogates, deep nesting, trailing bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

MAX_DEPTH = 32

_FLAT = (
    inspect.StrType,
    inspect.IntType,
    inspect.FloatType,
    inspect.BoolType,
    inspect.NoneType,
    inspect.DateType,
    inspect.DateTimeType,
    inspect.EnumType,
    inspect.LiteralType,
)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class NotStrictJSON(ValueError):
    """The bytes are not JSON, or are JSON that can be read in two ways. The text never quotes them."""


def decode(body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value that the bytes stand for, as dict, list, str, int, float, bool and None.

    Raises NotStrictJSON.
    """
    try:
        value = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise NotStrictJSON("not JSON") from None
    _refuse_duplicates(body, value)
    if body.count(b"{") + body.count(b"[") > max_depth:  # fewer brackets are not nested deeply, however they stand
        _refuse_depth(value, max_depth)
    return value


def decode_as(body: bytes, expected: type, *, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value that the bytes stand for as `expected`, if that can be told at a glance to be strict; else None.

    None says nothing of the bytes: `decode` does.
    """
    read, depth = _reading(expected)
    try:
        value = read(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    # what is written is strict: were a member named twice, or one that is not known, the bytes would not come back
    if _encode(value) != body:
        return None
    return value if depth <= max_depth or body.count(b"{") + body.count(b"[") <= max_depth else None


@cache
def _reading(expected: type) -> tuple[Callable[[bytes], Any], float]:
    return msgspec.json.Decoder(expected).decode, _deepest(inspect.type_info(expected), ())


def _deepest(kind: inspect.Type, around: tuple[type, ...]) -> float:
    """Return how deeply a value of a type can be nested: infinitely if the type does not say."""
    if isinstance(kind, inspect.StructType):
        if kind.cls in around:
            return math.inf
        return 1 + max((_deepest(field.type, (*around, kind.cls)) for field in kind.fields), default=0)
    if isinstance(kind, inspect.ListType):
        return 1 + _deepest(kind.item_type, around)
    if isinstance(kind, inspect.UnionType):
        return max(_deepest(each, around) for each in kind.types)
    return 0 if isinstance(kind, _FLAT) else math.inf


def _refuse_duplicates(body: bytes, value: Any) -> None:
    written = _encode(value)
    if written == body:
        return  # as many sources write it, and nobody writes a member of a dict twice
    # Without a backslash every quotation mark is the edge of a string, so a member that the decoder dropped shows as
    # marks that do not come back: exact, and several times faster than building every object from pairs.
    if b"\\" not in body:
        if written.count(b'"') != body.count(b'"'):
            raise NotStrictJSON("duplicate member name")
        return
    try:
        _pairs.decode(body.decode())
    except RecursionError:
        raise NotStrictJSON("nested too deeply") from None


def _refuse_depth(value: Any, max_depth: int) -> None:
    level = [value] if type(value) in (dict, list) else []
    for _ in range(max_depth):
        if not level:
            return
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
    if level:
        raise NotStrictJSON("nested too deeply")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrictJSON("duplicate member name")
    return members


_pairs = json.JSONDecoder(object_pairs_hook=_unique)
