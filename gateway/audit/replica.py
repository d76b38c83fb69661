"""A second tree of a shard, from what is stored: what a checkpoint is signed from, never from the writer's memory.

A bit that flips between memory and disk would else be signed, and could never be unsigned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from gateway.audit import merkle
from gateway.audit.errors import AuditDamaged
from gateway.audit.leaves import leaf_bytes, parse_leaf, payload_hash
from gateway.audit.verification.reading import NODES, RECORDS
from gateway.storage.engine import is_postgresql

_CHUNK: Final = 1024


class Replica:
    """The tree of the leaves that have been read and recomputed. Used by one thread."""

    def __init__(self, shard: str, tree: merkle.Frontier) -> None:
        self.shard = shard
        self._tree = tree

    @property
    def size(self) -> int:
        return self._tree.size

    def root(self) -> bytes:
        return self._tree.root()

    def advance(self, connection: sa.Connection, size: int) -> None:
        """Read the leaves up to `size` and recompute them, their payloads and the nodes that they complete.

        Raises AuditDamaged when anything does not fit, with the tree as it was.
        """
        tree = self._tree.copy()
        while tree.size < size:
            first = tree.size
            end = min(size, first + _CHUNK)
            computed: set[tuple[int, int, bytes]] = set()
            for hashed in self._hashes(connection, first, end):
                computed.update(tree.append(hashed))
            if computed != self._stored(connection, first, end):
                raise AuditDamaged("a node of the tree is not what its leaves give")
        self._tree = tree

    def _hashes(self, connection: sa.Connection, first: int, end: int) -> list[bytes]:
        shard = self.shard
        hashes: list[bytes] = []
        for seq, body, stored, salt, payload in _rows(connection, RECORDS, (shard, first, end)):
            if not isinstance(body, bytes):
                raise AuditDamaged("a record is not stored as bytes")
            try:
                leaf = parse_leaf(body)
            except ValueError:
                raise AuditDamaged("a record cannot be read") from None
            hashed = merkle.leaf_hash(body)
            if (
                seq != first + len(hashes)
                or hashed != stored
                or body != leaf_bytes(shard, seq, leaf.t, leaf.kind, leaf.ph)
            ):
                raise AuditDamaged("a leaf is not the one that was written there")
            # absent: purged, which a record announces
            if payload is not None and (salt is None or payload_hash(salt, payload) != leaf.ph):
                raise AuditDamaged("a payload is not the one that its leaf binds")
            hashes.append(hashed)
        if len(hashes) != end - first:
            raise AuditDamaged("leaves are missing")
        return hashes

    def _stored(self, connection: sa.Connection, first: int, end: int) -> set[tuple[int, int, bytes]]:
        """Return the stored nodes that leaves [first, end) complete."""
        found: set[tuple[int, int, bytes]] = set()
        for level in range(1, end.bit_length()):
            from_ix, to_ix = first >> level, end >> level
            if from_ix == to_ix:
                continue
            stored = _rows(connection, NODES, (self.shard, level, from_ix, to_ix))
            found.update([(level, ix, hashed) for ix, hashed in stored])
        return found


def _rows(connection: sa.Connection, statement: str, parameters: tuple[str | int, ...]) -> Sequence[Any]:
    if is_postgresql(connection.engine):
        statement = statement.replace("?", "%s")
    return connection.exec_driver_sql(statement, parameters).all()
