"""A PostgreSQL server that stands still keeps its connections open: nobody who reads there waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from gateway.storage.engine import open_engine
from tests.appointments.asking import COURT, LIST, TO_THE_APPOINTED, look_up, register, registered
from tests.auditing.conftest import AUDITOR, EVENTS
from tests.fixtures.postgresql import OWNER, PostgreSQLServer
from tests.fixtures.sources import CHILD, known, row, source
from tests.fixtures.world import Told, World, running_world

pytestmark = pytest.mark.anyio


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.storage.engine._PATIENCE_SECONDS", 1.5)


@asynccontextmanager
async def world_on(server: PostgreSQLServer, database: str, folder: Path) -> AsyncIterator[World]:
    sections = {"database": {"url": server.url(database)}, "audit": {"key_file": str(folder / "audit.key")}}
    council = source("cs-amber", known(CHILD, row()))
    async with running_world(folder, council, agreements=TO_THE_APPOINTED, sections=sections) as world:
        await registered(world)
        assert (await look_up(world)).outcome == "DISCLOSED"
        assert await ready(world) == (200, True)
        yield world


async def ready(world: World) -> tuple[int, bool]:
    """Return the status of /readyz, and whether the durability could be seen."""
    told = await world.client.get("/readyz")
    return told.status_code, told.json()["checks"]["durability"]


async def again(world: World) -> None:
    """Wait until the gateway goes on where it stopped."""
    async with asyncio.timeout(30):
        while await ready(world) != (200, True):  # noqa: ASYNC110 readiness is read from outside, as a probe would
            await asyncio.sleep(0.05)
    assert (await look_up(world)).outcome == "DISCLOSED"
    assert world.fatal == []


async def test_a_gateway_whose_server_stands_still_reads_not_ready_and_says_that_it_cannot_tell(
    postgresql_server: PostgreSQLServer, postgresql_database: str, tmp_path: Path, patience: None
) -> None:
    async with world_on(postgresql_server, postgresql_database, tmp_path) as world:
        async with asyncio.timeout(20):
            with postgresql_server.standing_still():
                told = await asyncio.gather(world.post(LIST, **COURT), look_up(world))
                assert await ready(world) == (503, False)
        await again(world)

    assert [(each.status, each.code) for each in told] == [(503, "OVERLOADED")] * 2


async def test_who_asks_for_events_and_who_does_what_one_process_does_for_all_wait_no_longer(
    postgresql_server: PostgreSQLServer, postgresql_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.auditing._SECONDS", 1.0)
    monkeypatch.setattr("gateway.duty._PATIENCE_SECONDS", 1.5)
    async with world_on(postgresql_server, postgresql_database, tmp_path) as world:
        assert (await world.post(EVENTS, **AUDITOR)).status == 200
        assert await asyncio.to_thread(world.gateway.duty.had)
        async with asyncio.timeout(20):
            with postgresql_server.standing_still():
                events, duty = await asyncio.gather(
                    world.post(EVENTS, **AUDITOR),
                    asyncio.to_thread(world.gateway.duty.had),
                    return_exceptions=True,
                )
        await again(world)
        assert await asyncio.to_thread(world.gateway.duty.had)

    assert isinstance(events, Told)
    assert (events.status, events.code) == (503, "OVERLOADED")
    assert isinstance(duty, sa.exc.SQLAlchemyError)


def test_what_no_person_waits_for_ends_when_the_server_is_silent_and_not_while_it_sends(
    postgresql_server: PostgreSQLServer, postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.storage.postgresql._SILENT_SECONDS", 1.0)
    engine = open_engine(postgresql_server.url(postgresql_database))
    rows_in_two_seconds = sa.text("SELECT repeat('x', 20000), pg_sleep(0.2) FROM generate_series(1, 10)")

    with engine.connect() as connection:
        sent = len(connection.execute(rows_in_two_seconds).all())
        with postgresql_server.standing_still(), pytest.raises(sa.exc.OperationalError) as silent:
            connection.execute(sa.text("SELECT 1"))
    engine.dispose()

    assert sent == 10
    assert silent.value.connection_invalidated


async def test_appointments_that_somebody_has_locked_are_unreadable_and_not_waited_for(
    postgresql_server: PostgreSQLServer, postgresql_database: str, tmp_path: Path, patience: None
) -> None:
    """The server itself is well, and says so: only what needs the register is refused."""
    async with world_on(postgresql_server, postgresql_database, tmp_path) as world:
        async with asyncio.timeout(20):
            with psycopg.connect(postgresql_server.url(postgresql_database, OWNER)) as locking:
                locking.execute("LOCK TABLE appointment IN ACCESS EXCLUSIVE MODE")
                told = await asyncio.gather(world.post(LIST, **COURT), look_up(world))
                assert await ready(world) == (200, True)
        assert (await register(world, evidence="another order")).status == 200
        await again(world)

    assert [(each.status, each.code) for each in told] == [(503, "OVERLOADED")] * 2
