"""The program whose power is cut: the real log under concurrent callers, who mark what was acknowledged to them.

    python -m tests.crash.traced SPECIFICATION      (JSON: see `Traced`)

With a mode other than FULL it is broken on purpose, and nothing in it notices.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.audit import checkpointer
from gateway.audit.checkpointer import Checkpointer
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.replica import Replica
from gateway.audit.signing import LogSigner
from gateway.audit.sqlite_writer import SQLiteWriter
from gateway.migrate import migrate
from gateway.storage.engine import open_engine

DATABASE = "log.db"
KEYS = "audit.key"
MARKS = "acknowledged"
CHECKPOINT = "checkpoint"
MODES = ("FULL", "NORMAL", "OFF", "EARLY")


@dataclass(frozen=True)
class Traced:
    """How the program is run."""

    folder: str
    mode: str
    callers: int
    lookups: int
    pages: int  # of the write-ahead log, after which it is copied into the database file

    def argument(self) -> str:
        return json.dumps(asdict(self))


def prepare(folder: Path) -> None:
    """Make the database and the key that are on the disk before the program starts."""
    engine = open_engine(f"sqlite:///{folder}/{DATABASE}")
    migrate(engine)
    engine.dispose()
    AuditKeys.load_or_create(folder / KEYS)
    (folder / MARKS).touch()


def weakened(mode: str) -> type[sqlite3.Connection]:
    """Return connections that sync as `mode` says and report that they are FULL."""
    setting = mode if mode in {"NORMAL", "OFF"} else "FULL"

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            return super().execute(_weaker(sql, setting), *parameters)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: type[sqlite3.Cursor] = Cursor) -> sqlite3.Cursor:
            return super().cursor(factory)

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            return super().execute(_weaker(sql, setting), *parameters)

    return Connection


def _weaker(sql: str, setting: str) -> str:
    if setting == "FULL":
        return sql
    plain = sql.replace(" ", "").upper()
    if plain == "PRAGMASYNCHRONOUS=FULL":
        return f"PRAGMA synchronous={setting}"
    return "SELECT 2" if plain == "PRAGMASYNCHRONOUS" else sql


async def callers(log: AuditLog, traced: Traced, marks: int) -> None:
    """Append as lookups do, an INTENT and then its OUTCOME, and mark each as soon as it is acknowledged."""
    early = traced.mode == "EARLY"

    async def append(kind: EventKind, name: str, payload: dict[str, Any]) -> int:
        if early:
            os.write(marks, f"{name}\n".encode())
        receipt = await log.append(kind, payload | {"request": name})
        if not early:
            os.write(marks, f"{name}\n".encode())
        return receipt.seq

    async def caller(number: int) -> None:
        for count in range(traced.lookups // traced.callers):
            name = f"{number}-{count}"
            fields = {f"source-{n}": ["practitioner.name", "contact.phone", "agency.name"] for n in range(3)}
            intent = await append(EventKind.INTENT, f"i{name}", {"reason": "Strategy discussion", "fields": fields})
            entries = [{"practitioner": {"name": f"Practitioner {n}"}, "sources": [f"source-{n}"]} for n in range(4)]
            await append(EventKind.OUTCOME, f"o{name}", {"intent": intent, "disclosed": {"entries": entries}})

    await asyncio.gather(*(caller(number) for number in range(traced.callers)))


class MarkedCheckpointer(Checkpointer):
    """Marks each checkpoint that is stored: a witness may have it from then on."""

    marks = -1

    def _sign(self, replica: Replica) -> None:
        super()._sign(replica)
        os.write(self.marks, f"{CHECKPOINT} {replica.shard} {replica.size}\n".encode())


def main(argument: str) -> None:
    traced = Traced(**json.loads(argument))
    folder = Path(traced.folder)
    plain = sqlite3.dbapi2.connect
    connection = weakened(traced.mode)
    SQLiteWriter.PAGES_BETWEEN_COPIES, SQLiteWriter.MOST_PAGES = traced.pages, 4 * traced.pages
    sqlite3.dbapi2.connect = lambda *arguments, **options: plain(  # type: ignore[assignment]
        *arguments, **options | {"factory": connection}
    )
    engine = open_engine(f"sqlite:///{folder}/{DATABASE}")
    keys = AuditKeys.load_or_create(folder / KEYS, create=False)
    marks = MarkedCheckpointer.marks = os.open(folder / MARKS, os.O_WRONLY | os.O_APPEND)
    signer = LogSigner.of(keys)
    log = AuditLog.open(engine, keys, on_fatal=lambda: os._exit(70), signer=signer)
    # a run is a fraction of a second long, and is to have many
    checkpointer.CHECKPOINT_SECONDS, checkpointer._LOOK_SECONDS = 0.02, 0.01  # type: ignore[misc]
    signing = MarkedCheckpointer(engine, log, keys.key_id, signer)
    signing.start()
    asyncio.run(callers(log, traced, marks))
    log.close()
    signing.close()
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
