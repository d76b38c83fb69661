"""What one of several processes does for all: never two at once, and another as soon as that one is gone."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.audit.log import AuditLog
from gateway.duty import Duty
from gateway.storage.holding import SessionHolding

pytestmark = pytest.mark.anyio

OpenLog = Callable[..., AuditLog]

_HOLDS = """
import sys
from gateway.duty import Duty
from gateway.storage.engine import open_engine

duty = Duty(open_engine(sys.argv[1]), log=None)
print(duty.had(), flush=True)
for _ in sys.stdin:
    print(duty.had(), flush=True)
"""


@contextmanager
def another_process(engine: sa.Engine) -> Iterator[tuple[subprocess.Popen[bytes], bytes]]:
    """A process that asks for the duty, and again when it is told to; with what it was told first."""
    url = engine.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDS, url],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        try:
            assert other.stdout is not None
            yield other, other.stdout.readline().strip()
        finally:
            other.kill()


def asks_again(other: subprocess.Popen[bytes]) -> bytes:
    """Let that process ask once more; return what it was told."""
    assert other.stdin is not None
    assert other.stdout is not None
    other.stdin.write(b"\n")
    other.stdin.flush()
    return other.stdout.readline().strip()


async def test_of_two_processes_one_has_the_duty_and_the_other_when_that_one_is_killed(
    engine: sa.Engine, open_log: OpenLog
) -> None:
    duty = Duty(engine, open_log())
    done = []

    async def work() -> None:
        done.append(1)

    with another_process(engine) as (other, told):
        assert told == b"True"
        for _ in range(3):
            await duty.of(work)()
        assert done == []
        other.kill()
    while not duty.had():  # noqa: ASYNC110 a server takes a moment to learn that its client is gone
        await asyncio.sleep(0.01)
    await duty.of(work)()
    assert done == [1]

    with another_process(engine) as (_, told):
        assert told == b"False"
    duty.close()
    with another_process(engine) as (_, told):
        assert told == b"True"


def test_who_has_the_duty_keeps_it_from_turn_to_turn(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()
    first, second = Duty(engine, log), Duty(engine, log)

    assert [first.had(), second.had(), first.had(), second.had()] == [True, False, True, False]

    first.close()
    first.close()
    assert [second.had(), first.had()] == [True, False]
    second.close()


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_process_that_stands_still_loses_the_duty_and_does_not_have_it_when_it_goes_on(
    engine: sa.Engine, open_log: OpenLog
) -> None:
    clock = Clock()
    duty = Duty(engine, open_log(), lease_seconds=60, clock=clock)
    done = []

    async def work() -> None:
        done.append(1)

    turn = duty.of(work)
    with another_process(engine) as (other, told):
        assert told == b"True"
        os.kill(other.pid, signal.SIGSTOP)
        await turn()
        clock.now = 59
        await turn()
        assert done == []
        clock.now = 60
        await turn()
        assert done == [1]

        os.kill(other.pid, signal.SIGCONT)
        assert asks_again(other) == b"False"
        await turn()
        assert done == [1, 1]
        duty.close()
        assert asks_again(other) == b"True"
        assert not duty.had()


async def test_a_process_that_asks_again_and_again_keeps_the_duty_however_long(
    engine: sa.Engine, open_log: OpenLog
) -> None:
    clock = Clock()
    duty = Duty(engine, open_log(), lease_seconds=60, clock=clock)
    with another_process(engine) as (other, told):
        assert told == b"True"
        for _ in range(5):
            clock.now += 59
            assert not duty.had()
            assert asks_again(other) == b"True"


async def test_of_two_that_wait_one_takes_over_from_the_one_that_hangs(engine: sa.Engine, open_log: OpenLog) -> None:
    clock, log = Clock(), open_log()
    waiting = [Duty(engine, log, lease_seconds=60, clock=clock) for _ in range(2)]
    with another_process(engine) as (_, told):
        assert told == b"True"
        assert [each.had() for each in waiting] == [False, False]
        clock.now = 60
        assert [each.had() for each in waiting] == [True, False]
        clock.now = 119
        assert [each.had() for each in waiting] == [True, False]
        clock.now = 178
        assert [each.had() for each in reversed(waiting)] == [False, True]
    for each in waiting:
        each.close()


async def test_a_process_in_which_a_turn_does_not_end_leaves_the_duty_to_another(
    engine: sa.Engine, open_log: OpenLog
) -> None:
    clock = Clock()
    duty = Duty(engine, open_log(), lease_seconds=60, turn_seconds=600, clock=clock)
    begun = asyncio.Event()

    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    hanging = asyncio.create_task(duty.of(hangs)())  # type: ignore[arg-type]
    await begun.wait()
    clock.now = 599
    assert duty.had()
    clock.now = 600
    assert not duty.had()
    with another_process(engine) as (_, told):
        assert told == b"True"
        clock.now = 700
        assert not duty.had()
    # and without another, the timers that do not hang go on here
    while not duty.had():  # noqa: ASYNC110 a server takes a moment to learn that its client is gone
        await asyncio.sleep(0.01)
    hanging.cancel()
    duty.close()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_who_lost_the_session_has_lost_the_duty_and_may_have_it_again(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()
    duty, other = Duty(engine, log), Duty(engine, log)
    assert duty.had()
    assert not other.had()

    assert duty._lease._held is not None
    held = duty._lease._held[1]
    assert isinstance(held, SessionHolding)
    assert held.connection is not None
    session = held.connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:session)"), {"session": session})

    while not other.had():
        time.sleep(0.01)
    assert not duty.had()

    other.close()
    while not duty.had():
        time.sleep(0.01)
    duty.close()


@pytest.mark.parametrize(
    ("code", "failed"),
    [
        (sqlite3.SQLITE_IOERR_FSYNC, True),
        (sqlite3.SQLITE_FULL, True),
        (sqlite3.SQLITE_CANTOPEN, True),
        (sqlite3.SQLITE_BUSY, False),
    ],
    ids=["the-disk", "no-room", "a-file-that-does-not-open", "busy"],
)
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_when_the_disk_fails_under_the_duty_the_log_takes_nothing_more(
    engine: sa.Engine, open_log: OpenLog, code: int, failed: bool
) -> None:
    log = open_log()
    duty = Duty(engine, log)

    async def work() -> None:
        error = sqlite3.OperationalError("the driver's text")
        error.sqlite_errorcode = code
        raise sa.exc.OperationalError("a statement", {}, error)

    with pytest.raises(sa.exc.OperationalError):
        await duty.of(work)()

    assert log.failed is failed
    duty.close()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_file_that_does_not_open_for_want_of_descriptors_is_no_failure_of_the_disk(
    engine: sa.Engine, open_log: OpenLog
) -> None:
    log = open_log()
    duty = Duty(engine, log)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def work() -> None:
        # from here on none is given out
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise sa.exc.OperationalError("a statement", {}, error)

    try:
        with pytest.raises(sa.exc.OperationalError):
            await duty.of(work)()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert not log.failed
    duty.close()
