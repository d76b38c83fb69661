"""The records of the log, read back in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.audit.events import EventKind
from gateway.audit.leaves import parse_leaf
from gateway.audit.tables import audit_leaf, audit_payload

MASTER = "master"
"""What the name of a master log begins with, and that of no other shard: those are hexadecimal."""


@dataclass(frozen=True, slots=True)
class Record:
    """A leaf and, unless it has been purged, its payload."""

    shard: str
    seq: int
    time_ms: int
    kind: EventKind
    payload: dict[str, Any] | None
    leaf: bytes
    hash: bytes


def read_records(engine: sa.Engine, shard: str | None = None) -> Iterator[Record]:
    """Yield every record but those of the master log, or those of one shard: by shard, and then as they were written.

    One consistent view, whatever is appended meanwhile. Checks nothing: `gateway.audit.verify` does.
    """
    query = (
        sa.select(audit_leaf.c.shard, audit_leaf.c.seq, audit_leaf.c.body, audit_leaf.c.hash, audit_payload.c.body)
        .outerjoin_from(
            audit_leaf,
            audit_payload,
            sa.and_(audit_payload.c.shard == audit_leaf.c.shard, audit_payload.c.seq == audit_leaf.c.seq),
        )
        .order_by(audit_leaf.c.shard, audit_leaf.c.seq)
    )
    if shard is not None:
        query = query.where(audit_leaf.c.shard == shard)
    else:
        query = query.where(~audit_leaf.c.shard.startswith(MASTER))
    with engine.connect() as connection, connection.execution_options(yield_per=500).execute(query) as rows:
        for of_shard, seq, body, stored_hash, payload in rows:
            leaf = parse_leaf(body)
            content = None if payload is None else msgspec.json.decode(payload)
            yield Record(of_shard, seq, leaf.t, EventKind(leaf.kind), content, body, stored_hash)
