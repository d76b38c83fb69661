"""How bytes reach a source: one exchange at a time, without an opinion on what they mean.

`AiohttpExchange` is the one in production. It speaks aiohttp without httpx's request and response objects in between,
which cost as much again as the call itself. `HttpxExchange` puts any httpx transport in its place: a respx router in
`httpx.MockTransport` in tests, or an operator's own. Both raise SourceFailed and nothing else but cancellation.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Protocol

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from connectors.addresses import CheckedResolver, ForbiddenAddress
from connectors.faults import FaultCode, SourceFailed

CONNECT_SECONDS = 0.3
_LATE_SECONDS = 0.02  # a timer that comes later than this came late because the loop was busy
_IDLE_SECONDS = 15.0
_HEADER_BYTES = 8190
_HEADER_COUNT = 64

RawHeaders = Sequence[tuple[bytes, bytes]]


class Answer(Protocol):
    """The head of a response, and its body as it arrives."""

    status: int
    raw_headers: RawHeaders

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, looked up without regard to case."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it came: neither decompressed nor bounded."""
        ...

    async def release(self) -> None:
        """Let the connection go: kept for the next call if all of the answer has arrived, else closed."""
        ...


class Exchange(Protocol):
    """Sends a request and returns the head of the response."""

    async def send(self, method: str, target: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        """Return the answer to a request for the target, which is a path with an optional query."""
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


class _Connector(aiohttp.TCPConnector):
    """Never hands out a connection on which bytes came while nothing was asked.

    aiohttp looks only whether it is still open, and would take such bytes for the answer to the next question: another
    child's answer.
    """

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        return None

    async def _wrap_create_connection(self, *args: Any, **options: Any) -> tuple[asyncio.Transport, ResponseHandler]:
        """The socket and its TLS; the name has been resolved by then, in a time of its own."""
        async with _connecting(CONNECT_SECONDS):
            return await super()._wrap_create_connection(*args, **options)


@asynccontextmanager
async def _connecting(seconds: float) -> AsyncIterator[None]:
    """Raise TimeoutError inside if the block takes longer, by the time in which this process could have noticed.

    A busy event loop sees the end of a connect and the end of its time in one turn, and would call a source dead that
    answered at once. Time by which the timer itself came late is given back, once.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:

        def ended(due: float, again: bool) -> None:
            late = loop.time() - due
            if again and late > _LATE_SECONDS:
                more = min(late, seconds)
                timers.append(loop.call_later(more, ended, loop.time() + more, False))
            else:
                limit.reschedule(loop.time())

        timers = [loop.call_later(seconds, ended, loop.time() + seconds, True)]
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()


class AiohttpExchange:
    """One source's own pool: no cookies, no redirects, no proxies of the environment, no decompression."""

    def __init__(self, origin: str, *, resolver: CheckedResolver, ssl_context: ssl.SSLContext) -> None:
        self._origin = origin
        self._resolver = resolver
        self._ssl = ssl_context
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        # Made on first use, because it belongs to the event loop that is running then.
        connector = _Connector(
            resolver=self._resolver,
            ssl=self._ssl,
            limit=0,  # the bulkhead above is the bound, and it does not queue
            keepalive_timeout=_IDLE_SECONDS,
            happy_eyeballs_delay=CONNECT_SECONDS / 3,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
            max_headers=_HEADER_COUNT,
        )
        # aiohttp repeats a GET by itself; how often an agency is asked is decided in one place, and that is not here
        self._session._retry_connection = False
        return self._session

    async def send(self, method: str, target: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        session = self._session or self._open()
        url = URL(self._origin + target, encoded=True)
        try:
            response = await session.request(method, url, headers=headers, data=content, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise SourceFailed(_before_first_byte(problem)) from None
        return _AiohttpAnswer(response)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
        await self._resolver.close()


class _AiohttpAnswer:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.raw_headers: RawHeaders = response.raw_headers
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError):
            raise SourceFailed(FaultCode.TRUNCATED) from None

    async def release(self) -> None:
        self._response.release()


def _before_first_byte(problem: Exception) -> FaultCode:
    match problem:
        case aiohttp.ClientConnectorDNSError():
            forbidden = isinstance(problem.os_error, ForbiddenAddress)
            return FaultCode.FORBIDDEN_ADDRESS if forbidden else FaultCode.DNS
        case aiohttp.ClientSSLError():
            return FaultCode.TLS
        case aiohttp.ClientConnectorError(os_error=ConnectionResetError() | ConnectionAbortedError()):
            # the connection stood, so it was the handshake that the other side broke off
            return FaultCode.TLS
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return FaultCode.CONNECT
        case aiohttp.ClientOSError() if isinstance(problem.__cause__, ssl.SSLError):
            # with TLS 1.3 a refused client certificate is told only when the first byte is read
            return FaultCode.TLS
        case aiohttp.ServerDisconnectedError(message=None | "" | "Server disconnected") | aiohttp.ClientOSError():
            return FaultCode.RESET
        case _:
            return FaultCode.GARBAGE


class HttpxExchange:
    """Any httpx transport in the place of the pool."""

    def __init__(self, origin: str, transport: httpx.AsyncBaseTransport) -> None:
        self._origin = origin
        self._transport = transport

    async def send(self, method: str, target: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        request = httpx.Request(method, self._origin + target, headers=dict(headers), content=content)
        try:
            return _HttpxAnswer(await self._transport.handle_async_request(request))
        except httpx.TransportError as problem:
            raise SourceFailed(_httpx_code(problem)) from None

    async def aclose(self) -> None:
        await self._transport.aclose()


class _HttpxAnswer:
    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.raw_headers: RawHeaders = response.headers.raw
        self.headers: Mapping[str, str] = response.headers

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
