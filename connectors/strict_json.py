"""JSON as RFC 8259 asks for it, and nothing that two readers could understand differently.

Refused: duplicate member names (RFC 8259 section 4 leaves their meaning open; the usual reader keeps the last),
NaN and Infinity, numbers out of range, invalid UTF-8, a byte order mark, lone surrogates, deep nesting, trailing bytes.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

MAX_DEPTH = 32

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
    _refuse_depth(body, value, max_depth)
    return value


def _refuse_duplicates(body: bytes, value: Any) -> None:
    # Without a backslash every quotation mark is the edge of a string, so a member that the decoder dropped shows as
    # marks that do not come back: exact, and several times faster than building every object from pairs.
    if b"\\" not in body:
        if _encode(value).count(b'"') != body.count(b'"'):
            raise NotStrictJSON("duplicate member name")
        return
    try:
        _pairs.decode(body.decode())
    except RecursionError:
        raise NotStrictJSON("nested too deeply") from None


def _refuse_depth(body: bytes, value: Any, max_depth: int) -> None:
    if body.count(b"{") + body.count(b"[") <= max_depth:
        return  # too few brackets to be nested deeply, however they stand
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
