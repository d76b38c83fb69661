"""A gateway process that is killed and started again: `contactpoint serve`, once for each line on standard input.

    python lives.py CONFIG PORT [FLAG ...]

A line is the number of workers. Forks for each life, so that what was imported once need not be imported again; a life
is the whole command, with its own event loop, log and connections. Prints the process id of each life, and its wait
status when it has ended.

Flags that break it on purpose:
    --answers-early     a body leaves before its OUTCOME is on disk
    --takes-no-for-yes  an error of COMMIT is taken for a commit
    --carries-on        after an error of COMMIT the lookup is refused, and the process goes on
    --asynchronous      commits to PostgreSQL with synchronous_commit off, and does not look
and one that does not:
    --copies-often      the write-ahead log is copied into the database file at each commit
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Mapping
from typing import Any

from gateway.audit import postgresql_writer
from gateway.audit.errors import AuditUnavailable
from gateway.audit.events import EventKind
from gateway.audit.log import AuditLog, Receipt
from gateway.audit.sqlite_writer import SQLiteWriter
from gateway.audit.writer import ShardWriter
from gateway.commands.serve import serve
from gateway.storage import engine as storage_engine
from gateway.storage import postgresql

_TASKS: set[asyncio.Task[Any]] = set()
_append = AuditLog.append
_write = ShardWriter.write


async def _append_later(self: AuditLog, kind: EventKind, payload: Mapping[str, Any], **more: Any) -> Receipt:
    if kind is not EventKind.OUTCOME:
        return await _append(self, kind, payload, **more)

    async def later() -> None:
        await asyncio.sleep(0.05)
        await _append(self, kind, payload, **more)

    task = asyncio.create_task(later())
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)
    return Receipt(self.shard, 0)


def _taken_for_done(self: ShardWriter, batch: Any, **options: Any) -> int:
    first = self.size
    try:
        return _write(self, batch, **options)
    except sqlite3.Error:
        return first


def _refused_and_gone_on_with(self: ShardWriter, batch: Any, **options: Any) -> int:
    try:
        return _write(self, batch, **options)
    except sqlite3.Error:
        raise AuditUnavailable("not this time") from None


def _commit_asynchronously() -> None:
    set_and_check = postgresql._set_and_check

    def weaken(driver: Any, record: Any) -> None:
        set_and_check(driver, record)
        autocommit, driver.autocommit = driver.autocommit, True
        driver.execute("SET synchronous_commit TO off")
        driver.autocommit = autocommit

    postgresql._set_and_check = weaken
    for module in (postgresql, postgresql_writer, storage_engine):
        module.check_postgresql = lambda _: None


def _break(flags: tuple[str, ...]) -> None:
    if "--answers-early" in flags:
        AuditLog.append = _append_later  # type: ignore[method-assign]
    if "--takes-no-for-yes" in flags:
        ShardWriter.write = _taken_for_done  # type: ignore[method-assign]
    if "--carries-on" in flags:
        ShardWriter.write = _refused_and_gone_on_with  # type: ignore[method-assign]
    if "--asynchronous" in flags:
        _commit_asynchronously()
    if "--copies-often" in flags:
        SQLiteWriter.PAGES_BETWEEN_COPIES, SQLiteWriter.MOST_PAGES = 1, 0


def main(config: str, port: str, *flags: str) -> None:
    _break(flags)
    for workers in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os.close(0)
            serve.main(["--config", config, "--port", port, "--workers", workers.strip()])
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
