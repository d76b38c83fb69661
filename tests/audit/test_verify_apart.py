"""Other processes find in the log what one finds alone, and what they cannot read is read without them."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa

from gateway.audit.events import EventKind
from gateway.audit.log import AuditLog
from gateway.audit.tables import TRIGGERS
from gateway.audit.verification.reading import Reader
from gateway.audit.verify import Status, verify

LEAVES = 600
"""More than are looked at together."""

CHANGES = {
    "a payload": "UPDATE audit_payload SET body = x'7b7d' WHERE seq = 520",
    "a salt that is no bytes": "UPDATE audit_payload SET salt = 'sixteen letters.' WHERE seq = 3",
    "a payload in a place between two": "UPDATE audit_payload SET seq = 7.5 WHERE seq = 7",
    "a payload taken out": "DELETE FROM audit_payload WHERE seq = 599",
    "a leaf's hash": "UPDATE audit_leaf SET hash = zeroblob(32) WHERE seq = 511",
    "a leaf of another version": "UPDATE audit_leaf SET body = replace(body, '\"v\":1', '\"v\":2') WHERE seq = 512",
    "a leaf of two lines": "UPDATE audit_leaf SET body = CAST(body || x'0a' || body AS BLOB) WHERE seq = 8",
    "a leaf taken out": "DELETE FROM audit_leaf WHERE seq = 300",
    "a node": "UPDATE audit_node SET hash = zeroblob(32) WHERE level = 5 AND ix = 2",
}


in_a_file = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def small_logs_are_read_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.audit.verify._APART", 16)
    monkeypatch.setattr("gateway.audit.verify._APART_BYTES", 1)


@pytest.fixture
def written(engine: sa.Engine, open_log: Callable[..., AuditLog]) -> sa.Engine:
    """A database with a log of more rows than are looked at together, half of them closing the other half."""
    log = open_log()

    async def fill() -> None:
        intents = await asyncio.gather(*(log.append(EventKind.INTENT, {}) for _ in range(LEAVES // 2)))
        await asyncio.gather(*(log.append(EventKind.OUTCOME, {"intent": intent.seq}) for intent in intents))

    asyncio.run(fill())
    log.close()
    return engine


@contextmanager
def without_triggers(engine: sa.Engine) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(str(engine.url.database), isolation_level=None)
    for name in TRIGGERS:
        database.execute(f"DROP TRIGGER {name}")
    yield database
    for text in TRIGGERS.values():
        database.execute(text)
    database.close()


def not_here(*_: Any) -> NoReturn:
    raise AssertionError("this was for another process")


def test_other_processes_read_the_whole_of_a_long_shard(
    written: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the command is called: what lies there under the name of our package is not run."""
    alone = verify(written)
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "__init__.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gateway.audit.verify.check_stretch", not_here)

    together = verify(written, processes=2)

    assert (together.records, together.open_intents) == (LEAVES + 2, 0)
    assert together == alone


@in_a_file
@pytest.mark.parametrize("what", CHANGES)
def test_other_processes_find_as_well(written: sa.Engine, what: str) -> None:
    with without_triggers(written) as database:
        database.execute(CHANGES[what])

    alone, together = verify(written), verify(written, processes=2)

    assert together.status is Status.TAMPERED
    assert together == alone


@in_a_file
def test_other_processes_say_that_the_file_contradicts_itself(
    written: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a list of free pages that is not there: nothing but the question for it finds that."""
    file = Path(str(written.url.database))
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    written.dispose()
    content = bytearray(file.read_bytes())
    content[36:40] = (5).to_bytes(4)
    file.write_bytes(content)
    alone = verify(written)
    monkeypatch.setattr(Reader, "intact", not_here)

    together = verify(written, processes=2)

    assert alone.findings == ["the database file contradicts itself", *together.findings[:-1]]
    assert (together.status, together.findings[-1]) == (Status.TAMPERED, "the database file contradicts itself")


def test_what_other_processes_do_not_answer_is_read_without_them(
    written: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They end at once here, as one does below which a page of the disk cannot be read."""
    alone = verify(written)
    monkeypatch.setattr(sys, "executable", "/bin/false")

    assert verify(written, processes=2) == alone
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert verify(written, processes=2) == alone
