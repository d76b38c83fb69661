"""A shard that has had its time is closed while the log goes on in another, and both verify."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.audit.checkpointer import Checkpointer
from gateway.audit.events import AdminAction, EventKind, ShardEvent
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.master import is_master
from gateway.audit.records import MASTER, Record, read_records
from gateway.audit.rotation import ShardLimits
from gateway.audit.signing import LogSigner
from gateway.audit.tables import audit_payload, audit_shard
from gateway.audit.verification.trust import Trust
from gateway.audit.verify import Status, Verification, verify
from tests.audit.rewriting import rewrite

pytestmark = pytest.mark.anyio

Limited = Callable[..., AuditLog]
DAY_MS = 86_400_000


@pytest.fixture
def limited(engine: sa.Engine, keys: AuditKeys) -> Iterator[Limited]:
    """Open a log whose shards end; every log is closed after the test."""
    logs: list[AuditLog] = []

    def opened(days: float | None = None, records: int | None = None) -> AuditLog:
        logs.append(AuditLog.open(engine, keys, on_fatal=lambda: None, limits=ShardLimits(days, records)))
        return logs[-1]

    yield opened
    for log in logs:
        log.close()


@pytest.fixture
def sealing(engine: sa.Engine, keys: AuditKeys) -> Callable[[AuditLog], Checkpointer]:
    return lambda log: Checkpointer(engine, log, keys.key_id, LogSigner.of(keys))


def verified(engine: sa.Engine, keys: AuditKeys) -> Verification:
    return verify(engine, Trust(log_keys=(LogSigner.of(keys).key,)))


def states(engine: sa.Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(audit_shard.c.id, audit_shard.c.state)).all()
    return {row.id: row.state for row in rows if not is_master(row.id)}


def said(records: list[Record], shard: str) -> list[str]:
    """Return what is on record in a shard: kinds, and the actions of ADMIN records."""
    of = [record for record in records if record.shard == shard]
    return [str((r.payload or {}).get("action", r.kind)) for r in of]


def events(engine: sa.Engine, shard: str) -> list[tuple[str, int]]:
    """Return what the master log says of a shard, and of which size."""
    table = audit_payload
    query = sa.select(table.c.body).where(table.c.shard.startswith(MASTER)).order_by(table.c.seq)
    with engine.connect() as connection:
        told = [json.loads(body) for body in connection.scalars(query)]
    return [(payload["event"], payload["size"]) for payload in told if payload["shard"] == shard]


async def until_another(log: AuditLog, shard: str) -> None:
    for _ in range(200):
        if log.shard != shard:
            return
        await log.append(EventKind.DENIED, {})
    pytest.fail("the log went on in the same shard")


async def test_after_so_many_records_the_log_goes_on_in_another_shard_and_the_first_is_closed(
    engine: sa.Engine, keys: AuditKeys, limited: Limited, sealing: Callable[[AuditLog], Checkpointer]
) -> None:
    log = limited(records=6)
    checkpointer = sealing(log)
    first = log.shard
    await log.append(EventKind.DENIED, {})
    checkpointer.checkpoint()
    await until_another(log, first)
    size = log.ended()[0].tree.size
    receipt = await log.append(EventKind.DENIED, {"code": "IN_THE_SECOND"})
    checkpointer.checkpoint()

    found = verified(engine, keys)
    records = list(read_records(engine))
    assert (found.status, found.findings) == (Status.GOOD, [])
    assert states(engine) == {first: "CLOSED", log.shard: "OPEN"}
    assert receipt.shard == log.shard != first
    assert said(records, first)[0] == AdminAction.STARTED
    assert said(records, first)[-1] == AdminAction.STOPPED
    assert said(records, log.shard)[:1] == [AdminAction.STARTED]
    assert [event for event, _ in events(engine, first)] == [
        ShardEvent.OPENED, ShardEvent.CHECKPOINT, ShardEvent.CHECKPOINT, ShardEvent.CLOSED,
    ]  # fmt: skip
    assert events(engine, first)[-1] == (ShardEvent.CLOSED, size)
    assert log.ended() == []


async def test_after_so_many_days_another_is_begun(
    engine: sa.Engine, keys: AuditKeys, limited: Limited, sealing: Callable[[AuditLog], Checkpointer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    log = limited(days=31)
    first = log.shard
    await log.append(EventKind.DENIED, {})
    began = time.time_ns() // 1_000_000
    monkeypatch.setattr("gateway.audit.rotation.now_ms", lambda: began + 30 * DAY_MS)
    for _ in range(3):
        await log.append(EventKind.DENIED, {})
    assert log.shard == first

    monkeypatch.setattr("gateway.audit.rotation.now_ms", lambda: began + 31 * DAY_MS)
    await until_another(log, first)
    monkeypatch.undo()
    sealing(log).checkpoint()

    assert states(engine) == {first: "CLOSED", log.shard: "OPEN"}
    assert verified(engine, keys).status is Status.GOOD


async def test_a_lookup_that_is_under_way_ends_in_the_shard_in_which_it_began(
    engine: sa.Engine, keys: AuditKeys, limited: Limited, sealing: Callable[[AuditLog], Checkpointer]
) -> None:
    log = limited(records=3)
    first = log.shard
    intent = await log.append(EventKind.INTENT, {})
    for _ in range(10):
        await log.append(EventKind.DENIED, {})
    outcome = await log.append(EventKind.OUTCOME, {"intent": intent.seq})
    await until_another(log, first)
    sealing(log).checkpoint()

    assert intent.shard == outcome.shard == first
    assert outcome.seq > 10
    assert verified(engine, keys).open_intents == 0


async def test_a_lookup_that_nothing_will_end_holds_up_no_shard_and_is_told_at_its_end(
    engine: sa.Engine, keys: AuditKeys, limited: Limited, sealing: Callable[[AuditLog], Checkpointer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    log = limited(records=3)
    first = log.shard
    lost = await log.append(EventKind.INTENT, {})
    await log.append(EventKind.DENIED, {})
    assert log.shard == first
    monkeypatch.setattr("gateway.audit.log.SETTLED_SECONDS", 0.0)
    await until_another(log, first)
    sealing(log).checkpoint()

    stopped = [r.payload for r in read_records(engine) if r.shard == first and r.kind is EventKind.ADMIN][-1]
    assert stopped is not None
    assert stopped["intents"] == [lost.seq]
    found = verified(engine, keys)
    assert (found.status, found.open_intents) == (Status.GOOD, 1)


async def test_the_thread_closes_what_the_log_has_ended(
    engine: sa.Engine, keys: AuditKeys, limited: Limited, sealing: Callable[[AuditLog], Checkpointer]
) -> None:
    log = limited(records=5)
    checkpointer = sealing(log)
    checkpointer.start()
    with closing(checkpointer):
        for _ in range(4):
            await until_another(log, log.shard)
        log.close()

    found = verified(engine, keys)
    assert (found.status, found.findings, found.unsealed) == (Status.GOOD, [], 0)
    assert sorted(states(engine).values()) == ["CLOSED"] * 4 + ["OPEN"]


async def test_nobody_goes_on_with_a_shard_that_has_ended_and_after_a_crash_the_next_process_ends_it(
    engine: sa.Engine, keys: AuditKeys, limited: Limited, sealing: Callable[[AuditLog], Checkpointer]
) -> None:
    log = limited(records=5)
    first = log.shard
    await until_another(log, first)
    # not closed yet: the other process finds neither of them free
    other = limited()
    assert other.shard not in {first, log.shard}
    other.close()
    (ended,) = log.ended()
    log.close()
    ended.let_go()  # as a crash before the last checkpoint would

    again = limited(records=5)
    assert again.shard == first
    await until_another(again, first)
    sealing(again).checkpoint()

    assert states(engine)[first] == "CLOSED"
    assert verified(engine, keys).status is Status.GOOD


async def test_a_closed_shard_is_never_taken_up_and_one_that_grew_is_tampered_with(
    engine: sa.Engine, owner: sa.Engine, keys: AuditKeys, limited: Limited,
    sealing: Callable[[AuditLog], Checkpointer],
) -> None:  # fmt: skip
    log = limited(records=5)
    first, checkpointer = log.shard, sealing(log)
    await until_another(log, first)
    checkpointer.checkpoint()
    log.close()
    checkpointer.close()
    assert verified(engine, keys).status is Status.GOOD

    # opened again by somebody who may change the schema, and gone on with
    rewrite(owner, f"UPDATE audit_shard SET state = 'OPEN', closed = NULL WHERE id = '{first}'")  # noqa: S608
    assert verified(engine, keys).status is Status.TAMPERED
    forged = limited()
    assert forged.shard == first
    forged.close()

    found = verified(engine, keys)
    assert found.status is Status.TAMPERED
    assert any("after it was closed" in finding for finding in found.findings)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("limits", [{"records": 3}, {"days": 0.0}], ids=["records", "days"])
async def test_a_log_that_finds_no_connection_for_the_next_shard_goes_on_in_its_own_until_there_is_one(
    engine: sa.Engine,
    limited: Limited,
    sealing: Callable[[AuditLog], Checkpointer],
    monkeypatch: pytest.MonkeyPatch,
    limits: dict[str, Any],
) -> None:
    """As when those who read wait for a server that stands still, on every connection that there may be."""
    monkeypatch.setattr("gateway.audit.rotation._PAUSE_SECONDS", 0.1)
    with ExitStack() as others:
        log = limited(**limits)
        first = log.shard
        for _ in range(engine.pool.size()):  # type: ignore[attr-defined]
            others.enter_context(engine.connect())
        for _ in range(3):
            assert (await log.append(EventKind.DENIED, {})).shard == first

    async with asyncio.timeout(20):
        while (await log.append(EventKind.DENIED, {})).shard == first:
            pass
    assert not log.failed
    log.close()
    sealing(log).checkpoint()


async def test_without_limits_a_log_goes_on_in_its_shard(limited: Limited) -> None:
    log = limited()
    first = log.shard
    for _ in range(30):
        await log.append(EventKind.DENIED, {})

    assert (log.shard, log.ended()) == (first, [])
