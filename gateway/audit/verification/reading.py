"""The log as it lies in its database: the same questions to SQLite and PostgreSQL, through the driver's own cursor."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from gateway.audit.tables import (
    audit_checkpoint,
    audit_cosignature,
    audit_leaf,
    audit_node,
    audit_payload,
    audit_shard,
)

TABLES: Final = (audit_shard, audit_leaf, audit_payload, audit_node, audit_checkpoint, audit_cosignature)

_RECORDS: Final = """
SELECT l.seq, l.body, l.hash, p.salt, p.body FROM audit_leaf AS l
LEFT JOIN audit_payload AS p ON p.shard = l.shard AND p.seq = l.seq
WHERE l.shard = ? AND l.seq >= ? AND l.seq < ? ORDER BY l.seq
"""
_NODES: Final = "SELECT ix, hash FROM audit_node WHERE shard = ? AND level = ? AND ix >= ? AND ix < ? ORDER BY ix"


class Reader:
    """Reads through one connection, which the caller holds in one transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self.dialect = connection.dialect.name
        self._cursor: Any = connection.connection.cursor()

    def rows(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement whose parameters are question marks. Raises the driver's errors."""
        if self.dialect == "postgresql":
            statement = statement.replace("?", "%s")
        self._cursor.execute(statement, parameters)
        found: list[tuple[Any, ...]] = self._cursor.fetchall()
        return found

    def value(self, statement: str, parameters: tuple[Any, ...] = ()) -> Any:
        """Return the only value of a statement, or None."""
        rows = self.rows(statement, parameters)
        return rows[0][0] if rows else None

    def records(self, shard: str, first: int, end: int) -> list[tuple[Any, ...]]:
        """Return seq, leaf, leaf hash, salt and payload of every leaf of [first, end), in their order."""
        return self.rows(_RECORDS, (shard, first, end))

    def nodes(self, shard: str, level: int, first: int, end: int) -> list[tuple[Any, ...]]:
        """Return index and hash of every node of a level in [first, end), in their order."""
        return self.rows(_NODES, (shard, level, first, end))

    def shard_names(self) -> list[str]:
        """Return every shard that any table names, so that rows of an unlisted one are not passed over."""
        names: set[Any] = set()
        for table, column in (("audit_shard", "id"), *((each.name, "shard") for each in TABLES[1:])):
            # the next name above the last, rather than DISTINCT, which would read every row
            last = self.value(f"SELECT min({column}) FROM {table}")  # noqa: S608 the names are ours
            while last is not None:
                names.add(last)
                last = self.value(f"SELECT min({column}) FROM {table} WHERE {column} > ?", (last,))  # noqa: S608
        return sorted(names, key=str)
