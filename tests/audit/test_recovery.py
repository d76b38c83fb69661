"""Taking up the log again: after a stop, after a crash, beside another process, and over a damaged end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import psycopg
import pytest
import sqlalchemy as sa

from gateway.audit.errors import AnotherKey, AuditUnavailable
from gateway.audit.events import AdminAction, EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.records import read_records
from gateway.audit.tables import audit_shard
from gateway.audit.verify import verify
from gateway.storage.engine import is_postgresql
from tests.audit.rewriting import rewrite
from tests.audit.soundness import is_sound

pytestmark = pytest.mark.anyio

OpenLog = Callable[..., AuditLog]


def abandon(log: AuditLog) -> None:
    """Leave the log as a killed process would: no STOPPED, the claim gone with the process."""
    driver = log._writer._driver
    if isinstance(driver, psycopg.Connection):
        # the server notices the end of a session in its own time: for the test, at once
        driver.execute("SELECT pg_advisory_unlock_all()")
    log._writer.write = _killed  # type: ignore[method-assign]
    # its thread ends first: it may still be tidying, and a connection that is closed under another thread's
    # statement takes the interpreter with it
    log.close()


def _killed(*_: Any, **__: Any) -> int:
    raise AuditUnavailable("the process is gone")


def admin_actions(engine: sa.Engine) -> list[str]:
    return [
        record.payload["action"] for record in read_records(engine) if record.payload and "action" in record.payload
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 6, 7, 300, 700])
async def test_a_restart_goes_on_with_the_same_tree(engine: sa.Engine, open_log: OpenLog, count: int) -> None:
    log = open_log()
    await asyncio.gather(*(log.append(EventKind.DENIED, {}) for _ in range(count)))
    log.close()

    again = open_log()
    receipt = await again.append(EventKind.DENIED, {})
    again.close()

    assert (again.shard, receipt.seq) == (log.shard, count + 3)
    assert admin_actions(engine) == [AdminAction.STARTED, AdminAction.STOPPED] * 2
    assert is_sound(engine)


async def test_a_crash_leaves_intents_that_the_next_start_names(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()
    answered = await log.append(EventKind.INTENT, {})
    await log.append(EventKind.OUTCOME, {"intent": answered.seq})
    unanswered = await log.append(EventKind.INTENT, {})
    abandon(log)

    open_log()

    assert list(read_records(engine))[-1].payload == {
        "action": AdminAction.OPEN_INTENTS_FOUND,
        "count": 1,
        "intents": [unanswered.seq],
    }
    assert is_sound(engine)
    if not is_postgresql(engine):
        found = verify(engine)
        assert found.open_intents == 1
        assert f"seq {unanswered.seq}" in " ".join(found.findings)


async def test_a_clean_stop_names_the_intents_that_were_never_closed(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()
    answered = await log.append(EventKind.INTENT, {})
    unanswered = await log.append(EventKind.INTENT, {})
    await log.append(EventKind.OUTCOME, {"intent": answered.seq})
    log.close()

    open_log()

    stopped, _, found = [record.payload for record in read_records(engine)][-3:]
    named = {"count": 1, "intents": [unanswered.seq]}
    assert stopped == {"action": AdminAction.STOPPED, **named}
    assert found == {"action": AdminAction.OPEN_INTENTS_FOUND, **named}


async def test_intents_of_an_earlier_run_are_named_once(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()
    await log.append(EventKind.INTENT, {})
    abandon(log)
    abandon(open_log())

    open_log()

    assert admin_actions(engine).count(AdminAction.OPEN_INTENTS_FOUND) == 1
    if not is_postgresql(engine):
        assert verify(engine).open_intents == 1


async def test_two_processes_on_one_database_write_two_shards(engine: sa.Engine, open_log: OpenLog) -> None:
    first, second = open_log(), open_log()

    receipts = await asyncio.gather(
        *(log.append(EventKind.DENIED, {}) for _ in range(50) for log in (first, second)), return_exceptions=True
    )

    assert first.shard != second.shard
    assert {receipt.shard for receipt in receipts if not isinstance(receipt, BaseException)} == {
        first.shard,
        second.shard,
    }
    first.close()
    second.close()
    assert {open_log().shard, open_log().shard} == {first.shard, second.shard}
    assert is_sound(engine)


async def test_a_log_begun_with_another_key_is_not_continued(
    engine: sa.Engine, open_log: OpenLog, tmp_path: Path
) -> None:
    """With another key no shield would match its child, and nobody would notice."""
    open_log().close()

    with pytest.raises(AnotherKey):
        AuditLog.open(engine, AuditKeys.load_or_create(tmp_path / "other.key"), on_fatal=lambda: None)

    open_log()  # the refusal released the shard


DAMAGE = [
    pytest.param("UPDATE audit_leaf SET body = {other_kind} WHERE seq = 4", id="a-leaf"),
    pytest.param("UPDATE audit_payload SET body = {list} WHERE seq = 0", id="the-first-payload"),
    pytest.param("UPDATE audit_leaf SET body = {byte} WHERE seq = 4", id="a-leaf-that-cannot-be-read"),
    pytest.param("UPDATE audit_leaf SET hash = {zeros} WHERE seq = 4", id="the-hash-of-a-leaf"),
    pytest.param("UPDATE audit_payload SET body = {object} WHERE seq = 4", id="a-payload"),
    pytest.param("UPDATE audit_payload SET salt = {zeros} WHERE seq = 4", id="a-salt"),
    pytest.param("UPDATE audit_node SET hash = {zeros} WHERE level = 1 AND ix = 1", id="a-node"),
    pytest.param("UPDATE audit_node SET hash = {byte} WHERE level = 2 AND ix = 0", id="a-node-of-the-wrong-length"),
    pytest.param("DELETE FROM audit_leaf WHERE seq = 4", id="a-leaf-taken-out"),
    pytest.param("DELETE FROM audit_leaf WHERE seq = 7", id="the-last-leaf-taken-off"),
    pytest.param("DELETE FROM audit_node WHERE level = 3", id="the-highest-node-taken-out"),
    pytest.param("DELETE FROM audit_node WHERE level = 1 AND ix = 0", id="a-low-node-taken-out"),
    pytest.param(
        "INSERT INTO audit_node SELECT shard, 4, 0, hash FROM audit_node WHERE level = 3", id="a-node-above-the-highest"
    ),
    pytest.param(
        "INSERT INTO audit_node SELECT shard, 1, 99, hash FROM audit_node WHERE level = 3", id="a-node-beyond-the-last"
    ),
    pytest.param(
        "DELETE FROM audit_leaf WHERE seq > 5; DELETE FROM audit_payload WHERE seq > 5",
        id="an-end-cut-off-but-for-nodes",
    ),
    pytest.param("DELETE FROM audit_leaf; DELETE FROM audit_node", id="every-leaf-taken-out"),
]


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_end_is_frozen_and_a_new_shard_begun(
    engine: sa.Engine, owner: sa.Engine, open_log: OpenLog, damage: str
) -> None:
    log = await fill(open_log)
    rewrite(owner, *damage.split(";"))

    again = open_log()

    await again.append(EventKind.DENIED, {})
    assert again.shard != log.shard
    assert [r.payload for r in read_records(engine, again.shard)][1] == {
        "action": AdminAction.SHARD_FROZEN,
        "shard": log.shard,
        "detail": ANY,
    }
    with engine.connect() as connection:
        state = connection.scalar(sa.select(audit_shard.c.state).where(audit_shard.c.id == log.shard))
    assert state == "FROZEN"
    assert not is_sound(engine)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_leaf_of_another_type_is_not_continued(engine: sa.Engine, open_log: OpenLog) -> None:
    log = await fill(open_log)
    rewrite(engine, "UPDATE audit_leaf SET body = CAST(body AS TEXT) WHERE seq = 4")

    assert open_log().shard != log.shard


async def fill(open_log: OpenLog) -> AuditLog:
    log = open_log()
    for count in range(6):
        await log.append(EventKind.DENIED, {"code": str(count)})
    log.close()
    return log
