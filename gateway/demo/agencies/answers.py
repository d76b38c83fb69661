"""How an answer, or a fault in its place, is put on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.demo.agencies.faults import Fault, Faults

TRANSPORT = "agency.transport"
"""Where the server leaves the connection in the ASGI scope, for answers that break framing on purpose."""

_STATUS = {
    Fault.UNAVAILABLE: 503,
    Fault.SERVER_ERROR: 500,
    Fault.TOO_MANY_REQUESTS: 429,
    Fault.UNAUTHORISED: 401,
    Fault.FORBIDDEN: 403,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agency has to say: a JSON body with its status."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class _BrokenFrame(Response):
    """Writes to the connection itself: a server would mend the framing that is to be broken."""

    def __init__(self, content: bytes, *, headers: Mapping[str, str], media_type: str, announced: int | None) -> None:
        super().__init__(content, headers=dict(headers), media_type=media_type)
        self.raw_headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        if announced is not None:
            self.raw_headers.append((b"content-length", str(announced).encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope.get(TRANSPORT)
        if transport is None:  # in the same process there is no wire; the headers still tell
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self.body})
            return
        lines = [b"HTTP/1.1 200 OK", b"connection: close", *(name + b": " + value for name, value in self.raw_headers)]
        transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + bytes(self.body))
        transport.close()
        while (await receive())["type"] != "http.disconnect":
            pass


async def _drip(content: bytes, seconds: float) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 4):
        yield content[start : start + 4]
        await asyncio.sleep(seconds)


def put(
    answer: Answer, fault: Fault | None, *, faults: Faults, media_type: str, headers: Mapping[str, str]
) -> Response:
    """Return the response for an answer, or for the fault that takes its place on the wire."""
    content = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {**answer.headers, **headers}
    match fault:
        case Fault.UNAVAILABLE | Fault.SERVER_ERROR | Fault.UNAUTHORISED | Fault.FORBIDDEN:
            return Response(b"{}", _STATUS[fault], headers, media_type)
        case Fault.TOO_MANY_REQUESTS:
            return Response(b"{}", 429, {**headers, "Retry-After": str(faults.retry_after_seconds)}, media_type)
        case Fault.BARE_NOT_FOUND:
            return Response(b"<html><body>Not found</body></html>", 404, headers, "text/html")
        case Fault.REDIRECT:
            return Response(b"", 302, {**headers, "Location": "/elsewhere"}, media_type)
        case Fault.EMPTY_BODY:
            return Response(b"", 200, headers, media_type)
        case Fault.MALFORMED:
            return Response(content[:-1] + b",", answer.status, headers, media_type)
        case Fault.WRONG_MEDIA_TYPE:
            return Response(b"<html><body>Please sign in</body></html>", 200, headers, "text/html")
        case Fault.WRONG_SHAPE:
            return Response(b'{"unexpected":{"answer":[1,2,3]}}', 200, headers, media_type)
        case Fault.DRIP:
            return StreamingResponse(_drip(content, faults.drip_seconds), answer.status, headers, media_type)
        case Fault.TRUNCATED:
            half = content[: len(content) // 2]
            return _BrokenFrame(half, headers=headers, media_type=media_type, announced=len(content))
        case Fault.UNFRAMED:
            return _BrokenFrame(content, headers=headers, media_type=media_type, announced=None)
        case _:
            return Response(content, answer.status, headers, media_type)
