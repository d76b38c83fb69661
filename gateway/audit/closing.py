"""Closes a shard that nothing more is written to: its row, and the master log's word for it, in one transaction."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.audit.errors import AuditDamaged
from gateway.audit.events import ShardEvent
from gateway.audit.leaves import parse_leaf
from gateway.audit.master import append_to_master, event_of
from gateway.audit.merkle import Frontier
from gateway.audit.tables import audit_leaf, audit_shard


def close_shard(connection: sa.Connection, key_id: str, shard: str, tree: Frontier) -> None:
    """Close a shard, all of which is `tree`, in the transaction of the connection, which `lock_master` has locked.

    Raises AuditDamaged when the master log cannot be continued, or the shard's last leaf is not there.
    """
    last = connection.scalar(
        sa.select(audit_leaf.c.body).where(audit_leaf.c.shard == shard, audit_leaf.c.seq == tree.size - 1)
    )
    if last is None:
        raise AuditDamaged("a shard has lost its last leaf")
    connection.execute(
        sa.update(audit_shard)
        .where(audit_shard.c.id == shard, audit_shard.c.state == "OPEN")
        .values(state="CLOSED", closed=parse_leaf(last).t)
    )
    append_to_master(connection, key_id, [event_of(ShardEvent.CLOSED, shard, tree.size, tree.root())])
