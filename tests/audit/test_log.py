"""No record, no disclosure: what `append` promises, and what happens when it cannot."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from gateway.audit.canonical import NotCanonical
from gateway.audit.errors import AlongsideRefused, AuditClosed, AuditFailed, AuditUnavailable
from gateway.audit.events import AdminAction, EventKind
from gateway.audit.log import AuditLog
from gateway.audit.pending import Entry, Receipt, answer
from gateway.audit.records import read_records
from gateway.audit.tables import audit_leaf
from gateway.audit.writer import RETRY_SECONDS
from gateway.storage.engine import is_postgresql
from gateway.storage.tables import budget
from tests.audit.soundness import is_sound

pytestmark = pytest.mark.anyio

OpenLog = Callable[..., AuditLog]
Busy = Callable[[], AbstractContextManager[None]]
BeforeStatement = Callable[[Callable[[str], None]], None]

ROW = {"principal": "p", "window": "minute", "starts": 0, "lookups": 1, "misses": 0}


def kinds(engine: sa.Engine) -> list[str]:
    return [record.kind.value for record in read_records(engine)]


def counted(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


# What a record is


async def test_a_record_is_read_back_as_it_was_written(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()

    receipt = await log.append(EventKind.INTENT, {"purpose": "CP_S47", "fields": ["a", "b"]})

    record = list(read_records(engine, receipt.shard))[receipt.seq]
    assert (record.kind, record.payload) == (EventKind.INTENT, {"purpose": "CP_S47", "fields": ["a", "b"]})
    assert abs(record.time_ms - time.time() * 1000) < 60_000


async def test_a_leaf_binds_the_payload_and_holds_nothing_of_it(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()

    receipt = await log.append(EventKind.DENIED, {"reason": "a visit"})

    record = list(read_records(engine))[receipt.seq]
    leaf = json.loads(record.leaf)
    assert set(leaf) == {"v", "shard", "seq", "t", "kind", "ph"}
    assert (leaf["v"], leaf["shard"], leaf["seq"], leaf["kind"]) == (1, receipt.shard, receipt.seq, "DENIED")
    assert b"visit" not in record.leaf


async def test_equal_payloads_have_different_hashes(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()

    await asyncio.gather(*(log.append(EventKind.INTENT, {"subject": "x"}) for _ in range(50)))

    assert len({json.loads(record.leaf)["ph"] for record in read_records(engine)}) == 51


async def test_a_payload_changed_after_the_call_is_recorded_as_it_was(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()
    payload = {"reason": "before"}
    waiting = asyncio.ensure_future(log.append(EventKind.INTENT, payload))
    await asyncio.sleep(0)

    payload["reason"] = "after"

    receipt = await waiting
    assert list(read_records(engine))[receipt.seq].payload == {"reason": "before"}


async def test_a_payload_without_a_canonical_form_is_refused_alone(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()

    with pytest.raises(NotCanonical):
        await log.append(EventKind.INTENT, {"share": 0.5})
    with pytest.raises(TypeError):
        await log.append("INTENT", {})  # type: ignore[arg-type]

    await log.append(EventKind.INTENT, {})
    assert kinds(engine) == ["ADMIN", "INTENT"]


# Order and grouping


async def test_records_stand_in_the_order_in_which_they_were_asked_for(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()

    receipts = await asyncio.gather(*(log.append(EventKind.INTENT, {"count": n}) for n in range(2000)))

    assert [receipt.seq for receipt in receipts] == list(range(1, 2001))
    stored = [record.payload for record in read_records(engine)][1:]
    assert stored == [{"count": n} for n in range(2000)]
    assert is_sound(engine)


async def test_what_queues_during_a_commit_is_the_next_commit(
    engine: sa.Engine, open_log: OpenLog, before_statement: BeforeStatement
) -> None:
    commits: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def hold_the_second_commit(sql: str) -> None:
        if sql == "COMMIT":
            commits.append(sql)
            if len(commits) == 2:
                begun.set()
                go_on.wait(10)

    before_statement(hold_the_second_commit)
    log = open_log()  # STARTED is the first commit
    first = asyncio.ensure_future(log.append(EventKind.INTENT, {}))
    await asyncio.get_running_loop().run_in_executor(None, begun.wait, 10)
    waiting = [asyncio.ensure_future(log.append(EventKind.INTENT, {})) for _ in range(1000)]
    await asyncio.sleep(0)

    go_on.set()
    await asyncio.gather(first, *waiting)

    # 1 000 records in two commits of at most 512
    assert len(commits) == 4


async def test_two_threads_with_their_own_loops_share_a_log(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()

    async def many() -> list[Receipt]:
        return list(await asyncio.gather(*(log.append(EventKind.INTENT, {}) for _ in range(100))))

    both = await asyncio.gather(*(asyncio.to_thread(asyncio.run, many()) for _ in range(2)))

    assert sorted(receipt.seq for receipts in both for receipt in receipts) == list(range(1, 201))


# Durable before acknowledged


async def acknowledged_but_absent(log: AuditLog, engine: sa.Engine) -> int:
    """Count the records that a second connection does not see at the moment of their acknowledgement."""

    async def one() -> bool:
        receipt = await log.append(EventKind.OUTCOME, {})
        with engine.connect() as connection:
            found = connection.execute(sa.select(audit_leaf.c.seq).where(audit_leaf.c.seq == receipt.seq)).scalar()
        return found is None

    return sum(await asyncio.gather(*(one() for _ in range(20))))


class EarlyLog(AuditLog):
    """Acknowledges a batch before it commits it."""

    def _commit(self, batch: list[Entry]) -> None:
        first = self._writer.size
        answer(batch, [Receipt(self.shard, seq) for seq in range(first, first + len(batch))])
        if batch:
            self._writer.write(batch, until=0)


@pytest.mark.parametrize(
    ("log_type", "caught"),
    [pytest.param(AuditLog, False, id="the-log"), pytest.param(EarlyLog, True, id="one-that-answers-early")],
)
async def test_an_acknowledged_record_is_on_disk(
    engine: sa.Engine, open_log: OpenLog, before_statement: BeforeStatement, log_type: type[AuditLog], caught: bool
) -> None:
    before_statement(lambda sql: time.sleep(0.05) if sql == "COMMIT" else None)
    log = open_log(log_type=log_type)

    assert (await acknowledged_but_absent(log, engine) > 0) is caught


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_the_writer_commits_with_synchronous_full(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()

    assert log._writer._driver.execute("PRAGMA synchronous").fetchone() == (2,)
    assert log._writer._driver.execute("PRAGMA journal_mode").fetchone() == ("wal",)


# With the record, or not at all


async def test_statements_alongside_are_committed_with_the_record(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()
    spent = sa.update(budget).where(budget.c.principal == "p").values(misses=budget.c.misses + 1)

    await log.append(EventKind.INTENT, {}, alongside=[(sa.insert(budget), ROW), (spent, {})])
    await log.append(EventKind.OUTCOME, {}, alongside=[(sa.insert(budget), [ROW | {"starts": n} for n in (1, 2)])])

    with engine.connect() as connection:
        assert connection.execute(sa.select(budget.c.starts, budget.c.misses)).all() == [(0, 1), (1, 0), (2, 0)]


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        pytest.param(sa.insert(budget), ROW, id="a-key-that-is-taken"),
        pytest.param(sa.insert(budget), {"principal": "q"}, id="a-column-left-out"),
        pytest.param(sa.insert(budget), ROW | {"lookups": object()}, id="a-parameter-that-cannot-be-bound"),
        pytest.param(sa.insert(budget), ROW | {"lookups": 2**80}, id="a-number-that-is-too-large"),
        pytest.param(sa.text("INSERT INTO nowhere VALUES (1)"), {}, id="a-table-that-is-not-there"),
        pytest.param(sa.text("DELETE FROM audit_leaf"), {}, id="a-change-of-the-log-itself"),
    ],
)
async def test_one_caller_s_mistake_is_not_everybody_s(
    engine: sa.Engine, open_log: OpenLog, statement: Any, parameters: Any
) -> None:
    log = open_log()
    await log.append(EventKind.INTENT, {}, alongside=[(sa.insert(budget), ROW)])

    outcomes = await asyncio.gather(
        log.append(EventKind.INTENT, {"count": 1}),
        log.append(EventKind.INTENT, {"count": 2}, alongside=[(statement, parameters)]),
        log.append(EventKind.INTENT, {"count": 3}, alongside=[(sa.insert(budget), ROW | {"starts": 9})]),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes] == [Receipt, AlongsideRefused, Receipt]
    assert [record.payload for record in read_records(engine)][2:] == [{"count": 1}, {"count": 3}]
    assert counted(engine, budget) == 2
    assert log.ready
    assert is_sound(engine)


async def test_a_statement_that_ends_the_transaction_stops_the_log(engine: sa.Engine, open_log: OpenLog) -> None:
    stopped: list[bool] = []
    log = open_log(on_fatal=lambda: stopped.append(True))

    with pytest.raises(AuditFailed):
        await log.append(EventKind.INTENT, {}, alongside=[(sa.text("COMMIT"), {})])
    log.close()  # the caller is answered before the log's own thread says that it must stop

    assert stopped == [True]


# Cancelled, closed


async def test_a_cancelled_wait_does_not_cancel_the_record(
    engine: sa.Engine, open_log: OpenLog, before_statement: BeforeStatement
) -> None:
    before_statement(lambda sql: time.sleep(0.05) if sql == "COMMIT" else None)
    log = open_log()
    waiting = [asyncio.ensure_future(log.append(EventKind.INTENT, {"count": n})) for n in range(20)]
    await asyncio.sleep(0)

    for each in waiting[::2]:
        each.cancel()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, Receipt] * 10
    assert [record.payload for record in read_records(engine)][1:] == [{"count": n} for n in range(20)]


async def test_closing_writes_what_is_queued_and_takes_no_more(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()
    waiting = [asyncio.ensure_future(log.append(EventKind.DENIED, {})) for _ in range(5)]
    await asyncio.sleep(0)

    log.close()
    log.close()

    assert len(await asyncio.gather(*waiting)) == 5
    assert not log.ready
    with pytest.raises(AuditClosed):
        await log.append(EventKind.INTENT, {})
    assert kinds(engine) == ["ADMIN", *["DENIED"] * 5, "ADMIN"]
    last = list(read_records(engine))[-1]
    assert last.payload == {"action": AdminAction.STOPPED}


# Busy


async def test_a_database_that_is_busy_for_a_moment_is_waited_for(open_log: OpenLog, busy: Busy) -> None:
    log = open_log()
    with busy():
        waiting = asyncio.ensure_future(log.append(EventKind.INTENT, {}))
        await asyncio.sleep(0.05)

    assert (await waiting).seq == 1
    assert log.ready


async def test_what_queued_while_the_log_wrote_has_the_whole_patience_before_it(
    engine: sa.Engine, open_log: OpenLog, before_statement: BeforeStatement
) -> None:
    """The log's own work is not a busy database."""
    commits, tries = itertools.count(), itertools.count()

    def flaw(sql: str) -> None:
        if not armed:
            return
        if sql.startswith("COMMIT") and next(commits) == 0:
            time.sleep(2 * RETRY_SECONDS)
        elif sql.startswith("BEGIN") and next(tries) == 1:
            raise said_by_the_server("55P03") if is_postgresql(engine) else io_error(sqlite3.SQLITE_BUSY)

    armed = False
    before_statement(flaw)
    log = open_log()
    armed = True

    first = asyncio.ensure_future(log.append(EventKind.INTENT, {"count": 1}))
    await asyncio.sleep(RETRY_SECONDS / 5)
    second = asyncio.ensure_future(log.append(EventKind.INTENT, {"count": 2}))

    assert [(await first).seq, (await second).seq] == [1, 2]
    assert next(tries) == 3


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_file_that_is_busy_is_tried_often_before_anybody_is_refused_however_late_it_is(
    engine: sa.Engine, open_log: OpenLog, busy: Busy, before_statement: BeforeStatement
) -> None:
    """A process that the machine does not run tries nothing, whatever the clock says."""
    held = ExitStack()
    tries = itertools.count()

    def flaw(sql: str) -> None:
        if armed and sql.startswith("BEGIN IMMEDIATE"):
            # between two tries so much time goes by as between all of them
            time.sleep(RETRY_SECONDS)
            if next(tries) == 5:
                held.close()

    armed = False
    before_statement(flaw)
    log = open_log()
    held.enter_context(busy())
    armed = True

    assert (await log.append(EventKind.INTENT, {})).seq == 1
    assert next(tries) == 6


async def test_a_database_that_stays_busy_refuses_every_waiter_and_records_none(
    engine: sa.Engine, open_log: OpenLog, busy: Busy
) -> None:
    log = open_log()
    with busy():
        outcomes = await asyncio.gather(
            *(log.append(EventKind.INTENT, {"count": n}) for n in range(5)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [AuditUnavailable] * 5
        assert not log.ready
        assert not log.failed

    receipt = await log.append(EventKind.INTENT, {"count": 9})

    assert log.ready
    assert {"count": 9} in [record.payload for record in read_records(engine)]
    assert not [record for record in read_records(engine) if record.payload in [{"count": n} for n in range(5)]]
    assert receipt.seq in (1, 2)  # a probe may have come first
    assert is_sound(engine)


async def test_readiness_returns_without_a_caller(engine: sa.Engine, open_log: OpenLog, busy: Busy) -> None:
    """A gateway that is not ready gets no traffic; if only traffic could make it ready, it would never be."""
    log = open_log()
    with busy(), pytest.raises(AuditUnavailable):
        await log.append(EventKind.INTENT, {})

    while not log.ready:  # noqa: ASYNC110 readiness is read from outside, as a probe would
        await asyncio.sleep(0.05)

    assert kinds(engine) == ["ADMIN", "HEARTBEAT"]


# Fail-stop


def io_error(code: int = sqlite3.SQLITE_IOERR_FSYNC) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
    return error


def said_by_the_server(sqlstate: str) -> psycopg.Error:
    return psycopg.errors.lookup(sqlstate)("the server's text")


class FailsOnce:
    """Storage that fails once, at one kind of statement, and then works again as if nothing had been."""

    def __init__(self, at: str, error: Exception) -> None:
        self.at = at
        self.error: Exception | None = error
        self.armed = False

    def __call__(self, sql: str) -> None:
        if self.armed and sql.startswith(self.at) and self.error is not None:
            error, self.error = self.error, None
            raise error


FAILURES_OF_SQLITE = [
    pytest.param("COMMIT", io_error(), id="the-flush"),
    pytest.param("COMMIT", io_error(sqlite3.SQLITE_BUSY), id="a-commit-that-is-busy"),
    pytest.param("COMMIT", sqlite3.OperationalError("no code"), id="a-commit-of-unknown-result"),
    pytest.param("COMMIT", MemoryError(), id="no-memory"),
    pytest.param("BEGIN", io_error(), id="the-begin"),
    pytest.param("INSERT INTO budget", io_error(), id="a-statement-alongside"),
    pytest.param("INSERT INTO budget", OSError("gone"), id="the-system-under-a-statement-alongside"),
]
FAILURES_OF_POSTGRESQL = [
    pytest.param("COMMIT", psycopg.OperationalError("connection lost"), id="a-commit-of-unknown-result"),
    pytest.param("COMMIT", said_by_the_server("40001"), id="a-commit-that-cannot-be-serialized"),
    pytest.param("COMMIT", said_by_the_server("57P01"), id="a-commit-of-a-server-that-stops"),
    pytest.param("COMMIT", said_by_the_server("58030"), id="the-flush"),
    pytest.param("COMMIT", MemoryError(), id="no-memory"),
    pytest.param("BEGIN", said_by_the_server("58030"), id="the-begin"),
    pytest.param("WITH payload", said_by_the_server("53100"), id="a-full-disk"),
    pytest.param("WITH payload", said_by_the_server("23505"), id="a-leaf-that-somebody-else-has-written"),
    pytest.param("WITH payload", said_by_the_server("42501"), id="a-role-that-lost-its-grant"),
    pytest.param("INSERT INTO budget", said_by_the_server("XX001"), id="a-damaged-page-under-a-statement"),
    pytest.param("INSERT INTO budget", OSError("gone"), id="the-system-under-a-statement-alongside"),
]


@pytest.mark.parametrize(
    ("engine", "at", "error"),
    [pytest.param("sqlite", *each.values, id=f"sqlite-{each.id}") for each in FAILURES_OF_SQLITE]
    + [pytest.param("postgresql", *each.values, id=f"postgresql-{each.id}") for each in FAILURES_OF_POSTGRESQL],
    indirect=["engine"],
)
async def test_after_a_failure_of_storage_nothing_is_ever_acknowledged(
    open_log: OpenLog,
    before_statement: BeforeStatement,
    caplog: pytest.LogCaptureFixture,
    at: str,
    error: Exception,
) -> None:
    flaw = FailsOnce(at, error)
    before_statement(flaw)
    stopped: list[bool] = []
    log = open_log(on_fatal=lambda: stopped.append(True))
    flaw.armed = True

    outcomes = await asyncio.gather(
        *(
            log.append(EventKind.OUTCOME, {"reason": "private"}, alongside=[(sa.insert(budget), ROW | {"starts": n})])
            for n in range(5)
        ),
        return_exceptions=True,
    )
    log._thread.join()

    assert [type(outcome) for outcome in outcomes] == [AuditFailed] * 5
    assert (log.ready, log.failed, stopped) == (False, True, [True])
    with pytest.raises(AuditFailed):
        await log.append(EventKind.OUTCOME, {})
    assert "the audit log has failed" in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_full_disk_stops_the_log(
    engine: sa.Engine, open_log: OpenLog, caplog: pytest.LogCaptureFixture
) -> None:
    """A genuine error of SQLite rather than one of ours: no page more than there are."""

    def fill(driver: sqlite3.Connection, _record: object) -> None:
        pages = driver.execute("PRAGMA page_count").fetchone()[0]
        driver.execute(f"PRAGMA max_page_count={pages + 1}").close()

    event.listen(engine, "connect", fill)
    engine.dispose()
    stopped: list[bool] = []
    log = open_log(on_fatal=lambda: stopped.append(True))

    with pytest.raises(AuditFailed):
        await log.append(EventKind.OUTCOME, {"reason": "x" * 100_000})

    log._thread.join()
    assert stopped == [True]
    assert "SQLITE_FULL" in caplog.text
    assert caplog.records[-1].levelno == logging.CRITICAL
    assert kinds(engine) == ["ADMIN"]


class ForgivingLog(AuditLog):
    """Goes on after a failed flush, as SQLite itself does."""

    def _commit(self, batch: list[Entry]) -> None:
        try:
            super()._commit(batch)
        except (sqlite3.OperationalError, psycopg.OperationalError):
            self._writer._roll_back()
            answer(batch, AuditUnavailable)


async def test_a_log_that_goes_on_after_a_failed_flush_would_be_noticed(
    engine: sa.Engine, open_log: OpenLog, before_statement: BeforeStatement
) -> None:
    """The control of the tests above: storage that has failed does answer again."""
    flaw = FailsOnce("COMMIT", said_by_the_server("58030") if is_postgresql(engine) else io_error())
    before_statement(flaw)
    log = open_log(log_type=ForgivingLog)
    flaw.armed = True

    with pytest.raises(AuditUnavailable):
        await log.append(EventKind.OUTCOME, {})

    assert (await log.append(EventKind.OUTCOME, {})).seq == 1
