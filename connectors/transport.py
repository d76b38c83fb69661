"""How bytes reach a source: one exchange at a time, without an opinion on what they mean.

`connectors.wire` has the one in production. `HttpxExchange` puts any httpx transport in its place: a respx router in
`httpx.MockTransport` in tests, or an operator's own. Both raise SourceFailed and nothing else but cancellation.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from functools import cache
from typing import Protocol

import httpx

from connectors.faults import FaultCode, SourceFailed

RawHeaders = Sequence[tuple[bytes, bytes]]


def lines_of(headers: Mapping[str, str]) -> str:
    """Return the lines of these headers, each with its end. Raises ValueError if a value is more than a line."""
    lines = "\r\n".join(map(": ".join, headers.items())) + "\r\n" if headers else ""
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\0" in lines:
        raise ValueError("a header's value is one line")
    return lines


class Answer(Protocol):
    """The head of a response, and its body as it arrives."""

    @property
    def status(self) -> int:
        """The status."""
        ...

    @property
    def plain(self) -> bytes | None:
        """The whole body, if it is known to be framed by its length for whoever reads it."""
        ...

    @property
    def content_type(self) -> bytes | None:
        """The media type; None: to be looked up in the headers."""
        ...

    @property
    def raw_headers(self) -> RawHeaders:
        """The headers as they came."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up without regard to case."""
        ...

    def whole(self) -> bytes | None:
        """Return the body as it came if all of it has, else None."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it came: neither decompressed nor bounded."""
        ...

    async def release(self) -> None:
        """Let the connection go: kept for the next call if all of the answer has arrived, else closed."""
        ...


class Exchange(Protocol):
    """Sends a request and returns the head of the response."""

    @property
    def keeps_time(self) -> bool:
        """Whether nothing of an exchange, its body included, is waited for after its `at`."""
        ...

    def send(self, method: str, target: str, lines: str, content: bytes | None, at: float) -> Awaitable[Answer]:
        """Send a request for the target, which is a path with an optional query; return what becomes its answer.

        `lines`: its headers, as `lines_of` writes them, without those that every request has and without a length.
        `at` is a time of the event loop.
        """
        ...

    def give_up(self, sent: Awaitable[Answer]) -> None:
        """End what `send` began: who waited for it was cancelled."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


@cache
def system_trust() -> ssl.SSLContext:
    """Return a context that verifies against the system's certificates, TLS 1.2 or later."""
    return trust_context(None)


def trust_context(
    ca_file: str | None, *, certificate: str | None = None, private_key: str | None = None
) -> ssl.SSLContext:
    """Return a verifying context for one authority (or the system's), presenting the certificate if one is given.

    Built by hand because `ssl.create_default_context` writes session keys to the file that SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
    if certificate is not None:
        context.load_cert_chain(certificate, private_key)
    return context


def require_verifying(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return the context. Raises ValueError if it does not verify certificate and name, or speaks less than TLS 1.2."""
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise ValueError("the TLS context must verify the certificate and the host name")
    if context.minimum_version not in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        raise ValueError("the TLS context must refuse anything before TLS 1.2")
    return context


class HttpxExchange:
    """Any httpx transport in the place of the pool."""

    keeps_time = False

    def __init__(self, origin: str, transport: httpx.AsyncBaseTransport, *, always: Mapping[str, str]) -> None:
        """`always`: the headers of every request."""
        self._origin = origin
        self._transport = transport
        self._always = always

    async def send(self, method: str, target: str, lines: str, content: bytes | None, at: float) -> Answer:
        headers = {**self._always, **dict(line.split(": ", 1) for line in lines.split("\r\n")[:-1])}
        request = httpx.Request(method, self._origin + target, headers=headers, content=content)
        try:
            return _HttpxAnswer(await self._transport.handle_async_request(request))
        except httpx.TransportError as problem:
            raise SourceFailed(_httpx_code(problem)) from None

    def give_up(self, sent: Awaitable[Answer]) -> None:
        return None  # the transport is cancelled itself

    async def aclose(self) -> None:
        await self._transport.aclose()


class _HttpxAnswer:
    plain: bytes | None = None
    content_type: bytes | None = None

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.raw_headers: RawHeaders = response.headers.raw
        self.headers: Mapping[str, str] = response.headers

    def whole(self) -> bytes | None:
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._response.is_stream_consumed:  # as mocked responses come; an encoded one was refused by its header
            yield self._response.content
            return
        try:
            async for chunk in self._response.aiter_raw():
                yield chunk
        except httpx.TransportError as problem:
            code = _httpx_code(problem)
            raise SourceFailed(FaultCode.TRUNCATED if code is FaultCode.RESET else code) from None

    async def release(self) -> None:
        await self._response.aclose()


def _httpx_code(problem: httpx.TransportError) -> FaultCode:
    match problem:
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.UnsupportedProtocol() | httpx.ProxyError():
            return FaultCode.CONNECT
        case httpx.TimeoutException():
            return FaultCode.DEADLINE
        case httpx.NetworkError():
            return FaultCode.RESET
        case _:
            return FaultCode.GARBAGE
