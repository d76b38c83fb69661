"""The master log: a shard of the shards, so that a whole shard cannot go without a trace.

Its leaves say what became of each other shard: OPENED, CHECKPOINT (each minute), CLOSED, FROZEN, with size and root.
Whichever process has something to say appends, under a lock for the time of one append; it is checkpointed and
witnessed like any shard. A master log that is found damaged is frozen in its turn, and the next generation begun.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from gateway.audit import merkle
from gateway.audit.canonical import canonical
from gateway.audit.errors import AuditDamaged
from gateway.audit.events import EventKind, ShardEvent
from gateway.audit.leaves import SALT_SIZE, leaf_bytes, payload_hash
from gateway.audit.records import MASTER
from gateway.audit.recovery import origin_of
from gateway.audit.sealed import frontier_at
from gateway.audit.tables import audit_leaf, audit_node, audit_payload, audit_shard

_LOCK: Final = 0x6D617374_65726C6F


def event_of(
    event: ShardEvent, shard: str, size: int, root: bytes, *, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the payload of a record about a shard."""
    return {"event": event, "shard": shard, "size": size, "root": root.hex(), **(more or {})}


def is_master(shard: str) -> bool:
    return shard.startswith(MASTER)


def lock_master(connection: sa.Connection) -> None:
    """Make other processes' appends to the master log wait for the end of this transaction.

    On SQLite the transaction has the write lock already: it must be one of `writing(engine)`.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def append_to_master(connection: sa.Connection, key_id: str, payloads: Sequence[Mapping[str, Any]]) -> str:
    """Append records to the master log, in the transaction of the connection; return the master's name.

    The transaction must have been locked by `lock_master`. Raises AuditDamaged when the end of the master cannot be
    continued: then freeze it, and append again.
    """
    master = _current(connection, key_id)
    size = connection.scalar(sa.select(sa.func.max(audit_leaf.c.seq)).where(audit_leaf.c.shard == master))
    size = 0 if size is None else size + 1
    tree = frontier_at(connection, master, size)
    now = time.time_ns() // 1_000_000
    if size == 0:
        row = {"id": master, "origin": origin_of(master), "opened": now, "closed": None, "state": "OPEN"}
        connection.execute(sa.insert(audit_shard), row)
    for payload in payloads:
        body = canonical(dict(payload))
        salt = os.urandom(SALT_SIZE)
        seq = tree.size
        leaf = leaf_bytes(master, seq, now, EventKind.SHARD.value, payload_hash(salt, body))
        hashed = merkle.leaf_hash(leaf)
        connection.execute(sa.insert(audit_payload), {"shard": master, "seq": seq, "salt": salt, "body": body})
        connection.execute(sa.insert(audit_leaf), {"shard": master, "seq": seq, "body": leaf, "hash": hashed})
        nodes = [{"shard": master, "level": level, "ix": ix, "hash": node} for level, ix, node in tree.append(hashed)]
        if nodes:
            connection.execute(sa.insert(audit_node), nodes)
    return master


def current_master(connection: sa.Connection, key_id: str) -> str | None:
    """Return the name of the master log that is being written, or None if there is none yet."""
    name = _current(connection, key_id)
    begun = connection.scalar(sa.select(audit_shard.c.id).where(audit_shard.c.id == name))
    return None if begun is None else name


def _current(connection: sa.Connection, key_id: str) -> str:
    """Return the newest master of this key that is not frozen, or the name of the next."""
    first = f"{MASTER}{key_id}"
    query = sa.select(audit_shard.c.id, audit_shard.c.state).where(audit_shard.c.id.startswith(first))
    states: dict[str, str] = {row.id: row.state for row in connection.execute(query)}
    if not all(state in {"OPEN", "CLOSED", "FROZEN"} for state in states.values()):
        raise AuditDamaged("a shard has a state that is not one of ours")
    for name in sorted(states, key=lambda name: (len(name), name), reverse=True):
        if states[name] == "OPEN":
            return name
    return first if not states else f"{first}g{len(states) + 1}"
