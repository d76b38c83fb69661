"""A connection that lies idle is closed by the proxy in front, not by the gateway under a request on its way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.commands.listening import KEEP_ALIVE_SECONDS, server_for
from gateway.front.idle_connections import TAKE_SECONDS
from gateway.settings import ServerSection

LONGEST_OF_THE_USUAL_PROXIES = 600
ASKED = b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers with nothing."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


class Loop(asyncio.SelectorEventLoop):
    """An event loop that notes for how long each timer waits, and whom it calls."""

    def __init__(self) -> None:
        super().__init__()
        self.later: list[tuple[float, str]] = []
        self.ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        self.later.append((delay, getattr(callback, "__name__", "")))
        return super().call_later(delay, callback, *args, context=context)


class Wire(asyncio.Transport):
    """What a connection is written to."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)})
        self.sent = b""
        self.closed = self.aborted = False
        self.waits = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def get_write_buffer_size(self) -> int:
        return self.waits

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def connected(**how: int) -> tuple[Any, Wire, set[asyncio.Task[None]]]:
    """Return the server's end of a connection, what it writes to, and the tasks that answer."""
    server = server_for(answering, "127.0.0.1", 0, **how)  # type: ignore[arg-type]
    server.config.load()
    connection: Any = server.config.http_protocol_class(server.config, server.server_state, {})  # type: ignore[call-arg]
    wire = Wire()
    connection.connection_made(wire)
    return connection, wire, server.server_state.tasks


def kept_for(**how: int) -> float:
    """Return for how many seconds a connection is kept after its first answer."""
    loop = Loop()

    async def one_request() -> None:
        connection, wire, tasks = connected(**how)
        connection.data_received(ASKED)
        await asyncio.gather(*tasks)
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


def test_a_connection_is_closed_when_it_was_idle_for_so_long_and_not_before() -> None:
    loop = Loop()

    async def used() -> None:
        connection, wire, tasks = connected(keep_alive_seconds=100)

        async def after(seconds: float, asked: bytes = b"") -> bool:
            loop.ahead += seconds
            for _ in range(3):
                await asyncio.sleep(0)  # what is due is called
            if asked:
                connection.data_received(asked)
                await asyncio.gather(*tasks)
            return wire.closed

        # asked each minute it stays, also when the first of its timers is due
        assert [await after(seconds, ASKED) for seconds in (0, 60, 60, 60)] == [False] * 4
        assert not await after(99)
        assert await after(2)

    try:
        loop.run_until_complete(used())
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        pytest.param(ASKED, b"\r\n", id="an-empty-line"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: gateway\r\nContent-Length: 9\r\n\r\n", b"a", id="a-part-of-a-body"),
    ],
)
def test_what_comes_after_an_answer_and_asks_for_nothing_keeps_no_connection(asked: bytes, left: bytes) -> None:
    loop = Loop()

    async def used() -> None:
        connection, wire, tasks = connected(keep_alive_seconds=100)
        connection.data_received(asked)
        await asyncio.gather(*tasks)
        for _ in range(2):
            connection.data_received(left)
            assert not wire.closed
            loop.ahead += 51
            for _ in range(3):
                await asyncio.sleep(0)  # what is due is called

        assert wire.closed

    try:
        loop.run_until_complete(used())
    finally:
        loop.close()


@pytest.mark.parametrize("taken_after", [None, TAKE_SECONDS - 1, TAKE_SECONDS + 1])
def test_a_connection_is_ended_whose_answers_nobody_takes_in_time(taken_after: float | None) -> None:
    loop = Loop()

    async def unread() -> None:
        connection, wire, tasks = connected(keep_alive_seconds=100)
        connection.pause_writing()
        connection.data_received(ASKED)

        async def after(seconds: float) -> None:
            loop.ahead += seconds
            for _ in range(4):
                await asyncio.sleep(0)  # what is due is called

        await after(taken_after or 0)
        if taken_after is not None:
            connection.resume_writing()
        await after(TAKE_SECONDS - (taken_after or 0) + 0.1)

        assert wire.aborted == (taken_after is None or taken_after > TAKE_SECONDS)
        connection.connection_lost(None)
        await asyncio.gather(*tasks)

    try:
        loop.run_until_complete(unread())
    finally:
        loop.close()


@pytest.mark.parametrize("waits", [0, 1])
def test_what_was_not_taken_of_an_answer_keeps_no_idle_connection(waits: int) -> None:
    loop = Loop()

    async def idle() -> None:
        connection, wire, tasks = connected(keep_alive_seconds=100)
        connection.data_received(ASKED)
        await asyncio.gather(*tasks)
        wire.waits = waits
        loop.ahead += 101
        for _ in range(3):
            await asyncio.sleep(0)  # what is due is called

        assert (wire.closed, wire.aborted) == (True, bool(waits))

    try:
        loop.run_until_complete(idle())
    finally:
        loop.close()


@pytest.mark.parametrize("asked", [1, 2, 3])
def test_nothing_is_written_to_a_connection_that_is_gone_however_many_requests_stood_behind_one_another(
    asked: int,
) -> None:
    loop = Loop()

    async def gone() -> None:
        connection, wire, tasks = connected()
        connection.pause_writing()
        connection.data_received(ASKED * asked)
        await asyncio.sleep(0)
        connection.connection_lost(None)
        assert await asyncio.gather(*tasks) == [None]

        assert wire.sent == b""

    try:
        loop.run_until_complete(gone())
    finally:
        loop.close()


def test_a_connection_that_is_gone_is_held_by_no_timer() -> None:
    loop = Loop()

    async def gone(lost: Exception | None) -> None:
        connection, _, tasks = connected(keep_alive_seconds=100)
        connection.data_received(ASKED)
        await asyncio.gather(*tasks)
        connection.connection_lost(lost)
        assert connection.timeout_keep_alive_task is None

    try:
        loop.run_until_complete(gone(None))
        loop.run_until_complete(gone(ConnectionResetError()))
    finally:
        loop.close()
