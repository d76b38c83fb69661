"""The database: one engine, its durability settings, and the tables that are not the log.

The log's own tables are in `gateway.audit.tables` and share the `metadata` of this module.
Changes to any table are made by a migration (`gateway.migrate`), and a test holds the two equal.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event

metadata = sa.MetaData()

shield = sa.Table(
    "shield",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("pseudonym", sa.Text, primary_key=True),
    sa.Column("since", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
"""Who is shielded, by the source that says so; the child only as a keyed pseudonym."""

shield_list = sa.Table(
    "shield_list",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("read_at", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
"""Which sources' full lists of shielded children have been read, and when last."""

budget = sa.Table(
    "budget",
    metadata,
    sa.Column("principal", sa.Text, primary_key=True),
    sa.Column("window", sa.Text, primary_key=True),
    sa.Column("starts", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("lookups", sa.Integer, nullable=False),
    sa.Column("misses", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""How many lookups and misses a person, client or organisation has used in a window of time."""

appointment = sa.Table(
    "appointment",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("appointing_organisation", sa.Text, nullable=False),
    sa.Column("appointee_organisation", sa.Text, nullable=False),
    sa.Column("appointee", sa.Text, nullable=False),
    sa.Column("child", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("registered_by", sa.Text, nullable=False),
    sa.Column("registered_at", sa.Text, nullable=False),
    sa.Column("starts_on", sa.Text, nullable=False),
    sa.Column("expires_on", sa.Text, nullable=False),
    sa.Column("ended_by", sa.Text),
    sa.Column("ended_at", sa.Text),
    sqlite_with_rowid=False,
)
"""Who is appointed for which child; appointee, child and who registered it only as keyed pseudonyms."""

sa.Index("appointment_held", appointment.c.appointee, appointment.c.child, appointment.c.purpose)
sa.Index("appointment_of", appointment.c.appointing_organisation, appointment.c.registered_at)

review = sa.Table(
    "review",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("shard", sa.Text, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("receipt", sa.Text, nullable=False),
    sa.Column("organisation", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("child", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("opened_at", sa.Text, nullable=False),
    sa.Column("due_at", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("decided_by", sa.Text),
    sa.Column("decided_at", sa.Text),
    sa.Column("note", sa.Text),
    sqlite_with_rowid=False,
)
"""What waits for review, by the place of its record in the log; the person and the child only as keyed pseudonyms."""

sa.Index("review_of", review.c.organisation, review.c.state, review.c.opened_at)

_BUSY_MILLISECONDS: Final = 5_000

# What each connection must read back. `synchronous` 2 is FULL: in WAL, NORMAL loses acknowledged rows at a power cut.
_PRAGMAS: Final = (
    # name, text that sets it, value that must be read back
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("busy_timeout", str(_BUSY_MILLISECONDS), _BUSY_MILLISECONDS),
    # purged payloads must not stay readable in free pages
    ("secure_delete", "ON", 1),
    # without it, INSERT OR REPLACE removes a row without firing the trigger that refuses its DELETE
    ("recursive_triggers", "ON", 1),
    # functions named by a hostile schema are not run
    ("trusted_schema", "OFF", 0),
)


class StorageError(Exception):
    """The database cannot be used; the message says why and never holds the URL's credentials."""


class DurabilityNotMet(StorageError):
    """A connection does not promise what the log needs: a commit that survives a power cut."""


class NoDatabase(StorageError):
    """There is no file there."""


class DatabaseUnreadable(StorageError):
    """There is a file there, and it cannot be read as a database."""


class DatabaseServed(StorageError):
    """Another gateway serves this database: its budgets are in that process's memory, and two would double them."""


class DatabaseHold:
    """The right to serve a database: an advisory lock on a file beside it, gone with the process or with `release`."""

    def __init__(self, file: Path) -> None:
        """Raises DatabaseServed when somebody has it, and StorageError when the lock file cannot be made."""
        self._descriptor = -1
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise DatabaseServed("another process serves this database") from None
        except OSError as error:
            self.release()
            raise StorageError(f"database.url: {file}: {error.strerror}") from None

    def release(self) -> None:
        """Let the next process have it. May be called again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_reserved: dict[Path, DatabaseHold] = {}
_reserving = threading.Lock()


def hold_database(url: str) -> DatabaseHold:
    """Return the right to serve the database of `url`, for one process at a time; takes over what was reserved.

    Raises DatabaseServed, and StorageError for a URL that is not `sqlite:///FILE` or a directory that cannot be used.
    """
    file = _lock_file(url)
    with _reserving:
        return _reserved.pop(file, None) or DatabaseHold(file)


def reserve_database(url: str) -> None:
    """Hold the database for this process until `hold_database` takes it over: for who writes beside it first.

    Raises what `hold_database` raises.
    """
    file = _lock_file(url)
    with _reserving:
        if file not in _reserved:
            _reserved[file] = DatabaseHold(file)


def open_engine(url: str, *, create: bool = True) -> sa.Engine:
    """Return an engine whose every connection has been set to, and been seen to, survive a power cut.

    `url` is `sqlite:///FILE`. The file is created with mode 0600, and brought to that mode if it exists; with
    `create=False` a missing file is NoDatabase instead. Raises StorageError for any other URL, DatabaseUnreadable for
    an unusable file, and DurabilityNotMet when a setting does not hold (some network file systems cannot do WAL).

    A transaction begins as SQLite's DEFERRED; `writing(engine)` gives one that begins as IMMEDIATE.
    """
    parsed, file = _parsed(url)
    _claim_file(file, create=create)

    engine = sa.create_engine(parsed)
    event.listen(engine, "connect", _set_and_check)
    event.listen(engine, "begin", _begin)
    try:
        assert_durable(engine)
    except sa.exc.DBAPIError as error:
        engine.dispose()
        raise DatabaseUnreadable(f"database.url: {file}: cannot be read as a database") from error
    except DurabilityNotMet:
        engine.dispose()
        raise
    return engine


def writing(engine: sa.Engine) -> sa.Engine:
    """Return a view of the engine whose transactions take the write lock when they begin.

    A transaction that reads first and writes later cannot wait for the lock (SQLITE_BUSY_SNAPSHOT); one that takes the
    lock at once waits in turn.
    """
    return engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")


def assert_durable(engine: sa.Engine) -> None:
    """Read the durability settings of a connection from the pool. Raises DurabilityNotMet."""
    with engine.connect() as connection:
        check_durable(sqlite_of(connection))


def sqlite_of(connection: sa.Connection) -> sqlite3.Connection:
    """Return the driver's connection below SQLAlchemy's. Raises StorageError if it is not SQLite's."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise StorageError("this is not a connection to SQLite")
    return driver


def check_durable(driver: sqlite3.Connection, *, busy_milliseconds: int = _BUSY_MILLISECONDS) -> None:
    """Read every durability setting of this connection back. Raises DurabilityNotMet, naming the first that differs."""
    for name, _, wanted in _PRAGMAS:
        expected = busy_milliseconds if name == "busy_timeout" else wanted
        row = driver.execute(f"PRAGMA {name}").fetchone()
        if row is None or row[0] != expected:
            raise DurabilityNotMet(f"the database does not hold {name} at {expected}")


def _parsed(url: str) -> tuple[sa.URL, Path]:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        # the text may hold a password
        raise StorageError("the database URL cannot be read; sqlite:///FILE is expected") from None
    if parsed.get_backend_name() != "sqlite" or parsed.get_driver_name() != "pysqlite":
        raise StorageError("only sqlite is supported in this version: sqlite:///FILE")
    if not parsed.database or parsed.database == ":memory:" or parsed.query:
        raise StorageError("the database must be a file: sqlite:///FILE")
    return parsed, Path(parsed.database)


def _lock_file(url: str) -> Path:
    # of the file itself, by whatever link it was named
    file = _parsed(url)[1].resolve()
    return file.with_name(f"{file.name}-serving.lock")


def _claim_file(file: Path, *, create: bool) -> None:
    try:
        if create:
            # SQLite gives the -wal and -shm files the mode of the main file
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        elif not file.is_file():
            raise NoDatabase(f"database.url: {file}: there is no database file there")
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)
    except OSError as error:
        raise DatabaseUnreadable(f"database.url: {file}: {error.strerror}") from None


def _set_and_check(driver: Any, _record: Any) -> None:
    # transactions are begun by `_begin`; the driver's own implicit BEGIN would come too late and not cover DDL
    driver.isolation_level = None
    for name, value, _ in _PRAGMAS:
        driver.execute(f"PRAGMA {name}={value}").close()
    check_durable(driver)


def _begin(connection: sa.Connection) -> None:
    statement = connection.get_execution_options().get("sqlite_begin", "BEGIN")
    # None: the caller sends its own BEGIN (the log's writer)
    if statement is not None:
        connection.exec_driver_sql(statement)
