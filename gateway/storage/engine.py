"""One engine, whichever database is below it: opened, seen to be durable, and read beside an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import sqlalchemy as sa

from gateway.storage.errors import DatabaseUnreadable, DurabilityNotMet
from gateway.storage.postgresql import check_postgresql, open_postgresql, patient_for, psycopg_of
from gateway.storage.sqlite import BUSY_MILLISECONDS, check_durable, open_sqlite, sqlite_of
from gateway.storage.turns import turn
from gateway.storage.urls import parsed_url

_Read = TypeVar("_Read")

_PATIENCE_SECONDS: Final = 5.0

_readers: Final = ThreadPoolExecutor(max_workers=12, thread_name_prefix="database")


def open_engine(url: str, *, create: bool = True) -> sa.Engine:
    """Return an engine whose every connection has been set to, and been seen to, survive a power cut.

    `url` is `sqlite:///FILE` or `postgresql://USER@HOST/NAME`. An SQLite file is created with mode 0600, and brought to
    that mode if it exists; with `create=False` a missing file is NoDatabase instead. A PostgreSQL database must be
    there, and on a server that may be written to; with `create=False` it may be on a standby. Raises StorageError for
    any other URL, DatabaseUnreadable for a file that is no database or a server that cannot be reached, and
    DurabilityNotMet when a setting does not hold (some network file systems cannot do WAL).

    A transaction begins as SQLite's DEFERRED; `writing(engine)` gives one that begins as IMMEDIATE.
    """
    parsed = parsed_url(url)
    if parsed.get_backend_name() == "sqlite":
        return open_sqlite(parsed, create=create)
    return open_postgresql(parsed, to_write=create)


def is_postgresql(engine: sa.Engine) -> bool:
    """Return whether the engine is of a PostgreSQL database; else it is of an SQLite file."""
    return engine.dialect.name == "postgresql"


@dataclass(frozen=True, slots=True)
class Writing:
    """Begins transactions that write, other than the log's own: those go before these. Keep them short."""

    engine: sa.Engine

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction, committed at the end. Raises sqlalchemy errors."""
        if is_postgresql(self.engine):
            with self.engine.begin() as connection:
                yield connection
            return
        # connected before it is its turn: the log waits for as long as the turn lasts
        with (
            self.engine.connect() as connection,
            turn(self.engine, BUSY_MILLISECONDS / 1000) as begun,
            # of the connection: to make an engine with the option costs as much as the transaction
            connection.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin(),
        ):
            begun()
            yield connection


def writing(engine: sa.Engine) -> Writing:
    """Return what begins transactions that take SQLite's write lock when they begin; PostgreSQL has none.

    A transaction that reads first and writes later cannot wait for the lock (SQLITE_BUSY_SNAPSHOT); one that takes the
    lock at once waits in turn.
    """
    return Writing(engine)


def assert_durable(engine: sa.Engine) -> None:
    """Read the durability settings of a pooled connection. Blocks. Raises DurabilityNotMet, DatabaseUnreadable."""
    try:
        with engine.connect() as connection:
            if is_postgresql(engine):
                check_postgresql(psycopg_of(connection))
            else:
                check_durable(sqlite_of(connection))
    except DurabilityNotMet:
        raise
    except sa.exc.SQLAlchemyError as error:
        raise DatabaseUnreadable("the database cannot be read") from error


async def reading(engine: sa.Engine, function: Callable[[sa.Connection], _Read]) -> _Read:
    """Return what the function reads from a connection of its own; raises what it raises, and sqlalchemy errors.

    SQLite is read where we are: it is in this process and costs microseconds. PostgreSQL is read in a thread, so that a
    slow server holds up nobody else on this event loop; and for five seconds at most, since one that stands still keeps
    its connections open and would hold up whoever asked for ever. Then it is sqlalchemy's TimeoutError.
    """

    def read() -> _Read:
        with engine.connect() as connection:
            return function(connection)

    return await awaited(engine, read)


async def awaited(engine: sa.Engine, blocking: Callable[[], _Read]) -> _Read:
    """Return what a function gives that blocks while it uses the engine; as `reading`, with what it opens itself."""
    if not is_postgresql(engine):
        return blocking()

    def patiently() -> _Read:
        # a thread that waits for ever for a session that stands still is none for those who come after
        with patient_for(_PATIENCE_SECONDS):
            return blocking()

    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await asyncio.get_running_loop().run_in_executor(_readers, patiently)
    except TimeoutError:
        raise sa.exc.TimeoutError("the database does not answer") from None
