"""What one of several processes on a database does for all: the timers whose work is in the database.

Each process asks before each turn. Who holds the duty keeps it until it ends, however it ends; the next to ask has it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final

import sqlalchemy as sa

from gateway.audit.log import AuditLog
from gateway.audit.sqlite_writer import is_failure_of_storage
from gateway.storage.holding import Holding

_NAME: Final = "duty"

Work = Callable[[], Awaitable[Any]]


class Duty:
    """The duty of one database, as one process sees it."""

    def __init__(self, engine: sa.Engine, log: AuditLog) -> None:
        self._holding = Holding.of(engine, _NAME)
        self._log = log
        self._asking = threading.Lock()

    def had(self) -> bool:
        """Return whether this process has the duty now. Blocks. Raises OSError, sqlalchemy errors."""
        with self._asking:
            return self._holding.take()

    def of(self, work: Work) -> Work:
        """Return the work as it is to be done by whoever has the duty, and by nobody else.

        When the disk fails under it the log fails too: the next to acknowledge something on that disk would be the log.
        """

        async def turn() -> None:
            try:
                if await asyncio.to_thread(self.had):
                    await work()
            except sa.exc.DBAPIError as error:
                if is_failure_of_storage(error):
                    self._log.fail()
                raise

        return turn

    def close(self) -> None:
        """Let another process have it. Blocks."""
        with self._asking:
            self._holding.release()
