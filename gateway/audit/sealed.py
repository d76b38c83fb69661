"""Checkpoints and cosignatures as they are stored, and the stored tree seen from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from gateway.audit import merkle
from gateway.audit.checkpoints import Checkpoint, parse_checkpoint
from gateway.audit.errors import AuditDamaged
from gateway.audit.notes import NoteRefused, parse_note
from gateway.audit.tables import audit_checkpoint, audit_cosignature, audit_leaf, audit_node

# as text: each checkpoint stores one, and to put an INSERT together costs more than to execute it
_STORE_NOTE: Final = sa.text(
    "INSERT INTO audit_checkpoint (shard, size, note) VALUES (:shard, :size, :note) "
    "ON CONFLICT (shard, size) DO NOTHING"
)


def stored_nodes(connection: sa.Connection, shard: str) -> merkle.Fetch:
    """Return the tree of a shard as it is stored. What it gives raises AuditDamaged for a node that is not there."""

    def fetch(level: int, ix: int) -> bytes:
        query = (
            sa.select(audit_leaf.c.hash).where(audit_leaf.c.shard == shard, audit_leaf.c.seq == ix)
            if level == 0
            else sa.select(audit_node.c.hash).where(
                audit_node.c.shard == shard, audit_node.c.level == level, audit_node.c.ix == ix
            )
        )
        stored = connection.scalar(query)
        if not isinstance(stored, bytes) or len(stored) != merkle.HASH_SIZE:
            raise AuditDamaged("a node of the tree is missing")
        return stored

    return fetch


def frontier_at(connection: sa.Connection, shard: str, size: int) -> merkle.Frontier:
    """Return the right edge of the stored tree of `size` leaves. Raises AuditDamaged."""
    fetch = stored_nodes(connection, shard)
    return merkle.Frontier(size, [fetch(level, ix) for level, ix in merkle.peak_positions(size)])


def last_note(connection: sa.Connection, shard: str) -> bytes | None:
    """Return the newest signed note of a shard, or None."""
    stored = connection.scalar(
        sa.select(audit_checkpoint.c.note)
        .where(audit_checkpoint.c.shard == shard)
        .order_by(audit_checkpoint.c.size.desc())
        .limit(1)
    )
    return None if stored is None else bytes(stored)


def last_checkpoint(connection: sa.Connection, shard: str) -> Checkpoint | None:
    """Return the newest checkpoint of a shard as it is stored, or None. Raises AuditDamaged when it cannot be read."""
    note = last_note(connection, shard)
    if note is None:
        return None
    try:
        return parse_checkpoint(parse_note(note).text)
    except NoteRefused:
        raise AuditDamaged("a checkpoint cannot be read") from None


def verified_frontier(connection: sa.Connection, shard: str) -> merkle.Frontier:
    """Return the stored tree up to the newest checkpoint, whose root it has. Raises AuditDamaged.

    Without a checkpoint it is the empty tree: everything is still to be read.
    """
    checkpoint = last_checkpoint(connection, shard)
    if checkpoint is None:
        return merkle.Frontier()
    tree = frontier_at(connection, shard, checkpoint.size)
    if tree.root() != checkpoint.root:
        raise AuditDamaged("the stored tree has not the root of its checkpoint")
    return tree


def checkpoint_sizes(connection: sa.Connection, shard: str, most: int) -> list[int]:
    """Return the sizes of the newest checkpoints, rising."""
    query = (
        sa.select(audit_checkpoint.c.size)
        .where(audit_checkpoint.c.shard == shard)
        .order_by(audit_checkpoint.c.size.desc())
        .limit(most)
    )
    return list(connection.scalars(query))[::-1]


def store_note(connection: sa.Connection, shard: str, size: int, note: bytes) -> None:
    """Add a signed note, unless another process has signed at that size."""
    connection.execute(_STORE_NOTE, {"shard": shard, "size": size, "note": note})


def store_cosignature(connection: sa.Connection, shard: str, size: int, witness: str, line: bytes) -> None:
    """Add a witness's line, unless it is there."""
    table = audit_cosignature
    present = sa.select(table.c.size).where(table.c.shard == shard, table.c.size == size, table.c.witness == witness)
    if connection.scalar(present) is None:
        connection.execute(sa.insert(table), {"shard": shard, "size": size, "witness": witness, "line": line})


def cosigned_size(connection: sa.Connection, shard: str, witnesses: Sequence[str]) -> int:
    """Return the largest size that any of the witnesses has cosigned; 0 if none has."""
    table = audit_cosignature
    query = sa.select(sa.func.max(table.c.size)).where(table.c.shard == shard, table.c.witness.in_(witnesses))
    return int(connection.scalar(query) or 0)
