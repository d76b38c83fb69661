"""Answers that leave whole: head and body in one write, looked at once.

uvicorn writes the head as soon as it is known and the body behind it, and looks at each field with two patterns; that
was an eighth of what a small request costs. An answer of one part whose length its head says is written here. All
others, and whatever is out of the ordinary, is left to uvicorn, message by message.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

_HEAD, _BODY = "http.response.start", "http.response.body"
_FRAMING: Final = frozenset({b"connection", b"transfer-encoding"})  # fields that say how the answer is to be framed
_OF_A_VALUE: Final = bytes({9, *range(32, 127), *range(128, 256)})  # what uvicorn allows in one


class WholeAnswer:
    """How an application sends the answer of one exchange."""

    __slots__ = ("_cycle", "_head")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._head: ASGISendEvent | None = None  # it waits for what follows

    async def send(self, message: ASGISendEvent) -> None:
        """Send an ASGI message. Raises what uvicorn raises for one that cannot be sent."""
        cycle, head = self._cycle, self._head
        if head is None and message["type"] == _HEAD and not cycle.response_started:
            self._head = message
            return
        if head is not None:
            self._head = None
            if self._written(head, message):
                return
            await cycle.send(head)
        await cycle.send(message)

    def _written(self, head: Any, message: Any) -> bool:
        """Write the answer if it is whole and plain, and return whether it was."""
        cycle = self._cycle
        if (
            message["type"] != _BODY
            or message.get("more_body", False)
            or cycle.access_log
            or cycle.disconnected
            or cycle.flow.write_paused
            or cycle.scope["method"] == "HEAD"
        ):
            return False
        body: bytes = message.get("body", b"")
        fields = _fields([*cycle.default_headers, *head.get("headers", ())], len(body))
        if fields is None:
            return False
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        cycle.transport.write(b"".join((STATUS_LINE[head["status"]], fields, end, body)))
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True


def _fields(given: Sequence[tuple[bytes, bytes]], length: int) -> bytes | None:
    """Return the lines of these fields; None unless all are plain and they say this length once."""
    form = _form(tuple([name for name, _ in given]))
    if form is None:
        return None
    lines, where = form
    if given[where][1] != b"%d" % length:
        return None
    joined = lines % tuple([value for _, value in given])
    # a value with an end of a line or another control in it would leave more than the ends of these lines
    return joined if joined.translate(None, _OF_A_VALUE) == b"\r\n" * len(given) else None


@lru_cache(maxsize=128)  # of this program's own answers, and Starlette's
def _form(names: tuple[bytes, ...]) -> tuple[bytes, int] | None:
    """Return the lines of fields of these names, a place in each for its value, and which of them is the length.

    None if one is no name or says how the answer is framed, or if there is not one length.
    """
    written = [name.lower() for name in names]
    if written.count(b"content-length") != 1 or not _FRAMING.isdisjoint(written):
        return None
    if any(not name or HEADER_RE.search(name) for name in names):
        return None
    lines = b"".join(name.replace(b"%", b"%%") + b": %b\r\n" for name in written)
    return lines, written.index(b"content-length")
