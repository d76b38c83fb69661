"""One value, one text: canonical JSON in the manner of RFC 8785 (JCS), for whatever is hashed.

Narrower than RFC 8785 where that removes a doubt: no floats at all, integers only where every reader holds them exactly
(I-JSON, RFC 7493 section 2.2), and keys in ASCII, so that sorting by byte, by code point and by UTF-16 unit agree.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import msgspec

_LARGEST_INTEGER: Final = 2**53 - 1
_DEEPEST: Final = 32
_encode = msgspec.json.Encoder(order="sorted").encode


class NotCanonical(ValueError):
    """A value has no canonical form here; the message names the kind of fault, never the value."""


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of dicts, lists, tuples, strings, integers, booleans and None, in UTF-8.

    Raises NotCanonical for anything else (the encoder alone would write NaN as null and a date as text).
    """
    _check(value)
    try:
        return _encode(value)
    except UnicodeEncodeError:
        raise NotCanonical("a lone surrogate has no UTF-8 form") from None


def once(value: Any) -> msgspec.Raw:
    """Return a value's canonical form, to stand in values to come: what they share is looked at and written once.

    Raises NotCanonical.
    """
    return msgspec.Raw(canonical(value))


def _check(value: Any) -> None:
    """Raise NotCanonical unless the value has a canonical form; level by level, of each container what is not plain."""
    plain, known = _PLAIN, _KEYS.issuperset
    level = [value]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for each in level:
            kind = type(each)
            # loops and not comprehensions: those are calls, and of most containers all is plain
            if kind is dict:
                if not known(each):
                    _check_keys(each)
                for held in each.values():
                    if type(held) not in plain:
                        inner.append(held)  # noqa: PERF401
            elif kind is list or kind is tuple:
                for held in each:
                    if type(held) not in plain:
                        inner.append(held)  # noqa: PERF401
            elif kind is int:
                if not -_LARGEST_INTEGER <= each <= _LARGEST_INTEGER:
                    raise NotCanonical("an integer is too large to be exact everywhere")
            else:
                _check_type(kind)
        if not inner:
            return
        level = inner
    raise NotCanonical("nested too deeply")


def _check_type(kind: type) -> None:
    # members of our closed word lists are strings; any other enumeration could be written in two ways
    if issubclass(kind, str) and issubclass(kind, Enum):
        _PLAIN.add(kind)
    elif kind not in _PLAIN:
        raise NotCanonical(f"a value of type {kind.__name__} has no canonical form")


def _check_keys(value: dict[Any, Any]) -> None:
    for key in value:
        if type(key) is not str or not key.isascii():
            raise NotCanonical("a key must be a string in ASCII")
    if len(_KEYS) < _MOST_KEYS:
        _KEYS.update(value)


_PLAIN: Final[set[type]] = {str, bool, type(None), msgspec.Raw}
"""Types of which every value has a canonical form; the closed word lists join them as they are met.

A Raw is what `once` has made: nothing else in this program makes one."""

_KEYS: Final[set[str]] = set()
"""Keys that have been looked at.

A key of a string type of its own (a word of a closed list) passes if it equals one of these. That gives no second form
of a value: the encoder writes the text of a key whatever its type, and two equal keys cannot stand in one dict. To
compare types too would cost as much again as all else that is looked at.
"""

_MOST_KEYS: Final = 1024
