"""Whether a log stands up to being read again from its beginning, on either database."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.audit.merkle import Frontier, leaf_hash
from gateway.audit.records import leaf_bytes, parse_leaf, payload_hash
from gateway.audit.tables import audit_leaf, audit_node, audit_payload
from gateway.audit.verify import Status, verify
from gateway.storage.engine import is_postgresql


def is_sound(engine: sa.Engine) -> bool:
    """Return whether everything that is stored follows from the leaves."""
    return _recomputed(engine) if is_postgresql(engine) else verify(engine).status is Status.GOOD


def _recomputed(engine: sa.Engine) -> bool:
    trees: dict[str, Frontier] = {}
    nodes: set[tuple[str, int, int, bytes]] = set()
    with engine.connect() as connection:
        stored = connection.execute(sa.select(audit_leaf).order_by(audit_leaf.c.shard, audit_leaf.c.seq)).all()
        payloads = {(row.shard, row.seq): row for row in connection.execute(sa.select(audit_payload))}
        for shard, seq, body, stored_hash in stored:
            tree = trees.setdefault(shard, Frontier())
            payload = payloads.pop((shard, seq), None)
            if seq != tree.size or payload is None or leaf_hash(body) != stored_hash:
                return False
            bound = payload_hash(payload.salt, payload.body)
            leaf = parse_leaf(body)
            if body != leaf_bytes(shard, seq, leaf.t, leaf.kind, bound):
                return False
            nodes |= {(shard, *node) for node in tree.append(stored_hash)}
        found = {tuple(row) for row in connection.execute(sa.select(audit_node))}
        return bool(trees) and not payloads and nodes == found
