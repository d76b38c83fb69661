"""Who writes to an SQLite file next: the log before all others of its process, and each process in its turn."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.audit.errors import AuditUnavailable
from gateway.audit.events import EventKind
from gateway.audit.index import EventIndex
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.records import read_records
from gateway.audit.sqlite_writer import SQLiteWriter
from gateway.audit.writer import RETRY_SECONDS
from gateway.storage.engine import open_engine, writing
from gateway.storage.tables import shield
from gateway.storage.turns import Next, Turns, turns_of
from tests.fixtures.migrated import open_migrated

pytestmark = pytest.mark.anyio

OpenLog = Callable[..., AuditLog]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """PostgreSQL has no lock that all writers share."""
    engine = open_migrated(tmp_path / "gateway.db")
    yield engine
    engine.dispose()


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """Do something over and over in a thread; what it raises fails the test."""
    ended = threading.Event()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            while not ended.is_set():
                work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert raised == []


@asynccontextmanager
async def transaction_of_ours(engine: sa.Engine) -> AsyncIterator[None]:
    """Be in the middle of a transaction that another part of the gateway writes, in a thread as it would be."""
    ended, begun = threading.Event(), threading.Event()

    def write() -> None:
        with writing(engine).begin() as connection:
            connection.execute(sa.insert(shield), {"source": "s", "pseudonym": "p", "since": "2026-01-01"})
            begun.set()
            ended.wait(60)

    written = asyncio.ensure_future(asyncio.to_thread(write))
    try:
        assert await asyncio.to_thread(begun.wait, 60)
        yield
    finally:
        ended.set()
        await written


async def test_while_this_process_itself_is_writing_the_log_waits_as_for_a_flush_of_its_own(
    engine: sa.Engine, open_log: OpenLog
) -> None:
    """A disk that takes its time over the index or a checkpoint is no reason to refuse lookups."""
    log = open_log()

    async with transaction_of_ours(engine):
        waiting = asyncio.ensure_future(log.append(EventKind.INTENT, {}))
        await asyncio.sleep(3 * RETRY_SECONDS)
        assert not waiting.done()

    assert (await waiting).seq == 1


async def test_who_hangs_in_a_transaction_of_this_process_does_not_hold_up_the_log_for_good(
    engine: sa.Engine, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SQLiteWriter, "OURS_SECONDS", RETRY_SECONDS)
    log = open_log()

    async with transaction_of_ours(engine):
        with pytest.raises(AuditUnavailable):
            await log.append(EventKind.INTENT, {})


async def test_a_turn_in_which_nothing_is_written_yet_is_waited_for_no_longer_than_another_process(
    engine: sa.Engine, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the turn may itself be waiting for a process that keeps the file locked."""
    monkeypatch.setattr(SQLiteWriter, "OURS_SECONDS", 3600.0)
    log = open_log()
    assert turns_of(engine).take(1)
    try:
        with pytest.raises(AuditUnavailable):
            await log.append(EventKind.INTENT, {})
    finally:
        turns_of(engine).give_back()


async def test_a_writer_that_begins_again_at_once_does_not_keep_the_log_from_a_record(
    engine: sa.Engine, open_log: OpenLog
) -> None:
    """Whoever asks now and then, as SQLite's own waiting does, finds the file busy for as long as this goes on."""
    log = open_log()
    written = 0

    def write() -> None:
        nonlocal written
        with writing(engine).begin() as connection:
            connection.execute(sa.insert(shield), {"source": "s", "pseudonym": str(written), "since": "2026-01-01"})
            time.sleep(0.1)
        written += 1

    with beside(write):
        receipts = [await log.append(EventKind.INTENT, {"count": n}) for n in range(20)]

    assert [receipt.seq for receipt in receipts] == list(range(1, 21))
    assert written > 0


async def test_records_are_committed_while_a_long_log_is_indexed(
    engine: sa.Engine, open_log: OpenLog, keys: AuditKeys
) -> None:
    log = open_log()
    await asyncio.gather(*(log.append(EventKind.DENIED, {"code": "BUDGET"}) for _ in range(600)))
    index = EventIndex(engine, keys, step=20)
    rebuilt = 0

    def rebuild() -> None:
        nonlocal rebuilt
        rebuilt += index.rebuild()

    with beside(rebuild):
        receipts = [await log.append(EventKind.INTENT, {"count": n}) for n in range(60)]

    assert len(receipts) == 60
    assert rebuilt >= 600
    assert index.differences() == 0


async def test_a_log_that_writes_without_end_lets_the_others_write(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()
    ended = False

    async def append() -> None:
        while not ended:
            await log.append(EventKind.DENIED, {})

    appending = [asyncio.ensure_future(append()) for _ in range(4)]
    for number in range(10):
        await asyncio.to_thread(_write_a_row, engine, number)
    ended = True
    await asyncio.gather(*appending)

    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(shield)) == 10


def _write_a_row(engine: sa.Engine, number: int) -> None:
    with writing(engine).begin() as connection:
        connection.execute(sa.insert(shield), {"source": "s", "pseudonym": str(number), "since": "2026-01-01"})


_WITHOUT_END = """
import asyncio, sys
from pathlib import Path
from gateway.audit.errors import AuditUnavailable
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.storage.engine import open_engine

async def append(log):
    while True:
        await log.append(EventKind.DENIED, {})

async def main(folder):
    keys = AuditKeys.load_or_create(folder / "audit.key")
    log = AuditLog.open(open_engine(f"sqlite:///{folder}/gateway.db"), keys, on_fatal=lambda: None)
    print("begun", flush=True)
    await asyncio.gather(*(append(log) for _ in range(4)))

asyncio.run(main(Path(sys.argv[1])))
"""


@contextmanager
def another_log(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that writes to a shard of its own, as fast as it can."""
    command = [sys.executable, "-c", _WITHOUT_END, str(folder)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"begun\n"
            yield other
        finally:
            other.kill()


async def test_a_process_that_writes_without_end_does_not_keep_another_from_a_record(
    tmp_path: Path, engine: sa.Engine, open_log: OpenLog
) -> None:
    log = open_log()
    with another_log(tmp_path) as other:
        receipts = [await log.append(EventKind.INTENT, {"count": n}) for n in range(50)]
        assert other.poll() is None

    assert [receipt.seq for receipt in receipts] == list(range(1, 51))
    assert sum(record.shard != log.shard for record in read_records(engine)) > 50


def test_who_goes_first_goes_before_whoever_waited_longer() -> None:
    turns, order = Turns(), []
    assert turns.take(1)

    def have(name: str, take: Callable[[float], bool]) -> None:
        assert take(10)
        order.append(name)
        turns.give_back()

    threads = []
    for name, take in (("another", turns.take), ("the log", turns.take_first)):
        threads.append(threading.Thread(target=have, args=(name, take)))
        threads[-1].start()
        _until_waiting(turns, len(threads))
    turns.give_back()
    for thread in threads:
        thread.join()

    assert order == ["the log", "another"]


def _until_waiting(turns: Turns, count: int) -> None:
    while turns._first_waiting + turns._others_waiting < count:
        time.sleep(0.001)


def test_a_turn_that_does_not_end_is_not_waited_for_without_end() -> None:
    turns = Turns()
    assert turns.take(1)

    assert not turns.take(0.01)
    assert not turns.take_first(0.01)

    turns.give_back()
    assert turns.take_first(0)


def test_every_engine_on_a_file_has_the_same_turns_by_whatever_name(tmp_path: Path, engine: sa.Engine) -> None:
    (tmp_path / "another.db").symlink_to(tmp_path / "gateway.db")
    other = open_engine(f"sqlite:///{tmp_path}/another.db")
    third = open_engine(f"sqlite:///{tmp_path}/third.db")

    assert turns_of(other) is turns_of(engine)
    assert turns_of(third) is not turns_of(engine)

    other.dispose()
    third.dispose()


def test_one_process_is_the_next_until_it_has_begun_or_waits_no_more(engine: sa.Engine) -> None:
    # flock knows open files, not processes
    here, there = Next(engine), Next(engine)

    assert here.may_ask()
    assert here.may_ask()
    assert not there.may_ask()
    here.done()
    assert there.may_ask()
    assert not here.may_ask()
    there.close()
    assert here.may_ask()
    here.close()


def test_a_process_that_is_the_next_and_stands_still_keeps_nobody_from_asking(engine: sa.Engine) -> None:
    stands_still, other = Next(engine), Next(engine)
    assert stands_still.may_ask()

    while not other.may_ask():
        time.sleep(0.001)

    stands_still.close()
    other.close()
