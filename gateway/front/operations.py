"""The routes beside /graphql for those who run and join the gateway: health, readiness, metadata, SDL, metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as ConnectionScope

from gateway import errors
from gateway.graphql.endpoint import Noted, encoded_error
from gateway.graphql.query import sdl
from gateway.metrics import exposition, note_reviews
from gateway.randomness import RANDOM
from gateway.storage.engine import assert_durable, awaited
from gateway.storage.errors import StorageError
from schema.vocabulary import Scope

if TYPE_CHECKING:
    from gateway.app import Gateway

_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

COUNTED_AS: Final = {
    "/livez": "livez",
    "/readyz": "readyz",
    "/metrics": "metrics",
    "/schema.graphql": "sdl",
    "/.well-known/oauth-protected-resource": "metadata",
}
PAGE: Final = "page"
"""What logs and metrics call a request by its path. Every other path is a client's own words: those have one name."""


async def noting(app: ASGIApp, noted: Noted, scope: ConnectionScope, receive: Receive, send: Send) -> None:
    """Answer a request that is not for /graphql, and note how: the answer carries the id that its line has."""
    started, status, request_id = time.monotonic(), 0, RANDOM.uuid()

    async def sending(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
        await send(message)

    try:
        await app(scope, receive, sending)
    finally:
        code = "OK" if 0 < status < 400 else f"HTTP_{status}" if status else "DISCONNECTED"
        noted(request_id, COUNTED_AS.get(scope["path"], PAGE), status, code, time.monotonic() - started)


def operations_routes(gateway: Gateway) -> list[BaseRoute]:
    """Return the routes; they close over the gateway."""

    async def livez(request: Request) -> Response:
        """200 while the process answers at all."""
        return JSONResponse({"status": "alive"}, headers=_NO_STORE)

    async def readyz(request: Request) -> Response:
        """200 when a lookup could be recorded and its token checked; 503 otherwise. Never connector state."""
        checks = dict(gateway.ready())
        try:
            await awaited(gateway.engine, lambda: assert_durable(gateway.engine))
            checks["durability"] = True
        except (StorageError, sa.exc.SQLAlchemyError):
            checks["durability"] = False
        ready = all(checks.values())
        body = {"status": "ready" if ready else "not ready", "checks": checks}
        return JSONResponse(body, status_code=200 if ready else 503, headers=_NO_STORE)

    async def resource(request: Request) -> Response:
        """RFC 9728 protected-resource metadata."""
        return JSONResponse(
            {
                "resource": gateway.settings.resource.identifier,
                "authorization_servers": [issuer.issuer for issuer in gateway.settings.issuers],
                "scopes_supported": [scope.value for scope in Scope],
                "bearer_methods_supported": ["header"],
            },
            headers=_NO_STORE,
        )

    async def schema(request: Request) -> Response:
        """The published SDL, for a token with schema:read."""
        try:
            caller = await gateway.authenticate(request.headers.getlist("authorization"))
        except errors.GatewayError as refused:
            return refusal(refused)
        if Scope.SCHEMA not in caller.scopes:
            told = errors.Forbidden("The schema is told to tokens with the scope schema:read.").formatted()
            return JSONResponse({"errors": [told]}, status_code=403, headers=_NO_STORE)
        return Response(sdl(), media_type="text/plain; charset=utf-8", headers=_NO_STORE)

    async def metrics(request: Request) -> Response:
        """Prometheus text; no label holds anything of a person."""
        note_reviews(*await gateway.registers.waiting_reviews())
        return Response(exposition(), media_type=CONTENT_TYPE_LATEST, headers=_NO_STORE)

    return [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
        Route("/.well-known/oauth-protected-resource", resource),
        Route("/.well-known/oauth-protected-resource/{path:path}", resource),
        Route("/schema.graphql", schema),
    ]


def refusal(refused: errors.GatewayError) -> Response:
    """Return the response for an error outside /graphql."""
    headers = {name.decode(): value.decode() for name, value in refused.headers()}
    return Response(encoded_error(refused), refused.status, {**headers, **_NO_STORE}, media_type="application/json")
