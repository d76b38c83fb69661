"""Transports with one flaw each, for connectors under contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx

from tests.connectors.contract.cases import Handler


class Recording(httpx.AsyncBaseTransport):
    """Passes requests to a handler and keeps them."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        await asyncio.sleep(0)  # let calls that are independent overtake each other
        return self.handler(request)


class Silent(httpx.AsyncBaseTransport):
    """Accepts every request and never answers."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.waiting.set()
        await asyncio.Event().wait()
        raise AssertionError("nothing wakes a silent source")


class Unreachable(httpx.AsyncBaseTransport):
    """Refuses every connection; the exception quotes the URL, as real ones do."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"connection to {request.url} refused", request=request)


def failing_at(turn: int, failure: Handler, otherwise: Handler) -> Handler:
    """Return a handler whose request number `turn` (from 0) fails, and no other."""
    seen = iter(range(1_000_000))
    return lambda request: failure(request) if next(seen) == turn else otherwise(request)


class _Bytes(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


def unframed(request: httpx.Request) -> httpx.Response:
    """An answer that ends where the connection ends: whether it is whole cannot be known."""
    return httpx.Response(200, headers={"Content-Type": "application/json"}, stream=_Bytes(b"[]"))


def answering(status: int, content: bytes = b"", content_type: str | None = None, **headers: str) -> Handler:
    """Return a handler that always gives this answer."""
    sent = {"Content-Length": str(len(content)), **headers}
    if content_type is not None:
        sent["Content-Type"] = content_type
    return lambda _: httpx.Response(status, headers=sent, content=content)


def json_answering(text: str, status: int = 200) -> Handler:
    """Return a handler that always gives this JSON."""
    return answering(status, text.encode(), "application/json")


Fault = Callable[[httpx.Request], httpx.Response]
