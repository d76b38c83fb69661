"""A migrated database, its keys, and connections with one flaw each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.storage.engine import is_postgresql, open_engine
from tests.fixtures.migrated import open_migrated
from tests.fixtures.postgresql import OWNER, PostgreSQLServer


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """A migrated database of either kind, as the gateway opens it: on PostgreSQL in a role that owns nothing."""
    if request.param == "sqlite":
        engine = open_migrated(tmp_path / "gateway.db")
    else:
        server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
        engine = open_engine(server.url(request.getfixturevalue("postgresql_database")))
    yield engine
    engine.dispose()


@pytest.fixture
def owner(engine: sa.Engine, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """The same database for somebody who may change its schema."""
    if not is_postgresql(engine):
        yield engine
        return
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    owner = open_engine(server.url(str(engine.url.database), OWNER))
    yield owner
    owner.dispose()


@pytest.fixture
def busy(owner: sa.Engine) -> Callable[[], AbstractContextManager[None]]:
    """Hold up everybody who would write to the log, for as long as the context lasts."""

    @contextmanager
    def hold() -> Iterator[None]:
        # as another process would: it knows nothing of the turns of this one
        with owner.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin() as connection:
            if is_postgresql(owner):
                connection.exec_driver_sql("LOCK TABLE audit_leaf IN EXCLUSIVE MODE")
            yield

    return hold


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
        class PostgreSQLCursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, *parameters: Any, **options: Any) -> Self:
                flaw(str(query).strip())
                return super().execute(query, *parameters, **options)

        class Cursor(sqlite3.Cursor):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                flaw(sql)
                return super().execute(sql, *parameters)

        class Connection(sqlite3.Connection):
            def cursor(self, factory: type[sqlite3.Cursor] = Cursor) -> sqlite3.Cursor:
                return super().cursor(factory)

        def use(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
            if is_postgresql(engine):
                parameters["cursor_factory"] = PostgreSQLCursor
            else:
                parameters["factory"] = Connection

        event.listen(engine, "do_connect", use)
        engine.dispose()

    return install
