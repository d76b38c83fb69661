"""The pool of one source: kept-alive connections, last used first; a thin client over sockets and llhttp.

Measured beside aiohttp, which it replaced: see docs/performance.md. No cookies, no redirects, no proxies, no
decompression: there is no code for them. How many calls there may be at once is bounded above, by the bulkhead.
"""

from __future__ import annotations

import asyncio
import math
import random
import select
import socket
import ssl
from collections.abc import Awaitable, Mapping, Sequence
from urllib.parse import urlsplit

from connectors.addresses import Address, CheckedResolver, ForbiddenAddress, LookupFailed, literal_address
from connectors.faults import FaultCode, SourceFailed
from connectors.transport import Answer, lines_of
from connectors.wire_connection import Connection

CONNECT_SECONDS = 0.3
_NEXT_ADDRESS_SECONDS = CONNECT_SECONDS / 3
_LATE_SECONDS = 0.02  # a timer that comes later than this came late because the loop was busy
_IDLE_SECONDS = 15.0
# Under load a connection is never idle. Made anew, it goes where the source's name leads now, past the same checks of
# addresses, and the certificate is looked at again.
_KEPT_SECONDS = 300.0
_SPREAD = 0.2  # made at once, they are not made anew at once
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class WireExchange:
    """One source's own pool. Its connections belong to the event loop of the first call."""

    keeps_time = True

    def __init__(
        self, origin: str, *, resolver: CheckedResolver, ssl_context: ssl.SSLContext, always: Mapping[str, str]
    ) -> None:
        """`always`: the headers of every request."""
        parts = urlsplit(origin)
        self._host = parts.hostname or ""
        self._port = parts.port or _DEFAULT_PORTS[parts.scheme]
        self._ssl = ssl_context if parts.scheme == "https" else None
        self._resolver = resolver
        shown = f"[{self._host}]" if ":" in self._host else self._host
        authority = shown if self._port == _DEFAULT_PORTS[parts.scheme] else f"{shown}:{self._port}"
        self._line_end = f" HTTP/1.1\r\nHost: {authority}\r\n{lines_of(always)}"
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._sweep_due = math.inf

    def send(self, method: str, target: str, lines: str, content: bytes | None, at: float) -> Awaitable[Answer]:
        """Return what becomes the answer once its head is there, or SourceFailed at the loop's time `at` at the latest.

        On a kept connection the request is out already, and no step of a coroutine is between it and who waits.
        """
        request = self._request(method, target, lines, content)
        loop = asyncio.get_running_loop()
        connection = self._kept(loop.time())
        if connection is None:
            return self._on_another(request, at, loop)
        return self._asked(connection, request, at, loop)

    def give_up(self, sent: Awaitable[Answer]) -> None:
        """Close the connection on which this answer is waited for, or read; no other is under way there."""
        for connection in list(self._all):
            if connection.asked is sent:
                connection.abort()

    async def _on_another(self, request: bytes, at: float, loop: asyncio.AbstractEventLoop) -> Answer:
        sent = self._asked(await self._connected(loop, at), request, at, loop)
        try:
            return await sent
        except asyncio.CancelledError:
            self.give_up(sent)
            raise

    def _asked(
        self, connection: Connection, request: bytes, at: float, loop: asyncio.AbstractEventLoop
    ) -> asyncio.Future[Answer]:
        try:
            if at < self._sweep_due:
                self._sweep_at(at, loop)
            return connection.ask(request, at, loop)
        except BaseException:
            connection.abort()  # neither idle nor asked on, it would be nobody's
            raise

    async def aclose(self) -> None:
        """Close every connection."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping, self._sweep_due = None, math.inf
        for connection in list(self._all):
            connection.abort()
        await self._resolver.close()
        # an aborted transport is closed by the loop, one turn later
        await asyncio.sleep(0)

    def _request(self, method: str, target: str, lines: str, content: bytes | None) -> bytes:
        if content is None and method == "GET":
            return f"GET {target}{self._line_end}{lines}\r\n".encode()
        if method not in _METHODS:
            raise ValueError("not a method whose answers are framed as others are")
        head = f"{method} {target}{self._line_end}{lines}Content-Length: {len(content or b'')}\r\n\r\n".encode()
        return head + content if content else head

    def _kept(self, now: float) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            # what came before a question is no answer to it
            if connection.kept(now - _IDLE_SECONDS):
                return connection
            connection.abort()
        return None

    def _gone(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    # One timer for all calls: their deadlines come in nearly the order in which they are made.

    def _sweep_at(self, at: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping, self._sweep_due = None, math.inf
        self._sweeping = loop.call_at(at, self._sweep, loop)
        self._sweep_due = at  # only now: were there no memory for the timer, no call after this one would end in time

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the calls whose time is over and close what was idle too long; come back when the next is due."""
        self._sweeping, self._sweep_due = None, math.inf
        now = loop.time()
        idle = set(self._idle)
        for connection in list(self._all):
            if connection not in idle:
                if connection.at <= now:
                    connection.expire()
            elif now - connection.since >= _IDLE_SECONDS:
                connection.abort()
        due = min((c.since + _IDLE_SECONDS if c in idle else c.at for c in self._all if c.usable), default=math.inf)
        if due < math.inf:
            self._sweep_at(due, loop)

    async def _connected(self, loop: asyncio.AbstractEventLoop, at: float) -> Connection:
        """Return a new connection, its name checked, its TLS made. Raises SourceFailed."""
        try:
            async with asyncio.timeout_at(at):
                addresses = await self._addresses()
                opened = _Opening()
                try:
                    opening = loop.create_task(self._open(opened, addresses, loop))
                    return await _within(CONNECT_SECONDS, opened, opening)
                finally:
                    opened.end()
        except ForbiddenAddress:
            raise SourceFailed(FaultCode.FORBIDDEN_ADDRESS) from None
        except LookupFailed:
            raise SourceFailed(FaultCode.DNS) from None
        except _ConnectTooLong:
            raise SourceFailed(FaultCode.CONNECT) from None
        except TimeoutError:
            raise SourceFailed(FaultCode.DEADLINE if loop.time() >= at else FaultCode.CONNECT) from None
        except ssl.SSLError:
            raise SourceFailed(FaultCode.TLS) from None
        except (ConnectionResetError, ConnectionAbortedError):
            # the connection stood, so it was the handshake that the other side broke off
            raise SourceFailed(FaultCode.TLS if self._ssl is not None else FaultCode.CONNECT) from None
        except OSError:
            raise SourceFailed(FaultCode.CONNECT) from None

    async def _addresses(self) -> Sequence[Address]:
        literal = literal_address(self._host)
        # a literal was judged with the configuration
        return [literal] if literal is not None else await self._resolver.resolve(self._host)

    async def _open(
        self, opened: _Opening, addresses: Sequence[Address], loop: asyncio.AbstractEventLoop
    ) -> Connection:
        connected = await _first_connected(opened, [(str(a), self._port) for a in addresses], loop)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.taken = connected
        _, connection = await loop.create_connection(
            lambda: Connection(self._idle.append, self._gone),
            sock=connected,
            ssl=self._ssl,
            server_hostname=self._host if self._ssl is not None else None,
        )
        connection.until = loop.time() + _KEPT_SECONDS * (1 - _SPREAD * random.random())  # noqa: S311 - nothing secret
        self._all.add(connection)
        return connection


class _ConnectTooLong(Exception):
    """No connection within CONNECT_SECONDS."""


class _Opening:
    """The sockets of one attempt, until one of them is a connection's."""

    def __init__(self) -> None:
        self.trying: list[socket.socket] = []
        self.taken: socket.socket | None = None

    def stands(self) -> bool:
        """Whether a connection stands, and only this process has not come to see it."""
        if self.taken is not None:
            return False
        connecting = select.poll()
        for each in self.trying:
            connecting.register(each, select.POLLOUT)
        return any(event == select.POLLOUT for _, event in connecting.poll(0))

    def end(self) -> None:
        """Close what is nobody's. What was handed on is closed by its transport, also where its handshake failed."""
        for each in self.trying:
            if each is not self.taken:
                each.close()


async def _within(seconds: float, opened: _Opening, task: asyncio.Task[Connection]) -> Connection:
    """Return what the task returns. Raises _ConnectTooLong if it takes longer than a source is given.

    A busy event loop sees the end of a connect and the end of its time in one turn, and would call a source dead that
    answered at once. So a connection that stands when its time ends, unseen by this process, is given that time once
    more; and so is the time by which the timer itself came late.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds
    try:
        done, _ = await asyncio.wait([task], timeout=seconds)
        late = loop.time() - due
        if not done and (opened.stands() or late > _LATE_SECONDS):
            done, _ = await asyncio.wait([task], timeout=seconds if opened.stands() else min(late, seconds))
        if done:
            return task.result()
    except BaseException:
        await _forget(task)
        raise
    await _forget(task)
    raise _ConnectTooLong


async def _forget(task: asyncio.Task[Connection]) -> None:
    """End the opening, and what it has opened. Not before that is done, however often who waits is cancelled.

    At one deadline a call is cancelled by who asks and by its own timeout; one that stopped waiting at the second would
    leave a connection that nobody knows of, open for as long as the process.
    """
    task.cancel()
    again: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as cancelled:
            again = cancelled
    if not task.cancelled() and task.exception() is None:
        task.result().abort()  # nobody will ask on it
    if again is not None:
        raise again


async def _first_connected(
    opened: _Opening, addresses: Sequence[tuple[str, int]], loop: asyncio.AbstractEventLoop
) -> socket.socket:
    """Return the socket of the first address that takes a connection, each tried a little after the one before it.

    Raises OSError if none does (RFC 8305, section 5).
    """
    attempts: set[asyncio.Task[socket.socket]] = set()
    failure: OSError = OSError("no address")
    left = list(addresses)
    try:
        while left or attempts:
            if left:
                attempts.add(loop.create_task(_tried(opened, left.pop(0), loop)))
            wait = _NEXT_ADDRESS_SECONDS if left else None
            done, attempts = await asyncio.wait(attempts, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            problems = {each: each.exception() for each in done}
            for each, problem in problems.items():
                if problem is None:
                    return each.result()
                if not isinstance(problem, OSError):
                    raise problem
                failure = problem
        raise failure
    finally:
        for each in attempts:
            each.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)


async def _tried(opened: _Opening, address: tuple[str, int], loop: asyncio.AbstractEventLoop) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    opened.trying.append(made)
    await loop.sock_connect(made, address)
    return made
