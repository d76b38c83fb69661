"""An orderly end: first say that we are not ready, then take no more, then let what is under way finish.

Whoever spreads requests over several gateways needs a moment to learn that this one leaves. Until then it goes on
answering, and closes each connection with its answer, so that the next request goes elsewhere.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final

import structlog
import uvicorn

log = structlog.get_logger("gateway.front.stopping")

_ACCEPTS_A_TURN: Final = 16
_SAME_WORD_SECONDS: Final = 1.0
"""A service manager tells each process of a group to stop, and the supervisor of workers tells each of them again."""


@dataclass
class Stopping:
    """Whether the process is on its way out. Read by `/readyz` and by every response."""

    begun: bool = False


class OrderlyServer(uvicorn.Server):
    """A server that waits between "not ready" and closing its door."""

    def __init__(
        self,
        config: uvicorn.Config,
        stopping: Stopping,
        *,
        wait_seconds: float,
        at_once: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`at_once`: whether to leave without the wait, as when nothing can be recorded any more."""
        super().__init__(config)
        self._stopping = stopping
        self._wait_seconds = wait_seconds
        self._at_once = at_once
        self._clock = clock
        self._told_at = 0.0
        self._close_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, by several handles for each socket: libuv accepts one connection of a handle a turn."""
        for each in sockets or ():
            # Whether it blocks is the property of what all workers share, and a double takes over what its original
            # says: while one worker starts, another that looks for a connection would stand still until one comes.
            each.setblocking(False)
        doubles = [each.dup() for each in sockets or () for _ in range(_ACCEPTS_A_TURN - 1)]
        await super().startup(sockets if sockets is None else [*sockets, *doubles])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; a second signal ends the wait, unless it comes so soon that it is the first one once more."""
        now, begun = self._clock(), self._stopping.begun
        again = begun and now - self._told_at >= _SAME_WORD_SECONDS
        if again or sig == signal.SIGINT or self._wait_seconds <= 0 or self._at_once():
            super().handle_exit(sig, frame)
        elif not begun:
            self._told_at, self._close_at = now, now + self._wait_seconds
        self._stopping.begun = True

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop taking connections; asked ten times a second."""
        if self._close_at is not None and self._clock() >= self._close_at:
            self._close_at = None
            self.should_exit = True
        return await super().on_tick(counter)
