"""The answer as nearly all sources send it, told at a glance: a head of plain lines, one length, and the whole body.

The parser calls back for every header. What is the least bit unusual is left to the parser: another status, chunks, a
coding, two lengths, `Connection: close`, a character beyond ASCII, a body that has not all come, or more
than the body. So what is taken here, the parser would have read in the same way.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from connectors.wire_answer import Headers
from schema.made_quickly import made_quickly

_MOST_HEAD_BYTES = 4096

_TOKEN = rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_VALUE = rb" *[!-~][ -~]*"
# what says where a body ends, what its bytes mean, or whether the connection lives on: only where it stands below
_TELLING = rb"(?:content-(?:length|type|encoding)|connection|transfer-encoding|upgrade|trailer|proxy-connection)"
_OTHERS = rb"(?:\r\n(?:(?!(?i:" + _TELLING + rb"):)" + _TOKEN + rb":" + _VALUE + rb"|[Cc]onnection: keep-alive)){0,20}"
_TYPE = rb"\r\n[Cc]ontent-[Tt]ype: *([!-~][ -~]*)"
_LENGTH = rb"\r\n[Cc]ontent-[Ll]ength: *([0-9]{1,8})"
_IN_EITHER_ORDER = rb"(?:" + _TYPE + _OTHERS + _LENGTH + rb"|" + _LENGTH + _OTHERS + _TYPE + rb")"
_HEAD = re.compile(rb"HTTP/1\.1 (200|404) [ -~]*" + _OTHERS + _IN_EITHER_ORDER + _OTHERS + rb"\r\n\r\n").match
_FIELD = re.compile(rb"\r\n([^:\r\n]+): *([^\r\n]*[!-~])")


@made_quickly
@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """An answer that has come whole. Its connection is free: another question may be under way on it."""

    status: int
    plain: bytes
    content_type: bytes
    head: bytes

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as they came."""
        return _FIELD.findall(self.head)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up without regard to case."""
        return Headers(self.raw_headers)

    def whole(self) -> bytes:
        """Return the body."""
        return self.plain

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body."""
        yield self.plain

    async def release(self) -> None:
        """Do nothing: it holds no connection."""


def plain_answer(data: bytes) -> PlainAnswer | None:
    """Return the answer, if the bytes are one plain answer and nothing else; else None."""
    found = _HEAD(data, 0, _MOST_HEAD_BYTES)
    if found is None:
        return None
    status, type_before, length_after, length_before, type_after = found.groups()
    end = found.end()
    if int(length_before or length_after) != len(data) - end:
        return None
    return PlainAnswer(int(status), data[end:], type_before or type_after, data[:end])
