"""A database of the first version becomes one of this version at the next start, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import gateway.migrate as migrating
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.records import read_records
from gateway.audit.signing import LogSigner
from gateway.audit.verification.trust import Trust
from gateway.audit.verify import Status, verify
from gateway.migrate import migrate
from gateway.storage.engine import open_engine, writing
from gateway.storage.tables import budget, shield
from tests.fixtures.sources import CHILD, known, row, source
from tests.reviews.conftest import Running, break_glass, queue

pytestmark = pytest.mark.anyio

OLD_REVIEW = {"of": 1, "verdict": "OPEN", "override": {"justification": "of the first version"}}


def of_the_first_version(file: Path) -> sa.Engine:
    engine = open_engine(f"sqlite:///{file}")
    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).parent / "migrations"))
    with writing(engine).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    return engine


async def fill(engine: sa.Engine, folder: Path) -> None:
    """What the first version left: a lookup by break-glass in the log, a shield, a count."""
    log = AuditLog.open(engine, AuditKeys.load_or_create(folder / "gateway.audit-key.json"), on_fatal=lambda: None)
    intent = await log.append(EventKind.INTENT, {"purpose": "CP_S47"})
    await log.append(EventKind.REVIEW, OLD_REVIEW)
    await log.append(EventKind.OUTCOME, {"intent": intent.seq, "outcome": "DISCLOSED"})
    log.close()
    with engine.begin() as connection:
        connection.execute(sa.insert(shield).values(source="cs-old", pseudonym="p", since="2026-01-01"))
        connection.execute(sa.insert(budget).values(principal="person:p", window="day", starts=1, lookups=3, misses=2))


def held(engine: sa.Engine) -> list[list[tuple[object, ...]]]:
    names = ("audit_leaf", "audit_payload", "audit_node", "audit_shard", "shield", "budget")
    with engine.connect() as connection:
        return [[tuple(r) for r in connection.exec_driver_sql(f"SELECT * FROM {name}")] for name in names]  # noqa: S608


async def test_it_keeps_every_row_and_the_log_verifies(tmp_path: Path) -> None:
    engine = of_the_first_version(tmp_path / "gateway.db")
    await fill(engine, tmp_path)
    before = held(engine)

    migrate(engine)

    assert held(engine) == before
    assert verify(engine).status is Status.GOOD
    assert OLD_REVIEW in [record.payload for record in read_records(engine)]
    assert {"appointment", "review"} <= set(sa.inspect(engine).get_table_names())
    engine.dispose()


async def test_a_gateway_starts_on_it_and_queues_what_is_new(tmp_path: Path, running: Running) -> None:
    engine = of_the_first_version(tmp_path / "gateway.db")
    await fill(engine, tmp_path)
    engine.dispose()

    async with running(source("cs-amber", known(CHILD, row()))) as world:
        told = await break_glass(world)

        assert told.outcome == "DISCLOSED"
        assert len(await queue(world)) == 1
        signer = LogSigner.of(world.gateway.keys)
        trust = Trust((signer.key,), () if signer.cosigner is None else (signer.cosigner,))
        assert verify(world.gateway.engine, trust).status is Status.GOOD


def test_the_first_version_had_neither_table(tmp_path: Path) -> None:
    engine = of_the_first_version(tmp_path / "gateway.db")

    assert not {"appointment", "review"} & set(sa.inspect(engine).get_table_names())
    engine.dispose()
