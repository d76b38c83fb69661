"""A real log whose clock the test sets, and a watch over it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.audit.events import EventKind, unlisted_keys
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.records import Record, read_records
from gateway.detection.settings import DetectionSection
from gateway.detection.watch import Watch
from gateway.storage.engine import open_engine
from gateway.storage.tables import review
from tests.detection.acts import Act, at_ms, payloads_of
from tests.fixtures.migrated import open_migrated
from tests.fixtures.postgresql import PostgreSQLServer

MONDAY_MS = 1_772_445_600_000  # 2 March 2026, 10:00


@dataclass
class Bench:
    """A log that a test writes, at times of its choosing."""

    folder: Path
    engine: sa.Engine
    keys: AuditKeys
    log: AuditLog
    now_ms: int = MONDAY_MS
    resting: bool = False

    def clock(self) -> datetime:
        return datetime.fromtimestamp(self.now_ms / 1000, UTC)

    def watch(self, **settings: Any) -> Watch:
        return Watch(self.engine, self.keys, self.log, DetectionSection(**settings), self.clock)

    async def rest(self) -> None:
        """Say that the writer has stopped: the clock of the test goes on without its heartbeats."""
        kept, self.now_ms = self.now_ms, at_ms(0)
        await self.log.append(EventKind.ADMIN, {"action": "STOPPED"})
        self.now_ms = kept

    async def write(self, act: Act, *, closed: bool = True) -> int:
        """Write what a gateway would write of one look-up, at its time. Return the seq of its INTENT."""
        if not self.resting:
            self.resting = True
            await self.rest()
        self.now_ms = max(self.now_ms, act.at_ms)
        asked, told = payloads_of(act, self.keys)
        intent = await self.log.append(EventKind.INTENT, asked)
        if closed:
            await self.log.append(EventKind.OUTCOME, {**told, "intent": intent.seq})
        return intent.seq

    def items(self) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(review).order_by(review.c.opened_at, review.c.id)).mappings()
            return [dict(row) for row in rows]

    def records(self, kind: EventKind) -> list[Record]:
        found = [record for record in read_records(self.engine) if record.kind is kind]
        assert not [unlisted_keys(kind, record.payload) for record in found if record.payload is None]
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    if request.param == "sqlite":
        engine = open_migrated(tmp_path / "gateway.db")
    else:
        server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
        engine = open_engine(server.url(request.getfixturevalue("postgresql_database")))
    keys = AuditKeys.load_or_create(tmp_path / "gateway.audit-key.json")
    holder: list[Bench] = []
    monkeypatch.setattr(time, "time_ns", lambda: (holder[0].now_ms if holder else at_ms(0)) * 1_000_000)
    log = AuditLog.open(engine, keys, on_fatal=lambda: None)
    holder.append(Bench(tmp_path, engine, keys, log))
    yield holder[0]
    log.close()
    engine.dispose()
