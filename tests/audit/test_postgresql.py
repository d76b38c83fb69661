"""What PostgreSQL is held to: durable settings, a role that cannot rewrite, and a server that comes and goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from sqlalchemy import event

from auth.shielding import ShieldsUnreadable
from gateway.audit.claims import ShardClaim
from gateway.audit.errors import AuditFailed, AuditUnavailable
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.records import read_records
from gateway.audit.sealed import store_cosignature, store_note
from gateway.migrate import METADATA, grant, migrate
from gateway.shields import DatabaseShields
from gateway.storage.engine import assert_durable, open_engine, reading
from gateway.storage.errors import DatabaseUnreadable, DurabilityNotMet, SchemaBehind
from gateway.storage.postgresql import standing_of_role
from gateway.storage.tables import shield
from schema.identifiers import NHSNumber
from tests.audit.soundness import is_sound
from tests.fixtures.postgresql import GATEWAY, OWNER, SUPERUSER, PostgreSQLServer, running_server

OpenLog = Callable[..., AuditLog]


@pytest.fixture(params=["postgresql"])
def engine(postgresql_server: PostgreSQLServer, postgresql_database: str) -> Iterator[sa.Engine]:
    engine = open_engine(postgresql_server.url(postgresql_database))
    yield engine
    engine.dispose()


@pytest.fixture
def owner(postgresql_server: PostgreSQLServer, engine: sa.Engine) -> Iterator[sa.Engine]:
    owner = open_engine(postgresql_server.url(str(engine.url.database), OWNER))
    yield owner
    owner.dispose()


@pytest.fixture
def own_server() -> Iterator[PostgreSQLServer]:
    """A server that the test may end."""
    with running_server() as server:
        yield server


# Durable


@pytest.mark.parametrize("weaker", ["off", "local", "remote_write"])
def test_a_connection_that_would_acknowledge_too_early_is_made_to_wait(
    postgresql_server: PostgreSQLServer, postgresql_database: str, weaker: str
) -> None:
    url = f"{postgresql_server.url(postgresql_database)}&options=-c%20synchronous_commit%3D{weaker}"

    engine = open_engine(url)

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    engine.dispose()


def test_a_connection_that_waits_longer_still_is_left_so(
    postgresql_server: PostgreSQLServer, postgresql_database: str
) -> None:
    engine = open_engine(f"{postgresql_server.url(postgresql_database)}&options=-c%20synchronous_commit%3Dremote_apply")

    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "remote_apply"
    engine.dispose()


def test_a_connection_that_promises_less_is_found(engine: sa.Engine) -> None:
    event.listen(engine, "checkout", lambda driver, *_: driver.execute("SET synchronous_commit TO off"))

    with pytest.raises(DurabilityNotMet, match="synchronous_commit"):
        assert_durable(engine)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_promises_less_is_not_opened(own_server: PostgreSQLServer, setting: str) -> None:
    with psycopg.connect(own_server.url("postgres", SUPERUSER), autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET {setting} = off")
    own_server.stop()
    own_server.start()

    with pytest.raises(DurabilityNotMet, match=setting):
        open_engine(own_server.url("postgres"))


def test_a_server_that_is_not_there_is_said_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnreadable) as refused:
        open_engine(f"postgresql://somebody:SECRET@/somewhere?host={tmp_path}")

    assert "cannot be reached" in str(refused.value)
    assert "SECRET" not in str(refused.value)


# The schema and who may do what


def test_the_tables_of_the_program_are_those_of_the_migrations(owner: sa.Engine) -> None:
    with owner.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_a_role_that_may_not_migrate_says_what_is_to_be_done(postgresql_server: PostgreSQLServer) -> None:
    name = postgresql_server.database(migrated=False)
    engine = open_engine(postgresql_server.url(name))

    with pytest.raises(SchemaBehind, match="contactpoint migrate"):
        migrate(engine)

    owner = open_engine(postgresql_server.url(name, OWNER))
    migrate(owner)
    grant(owner, GATEWAY)
    migrate(engine)
    for each in (engine, owner):
        each.dispose()
    postgresql_server.drop(name)


def test_the_gateway_s_role_is_held_to_be_neither_owner_nor_superuser(
    postgresql_server: PostgreSQLServer, engine: sa.Engine, owner: sa.Engine
) -> None:
    superuser = open_engine(postgresql_server.url(str(engine.url.database), SUPERUSER))

    assert standing_of_role(engine) is None
    assert standing_of_role(owner) == "this role owns the log's tables"
    assert standing_of_role(superuser) == "this role is a superuser"
    superuser.dispose()


LOG = [name for name in METADATA.tables if name.startswith("audit_")]
CHANGES = ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0}"]


@pytest.mark.anyio
@pytest.mark.parametrize("table", LOG)
@pytest.mark.parametrize("change", CHANGES)
async def test_neither_the_gateway_s_role_nor_the_owner_rewrites_the_log(
    engine: sa.Engine, owner: sa.Engine, open_log: OpenLog, table: str, change: str
) -> None:
    log = open_log()
    await log.append(EventKind.DENIED, {})
    with engine.begin() as connection:
        store_note(connection, log.shard, 2, b"note")
        store_cosignature(connection, log.shard, 2, "witness", b"line")
    statement = change.format(table, "origin" if table == "audit_shard" else "shard")

    # the first has no grant; the second has every right, and the trigger refuses
    for who, error in ((engine, "permission denied"), (owner, "the log is only added to|a shard|no purge")):
        with who.connect() as connection, pytest.raises(sa.exc.DBAPIError, match=error):
            connection.exec_driver_sql(statement)


def test_triggers_fire_in_a_session_that_says_it_is_a_replica(
    postgresql_server: PostgreSQLServer, engine: sa.Engine, tmp_path: Path
) -> None:
    AuditLog.open(engine, AuditKeys.load_or_create(tmp_path / "key"), on_fatal=lambda: None).close()
    superuser = open_engine(postgresql_server.url(str(engine.url.database), SUPERUSER))

    with superuser.connect() as connection:
        connection.exec_driver_sql("SET session_replication_role TO replica")
        with pytest.raises(sa.exc.IntegrityError):
            connection.exec_driver_sql("DELETE FROM audit_leaf")
    superuser.dispose()


def test_the_gateway_s_role_marks_a_shard_and_changes_nothing_else_of_it(engine: sa.Engine, open_log: OpenLog) -> None:
    log = open_log()

    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit_shard SET state = 'FROZEN'")
    with engine.connect() as connection, pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        connection.exec_driver_sql("UPDATE audit_shard SET origin = 'other'")

    assert log.ready


def test_every_other_table_is_the_gateway_s_to_change(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for name, table in METADATA.tables.items():
            # what a purge has announced is the purging role's alone
            if name not in (*LOG, "announced_purge"):
                connection.execute(sa.delete(table))


@pytest.mark.anyio
async def test_reading_holds_up_nobody_on_the_event_loop(engine: sa.Engine) -> None:
    async def beat() -> int:
        count = 0
        while not slow.done():
            await asyncio.sleep(0.01)
            count += 1
        return count

    slow = asyncio.ensure_future(reading(engine, lambda c: c.exec_driver_sql("SELECT pg_sleep(0.3)").all()))

    assert await beat() > 5
    assert await reading(engine, lambda c: c.execute(sa.select(shield)).all()) == []


# A server that comes and goes


@pytest.mark.anyio
async def test_a_session_that_was_ended_is_replaced_by_one_with_the_same_claim(
    postgresql_server: PostgreSQLServer, engine: sa.Engine, open_log: OpenLog
) -> None:
    log = open_log()
    await log.append(EventKind.INTENT, {"count": 1})
    end_sessions(postgresql_server, engine)

    receipt = await log.append(EventKind.OUTCOME, {"intent": 1})

    assert receipt.seq == 2
    assert log.ready
    assert ShardClaim.of(engine, log.shard) is None
    assert is_sound(engine)


@pytest.mark.anyio
@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_while_the_server_is_gone_nothing_is_recorded_and_the_process_lives(
    own_server: PostgreSQLServer, keys: AuditKeys, killed: bool
) -> None:
    engine = open_engine(own_server.url(own_server.database()))
    stopped: list[bool] = []
    log = AuditLog.open(engine, keys, on_fatal=lambda: stopped.append(True))
    await log.append(EventKind.INTENT, {"count": 1})
    own_server.kill() if killed else own_server.stop()

    for _ in range(3):
        with pytest.raises(AuditUnavailable):
            await log.append(EventKind.INTENT, {"count": 2})
        assert not log.ready
    own_server.start()
    end = time.monotonic() + 30
    while not log.ready and time.monotonic() < end:  # noqa: ASYNC110 readiness is read from outside, as a probe would
        await asyncio.sleep(0.05)
    receipt = await log.append(EventKind.INTENT, {"count": 3})

    assert (stopped, log.failed) == ([], False)
    payloads = [record.payload for record in read_records(engine, log.shard)]
    assert {"count": 1} in payloads
    assert {"count": 2} not in payloads
    assert payloads[receipt.seq] == {"count": 3}
    assert is_sound(engine)
    log.close()
    engine.dispose()


@pytest.mark.anyio
async def test_a_server_that_stands_still_is_not_waited_for(own_server: PostgreSQLServer, keys: AuditKeys) -> None:
    engine = open_engine(own_server.url(own_server.database()))
    stopped: list[bool] = []
    log = AuditLog.open(engine, keys, on_fatal=lambda: stopped.append(True))
    await log.append(EventKind.INTENT, {"count": 1})

    with own_server.standing_still():
        with pytest.raises(AuditUnavailable):
            await log.append(EventKind.INTENT, {"count": 2})
        assert not log.ready
    end = time.monotonic() + 30
    while not log.ready and time.monotonic() < end:  # noqa: ASYNC110 readiness is read from outside, as a probe would
        await asyncio.sleep(0.05)
    await log.append(EventKind.INTENT, {"count": 3})

    assert (stopped, log.failed) == ([], False)
    counts = [(record.payload or {}).get("count") for record in read_records(engine)]
    assert [count for count in counts if count] == [1, 3]
    log.close()
    engine.dispose()


@pytest.mark.anyio
async def test_what_a_lookup_reads_of_a_server_that_stands_still_is_unreadable_and_not_waited_for(
    own_server: PostgreSQLServer, keys: AuditKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.storage.engine._PATIENCE_SECONDS", 0.5)
    engine = open_engine(own_server.url(own_server.database()))
    shields = DatabaseShields(engine, keys)
    assert await shields.shielding(NHSNumber("9990000018")) == frozenset()

    async with asyncio.timeout(30):
        with own_server.standing_still():
            with pytest.raises(ShieldsUnreadable):
                await shields.shielding(NHSNumber("9990000018"))
            with pytest.raises(ShieldsUnreadable):
                await shields.never_read(["a-source"])
    # and it goes on where it stopped
    monkeypatch.undo()
    assert await shields.shielding(NHSNumber("9990000018")) == frozenset()
    while engine.pool.checkedout():  # type: ignore[attr-defined]  # noqa: ASYNC110 nobody waits for them any more
        await asyncio.sleep(0.05)
    engine.dispose()


@pytest.mark.anyio
async def test_who_was_led_to_a_standby_writes_again_once_led_to_the_primary(
    postgresql_server: PostgreSQLServer, engine: sa.Engine, open_log: OpenLog
) -> None:
    """A name that fails over leads to a standby for a while: a session that was made there would never write."""
    log = open_log()
    await log.append(EventKind.INTENT, {"count": 1})
    new_sessions_may_write(postgresql_server, engine, False)
    end_sessions(postgresql_server, engine)

    with pytest.raises(AuditUnavailable):
        await log.append(EventKind.INTENT, {"count": 2})
    with pytest.raises(sa.exc.SQLAlchemyError):
        # what a standby says may be long out of date: whom a source shields, which tokens are refused
        await reading(engine, lambda c: c.execute(sa.select(shield)).all())
    new_sessions_may_write(postgresql_server, engine, True)
    async with asyncio.timeout(30):
        while not log.ready:  # noqa: ASYNC110 readiness is read from outside, as a probe would
            await asyncio.sleep(0.05)
    await log.append(EventKind.INTENT, {"count": 3})

    counts = [(record.payload or {}).get("count") for record in read_records(engine)]
    assert [count for count in counts if count] == [1, 3]
    assert is_sound(engine)


@pytest.mark.anyio
async def test_a_session_that_may_only_read_from_now_on_is_left_for_another(
    own_server: PostgreSQLServer, keys: AuditKeys
) -> None:
    """The server that one is connected to may not be the primary any more: its session would stay there for ever."""
    engine = open_engine(own_server.url(own_server.database()))
    log = AuditLog.open(engine, keys, on_fatal=lambda: None)
    await log.append(EventKind.INTENT, {"count": 1})
    with psycopg.connect(own_server.url("postgres", SUPERUSER), autocommit=True) as administrator:
        administrator.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        administrator.execute("SELECT pg_reload_conf()")
        async with asyncio.timeout(10):
            # its session heeds it from a transaction on that is not at once the next
            while await is_written(log):
                pass
        async with asyncio.timeout(10):
            while administrator.execute("SELECT FROM pg_locks WHERE locktype = 'advisory'").rowcount:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        administrator.execute("ALTER SYSTEM RESET default_transaction_read_only")
        administrator.execute("SELECT pg_reload_conf()")
    async with asyncio.timeout(30):
        while not log.ready:  # noqa: ASYNC110 readiness is read from outside, as a probe would
            await asyncio.sleep(0.05)
    await log.append(EventKind.INTENT, {"count": 3})

    assert is_sound(engine)
    log.close()
    engine.dispose()


@pytest.mark.anyio
async def test_reads_go_on_while_the_sessions_of_many_before_them_stand_still_for_ever(
    postgresql_server: PostgreSQLServer, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody ends a session whose machine keeps the connection open: who waits for it must give up."""
    monkeypatch.setattr("gateway.storage.engine._PATIENCE_SECONDS", 1.0)

    async def many() -> list[object]:
        reads = [reading(engine, lambda c: c.exec_driver_sql("SELECT pg_sleep(0.2)").all()) for _ in range(12)]
        return await asyncio.gather(*reads, return_exceptions=True)

    assert not [each for each in await many() if isinstance(each, BaseException)]
    with postgresql_server.standing_still(engine.url.database):
        assert all(isinstance(each, sa.exc.SQLAlchemyError) for each in await many())

        async with asyncio.timeout(30):
            while any(isinstance(each, BaseException) for each in await many()):
                pass


@pytest.mark.anyio
async def test_a_shard_that_somebody_else_wrote_to_meanwhile_is_not_continued(
    postgresql_server: PostgreSQLServer, engine: sa.Engine, keys: AuditKeys, open_log: OpenLog
) -> None:
    stopped: list[bool] = []
    log = open_log(on_fatal=lambda: stopped.append(True))
    end_sessions(postgresql_server, engine)
    other = open_log()
    assert other.shard == log.shard

    with pytest.raises(AuditFailed):
        await log.append(EventKind.INTENT, {})

    log.close()
    assert stopped == [True]
    assert (await other.append(EventKind.INTENT, {})).seq == 2
    assert is_sound(engine)


def end_sessions(server: PostgreSQLServer, engine: sa.Engine) -> None:
    """End every session of the engine's database, as an operator or a proxy would."""
    with psycopg.connect(server.url("postgres", SUPERUSER), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (engine.url.database,)
        )


async def is_written(log: AuditLog) -> bool:
    """Return whether a record is taken."""
    try:
        await log.append(EventKind.INTENT, {"count": 2})
    except AuditUnavailable:
        return False
    return True


def new_sessions_may_write(server: PostgreSQLServer, engine: sa.Engine, may: bool) -> None:
    """Let the sessions that begin from now on be as those of a primary, or as those of a standby."""
    with psycopg.connect(server.url("postgres", SUPERUSER), autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}").format(
                sql.Identifier(str(engine.url.database)), sql.SQL("off" if may else "on")
            )
        )
