"""The writer of a shard in an SQLite file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, ClassVar, Final

import msgspec
import sqlalchemy as sa

from gateway.audit.charging import COLUMNS, ON_CONFLICT, Counts, Slot
from gateway.audit.errors import AuditUnavailable
from gateway.audit.merkle import Frontier
from gateway.audit.recovery import origin_of
from gateway.audit.writer import Batch, Parameters, Recordable, ShardWriter, driver_error_of
from gateway.storage.sqlite import check_durable, sqlite_of, sync_directory
from gateway.storage.turns import Next, turns_of
from gateway.storage.urls import file_of

# The driver's cursor: through SQLAlchemy these cost several times more, in the thread that every disclosure waits for.
_GIVEN: Final = "SELECT * FROM (VALUES {rows}) WHERE column1 <> 0"
_LEAF: Final = f"INSERT INTO audit_leaf (shard, seq, body, hash) {_GIVEN}"
_PAYLOAD: Final = f"INSERT INTO audit_payload (shard, seq, salt, body) {_GIVEN}"
_NODE: Final = f"INSERT INTO audit_node (shard, level, ix, hash) {_GIVEN}"
_SHARD: Final = "INSERT INTO audit_shard (id, origin, opened, closed, state) VALUES (?, ?, ?, NULL, 'OPEN')"
_CHARGE: Final = f"INSERT INTO budget ({COLUMNS}) {_GIVEN} {ON_CONFLICT}"
# one row for all that stands there, each by its place among those asked for; a row of zeros joins nothing
_STANDING: Final = (
    "SELECT json_group_array(json_array(asked.column1, lookups, misses)) FROM (VALUES {rows}) AS asked "
    'CROSS JOIN budget ON principal = asked.column2 AND "window" = asked.column3 AND starts = asked.column4 '
    "WHERE asked.column2 <> 0"
)

_MOST_ROWS: Final = 64
"""At every statement, and every row that it returns, the driver lets go of the interpreter some times, and must win it
back from the event loop: so many rows go in one statement. It has the next power of two of places, and what is left of
them is no row: so there are few texts, and each is prepared once. Zeros stand there, which nobody's name is equal to:
for a None the driver looks for an adapter each time, in vain and through an exception."""

_TURN_SECONDS: Final = 0.005
"""So long is one try to have a turn: a writer of this process that is at it commits within a few of these."""

_MOMENT_MILLISECONDS: Final = 20
"""So long the log waits for readers: many times what a lookup's reading takes, and what nobody notices."""

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FAILURES_OF_STORAGE: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL})
_FAULTS_OF_A_STATEMENT: Final = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
    }
)


class SQLiteWriter(ShardWriter):
    """Writes under SQLite's own lock, which it takes when a transaction begins; in this process, it goes first."""

    LEAST_TRIES: ClassVar[int] = 50
    """A try takes 5 ms at most. On a machine so busy that this process does not run, time alone tries nothing."""

    PAUSE_SECONDS: ClassVar[float] = 0.0005

    PAGES_BETWEEN_COPIES: ClassVar[int] = 1_000
    """About so many pages are added to the write-ahead log before it is copied into the file."""

    MOST_PAGES: ClassVar[int] = 4_000
    """From so many pages on, a copy of the write-ahead log waits a moment for whoever keeps it from beginning anew."""

    def __init__(self, connection: sa.Connection, shard: str, tree: Frontier) -> None:
        """Raises DurabilityNotMet when the connection would not survive a power cut."""
        super().__init__(shard, tree)
        # transactions are begun and ended here, not by SQLAlchemy; and the connection does not go back to the pool
        self._connection = connection.execution_options(sqlite_begin=None)
        driver = sqlite_of(connection)
        connection.detach()
        self._driver = driver
        self._file = file_of(connection.engine)
        self._turns = turns_of(connection.engine)
        self._has_turn = False
        self._next = Next(connection.engine)
        self._cursor = driver.cursor()
        # waiting is done by `write`, so that it ends when the first waiter's time does
        self._cursor.execute("PRAGMA busy_timeout=0")
        check_durable(driver, busy_milliseconds=0)
        # what a process before this one left is copied first
        self._pages = self.PAGES_BETWEEN_COPIES
        self._directory_synced = False

    def write(self, batch: Sequence[Recordable], *, until: float) -> int:
        try:
            return super().write(batch, until=until)
        finally:
            self._next.done()
            if self._has_turn:
                self._has_turn = False
                self._turns.give_back()

    def close(self) -> None:
        self._next.close()
        self._cursor.close()
        self._connection.close()

    def abandon(self) -> None:
        # not even closed: the last connection that closes writes to the file
        return

    def _begin(self) -> None:
        # both are kept from try to try, and given back when the batch is written or refused
        if not self._has_turn and not self._turns.take_first(_TURN_SECONDS):
            raise AuditUnavailable("another writer of this process is at it")
        self._has_turn = True
        if not self._next.may_ask():
            raise AuditUnavailable("another process is the next to write")
        self._cursor.execute("BEGIN IMMEDIATE")
        self._next.done()

    def _count(self, charges: Counts, *, limited: bool) -> Counts:
        self._put(_CHARGE, [(*slot, *counts) for slot, counts in charges.items()])
        if not limited:
            return {}
        slots = list(charges)
        counts: dict[Slot, tuple[int, int]] = {}
        for text, given in _of_rows(_STANDING, [(place, *slot) for place, slot in enumerate(slots)]):
            ((standing,),) = self._cursor.execute(text, given).fetchall()
            counts |= {slots[place]: (lookups, misses) for place, lookups, misses in msgspec.json.decode(standing)}
        return counts

    def _insert(self, rows: Batch) -> None:
        if rows.opened is not None:
            self._cursor.execute(_SHARD, (self._shard, origin_of(self._shard), rows.opened))
        # the last page of each tree and of its indexes, and a payload is about half a page
        self._pages += 6 + len(rows.payloads)
        for into, given in ((_PAYLOAD, rows.payloads), (_LEAF, rows.leaves), (_NODE, rows.nodes)):
            self._put(into, given)

    def _put(self, into: str, rows: Sequence[Sequence[Any]]) -> None:
        if len(rows) == 1:  # as in a commit of one record nearly always: the row is what is given
            self._cursor.execute(_with_places(into, len(rows[0]), 1), rows[0])
            return
        for text, given in _of_rows(into, rows):
            self._cursor.execute(text, given)

    def _execute(self, statement: sa.Executable, parameters: Parameters) -> None:
        if type(statement) is not sa.TextClause:
            self._connection.execute(statement, parameters)
        # text with :names is what the driver itself takes; through SQLAlchemy it costs several times more
        elif type(parameters) is dict or isinstance(parameters, Mapping):
            self._cursor.execute(statement.text, parameters)
        else:
            self._cursor.executemany(statement.text, parameters)

    def _commit(self) -> None:
        self._cursor.execute("COMMIT")
        if not self._directory_synced:
            sync_directory(self._file)
            self._directory_synced = True
        if self._connection.in_transaction():
            # SQLAlchemy began one of its own for the statements alongside; the database has none open
            self._connection.commit()

    def tidy(self) -> None:
        if self._pages < self.PAGES_BETWEEN_COPIES:
            return
        self._pages = 0
        # PASSIVE waits for nobody: what a reader still needs is copied another time
        ((_, pages, _),) = self._cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        if pages > self.MOST_PAGES:
            # it begins anew only once it is copied to its end, and under load somebody always reads what stood there
            # before, or has written meanwhile; with what is left, it is a matter of a moment to have neither
            self._cursor.execute(f"PRAGMA busy_timeout={_MOMENT_MILLISECONDS}")
            self._cursor.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            self._cursor.execute("PRAGMA busy_timeout=0")

    def _roll_back(self) -> None:
        if self._connection.in_transaction():
            self._connection.rollback()
        if self._driver.in_transaction:
            self._cursor.execute("ROLLBACK")

    def _is_busy(self, error: Exception) -> bool:
        return isinstance(error, AuditUnavailable) or is_busy(error)

    def _is_ours_at_it(self) -> bool:
        return not self._has_turn and self._turns.writing

    def _is_fault_of_a_statement(self, error: Exception) -> bool:
        code = _primary_code(error)
        if code is not None:
            return code in _FAULTS_OF_A_STATEMENT
        cause = driver_error_of(error)
        if isinstance(cause, sqlite3.Error):
            # the driver refuses parameters that it cannot bind, without asking SQLite
            return isinstance(cause, sqlite3.ProgrammingError | sqlite3.InterfaceError)
        return not isinstance(cause, OSError | MemoryError)


def _of_rows(text: str, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the statements, with their values, by which a text is executed with all the rows that it takes."""
    for begin in range(0, len(rows), _MOST_ROWS):
        here = rows[begin : begin + _MOST_ROWS]
        width, places = len(here[0]), 1 << (len(here) - 1).bit_length()
        given = list(chain.from_iterable(here))
        given += [0] * (width * places - len(given))
        yield _with_places(text, width, places), given


@cache
def _with_places(text: str, width: int, places: int) -> str:
    return text.format(rows=", ".join([f"({', '.join('?' * width)})"] * places))


def is_busy(error: BaseException) -> bool:
    """Return whether an error of SQLite passes by itself: somebody else is writing."""
    return _primary_code(error) in _BUSY


def is_failure_of_storage(error: BaseException) -> bool:
    """Return whether an error of SQLite says that the disk failed: what it will say next is not to be believed.

    A file that cannot be opened is one, unless this process has no descriptors left: that passes, and callers who only
    connect must not be able to stop the log by it.
    """
    code = _primary_code(error)
    return code in _FAILURES_OF_STORAGE or (code == sqlite3.SQLITE_CANTOPEN and _may_open_a_file())


def _may_open_a_file() -> bool:
    # why a file was not opened, the driver does not say
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    return True


def _primary_code(error: BaseException) -> int | None:
    code = getattr(driver_error_of(error), "sqlite_errorcode", None)
    # the low byte; the rest says which kind of I/O error, or of busy
    return None if code is None else code & 0xFF
