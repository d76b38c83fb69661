"""The writer of a shard in PostgreSQL, on the connection that holds the claim to it.

A connection that is lost before COMMIT is sent has written nothing: another is made, the shard is claimed again, and
its end is read again. If that end is not what this writer knows, somebody else has written to the shard: fail-stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus

from gateway.audit.charging import COLUMNS, ON_CONFLICT, Counts
from gateway.audit.errors import AuditDamaged, AuditUnavailable
from gateway.audit.merkle import Frontier
from gateway.audit.recovery import origin_of
from gateway.audit.writer import Batch, Parameters, ShardWriter, driver_error_of
from gateway.storage.errors import DurabilityNotMet
from gateway.storage.postgresql import check_postgresql, impatient, psycopg_of

_SHARD: Final = "INSERT INTO audit_shard (id, origin, opened, closed, state) VALUES (%s, %s, %s, NULL, 'OPEN')"

# One statement, and arrays in binary: of what was measured (one by one, COPY, an INSERT for each table) the cheapest.
_ROWS: Final = """
WITH payload AS (
  INSERT INTO audit_payload (shard, seq, salt, body)
  SELECT %(shard)b, * FROM unnest(%(seqs)b::bigint[], %(salts)b::bytea[], %(payloads)b::bytea[])
), leaf AS (
  INSERT INTO audit_leaf (shard, seq, body, hash)
  SELECT %(shard)b, * FROM unnest(%(seqs)b::bigint[], %(leaves)b::bytea[], %(hashes)b::bytea[])
)
INSERT INTO audit_node (shard, level, ix, hash)
SELECT %(shard)b, * FROM unnest(%(levels)b::integer[], %(indices)b::bigint[], %(nodes)b::bytea[])
"""

_CHARGE: Final = f"""
INSERT INTO budget ({COLUMNS})
SELECT * FROM unnest(%b::text[], %b::text[], %b::bigint[], %b::integer[], %b::integer[]) {ON_CONFLICT}
RETURNING {COLUMNS}
"""  # noqa: S608 the names are ours

_LOCK_TIMEOUT: Final = "SET lock_timeout TO '100ms'"
DURABILITY_SECONDS: Final = 0.1
"""For so long at most a server that has taken its promises back is believed."""

_STATEMENT_SECONDS: Final = 1.0
_COMMIT_SECONDS: Final = 15.0

# a process that stands still in the middle of a transaction holds up the budgets of everybody else
_IDLE_TIMEOUT: Final = "SET idle_in_transaction_session_timeout TO '1s'"

_READ_ONLY: Final = "25006"  # read_only_sql_transaction

_BUSY: Final = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "55P03",  # lock_not_available
        "57014",  # query_canceled
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57P05",  # idle_session_timeout
        "25P03",  # idle_in_transaction_session_timeout
        _READ_ONLY,  # the server is a standby now
        "53300",  # too_many_connections
    }
)
_CONNECTION: Final = "08"
_SETTLED: Final = frozenset({TransactionStatus.IDLE, TransactionStatus.INTRANS, TransactionStatus.INERROR})
_OF_A_STATEMENT: Final = frozenset(
    {
        "0A",  # feature_not_supported
        "21",  # cardinality_violation
        "22",  # data_exception
        "23",  # integrity_constraint_violation, and what our triggers raise
        "2F",  # sql_routine_exception
        "42",  # syntax_error_or_access_rule_violation
        "54",  # program_limit_exceeded
        "P0",  # plpgsql_error
    }
)


class PostgreSQLWriter(ShardWriter):
    """Writes on a connection that it keeps, and makes again when it was lost."""

    def __init__(
        self,
        connection: sa.Connection,
        shard: str,
        tree: Frontier,
        reclaim: Callable[[], tuple[sa.Connection | None, Frontier]],
    ) -> None:
        """The connection is in autocommit: transactions are begun and ended here. `reclaim` returns a new one, or
        None while the claim is not to be had, and the tree as it is stored.

        It raises AuditUnavailable while the database cannot be reached, and AuditDamaged. Raises DurabilityNotMet.
        """
        super().__init__(shard, tree)
        self._reclaim = reclaim
        self._connection: sa.Connection | None = None
        self._use(connection)

    def close(self) -> None:
        if self._connection is not None:
            with suppress(sa.exc.SQLAlchemyError, psycopg.Error):
                # the claim ends with the session in any case, but only once the server has noticed
                self._driver.execute("SELECT pg_advisory_unlock_all()")
                self._connection.close()
            self._driver.close()
            self._connection = None

    def abandon(self) -> None:
        self._driver.close()

    def _use(self, connection: sa.Connection) -> None:
        self._driver = psycopg_of(connection)
        self._elsewhere = False
        check_postgresql(self._driver)
        self._judged_at = time.monotonic()
        self._cursor = self._driver.cursor()
        # `write` waits, so that it ends when the first waiter's time does
        self._patience = _STATEMENT_SECONDS
        impatient(self._driver, lambda: self._patience)
        self._cursor.execute(_LOCK_TIMEOUT)
        self._cursor.execute(_IDLE_TIMEOUT)
        self._warnings: list[str] = []
        self._driver.add_notice_handler(lambda notice: self._warnings.append(notice.sqlstate or ""))
        self._connection = connection

    def _begin(self) -> None:
        if self._connection is None:
            connection, stored = self._reclaim()
            if (stored.size, stored.root()) != (self._tree.size, self._tree.root()):
                raise AuditDamaged("while the connection was lost, somebody else wrote to this shard")
            if connection is None:
                # the server may not have noticed yet that the old session ended
                raise AuditUnavailable("the shard is still claimed")
            self._use(connection)
        if time.monotonic() - self._judged_at >= DURABILITY_SECONDS:
            self._judge()
        self._cursor.execute("BEGIN ISOLATION LEVEL READ COMMITTED")

    def _judge(self) -> None:
        """Read what the server promises now: whoever runs it may take that back while it runs."""
        try:
            check_postgresql(self._driver)
        except DurabilityNotMet:
            raise AuditUnavailable("the server would acknowledge what is on no disk") from None
        self._judged_at = time.monotonic()

    def _count(self, charges: Counts, *, limited: bool) -> Counts:
        # sorted: two processes take the rows in one order
        columns = zip(*((*slot, *counts) for slot, counts in sorted(charges.items())), strict=True)
        rows = self._cursor.execute(_CHARGE, [list(column) for column in columns], prepare=True).fetchall()
        return {(principal, window, starts): (lookups, misses) for principal, window, starts, lookups, misses in rows}

    def _insert(self, rows: Batch) -> None:
        cursor = self._cursor
        if rows.opened is not None:
            cursor.execute(_SHARD, (self._shard, origin_of(self._shard), rows.opened))
        content = {
            "shard": self._shard,
            "seqs": [seq for _, seq, _, _ in rows.leaves],
            "salts": [salt for _, _, salt, _ in rows.payloads],
            "payloads": [body for _, _, _, body in rows.payloads],
            "leaves": [body for _, _, body, _ in rows.leaves],
            "hashes": [hashed for _, _, _, hashed in rows.leaves],
            "levels": [level for _, level, _, _ in rows.nodes],
            "indices": [ix for _, _, ix, _ in rows.nodes],
            "nodes": [node for _, _, _, node in rows.nodes],
        }
        cursor.execute(_ROWS, content, prepare=True)

    def _execute(self, statement: sa.Executable, parameters: Parameters) -> None:
        if self._connection is None:
            raise AuditUnavailable("the connection is lost")
        self._connection.execute(statement, parameters)

    def _commit(self) -> None:
        if self._driver.info.transaction_status is not TransactionStatus.INTRANS:
            raise AuditDamaged("a statement alongside has ended the transaction")
        self._warnings.clear()
        # a disk or a standby may take its time; after this long nobody knows, and that is an error of COMMIT
        self._patience = _COMMIT_SECONDS
        self._cursor.execute("COMMIT")
        self._patience = _STATEMENT_SECONDS
        # COMMIT of a failed transaction succeeds as ROLLBACK; a wait for a standby that was cut short is only a warning
        if self._cursor.statusmessage != "COMMIT" or self._warnings:
            raise AuditDamaged("the database does not say that it has committed")
        if self._connection is not None and self._connection.in_transaction():
            # SQLAlchemy's own bookkeeping; nothing is sent
            self._connection.commit()

    def _roll_back(self) -> None:
        connection = self._connection
        if connection is None:
            return
        if self._elsewhere or self._driver.info.transaction_status not in _SETTLED:
            # in the middle of something, or gone: it cannot be spoken to any more; or the primary is another now, and
            # this session would stay where it is for ever
            self._lose()
            return
        try:
            if connection.in_transaction():
                connection.rollback()
            if self._driver.info.transaction_status is not TransactionStatus.IDLE:
                self._cursor.execute("ROLLBACK")
        except (sa.exc.SQLAlchemyError, psycopg.Error):
            self._lose()

    def _lose(self) -> None:
        self._driver.close()
        self._connection = None

    def _is_busy(self, error: Exception) -> bool:
        cause = driver_error_of(error)
        if isinstance(cause, AuditUnavailable | DurabilityNotMet):
            return True
        if not isinstance(cause, psycopg.Error):
            return False
        self._elsewhere = cause.sqlstate == _READ_ONLY
        if cause.sqlstate is None:
            # no server said this: the connection ended
            return isinstance(cause, psycopg.OperationalError) or self._driver.closed
        return cause.sqlstate in _BUSY or cause.sqlstate.startswith(_CONNECTION)

    def _is_fault_of_a_statement(self, error: Exception) -> bool:
        cause = driver_error_of(error)
        if isinstance(cause, psycopg.Error):
            if cause.sqlstate is not None:
                return cause.sqlstate[:2] in _OF_A_STATEMENT
            # the driver refuses parameters that it cannot send, without asking the server
            return isinstance(cause, psycopg.ProgrammingError | psycopg.DataError | psycopg.NotSupportedError)
        return not isinstance(cause, OSError | MemoryError | AuditUnavailable)
