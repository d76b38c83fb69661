"""Refusals that somebody may repeat at will: the first of a minute on the log singly, the others as one count.

Without this, whoever has spent a budget could fill the log as fast as they can send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.audit.errors import AuditError
from gateway.audit.events import EventKind
from gateway.audit.log import AuditLog

SECONDS: Final = 60.0

_KEPT: Final = ("caller", "code", "rule", "agreements")
"""What the count says of those it counts: who and why. What each of them asked about is not kept."""


@dataclass(slots=True)
class _Repeated:
    payload: Mapping[str, Any]
    timer: asyncio.TimerHandle
    more: int = 0


class RepeatedRefusals:
    """The refusals of the last minute, by person and cause. For one event loop."""

    def __init__(self, audit: AuditLog, *, seconds: float = SECONDS) -> None:
        self._audit = audit
        self._seconds = seconds
        self._minutes: dict[tuple[str, ...], _Repeated] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False

    async def note(self, person: str, code: str, payload: Mapping[str, Any]) -> None:
        """Return when the first refusal of a minute is on disk; for a further one at once. Raises AuditError."""
        caller = payload.get("caller", {})
        # a count stands under the words of the first: it may hold only what was refused to the same caller alike
        told = (caller.get("organisation"), caller.get("client"), caller.get("actor"), payload.get("rule"))
        key = (person, code, *map(str, told))
        counted = self._minutes.get(key)
        if counted is not None:
            counted.more += 1
            return
        timer = asyncio.get_running_loop().call_later(self._seconds, self._end, key)
        counted = self._minutes[key] = _Repeated({k: payload[k] for k in _KEPT if k in payload}, timer)
        try:
            await self._audit.append(EventKind.DENIED, payload)
        except AuditError:
            # it is on no record: the next one is the first; those who came while it waited were told, and count
            timer.cancel()
            if self._minutes.get(key) is counted:
                self._end(key)
            raise

    async def drain(self) -> None:
        """Write every count that is due, and return when all are written; for shutdown, before the log is closed."""
        self._ending = True
        for key, counted in list(self._minutes.items()):
            counted.timer.cancel()
            self._end(key)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _end(self, key: tuple[str, ...]) -> None:
        counted = self._minutes.pop(key, None)
        if counted is None or not counted.more:
            return
        task = asyncio.ensure_future(self._append(key, counted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _append(self, key: tuple[str, ...], counted: _Repeated) -> None:
        try:
            await self._audit.append(EventKind.DENIED, {**counted.payload, "count": counted.more})
        except AuditError:
            if self._ending:
                return
            # none is lost while the log is away: the count is written when the next minute ends
            again = self._minutes.get(key)
            if again is None:
                counted.timer = asyncio.get_running_loop().call_later(self._seconds, self._end, key)
                self._minutes[key] = counted
            else:
                again.more += counted.more
