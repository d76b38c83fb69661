"""What the records of one lookup say: who, for whom, why, on what evidence, by which rules, and how long it took."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.audit.events import PAYLOAD_KEYS, EventKind
from tests.fixtures.sources import BORN, CHILD, FAMILY, known, row, source
from tests.fixtures.world import OPEN_TO_AMBER, Opening, Terms, World, lookup_document
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio

MINE = {"registration": "SWE:SW1"}
STATED = {"key", "receipt", "ms", "response", "request", "ask"}


def council() -> Any:
    return source("cs-amber", known(CHILD, row(number="SW1"), row(local_id="two")), organisation="amber-council")


def payloads(world: World) -> list[dict[str, Any]]:
    return [record.payload or {} for record in world.records()]


async def test_every_record_of_a_request_says_who_asks_with_what_sign_in_and_by_which_operation(
    running: Running,
) -> None:
    signed_in = 1_000_000_000
    async with running(council()) as world:
        asked = {"team": "Duty team", "auth_time": signed_in, "act": {"sub": "case-system"}, "name": "Ms Amis"}
        await world.ask(**asked)
        intent, outcome = payloads(world)

    for told in (intent, outcome):
        assert told["caller"]["team"] == "Duty team"
        assert told["caller"]["signedInAt"] == signed_in
        assert (told["caller"]["actor"], told["caller"]["name"]) == ("case-system", "Ms Amis")
        assert told["operation"]["name"] == "Who"
        assert len(told["operation"]["document"]) == 64


async def test_a_text_that_may_hold_an_identifier_leaves_no_name_and_no_digest_that_could_be_found_by_trying(
    running: Running,
) -> None:
    key = f'key: {{nhsNumber: "{CHILD}", dateOfBirth: "2020-04-09", familyName: "Amis"}}'
    query = f'query Amis {{ child({key}, access: {{purpose: CP_S47, reason: "R"}}) {{ outcome }} }}'
    async with running(council()) as world:
        await world.post(query)
        told = payloads(world)[-1]["operation"]

    assert told["name"] is None
    assert len(told["document"]) == 24


async def test_outcome_says_by_which_policy_and_under_which_grants_it_was_told(running: Running) -> None:
    terms = Terms(
        "cs-amber",
        (Opening(("involvements",)), Opening(relationship="PRACTITIONER"), Opening(relationship="APPOINTED")),
    )
    async with running(council(), agreements=[terms]) as world:
        await world.ask()
        await world.ask(**MINE)
        stranger, worker = (p["rules"] for p in payloads(world) if "rules" in p)

    assert stranger == {"policy": "look-up-a-child", "grants": {"cs-amber": ["cs-amber#1"]}}
    assert worker == {"policy": "look-up-a-child", "grants": {"cs-amber": ["cs-amber#1", "cs-amber#2"]}}


@pytest.mark.parametrize(
    ("claims", "relationship", "evidence"),
    [
        (MINE, "PRACTITIONER", [{"relationship": "PRACTITIONER", "source": "cs-amber"}]),
        ({}, "ORGANISATION", [{"relationship": "ORGANISATION", "source": "cs-amber"}]),
        ({"org": "brook-council"}, "NONE", []),
    ],
)
async def test_a_relationship_is_recorded_with_whose_entry_shows_it(
    running: Running, claims: dict[str, Any], relationship: str, evidence: list[Any]
) -> None:
    async with running(council()) as world:
        await world.ask(**claims)
        told = payloads(world)[-1]

    assert (told["relationship"], told["evidence"]) == (relationship, evidence)


async def test_a_failed_lookup_is_recorded_with_the_code_of_its_error_and_others_with_none(running: Running) -> None:
    async with running(council()) as world:
        await world.ask()
        world.execute("DROP TABLE shield")
        failed = await world.ask()
        answered, told = (p for p in payloads(world) if "fault" in p)

    assert answered["fault"] is None
    assert (told["outcome"], told["fault"]) == ("FAILED", failed.code)
    assert failed.code == "OVERLOADED"


async def test_how_long_the_whole_took_is_recorded_and_no_less_than_its_slowest_source(running: Running) -> None:
    async with running(council()) as world:
        await world.ask()
        told = payloads(world)[-1]

    assert told["ms"] >= max(each["ms"] for each in told["sources"])


async def test_no_record_holds_a_key_that_its_kind_may_not_or_the_child_in_clear(running: Running) -> None:
    async with running(council(), agreements=OPEN_TO_AMBER) as world:
        await world.ask()
        await world.ask(scope="none")
        await world.post(lookup_document("outcome"), {})
        records = world.records(*EventKind)

    assert {EventKind.INTENT, EventKind.OUTCOME, EventKind.DENIED} <= {r.kind for r in records}
    for record in records:
        assert record.payload is not None
        assert record.payload.keys() <= PAYLOAD_KEYS[record.kind]
        text = json.dumps({k: v for k, v in record.payload.items() if k not in STATED})
        assert [word for word in (CHILD, str(BORN), FAMILY) if word in text] == []
