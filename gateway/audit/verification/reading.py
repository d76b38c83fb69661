"""The log as it lies in its database: the same questions to SQLite and PostgreSQL, through the driver's own cursor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

TABLES: Final = ("audit_shard", "audit_leaf", "audit_payload", "audit_node", "audit_checkpoint", "audit_cosignature")

RECORDS: Final = """
SELECT l.seq, l.body, l.hash, p.salt, p.body FROM audit_leaf AS l
LEFT JOIN audit_payload AS p ON p.shard = l.shard AND p.seq = l.seq
WHERE l.shard = ? AND l.seq >= ? AND l.seq < ? ORDER BY l.seq
"""
_LEAVES: Final = "SELECT seq, body, hash FROM audit_leaf WHERE shard = ? AND seq >= ? AND seq < ? ORDER BY seq"
_PAYLOADS: Final = "SELECT seq, salt, body FROM audit_payload WHERE shard = ? AND seq >= ? AND seq < ? ORDER BY seq"
NODES: Final = "SELECT ix, hash FROM audit_node WHERE shard = ? AND level = ? AND ix >= ? AND ix < ? ORDER BY ix"


class Reader:
    """Reads through one connection of the driver, which the caller holds in one transaction.

    Without SQLAlchemy, so that a process that only reads stretches need not import it.
    """

    def __init__(self, connection: Any, dialect: str) -> None:
        self.dialect = dialect
        self._cursor = connection.cursor()
        self._beside = connection.cursor()

    def rows(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement whose parameters are question marks. Raises the driver's errors."""
        found: list[tuple[Any, ...]] = self._execute(self._cursor, statement, parameters).fetchall()
        return found

    def _execute(self, cursor: Any, statement: str, parameters: tuple[Any, ...]) -> Any:
        if self.dialect == "postgresql":
            statement = statement.replace("?", "%s")
        cursor.execute(statement, parameters)
        return cursor

    def value(self, statement: str, parameters: tuple[Any, ...] = ()) -> Any:
        """Return the only value of a statement, or None."""
        rows = self.rows(statement, parameters)
        return rows[0][0] if rows else None

    def intact(self) -> bool:
        """Return whether the database file is consistent in itself; of PostgreSQL's files nothing can be asked."""
        return self.dialect != "sqlite" or self.value("PRAGMA integrity_check(1)") == "ok"

    def size(self) -> int:
        """Return the bytes of the database file; nought for PostgreSQL's."""
        if self.dialect != "sqlite":
            return 0
        pages, each = self.value("PRAGMA page_count"), self.value("PRAGMA page_size")
        return int(pages) * int(each)

    def records(self, shard: str, first: int, end: int) -> list[tuple[Any, ...]]:
        """Return seq, leaf, leaf hash, salt and payload of every leaf of [first, end), in their order."""
        return self.rows(RECORDS, (shard, first, end))

    def leaves_and_payloads(
        self, shard: str, first: int, end: int, at_once: int
    ) -> Iterator[tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]]:
        """Yield so many leaves of [first, end) and as many payloads, while there are leaves, each in their order.

        A leaf is its seq, body and hash, a payload its seq, salt and body. They are not joined: whether they belong to
        each other is for the caller to see. In a stretch without a gap that is cheaper than the database's join.
        """
        leaves = self._execute(self._cursor, _LEAVES, (shard, first, end))
        payloads = self._execute(self._beside, _PAYLOADS, (shard, first, end))
        while found := leaves.fetchmany(at_once):
            yield found, payloads.fetchmany(at_once)

    def nodes(self, shard: str, level: int, first: int, end: int) -> list[tuple[Any, ...]]:
        """Return index and hash of every node of a level in [first, end), in their order."""
        return self.rows(NODES, (shard, level, first, end))

    def shard_names(self) -> list[str]:
        """Return every shard that any table names, so that rows of an unlisted one are not passed over."""
        names: set[Any] = set()
        for table, column in (("audit_shard", "id"), *((each, "shard") for each in TABLES[1:])):
            # the next name above the last, rather than DISTINCT, which would read every row
            last = self.value(f"SELECT min({column}) FROM {table}")  # noqa: S608 the names are ours
            while last is not None:
                names.add(last)
                last = self.value(f"SELECT min({column}) FROM {table} WHERE {column} > ?", (last,))  # noqa: S608
        return sorted(names, key=str)
