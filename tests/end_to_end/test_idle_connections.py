"""A connection that lies idle is closed by the proxy in front, not by the gateway under a request on its way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.commands.listening import KEEP_ALIVE_SECONDS, server_for
from gateway.settings import ServerSection

LONGEST_OF_THE_USUAL_PROXIES = 600


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers with nothing."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


class Loop(asyncio.SelectorEventLoop):
    """An event loop that notes for how long each timer waits, and whom it calls."""

    def __init__(self) -> None:
        super().__init__()
        self.later: list[tuple[float, str]] = []

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        self.later.append((delay, getattr(callback, "__name__", "")))
        return super().call_later(delay, callback, *args, context=context)


class Wire(asyncio.Transport):
    """What a connection is written to."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)})
        self.sent = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def kept_for(**how: int) -> float:
    """Return for how many seconds a connection is kept after its first answer."""
    loop = Loop()

    async def one_request() -> None:
        server = server_for(answering, "127.0.0.1", 0, **how)  # type: ignore[arg-type]
        server.config.load()
        connection = server.config.http_protocol_class(server.config, server.server_state, {})  # type: ignore[call-arg]
        wire = Wire()
        connection.connection_made(wire)
        connection.data_received(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
        await asyncio.gather(*server.server_state.tasks)
        assert wire.sent.startswith(b"HTTP/1.1 204 ")
        connection.connection_lost(None)

    try:
        loop.run_until_complete(one_request())
    finally:
        loop.close()
    return next(delay for delay, name in loop.later if name == "timeout_keep_alive_handler")


@pytest.mark.parametrize("seconds", [1, 7, 3600])
def test_an_idle_connection_is_kept_for_as_long_as_the_setting_says(seconds: int) -> None:
    assert kept_for(keep_alive_seconds=seconds) == seconds


def test_by_default_it_is_kept_for_longer_than_a_usual_proxy_keeps_it() -> None:
    assert kept_for() == ServerSection().keep_alive_seconds == KEEP_ALIVE_SECONDS > LONGEST_OF_THE_USUAL_PROXIES
