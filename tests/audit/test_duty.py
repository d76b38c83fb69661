"""What one of several processes does for all: never two at once, and another as soon as that one is gone."""

from __future__ import annotations

import asyncio
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
sys.stdin.read()
"""


@contextmanager
def another_process(engine: sa.Engine) -> Iterator[tuple[subprocess.Popen[bytes], bytes]]:
    """A process that asks for the duty once and stays; with what it was told."""
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


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_who_lost_the_session_has_lost_the_duty_and_may_have_it_again(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()
    duty, other = Duty(engine, log), Duty(engine, log)
    assert duty.had()
    assert not other.had()

    held = duty._holding
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
    [(sqlite3.SQLITE_IOERR_FSYNC, True), (sqlite3.SQLITE_FULL, True), (sqlite3.SQLITE_BUSY, False)],
    ids=["the-disk", "no-room", "busy"],
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
