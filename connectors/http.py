"""The one way out: every call that a connector makes to its source goes through `SourceClient`.

The timeouts of the usual clients are not deadlines (a body that drips resets them), an answer ended by the closing of
the connection cannot be told from one cut short, and a dying source's `[]` reads as "nobody". So: one deadline around
everything, framed answers only, a byte cap while streaming, strict JSON, no redirects, no proxies, no cookies, no
compression, and addresses checked as they are connected to. Whatever goes wrong is a SourceFailed with a closed code.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from connectors.addresses import CheckedResolver, Lookup
from connectors.base import Deadline
from connectors.credentials import ApiKey, Credentials, StaticHeaders
from connectors.faults import FaultCode, SourceFailed
from connectors.replies import Reply, Unauthenticated, announced_length, failure_of_status, parse
from connectors.retries import Attempt, Repeating, RetryBudget
from connectors.targets import parse_base, target_of
from connectors.transport import Answer, Exchange, HttpxExchange, lines_of, require_verifying, system_trust
from connectors.wire import CONNECT_SECONDS, WireExchange

__all__ = ["ApiKey", "Credentials", "Deadline", "FaultCode", "Reply", "SourceClient", "SourceFailed", "StaticHeaders"]

OK = frozenset({200})
DEFAULT_BYTE_CAP = 256 * 1024

_RULES = {(may, apart): Repeating(may, apart) for may in (True, False) for apart in (True, False)}
_BUDGET = "X-Request-Timeout-Ms: "  # how long the gateway still waits: what comes later is work for nobody
_Received = tuple[Answer, bytes]
_NOBODY: Mapping[str, str] = MappingProxyType({})  # whom a call without credentials is shown to be from
_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(slots=True)
class _Call:
    """What is the same however often a request is sent. Made where that may be more than once."""

    method: str
    target: str
    content: bytes | None
    deadline: Deadline
    expect: frozenset[int]
    rule: Repeating
    attempt: Attempt | None
    repeated: bool  # whether what was sent last is a repetition

    def repeat(self) -> None:
        """Say that what is sent next is a repetition."""
        self.repeated = True
        if self.attempt is not None:
            self.attempt.repeated = True


class SourceClient:
    """A hardened HTTP client for one source, with its own pool and bulkhead.

    `transport` replaces the network (tests); then addresses are not checked. `lookup` replaces name resolution.
    `echoes_request_id`: the source returns X-Request-ID, so that an answer with another one, or none, is a MISMATCH.
    Raises ValueError for a base URL or a TLS context that may not be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        allow_private: bool,
        auth: Credentials | None = None,
        max_connections: int = 16,
        byte_cap: int = DEFAULT_BYTE_CAP,
        headers: Mapping[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        lookup: Lookup | None = None,
        echoes_request_id: bool = False,
    ) -> None:
        origin, self._prefix, rule = parse_base(base_url, allow_private=allow_private)
        self._auth = auth
        self._echoes_request_id = echoes_request_id
        self._free = max_connections
        self._retries = RetryBudget()
        self._byte_cap = byte_cap
        always = {**(headers or {}), "User-Agent": "contactpoint-gateway", "Accept-Encoding": "identity"}
        context = require_verifying(ssl_context) if ssl_context else system_trust()
        self._exchange: Exchange = (
            HttpxExchange(origin, transport, always=always)
            if transport
            else WireExchange(
                origin,
                resolver=CheckedResolver(rule, seconds=CONNECT_SECONDS, lookup=lookup),
                ssl_context=context,
                always=always,
            )
        )

    @property
    def retries(self) -> RetryBudget:
        """What pays for every repetition at this source; `request` takes its own from it."""
        return self._retries

    async def request(
        self,
        method: str,
        path: str,
        *,
        deadline: Deadline,
        request_id: str,
        traceparent: str | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: str | tuple[str, ...] = "application/json",
        expect: frozenset[int] = OK,
        decode: type | None = None,
        repeatable: bool = True,
        separable: bool = False,
        attempt: Attempt | None = None,
    ) -> Reply:
        """Return the source's reply if its status is in `expect`; every other one is a failure with its own code.

        `decode` turns a 2xx body into that type (a msgspec Struct, usually). `repeatable` allows one second attempt
        (see `connectors.retries`) also where the first may have arrived, as when a kept-alive connection ended before
        the first byte of an answer: pass False for what must not arrive twice. `separable`: after a 5xx, or a
        connection that ended without an answer, the caller asks for each subject alone, which is repetition enough.
        `attempt` says that it is such a repetition, made once and paying for no other, and is told whether the call
        was made again. Redirects are never followed; a 3xx in `expect` is returned for its Location.

        Raises SourceFailed.
        """
        now = asyncio.get_running_loop().time()
        if deadline.at <= now:
            # asyncio.timeout would let the first step run, and a connection is already half a disclosure
            raise SourceFailed(FaultCode.DEADLINE)
        if self._free <= 0:
            raise SourceFailed(FaultCode.BULKHEAD_FULL)
        target = self._prefix + target_of(path, params)
        sent = _lines_of_ask(accept, request_id, traceparent)
        if headers:
            sent += lines_of(headers)
        content = None
        if json is not None or form is not None:
            content, content_type = _content(json, form)
            sent += content_type
        again = attempt is not None and attempt.again
        received: _Received | None = None
        failure: SourceFailed | None = None
        self._free -= 1
        try:
            identity = _NOBODY if self._auth is None else self._auth.at_hand()
            if identity is not None and self._exchange.keeps_time:
                shown = sent + lines_of(identity) if identity else sent
                if not again:
                    self._retries.earn()
                try:
                    received = await self._once(method, target, shown, content, deadline.at, expect, now)
                except SourceFailed as failed:
                    failure = failed
            if received is None:
                rule = _RULES[repeatable, separable]
                call = _Call(method, target, content, deadline, expect, rule, attempt, again)
                if failure is None or identity is None:
                    received = await self._waited_for(call, sent)
                else:
                    received = await self._after(failure, call, sent, identity, now)
        except TimeoutError:
            raise SourceFailed(FaultCode.DEADLINE) from None
        finally:
            self._free += 1
        answer, body = received
        if self._echoes_request_id and answer.headers.get("X-Request-ID") != request_id:
            raise SourceFailed(FaultCode.MISMATCH)
        return Reply(answer, parse(answer, body, decode))

    async def aclose(self) -> None:
        """Close every connection, and those of the credentials."""
        await self._exchange.aclose()
        if self._auth is not None:
            await self._auth.aclose()

    async def _waited_for(self, call: _Call, sent: str) -> _Received:
        """Return what a call comes to whose credentials, or whose time, an exchange alone does not see to."""
        async with asyncio.timeout_at(call.deadline.at):
            identity = _NOBODY if self._auth is None else await self._auth.headers()
            if not call.repeated:
                self._retries.earn()
            now = asyncio.get_running_loop().time()
            try:
                return await self._sent(call, sent + lines_of(identity), now)
            except SourceFailed as failed:
                failure = failed
            return await self._after(failure, call, sent, identity, now)

    async def _after(
        self, failure: SourceFailed, call: _Call, sent: str, identity: Mapping[str, str], began: float
    ) -> _Received:
        """Return what a call that failed is answered when it is made once more. Raises the failure if it may not be."""
        loop, auth = asyncio.get_running_loop(), self._auth
        if auth is not None and isinstance(failure, Unauthenticated):
            # with other credentials, and once more in all, whatever was wrong with the first
            if not auth.refused(identity) or call.repeated:
                raise failure
            call.repeat()
            async with asyncio.timeout_at(call.deadline.at):
                lines = sent + lines_of(await auth.headers())
                return await self._sent(call, lines, loop.time())
        pause = self._pause_before(call, failure, began)
        call.repeat()
        await asyncio.sleep(pause)
        now = loop.time()
        if call.deadline.at <= now:
            raise SourceFailed(FaultCode.DEADLINE)  # a busy loop wakes late, and nobody waits any more
        try:
            return await self._sent(call, sent + lines_of(identity), now)
        except Unauthenticated:
            if auth is not None:
                auth.refused(identity)
            raise

    def _pause_before(self, call: _Call, failure: SourceFailed, began: float) -> float:
        """Return the seconds after which to make a failed call once more; raises the failure if that may not be."""
        if not call.repeated:
            took = asyncio.get_running_loop().time() - began
            pause = call.rule.pause_before(failure, call.deadline, took_seconds=took)
            if pause is not None and self._retries.spend():
                return pause
        raise failure

    async def _sent(self, call: _Call, lines: str, now: float) -> _Received:
        return await self._once(call.method, call.target, lines, call.content, call.deadline.at, call.expect, now)

    async def _once(
        self,
        method: str,
        target: str,
        lines: str,
        content: bytes | None,
        at: float,
        expect: frozenset[int],
        now: float,
    ) -> _Received:
        left = int((at - now) * 1000) if at > now else 0
        sent = self._exchange.send(method, target, f"{lines}{_BUDGET}{left}\r\n", content, at)
        try:
            answer = await sent
        except asyncio.CancelledError:
            self._exchange.give_up(sent)
            raise
        plain = answer.plain
        if plain is not None and len(plain) <= self._byte_cap and answer.status in expect:
            return answer, plain
        whole = answer.whole()
        try:
            if answer.status not in expect:
                raise failure_of_status(answer)
            length = announced_length(answer)
            if length is not None and length > self._byte_cap:
                raise SourceFailed(FaultCode.TOO_LARGE)
            body = self._checked(whole, length) if whole is not None else await self._streamed(answer, length)
            return answer, body
        finally:
            if whole is None:  # else its connection is free already
                await answer.release()

    async def _streamed(self, answer: Answer, length: int | None) -> bytes:
        parts = []
        size = 0
        async for chunk in answer.chunks():
            size += len(chunk)
            if size > self._byte_cap:
                raise SourceFailed(FaultCode.TOO_LARGE)
            parts.append(chunk)
        return self._checked(b"".join(parts), length)

    def _checked(self, body: bytes, length: int | None) -> bytes:
        if len(body) > self._byte_cap:
            raise SourceFailed(FaultCode.TOO_LARGE)
        if length is not None and len(body) != length:
            raise SourceFailed(FaultCode.TRUNCATED)
        return body


@lru_cache(maxsize=64)  # a lookup asks several sources in one turn, and most of them alike
def _lines_of_ask(accept: str | tuple[str, ...], request_id: str, traceparent: str | None) -> str:
    if not _TOKEN.fullmatch(request_id) or (traceparent is not None and not _TOKEN.fullmatch(traceparent)):
        raise ValueError("a request id or traceparent is letters, digits, dots and dashes")
    lines = f"{_accepting(accept)}X-Request-ID: {request_id}\r\n"
    return lines if traceparent is None else f"{lines}traceparent: {traceparent}\r\n"


@lru_cache(maxsize=64)
def _accepting(accept: str | tuple[str, ...]) -> str:
    return lines_of({"Accept": accept if isinstance(accept, str) else ", ".join(accept)})


def _content(json: Any, form: Mapping[str, str] | None) -> tuple[bytes, str]:
    """Return the body, and the header's line that says what it is."""
    if form is not None:
        return urlencode(form).encode(), "Content-Type: application/x-www-form-urlencoded\r\n"
    return msgspec.json.encode(json), "Content-Type: application/json\r\n"
