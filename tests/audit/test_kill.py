"""A process killed in the middle of a commit: whatever it acknowledged is in the log, and the log goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.records import read_records
from gateway.audit.verify import Status, verify
from gateway.storage.engine import open_engine

# Acknowledges on standard output, unbuffered, and is killed at the given COMMIT: before it, or just after it.
CHILD = """
import asyncio, os, signal, sqlite3, sys, time
from sqlalchemy import event
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.pending import Receipt, answer
from gateway.migrate import migrate
from gateway.storage.engine import open_engine

folder, log_type, when, fatal = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
commits = 0

class Cursor(sqlite3.Cursor):
    def execute(self, sql, *parameters):
        global commits
        if sql != "COMMIT":
            return super().execute(sql, *parameters)
        commits += 1
        if commits == fatal and when == "before":
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGKILL)
        done = super().execute(sql, *parameters)
        if commits == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

class Connection(sqlite3.Connection):
    def cursor(self, factory=Cursor):
        return super().cursor(factory)

class EarlyLog(AuditLog):
    def _commit(self, batch):
        first = self._writer.size
        answer(batch, [Receipt(self.shard, seq) for seq in range(first, first + len(batch))])
        self._writer.write(batch, until=0)

async def main():
    engine = open_engine(f"sqlite:///{folder}/log.db")
    migrate(engine)
    event.listen(engine, "do_connect", lambda d, r, a, parameters: parameters.update(factory=Connection))
    engine.dispose()
    keys = AuditKeys.load_or_create(folder + "/key")
    log = {"the-log": AuditLog, "answers-early": EarlyLog}[log_type].open(engine, keys, on_fatal=lambda: None)

    async def caller(name):
        while True:
            receipt = await log.append(EventKind.INTENT, {"reason": name})
            os.write(1, b"%d\\n" % receipt.seq)

    await asyncio.gather(*(caller(str(n)) for n in range(8)))

asyncio.run(main())
"""


def acknowledged_but_lost(folder: Path, log_type: str, when: str, fatal: int) -> set[int]:
    """Run a process until it is killed; return what it acknowledged that its database does not hold."""
    repository = Path(__file__).parents[2]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), log_type, when, str(fatal)],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    acknowledged = {int(line) for line in child.stdout.split()}
    assert acknowledged
    engine = open_engine(f"sqlite:///{folder}/log.db", create=False)
    stored = {record.seq for record in read_records(engine)}
    engine.dispose()
    return acknowledged - stored


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("fatal", [3, 30])
def test_nothing_that_a_killed_process_acknowledged_is_lost(tmp_path: Path, when: str, fatal: int) -> None:
    assert acknowledged_but_lost(tmp_path, "the-log", when, fatal) == set()

    engine = open_engine(f"sqlite:///{tmp_path}/log.db", create=False)
    AuditLog.open(engine, AuditKeys.load_or_create(tmp_path / "key"), on_fatal=lambda: None).close()
    found = verify(engine)
    engine.dispose()
    assert found.status is Status.GOOD
    assert found.open_intents > 0


def test_a_log_that_answers_early_loses_what_it_acknowledged(tmp_path: Path) -> None:
    """The control: killed at the same place, it is caught."""
    assert acknowledged_but_lost(tmp_path, "answers-early", "before", 10) != set()
