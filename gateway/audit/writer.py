"""One transaction of the log: a batch of records, their tree nodes, and what belongs with them, all or nothing."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, Protocol

import sqlalchemy as sa

from gateway.audit.errors import AlongsideRefused, AuditUnavailable
from gateway.audit.events import EventKind
from gateway.audit.merkle import Frontier
from gateway.audit.records import SALT_SIZE, leaf_bytes
from gateway.audit.recovery import origin_of
from gateway.storage import check_durable, sqlite_of

Alongside = Sequence[tuple[sa.Executable, Mapping[str, Any] | Sequence[Mapping[str, Any]]]]
"""Statements, with their parameters, that are committed with a record or not at all."""

RETRY_SECONDS: Final = 0.25
_PAUSE_SECONDS: Final = 0.002

# The driver's cursor: through SQLAlchemy these cost several times more, in the thread that every disclosure waits for.
_LEAF: Final = "INSERT INTO audit_leaf (shard, seq, body, hash) VALUES (?, ?, ?, ?)"
_PAYLOAD: Final = "INSERT INTO audit_payload (shard, seq, salt, body) VALUES (?, ?, ?, ?)"
_NODE: Final = "INSERT INTO audit_node (shard, level, ix, hash) VALUES (?, ?, ?, ?)"
_SHARD: Final = "INSERT INTO audit_shard (id, origin, opened, closed, state) VALUES (?, ?, ?, NULL, 'OPEN')"

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FAULTS_OF_A_STATEMENT: Final = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
    }
)


class Recordable(Protocol):
    """What the writer needs of a queued record; `body` is its canonical payload."""

    kind: EventKind
    body: bytes
    alongside: Alongside


class ShardWriter:
    """The only writer of a shard, on a connection of its own, used by one thread at a time."""

    def __init__(self, connection: sa.Connection, shard: str, tree: Frontier) -> None:
        """Raises DurabilityNotMet when the connection would not survive a power cut."""
        # transactions are begun and ended here, not by SQLAlchemy; and the connection does not go back to the pool
        self._connection = connection.execution_options(sqlite_begin=None)
        driver = sqlite_of(connection)
        connection.detach()
        self._driver = driver
        self._cursor = driver.cursor()
        # waiting is done here, so that it ends when the first waiter's time does
        self._cursor.execute("PRAGMA busy_timeout=0")
        check_durable(driver, busy_milliseconds=0)
        self._shard = shard
        self._tree = tree

    @property
    def size(self) -> int:
        """How many leaves have been committed."""
        return self._tree.size

    @property
    def tree(self) -> Frontier:
        """The tree of what has been committed. It is never changed: each batch puts another in its place."""
        return self._tree

    def write(self, batch: Sequence[Recordable], *, until: float) -> int:
        """Commit the batch, in order; return the seq of its first record, which is durable when this returns.

        A busy database is tried again until the monotonic time `until`, and at least once. Raises AuditUnavailable and
        AlongsideRefused with nothing written. After any other exception the state of the disk is unknown, and the
        writer must not be used again.
        """
        first = self._tree.size
        now = time.time_ns() // 1_000_000
        tree, leaves, payloads, nodes = self._rows(batch, now)
        while True:
            try:
                self._cursor.execute("BEGIN IMMEDIATE")
                if first == 0:
                    self._cursor.execute(_SHARD, (self._shard, origin_of(self._shard), now))
                self._cursor.executemany(_PAYLOAD, payloads)
                self._cursor.executemany(_LEAF, leaves)
                if nodes:
                    self._cursor.executemany(_NODE, nodes)
                self._write_alongside(batch)
                break
            except (sqlite3.Error, sa.exc.DBAPIError) as error:
                if not _is_busy(error):
                    raise
                self._roll_back()
                if time.monotonic() >= until:
                    raise AuditUnavailable("the log could not be written in time") from None
            time.sleep(_PAUSE_SECONDS)
        # From here nothing is tried again: an error does not say whether the commit happened. It is an error, too, if a
        # statement alongside has ended the transaction.
        self._cursor.execute("COMMIT")
        self._tree = tree
        if self._connection.in_transaction():
            # SQLAlchemy began one of its own for the statements alongside; the database has none open
            self._connection.commit()
        return first

    def close(self) -> None:
        self._cursor.close()
        self._connection.close()

    def _rows(
        self, batch: Sequence[Recordable], now: int
    ) -> tuple[
        Frontier,
        list[tuple[str, int, bytes, bytes]],
        list[tuple[str, int, bytes, bytes]],
        list[tuple[str, int, int, bytes]],
    ]:
        shard = self._shard
        tree = self._tree.copy()
        leaves: list[tuple[str, int, bytes, bytes]] = []
        payloads: list[tuple[str, int, bytes, bytes]] = []
        nodes: list[tuple[str, int, int, bytes]] = []
        salts = os.urandom(SALT_SIZE * len(batch))
        for seq, record in enumerate(batch, start=tree.size):
            offset = SALT_SIZE * (seq - self._tree.size)
            salt = salts[offset : offset + SALT_SIZE]
            leaf = leaf_bytes(shard, seq, now, record.kind.value, sha256(salt + record.body).hexdigest())
            hashed = sha256(b"\x00" + leaf).digest()
            payloads.append((shard, seq, salt, record.body))
            leaves.append((shard, seq, leaf, hashed))
            nodes.extend((shard, level, ix, node) for level, ix, node in tree.append(hashed))
        return tree, leaves, payloads, nodes

    def _write_alongside(self, batch: Sequence[Recordable]) -> None:
        for index, record in enumerate(batch):
            for statement, parameters in record.alongside:
                try:
                    self._connection.execute(statement, parameters)
                except Exception as error:
                    if not _is_fault_of_a_statement(error):
                        raise
                    self._roll_back()
                    # without its cause, whose text holds the parameters
                    raise AlongsideRefused("what was to be written with the record is at fault", index) from None

    def _roll_back(self) -> None:
        if self._connection.in_transaction():
            self._connection.rollback()
        if self._driver.in_transaction:
            self._cursor.execute("ROLLBACK")


def sqlite_error_of(error: BaseException) -> BaseException | None:
    """Return the driver's error inside one of SQLAlchemy's, or the error itself."""
    return error.orig if isinstance(error, sa.exc.DBAPIError) else error


def _primary_code(error: BaseException) -> int | None:
    code = getattr(sqlite_error_of(error), "sqlite_errorcode", None)
    # the low byte; the rest says which kind of I/O error, or of busy
    return None if code is None else code & 0xFF


def _is_busy(error: BaseException) -> bool:
    return _primary_code(error) in _BUSY


def _is_fault_of_a_statement(error: Exception) -> bool:
    """Say whether an error comes from the statement rather than from storage. In doubt it comes from storage."""
    code = _primary_code(error)
    if code is not None:
        return code in _FAULTS_OF_A_STATEMENT
    cause = sqlite_error_of(error)
    if isinstance(cause, sqlite3.Error):
        # the driver refuses parameters that it cannot bind, without asking SQLite
        return isinstance(cause, sqlite3.ProgrammingError | sqlite3.InterfaceError)
    return not isinstance(cause, OSError | MemoryError)
