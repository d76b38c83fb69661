"""A gateway that is built, as an ASGI application: its routes, its start and end, and its timers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ConnectionScope

from gateway import errors
from gateway.app import Gateway
from gateway.duty import Work
from gateway.front.operations import noting, operations_routes, refusal
from gateway.graphql.endpoint import Noted
from gateway.metrics import shared_metrics, show_watched
from gateway.revocations import READ_SECONDS

log = structlog.get_logger("gateway.front.asgi")

_FORGET_SECONDS = 3600.0
_SHOW_SECONDS = 1.0
_INDEX_EVERY = 10.0


def application(gateway: Gateway, *, more_routes: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the ASGI application of a gateway that is already built; it closes the gateway when it stops."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        gateway.checkpointer.start()
        await asyncio.to_thread(gateway.witnesses.start)
        await gateway.key_sets.load()
        await gateway.agreements.start()
        await gateway.read_shield_lists()
        tasks = [asyncio.create_task(every(seconds, work)) for seconds, work in timers(gateway)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            await gateway.agreements.stop()
            await gateway.close()

    endpoint = gateway.endpoint if gateway.tracing is None else gateway.tracing.endpoint(gateway.endpoint)
    routes: list[BaseRoute] = [
        Route("/graphql", endpoint),
        *operations_routes(gateway),
        *more_routes,
    ]
    app = _Application(
        endpoint,
        gateway.lines.counted,
        routes=routes,
        lifespan=lifespan,
        exception_handlers={404: _refusing(errors.NotFound), 405: _refusing(errors.MethodNotAllowed)},
    )
    # a path with a slash too many is another path, not a redirect that carries a token along
    app.router.redirect_slashes = False
    return app


class _Application(Starlette):
    """Routes, but for the one path that most requests are for: they have nothing to gain from Starlette's layers."""

    def __init__(self, endpoint: ASGIApp, noted: Noted, **given: Any) -> None:
        super().__init__(**given)
        self._endpoint = endpoint
        self._noted = noted

    async def __call__(self, scope: ConnectionScope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/graphql" and not scope.get("root_path"):
            await self._endpoint(scope, receive, send)
        elif scope["type"] == "http":
            await noting(super().__call__, self._noted, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _refusing(kind: type[errors.NotFound | errors.MethodNotAllowed]) -> Any:
    async def refuse(request: Request, _: Exception) -> Response:
        return refusal(kind())

    return refuse


def timers(gateway: Gateway) -> Iterator[tuple[float, Work]]:
    """Yield what is done every so many seconds: of what is done to the database, by one process for all."""
    settings, of_one = gateway.settings, gateway.duty.of
    yield 30.0, gateway.key_sets.keep_fresh
    yield READ_SECONDS, gateway.revocations.read
    yield settings.agreements.reload_seconds, gateway.agreements.look
    if shared_metrics():
        yield _SHOW_SECONDS, show_watched
    yield settings.limits.shield_list_seconds, of_one(gateway.read_shield_lists)
    yield _FORGET_SECONDS, of_one(gateway.forget_counts)
    yield _FORGET_SECONDS, of_one(gateway.forget_revocations)
    yield _INDEX_EVERY, of_one(gateway.index_events)
    if settings.detection.every_seconds:
        yield settings.detection.every_seconds, of_one(gateway.watch.turn)


async def every(seconds: float, work: Work) -> None:
    """Do the work again and again; what goes wrong with it is logged, and the next turn comes all the same."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception as fault:
            log.error("timer_failed", exception=type(fault).__qualname__)
