"""What one of several processes on a database does for all: the timers whose work is in the database.

Each process asks before each turn. Who holds the duty keeps it until it ends, however it ends; the next to ask has it.
One that hangs loses it as well: when it has not asked for five minutes, or when a turn of its does not come to an end
within an hour. What such a process still does, should it go on, is done beside another: whatever is done so bears that.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import sqlalchemy as sa
import structlog

from gateway.audit.log import AuditLog
from gateway.audit.sqlite_writer import is_failure_of_storage
from gateway.storage.lease import Lease
from gateway.storage.postgresql import patient_for

log = structlog.get_logger("gateway.duty")

LEASE_SECONDS: Final = 300.0
"""The most frequent of the timers asks every minute."""
TURN_SECONDS: Final = 3600.0
"""The longest turn is a first run of detection over a long log."""
_NAME: Final = "duty"
_PATIENCE_SECONDS: Final = 10.0

Work = Callable[[], Awaitable[Any]]


class Duty:
    """The duty of one database, as one process sees it."""

    def __init__(
        self,
        engine: sa.Engine,
        log: AuditLog,
        *,
        lease_seconds: float = LEASE_SECONDS,
        turn_seconds: float = TURN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lease = Lease(engine, _NAME, lease_seconds, clock=clock)
        self._log = log
        self._lease_seconds = lease_seconds
        self._turn_seconds = turn_seconds
        self._clock = clock
        self._asking = threading.Lock()
        self._turns: dict[object, float] = {}  # when each that is under way began
        self._aside_until = float("-inf")

    def had(self) -> bool:
        """Return whether this process has the duty now. Blocks. Raises OSError, sqlalchemy errors."""
        with self._asking, patient_for(_PATIENCE_SECONDS):
            now = self._clock()
            hanging = [turn for turn, begun in self._turns.items() if now - begun >= self._turn_seconds]
            for turn in hanging:
                # once for each: without another process, the other timers are to go on here
                del self._turns[turn]
                self._aside_until = now + self._lease_seconds
                log.error("duty_left", advice="a turn does not end: another process may have the timers")
            if now < self._aside_until:
                self._lease.release()
                return False
            return self._lease.take()

    def of(self, work: Work) -> Work:
        """Return the work as it is to be done by whoever has the duty, and by nobody else.

        When the disk fails under it the log fails too: the next to acknowledge something on that disk would be the log.
        """

        async def turn() -> None:
            this = object()
            try:
                if await asyncio.to_thread(self.had):
                    self._turns[this] = self._clock()
                    await work()
            except sa.exc.DBAPIError as error:
                if is_failure_of_storage(error):
                    self._log.fail()
                raise
            finally:
                self._turns.pop(this, None)

        return turn

    def close(self) -> None:
        """Let another process have it. Blocks."""
        with self._asking:
            self._lease.release()
