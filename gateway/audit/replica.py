"""A second tree of a shard, from what is stored: what a checkpoint is signed from, never from the writer's memory.

A bit that flips between memory and disk would else be signed, and could never be unsigned.
"""

from __future__ import annotations

import sqlite3
from typing import Final

import psycopg
import sqlalchemy as sa

from gateway.audit import merkle
from gateway.audit.errors import AuditDamaged
from gateway.audit.leaves import leaf_bytes, parse_leaf, payload_hash
from gateway.audit.verification.reading import Reader
from gateway.audit.verification.sound import AT_ONCE, sound_rows

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

        Raises AuditDamaged when anything does not fit, and sqlalchemy errors; with the tree as it was.
        """
        try:
            self._tree = self._read(connection, size)
        except (sqlite3.Error, psycopg.Error) as error:
            # it was read below SQLAlchemy; whoever calls knows the errors of the database by its names
            raise sa.exc.DBAPIError.instance(None, None, error, Exception) from error

    def _read(self, connection: sa.Connection, size: int) -> merkle.Frontier:
        # one transaction, as SQLAlchemy would begin it: the driver's cursor begins none
        if not connection.in_transaction():
            connection.begin()
        reader = Reader(connection.connection, connection.dialect.name)
        tree = self._tree.copy()
        while tree.size < size:
            first = tree.size
            end = min(size, first + _CHUNK)
            hashes = self._sound_hashes(reader, first, end)
            if hashes is None or len(hashes) != end - first:
                hashes = self._hashes(reader, first, end)
            for level, from_ix, nodes in tree.extend(hashes):
                stored = reader.nodes(self.shard, level, from_ix, from_ix + len(nodes))
                if stored != list(enumerate(nodes, start=from_ix)):
                    raise AuditDamaged("a node of the tree is not what its leaves give")
        return tree

    def _sound_hashes(self, reader: Reader, first: int, end: int) -> list[bytes] | None:
        """Return the leaf hashes if every row is as it should be and none has been purged, which is nearly always."""
        hashes: list[bytes] = []
        for of_leaves, of_payloads in reader.leaves_and_payloads(self.shard, first, end, AT_ONCE):
            rows = sound_rows(self.shard, first + len(hashes), of_leaves, of_payloads)
            if rows is None:
                return None
            hashes += rows.hashes
        return hashes

    def _hashes(self, reader: Reader, first: int, end: int) -> list[bytes]:
        """Return the leaf hashes, each row looked at by itself. Raises AuditDamaged for the first that does not fit."""
        shard = self.shard
        hashes: list[bytes] = []
        for seq, body, stored, salt, payload in reader.records(shard, first, end):
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
