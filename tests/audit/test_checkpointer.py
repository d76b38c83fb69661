"""Checkpoints: signed from what is stored, each second and at the end; and what happens when it does not fit."""

# ruff: noqa: S608 (the statements are put together from the names of our own tables)

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from gateway.audit import checkpointer as module
from gateway.audit.checkpointer import Checkpointer
from gateway.audit.checkpoints import Checkpoint, open_checkpoint
from gateway.audit.cosignatures import verify_cosignature
from gateway.audit.errors import AuditDamaged, AuditFailed
from gateway.audit.events import AdminAction, EventKind, ShardEvent
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.master import append_to_master, is_master, lock_master
from gateway.audit.merkle import consistency_proof, verify_consistency
from gateway.audit.records import read_records
from gateway.audit.recovery import origin_of
from gateway.audit.sealed import frontier_at, stored_nodes
from gateway.audit.signing import LogSigner
from gateway.audit.tables import audit_checkpoint, audit_shard
from gateway.storage.engine import is_postgresql, writing
from tests.audit.rewriting import rewrite

pytestmark = pytest.mark.anyio

OpenLog = Callable[..., AuditLog]


def checkpoints(engine: sa.Engine, keys: AuditKeys, shard: str) -> list[Checkpoint]:
    """Return the stored checkpoints of a shard, each verified, in the order of their sizes."""
    table = audit_checkpoint
    with engine.connect() as connection:
        stored = connection.execute(sa.select(table).where(table.c.shard == shard).order_by(table.c.size)).all()
    opened = [open_checkpoint(row.note, [LogSigner.of(keys).key])[0] for row in stored]
    assert [each.size for each in opened] == [row.size for row in stored]
    return opened


def masters(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return [shard for shard in connection.scalars(sa.select(audit_shard.c.id)) if is_master(shard)]


def events(engine: sa.Engine) -> list[tuple[str, str, int]]:
    """Return what the master logs say: of which shard, what, at which size."""
    payloads = [record.payload or {} for master in sorted(masters(engine)) for record in read_records(engine, master)]
    return [(payload["shard"], payload["event"], payload["size"]) for payload in payloads]


@pytest.fixture
def checkpointer(engine: sa.Engine, keys: AuditKeys) -> Callable[[AuditLog], Checkpointer]:
    return lambda log: Checkpointer(engine, log, keys.key_id, LogSigner.of(keys))


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that another thread does; fail when it does not come about."""
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        await asyncio.sleep(0.02)


async def test_a_growing_log_is_checkpointed_without_being_asked(
    engine: sa.Engine, keys: AuditKeys, open_log: OpenLog, checkpointer: Callable[[AuditLog], Checkpointer]
) -> None:
    log = open_log()
    running = checkpointer(log)
    running.start()
    await asyncio.gather(*(log.append(EventKind.DENIED, {}) for _ in range(20)))

    await until(lambda: [each.size for each in checkpoints(engine, keys, log.shard)][-1:] == [21])
    log.close()
    running.close()

    found = checkpoints(engine, keys, log.shard)
    assert found[-1] == Checkpoint(origin_of(log.shard), 22, log.committed.root())


async def test_what_is_signed_is_the_tree_of_what_is_stored(
    engine: sa.Engine, keys: AuditKeys, open_log: OpenLog, checkpointer: Callable[[AuditLog], Checkpointer]
) -> None:
    log = open_log()
    sealing = checkpointer(log)
    for count in (1, 2, 5, 300, 1100):
        await asyncio.gather(*(log.append(EventKind.DENIED, {}) for _ in range(count)))
        sealing.checkpoint()

    found = checkpoints(engine, keys, log.shard)
    assert [each.size for each in found] == [2, 4, 9, 309, 1409]
    with engine.connect() as connection:
        fetch = stored_nodes(connection, log.shard)
        for first, second in pairwise(found):
            proof = consistency_proof(first.size, second.size, fetch)
            verify_consistency(first.size, first.root, second.size, second.root, proof)
        assert found[-1].root == frontier_at(connection, log.shard, 1409).root()


async def test_a_checkpoint_carries_a_post_quantum_cosignature_once_a_minute(
    engine: sa.Engine, keys: AuditKeys, open_log: OpenLog, checkpointer: Callable[[AuditLog], Checkpointer]
) -> None:
    log = open_log()
    sealing = checkpointer(log)
    for _ in range(3):
        await log.append(EventKind.DENIED, {})
        sealing.checkpoint()

    signer = LogSigner.of(keys)
    assert signer.cosigner is not None
    with engine.connect() as connection:
        table = audit_checkpoint
        notes = connection.scalars(
            sa.select(table.c.note).where(table.c.shard == log.shard).order_by(table.c.size)
        ).all()
    opened = [open_checkpoint(note, [signer.key]) for note in notes]
    cosigned = [(at, s) for at, note in opened for s in note.signatures if signer.cosigner.made(s)]
    assert len(cosigned) == 1
    verify_cosignature(signer.cosigner, *cosigned[0])


async def test_the_master_log_names_each_shard_its_size_and_its_checkpoints(
    engine: sa.Engine, keys: AuditKeys, open_log: OpenLog, checkpointer: Callable[[AuditLog], Checkpointer]
) -> None:
    log = open_log()
    sealing = checkpointer(log)
    sealing.checkpoint()
    log.close()
    sealing.close()

    (master,) = masters(engine)
    assert events(engine) == [
        (log.shard, ShardEvent.OPENED, 0),
        (log.shard, ShardEvent.CHECKPOINT, 1),
        (log.shard, ShardEvent.CHECKPOINT, 2),
    ]
    records = [record.payload or {} for record in read_records(engine, master)]
    assert [payload.get("sizes") for payload in records] == [None, [1], [2]]
    assert checkpoints(engine, keys, master)[-1].size == 3


async def test_a_restart_goes_on_from_the_last_checkpoint_and_opens_nothing_anew(
    engine: sa.Engine, keys: AuditKeys, open_log: OpenLog, checkpointer: Callable[[AuditLog], Checkpointer]
) -> None:
    for _ in range(2):
        log = open_log()
        sealing = checkpointer(log)
        await log.append(EventKind.DENIED, {})
        log.close()
        sealing.close()

    assert [event for _, event, _ in events(engine)].count(ShardEvent.OPENED) == 1
    assert [each.size for each in checkpoints(engine, keys, log.shard)] == [3, 6]


async def test_two_processes_share_one_master_log(
    engine: sa.Engine, keys: AuditKeys, open_log: OpenLog, checkpointer: Callable[[AuditLog], Checkpointer]
) -> None:
    logs = [open_log(), open_log()]
    sealing = [checkpointer(log) for log in logs]
    for _ in range(3):
        for log, each in zip(logs, sealing, strict=True):
            await log.append(EventKind.DENIED, {})
            each.checkpoint()

    (master,) = masters(engine)
    assert {shard for shard, _, _ in events(engine)} == {log.shard for log in logs}
    assert [each.size for each in checkpoints(engine, keys, master)] == [1, 2, 3, 4, 5, 6, 7, 8]


CHANGES = {
    "a leaf": "UPDATE audit_leaf SET body = {other_kind} WHERE seq = 2",
    "the hash of a leaf": "UPDATE audit_leaf SET hash = {zeros} WHERE seq = 2",
    "a payload": "UPDATE audit_payload SET body = {object} WHERE seq = 2",
    "a node": "UPDATE audit_node SET hash = {zeros} WHERE level = 1 AND ix = 1",
    "a leaf taken out": "DELETE FROM audit_leaf WHERE seq = 2",
    "a node taken out": "DELETE FROM audit_node WHERE level = 1 AND ix = 1",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_shard_that_does_not_fit_is_frozen_and_the_process_fails(
    engine: sa.Engine,
    owner: sa.Engine,
    keys: AuditKeys,
    open_log: OpenLog,
    checkpointer: Callable[[AuditLog], Checkpointer],
    change: str,
) -> None:
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()
    log = open_log(on_fatal=lambda: loop.call_soon_threadsafe(failed.set))
    for count in range(5):
        await log.append(EventKind.DENIED, {"code": str(count)})
    rewrite(owner, CHANGES[change])
    running = checkpointer(log)
    running.start()

    await asyncio.wait_for(failed.wait(), 20)

    assert log.failed
    with pytest.raises(AuditFailed):
        await log.append(EventKind.DENIED, {})
    running.close()
    assert (log.shard, ShardEvent.FROZEN, 6) in events(engine)
    assert checkpoints(engine, keys, log.shard) == []
    log._claim.release()
    again = open_log()
    assert again.shard != log.shard
    with engine.connect() as connection:
        state = connection.scalar(sa.select(audit_shard.c.state).where(audit_shard.c.id == log.shard))
    assert state == "FROZEN"


async def test_a_log_rewritten_with_every_hash_recomputed_is_not_signed_again(
    engine: sa.Engine,
    owner: sa.Engine,
    keys: AuditKeys,
    open_log: OpenLog,
    checkpointer: Callable[[AuditLog], Checkpointer],
) -> None:
    """The writer's memory is one of the two that must agree: whoever changes the disk alone is found."""
    log = open_log()
    other = open_log()
    await log.append(EventKind.DENIED, {})
    await other.append(EventKind.DENIED, {})
    moved = "UPDATE audit_{0} SET shard = '{1}' WHERE shard = '{2}'"
    swap = [
        moved.format(table, to, of)
        for table in ("leaf", "payload", "node")
        for to, of in [("x", log.shard), (log.shard, other.shard), (other.shard, "x")]
    ]
    rewrite(owner, *swap)

    checkpointer(log).close()

    assert log.failed


async def test_a_shard_cut_off_below_its_checkpoint_is_frozen_at_the_next_start(
    engine: sa.Engine,
    owner: sa.Engine,
    keys: AuditKeys,
    open_log: OpenLog,
    checkpointer: Callable[[AuditLog], Checkpointer],
) -> None:
    log = open_log()
    await log.append(EventKind.DENIED, {})
    log.close()
    checkpointer(log).close()
    rewrite(
        owner,
        *(f"DELETE FROM audit_{table} WHERE seq >= 2 AND shard = '{log.shard}'" for table in ("leaf", "payload")),
    )

    again = open_log()

    assert again.shard != log.shard
    assert (log.shard, ShardEvent.FROZEN, 3) in events(engine)
    assert any((r.payload or {}).get("action") == AdminAction.SHARD_FROZEN for r in read_records(engine, again.shard))


async def test_a_damaged_master_log_is_frozen_and_the_next_generation_begun(
    engine: sa.Engine,
    owner: sa.Engine,
    keys: AuditKeys,
    open_log: OpenLog,
    checkpointer: Callable[[AuditLog], Checkpointer],
) -> None:
    log = open_log()
    checkpointer(log).checkpoint()
    (first,) = masters(engine)
    rewrite(owner, f"UPDATE audit_node SET hash = {{zeros}} WHERE shard = '{first}'")
    await log.append(EventKind.DENIED, {})

    checkpointer(log).checkpoint()

    assert len(masters(engine)) == 2
    assert first in {shard for shard, event, _ in events(engine) if event == ShardEvent.FROZEN}
    assert events(engine)[-1] == (log.shard, ShardEvent.CHECKPOINT, 2)
    assert not log.failed


@pytest.mark.parametrize("times", [1, 2])
async def test_a_master_log_that_is_damaged_again_at_once_stops_the_process_and_loses_no_record_in_silence(
    engine: sa.Engine,
    keys: AuditKeys,
    open_log: OpenLog,
    checkpointer: Callable[[AuditLog], Checkpointer],
    monkeypatch: pytest.MonkeyPatch,
    times: int,
) -> None:
    log = open_log()
    checkpointer(log).checkpoint()
    await log.append(EventKind.DENIED, {})
    left = iter(range(times))

    def damaged(*given: Any) -> str:
        if next(left, None) is not None:
            raise AuditDamaged("the end of the master log contradicts itself")
        return append_to_master(*given)

    monkeypatch.setattr(module, "append_to_master", damaged)
    checkpointer(log).close()

    told = (log.shard, ShardEvent.CHECKPOINT, 2) in events(engine)
    assert (told, log.failed) == ((True, False) if times == 1 else (False, True))


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("table", ["audit_leaf", "audit_payload", "audit_node"])
async def test_a_disk_that_fails_under_what_a_checkpoint_reads_stops_the_process_and_freezes_nothing(
    engine: sa.Engine,
    open_log: OpenLog,
    checkpointer: Callable[[AuditLog], Checkpointer],
    before_statement: Callable[[Callable[[str], None]], None],
    table: str,
    busy: bool,
) -> None:
    """What is busy, or a server that went away, stops nothing: what it means, the writer says."""
    failing = False

    def flaw(statement: str) -> None:
        if failing and statement.startswith("SELECT") and f"FROM {table} WHERE" in statement:
            if is_postgresql(engine):
                raise psycopg.OperationalError("the connection is lost")
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY if busy else sqlite3.SQLITE_IOERR
            raise error

    before_statement(flaw)
    log = open_log()
    signing = checkpointer(log)
    signing.checkpoint()
    await log.append(EventKind.DENIED, {})
    failing = True
    with pytest.raises(sa.exc.OperationalError):
        signing.checkpoint()
    signing.close()
    failing = False

    assert log.failed == (not busy and not is_postgresql(engine))
    assert ShardEvent.FROZEN not in {event for _, event, _ in events(engine)}


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_a_checkpoint_that_finds_no_connection_free_is_made_later_and_stops_nothing(
    engine: sa.Engine, keys: AuditKeys, open_log: OpenLog, checkpointer: Callable[[AuditLog], Checkpointer]
) -> None:
    """As when those who read wait for a server that stands still, on every connection that there may be."""
    log = open_log()
    signing = checkpointer(log)
    signing.checkpoint()
    await log.append(EventKind.DENIED, {})
    with ExitStack() as others:
        for _ in range(engine.pool.size()):  # type: ignore[attr-defined]
            others.enter_context(engine.connect())
        signing.start()
        await asyncio.sleep(3)
        assert not log.failed

    await until(lambda: checkpoints(engine, keys, log.shard)[-1].size == log.committed.size)
    log.close()
    signing.close()
    assert ShardEvent.FROZEN not in {event for _, event, _ in events(engine)}


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("stood_still", [True, False], ids=["stood still", "may only read"])
async def test_a_session_that_can_write_no_more_stops_nothing_and_freezes_nothing(
    engine: sa.Engine,
    keys: AuditKeys,
    open_log: OpenLog,
    checkpointer: Callable[[AuditLog], Checkpointer],
    before_statement: Callable[[Callable[[str], None]], None],
    stood_still: bool,
) -> None:
    """The server ends the session of a process that stands still in a transaction; and one may become a standby."""
    patience, characteristics = ("100ms", "READ WRITE") if stood_still else ("60s", "READ ONLY")
    failing = False

    def settle(driver: Any, *_: object) -> None:
        if failing:
            driver.execute(f"SET idle_in_transaction_session_timeout TO '{patience}'")
            driver.execute(f"SET SESSION CHARACTERISTICS AS TRANSACTION {characteristics}")
            driver.commit()

    def stand_still(statement: str) -> None:
        if failing and stood_still and statement.startswith("INSERT INTO audit_payload"):
            time.sleep(1)

    before_statement(stand_still)
    log = open_log()
    signing = checkpointer(log)
    signing.checkpoint()
    await log.append(EventKind.DENIED, {})
    failing = True
    event.listen(engine, "checkout", settle)
    with pytest.raises(sa.exc.DBAPIError):
        signing.checkpoint()
    signing._attempt(last=True)
    event.remove(engine, "checkout", settle)
    failing = False
    engine.dispose()

    assert not log.failed
    assert ShardEvent.FROZEN not in {said for _, said, _ in events(engine)}
    signing.checkpoint()
    assert checkpoints(engine, keys, log.shard)[-1].size == log.committed.size


async def test_a_shard_that_has_ended_stays_so(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()
    with writing(engine).begin() as connection:
        connection.execute(sa.update(audit_shard).values(state="FROZEN"))

    with pytest.raises(sa.exc.DBAPIError, match="stays so"), writing(engine).begin() as connection:
        connection.execute(sa.update(audit_shard).values(state="OPEN"))
    log.close()


async def test_appends_to_the_master_log_do_not_interleave(engine: sa.Engine, keys: AuditKeys) -> None:
    def append(number: int) -> None:
        for count in range(10):
            with writing(engine).begin() as connection:
                lock_master(connection)
                append_to_master(connection, keys.key_id, [{"event": "OPENED", "shard": str(number), "size": count}])

    await asyncio.gather(*(asyncio.to_thread(append, number) for number in range(4)))

    (master,) = masters(engine)
    assert [record.seq for record in read_records(engine, master)] == list(range(40))
    with engine.connect() as connection:
        frontier_at(connection, master, 40)


async def test_a_checkpoint_takes_no_longer_than_the_stop_may(
    engine: sa.Engine,
    keys: AuditKeys,
    open_log: OpenLog,
    checkpointer: Callable[[AuditLog], Checkpointer],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A thread that hangs in the storage does not keep the process from ending."""
    held = asyncio.Event()
    loop = asyncio.get_running_loop()
    go_on = threading.Event()

    def hang(*_: object, **__: object) -> None:
        loop.call_soon_threadsafe(held.set)
        go_on.wait(60)

    monkeypatch.setattr(module, "_STOP_SECONDS", 0.05)
    monkeypatch.setattr(module.Checkpointer, "_seal", hang)
    log = open_log()
    running = checkpointer(log)
    running.start()
    await asyncio.wait_for(held.wait(), 20)

    running.close()
    go_on.set()

    assert "the last one is missing" in caplog.text


def test_a_separate_signing_key_is_made_and_used(tmp_path: Path, keys: AuditKeys) -> None:
    signer = LogSigner.of(keys, tmp_path / "signing.json")

    assert (tmp_path / "signing.json").stat().st_mode & 0o777 == 0o600
    assert signer.key != LogSigner.of(keys).key
    assert LogSigner.of(keys, tmp_path / "signing.json").key == signer.key
