"""Refused tokens on the log: singly up to a rate, then as a count. Never holds up a request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from auth.caller import Caller
from auth.tokens import Unauthenticated
from gateway import errors
from gateway.audit.errors import AuditError
from gateway.audit.events import EventKind
from gateway.audit.log import AuditLog
from gateway.graphql.documents import Operation
from gateway.graphql.endpoint import RequestContext


class RefusedTokens:
    """Records refused tokens: singly up to a rate, then as a count. Never holds up a request."""

    _PER_SECOND = 5

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._second = 0
        self._written = 0
        self._counted = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def note(
        self, error: errors.GatewayError, caller: Caller | None, operation: Operation | None, context: RequestContext
    ) -> None:
        """Record a 401 whose token was refused; other refusals of the front door disclose nothing and ask nobody."""
        cause = error.__cause__
        if not isinstance(error, errors.Unauthenticated) or not isinstance(cause, Unauthenticated):
            return
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._written = second, 0
        if self._written >= self._PER_SECOND:
            self._counted += 1
            return
        self._written += 1
        counted, self._counted = self._counted, 0
        payload = {
            "caller": {"token": cause.token_sha256},
            "request": context.request_id,
            "code": f"TOKEN {cause.reason}",
            "rule": f"{counted} more before this one were counted only" if counted else None,
        }
        task = asyncio.ensure_future(self._append(payload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _append(self, payload: Mapping[str, Any]) -> None:
        with suppress(AuditError):
            await self._audit.append(EventKind.DENIED, payload)
