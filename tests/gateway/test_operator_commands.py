"""check-config, migrate, schema print, shields load and serve, as an operator types them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from auth.agreement_files import SHIPPED
from gateway import app as wiring
from gateway.__main__ import main
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.records import read_records
from gateway.graphql.query import sdl
from gateway.settings import audit_key_file
from gateway.settings_reading import load
from gateway.shields import DatabaseShields
from gateway.storage.engine import open_engine
from tests.fixtures.school import written_configuration
from tests.fixtures.sources import CHILD, OTHER_CHILD
from tests.fixtures.token_factory import AUDIENCE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written_configuration(tmp_path)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(autouse=True)
def _no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test listens nowhere; that the port comes first is tested on real ports."""
    monkeypatch.setattr("gateway.commands.serve.listening_on", lambda host, port: [])


def one_line(result: Result) -> str:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_good_configuration_is_good_and_opens_no_database(file: Path) -> None:
    result = run("check-config", "--config", file)

    assert (result.exit_code, result.stdout) == (0, f"{file}: good\n")
    assert not (file.parent / "gateway.db").exists()


def test_every_fault_of_a_configuration_has_its_line(file: Path) -> None:
    text = (
        file.read_text()
        .replace('driver = "memory"', 'driver = "pigeon"')
        .replace("sqlite:///gateway", "mysql://gateway")
    )
    file.write_text(text + '[agreements]\ndirectory = "nowhere"\n')
    result = run("check-config", "--config", file)

    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert any("connectors[school-elm].driver" in line for line in lines)
    assert any("nowhere: no such directory" in line for line in lines)
    assert any("database.url" in line for line in lines)


def test_no_fault_hides_another(file: Path) -> None:
    """A section at fault, a driver that is none with more beside it, agreements, and a database without a directory."""
    text = (
        file.read_text()
        .replace('driver = "memory"', 'driver = "pigeon"')
        .replace('id = "school-elm"', 'id = "School Elm"')
        .replace('kind = "SCHOOL"', 'kind = "SHOOL"')
        .replace("sqlite:///gateway.db", "sqlite:///nowhere/gateway.db")
        .replace(AUDIENCE, "nonsense")
    )
    file.write_text("[server]\nport = -1\n" + text + '[agreements]\ndirectory = "none"\n')
    result = run("check-config", "--config", file)

    told = [line.removeprefix(f"{file}: ") for line in result.stderr.splitlines()]
    starts = [
        "server.port: ",
        "resource.identifier: ",
        "connectors[School Elm].driver: ",
        "connectors[School Elm].id: ",
        "connectors[School Elm].kind: ",
        f"{file.parent}/none: no such directory",
        f"database.url: {file.parent}/nowhere: no such directory",
    ]
    assert result.exit_code == 2
    assert len(told) == len(starts), told
    assert [line.startswith(start) for line, start in zip(told, starts, strict=True)] == [True] * len(starts), told


def test_connectors_that_cannot_be_read_are_one_fault_and_not_one_of_each_who_names_them(file: Path) -> None:
    text = file.read_text().partition("[[connectors]]")[0]
    broker = '[[brokers]]\nid = "hub"\nname = "Hub"\nkind = "POLICE"\nconnectors = ["school-elm"]\n'
    file.write_text("connectors = 3\n" + text + broker)

    assert "connectors: " in one_line(run("check-config", "--config", file))


def test_a_fault_of_an_agreement_is_told_with_its_file_and_line(file: Path) -> None:
    folder = file.parent / "agreements"
    folder.mkdir()
    (folder / "organisations.toml").write_text('[[organisation]]\nid = "a"\nname = "A"\nkind = "SHOOL"\n')
    (folder / "lawful-bases.toml").write_text("basis = []\n")
    file.write_text(file.read_text() + '[agreements]\ndirectory = "agreements"\n')

    assert one_line(run("check-config", "--config", file)).startswith(f"{folder}/organisations.toml:4: ")


def test_an_agreement_for_a_custodian_that_is_not_configured_is_a_fault(file: Path) -> None:
    folder = file.parent / "agreements"
    shutil.copytree(SHIPPED, folder)
    text = (folder / "school.toml").read_text()
    (folder / "school.toml").write_text(text.replace('"kind:SCHOOL"', '"school-elm"'))
    file.write_text(file.read_text() + '[agreements]\ndirectory = "agreements"\n')
    good = run("check-config", "--config", file)
    (folder / "school.toml").write_text(text.replace('"kind:SCHOOL"', '"school-elf"'))

    line = one_line(run("check-config", "--config", file))

    assert good.exit_code == 0
    assert line.startswith(f"{file}: agreements: ")
    assert "its custodian is neither kind: nor the id of a connector" in line


FEED = "issuer,subject,organisation,team,front_door\nhttps://id.example,amis,amber-council,north,no\n"


def test_the_feeds_of_detection_are_read_and_every_fault_has_its_file_and_line(file: Path) -> None:
    workforce, canaries = file.parent / "workforce.csv", file.parent / "canaries.txt"
    file.write_text(
        file.read_text() + '[detection]\nworkforce_file = "workforce.csv"\ncanaries_file = "canaries.txt"\n'
    )
    workforce.write_text(FEED)
    canaries.write_text("9990000018  # a fictitious child\n")
    good = run("check-config", "--config", file)
    workforce.write_text(FEED + "https://id.example,amis,amber-council,north,no\nhttps://id.example,SECRET,,north,no\n")
    canaries.write_text("# none\nSECRET\n")
    bad = run("check-config", "--config", file)

    assert (good.exit_code, good.stdout) == (0, f"{file}: good\n")
    assert bad.exit_code == 2
    assert bad.stderr.splitlines() == [
        f"{workforce}: line 3: person: is in the feed twice",
        f"{workforce}: line 4: organisation: is empty",
        f"{canaries}: line 2: must be an NHS number or a pseudonym",
    ]


@pytest.mark.parametrize("name", ["workforce_file", "canaries_file"])
def test_a_feed_that_is_not_there_is_one_line(file: Path, name: str) -> None:
    file.write_text(file.read_text() + f'[detection]\n{name} = "none.csv"\n')

    assert one_line(run("check-config", "--config", file)) == f"{file.parent}/none.csv: No such file or directory\n"


def test_on_sqlite_there_is_no_purging_role_to_grant_anything(file: Path) -> None:
    assert (
        one_line(run("migrate", "--config", file, "--purging-role", "purger")) == "contactpoint: SQLite has no roles\n"
    )


@pytest.mark.parametrize("command", ["check-config", "migrate", "serve"])
def test_a_file_that_is_not_there_is_one_line(command: str, tmp_path: Path) -> None:
    assert "no such file" in one_line(run(command, "--config", tmp_path / "none.toml"))


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["serve"], id="no-file"),
        pytest.param(["serve", "--config", "x", "--port", "99999999"], id="a-port-that-is-none"),
        pytest.param(["serve", "--config", "x", "--wrkers", "2"], id="a-flag-that-is-none"),
        pytest.param(["sreve"], id="a-command-that-is-none"),
        pytest.param(["schema", "prnt"], id="a-command-of-a-group-that-is-none"),
    ],
)
def test_a_command_used_wrongly_is_one_line(arguments: list[str]) -> None:
    assert "99999999" not in one_line(run(*arguments))


def test_the_database_is_brought_to_this_version_and_again_without_harm(file: Path) -> None:
    first, again = run("migrate", "--config", file), run("migrate", "--config", file)

    assert (first.exit_code, again.exit_code) == (0, 0)
    engine = open_engine(f"sqlite:///{file.parent}/gateway.db", create=False)
    assert {"shield", "budget"} <= set(sa.inspect(engine).get_table_names())
    engine.dispose()


def test_a_database_that_cannot_be_used_is_one_line(file: Path) -> None:
    file.write_text(file.read_text().replace("sqlite:///gateway.db", "postgresql://user:SECRET@/db?host=/nowhere"))

    for command in ("migrate", "serve"):
        assert "SECRET" not in one_line(run(command, "--config", file))


def test_the_schema_is_printed_as_it_is_published() -> None:
    assert run("schema", "print").stdout == sdl()


@pytest.mark.parametrize("count", [0, 65])
def test_serving_with_no_worker_or_far_too_many_is_refused(file: Path, count: int) -> None:
    assert "--workers" in one_line(run("serve", "--config", file, "--workers", count))


def test_serving_with_a_source_that_cannot_be_built_is_refused(file: Path) -> None:
    file.write_text(file.read_text().replace('driver = "memory"', 'driver = "pigeon"'))

    assert "connectors[school-elm].driver" in one_line(run("serve", "--config", file))


class StandInServer:
    """In place of a server that listens: starts or does not, and ends at once."""

    def __init__(self, application: Any, host: str, port: int, *, started: bool = True, **rest: Any) -> None:
        self.application, self.host, self.port, self.started, self.rest = application, host, port, started, rest

    def run(self, sockets: list[Any]) -> None:
        pass


@pytest.mark.parametrize(("started", "failed", "code"), [(True, False, 0), (False, False, 2), (True, True, 70)])
def test_how_serving_ends_is_told_by_its_code(
    file: Path, monkeypatch: pytest.MonkeyPatch, *, started: bool, failed: bool, code: int
) -> None:
    made: list[StandInServer] = []
    opened: list[Any] = []

    def server_for(application: Any, host: str, port: int, **rest: Any) -> StandInServer:
        made.append(StandInServer(application, host, port, started=started, **rest))
        return made[0]

    build = wiring.build

    def building(settings: Any) -> Any:
        opened.append(build(settings))
        return opened[0]

    monkeypatch.setattr("gateway.commands.serve.server_for", server_for)
    monkeypatch.setattr("gateway.commands.serve.wiring.build", building)
    monkeypatch.setattr("gateway.commands.serve.configure_logs", lambda _: None)
    monkeypatch.setattr("gateway.commands.serve._stop_when_told", lambda _: None)
    monkeypatch.setenv("CONTACTPOINT_SERVER__KEEP_ALIVE_SECONDS", "90")
    monkeypatch.setattr("gateway.audit.log.AuditLog.failed", property(lambda _: failed))
    try:
        result = run("serve", "--config", file, "--host", "127.0.0.2", "--port", 9123)
    finally:
        for gateway in opened:
            gateway.log.close()
            gateway.engine.dispose()

    assert result.exit_code == code
    assert (made[0].host, made[0].port) == ("127.0.0.2", 9123)
    assert made[0].rest["keep_alive_seconds"] == 90


# ----------------------------------------------------------------------------------------------------- shields load


def shielded(file: Path, number: str) -> frozenset[str]:
    engine = open_engine(load(file).database.url, create=False)
    try:
        return DatabaseShields(engine, AuditKeys.load_or_create(audit_key_file(load(file)))).shielded_by(number)  # type: ignore[arg-type]
    finally:
        engine.dispose()


def test_a_list_of_shields_replaces_those_of_the_sources_it_names_and_is_recorded(file: Path) -> None:
    listed = file.parent / "shields.csv"
    listed.write_text(f"source,nhsNumber\nschool-elm,{CHILD}\nschool-elm,{OTHER_CHILD}\n")
    first = run("shields", "load", listed, "--config", file)
    listed.write_text(f"source,nhsNumber\nschool-elm,{OTHER_CHILD}\n")
    second = run("shields", "load", listed, "--config", file)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout == "school-elm: 2 shielded\n"
    assert (shielded(file, CHILD), shielded(file, OTHER_CHILD)) == (frozenset(), {"school-elm"})
    engine = open_engine(load(file).database.url, create=False)
    admin = [r.payload or {} for r in read_records(engine) if r.kind is EventKind.ADMIN]
    engine.dispose()
    assert [p["count"] for p in admin if p["action"] == "SHIELDS_LOADED"] == [2, 1]
    assert CHILD not in json.dumps(admin)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        pytest.param("source,number\n", ":1: ", id="another-header"),
        pytest.param("", ":1: ", id="empty"),
        pytest.param(f"source,nhsNumber\nschool-elm,{CHILD}\nschool-oak,{CHILD}\n", ":3: ", id="an-unknown-source"),
        pytest.param("source,nhsNumber\nschool-elm,9990000019\n", ":2: ", id="a-wrong-digit"),
        pytest.param(f"source,nhsNumber\nschool-elm,{CHILD},more\n", ":2: ", id="a-column-too-many"),
    ],
)
def test_a_list_with_a_fault_loads_nothing_and_names_the_line(file: Path, content: str, where: str) -> None:
    listed = file.parent / "shields.csv"
    listed.write_text(content)
    line = one_line(run("shields", "load", listed, "--config", file))

    assert f"{listed}{where}" in line
    assert "9990000019" not in line
    assert not (file.parent / "gateway.db").exists()


def test_a_list_that_is_not_there_is_told_as_such(file: Path) -> None:
    listed = file.parent / "none.csv"

    assert f"{listed}: no such file" in one_line(run("shields", "load", listed, "--config", file))


# -------------------------------------------------------------------------------------------------------- the audit key


@pytest.mark.parametrize("command", ["serve", "shields"])
def test_a_lost_audit_key_is_named_and_no_other_is_made_beside_its_log(file: Path, command: str) -> None:
    listed = file.parent / "shields.csv"
    listed.write_text(f"source,nhsNumber\nschool-elm,{CHILD}\n")
    loading = ("shields", "load", listed, "--config", file)
    assert run(*loading).exit_code == 0
    key = audit_key_file(load(file))
    key.unlink()

    line = one_line(run(*(loading if command == "shields" else ("serve", "--config", file))))

    assert f"the audit key file {key} is missing" in line
    assert not key.exists()


# -------------------------------------------------------------------------------------------------------- audit verify


@pytest.fixture
def logged(file: Path) -> Path:
    """A database with a short log, written whole into its file."""
    listed = file.parent / "shields.csv"
    listed.write_text(f"source,nhsNumber\nschool-elm,{CHILD}\n")
    assert run("shields", "load", listed, "--config", file).exit_code == 0
    database = file.parent / "gateway.db"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return database


def damage(database: Path, how: str) -> None:
    content = database.read_bytes()
    match how:
        case "cut off":
            database.write_bytes(content[:5000])
        case "cut off in its first page":
            database.write_bytes(content[:90])
        case "overwritten":
            database.write_bytes(b"no database " * 4000)
        case "its header overwritten":
            database.write_bytes(b"x" * 100 + content[100:])
        case "its list of tables emptied":
            database.write_bytes(content[:103] + bytes(2) + content[105:])


@pytest.mark.parametrize(
    "how",
    [
        "cut off",
        "cut off in its first page",
        "overwritten",
        "its header overwritten",
        "its list of tables emptied",
    ],
)
def test_a_log_that_is_damaged_is_not_told_as_no_log(file: Path, logged: Path, how: str) -> None:
    assert run("audit", "verify", "--config", file).exit_code == 0
    damage(logged, how)

    told = run("audit", "verify", "--config", file)
    machine = run("audit", "verify", "--config", file, "--json")

    assert told.exit_code == machine.exit_code == 3, told.output
    assert json.loads(machine.stdout)["status"] == "INCOMPLETE"
    assert "no log" not in told.output
    assert told.stdout.startswith("INCOMPLETE")


def test_no_file_and_no_record_are_no_log(file: Path) -> None:
    assert "no log there" in one_line(run("audit", "verify", "--config", file))
    assert run("migrate", "--config", file).exit_code == 0
    assert "no log there" in one_line(run("audit", "verify", "--config", file))
