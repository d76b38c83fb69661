"""docs/running.md: what it says to set up is a database that the gateway takes, and its figures are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from gateway.__main__ import main
from gateway.settings import LimitsSection, ServerSection
from gateway.settings_reading import load
from gateway.storage.engine import open_engine
from gateway.storage.postgresql import standing_of_role
from gateway.workers import EX_SOFTWARE
from tests.docs.markdown import code_blocks, codes, rows, text_of
from tests.fixtures.postgresql import PostgreSQLServer
from tests.gateway.conftest import Running, running

__all__ = ["running"]

TEXT = text_of("docs/running.md")
(STATEMENTS,), (SETTINGS,) = code_blocks(TEXT, "sql"), code_blocks(TEXT, "toml")
OF_THE_DOCUMENT = {"contactpoint_owner": "running_owner", "contactpoint": "running_gateway"}


def renamed(text: str) -> str:
    """Return statements with names that the server of the tests does not have yet."""
    return re.sub(r"\bcontactpoint(_owner)?\b", lambda name: OF_THE_DOCUMENT[name[0]], text)


def test_the_statements_the_file_and_the_commands_make_a_database_for_the_gateway(
    postgresql_server: PostgreSQLServer, tmp_path: Path
) -> None:
    with psycopg.connect(postgresql_server.url("postgres", "postgres"), autocommit=True) as administrator:
        for statement in renamed(STATEMENTS).split(";"):
            if statement.strip():
                administrator.execute(statement.encode())
    where = {role: postgresql_server.url("running_gateway", role) for role in OF_THE_DOCUMENT.values()}
    file = tmp_path / "gateway.toml"
    told, found = re.subn(r'^url = ".*"$', f'url = "{where["running_gateway"]}"', SETTINGS, flags=re.MULTILINE)
    assert found == 1
    file.write_text(told.replace("/run/secrets", str(tmp_path)), encoding="utf-8")

    ran = CliRunner().invoke(main, ["check-config", "--config", str(file)])
    assert ran.exit_code == 0, ran.output
    as_owner = {"CONTACTPOINT_DATABASE__MIGRATE_URL": where["running_owner"]}
    ran = CliRunner(env=as_owner).invoke(main, ["migrate", "--config", str(file)])
    assert ran.exit_code == 0, ran.output
    assert "may add to the log and read it" in ran.output
    engine = open_engine(load(file).database.url)
    try:
        assert standing_of_role(engine) is None
    finally:
        engine.dispose()
        postgresql_server.drop("running_gateway")


@pytest.mark.anyio
async def test_every_check_of_readiness_is_told_and_so_is_the_code_of_a_failure(running: Running) -> None:
    async with running() as world:
        checks = (await world.client.get("/readyz")).json()["checks"]
    told = TEXT.partition("## When something is wrong")[2]

    named = {code for cells in rows(told) for code in codes(cells[0])}
    assert checks.keys() <= named
    assert f"exit code {EX_SOFTWARE}" in told


def test_the_figures_are_those_of_the_settings() -> None:
    limits, server = LimitsSection(), ServerSection()

    assert f"`limits.total_seconds` at most, {limits.total_seconds:g} s" in TEXT
    assert f"`server.leave_seconds`, {server.leave_seconds:g} s" in TEXT
    assert f"`server.keep_alive_seconds`, {server.keep_alive_seconds} s" in TEXT
