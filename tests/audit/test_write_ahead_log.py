"""The write-ahead log of an SQLite file: it is copied into the file and begun anew, whoever reads meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.audit.errors import AuditFailed
from gateway.audit.events import EventKind
from gateway.audit.sqlite_writer import SQLiteWriter
from gateway.migrate import migrate
from gateway.storage.engine import open_engine
from tests.audit.test_log import BeforeStatement, FailsOnce, io_error
from tests.audit.test_turns import OpenLog, beside

pytestmark = pytest.mark.anyio

PAGES = 4096
RECORDS = 300


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """PostgreSQL looks after its own."""
    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    migrate(engine)
    yield engine
    engine.dispose()


class Overlapping:
    """Readers of whom one is always there: each begins before the one before it ends, soon after."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._before: sa.Connection | None = None

    def __call__(self) -> None:
        reader = self._engine.connect()
        reader.execute(sa.text("SELECT count(*) FROM audit_shard")).scalar_one()
        self.end()
        self._before = reader
        time.sleep(0.003)

    def end(self) -> None:
        """Let no reader be there."""
        if self._before is not None:
            self._before.close()
            self._before = None


async def test_the_write_ahead_log_stays_small_though_somebody_always_reads(
    tmp_path: Path, open_log: OpenLog, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLiteWriter, "PAGES_BETWEEN_COPIES", 10)
    monkeypatch.setattr(SQLiteWriter, "MOST_PAGES", 40)
    log = open_log()
    readers = Overlapping(engine)
    largest = 0
    with beside(readers):
        for count in range(RECORDS):
            await log.append(EventKind.INTENT, {"count": count, "text": "x" * 2_000})
            largest = max(largest, (tmp_path / "gateway.db-wal").stat().st_size)
    readers.end()

    # a commit adds at least these: the last pages of the leaves, of the payloads and of the nodes
    assert largest < RECORDS * 3 * PAGES / 2


@pytest.mark.parametrize("how", ["PASSIVE", "RESTART"])
async def test_after_a_copy_that_failed_nothing_is_ever_acknowledged(
    how: str, open_log: OpenLog, before_statement: BeforeStatement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLiteWriter, "PAGES_BETWEEN_COPIES", 1)
    monkeypatch.setattr(SQLiteWriter, "MOST_PAGES", 0)
    flaw = FailsOnce(f"PRAGMA wal_checkpoint({how})", io_error())
    before_statement(flaw)
    stopped: list[bool] = []
    log = open_log(on_fatal=lambda: stopped.append(True))
    flaw.armed = True

    # what was committed before the copy may be acknowledged
    await log.append(EventKind.OUTCOME, {})
    log._thread.join()

    assert (log.ready, log.failed, stopped) == (False, True, [True])
    with pytest.raises(AuditFailed):
        await log.append(EventKind.OUTCOME, {})
