"""The answer as nearly all sources send it, told at a glance: a head of plain lines, one length, and the whole body.

To parse it calls back for every header. What is the least bit unusual is left to the parser: another status, chunks, a
coding, a name that stands twice, `Connection: close`, a character beyond ASCII, a body that has not all come, or more
than the body. So what is taken here, the parser would have read in the same way.
"""

from __future__ import annotations

import re

_MOST_HEAD_BYTES = 4096
_MOST_LENGTH_DIGITS = 8

_TOKEN = rb"[A-Za-z0-9!#$%&'*+.^_`|~-]"
_HEAD = re.compile(rb"HTTP/1\.1 (?:200|404) [ -~]*(?:\r\n" + _TOKEN + rb"+: *[!-~][ -~]*){1,64}")
_FIELD = re.compile(rb"\r\n([^:]+): *([^\r\n]*[!-~])")
# what changes where a body ends, what its bytes mean, or whether the connection lives on
_UNUSUAL = frozenset({b"transfer-encoding", b"content-encoding", b"upgrade", b"trailer", b"proxy-connection"})


def plain_answer(data: bytes) -> tuple[int, bytes, bytes, bytes] | None:
    """Return status, head, body and the content type in lower case, if the bytes are one plain answer; else None."""
    end = data.find(b"\r\n\r\n", 0, _MOST_HEAD_BYTES)
    if end < 0 or _HEAD.fullmatch(data, 0, end) is None:
        return None
    head = data[:end]
    found = _FIELD.findall(head.lower())
    fields = dict(found)
    length = fields.get(b"content-length")
    if (
        length is None
        or not length.isdigit()
        or len(length) > _MOST_LENGTH_DIGITS
        or int(length) != len(data) - end - 4
        or len(fields) != len(found)
        or not _UNUSUAL.isdisjoint(fields)
        or fields.get(b"connection", b"keep-alive") != b"keep-alive"
    ):
        return None
    return int(head[9:12]), head, data[end + 4 :], fields.get(b"content-type", b"")


def fields_of(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the names and values of a plain answer's head, as they came."""
    return _FIELD.findall(head)
