"""Traces reach a real OTLP receiver over HTTP; one that fails, hangs or is not there harms no lookup and no stop."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tests.fixtures.sources import CHILD, FAMILY, known, row, source
from tests.fixtures.traces import telemetry
from tests.fixtures.world import World
from tests.gateway.conftest import Running
from tests.gateway.test_metrics import Samples, shown, value

pytestmark = [pytest.mark.anyio, pytest.mark.network]


class Collector:
    """An OTLP receiver, with whatever answer a test wants."""

    def __init__(self, answer: Callable[[Request], Any] | None = None) -> None:
        self.bodies: list[bytes] = []
        self.elsewhere = 0
        self.came = threading.Event()
        self.let_go = threading.Event()
        self._answer = answer
        self.app = Starlette(
            routes=[
                Route("/v1/traces", self._take, methods=["POST"]),
                Route("/elsewhere", self._other, methods=["GET", "POST"]),
            ]
        )

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        self.bodies.append(gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body)
        self.came.set()
        assert request.headers["content-type"] == "application/x-protobuf"
        if self._answer is not None:
            answer = self._answer(request)
            return await answer if asyncio.iscoroutine(answer) else answer
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf")

    async def _other(self, request: Request) -> Response:
        self.elsewhere += 1
        return Response()

    def spans(self) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Return name, attributes and resource of every span received."""
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                whose = {a.key: a.value.string_value for a in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        told = {a.key: a.value.string_value or a.value.int_value for a in span.attributes}
                        found.append((span.name.removeprefix("contactpoint."), told, whose))
        return found


@contextmanager
def listening(collector: Collector) -> Iterator[str]:
    """Run a collector on a port of its own; yield its endpoint."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    config = uvicorn.Config(collector.app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1/traces"
    finally:
        collector.let_go.set()
        server.should_exit = True
        thread.join(10)
        bound.close()


def council() -> Any:
    return source("cs-amber", known(CHILD, row()), organisation="amber-council")


async def spans_counted(world: World) -> Callable[[str, Samples], float]:
    before = await shown(world)
    name = "contactpoint_trace_spans_total"
    return lambda result, after: value(after, name, result=result) - value(before, name, result=result)


async def test_a_lookups_spans_reach_a_collector(running: Running) -> None:
    collector = Collector()
    with listening(collector) as endpoint:
        async with running(council(), sections=telemetry(endpoint)) as world:
            grew = await spans_counted(world)
            told = await world.ask()
            # closing sends what waits
        after_closing = collector.spans()
    async with running(council()) as other:
        after = await shown(other)

    assert told.outcome == "DISCLOSED"
    names = sorted(name for name, _, _ in after_closing)
    assert names == sorted(
        ["request", "authenticate", "lookup", "decide", "commit", "commit", "ask", "merge", "serialise"]
    )
    asked = next(told for name, told, _ in after_closing if name == "ask")
    assert asked == {"contactpoint.source": "cs-amber", "contactpoint.code": "ANSWERED", "contactpoint.batch.size": 1}
    (whose,) = {tuple(sorted(whose)) for _, _, whose in after_closing}
    assert whose == ("service.instance.id", "service.name", "service.version")
    assert grew("sent", after) == grew("made", after) == len(names)
    for secret in (str(CHILD), FAMILY, "amber-worker"):
        assert not any(secret.encode() in body for body in collector.bodies)


async def test_a_collector_that_never_answers_holds_neither_a_lookup_nor_the_stop(running: Running) -> None:
    collector = Collector()

    async def hang(_: Request) -> Response:
        await asyncio.to_thread(collector.let_go.wait, 60)
        return Response()

    collector._answer = hang
    with listening(collector) as endpoint:
        async with running(council(), sections=telemetry(endpoint)) as world:
            await world.ask()
            assert await asyncio.to_thread(collector.came.wait, 30)
            told = [(await world.ask()).outcome for _ in range(5)]
        # the gateway has stopped while its collector still has not answered
        assert not collector.let_go.is_set()

    assert told == ["DISCLOSED"] * 5


@pytest.mark.parametrize("status", [400, 500, 503])
async def test_a_collector_that_fails_costs_its_spans_and_nothing_else(running: Running, status: int) -> None:
    collector = Collector(lambda _: Response("no: 9990000018", status, {"Retry-After": "1000000"}))
    with listening(collector) as endpoint:
        async with running(council(), sections=telemetry(endpoint)) as world:
            grew = await spans_counted(world)
            told = await world.ask()
            gateway = world.gateway
        assert gateway.tracing is not None
    async with running(council()) as other:
        after = await shown(other)

    assert told.outcome == "DISCLOSED"
    assert (grew("sent", after), grew("lost", after)) == (0, grew("made", after))
    assert grew("made", after) > 0


async def test_a_collector_that_is_not_there_costs_nothing_but_spans_and_one_line(
    running: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{bound.getsockname()[1]}/v1/traces"
        async with running(council(), sections=telemetry(endpoint)) as world:
            told = [(await world.ask()).outcome for _ in range(3)]
            spans: Any = world.gateway.tracing
            await asyncio.to_thread(spans._spans._processor.force_flush)
            await world.ask()
            await asyncio.to_thread(spans._spans._processor.force_flush)
    printed = "".join(capfd.readouterr())

    assert told == ["DISCLOSED"] * 3
    assert printed.count("traces_not_sent") == 1
    assert endpoint not in printed


async def test_a_collector_cannot_send_the_spans_elsewhere(running: Running) -> None:
    collector = Collector(lambda _: RedirectResponse("/elsewhere", 307))
    with listening(collector) as endpoint:
        async with running(council(), sections=telemetry(endpoint)) as world:
            told = await world.ask()

    assert told.outcome == "DISCLOSED"
    assert (len(collector.bodies) > 0, collector.elsewhere) == (True, 0)


async def test_what_the_environment_says_of_traces_is_not_read(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Collector()
    collector = Collector()
    with listening(collector) as endpoint, listening(other) as unwanted:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", unwanted.removesuffix("/v1/traces"))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", unwanted)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-secret=canary")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=canary-host")
        monkeypatch.setenv("http_proxy", unwanted)
        async with running(council(), sections=telemetry(endpoint)) as world:
            await world.ask()

    assert other.bodies == []
    assert collector.spans()
    assert not any(b"canary-host" in body for body in collector.bodies)
