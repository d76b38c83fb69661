"""A request head that is too long or too slow is refused, and its connection closed, before anybody is known."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.commands.listening import server_for
from gateway.front import request_heads

pytestmark = pytest.mark.network

GET = b"GET / HTTP/1.1\r\nHost: gateway\r\n"


async def counting(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers with the length of the body."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    size, more = 0, True
    while more:
        event = await receive()
        size, more = size + len(event["body"]), event["more_body"]
    told = str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(told))]})
    await send({"type": "http.response.body", "body": told})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(request_heads, "HEAD_SECONDS", 0.5)
    listening = socket.create_server(("127.0.0.1", 0))
    server = server_for(counting, "127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield int(listening.getsockname()[1])
    server.should_exit = True
    thread.join(30)
    listening.close()


def exchange(port: int, *parts: bytes, until: bytes = b"") -> bytes:
    """Send the parts, as far as the other side takes them; return what comes until it closes, or until those bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except OSError:
            return b"closed"
        came = b""
        try:
            while piece := connection.recv(65536):
                came += piece
                if until and came.endswith(until):
                    return came
        except ConnectionResetError:
            came = came or b"closed"
        return came


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([GET, *[b"x-a: " + b"a" * 1000 + b"\r\n"] * 20_000], id="many-fields"),
        pytest.param([GET + b"x-a: ", *[b"a" * 1000] * 20_000], id="one-long-field"),
        pytest.param([b"GET /", *[b"a" * 1000] * 20_000], id="a-long-path"),
    ],
)
def test_a_head_without_end_is_not_taken(port: int, parts: list[bytes]) -> None:
    came = exchange(port, *parts)

    assert came == b"closed" or came.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("part", [b"", b"GET", GET], ids=["nothing", "half-a-line", "half-a-head"])
def test_a_head_that_does_not_come_is_not_waited_for(port: int, part: bytes) -> None:
    assert exchange(port, part).startswith(b"HTTP/1.1 408 ")


def test_a_long_body_is_no_long_head(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: gateway\r\nContent-Length: 200000\r\n\r\n"

    assert exchange(port, head, b"a" * 200_000, until=b"200000").startswith(b"HTTP/1.1 200 ")


def test_heads_are_measured_each_for_itself(port: int) -> None:
    head = GET + b"x-a: " + b"a" * 8_000 + b"\r\n\r\n"

    came = exchange(port, head * 20, GET + b"Connection: close\r\n\r\n")

    assert came.count(b"HTTP/1.1 200 ") == 21


CALLBACKS = ("on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body", "on_message_complete")
POST = b"POST / HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\nab"


@pytest.mark.parametrize("problem", [MemoryError(), OSError(errno.EMFILE, "too many open files")], ids=type)
@pytest.mark.parametrize("callback", [*CALLBACKS, "create_task"])
def test_a_good_head_that_there_is_no_memory_for_is_answered_503_and_not_called_bad(
    port: int, monkeypatch: pytest.MonkeyPatch, callback: str, problem: BaseException
) -> None:
    def fails(*_: Any) -> None:
        raise problem

    with monkeypatch.context() as patched:
        if callback == "create_task":
            made = request_heads.BoundedHeads.connection_made

            def connection_made(self: Any, transport: Any) -> None:
                made(self, transport)
                self.loop = FailingLoop(self.loop, problem)

            patched.setattr(request_heads.BoundedHeads, "connection_made", connection_made)
        else:
            patched.setattr(request_heads.BoundedHeads, callback, fails)
        came = exchange(port, POST)

    if callback in {"on_body", "on_message_complete"}:
        # its answer was under way, and is not to be mixed with another
        assert came == b""
    else:
        assert came.startswith(b"HTTP/1.1 503 ")
    assert exchange(port, POST, until=b"2").startswith(b"HTTP/1.1 200 ")


class FailingLoop:
    """A loop that has no memory left for a task."""

    def __init__(self, loop: Any, problem: BaseException) -> None:
        self._loop, self._problem = loop, problem

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def create_task(self, work: Any, **_: Any) -> None:
        work.close()
        raise self._problem


@pytest.mark.parametrize("target", [b"http://[", b"/\xff", b"\x00"])
def test_a_target_that_is_none_is_a_bad_request(port: int, target: bytes) -> None:
    assert exchange(port, b"GET " + target + b" HTTP/1.1\r\nHost: gateway\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("before", [1, 2, 5])
@pytest.mark.parametrize("rest", [b"\x00", b"no request\r\n\r\n", b"GET / HTTP/1.1\r\nno field\r\n\r\n"])
def test_what_cannot_be_read_is_no_answer_to_what_was_asked_before_it(port: int, before: int, rest: bytes) -> None:
    came = exchange(port, POST * before + rest)

    assert came.count(b"HTTP/1.1 200 ") == before
    assert came.count(b"HTTP/1.1 ") == before


def test_a_body_that_cannot_be_read_is_a_bad_request(port: int) -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nno length\r\n"

    assert exchange(port, chunked).startswith(b"HTTP/1.1 400 ")
