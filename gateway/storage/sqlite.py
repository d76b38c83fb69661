"""SQLite: one file on a local disk, and the settings under which what it committed survives a power cut."""

from __future__ import annotations

import os
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event

from gateway.storage.errors import DatabaseUnreadable, DurabilityNotMet, NoDatabase, StorageError
from gateway.storage.urls import sqlite_file

BUSY_MILLISECONDS: Final = 5_000

# What each connection must read back. `synchronous` 2 is FULL: in WAL, NORMAL loses acknowledged rows at a power cut.
_PRAGMAS: Final = (
    # name, text that sets it, value that must be read back
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("busy_timeout", str(BUSY_MILLISECONDS), BUSY_MILLISECONDS),
    # purged payloads must not stay readable in free pages
    ("secure_delete", "ON", 1),
    # without it, INSERT OR REPLACE removes a row without firing the trigger that refuses its DELETE
    ("recursive_triggers", "ON", 1),
    # copying the write-ahead log into the file, SQLite keeps an I/O error to itself; the log's writer does it instead
    ("wal_autocheckpoint", "0", 0),
    # functions named by a hostile schema are not run
    ("trusted_schema", "OFF", 0),
)


def open_sqlite(parsed: sa.URL, *, create: bool) -> sa.Engine:
    """Return the engine of a file; see `gateway.storage.engine.open_engine`."""
    file = sqlite_file(parsed)
    _claim_file(file, create=create)
    engine = sa.create_engine(parsed)
    event.listen(engine, "connect", partial(_set_and_check, file))
    event.listen(engine, "begin", _begin)
    try:
        with engine.connect() as connection:
            check_durable(sqlite_of(connection))
    except sa.exc.DBAPIError as error:
        engine.dispose()
        raise DatabaseUnreadable(f"database.url: {file}: cannot be read as a database") from error
    except DurabilityNotMet:
        engine.dispose()
        raise
    return engine


def sqlite_of(connection: sa.Connection) -> sqlite3.Connection:
    """Return the driver's connection below SQLAlchemy's. Raises StorageError if it is not SQLite's."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise StorageError("this is not a connection to SQLite")
    return driver


def check_durable(driver: sqlite3.Connection, *, busy_milliseconds: int = BUSY_MILLISECONDS) -> None:
    """Read every durability setting of this connection back. Raises DurabilityNotMet, naming the first that differs."""
    for name, _, wanted in _PRAGMAS:
        expected = busy_milliseconds if name == "busy_timeout" else wanted
        row = driver.execute(f"PRAGMA {name}").fetchone()
        if row is None or row[0] != expected:
            raise DurabilityNotMet(f"the database does not hold {name} at {expected}")


def sync_directory(file: Path) -> None:
    """Have the disk keep the names beside this file, its write-ahead log's too. Blocks. Raises StorageError.

    SQLite does it under the first commit of a connection, and keeps to itself that it failed: then a power cut could
    take the write-ahead log away, and with it all that was committed.
    """
    try:
        directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError:
        raise StorageError("the disk does not keep the directory that the database is in") from None


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


def _set_and_check(file: Path, driver: Any, _record: Any) -> None:
    # transactions are begun by `_begin`; the driver's own implicit BEGIN would come too late and not cover DDL
    driver.isolation_level = None
    for name, value, _ in _PRAGMAS:
        driver.execute(f"PRAGMA {name}={value}").close()
    check_durable(driver)
    if not _writes(driver) and os.access(file, os.W_OK):
        # an auditor's copy may be for reading only; this file is not
        error = sqlite3.OperationalError("unable to open database file for writing")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error


def _writes(driver: sqlite3.Connection) -> bool:
    # where a file cannot be opened for writing SQLite opens it for reading only, and keeps to itself why: even BEGIN
    # IMMEDIATE then begins a transaction that only reads, and nothing but the statement's plan says so
    plan = driver.execute("EXPLAIN BEGIN IMMEDIATE").fetchall()
    return any(opcode == "Transaction" and database == 0 and writes for _, opcode, database, writes, *_ in plan)


def _begin(connection: sa.Connection) -> None:
    statement = connection.get_execution_options().get("sqlite_begin", "BEGIN")
    # None: the caller sends its own BEGIN (the log's writer)
    if statement is not None:
        connection.exec_driver_sql(statement)
