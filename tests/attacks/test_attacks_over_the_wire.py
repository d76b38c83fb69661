"""What only a real socket can show: slow and endless heads and bodies, upgrades, paths by other spellings."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from gateway.front import request_heads
from gateway.settings import LimitsSection
from tests.end_to_end.world import DemoWorld, RunningGateway, demo_world, serving

pytestmark = pytest.mark.network

SECONDS = 0.6
QUERY = json.dumps({"query": "{ viewer { subject } }"}).encode()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWorld]:
    with demo_world(tmp_path_factory.mktemp("wire")) as running:
        yield running


@pytest.fixture
def impatient(world: DemoWorld, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningGateway]:
    """Yield a gateway that waits a moment for heads and bodies, and otherwise is the world's."""
    monkeypatch.setattr(request_heads, "HEAD_SECONDS", SECONDS)
    limits = world.settings.limits.model_copy(update={"body_seconds": SECONDS})
    database = world.settings.database.model_copy(update={"url": f"sqlite:///{tmp_path}/contactpoint.db"})
    with serving(world.settings.model_copy(update={"limits": limits, "database": database})) as gateway:
        yield gateway


def head(world: DemoWorld, *lines: str, line: str = "POST /graphql HTTP/1.1") -> bytes:
    """Return a request head with a token; `lines` are further fields."""
    token = f"Authorization: Bearer {world.token('social-worker')}"
    fixed = (line, "Host: gateway.example", "Content-Type: application/json", "Connection: close")
    return ("\r\n".join((*fixed, token, *lines)) + "\r\n\r\n").encode()


def exchanged(gateway: RunningGateway, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send the parts, as far as they are taken; return everything that comes until the other side closes."""
    host, port = gateway.url.removeprefix("http://").split(":")
    came = b""
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                if pause:
                    time.sleep(pause)
            while piece := connection.recv(65536):
                came += piece
        except OSError:
            # what was on its way when the other side closed may take the answer with it
            came += _left(connection)
    return came


def _left(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def status(came: bytes) -> int | None:
    """Return the status of the answer; None when the connection was closed without one."""
    return int(came.split(b" ", 2)[1]) if came.startswith(b"HTTP/1.1 ") else None


def test_a_body_of_a_byte_at_a_time_is_408(world: DemoWorld, impatient: RunningGateway) -> None:
    started = time.monotonic()
    slow = [QUERY[n : n + 1] for n in range(len(QUERY))]

    came = exchanged(impatient, head(world, f"Content-Length: {len(QUERY)}"), *slow, pause=SECONDS / 10)

    assert status(came) in {408, None}
    assert time.monotonic() - started >= SECONDS / 2
    assert LimitsSection().body_seconds == 10.0


def test_a_body_that_stops_is_408(world: DemoWorld, impatient: RunningGateway) -> None:
    came = exchanged(impatient, head(world, f"Content-Length: {len(QUERY)}") + QUERY[:-1])

    assert status(came) == 408
    assert b'"REQUEST_TIMEOUT"' in came


def test_ten_thousand_header_fields_are_431(world: DemoWorld) -> None:
    lines = [f"X-Zqx-{n}: zqx\r\n".encode() for n in range(10_000)]

    came = exchanged(world.running, b"GET /graphql HTTP/1.1\r\nHost: a\r\n", *lines)

    assert status(came) in {431, None}
    assert b"zqx" not in came.lower()


def test_a_head_of_a_byte_at_a_time_is_408(impatient: RunningGateway) -> None:
    slow = [b"GET /graphql HTTP/1.1\r\nHost: a\r\n", *[b"X", b"-", b"Z", b"q", b"x", b":"] * 5]

    came = exchanged(impatient, *slow, pause=SECONDS / 6)

    assert status(came) in {408, None}
    assert request_heads.HEAD_BYTES <= 32 * 1024


def test_an_upgrade_is_not_taken(world: DemoWorld) -> None:
    upgrade = (
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: graphql-transport-ws",
    )
    fields = [head(world, *upgrade, line=f"GET {path} HTTP/1.1") for path in ("/graphql", "/subscriptions")]

    came = [
        exchanged(world.running, each.replace(b"Connection: close", b"Connection: Upgrade, close")) for each in fields
    ]

    assert [status(each) for each in came] == [405, 404]
    assert not any(b"101 " in each or b"sec-websocket" in each.lower() for each in came)


@pytest.mark.parametrize(
    "path",
    [
        "/graphql/",
        "//graphql",
        "/./graphql",
        "/x/../graphql",
        "/x/%2e%2e/graphql",
        "/%2e/graphql",
        "/graphql%2f",
        "/graphql%00",
        "/graphql;zqx",
        "/GRAPHQL",
        "/graphql%20",
        "/livez/../graphql",
    ],
)
def test_a_path_by_another_spelling_is_404(world: DemoWorld, path: str) -> None:
    came = exchanged(world.running, head(world, f"Content-Length: {len(QUERY)}", line=f"POST {path} HTTP/1.1") + QUERY)

    assert status(came) == 404
    assert b"location:" not in came.lower()
    assert b"subject" not in came


@pytest.mark.parametrize("path", ["/%67raphql", "/graphql?zqx", "/graphql?query=%7B__typename%7D"])
def test_what_rfc_3986_calls_the_same_path_is_the_same_endpoint(world: DemoWorld, path: str) -> None:
    came = exchanged(world.running, head(world, f"Content-Length: {len(QUERY)}", line=f"POST {path} HTTP/1.1") + QUERY)

    assert status(came) == 200
    assert b'"subject":' in came


def test_a_compressed_bomb_over_the_wire_is_415(world: DemoWorld) -> None:
    bomb = gzip.compress(b" " * 20_000_000)

    came = exchanged(world.running, head(world, f"Content-Length: {len(bomb)}", "Content-Encoding: gzip") + bomb)

    assert status(came) in {415, None}
    assert b"content-encoding" not in came.lower()


SMUGGLED = b"POST /graphql HTTP/1.1\r\nHost: zqx\r\n\r\n"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(("Content-Length: 5", "Transfer-Encoding: chunked"), id="two-framings"),
        pytest.param(("Content-Length: 5", "Content-Length: 6"), id="two-lengths"),
        pytest.param(("Content-Length: 5, 6",), id="a-list-of-lengths"),
        pytest.param(("Content-Length: +5",), id="a-signed-length"),
        pytest.param(("Content-Length: 5zqx",), id="a-length-and-more"),
        pytest.param(("Transfer-Encoding: chunked, identity",), id="chunked-not-last"),
        pytest.param(("Transfer-Encoding : chunked",), id="a-space-before-the-colon"),
        pytest.param(("Content-Length: -1",), id="a-negative-length"),
    ],
)
def test_a_framing_of_two_readings_is_answered_once_at_most(world: DemoWorld, fields: tuple[str, ...]) -> None:
    came = exchanged(world.running, head(world, *fields) + b"0\r\n\r\n" + SMUGGLED)

    assert came.count(b"HTTP/1.1 ") <= 1
    assert status(came) in {400, 415, 408, None}
    assert b"zqx" not in came.lower()


def test_the_sockets_were_real(world: DemoWorld, record_testsuite_property: Callable[[str, object], None]) -> None:
    """The control: the same bytes, well-formed, are answered."""
    came = exchanged(world.running, head(world, f"Content-Length: {len(QUERY)}") + QUERY)

    assert status(came) == 200
    assert b'"subject":' in came
