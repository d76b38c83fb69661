"""Which requests are traced, from their first byte to the end of their answer."""

from __future__ import annotations

import random
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from gateway.graphql.endpoint import Noted
from gateway.tracing.spans import CURRENT, Attributes, Key, Parent, Taken, Trace, Vocabulary

Endpoint = Callable[[Any, Any, Any], Awaitable[None]]

#: W3C Trace Context, section 3.2, version 00; `tracestate` and baggage are not read
_TRACEPARENT: Final = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class Spans(Protocol):
    """Where finished spans go."""

    def take(
        self, parent: Parent | None, request: Taken, steps: Sequence[Taken], told: Callable[..., Attributes]
    ) -> None:
        """Take the spans of one request; must not wait. `told` says which attributes may be told."""
        ...

    def close(self) -> None:
        """Send what waits, for a bounded time."""
        ...


class Tracing:
    """Traces a part of all requests."""

    def __init__(
        self,
        spans: Spans,
        vocabulary: Vocabulary,
        *,
        ratio: float,
        from_callers: bool,
        drawn: Callable[[], float] = random.random,
    ) -> None:
        """`from_callers`: whether a caller's `traceparent` says to which trace a request belongs, and if it is kept."""
        self._spans = spans
        self._vocabulary = vocabulary
        self._ratio = ratio
        self._from_callers = from_callers
        self._drawn = drawn

    def endpoint(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint, some of whose requests are traced."""

        async def traced(scope: Any, receive: Any, send: Any) -> None:
            trace = self._begun(scope.get("headers", ()))
            if trace is None:
                await endpoint(scope, receive, send)
                return
            token = CURRENT.set(trace)
            try:
                await endpoint(scope, receive, send)
            finally:
                CURRENT.reset(token)

        return traced

    def noted(self, noted: Noted) -> Noted:
        """Return what is told of each answered request, with its trace let go then."""

        def ending(request_id: str, operation: str, status: int, code: str, seconds: float) -> None:
            noted(request_id, operation, status, code, seconds)
            trace = CURRENT.get()
            if trace is not None:
                request, steps = trace.ended({Key.OPERATION: operation, Key.STATUS: status, Key.CODE: code})
                self._spans.take(trace.parent, request, steps, self._vocabulary.told)

        return ending

    def close(self) -> None:
        """Send what waits, for a bounded time. Blocks."""
        self._spans.close()

    def _begun(self, headers: Sequence[tuple[bytes, bytes]]) -> Trace | None:
        if self._from_callers:
            given = [value for name, value in headers if name == b"traceparent"]
            match = _TRACEPARENT.fullmatch(given[0]) if len(given) == 1 else None
            if match is not None:
                parent = Parent(int(match[1], 16), int(match[2], 16))
                if parent.trace_id and parent.span_id:
                    return Trace(parent) if int(match[3], 16) & 1 else None
        return Trace() if self._drawn() < self._ratio else None
