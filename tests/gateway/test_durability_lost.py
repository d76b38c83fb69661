"""A PostgreSQL server whose operator takes its promises away: the gateway says so and discloses nothing meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from gateway.audit.checkpointer import CHECKPOINT_SECONDS
from gateway.audit.events import EventKind
from gateway.audit.postgresql_writer import DURABILITY_SECONDS
from gateway.audit.records import read_records
from gateway.storage.errors import DurabilityNotMet
from tests.fixtures.postgresql import SUPERUSER, PostgreSQLServer, running_server
from tests.fixtures.sources import CHILD, Remembering, known, row, source
from tests.fixtures.world import World
from tests.gateway.conftest import Running

pytestmark = [pytest.mark.anyio, pytest.mark.network]


@pytest.fixture
def own_server() -> Iterator[PostgreSQLServer]:
    """A server of which the test may change the settings."""
    with running_server() as server:
        yield server


def council() -> Remembering:
    return Remembering(source("cs-amber", known(CHILD, row()), organisation="amber-council"))


def change(server: PostgreSQLServer, setting: str, value: str) -> None:
    """Change a setting of a server that runs, and return when its sessions have it."""
    with psycopg.connect(server.url("postgres", SUPERUSER), autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET {setting} = {value}")
        connection.execute("SELECT pg_reload_conf()")
        while connection.execute(f"SHOW {setting}").fetchone() != (value,):
            pass


def stored_in(server: PostgreSQLServer, database: str, folder: Path) -> dict[str, dict[str, str]]:
    """Return the settings of a gateway whose log is in this database."""
    return {"database": {"url": server.url(database)}, "audit": {"key_file": str(folder / "audit.key")}}


def end_sessions(server: PostgreSQLServer) -> None:
    """End every other session of the server."""
    with psycopg.connect(server.url("postgres", SUPERUSER), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )


async def readiness(world: World, status: int) -> httpx.Response:
    """Return what `/readyz` says once it has this status: sessions learn of a change one after the other."""
    async with asyncio.timeout(60):
        while (said := await world.client.get("/readyz")).status_code != status:  # noqa: ASYNC110 - asked from outside
            await asyncio.sleep(0.01)
        return said


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_a_server_that_stops_to_flush_gets_no_lookup_and_readiness_says_so(
    running: Running, own_server: PostgreSQLServer, tmp_path: Path, setting: str
) -> None:
    asked = council()
    async with running(asked, sections=stored_in(own_server, own_server.database(), tmp_path)) as world:
        before = await world.ask()
        change(own_server, setting, "off")
        unready = await readiness(world, 503)
        await asyncio.sleep(DURABILITY_SECONDS)
        calls = len(asked.asked)
        refused = [await world.ask() for _ in range(3)]
        recorded = len(list(read_records(world.gateway.engine)))
        asked_meanwhile = len(asked.asked) - calls
        change(own_server, setting, "on")
        await readiness(world, 200)
        after = await world.ask()
        kinds = [record.kind for record in read_records(world.gateway.engine)]

    assert before.outcome == "DISCLOSED"
    assert unready.json()["status"] == "not ready"
    assert unready.json()["checks"]["durability"] is False
    assert [(told.status, told.code) for told in refused] == [(503, "AUDIT_UNAVAILABLE")] * 3
    assert not any(told.body.get("data") for told in refused)
    assert asked_meanwhile == 0
    assert after.outcome == "DISCLOSED"
    assert kinds[:recorded].count(EventKind.INTENT) == 1
    assert world.fatal == []


async def test_who_connects_anew_while_the_server_does_not_flush_waits_and_finds_nothing_damaged(
    running: Running, own_server: PostgreSQLServer, tmp_path: Path
) -> None:
    """Every session ends meanwhile, as at a restart: lookups, checkpoints, the writer and the registers connect."""
    asked = council()
    async with running(asked, sections=stored_in(own_server, own_server.database(), tmp_path)) as world:
        before = await world.ask()
        change(own_server, "fsync", "off")
        calls = len(asked.asked)
        end_sessions(own_server)
        refused = [await world.ask() for _ in range(3)]
        await asyncio.sleep(2 * CHECKPOINT_SECONDS)
        end_sessions(own_server)
        refused.append(await world.ask())
        unready = await readiness(world, 503)
        asked_meanwhile = len(asked.asked) - calls
        change(own_server, "fsync", "on")
        await readiness(world, 200)
        after = await world.ask()

    assert before.outcome == "DISCLOSED"
    assert unready.json()["checks"]["durability"] is False
    assert {told.status for told in refused} == {503}
    assert not any(told.body.get("data") for told in refused)
    assert asked_meanwhile == 0
    assert after.outcome == "DISCLOSED"
    assert world.fatal == []


async def test_a_server_that_does_not_flush_when_the_gateway_starts_is_refused(
    running: Running, own_server: PostgreSQLServer, tmp_path: Path
) -> None:
    change(own_server, "fsync", "off")
    sections = stored_in(own_server, "postgres", tmp_path)

    with pytest.raises(DurabilityNotMet, match="fsync"):
        async with running(council(), sections=sections):
            pass
