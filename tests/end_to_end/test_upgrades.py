"""A request that offers another protocol is one request: answered once, in this protocol, with all of its body read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.commands.listening import server_for
from gateway.front.early_refusals import EarlyRefusals, refusing_early
from gateway.front.shedding import Admission, Priority
from gateway.front.stopping import Stopping
from tests.end_to_end.test_idle_connections import Wire

pytestmark = pytest.mark.anyio

ANOTHER = b"GET /another HTTP/1.1\r\nHost: gateway\r\n\r\n"
OFFERS = [
    pytest.param(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n", id="h2c"),
    pytest.param(b"Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n", id="websocket"),
    pytest.param(b"Upgrade: a, b\r\nUpgrade: c/1\r\nConnection: Upgrade\r\n", id="several"),
]


def posted(offer: bytes, body: bytes = ANOTHER) -> tuple[bytes, bytes]:
    return b"POST /graphql HTTP/1.1\r\nHost: gateway\r\n%bContent-Length: %d\r\n\r\n" % (offer, len(body)), body


class Asked:
    """An application that keeps what it was asked, and answers with nothing."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event["body"], event["more_body"]
        self.requests.append((scope["path"], body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


async def asked(*parts: bytes) -> tuple[list[tuple[str, bytes]], bytes]:
    """Return what an application is asked by these bytes, which come one after another, and what it answers."""
    application = Asked()
    server = server_for(application, "127.0.0.1", 0)
    server.config.load()
    connection: Any = server.config.http_protocol_class(server.config, server.server_state, {})  # type: ignore[call-arg]
    wire = Wire()
    connection.connection_made(wire)
    for part in parts:
        connection.data_received(part)
        for _ in range(5):
            await asyncio.sleep(0)
    while under_way := set(server.server_state.tasks):
        await asyncio.wait(under_way)
    connection.connection_lost(None)
    return application.requests, wire.sent


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("apart", [True, False], ids=["body-apart", "in-one-piece"])
async def test_its_body_is_its_body_and_no_request_of_its_own(offer: bytes, apart: bool) -> None:
    head, body = posted(offer)

    requests, told = await asked(*([head, body] if apart else [head + body]))

    assert requests == [("/graphql", ANOTHER)]
    assert told.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("offer", OFFERS)
async def test_so_is_one_in_chunks(offer: bytes) -> None:
    head = b"POST /graphql HTTP/1.1\r\nHost: gateway\r\n" + offer + b"Transfer-Encoding: chunked\r\n\r\n"

    requests, _ = await asked(head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(ANOTHER), ANOTHER))

    assert requests == [("/graphql", ANOTHER)]


@pytest.mark.parametrize("offer", OFFERS)
async def test_what_stands_before_and_behind_it_is_answered_too(offer: bytes) -> None:
    one = b"".join(posted(offer, b"one"))

    requests, told = await asked(ANOTHER + one + one + ANOTHER)

    assert requests == [("/another", b""), ("/graphql", b"one"), ("/graphql", b"one"), ("/another", b"")]
    assert told.count(b"HTTP/1.1 200 ") == 4


@pytest.mark.parametrize("cut", range(1, 150, 7))
async def test_wherever_its_bytes_are_parted(cut: int) -> None:
    whole = b"".join(posted(b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"a body"))

    requests, _ = await asked(whole[:cut], whole[cut:], ANOTHER)

    assert requests == [("/graphql", b"a body"), ("/another", b"")]


async def test_many_behind_one_another_are_read_one_after_another() -> None:
    one = b"".join(posted(b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"one"))

    requests, _ = await asked(one * 2000)

    assert len(requests) == 2000


@pytest.mark.parametrize("full", [True, False])
async def test_it_is_refused_early_like_any_other_where_there_is_no_room(full: bool) -> None:
    admission = Admission(1)
    application = Asked()
    refusals = EarlyRefusals(admission, Stopping(), lambda *_: None)
    server = server_for(application, "127.0.0.1", 0, protocol=refusing_early(refusals))
    server.config.load()
    connection: Any = server.config.http_protocol_class(server.config, server.server_state, {})  # type: ignore[call-arg]
    wire = Wire()
    connection.connection_made(wire)
    body = b'{"query":"{child}"}'
    if full:
        admission.enter(Priority.LOOKUP)
    connection.data_received(b"".join(posted(b"Connection: Upgrade\r\nUpgrade: h2c\r\n", body)))
    while under_way := set(server.server_state.tasks):
        await asyncio.wait(under_way)
    connection.connection_lost(None)

    assert wire.sent.startswith(b"HTTP/1.1 503 " if full else b"HTTP/1.1 200 ")
    assert wire.sent.count(b"HTTP/1.1 ") == 1
    assert application.requests == ([] if full else [("/graphql", body)])
