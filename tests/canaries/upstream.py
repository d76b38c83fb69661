"""Keeps every request that the simulated agencies receive, as it came over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from gateway.demo.agencies.server import Agencies

AGENCIES = ("health", "police", "probation", "childrens_services")


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    agency: str
    target: bytes  # path and query
    headers: bytes
    body: bytes


@contextmanager
def everything_received(agencies: Agencies) -> Iterator[list[Received]]:
    """Keep what all agencies receive for the length of the block."""
    kept: list[Received] = []
    before: dict[str, Any] = {}
    for name in AGENCIES:
        app = getattr(agencies, name).app
        before[name] = app.middleware_stack or app.build_middleware_stack()
        app.middleware_stack = _keeping(name, before[name], kept)
    try:
        yield kept
    finally:
        for name, stack in before.items():
            getattr(agencies, name).app.middleware_stack = stack


def _keeping(name: str, app: Any, kept: list[Received]) -> Any:
    async def keep(scope: Scope, receive: Receive, send: Send) -> None:
        body: list[bytes] = []

        async def noting() -> Message:
            message = await receive()
            body.append(message.get("body", b""))
            return message

        await app(scope, noting, send)
        if scope["type"] == "http":
            headers = b"\n".join(key + b": " + value for key, value in scope["headers"])
            target = scope.get("raw_path", b"") + b"?" + scope["query_string"]
            kept.append(Received(name, target, headers, b"".join(body)))

    return keep
