"""The server's HTTP protocol with a bound on request heads: nobody is known yet, so nobody may fill the memory.

uvicorn's httptools protocol keeps whatever comes before the empty line, however long and for however long.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import httptools
import structlog
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.front.upgrades import IgnoringUpgrades
from gateway.front.whole_answers import WholeAnswer

HEAD_BYTES: Final = 32 * 1024
"""The most bytes of a request line with its header fields: four times the longest token that is read."""
HEAD_SECONDS: Final = 10.0
"""How long a request head may take to arrive, on a new connection too."""

log = structlog.get_logger("gateway.front.request_heads")

_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_UNABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_SLOW: Final = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHeads(IgnoringUpgrades):
    """Closes a connection whose request head is too long (RFC 6585, section 5) or too slow (RFC 9110, 15.5.9)."""

    _in_head = True
    _began = False  # whether a head began in the bytes now being read
    _ended = False  # whether one ended in them
    _size = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._began = self._ended = False
        super().data_received(data)
        if self._began and self._in_head:
            # most heads come whole: a timer for each would be most of the work of bounding it
            self._start()
        # what was read in one piece is bounded by the event loop; only what a head leaves waiting adds up
        if self._in_head and not self._ended and not self.transport.is_closing():
            self._size += len(data)
            if self._size > HEAD_BYTES:
                self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._began, self._size = True, True, 0

    def on_headers_complete(self) -> None:
        self._end_of_head()
        under_way = self.cycle
        try:
            super().on_headers_complete()
        except BaseException:
            # no answer is under way to what could not be begun
            self.cycle = under_way
            raise

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        answer = WholeAnswer(cycle)
        super()._start_asgi_task(cycle, lambda scope, receive, _: app(scope, receive, answer.send))

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed; what could be, and failed in our own hands, is no bad request (RFC 9110, 15.6).

        The parser hides what a callback raised behind an error of its own: for a target that is no URL, too.
        """
        error = sys.exception()
        ours = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else None
        if ours is None or isinstance(ours, httptools.HttpParserError | ValueError):
            if self._answering() and not self.cycle.more_body:
                # Whoever asked before it would take this for their answer. They have theirs; then it is closed.
                self.cycle.keep_alive = False
            else:
                super().send_400_response(msg)
            return
        log.error("request_failed", exceptions=[type(ours).__qualname__])
        self._refuse(_UNABLE)

    def _end_of_head(self) -> None:
        self._in_head, self._ended = False, True
        self._stop()

    def _start(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        if self._answering():
            # a pipelined head: the server itself does not read on before the answer under way has left
            self._start()
        else:
            self._refuse(_TOO_SLOW)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, answer: bytes) -> None:
        self._stop()
        if not self.transport.is_closing():
            if not self._answering():
                # an answer under way is not to be mixed with this one
                self.transport.write(answer)
            self.transport.close()
