"""Refused credentials on the log: singly up to a rate, then as one count for each cause. Never holds up a request.

What is counted is written when its minute ends, whether or not anybody comes back, and at shutdown.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from auth.caller import Caller
from auth.tokens import InvalidRequest, Unauthenticated
from gateway import errors
from gateway.audit.errors import AuditError
from gateway.audit.events import EventKind
from gateway.audit.log import AuditLog
from gateway.graphql.documents import Operation
from gateway.graphql.endpoint import RequestContext

PER_SECOND: Final = 5
PER_MINUTE: Final = 60
_SECONDS: Final = 60.0


class RefusedTokens:
    """Who was refused at the door: no token, a flawed one, or several credentials. For one event loop."""

    def __init__(
        self, audit: AuditLog, *, seconds: float = _SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._audit = audit
        self._seconds = seconds
        self._clock = clock
        self._singly: Counter[int] = Counter()  # by second, of the last minute
        self._counted: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False

    async def note(
        self, error: errors.GatewayError, caller: Caller | None, operation: Operation | None, context: RequestContext
    ) -> None:
        """Record that credentials were refused; other refusals of the front door disclose nothing and ask nobody."""
        cause = error.__cause__
        if isinstance(cause, Unauthenticated):
            digest = cause.token_sha256
        elif isinstance(cause, InvalidRequest):
            digest = None
        else:
            return
        code = f"TOKEN {cause.reason}"
        if self._may_stand_singly():
            payload = {"caller": {"token": digest}, "request": context.request_id, "code": code, "rule": None}
            self._write(payload, 1)
        else:
            self._count(code, 1)

    async def drain(self) -> None:
        """Write every count, and return when all is written; for shutdown, before the log is closed."""
        self._ending = True
        self._end()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _may_stand_singly(self) -> bool:
        second = int(self._clock())
        for past in [each for each in self._singly if each <= second - 60]:
            del self._singly[past]
        if self._singly[second] >= PER_SECOND or self._singly.total() >= PER_MINUTE:
            return False
        self._singly[second] += 1
        return True

    def _count(self, code: str, more: int) -> None:
        self._counted[code] += more
        if self._timer is None and not self._ending:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counted, self._counted = self._counted, Counter()
        for code, count in counted.items():
            self._write({"code": code, "rule": None, "count": count}, count)

    def _write(self, payload: Mapping[str, Any], stands_for: int) -> None:
        task = asyncio.ensure_future(self._append(payload, stands_for))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _append(self, payload: Mapping[str, Any], stands_for: int) -> None:
        try:
            await self._audit.append(EventKind.DENIED, payload)
        except AuditError:
            # counted with the next; a log that never comes back ends the process, which says so itself
            self._count(payload["code"], stands_for)
