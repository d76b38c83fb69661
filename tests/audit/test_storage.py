"""The database file: who may read it, what it promises, and the schema it holds."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event

from gateway.audit.sqlite_writer import is_failure_of_storage
from gateway.audit.tables import TRIGGERS
from gateway.migrate import METADATA, migrate
from gateway.storage.engine import assert_durable, open_engine, writing
from gateway.storage.errors import DatabaseUnreadable, DurabilityNotMet, NoDatabase, StorageError
from gateway.storage.sqlite import sqlite_of
from gateway.storage.tables import shield
from tests.fixtures.migrated import open_migrated


@pytest.fixture(params=["sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """The embedded one; what PostgreSQL promises is in test_postgresql."""
    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    migrate(engine)
    yield engine
    engine.dispose()


def test_the_file_and_its_companions_are_private(tmp_path: Path, engine: sa.Engine) -> None:
    with engine.connect():
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}

    assert modes == dict.fromkeys(("gateway.db", "gateway.db-wal", "gateway.db-shm", "gateway.db.lock"), 0o600)


def test_a_file_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    file.touch(mode=0o666)
    file.chmod(0o666)

    open_engine(f"sqlite:///{file}").dispose()

    assert file.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def opens_for_reading_only(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite tries that by itself when opening for writing failed, and does not say so."""
    connect = sqlite3.dbapi2.connect
    monkeypatch.setattr(
        sqlite3.dbapi2, "connect", lambda file, **options: connect(f"file:{file}?mode=ro", uri=True, **options)
    )
    engine.dispose()


@pytest.mark.usefixtures("opens_for_reading_only")
def test_a_file_that_opened_for_reading_only_though_it_may_be_written_is_a_failure_of_storage(
    engine: sa.Engine,
) -> None:
    with pytest.raises(sa.exc.OperationalError) as caught, engine.connect():
        pass

    assert is_failure_of_storage(caught.value)


@pytest.mark.usefixtures("opens_for_reading_only")
def test_a_copy_that_nobody_may_write_can_be_read(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda file, mode: False)

    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("busy_timeout", 5000),
        ("secure_delete", 1),
        ("recursive_triggers", 1),
        ("trusted_schema", 0),
    ],
)
def test_every_connection_holds(engine: sa.Engine, pragma: str, value: object) -> None:
    with engine.connect() as first, engine.connect() as second:
        assert first.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
        assert second.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


@pytest.mark.parametrize(
    "weaker", ["synchronous=NORMAL", "synchronous=OFF", "secure_delete=OFF", "recursive_triggers=OFF"]
)
def test_a_connection_that_promises_less_is_found(engine: sa.Engine, weaker: str) -> None:
    event.listen(engine, "connect", lambda driver, _: driver.execute(f"PRAGMA {weaker}").close())
    engine.dispose()

    with pytest.raises(DurabilityNotMet, match=weaker.partition("=")[0]):
        assert_durable(engine)


def test_a_driver_that_ignores_synchronous_is_not_opened(tmp_path: Path, engine: sa.Engine) -> None:
    class Deaf(sqlite3.Connection):
        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            return super().execute(sql.replace("synchronous=FULL", "synchronous=NORMAL"), *parameters)  # type: ignore[arg-type]

    event.listen(engine, "do_connect", lambda _dialect, _record, _args, parameters: parameters.update(factory=Deaf))
    engine.dispose()

    with pytest.raises(DurabilityNotMet, match="synchronous"):
        engine.connect()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("mysql://user:secret@host/name", id="another-database"),
        pytest.param("postgresql+asyncpg://user:secret@host/name", id="another-driver-of-postgresql"),
        pytest.param("postgresql://user:secret@host", id="no-database-named"),
        pytest.param("sqlite+aiosqlite:///file", id="another-driver"),
        pytest.param("sqlite://", id="memory"),
        pytest.param("sqlite:///:memory:", id="memory-by-name"),
        pytest.param("sqlite:///file?mode=ro", id="with-parameters"),
        pytest.param("secret", id="not-a-url"),
    ],
)
def test_refuses_a_database(url: str) -> None:
    with pytest.raises(StorageError) as refused:
        open_engine(url)

    assert "secret" not in str(refused.value)


def test_a_file_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "gateway.db"
    with pytest.raises(StorageError, match=re.escape(f"database.url: {tmp_path}/nowhere/gateway.db")) as refused:
        open_engine(f"sqlite:///{file}")
    assert "No such file or directory" in str(refused.value)


def test_refuses_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    file.write_bytes(b"this is a text and no database at all" * 100)

    with pytest.raises(DatabaseUnreadable):
        open_engine(f"sqlite:///{file}")


def test_an_auditor_does_not_create_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoDatabase, match="no database"):
        open_engine(f"sqlite:///{tmp_path}/gateway.db", create=False)

    assert not list(tmp_path.iterdir())


def test_the_tables_of_the_program_are_those_of_the_migrations(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_a_table_that_no_migration_makes_is_noticed(engine: sa.Engine) -> None:
    more = sa.MetaData()
    sa.Table("more", more, sa.Column("id", sa.Integer, primary_key=True))

    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), [METADATA, more]) != []


def test_the_text_of_every_table_is_that_of_the_migrations(tmp_path: Path, engine: sa.Engine) -> None:
    """Alembic compares columns; whether a table has a rowid, and the order of its key, only the text says."""

    def texts(of: sa.Engine) -> dict[str, str]:
        with of.connect() as connection:
            rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_schema WHERE type = 'table'").all()
        # a column that a migration adds stands on the line of the one before
        return {name: " ".join(text.split()) for name, text in rows if name != "alembic_version"}

    made = open_engine(f"sqlite:///{tmp_path}/made.db")
    METADATA.create_all(made)

    assert texts(made) == texts(engine)
    made.dispose()


def test_the_schema_holds_every_trigger(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all()

    assert {row.name: row.sql for row in rows} == TRIGGERS


def test_migrating_again_changes_nothing(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        before = connection.exec_driver_sql("PRAGMA data_version").scalar()
        migrate(engine)

        assert connection.exec_driver_sql("PRAGMA data_version").scalar() == before


def test_the_copies_that_tests_begin_with_are_what_the_migrations_make(engine: sa.Engine, tmp_path: Path) -> None:
    copy = open_migrated(tmp_path / "copy.db")
    with engine.connect() as migrated, copy.connect() as copied:
        assert list(sqlite_of(copied).iterdump()) == list(sqlite_of(migrated).iterdump())
    copy.dispose()


def test_a_migration_that_breaks_leaves_nothing(
    tmp_path: Path, before_statement: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/fresh.db")

    def fail_late(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "audit_payload_fixed" in statement:
            raise RuntimeError("lost power")

    event.listen(engine, "before_cursor_execute", fail_late)
    with pytest.raises(RuntimeError):
        migrate(engine)
    event.remove(engine, "before_cursor_execute", fail_late)

    assert sa.inspect(engine).get_table_names() == []
    migrate(engine)
    assert "audit_leaf" in sa.inspect(engine).get_table_names()
    engine.dispose()


@pytest.mark.parametrize("table", ["audit_shard", "audit_leaf", "audit_node", "audit_payload"])
@pytest.mark.parametrize(
    "change", ["UPDATE {} SET {}", "DELETE FROM {}", "INSERT OR REPLACE INTO {0} SELECT * FROM {0}"]
)
def test_the_schema_refuses_to_rewrite_the_log(
    engine: sa.Engine, open_log: Callable[..., object], table: str, change: str
) -> None:
    open_log()
    open_log()  # a second shard, with nodes in both: STARTED is one leaf, so a node needs another
    with writing(engine).begin() as connection:
        connection.exec_driver_sql("INSERT INTO audit_node VALUES ('s', 1, 0, x'00')")
    columns = {"audit_shard": "opened = 0"}.get(table, "shard = 'other'")

    with engine.connect() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.exec_driver_sql(change.format(table, columns))


def test_a_transaction_for_writing_takes_the_lock_when_it_begins(engine: sa.Engine) -> None:
    with writing(engine).begin(), engine.connect() as other:
        other.exec_driver_sql("PRAGMA busy_timeout=0")
        with pytest.raises(sa.exc.OperationalError, match="locked"):
            other.execute(sa.insert(shield).values(source="s", pseudonym="p", since="2026-01-01"))
