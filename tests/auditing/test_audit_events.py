"""`auditEvents`: who reads which events, what stands in them, how a page goes on, and that it is on record."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from gateway import auditing
from gateway.audit.events import EventKind, unlisted_keys
from gateway.audit.index import EventIndex
from gateway.audit.index_tables import event_index
from gateway.audit.tables import audit_checkpoint
from tests.auditing.conftest import (
    AUDITOR,
    EVENTS,
    OTHERS_AUDITOR,
    Running,
    ask_events,
    break_glass,
    council,
    events,
)
from tests.fixtures.sources import CHILD, UNKNOWN_CHILD
from tests.fixtures.world import World

pytestmark = pytest.mark.anyio


def page_info(told: Any) -> dict[str, Any]:
    found: dict[str, Any] = told.body["data"]["auditEvents"]["pageInfo"]
    return found


def readings(world: World) -> list[dict[str, Any]]:
    return [record.payload for record in world.records(EventKind.READ) if record.payload]


async def test_a_lookup_is_one_event_that_says_what_was_told_and_to_whom(running: Running) -> None:
    async with running(council()) as world:
        told = await world.ask(reason="A referral of the school", access={"caseReference": "NS-1"})
        (event,) = await events(world)

        assert (event["kind"], event["outcome"], event["complete"]) == ("LOOKUP", "DISCLOSED", True)
        assert (event["organisation"], event["purpose"]) == ("amber-council", "CP_S47")
        assert (event["reason"], event["caseReference"]) == ("A referral of the school", "NS-1")
        assert event["receipt"] == told.child["receipt"]
        assert event["person"]["subject"] == "amber-worker-17"
        assert event["person"]["roles"] == ["social_worker"]
        assert event["sources"] == [{"source": "cs-amber", "status": "ANSWERED", "reason": None}]
        (disclosed,) = event["disclosed"]
        assert disclosed["entry"] == told.entries[0]["id"]
        assert {"practitioner.name", "contact.phone"} <= set(disclosed["fields"])
        assert event["flags"] == []
        assert event["rules"][0] == "look-up-a-child"
        assert all(rule.startswith("cs-amber ") for rule in event["rules"][1:])
        assert len(event["rules"]) > 1
        assert CHILD not in str(event)


async def test_an_event_says_when_a_signed_checkpoint_covers_it(running: Running) -> None:
    async with running(council()) as world:
        world.gateway.checkpointer.close()
        await world.ask()
        uncovered = (await events(world))[0]["covered"]
        log = world.gateway.log
        sealed = {"shard": log.shard, "size": 10_000, "note": b"not looked at here"}
        with world.gateway.engine.begin() as connection:
            connection.execute(sa.insert(audit_checkpoint), sealed)
        covered = (await events(world))[0]["covered"]

    assert (uncovered, covered) == (False, True)


async def test_an_override_says_its_justification(running: Running) -> None:
    async with running(council(shielded=True)) as world:
        await break_glass(world)
        (event,) = await events(world, {"flags": ["OVERRIDE"]})

    assert event["justification"] == "Immediate risk, no time for a strategy discussion"
    assert event["flags"] == ["OVERRIDE"]


async def test_a_refusal_says_its_code_and_rule(running: Running) -> None:
    async with running(council()) as world:
        await world.ask(scope="schema:read")
        (event,) = await events(world)

    assert (event["kind"], event["outcome"], event["code"]) == ("REFUSAL", "DENIED", "MISSING_SCOPE")
    assert len(event["rules"]) == 1


async def test_an_auditor_of_another_organisation_sees_nothing_of_it(running: Running) -> None:
    async with running(council()) as world:
        await world.ask()
        await world.ask(org="brook-council", sub="worker-9")

        assert [e["organisation"] for e in await events(world)] == ["amber-council"]
        assert [e["organisation"] for e in await events(world, **OTHERS_AUDITOR)] == ["brook-council"]
        (named,) = [e["person"]["id"] for e in await events(world)]
        assert await events(world, {"person": named}, **OTHERS_AUDITOR) == []
        of_the_child = await events(world, {"nhsNumber": CHILD}, **OTHERS_AUDITOR)
        assert [e["organisation"] for e in of_the_child] == ["brook-council"]


@pytest.mark.parametrize("of", ["amber-council", "nobody-at-all"])
async def test_to_name_another_organisation_is_forbidden_whether_or_not_it_exists(running: Running, of: str) -> None:
    async with running(council()) as world:
        await world.ask()
        told = await ask_events(world, {"organisation": of}, **OTHERS_AUDITOR)

        assert (told.status, told.code) == (200, "FORBIDDEN")
        assert world.payload(EventKind.DENIED)["code"] == "NOT_THEIR_ORGANISATION"
        assert readings(world) == []


@pytest.mark.parametrize(("audits", "seen"), [((), 1), (("amber-council",), 2), (("*",), 3)])
async def test_the_agreements_may_let_one_organisation_audit_others(
    running: Running, audits: tuple[str, ...], seen: int
) -> None:
    async with running(council(), audits={"brook-council": audits}) as world:
        for org in ("amber-council", "brook-council", "amber-police"):
            await world.ask(org=org)

        found = await events(world, **OTHERS_AUDITOR)

    assert len(found) == seen


@pytest.mark.parametrize(
    "differs",
    [
        pytest.param({"roles": ["social_worker"]}, id="another-role"),
        pytest.param({"scope": "involvement:read"}, id="without-the-scope"),
        pytest.param({"sub": "amber-case-system"}, id="a-system-that-names-nobody"),
    ],
)
async def test_only_auditors_read_events_and_a_refusal_is_recorded(running: Running, differs: dict[str, Any]) -> None:
    async with running(council()) as world:
        await world.ask()
        told = await ask_events(world, **differs)

        assert (told.status, told.code) == (200, "FORBIDDEN")
        assert world.payload(EventKind.DENIED)["code"] in {"NO_AUDITOR", "MISSING_SCOPE"}
        assert readings(world) == []


async def test_a_privacy_officer_reads_them_too(running: Running) -> None:
    async with running(council()) as world:
        await world.ask()

        assert len(await events(world, roles=["privacy_officer"])) == 1


async def test_every_reading_is_on_record_with_what_was_asked_for_and_how_much_was_shown(running: Running) -> None:
    async with running(council()) as world:
        receipts = [(await world.ask()).child["receipt"] for _ in range(3)]
        await events(world, {"nhsNumber": CHILD}, first=2)
        payload = world.payload(EventKind.READ)

        assert unlisted_keys(EventKind.READ, payload) == frozenset()
        assert payload["reading"] == "AUDIT_EVENTS"
        assert (payload["caller"]["subject"], payload["caller"]["organisation"]) == ("auditor-1", "amber-council")
        assert payload["count"] == 2
        assert [payload["from"]["receipt"], payload["to"]["receipt"]] == receipts[:0:-1]
        assert payload["filter"]["subject"] == world.gateway.keys.pseudonym(CHILD)
        assert payload["filter"]["organisations"] == ["amber-council"]
        assert CHILD not in str(payload)


async def test_a_reading_that_cannot_be_recorded_shows_nothing(running: Running) -> None:
    async with running(council()) as world:
        await world.ask()
        world.gateway.log.close()
        told = await ask_events(world)

    assert (told.status, told.code) == (503, "AUDIT_UNAVAILABLE")
    assert told.body.get("data") is None


async def test_an_unrecorded_reading_would_be_noticed(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a register that forgets the record is seen by the test above this one, which counts records."""
    async with running(council()) as world:
        await world.ask()
        append = world.gateway.log.append

        async def forgets(kind: EventKind, *arguments: Any, **more: Any) -> Any:
            return None if kind is EventKind.READ else await append(kind, *arguments, **more)

        monkeypatch.setattr(world.gateway.log, "append", forgets)
        await events(world)

        assert readings(world) == []


async def test_auditors_see_who_read_the_log(running: Running) -> None:
    async with running(council()) as world:
        await events(world)
        (event,) = await events(world, {"kind": ["READ"]})

    assert (event["kind"], event["reading"], event["count"]) == ("READ", "AUDIT_EVENTS", 0)
    assert event["person"]["subject"] == "auditor-1"


async def test_pages_go_on_where_the_last_one_ended_whatever_is_written_meanwhile(running: Running) -> None:
    async with running(council()) as world:
        receipts = [(await world.ask()).child["receipt"] for _ in range(5)]
        seen, after = [], None
        for _ in range(3):
            told = await ask_events(world, {"kind": ["LOOKUP"]}, 2, after)
            seen += [edge["node"]["receipt"] for edge in told.body["data"]["auditEvents"]["edges"]]
            after = page_info(told)["endCursor"]
            await world.ask()

    assert seen == receipts[::-1]
    assert not page_info(told)["hasNextPage"]
    assert page_info(told)["hasPreviousPage"]


async def test_an_empty_page_has_no_cursors(running: Running) -> None:
    async with running(council()) as world:
        told = await ask_events(world, {"receipt": "none-such"})

    assert page_info(told) == {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}


@pytest.mark.parametrize(
    ("wanted", "who"),
    [
        pytest.param({"kind": ["LOOKUP"]}, {"sub": "auditor-7"}, id="another-person"),
        pytest.param({"kind": ["LOOKUP"]}, {"org": "brook-council"}, id="another-organisation"),
        pytest.param({"kind": ["LOOKUP"], "purpose": ["CIN_S17"]}, {}, id="another-filter"),
        pytest.param({}, {}, id="no-filter"),
    ],
)
async def test_a_cursor_is_good_for_its_caller_and_filter_alone(
    running: Running, wanted: dict[str, Any], who: dict[str, Any]
) -> None:
    async with running(council()) as world:
        for _ in range(2):
            await world.ask()
        after = page_info(await ask_events(world, {"kind": ["LOOKUP"]}, 1))["endCursor"]
        own = await ask_events(world, {"kind": ["LOOKUP"]}, 1, after)
        told = await ask_events(world, wanted, 1, after, **who)

    assert own.status == 200
    assert (told.status, told.code) == (400, "BAD_USER_INPUT")
    assert "data" not in told.body


async def test_a_cursor_says_nothing_and_cannot_be_made_up(running: Running) -> None:
    async with running(council()) as world:
        await world.ask()
        cursor = page_info(await ask_events(world))["endCursor"]
        shard = world.gateway.log.shard
        flipped = cursor[:10] + ("A" if cursor[10] != "A" else "B") + cursor[11:]

        assert shard not in cursor
        for after in (flipped, "zqx", "", "é", cursor * 2):
            assert (await ask_events(world, after=after)).code == "BAD_USER_INPUT"


async def test_without_its_binding_a_cursor_of_another_caller_would_pass(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the tests of cursors."""
    monkeypatch.setattr(auditing.AuditEvents, "_binding", lambda *_: b"the same for everybody")
    async with running(council()) as world:
        for _ in range(2):
            await world.ask()
        after = page_info(await ask_events(world, first=1))["endCursor"]

        assert (await ask_events(world, after=after, sub="auditor-7")).status == 200


@pytest.mark.parametrize("first", [-1, 0, 51, 10**9])
async def test_a_page_has_one_to_fifty_events(running: Running, first: int) -> None:
    async with running(council()) as world:
        told = await ask_events(world, first=first)

        assert (told.status, told.code) == (400, "BAD_USER_INPUT")
        assert readings(world) == []


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        ({"outcome": ["DENIED"]}, ["DENIED"]),
        ({"outcome": ["DISCLOSED"]}, ["DISCLOSED"]),
        ({"outcome": ["UNKNOWN"]}, []),
        ({"flags": ["NOTHING_TOLD"]}, ["NOTHING_DISCLOSABLE"]),
        ({"flags": ["NOTHING_TOLD", "OVERRIDE"]}, []),
        ({"flags": ["UNEXPLAINED"]}, []),
        ({"purpose": ["CIN_S17"]}, []),
        ({"purpose": ["CP_S47"]}, ["DENIED", "NOTHING_DISCLOSABLE", "DISCLOSED"]),
        ({"nhsNumber": UNKNOWN_CHILD}, ["NOTHING_DISCLOSABLE"]),
        ({"kind": ["REFUSAL"]}, ["DENIED"]),
        ({"until": "2020-01-01T00:00:00Z"}, []),
        ({"since": "2020-01-01T00:00:00+01:00"}, ["DENIED", "NOTHING_DISCLOSABLE", "DISCLOSED"]),
        ({"person": "nobody"}, []),
    ],
)
async def test_every_member_of_the_filter_narrows(running: Running, wanted: dict[str, Any], seen: list[str]) -> None:
    async with running(council()) as world:
        await world.ask()
        await world.ask(UNKNOWN_CHILD)
        await world.ask(scope="schema:read")

        assert [event["outcome"] for event in await events(world, wanted)] == seen


async def test_a_lookup_without_an_outcome_is_unknown(running: Running) -> None:
    async with running(council()) as world:
        who = {"issuer": "i", "subject": "s", "organisation": "amber-council"}
        await world.gateway.log.append(EventKind.INTENT, {"caller": who, "receipt": "cut-off"})
        (event,) = await events(world, {"outcome": ["UNKNOWN"]})

    assert (event["receipt"], event["outcome"], event["complete"]) == ("cut-off", "UNKNOWN", None)


@pytest.mark.parametrize(
    "wanted",
    [
        {"nhsNumber": CHILD, "subject": "ab"},
        {"since": "2026-01-01T00:00:00"},
        {"person": ""},
        {"since": "2026-11-27T00:00:00Z", "until": "2026-11-26T00:00:00Z"},
    ],
)
async def test_a_filter_that_says_two_things_or_nothing_is_refused(running: Running, wanted: dict[str, Any]) -> None:
    async with running(council()) as world:
        assert (await ask_events(world, wanted)).code == "BAD_USER_INPUT"


async def test_a_child_is_never_asked_for_in_an_address(running: Running) -> None:
    async with running(council()) as world:
        headers = world.headers(**AUDITOR) | {"GraphQL-Require-Preflight": "1"}
        response = await world.client.get("/graphql", params={"query": EVENTS}, headers=headers)

    assert response.status_code == 405


# ---------------------------------------------------------------------- what the answer kept, the log does not tell


async def test_withheld_looks_absent_to_the_auditor_as_it_did_to_the_practitioner(running: Running) -> None:
    """A shielded child, a name that does not fit and an unknown child give the same event but for who and when."""
    own = {"id", "at", "receipt", "subject", "covered"}
    async with running(council(shielded=True)) as world:
        await world.ask()
        await world.ask(family="Somebody-Else")
        await world.ask(UNKNOWN_CHILD)
        found = [{k: v for k, v in event.items() if k not in own} for event in await events(world)]

    assert found[0]["outcome"] == "NOTHING_DISCLOSABLE"
    assert found[0] == found[1] == found[2]


async def test_an_index_that_lags_behind_is_no_answer(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(council()) as world:
        await world.ask()
        monkeypatch.setattr(EventIndex, "catch_up", lambda *_, **__: False)

        assert (await ask_events(world)).status == 503


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE event_index SET organisation = 'amber-council' WHERE organisation = 'brook-council'",
        "UPDATE event_index SET subject = 'somebody' WHERE kind = 'INTENT'",
        "UPDATE event_index SET person = 'somebody' WHERE kind = 'INTENT'",
        "UPDATE event_index SET outcome = 'NOTHING_DISCLOSABLE' WHERE kind = 'INTENT'",
        "UPDATE event_index SET purpose = 'CIN_S17' WHERE kind = 'INTENT'",
        "UPDATE event_index SET receipt = 'another' WHERE kind = 'INTENT'",
        "UPDATE event_index SET at_ms = at_ms - 60000 WHERE kind = 'INTENT'",
        "UPDATE event_index SET closing_seq = seq WHERE kind = 'INTENT'",
    ],
)
async def test_an_index_that_was_changed_tells_no_event_otherwise_than_the_log(running: Running, damage: str) -> None:
    async with running(council()) as world:
        await world.ask(org="brook-council")
        await world.ask()
        assert len(await events(world)) == 1
        world.execute(damage)

        told = await ask_events(world)

    assert (told.status, told.code) == (503, "AUDIT_UNAVAILABLE")


async def test_a_record_that_cannot_be_read_ends_the_telling(running: Running) -> None:
    async with running(council()) as world:
        await world.ask()
        world.execute("DROP TRIGGER audit_leaf_fixed")
        world.execute("UPDATE audit_leaf SET body = x'00' WHERE seq = 3")
        told = await ask_events(world)

    assert (told.status, told.code) == (503, "AUDIT_UNAVAILABLE")


async def test_the_gateway_indexes_by_itself(running: Running) -> None:
    async with running(council()) as world:
        await world.ask()
        await world.gateway.index_events()
        with world.gateway.engine.connect() as connection:
            count = connection.scalar(
                sa.select(sa.func.count()).select_from(event_index).where(event_index.c.kind == "INTENT")
            )

    assert count == 1
