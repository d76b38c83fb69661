"""The schema is changed in steps: who uses the database waits for one at most, and for none that waits itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from click.testing import CliRunner, Result
from sqlalchemy import event

import gateway.migrate as migrating
from gateway.__main__ import main
from gateway.audit.claims import is_written_to
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.migrate import is_behind, migrate
from gateway.storage.engine import is_postgresql, open_engine, writing
from gateway.storage.errors import StorageError
from tests.fixtures.postgresql import GATEWAY, OWNER, PostgreSQLServer

pytestmark = pytest.mark.anyio

OLD = "0006"


@pytest.fixture(params=["sqlite", "postgresql"])
def owner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """A database at an older schema, for its owner."""
    if request.param == "sqlite":
        owner = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    else:
        server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
        name = server.database(migrated=False)
        owner = open_engine(server.url(name, OWNER))
    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).parent / "migrations"))
    with writing(owner).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, OLD)
    yield owner
    owner.dispose()
    if request.param == "postgresql":
        server.drop(name)


def revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def test_a_step_that_breaks_leaves_those_before_it_and_the_next_time_goes_on(owner: sa.Engine) -> None:
    def fail_late(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "review_receipt" in statement:
            raise RuntimeError("lost power")

    event.listen(owner, "before_cursor_execute", fail_late)
    with pytest.raises(RuntimeError):
        migrate(owner)
    event.remove(owner, "before_cursor_execute", fail_late)

    assert revision(owner) == "0007"
    assert {index["name"] for index in sa.inspect(owner).get_indexes("shield")} == set()
    migrate(owner)
    assert not is_behind(owner)
    assert {index["name"] for index in sa.inspect(owner).get_indexes("shield")} == {"shield_of"}


@pytest.mark.parametrize("owner", ["postgresql"], indirect=True)
def test_a_migration_that_waits_for_a_table_lets_everybody_else_pass(owner: sa.Engine) -> None:
    ended = threading.Event()

    def upgrade() -> None:
        migrate(owner)
        ended.set()

    with owner.connect() as reader, owner.connect() as lookup:
        reader.exec_driver_sql("SELECT count(*) FROM review")  # and is not done with it
        thread = threading.Thread(target=upgrade)
        thread.start()
        try:
            waited = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'")
            with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as watcher:
                while not watcher.scalar(waited):
                    assert not ended.is_set()
            lookup.exec_driver_sql("SET statement_timeout = '20s'")
            assert lookup.exec_driver_sql("SELECT count(*) FROM review").scalar() == 0
            assert not ended.is_set()
        finally:
            lookup.rollback()
            reader.rollback()
            thread.join()

    assert not is_behind(owner)


@pytest.mark.parametrize("owner", ["postgresql"], indirect=True)
def test_a_migration_that_never_has_its_turn_says_so_and_may_be_tried_again(
    owner: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "_PATIENCE_SECONDS", 0.0)
    with owner.connect() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM review")
        with pytest.raises(StorageError, match="try again"):
            migrate(owner)
    assert revision(owner) == OLD

    migrate(owner)
    assert not is_behind(owner)


@pytest.fixture
def command_line(owner: sa.Engine, tmp_path: Path) -> Callable[..., Result]:
    """Run `contactpoint migrate` on the database, with options."""
    if is_postgresql(owner):
        urls = f'url = "{owner.url.set(username=GATEWAY).render_as_string(False)}"\n'
        urls += f'migrate_url = "{owner.url.render_as_string(False)}"\n'
    else:
        urls = f'url = "{owner.url.render_as_string(False)}"\n'
    file = tmp_path / "migrating.toml"
    file.write_text(
        f'[resource]\nidentifier = "https://gateway.example/graphql"\n[database]\n{urls}'.replace("+psycopg", "")
    )
    return lambda *options: CliRunner().invoke(main, ["migrate", "--config", str(file), *options])


async def test_while_a_gateway_runs_the_schema_is_changed_only_if_that_is_asked_for(
    owner: sa.Engine, tmp_path: Path, command_line: Callable[..., Result]
) -> None:
    keys = AuditKeys.load_or_create(tmp_path / "audit.key")
    if is_postgresql(owner):
        # what an older version's own migration left it with
        with owner.begin() as connection:
            connection.exec_driver_sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {GATEWAY}")
    log = AuditLog.open(owner, keys, on_fatal=lambda: None)
    try:
        assert is_written_to(owner)
        refused = command_line()
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
        assert "--while-serving" in refused.stderr
        assert revision(owner) == OLD

        done = command_line("--while-serving")
        assert (done.exit_code, done.stderr) == (0, "")
        assert not is_behind(owner)
        # and once there is nothing to change it is nobody's trouble
        assert command_line().exit_code == 0
    finally:
        log.close()


async def test_without_a_gateway_it_is_changed_and_the_shard_stays_to_be_taken_up(
    owner: sa.Engine, tmp_path: Path, command_line: Callable[..., Result]
) -> None:
    keys = AuditKeys.load_or_create(tmp_path / "audit.key")
    log = AuditLog.open(owner, keys, on_fatal=lambda: None)
    shard = log.shard
    log.close()

    assert not is_written_to(owner)
    assert command_line().exit_code == 0
    again = AuditLog.open(owner, keys, on_fatal=lambda: None)
    assert again.shard == shard
    again.close()
