"""JSON and base64url as a token or a key set may hold them: one reading only, or none.

Two parsers that read one text differently are how a check is passed by one value and used with another (RFC 8725,
section 3.11 of its successor; RFC 8259, section 4 on duplicate names).
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 8

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


class NotStrict(ValueError):
    """The bytes have no reading, or more than one; the message says which rule, never what was read."""


def decode_base64url(text: str) -> bytes:
    """Return the bytes of unpadded base64url (RFC 7515, section 2); raise NotStrict for any other spelling of them."""
    if not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        raise NotStrict("not base64url")
    decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # the last character carries bits that decode to nothing: without this, four texts would be one token
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode("ascii") != text:
        raise NotStrict("not canonical base64url")
    return decoded


def decode_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in `raw`.

    Raises NotStrict for what is not UTF-8, not JSON, not an object, nested deeper than eight, names a member twice,
    holds NaN, an infinity or a number that overflows to one, or a lone surrogate.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise NotStrict("not UTF-8") from None
    _check_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_members_once,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_short_int,
        )
    except NotStrict:
        raise
    except ValueError:
        raise NotStrict("not JSON") from None
    if not isinstance(value, dict):
        raise NotStrict("not an object")
    if "\\u" in text:
        _check_surrogates(value)
    return value


def _check_depth(text: str) -> None:
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        if bracket in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotStrict("nested too deep")
        else:
            depth -= 1


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrict("a member is named twice")
    return members


def _no_constant(_text: str) -> NoReturn:
    raise NotStrict("not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotStrict("a number overflows")
    return number


def _short_int(text: str) -> int:
    # far beyond any time or count, far below where conversion is slow
    if len(text) > 20:
        raise NotStrict("a number is too long")
    return int(text)


def _check_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NotStrict("a lone surrogate") from None
