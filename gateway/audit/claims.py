"""The right to write to one shard: one process has it, and it is gone with that process.

Two processes on one database therefore write two shards, and neither continues the other's tree.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from typing import Final

import sqlalchemy as sa

from gateway.audit.errors import AuditDamaged, AuditUnavailable
from gateway.audit.merkle import Frontier
from gateway.audit.postgresql_writer import PostgreSQLWriter
from gateway.audit.records import MASTER
from gateway.audit.recovery import recover
from gateway.audit.sqlite_writer import SQLiteWriter
from gateway.audit.tables import audit_shard
from gateway.audit.writer import ShardWriter
from gateway.storage.engine import is_postgresql
from gateway.storage.holding import FileHolding, SessionHolding

_NAMESPACE: Final = "audit/shard/"


class ShardClaim(ABC):
    """The right to write to a shard."""

    def __init__(self, engine: sa.Engine, shard: str) -> None:
        self.shard = shard
        self._engine = engine

    @classmethod
    def first_free(cls, engine: sa.Engine) -> ShardClaim:
        """Claim the oldest open shard that no process holds, or a new one. Raises AuditDamaged, AuditUnavailable."""
        with engine.connect() as connection:
            known = connection.scalars(
                sa.select(audit_shard.c.id)
                .where(audit_shard.c.state == "OPEN", ~audit_shard.c.id.startswith(MASTER))
                .order_by(audit_shard.c.opened, audit_shard.c.id)
            ).all()
        for shard in (*known, uuid.uuid4().hex):
            if (claim := cls.of(engine, shard)) is not None:
                return claim
        raise AuditUnavailable("no shard of the log could be claimed")

    @classmethod
    def of(cls, engine: sa.Engine, shard: str) -> ShardClaim | None:
        """Claim a shard, or return None when another process holds it. Raises AuditDamaged for a strange name."""
        if not (shard.isascii() and shard.isalnum()):
            raise AuditDamaged("a shard has a name that is not one of ours")
        kind = _PostgreSQLClaim if is_postgresql(engine) else _SQLiteClaim
        claim: _PostgreSQLClaim | _SQLiteClaim = kind(engine, shard)
        return claim if claim.take() else None

    @abstractmethod
    def writer(self, tree: Frontier, key_id: str) -> ShardWriter:
        """Return the shard's only writer; `tree` is what `recover` gave. Raises DurabilityNotMet."""

    @abstractmethod
    def release(self) -> None:
        """Let the next process have it, once its writer is closed. May be called again."""


def is_written_to(engine: sa.Engine) -> bool:
    """Return whether another process writes to the log now: a gateway, or a command that records what it does.

    Raises AuditDamaged, OSError, sqlalchemy errors.
    """
    if not sa.inspect(engine).has_table(audit_shard.name):
        return False
    with engine.connect() as connection:
        query = sa.select(audit_shard.c.id).where(audit_shard.c.state == "OPEN", ~audit_shard.c.id.startswith(MASTER))
        shards = connection.scalars(query).all()
    for shard in shards:
        claim = ShardClaim.of(engine, shard)
        if claim is None:
            return True
        claim.release()
    return False


class _SQLiteClaim(ShardClaim):
    """A lock on a file beside the database."""

    def __init__(self, engine: sa.Engine, shard: str) -> None:
        super().__init__(engine, shard)
        self._holding = FileHolding(engine, f"{_NAMESPACE}{shard}")

    def take(self) -> bool:
        return self._holding.take()

    def writer(self, tree: Frontier, key_id: str) -> ShardWriter:
        return SQLiteWriter(self._engine.connect(), self.shard, tree)

    def release(self) -> None:
        self._holding.release()


class _PostgreSQLClaim(ShardClaim):
    """An advisory lock of the session that writes: who lost the session has lost the shard."""

    def __init__(self, engine: sa.Engine, shard: str) -> None:
        super().__init__(engine, shard)
        self._holding = SessionHolding(engine, f"{_NAMESPACE}{shard}")

    def take(self) -> bool:
        return self._holding.take()

    def writer(self, tree: Frontier, key_id: str) -> ShardWriter:
        if self._holding.connection is None:
            raise AuditUnavailable("this shard is not claimed")
        return PostgreSQLWriter(self._holding.connection, self.shard, tree, lambda: self._again(key_id))

    def release(self) -> None:
        self._holding.release()

    def _again(self, key_id: str) -> tuple[sa.Connection | None, Frontier]:
        """Return a new connection if it has the claim, and what is stored; for a writer that lost its connection."""
        self.release()
        try:
            self.take()
            with self._engine.connect() as reader:
                return self._holding.connection, recover(reader, self.shard, key_id).tree
        except sa.exc.SQLAlchemyError:
            self.release()
            raise AuditUnavailable("the database cannot be reached") from None
