"""`contactpoint audit detect`, and how what it opens shows to reviewers."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.__main__ import main
from gateway.detection.detector import RULES
from gateway.detection.settings import DetectionSection
from gateway.detection.watch import Watch
from gateway.storage.engine import open_engine
from tests.fixtures.sources import CHILD, known, row, source
from tests.fixtures.token_factory import AUDIENCE
from tests.fixtures.world import World
from tests.reviews.conftest import AUDITOR, Running, break_glass, decide, running

__all__ = ["running"]

QUEUE = "{ reviews { id kind state severity rules findings explainedBy person child receipt relatedReceipts dueAt } }"


def configured(folder: Path, *more: str) -> list[str]:
    file = folder / "gateway.toml"
    lines = [f'[resource]\nidentifier = "{AUDIENCE}"', f'[database]\nurl = "sqlite:///{folder}/gateway.db"', *more]
    file.write_text("\n".join(lines) + "\n")
    return ["--config", str(file)]


def run(folder: Path, *arguments: str, command: tuple[str, ...] = ("audit", "detect")) -> Result:
    return CliRunner().invoke(main, [*command, *configured(folder), *arguments])


def canaries(folder: Path) -> Path:
    file = folder / "canaries.txt"
    file.write_text(f"{CHILD}\n")
    return file


def found(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


async def lookups(running: Running) -> None:
    async with running(source("cs-amber", known(CHILD, row()))) as world:
        await world.ask()
        await break_glass(world)


def test_it_opens_what_rules_find_and_says_how_much_is_explained(tmp_path: Path, running: Running) -> None:
    asyncio.run(lookups(running))

    told = found(run(tmp_path, "--canaries", str(canaries(tmp_path)), "--json"))
    again = run(tmp_path, "--canaries", str(canaries(tmp_path)))

    assert told["lookups"] == 2
    assert [(i["severity"], i["rules"]) for i in told["opened"]] == [("PAGE", ["D14"]), ("PAGE", ["D14", "D5"])]
    assert "0 lookups" in again.output
    assert "0 opened" in again.output
    assert str(CHILD) not in json.dumps(told)


@pytest.mark.parametrize("own_key", [False, True], ids=["audit-key", "key-of-its-own"])
def test_what_it_records_is_signed_before_it_ends_by_who_signs_this_log(tmp_path: Path, *, own_key: bool) -> None:
    more = ['[audit]\nsigning_key_file = "signing.json"'] if own_key else []
    open_engine(f"sqlite:///{tmp_path}/gateway.db").dispose()

    assert CliRunner().invoke(main, ["audit", "detect", *configured(tmp_path, *more)]).exit_code == 0
    told = json.loads(CliRunner().invoke(main, ["audit", "verify", *configured(tmp_path, *more), "--json"]).stdout)

    assert (told["status"], told["unsealed"]) == ("GOOD", 0), told


@pytest.mark.parametrize(
    "command",
    [("audit", "detect"), ("reviews",), ("audit", "index"), ("audit", "report", "rates"), ("shields", "load")],
)
def test_where_the_signing_key_of_a_log_is_missing_a_command_makes_no_other(
    tmp_path: Path, running: Running, command: tuple[str, ...]
) -> None:
    asyncio.run(lookups(running))
    of_its_own = ['[audit]\nsigning_key_file = "signing.json"']
    listed = tmp_path / "shields.csv"
    listed.write_text("source,nhsNumber\n")

    result = CliRunner().invoke(
        main, [*command, *configured(tmp_path, *of_its_own), *([str(listed)] if "shields" in command else [])]
    )

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.output
    assert "signing.json is missing" in result.stderr
    assert not (tmp_path / "signing.json").exists()


def test_break_glass_that_waits_already_does_not_wait_twice(tmp_path: Path, running: Running) -> None:
    asyncio.run(lookups(running))

    assert found(run(tmp_path, "--verify", "--json"))["opened"] == []
    assert len(json.loads(run(tmp_path, "--json", command=("reviews",)).stdout)) == 1


@pytest.mark.parametrize(
    ("feed", "said"),
    [("person,organisation\n", "line 1: team: the column is missing"), ("person,organisation,team\na,b\n", "line 2:")],
)
def test_a_faulty_feed_ends_with_2_and_names_the_line(tmp_path: Path, running: Running, feed: str, said: str) -> None:
    asyncio.run(lookups(running))
    file = tmp_path / "feed.csv"
    file.write_text(feed)

    result = run(tmp_path, "--workforce", str(file))

    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_where_there_is_no_database_it_ends_with_2(tmp_path: Path) -> None:
    result = run(tmp_path)

    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_the_list_of_reviews_shows_both_kinds(tmp_path: Path, running: Running) -> None:
    asyncio.run(lookups(running))
    run(tmp_path, "--canaries", str(canaries(tmp_path)))

    told = json.loads(run(tmp_path, "--json", command=("reviews",)).stdout)
    shown = run(tmp_path, command=("reviews",)).output

    assert {item["kind"] for item in told} == {"BREAK_GLASS", "DETECTION"}
    assert [item["severity"] for item in told] == ["PAGE", "PAGE", "IMMEDIATE"]
    assert "DETECTION D14 D5" in shown
    assert "Break-glass was used." in shown


@pytest.mark.anyio
async def test_a_reviewer_reads_and_decides_what_detection_found(tmp_path: Path, running: Running) -> None:
    async with running(source("cs-amber", known(CHILD, row()))) as world:
        receipt = (await break_glass(world)).child["receipt"]
        await look(world, tmp_path)
        told = await world.post(QUEUE, **AUDITOR)
        item = next(i for i in told.body["data"]["reviews"] if i["kind"] == "DETECTION")
        decided = await decide(world, item["id"], "NOT_UPHELD", "The child was a neighbour's.")

    assert (item["severity"], item["rules"], item["receipt"]) == ("PAGE", ["D14", "D5"], receipt)
    assert item["findings"][1] == "Break-glass was used."
    assert decided.body["data"]["decideReview"]["state"] == "NOT_UPHELD"


@pytest.mark.anyio
async def test_another_organisation_sees_nothing_of_it(tmp_path: Path, running: Running) -> None:
    async with running(source("cs-amber", known(CHILD, row()))) as world:
        await break_glass(world)
        await look(world, tmp_path)
        told = await world.post(QUEUE, **(AUDITOR | {"org": "brook-council"}))

    assert told.body["data"]["reviews"] == []


@pytest.mark.anyio
async def test_nobody_decides_what_was_found_of_themselves(tmp_path: Path, running: Running) -> None:
    async with running(source("cs-amber", known(CHILD, row()))) as world:
        await break_glass(world)
        await look(world, tmp_path)
        told = await world.post(QUEUE, **AUDITOR)
        item = next(i for i in told.body["data"]["reviews"] if i["kind"] == "DETECTION")
        refused = await decide(world, item["id"], sub="amber-worker-17")

    assert refused.code == "FORBIDDEN"


@pytest.mark.anyio
async def test_alerts_are_counted_by_rule_and_name_nobody(tmp_path: Path, running: Running) -> None:
    async with running(source("cs-amber", known(CHILD, row()))) as world:
        before = spoken(await shown(world))
        await break_glass(world)
        await look(world, tmp_path)
        metrics = await shown(world)

    assert before.keys() == set(RULES), "of a series that begins at 1 nobody sees that it grew"
    assert spoken(metrics)["D14"] > before["D14"]
    assert "contactpoint_detection_last_run_seconds" in metrics
    assert str(CHILD) not in metrics


def spoken(metrics: str) -> dict[str, float]:
    """Return how often each rule has spoken."""
    of_a_rule = re.compile(r'^contactpoint_detection_alerts_total\{rule="(\w+)"\} (\S+)$', re.MULTILINE)
    return {rule: float(count) for rule, count in of_a_rule.findall(metrics)}


async def look(world: World, folder: Path) -> None:
    gateway = world.gateway
    section = DetectionSection(canaries_file=canaries(folder))
    await Watch(gateway.engine, gateway.keys, gateway.log, section).run()


async def shown(world: World) -> str:
    return (await world.client.get("/metrics")).text


def test_a_day_is_read_in_the_form_of_a_date(tmp_path: Path, running: Running) -> None:
    asyncio.run(lookups(running))

    assert run(tmp_path, "--since", "yesterday").exit_code == 2
    assert found(run(tmp_path, "--since", time.strftime("%Y-%m-%d"), "--json"))["lookups"] == 2
