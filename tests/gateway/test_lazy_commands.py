"""One command's imports are not another's wait."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from gateway.__main__ import main
from gateway.commands.lazy import LazyGroup

SERVER = {"gateway.app", "gateway.commands.serve", "uvicorn", "strawberry", "sqlalchemy"}


def imported_by(*arguments: str) -> set[str]:
    """Return the modules that a run of the command imported, in an interpreter of its own."""
    script = (
        "import sys\nfrom gateway.__main__ import main\n"
        f"try:\n    main({list(arguments)!r})\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr.split()
    )


@pytest.mark.parametrize("arguments", [["--version"], ["token", "--help"], ["lookup", "--help"], ["viewer", "--help"]])
def test_asking_does_not_import_the_server(arguments: list[str]) -> None:
    assert imported_by(*arguments) & SERVER == set()


OF_A_WITNESS = {
    *("gateway.audit.checkpoints", "gateway.audit.cosignatures", "gateway.audit.merkle", "gateway.audit.notes"),
    *("gateway.audit.witnessing.keys", "gateway.audit.witnessing.protocol"),
    *("gateway.audit.witnessing.server", "gateway.audit.witnessing.store"),
    *("gateway.commands.audit", "gateway.commands.audit_witness", "gateway.commands.errors"),
    *("gateway.commands.lazy", "gateway.commands.listening"),
    *("gateway.__main__", "gateway.front.idle_connections", "gateway.front.request_heads", "gateway.front.stopping"),
    *("gateway.front.upgrades", "gateway.front.whole_answers", "gateway.workers"),
}


def test_a_witness_imports_nothing_of_the_gateway_that_it_watches() -> None:
    found = imported_by("audit", "witness", "--help")
    ours = {name for name in found if name.partition(".")[0] in {"gateway", "auth", "connectors", "schema"}}
    packages = {"gateway", "gateway.audit", "gateway.audit.witnessing", "gateway.commands", "gateway.front"}

    assert ours == OF_A_WITNESS | packages
    assert found & {"strawberry", "graphql", "sqlalchemy", "psycopg", "alembic", "prometheus_client", "httpx"} == set()


def test_an_import_of_the_server_would_be_found() -> None:
    assert imported_by("serve", "--help") >= SERVER


def test_every_command_is_where_the_table_says() -> None:
    assert [name for name, command in main.commands.items() if command.name != name] == []
    assert "token" in CliRunner().invoke(main, ["--help"]).output


def test_a_place_that_holds_no_command_is_refused() -> None:
    group = LazyGroup(name="x", commands={"bad": ("gateway.commands.lazy", "LazyGroup")})

    with pytest.raises(TypeError, match="not a command"):
        group.commands["bad"]


def test_commands_may_be_added_and_taken_away() -> None:
    group = LazyGroup(name="x", commands={"token": ("gateway.commands.token", "token")})
    group.add_command(click.Command("more"))

    assert sorted(group.commands) == ["more", "token"]
    del group.commands["token"]
    assert sorted(group.commands) == ["more"]
    assert len(group.commands) == 1
