"""A kept-alive connection carries one question after another, and no question gets what belongs to another.

The event loop is made to stand still here, as it does on a busy machine: what comes meanwhile comes all at once.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from connectors import wire
from connectors.base import Deadline
from connectors.faults import FaultCode, SourceFailed
from connectors.http import Reply, SourceClient
from connectors.wire_connection import Connection
from tests.fixtures.fault_server import response

pytestmark = [pytest.mark.network]

_LONG_ENOUGH = 0.05  # for a server on this machine to do what it does next


class ThreadedServer:
    """Answers each request by its number, from threads of its own: also while the event loop stands still."""

    def __init__(self, answers: Callable[[socket.socket, int], None]) -> None:
        self._answers = answers
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def close(self) -> None:
        self._listening.close()
        for connection in self.connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        number = 0
        try:
            while _read_head(connection):
                number += 1
                self._answers(connection, number)
        except OSError:
            return


def _read_head(connection: socket.socket) -> bool:
    head = b""
    while b"\r\n\r\n" not in head:
        if not (read := connection.recv(65536)):
            return False
        head += read
    return True


def numbered(number: int) -> bytes:
    return response(b'{"question":%d}' % number)


def says_its_number(connection: socket.socket, number: int) -> None:
    connection.sendall(numbered(number))


@pytest.fixture
def served() -> Iterator[Callable[..., ThreadedServer]]:
    opened: list[ThreadedServer] = []

    def serve(answers: Callable[[socket.socket, int], None] = says_its_number) -> ThreadedServer:
        opened.append(ThreadedServer(answers))
        return opened[-1]

    yield serve
    for server in opened:
        server.close()


async def ask(client: SourceClient) -> Reply:
    return await client.request(
        "POST", "/search", json={}, deadline=Deadline.after(5.0), request_id="7d1c-4f", repeatable=False
    )


def run(test: Callable[[SourceClient], object], server: ThreadedServer) -> object:
    """Return what the test returns, on asyncio's own loop, whose order of callbacks the tests rely on."""

    async def with_client() -> object:
        client = SourceClient(server.url, allow_private=False)
        try:
            return await test(client)  # type: ignore[misc]
        finally:
            await client.aclose()

    return asyncio.run(with_client())


def test_what_came_before_a_question_is_never_its_answer(served: Callable[..., ThreadedServer]) -> None:
    def twice_at_first(connection: socket.socket, number: int) -> None:
        connection.sendall(numbered(number))
        if len(server.connections) == 1:
            time.sleep(_LONG_ENOUGH / 5)  # after the answer has been read
            connection.sendall(response(b'{"question":"nobody\'s"}'))

    server = served(twice_at_first)

    async def two_questions(client: SourceClient) -> list[object]:
        first = await ask(client)
        time.sleep(_LONG_ENOUGH)  # noqa: ASYNC251 - the loop is busy, and has not seen what has come
        return [first.json, (await ask(client)).json]

    assert run(two_questions, server) == [{"question": 1}] * 2
    assert len(server.connections) == 2, "the second question went out on a connection of its own"


def test_a_connection_is_not_kept_for_ever_however_busy_so_that_a_source_that_moves_is_followed(
    served: Callable[..., ThreadedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_KEPT_SECONDS", 0.2)
    server = served()

    async def questions_without_a_pause(client: SourceClient) -> None:
        async with asyncio.timeout(30):
            while len(server.connections) < 3:
                await ask(client)

    run(questions_without_a_pause, server)  # none of which failed


def test_who_stops_waiting_when_the_answer_has_come_takes_nothing_from_the_next(
    served: Callable[..., ThreadedServer],
) -> None:
    server = served()

    async def one_is_cancelled(client: SourceClient) -> object:
        loop = asyncio.get_running_loop()
        await ask(client)  # so that there is a connection to share
        may_ask = loop.create_future()

        async def next_question() -> Reply:
            await may_ask
            return await ask(client)

        after = asyncio.create_task(next_question())
        before = asyncio.create_task(ask(client))
        await asyncio.sleep(0)  # it has been sent
        time.sleep(_LONG_ENOUGH)  # noqa: ASYNC251 - and its answer is there
        # in one turn of the loop: the next may ask, the answer is read, and its asker's time is over
        loop.call_soon(may_ask.set_result, None)
        loop.call_at(loop.time(), before.cancel)
        with pytest.raises(asyncio.CancelledError):
            await before
        return (await after).json

    assert run(one_is_cancelled, server) == {"question": 3}
    assert len(server.connections) == 1, "both were asked on one connection"


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"], ids=["nothing", "head"])
@pytest.mark.parametrize("kept", [True, False])
def test_who_stops_waiting_ends_the_connection_that_an_answer_is_still_to_come_on(
    served: Callable[..., ThreadedServer], begun: bytes, kept: bool
) -> None:
    """Also where its head came in the turn of the loop in which the asker's time was over."""
    never = threading.Event()

    def begins(connection: socket.socket, number: int) -> None:
        if kept and number == 1:
            return says_its_number(connection, number)
        connection.sendall(begun)
        never.wait()
        return None

    server = served(begins)

    async def cancelled(client: SourceClient) -> bool:
        loop = asyncio.get_running_loop()
        if kept:
            await ask(client)
        call = asyncio.create_task(ask(client))
        await asyncio.sleep(0 if kept else _LONG_ENOUGH)  # it has been sent
        time.sleep(_LONG_ENOUGH)  # noqa: ASYNC251 - what has begun is there
        loop.call_at(loop.time(), call.cancel)
        with pytest.raises(asyncio.CancelledError):
            await call
        return await asyncio.to_thread(has_ended, server)

    try:
        assert run(cancelled, server) is True
    finally:
        never.set()


@pytest.mark.parametrize("turns", range(6))
def test_a_connection_that_stands_as_its_time_ends_is_closed_however_often_who_waits_is_cancelled(
    served: Callable[..., ThreadedServer], monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """At one deadline a call is cancelled by its own timeout and by who asks, one turn of the loop after another."""
    never = threading.Event()
    server = served(lambda *_: never.wait())
    made = Connection.connection_made

    async def cancelled_twice(client: SourceClient) -> bool:
        stands = asyncio.Event()

        def seen(self: Connection, transport: asyncio.BaseTransport) -> None:
            made(self, transport)
            stands.set()

        monkeypatch.setattr(Connection, "connection_made", seen)
        call = asyncio.create_task(ask(client))
        await stands.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return await asyncio.to_thread(has_ended, server)

    try:
        assert run(cancelled_twice, server) is True
    finally:
        never.set()


def has_ended(server: ThreadedServer) -> bool:
    """Return whether the other side closes the server's first connection within two seconds."""
    until = time.monotonic() + 2.0
    while time.monotonic() < until:
        time.sleep(0.01)
        try:
            for connection in server.connections:
                if not connection.recv(1 << 16, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    return True
        except BlockingIOError:
            continue
        except ConnectionResetError:
            return True
    return False


def test_a_source_that_closes_whatever_it_accepts_is_a_failing_source_and_no_fault_of_ours() -> None:
    """As a load balancer does that has nobody behind it: the end may come before the question is out."""

    def closes_at_once(listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.close()

    async def often(port: int) -> set[str]:
        client = SourceClient(f"http://127.0.0.1:{port}", allow_private=False)
        found = set()
        try:
            for _ in range(20):
                ended = await asyncio.gather(*(ask(client) for _ in range(5)), return_exceptions=True)
                found |= {each.code if isinstance(each, SourceFailed) else type(each).__name__ for each in ended}
        finally:
            await client.aclose()
        return found

    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        threading.Thread(target=closes_at_once, args=(listening,), daemon=True).start()

        assert asyncio.run(often(listening.getsockname()[1])) == {FaultCode.RESET}


def test_a_call_ends_in_time_though_there_was_no_memory_for_the_timer_of_the_one_before(
    served: Callable[..., ThreadedServer],
) -> None:
    server = served(lambda connection, number: None)

    async def two_calls(client: SourceClient) -> list[str]:
        loop = asyncio.get_running_loop()
        usual, told = loop.call_at, []

        def call_at(when: float, callback: Callable[..., object], *rest: Any, **how: Any) -> asyncio.TimerHandle:
            if callback.__name__ == "_sweep" and not told:
                raise MemoryError
            return usual(when, callback, *rest, **how)

        loop.call_at = call_at  # type: ignore[method-assign,assignment]
        for _ in range(2):
            async with asyncio.timeout(5):
                try:
                    await client.request("GET", "/", deadline=Deadline.after(0.2), request_id="r")
                except (MemoryError, SourceFailed) as problem:
                    told.append(str(getattr(problem, "code", "no memory")))
            assert await asyncio.to_thread(has_ended, server), "a connection stays that is nobody's"
        return told

    assert run(two_calls, server) == ["no memory", "DEADLINE"]
