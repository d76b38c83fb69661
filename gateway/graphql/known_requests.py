"""Requests that are written as an accepted one was, but for their variables: only those are read.

Most clients send one text again and again. What stands around the variables is then known, and was read in full when it
came first; in the place of the variables any other JSON value may stand. The variables are decoded and written again,
without spaces or with one behind each colon and comma, as the encoders of most languages do: if the same bytes come
back, no reader could understand them otherwise. Whatever is the least bit unusual is read as any other body, so that
nothing passes here that does not pass there.

What stays in memory is what `gateway.graphql.documents` may keep of a text, and only for texts without comments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gateway.errors import BodyNotJSON
from gateway.graphql.body import BodyLimits, GraphQLRequest, decode_json, parse_body
from gateway.graphql.documents import Operation
from gateway.remembered import Remembered

_NAMED: Final = b'"variables":'
_MEMBERS: Final = frozenset({"query", "operationName", "variables"})
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class _Known:
    query: str = field(repr=False)
    operation_name: str | None = field(repr=False)
    sha256: bytes


class KnownRequests:
    """Reads the bodies of POSTs. Not for threads."""

    def __init__(self, limits: BodyLimits, *, remembered: int = 256) -> None:
        self._limits = limits
        self._known: Remembered[tuple[bytes, bytes], _Known] = Remembered(remembered)

    def read(self, body: bytes) -> GraphQLRequest:
        """Return the request in a body, as `parse_body` does; raise BodyNotJSON or NotAGraphQLRequest."""
        around, written = _parted(body)
        if written:
            known = self._known.get(around)
            if known is not None and (variables := self._variables(written)) is not None:
                return GraphQLRequest(known.query, known.operation_name, variables, known.sha256)
        return parse_body(body, self._limits)

    def keep(self, body: bytes, request: GraphQLRequest, operation: Operation, sha256: bytes) -> None:
        """Know a body again that was read to this request, of an authenticated caller, with this operation in it."""
        around, written = _parted(body)
        if not written or not operation.may_be_kept or "#" in request.query:
            return
        if around in self._known:
            return
        try:
            # with a number there it is strict JSON: so it is with any value that is
            members = decode_json(b"0".join(around), self._limits.max_json_nesting)
        except BodyNotJSON:
            return
        if not isinstance(members, dict) or not members.keys() <= _MEMBERS or members.get("variables") != 0:
            return
        if (members.get("query"), members.get("operationName") or None) == (request.query, request.operation_name):
            self._known.keep(around, _Known(request.query, request.operation_name, sha256))

    def _variables(self, written: bytes) -> dict[str, Any] | None:
        """Return the variables if they can be read in one way only, and that is plain; None if that takes a look."""
        if b"\\" in written or written.count(b"{") + written.count(b"[") >= self._limits.max_json_nesting:
            return None
        try:
            variables = _decode(written)
            again = _encode(variables)
            same = again == written or msgspec.json.format(again, indent=0) == written
            return variables if same and type(variables) is dict else None
        except (msgspec.MsgspecError, ValueError, OverflowError):
            return None


def _parted(body: bytes) -> tuple[tuple[bytes, bytes], bytes]:
    """Return what stands before and behind the variables, and them; nothing if that is not plain.

    What is returned is only where they seem to stand: a body may be written so that they stand elsewhere.
    """
    start = body.find(_NAMED) + len(_NAMED)
    if body.startswith(b" ", start):
        start += 1
    # the last member, or one with others behind it
    end = len(body) - 1 if body.endswith(b"}}") else max(body.rfind(b'},"'), body.rfind(b'}, "')) + 1
    if start < len(_NAMED) or end <= start or not body.startswith(b"{", start):
        return (b"", b""), b""
    return (body[:start], body[end:]), body[start:end]
