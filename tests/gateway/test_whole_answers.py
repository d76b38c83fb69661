"""An answer leaves in one write and byte for byte as uvicorn would send it, which is the oracle of these tests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.front.request_heads import BoundedHeads

pytestmark = pytest.mark.anyio

Fields = Sequence[tuple[bytes, bytes]]
START, BODY = "http.response.start", "http.response.body"
PLAIN = [(b"content-type", b"application/json"), (b"Content-Length", b"5"), (b"x-told", b"a\tb \xff")]
ASKED = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


@dataclass
class Wire(asyncio.Transport):
    """A connection of which each write is kept."""

    writes: list[bytes] = field(default_factory=list)
    closed: bool = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def telling(*messages: dict[str, Any]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def head(fields: Fields = PLAIN, status: int = 200) -> dict[str, Any]:
    return {"type": START, "status": status, "headers": fields}


def body(part: bytes = b"hello", **more: Any) -> dict[str, Any]:
    return {"type": BODY, "body": part, **more}


async def sent(protocol: type[HttpToolsProtocol], app: Any, asked: bytes, paused: bool = False) -> Wire:
    """Return the connection after everything that was asked on it is answered."""
    config = uvicorn.Config(app, http=protocol, access_log=False, log_config=None, lifespan="off")
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"today")]
    made = protocol(config, state, {}, asyncio.get_running_loop())
    wire = Wire()
    made.connection_made(wire)
    if paused:
        made.pause_writing()
    made.data_received(asked)
    for _ in range(20):
        await asyncio.sleep(0)
    if paused:
        assert wire.writes == []
        made.resume_writing()
    while state.tasks:
        await asyncio.wait(state.tasks)
    told = Wire(list(wire.writes), wire.closed)
    made.connection_lost(None)
    return told


async def test_an_answer_of_one_part_leaves_in_one_write() -> None:
    app = telling(head(), body())

    assert len((await sent(BoundedHeads, app, ASKED)).writes) == 1
    assert len((await sent(HttpToolsProtocol, app, ASKED)).writes) == 2


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(ASKED, id="of-1.1"),
        pytest.param(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n", id="of-1.0"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", id="that-closes"),
        pytest.param(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", id="of-the-head-alone"),
        pytest.param(ASKED * 3, id="three-in-one-piece"),
    ],
)
@pytest.mark.parametrize("messages", [
    pytest.param([head(), body()], id="whole"),
    pytest.param([head([(b"content-length", b"0")], 503), body(b"")], id="empty"),
    pytest.param([head(), body(b"he", more_body=True), body(b"llo")], id="in-parts"),
    pytest.param([head([(b"content-type", b"a")]), body()], id="without-a-length"),
    pytest.param([head([], 204), body(b"")], id="no-content"),
    pytest.param([head([*PLAIN, (b"Connection", b"close")]), body()], id="closing"),
    pytest.param([head([(b"transfer-encoding", b"chunked")]), body()], id="chunked"),
    pytest.param([head([*PLAIN, (b"content-length", b"5")]), body()], id="the-length-twice"),
    pytest.param([head([(b"content-length", b"4")]), body()], id="longer-than-it-says"),
    pytest.param([head([(b"content-length", b"6")]), body()], id="shorter-than-it-says"),
    pytest.param([head([(b"content-length", b"+5")]), body()], id="a-length-of-another-form"),
    pytest.param([head([*PLAIN, (b"x", b"a\r\nset-cookie: b")]), body()], id="a-field-with-a-line-in-it"),
    pytest.param([head([*PLAIN, (b"x", b"a\nb")]), body()], id="a-field-with-a-bare-line-feed"),
    pytest.param([head([*PLAIN, (b"x", b"a\0")]), body()], id="a-field-with-a-control"),
    pytest.param([head([*PLAIN, (b"x y", b"a")]), body()], id="a-name-that-is-none"),
    pytest.param([head()], id="a-head-alone"),
    pytest.param([head(), head()], id="two-heads"),
    pytest.param([body()], id="a-body-alone"),
    pytest.param([head(), body(), body()], id="two-bodies"),
    pytest.param([], id="nothing"),
])  # fmt: skip
async def test_what_leaves_is_what_uvicorn_would_send(
    messages: list[dict[str, Any]], asked: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "uvicorn.error")  # it prints what is wrong with an application
    app = telling(*messages)

    ours, theirs = await sent(BoundedHeads, app, asked), await sent(HttpToolsProtocol, app, asked)

    if messages == [head()]:
        # a head that waits has not begun the answer: uvicorn has begun it, and can only break off
        assert b"".join(ours.writes).startswith(b"HTTP/1.1 500")
        assert ours.closed
    else:
        assert (b"".join(ours.writes), ours.closed) == (b"".join(theirs.writes), theirs.closed)


async def test_an_answer_waits_while_nothing_may_be_written() -> None:
    app = telling(head(), body())

    ours, theirs = (
        await sent(BoundedHeads, app, ASKED, paused=True),
        await sent(HttpToolsProtocol, app, ASKED, paused=True),
    )

    assert b"".join(ours.writes) == b"".join(theirs.writes)


async def test_an_application_that_fails_after_its_head_is_answered_500() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(head())
        raise RuntimeError

    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    wire = await sent(BoundedHeads, app, ASKED)

    assert b"".join(wire.writes).startswith(b"HTTP/1.1 500")
