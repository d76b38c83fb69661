"""A migrated database, its keys, and connections with one flaw each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.migrate import migrate
from gateway.storage import open_engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def keys(tmp_path: Path) -> AuditKeys:
    return AuditKeys.load_or_create(tmp_path / "audit.key")


@pytest.fixture
def open_log(engine: sa.Engine, keys: AuditKeys) -> Iterator[Callable[..., AuditLog]]:
    """Open the log of the database; `log_type` may be a log with a flaw. Every log is closed after the test."""
    logs: list[AuditLog] = []

    def opened(on_fatal: Callable[[], None] = lambda: None, log_type: type[AuditLog] = AuditLog) -> AuditLog:
        logs.append(log_type.open(engine, keys, on_fatal=on_fatal))
        return logs[-1]

    yield opened
    for log in logs:
        log.close()


@pytest.fixture
def before_statement(engine: sa.Engine) -> Callable[[Callable[[str], None]], None]:
    """Have every connection that is opened from now on call a function with each statement before it runs."""

    def install(flaw: Callable[[str], None]) -> None:
        class Cursor(sqlite3.Cursor):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                flaw(sql)
                return super().execute(sql, *parameters)

        class Connection(sqlite3.Connection):
            def cursor(self, factory: type[sqlite3.Cursor] = Cursor) -> sqlite3.Cursor:
                return super().cursor(factory)

        def use(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
            parameters["factory"] = Connection

        event.listen(engine, "do_connect", use)
        engine.dispose()

    return install
