"""A fault of the log is of no organisation: who audits every one reads and decides it, and nobody else does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from gateway.audit.events import EventKind
from gateway.detection.detector import Alert
from gateway.detection.findings import Findings
from gateway.detection.lookups import Place
from schema.vocabulary import ReviewSeverity
from tests.fixtures.sources import CHILD, known, row, source
from tests.fixtures.world import World
from tests.reviews.conftest import AUDITOR, Running, break_glass, decide

pytestmark = pytest.mark.anyio

WORDS: Final = "The sequence of records has a gap."
QUEUE: Final = "{ reviews { id kind rules findings person child receipt purpose severity state } }"
EVENTS: Final = "{ auditEvents(filter: {kind: [REVIEW]}) { edges { node { organisation } } } }"
BROOK: Final[dict[str, Any]] = {**AUDITOR, "org": "brook-council", "sub": "brook-auditor"}


def council() -> Any:
    return source("cs-amber", known(CHILD, row()), organisation="amber-council")


async def found_a_gap(world: World) -> None:
    """Put into the queue what detection puts there when the sequence has a gap."""
    gateway = world.gateway
    place = Place(gateway.log.shard, 0)
    fault = Alert(
        place, 0, False, ("D13",), ReviewSeverity.PAGE, 1.0, (WORDS,), "", (), None, None, None, None, None
    )  # fmt: skip
    await Findings(gateway.engine, gateway.keys, gateway.log).open(fault, datetime.now(UTC))


async def rules_seen(world: World, claims: dict[str, Any]) -> list[list[str]]:
    told = await world.post(QUEUE, **claims)
    return [item["rules"] for item in told.body["data"]["reviews"]]


async def test_who_audits_every_organisation_reads_a_fault_of_the_log_and_it_names_nobody(running: Running) -> None:
    async with running(council(), audits={"brook-council": ["*"]}) as world:
        await found_a_gap(world)
        told = await world.post(QUEUE, **BROOK)
        (item,) = told.body["data"]["reviews"]

    assert (item["rules"], item["findings"], item["severity"]) == (["D13"], [WORDS], "PAGE")
    assert [item[name] for name in ("person", "child", "receipt", "purpose")] == [None] * 4


@pytest.mark.parametrize("audits", [{}, {"brook-council": ["amber-council"]}])
async def test_who_audits_no_more_than_some_organisations_sees_no_fault_of_the_log(
    running: Running, audits: dict[str, list[str]]
) -> None:
    async with running(council(), audits=audits) as world:
        await found_a_gap(world)
        seen = [await rules_seen(world, claims) for claims in (BROOK, AUDITOR)]
        events = (await world.post(EVENTS, **BROOK)).body["data"]["auditEvents"]["edges"]

    assert seen == [[], []]
    assert events != []
    assert None not in [each["node"]["organisation"] for each in events]


async def test_to_audit_every_organisation_opens_no_other_one_s_queue(running: Running) -> None:
    async with running(council(), audits={"brook-council": ["*"]}) as world:
        await break_glass(world)
        await found_a_gap(world)

        assert await rules_seen(world, BROOK) == [["D13"]]
        assert await rules_seen(world, AUDITOR) == [["D5"]]


async def test_a_fault_of_the_log_is_decided_by_them_and_is_among_their_events(running: Running) -> None:
    async with running(council(), audits={"brook-council": ["*"]}) as world:
        await found_a_gap(world)
        (item,) = (await world.post(QUEUE, **BROOK)).body["data"]["reviews"]
        refused = await decide(world, item["id"])
        nowhere = await decide(world, "no-such-review")
        told = await decide(world, item["id"], "UPHELD", "The disk was changed", **BROOK)
        events = (await world.post(EVENTS, **BROOK)).body["data"]["auditEvents"]["edges"]
        verdicts = [
            r.payload["verdict"] for r in world.records(EventKind.REVIEW) if r.payload and "verdict" in r.payload
        ]

    assert refused.response.content == nowhere.response.content
    assert refused.code == "FORBIDDEN"
    assert told.body["data"]["decideReview"]["state"] == "UPHELD"
    assert verdicts == ["UPHELD"]
    # that it was found is an event of nobody's
    assert None in [each["node"]["organisation"] for each in events]
