"""One kept-alive connection to a source: a request out, its answer in, never the answer to anything else.

The parser is llhttp, through httptools as in uvicorn: it refuses a length beside chunks, two lengths, bare line feeds,
folded headers and bytes after `Connection: close` (RFC 9112, sections 2.2, 5.2, 6.3). What it leaves open is bounded
here: how long a head may be, and that an answer belongs to what was asked. An answer that is plain at a glance is not
parsed (`connectors.plain_answers`).
"""

from __future__ import annotations

import asyncio
import math
import select
import ssl
import time
from collections.abc import Callable
from typing import cast

import httptools

from connectors.faults import FaultCode, SourceFailed
from connectors.plain_answers import plain_answer
from connectors.transport import Answer
from connectors.wire_answer import WireAnswer

MOST_HEADER_BYTES = 8190
MOST_HEADERS = 64
_MOST_HEAD_BYTES = 64 * 1024  # and of anything else that is no body
_MOST_UNREAD_BYTES = 256 * 1024


class Connection(asyncio.Protocol):
    """A connection of a pool. `idle` is called when the next request may be sent, `lost` when no more can be."""

    __slots__ = (
        "_answer",
        "_arriving",
        "_failure",
        "_fed",
        "_idle",
        "_interim",
        "_lost",
        "_now",
        "_parser",
        "_paused",
        "_spoiled",
        "_transport",
        "asked",
        "at",
        "since",
        "until",
    )

    def __init__(self, idle: Callable[[Connection], None], lost: Callable[[Connection], None]) -> None:
        self._idle = idle
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self.asked: asyncio.Future[Answer] | None = None
        """What was asked last, until all of its answer has come: done once its head has."""
        self._answer: WireAnswer | None = None  # to it, from its first bytes on
        self._failure: FaultCode | None = None
        self._arriving = select.poll()
        self._fed = 0
        self._interim = False
        self._now = time.monotonic  # the loop's, once it is asked on
        self._spoiled = False
        self._paused = False
        self.at = math.inf
        """Until when the answer under way is waited for."""
        self.since = 0.0
        """Since when the connection is idle."""
        self.until = math.inf
        """Until when another request may follow an answer."""

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._transport is not None and not self._spoiled and not self._transport.is_closing()

    def kept(self, since: float) -> bool:
        """Return whether another request may be sent, idle no longer than `since`, and nothing has come meanwhile.

        Also not what nobody has read yet, be it the end: nobody has asked for it.
        """
        transport = self._transport
        return (
            transport is not None
            and not self._spoiled
            and self.since > since
            and not transport.is_closing()
            and not self._arriving.poll(0)
        )

    def ask(self, request: bytes, at: float, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Answer]:
        """Send a request; return what becomes its answer once that one's head has come, or SourceFailed."""
        asked: asyncio.Future[Answer] = loop.create_future()
        if self._transport is None or self._spoiled:
            # it ended between its making and this question
            asked.set_exception(SourceFailed(self._failure or FaultCode.RESET))
            return asked
        self.asked, self._now = asked, loop.time
        self._fed = 0
        self.at = at
        self._transport.write(request)
        return asked

    def expire(self) -> None:
        """End the answer under way: its time is over."""
        self._end(FaultCode.DEADLINE)

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._end(FaultCode.RESET)

    def resume(self) -> None:
        """Read on, after so much came that reading was stopped."""
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass
        self._arriving.register(transport.get_extra_info("socket"), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        asked, answer = self.asked, self._answer
        if asked is None:
            # bytes that nobody asked for would be taken for the answer to the next question: another child's
            self._end(FaultCode.GARBAGE)
            return
        if answer is None:
            plain = plain_answer(data)
            if plain is not None:
                # all of the answer and nothing else, at a message's beginning: the parser has not seen any of it
                self.asked = None
                if not asked.done():
                    asked.set_result(plain)
                self._free()
                return
            answer = self._answer = WireAnswer(self)
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._spoiled = True
            if not answer.complete:
                self._end(FaultCode.GARBAGE if self._waits_for_head() else FaultCode.TRUNCATED)
                return
        if answer.complete:
            self._done(answer)
        elif self._fed > _MOST_HEAD_BYTES:
            self._end(FaultCode.GARBAGE if self._waits_for_head() else FaultCode.TRUNCATED)
        elif not self._waits_for_head():
            answer.told()
            if answer.size > _MOST_UNREAD_BYTES and not self._paused and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        asked = self.asked is not None
        if asked and not self._waits_for_head():
            code = FaultCode.TRUNCATED
        elif isinstance(exc, ssl.SSLError):
            # with TLS 1.3 a refused client certificate is told only when the first byte is read
            code = FaultCode.TLS
        else:
            code = FaultCode.GARBAGE if asked and self._fed else FaultCode.RESET
        self._end(code)
        self._lost(self)

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._answer is None or self._answer.complete:
            self._spoiled = True  # more than was asked for
        self._interim = False

    def on_header(self, name: bytes, value: bytes) -> None:
        answer = self._answer
        if answer is None or answer.complete or answer.status:
            return  # of what nobody asked for, or of a trailer
        if len(name) + len(value) > MOST_HEADER_BYTES or len(answer.raw_headers) >= MOST_HEADERS:
            raise ValueError("a head is too long")
        answer.raw_headers.append((name, value))

    def on_headers_complete(self) -> None:
        answer, asked = self._answer, self.asked
        if answer is None or answer.complete or answer.status or asked is None:
            return
        if self._parser.get_http_version() not in {"1.1", "1.0"}:
            raise ValueError("another protocol")
        status = self._parser.get_status_code()
        if status < 200:
            # an interim response (RFC 9110, section 15.2): the answer is still to come
            answer.raw_headers.clear()
            self._interim = True
            return
        answer.status = status
        if not asked.done():
            asked.set_result(answer)

    def on_body(self, body: bytes) -> None:
        answer = self._answer
        if answer is not None and not answer.complete:
            answer.parts.append(body)
            answer.size += len(body)
            self._fed = 0  # counts what is neither body nor bounded by who reads it: heads, chunk extensions, trailers

    def on_message_complete(self) -> None:
        answer = self._answer
        if answer is None or answer.complete or self._interim:
            return
        answer.complete = True
        if not self._parser.should_keep_alive():
            self._spoiled = True

    def _waits_for_head(self) -> bool:
        return self._answer is None or not self._answer.status

    def _done(self, answer: WireAnswer) -> None:
        """The answer is whole: the connection is free, unless it said more than it was asked."""
        self.asked = self._answer = None
        answer.ended(None)
        self._free()

    def _free(self) -> None:
        transport = self._transport
        if transport is not None and not self._spoiled and not transport.is_closing():
            self.since = self._now()
            if self.since < self.until:
                self._idle(self)
                return
        self.abort()

    def _end(self, code: FaultCode) -> None:
        """Fail what is under way, and close."""
        self._spoiled = True
        self._failure = self._failure or code
        asked, answer = self.asked, self._answer
        self.asked = self._answer = None
        if answer is not None:
            answer.ended(code)
        if asked is not None and not asked.done():
            asked.set_exception(SourceFailed(code))
        if self._transport is not None:
            self._transport.abort()
