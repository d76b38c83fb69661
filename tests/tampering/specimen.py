"""The log that is attacked: two shards and their master, checkpoints, a witness, and callers who kept what they got."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from gateway.audit.checkpointer import Checkpointer
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.sealed import store_cosignature, stored_nodes
from gateway.audit.signing import LogSigner
from gateway.audit.tables import audit_checkpoint
from gateway.audit.verification.trust import Trust, held
from gateway.migrate import migrate
from gateway.storage.engine import open_engine, writing
from tests.tampering.outsider import NAME, Outsider

LAG = 3
"""How many checkpoints of a shard the witness has not seen yet."""


@dataclass(frozen=True)
class Specimen:
    """What an auditor has who knows the log's key, and, apart from it, what others have kept."""

    file: Path
    keys: AuditKeys
    signer: LogSigner
    trust: Trust
    witnessed: Trust
    """The same with the checkpoints that the witness has kept."""
    seen: dict[str, int]
    """How many leaves of each shard the witness has seen."""
    witness: Outsider
    """The witness itself, remembering that."""
    backups: list[Path]
    """The database as it was after each round of checkpoints, oldest first."""


def make_specimen(folder: Path, lookups: int, checkpoints: int, lag: int = LAG) -> Specimen:
    """Return a log that the real writers wrote, each shard with so many lookups and about so many checkpoints."""
    file = folder / "log.db"
    engine = open_engine(f"sqlite:///{file}")
    migrate(engine)
    keys = AuditKeys.load_or_create(folder / "audit.key")
    signer = LogSigner.of(keys)
    witness = Outsider(folder / "witness")
    witness.know(signer.key)
    # two at once: each has a shard of its own
    logs = [
        AuditLog.open(engine, keys, on_fatal=lambda: None, signer=signer, witnesses=[str(witness.key)])
        for _ in range(2)
    ]
    signing = [Checkpointer(engine, log, keys.key_id, signer) for log in logs]
    backups: list[Path] = []
    for number in range(checkpoints):
        for log, signer_of in zip(logs, signing, strict=True):
            asyncio.run(_look_up(log, number, lookups // checkpoints))
            signer_of.checkpoint()
        backups.append(_back_up(file, folder / f"backup-{number}.db"))
    for log, signer_of in zip(logs, signing, strict=True):
        log.close()
        signer_of.close()
    seen = _cosign(engine, witness, lag)
    engine.dispose()
    plain = Trust(
        log_keys=(signer.key,),
        cosigners=() if signer.cosigner is None else (signer.cosigner,),
        witnesses=(witness.key,),
    )
    witness.remember()
    kept = tuple(held(f"what {NAME} has kept", raw) for raw in witness.notes().values())
    return Specimen(
        file,
        keys,
        signer,
        plain,
        Trust(plain.log_keys, plain.cosigners, plain.witnesses, kept),
        seen,
        witness,
        backups,
    )


def _back_up(file: Path, to: Path) -> Path:
    with closing(sqlite3.connect(file)) as connection, closing(sqlite3.connect(to)) as backup:
        connection.backup(backup)
    return to


async def _look_up(log: AuditLog, number: int, count: int) -> None:
    for each in range(count):
        name = f"{number}-{each}"
        receipt = await log.append(
            EventKind.INTENT, {"request": f"i{name}", "reason": "Strategy discussion", "receipt": f"{log.shard}-{name}"}
        )
        told = {"entries": [{"practitioner": {"name": "Ada Example"}}]}
        await log.append(
            EventKind.OUTCOME,
            {"request": f"o{name}", "intent": receipt.seq, "receipt": f"{log.shard}-{name}", "disclosed": told},
        )


def _cosign(engine: sa.Engine, witness: Outsider, lag: int) -> dict[str, int]:
    """Bring the witness every checkpoint but the last ones; return the size of the newest that it saw of each shard."""
    table = audit_checkpoint
    seen: dict[str, int] = {}
    with writing(engine).begin() as connection:
        rows = connection.execute(sa.select(table.c.shard, table.c.size, table.c.note).order_by(table.c.size)).all()
        for shard in {row.shard for row in rows}:
            for row in [row for row in rows if row.shard == shard][:-lag]:
                line = witness.cosign(seen.get(shard, 0), row.note, stored_nodes(connection, shard))
                store_cosignature(connection, shard, row.size, witness.key.label, line)
                seen[shard] = row.size
    return seen
