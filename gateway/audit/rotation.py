"""When a shard of the log has had its time, and how the next one is begun while the process runs.

A shard that never ends is verified, exported and kept as a whole for ever. After its days or its records the log writes
to a new one; the checkpointer signs the old one's end and closes it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from gateway.audit.canonical import canonical
from gateway.audit.charging import Count
from gateway.audit.claims import ShardClaim
from gateway.audit.errors import AuditUnavailable
from gateway.audit.events import EventKind
from gateway.audit.merkle import Frontier
from gateway.audit.passing import passes
from gateway.audit.recovery import origin_of
from gateway.audit.tables import audit_shard
from gateway.audit.writer import RETRY_SECONDS, Alongside, ShardWriter

SETTLED_SECONDS: Final = 60.0
"""An INTENT as old as that is closed by nothing any more: a lookup may take 30 seconds at most."""

_DAY_MS: Final = 86_400_000
_PAUSE_SECONDS: Final = 60.0


def now_ms() -> int:
    """Return the time as leaves have it."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """How many days a shard may last and how many records it may hold; None: without end."""

    days: float | None = None
    records: int | None = None


@dataclass(frozen=True, slots=True)
class EndedShard:
    """A shard that nothing more is written to. Until it is closed it stays claimed, so that nobody goes on with it."""

    writer: ShardWriter
    claim: ShardClaim

    @property
    def shard(self) -> str:
        return self.claim.shard

    @property
    def tree(self) -> Frontier:
        """All that was written to it."""
        return self.writer.tree

    def let_go(self) -> None:
        """Give up its connection and its claim."""
        self.writer.close()
        self.claim.release()


@dataclass(slots=True)
class _Started:
    kind: EventKind
    body: bytes
    alongside: Alongside = ()
    charges: Sequence[Count] = ()


class Rotation:
    """Begins the shards of one log after its first. Used by the log's own thread."""

    def __init__(self, engine: sa.Engine, key_id: str, started: dict[str, object], limits: ShardLimits) -> None:
        """`started` is what STARTED says of every shard of this process."""
        self._engine = engine
        self._key_id = key_id
        self._started = started
        self._limits = limits
        self._endless = limits == ShardLimits()
        self._opened: tuple[str, int] | None = None
        self._not_before = 0.0

    def due(self, shard: str, size: int) -> bool:
        """Return whether a shard of so many records has had its time; not while the database cannot say so.

        Raises sqlalchemy errors of a storage that fails.
        """
        if self._endless or time.monotonic() < self._not_before:
            return False
        if self._limits.records is not None and size >= self._limits.records:
            return True
        if self._limits.days is None:
            return False
        if self._opened is None or self._opened[0] != shard:
            try:
                with self._engine.connect() as connection:
                    opened = connection.scalar(sa.select(audit_shard.c.opened).where(audit_shard.c.id == shard))
            except sa.exc.SQLAlchemyError as error:
                if not self._passes(error):
                    raise
                return False
            if opened is None:
                return False
            self._opened = (shard, int(opened))
        return now_ms() - self._opened[1] >= self._limits.days * _DAY_MS

    def begin(self) -> tuple[ShardClaim, ShardWriter] | None:
        """Return a new shard with its STARTED on disk; None if the database is busy, and then not for a minute again.

        Raises what a write raises.
        """
        claim: ShardClaim | None = None
        writer: ShardWriter | None = None
        try:
            if (claim := ShardClaim.of(self._engine, uuid.uuid4().hex)) is None:
                return None
            writer = claim.writer(Frontier(), self._key_id)
            started = canonical(self._started | {"origin": origin_of(claim.shard)})
            writer.write([_Started(EventKind.ADMIN, started)], until=time.monotonic() + RETRY_SECONDS)
        except BaseException as error:
            if writer is not None:
                writer.close()
            if claim is not None:
                claim.release()
            if self._passes(error):
                return None
            raise
        return claim, writer

    def later(self) -> None:
        """Let no shard have had its time for a minute."""
        self._not_before = time.monotonic() + _PAUSE_SECONDS

    def _passes(self, error: BaseException) -> bool:
        """Say whether an error passes by itself, a busy database or a server that went away: then there is a pause."""
        if later := isinstance(error, AuditUnavailable) or passes(error):
            self.later()
        return later
