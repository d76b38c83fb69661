"""What there is no room for is refused from its bytes, and only where they leave no doubt what it is."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.commands.listening import server_for
from gateway.front.early_refusals import EarlyRefusals, refusing_early
from gateway.front.shedding import Admission, Priority, priority_at_most, priority_of
from gateway.front.stopping import Stopping
from tests.fixtures.sources import CHILD, SlowSource, known, row, source
from tests.fixtures.world import running_world

LOOKUP = b'{"query":"{child(key:{nhsNumber:\\"9990000018\\"}){outcome}}"}'
ANSWERED = b"HTTP/1.1 200 OK\r\n"
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\n"


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads what it is sent and answers."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    while (await receive())["more_body"]:
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})


@dataclass
class Served:
    """A server whose door a test opens and closes."""

    port: int
    door: Admission
    stopping: Stopping
    noted: list[tuple[str, int, str]] = field(default_factory=list)

    def shut(self) -> None:
        """Let nobody in but break-glass."""
        self.door.under_way = 1

    def open(self) -> None:
        """Let everybody in."""
        self.door.under_way = 0

    def connected(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def asked(self, *parts: bytes) -> bytes:
        """Return what comes, until both sides have closed, when these parts are sent one after the other."""
        with self.connected() as connection:
            for part in parts:
                connection.sendall(part)
                time.sleep(0.05)  # so that they are read one after the other
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture
def served() -> Iterator[Served]:
    listening = socket.create_server(("127.0.0.1", 0))
    made = Served(listening.getsockname()[1], Admission(1), Stopping())
    refusals = EarlyRefusals(
        made.door, made.stopping, lambda _, operation, status, code, __: made.noted.append((operation, status, code))
    )
    server = server_for(answering, "127.0.0.1", 0, protocol=refusing_early(refusals), stopping=made.stopping)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield made
    server.should_exit = True
    thread.join(30)
    listening.close()


def post(body: bytes = LOOKUP, *, start: bytes = b"POST /graphql HTTP/1.1", more: bytes = b"") -> bytes:
    """Return a request."""
    return b"%b\r\nHost: gateway\r\nContent-Length: %d\r\n%b\r\n%b" % (start, len(body), more, body)


def answer_on(connection: socket.socket) -> bytes:
    """Return one answer."""
    came = b""
    while b"\r\n\r\n" not in came:
        came += connection.recv(65536)
    head, _, body = came.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.mark.network
def test_a_connection_whose_request_was_refused_goes_on(served: Served) -> None:
    with served.connected() as connection:
        seen = []
        for change in (served.open, served.shut, served.shut, served.open, served.shut):
            change()
            connection.sendall(post())
            seen.append(answer_on(connection).partition(b"\r\n")[0] + b"\r\n")

    assert seen == [ANSWERED, REFUSED, REFUSED, ANSWERED, REFUSED]
    assert served.noted == [("unread", 503, "OVERLOADED")] * 3


@pytest.mark.network
def test_a_refusal_is_whole_and_says_when_to_come_back(served: Served) -> None:
    served.shut()
    head, _, body = served.asked(post()).partition(b"\r\n\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n")[1:])}

    assert json.loads(body)["errors"][0]["extensions"] == {"code": "OVERLOADED"}
    assert fields[b"content-length"] == b"%d" % len(body)
    assert fields[b"retry-after"] == b"1"
    assert b"date" in fields
    assert b"connection" not in fields


@pytest.mark.network
@pytest.mark.parametrize(
    "request_of_it",
    [
        pytest.param(post(more=b"Connection: close\r\n"), id="the-client-closes"),
        pytest.param(post(start=b"POST /graphql HTTP/1.0"), id="of-the-old-version"),
    ],
)
def test_the_connection_is_closed_where_the_client_would_not_use_it_again(served: Served, request_of_it: bytes) -> None:
    served.shut()
    with served.connected() as connection:
        connection.sendall(request_of_it)
        came = b"".join(iter(lambda: connection.recv(65536), b""))

    assert came.startswith(REFUSED)
    assert b"\r\nconnection: close\r\n" in came


@pytest.mark.network
def test_a_server_that_stops_closes_with_its_refusals(served: Served) -> None:
    served.shut()
    served.stopping.begun = True
    with served.connected() as connection:
        connection.sendall(post())
        came = b"".join(iter(lambda: connection.recv(65536), b""))

    assert came.startswith(REFUSED)
    assert came.lower().count(b"\r\nconnection: close\r\n") == 1


@pytest.mark.network
@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([post(b'{"query":"{child(access:{override:{}}){outcome}}"}')], id="break-glass"),
        pytest.param([post(b'{"query":"{child(access:{\\u006fverride:{}}){outcome}}"}')], id="break-glass-by-number"),
        pytest.param([post(start=b"GET /graphql HTTP/1.1")], id="get"),
        pytest.param([post(start=b"POST /readyz HTTP/1.1")], id="another-path"),
        pytest.param([post(start=b"POST /graphql? HTTP/1.1")], id="a-query-string"),
        pytest.param([post()[:-1], post()[-1:]], id="a-body-in-two-parts"),
        pytest.param([post()[:-9].partition(b"{")[0], post()[-len(LOOKUP) :]], id="a-head-alone"),
        pytest.param([post(more=b"Accept: image/png\r\n")], id="what-can-not-be-told-to-it"),
        pytest.param([post(more=b"Expect: 100-continue\r\n")], id="asks-before-it-sends"),
    ],
)
def test_what_is_not_plain_at_a_glance_goes_to_the_application(served: Served, parts: list[bytes]) -> None:
    served.shut()

    assert ANSWERED in served.asked(*parts)
    assert served.noted == []


@pytest.mark.network
def test_of_requests_in_one_piece_each_is_answered_in_its_turn(served: Served) -> None:
    served.shut()
    came = served.asked(post() * 3 + post(more=b"Connection: close\r\n"))

    assert came.count(b"HTTP/1.1 ") == 4


class Wire(asyncio.Transport):
    """What a connection is written to, and whether it is read."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)})
        self.sent: list[bytes] = []
        self.read = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def pause_reading(self) -> None:
        self.read = False

    def resume_reading(self) -> None:
        self.read = True


@pytest.mark.anyio
async def test_a_refused_connection_is_read_on_at_once_unless_very_many_are_refused_and_then_after_a_pause() -> None:
    door = Admission(1)
    door.under_way = 1
    protocol = refusing_early(EarlyRefusals(door, Stopping(), lambda *_: None))
    server = server_for(answering, "127.0.0.1", 0, protocol=protocol)
    server.config.load()
    paused = []
    for _ in range(1_000):
        wire = Wire()
        connection = protocol(server.config, server.server_state, {})
        connection.connection_made(wire)
        connection.data_received(post())
        assert wire.sent[0].startswith(REFUSED)
        paused.append(not wire.read)

    assert not any(paused[:300])
    assert all(paused[-300:])
    async with asyncio.timeout(60):
        while not wire.read:  # noqa: ASYNC110 - there is nothing to be told by
            await asyncio.sleep(0.05)


@pytest.mark.anyio
async def test_of_a_crowd_that_is_read_in_one_turn_no_more_are_handed_on_than_there_is_room_for() -> None:
    reached: list[str] = []
    door = Admission(3)

    async def entering(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["path"])
        await answering(scope, receive, send)

    protocol = refusing_early(EarlyRefusals(door, Stopping(), lambda *_: None))
    server = server_for(entering, "127.0.0.1", 0, protocol=protocol)
    server.config.load()
    wires = []
    for start in (b"GET /healthz HTTP/1.1", *[b"POST /graphql HTTP/1.1"] * 10):
        wires.append(wire := Wire())
        connection = protocol(server.config, server.server_state, {})
        connection.connection_made(wire)
        connection.data_received(post(start=start))
    refused = [bool(wire.sent) for wire in wires]
    async with asyncio.timeout(20):
        while not all(wire.sent for wire in wires):  # noqa: ASYNC110 - there is nothing to be told by
            await asyncio.sleep(0)

    assert refused == [False] * 4 + [True] * 7
    assert all(wire.sent[0].startswith(REFUSED) for wire in wires[4:])
    assert reached.count("/graphql") == 3


def lowered(message: httpx.Request | httpx.Response) -> list[tuple[bytes, bytes]]:
    """Return the fields of a message as a server gives them to an application."""
    return [(name.lower(), value) for name, value in message.headers.raw]


@pytest.mark.anyio
async def test_it_is_told_what_the_endpoint_would_have_told_it(tmp_path: Path) -> None:
    slow = SlowSource(source("cs-amber", known(CHILD, row())))
    async with running_world(tmp_path, slow, limits={"in_flight": 1}) as world:
        first = asyncio.create_task(world.ask())
        await slow.begun.wait()
        told = (await world.ask()).response
        kinds = world.kinds()
        request = told.request
        early = world.gateway.early_refusals.answer(
            [
                *((n.lower(), v) for n, v in request.headers.raw),
                (b"x-request-id", told.headers["x-request-id"].encode()),
            ],
            request.content,
        )
        assert world.kinds() == kinds
        await first

    assert early is not None
    assert (early.status, early.body) == (told.status_code, told.content)
    assert sorted(early.fields) == sorted(lowered(told))


PARTS = ("", "child", "findChild", "override", "\\u006fverride", "viewer", "null")


def test_a_glance_never_puts_a_request_below_what_it_is() -> None:
    order = list(Priority)
    for query, name, value in itertools.product(PARTS, repeat=3):
        body = f'{{"query":"{query}","variables":{{"{name}":{{"{value}":{{}}}}}}}}'.encode()
        read = json.loads(body)
        exact = priority_of(read["query"], read["variables"])

        assert order.index(priority_at_most(body)) <= order.index(exact), body
