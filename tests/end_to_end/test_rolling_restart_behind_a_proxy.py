"""Two gateways of two workers each, on one PostgreSQL, behind a proxy that repeats nothing, restarted in turn."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.load import Load, records_at, unrecorded, write_config
from tests.end_to_end.test_rolling_restart import LOOK_SECONDS
from tests.end_to_end.test_serve import process
from tests.end_to_end.test_several_processes import SERVE, until, verified
from tests.end_to_end.world import DemoWorld
from tests.fixtures.ports import free_port
from tests.fixtures.postgresql import PostgreSQLServer

pytestmark = pytest.mark.network

_LEAVE_SECONDS = "4"  # the most there is: many times what a look at readiness takes, also on a busy machine


@dataclass
class Backend:
    """A gateway as the proxy sees it."""

    port: int
    ready: bool = True
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)


class Proxy:
    """Hands requests on, over connections that it keeps, to one ready gateway after another; it repeats none."""

    def __init__(self, ports: list[int]) -> None:
        self.backends = [Backend(port) for port in ports]
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.failed: list[str] = []
        self.handed: Counter[int] = Counter()
        self._turn = 0
        self._writers: list[asyncio.StreamWriter] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._stop = asyncio.Event()
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(self._stop.set)
            thread.join(20)
            loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._client, sock=self.listening)
        # each by itself: one that is slow to say so does not keep from seeing that another leaves
        looking = [asyncio.create_task(self._look(backend)) for backend in self.backends]
        await self._stop.wait()
        for task in looking:
            task.cancel()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
        for writer in self._writers:
            writer.close()
        await asyncio.sleep(0.1)  # in which they are closed

    async def _look(self, backend: Backend) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while True:
                try:
                    answer = await client.get(f"http://127.0.0.1:{backend.port}/readyz")
                    backend.ready = answer.status_code == 200
                except httpx.TimeoutException:
                    pass  # busy is not gone
                except httpx.TransportError:
                    backend.ready = False
                await asyncio.sleep(LOOK_SECONDS)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                writer.write(await self._handed_on(await message(reader)))
                await writer.drain()
        writer.close()

    async def _handed_on(self, request: bytes) -> bytes:
        ready = [backend for backend in self.backends if backend.ready] or self.backends
        self._turn += 1
        backend = ready[self._turn % len(ready)]
        try:
            reader, writer = await self._connection(backend)
            writer.write(request)
            answer = await message(reader)
        except (OSError, asyncio.IncompleteReadError) as problem:
            self.failed.append(f"{backend.port}: {type(problem).__name__}")
            return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
        self.handed[backend.port] += 1
        if b"\r\nconnection: close" in answer.lower().partition(b"\r\n\r\n")[0]:
            writer.close()
        else:
            backend.idle.append((reader, writer))
        return answer

    async def _connection(self, backend: Backend) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while backend.idle:
            reader, writer = backend.idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", backend.port)
        self._writers.append(writer)
        return reader, writer


async def message(reader: asyncio.StreamReader) -> bytes:
    """Return one request or answer, whole; its body has a length."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(lengths[0]) if lengths else 0)


def test_a_rolling_restart_behind_a_proxy_fails_no_request(
    world: DemoWorld,
    tmp_path: Path,
    postgresql_server: PostgreSQLServer,
    postgresql_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONTACTPOINT_SERVER__LEAVE_SECONDS", _LEAVE_SECONDS)
    # workers that start take the whole machine: a lookup that waits for its turn meanwhile has the time to
    monkeypatch.setenv("CONTACTPOINT_LIMITS__TOTAL_SECONDS", "8")
    url = postgresql_server.url(postgresql_database)
    config = write_config(world.settings, tmp_path, url=url)
    ports = [free_port(), free_port()]
    proxy = Proxy(ports)
    load = Load(world, proxy.url)
    with ExitStack() as stack:

        def started(number: int, life: int) -> object:
            command = (*SERVE, str(config), "--port", str(ports[number]), "--workers", "2")
            return stack.enter_context(process(*command, port=ports[number], log=tmp_path / f"{number}-{life}.log"))

        running = [started(0, 0), started(1, 0)]
        stack.enter_context(proxy.running())
        with load.running():
            until(lambda: len(load.received) > 20)
            for number in (0, 1):
                running[number].send_signal(signal.SIGTERM)  # type: ignore[attr-defined]
                assert running[number].wait(60) == 0  # type: ignore[attr-defined]
                running[number] = started(number, 1)
                until(lambda number=number: proxy.backends[number].ready)  # type: ignore[misc]
                before = proxy.handed[ports[number]]
                until(lambda n=number, before=before: proxy.handed[ports[n]] > before + 10)  # type: ignore[misc]

    lines = [line for log in sorted(tmp_path.glob("*.log")) for line in log.read_text(encoding="utf-8").splitlines()]
    assert (proxy.failed, load.odd) == ([], []), [line for line in lines if '"status": 5' in line or '"error"' in line]
    assert unrecorded(load.received, records_at(url)) == []
    assert verified(config)["exit"] == 0


def test_a_gateway_that_breaks_off_would_be_noticed() -> None:
    """The proxy repeats nothing: what one gateway breaks off is a failed request."""
    with socket.create_server(("127.0.0.1", 0)) as gateway:

        def break_off() -> None:
            gateway.accept()[0].close()

        breaking = threading.Thread(target=break_off, daemon=True)
        breaking.start()
        proxy = Proxy([gateway.getsockname()[1]])
        # it takes the look at its readiness and the request to be broken off
        with proxy.running():
            breaking.join(10)
            gateway.close()
            refused = httpx.post(f"{proxy.url}/graphql", content=b"{}", trust_env=False)

    assert refused.status_code == 502
    assert proxy.failed
