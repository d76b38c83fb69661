"""`contactpoint reviews`: what a reviewer reads at the gateway's machine, and that it was read is on the log."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from gateway.__main__ import main
from gateway.audit.events import EventKind, unlisted_keys
from gateway.audit.records import read_records
from gateway.storage.engine import open_engine
from tests.fixtures.sources import CHILD, known, row, source
from tests.fixtures.token_factory import AUDIENCE
from tests.reviews.conftest import JUSTIFICATION, Running, break_glass, decide, queue


def run(folder: Path, *arguments: str) -> Result:
    file = folder / "gateway.toml"
    file.write_text(f'[resource]\nidentifier = "{AUDIENCE}"\n[database]\nurl = "sqlite:///{folder}/gateway.db"\n')
    return CliRunner().invoke(main, ["reviews", "--config", str(file), *arguments])


def listed(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


async def overrides(running: Running) -> None:
    async with running(source("cs-amber", known(CHILD, row()))) as world:
        await break_glass(world, name="Ms Amis")
        await break_glass(world, org="brook-council", sub="brook-worker")
        (item,) = await queue(world, org="brook-council", sub="auditor-2")
        await decide(world, item["id"], org="brook-council", sub="auditor-2")


def test_it_lists_what_waits_with_who_and_why_and_not_about_whom(tmp_path: Path, running: Running) -> None:
    asyncio.run(overrides(running))

    (item,) = listed(run(tmp_path, "--json"))
    shown = run(tmp_path).output

    assert (item["state"], item["person"], item["name"]) == ("OPEN", "amber-worker-17", "Ms Amis")
    assert item["justification"] == JUSTIFICATION
    for text in ("Ms Amis", "amber-council", JUSTIFICATION, "1 waiting"):
        assert text in shown
    assert str(CHILD) not in shown + json.dumps(item)


def test_it_lists_what_was_decided_too_and_by_organisation(tmp_path: Path, running: Running) -> None:
    asyncio.run(overrides(running))

    everything = listed(run(tmp_path, "--json", "--all"))
    brook = listed(run(tmp_path, "--json", "--all", "--organisation", "brook-council"))

    assert {item["state"] for item in everything} == {"OPEN", "UPHELD"}
    assert [(item["state"], item["note"]) for item in brook] == [("UPHELD", "Seen")]


def test_to_list_is_on_the_log(tmp_path: Path, running: Running) -> None:
    asyncio.run(overrides(running))
    run(tmp_path, "--organisation", "amber-council")

    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db", create=False)
    payload = [r.payload for r in read_records(engine) if r.kind is EventKind.REVIEW][-1]
    engine.dispose()

    assert payload is not None
    assert payload["caller"] == {"command": "contactpoint reviews"}
    assert (payload["count"], payload["filter"]["organisation"]) == (1, "amber-council")
    assert unlisted_keys(EventKind.REVIEW, payload) == frozenset()


def test_what_would_steer_the_terminal_is_refused_where_it_is_written(tmp_path: Path, running: Running) -> None:
    async def named() -> None:
        async with running(source("cs-amber", known(CHILD, row()))) as world:
            refused = await break_glass(world, access={"justification": f"{JUSTIFICATION}\u202egnimA"})
            assert refused.code == "BAD_USER_INPUT"

    asyncio.run(named())

    assert "\u202e" not in run(tmp_path).output


def test_where_there_is_no_database_it_ends_with_2(tmp_path: Path) -> None:
    result = run(tmp_path)

    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
