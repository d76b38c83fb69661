"""A shard that does not fit is frozen: never repaired, never continued. State and reason are one transaction."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from gateway.audit.errors import AuditDamaged
from gateway.audit.events import ShardEvent
from gateway.audit.master import append_to_master, current_master, event_of, lock_master
from gateway.audit.merkle import EMPTY_ROOT
from gateway.audit.sealed import last_checkpoint
from gateway.audit.tables import audit_shard
from gateway.storage.engine import writing

_logger = logging.getLogger(__name__)


def freeze(
    engine: sa.Engine, shard: str, key_id: str, detail: str, *, expected: tuple[int, bytes] | None = None
) -> None:
    """Freeze a shard, and say on the master log which size and root it ought to have, so that verification finds it.

    `expected` is what the shard should hold; without it, that is its newest checkpoint. Raises sqlalchemy errors, with
    nothing changed. A master log that cannot be continued is frozen with it, and the next one begun.
    """
    with writing(engine).begin() as connection:
        lock_master(connection)
        _end(connection, shard)
        records = [_frozen(connection, shard, detail, expected)]
        for _ in range(8):
            try:
                append_to_master(connection, key_id, records)
                break
            except AuditDamaged:
                master = _damaged_master(connection, key_id)
                _end(connection, master)
                records.append(_frozen(connection, master, "the end of the master log contradicts itself", None))
    _logger.critical("a shard of the audit log is frozen: shard %s: %s", shard, detail)


def _end(connection: sa.Connection, shard: str) -> None:
    connection.execute(
        sa.update(audit_shard).where(audit_shard.c.id == shard, audit_shard.c.state == "OPEN").values(state="FROZEN")
    )


def _frozen(
    connection: sa.Connection, shard: str, detail: str, expected: tuple[int, bytes] | None
) -> dict[str, object]:
    if expected is None:
        try:
            checkpoint = last_checkpoint(connection, shard)
        except AuditDamaged:
            checkpoint = None
        expected = (0, EMPTY_ROOT) if checkpoint is None else (checkpoint.size, checkpoint.root)
    return event_of(ShardEvent.FROZEN, shard, *expected, more={"detail": detail})


def _damaged_master(connection: sa.Connection, key_id: str) -> str:
    master = current_master(connection, key_id)
    if master is None:
        raise AuditDamaged("the master log cannot be begun")
    return master
