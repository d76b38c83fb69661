"""Connections that lie idle are closed, by one timer for each connection and not one for each answer.

So are those whose answers nobody takes: who asks and does not read would keep a connection, and an answer that waits to
be sent, for as long as the process.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

TAKE_SECONDS: Final = 30.0
"""How long answers may wait to be sent, once more of them wait than a connection holds."""


class ClosedWhenIdle(HttpToolsProtocol):
    """Closes a connection on which nothing was asked for `timeout_keep_alive` seconds after its last answer.

    uvicorn cancels a timer with each request and begins another with each answer. Here the timer stays, and looks when
    it is due how long the connection has been idle. Only a request ends that: an empty line, or what is left of a body
    whose answer has gone out, asks for nothing, and nobody would close the connection after it.
    """

    _idle_since: float | None = None  # since its last answer, by the loop's clock; None while something is asked

    _untaken: asyncio.TimerHandle | None = None
    _answered: RequestResponseCycle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        answered = self._answered
        if answered is not None and not answered.response_complete:
            # uvicorn tells the request that came last, which may be one that waits behind this
            answered.disconnected = True
            answered.message_event.set()
        super().connection_lost(exc)
        super()._unset_keepalive_if_required()
        self._taken()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._untaken is None:
            # what waits to be sent would be waited for: no orderly end
            self._untaken = self.loop.call_later(TAKE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._taken()
        super().resume_writing()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._idle_since = None

    def _unset_keepalive_if_required(self) -> None:
        """Do nothing: uvicorn calls this for whatever bytes come."""

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_in(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for long enough, else look again when it could be."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return  # something is asked; its answer begins anew
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_in(left)
        elif self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def _look_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)
