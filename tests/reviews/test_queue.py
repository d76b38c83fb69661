"""The queue of reviews: what is in it, who reads it, who decides, and what of it is on record."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from gateway.audit.events import EventKind, unlisted_keys
from gateway.graphql.execution import ROOT_SCOPES
from gateway.graphql.query import GRAPHQL_SCHEMA
from gateway.graphql.root_fields import REGISTER_FIELDS
from gateway.storage.tables import review
from tests.fixtures.sources import CHILD, UNKNOWN_CHILD, known, row, source
from tests.fixtures.world import World
from tests.reviews.conftest import AUDITOR, JUSTIFICATION, QUEUE, Running, break_glass, decide, queue

pytestmark = pytest.mark.anyio

BROOK = {"org": "brook-council", "sub": "brook-worker", "roles": ["social_worker"]}


def council() -> Any:
    return source("cs-amber", known(CHILD, row()), organisation="amber-council")


def reviews_recorded(world: World) -> list[dict[str, Any]]:
    found = [record.payload for record in world.records(EventKind.REVIEW) if record.payload]
    assert [unlisted_keys(EventKind.REVIEW, payload) for payload in found] == [frozenset()] * len(found)
    return found


def denied(world: World) -> list[str]:
    return [record.payload["code"] for record in world.records(EventKind.DENIED) if record.payload]


async def test_an_override_is_in_the_queue_with_the_place_of_its_record(running: Running) -> None:
    async with running(council()) as world:
        told = await break_glass(world)
        (item,) = await queue(world)
        (record,) = world.records(EventKind.OVERRIDE)
        with world.gateway.engine.connect() as connection:
            stored = connection.execute(sa.select(review)).mappings().one()

    assert record.payload is not None
    assert (stored["shard"], stored["seq"]) == (record.shard, record.seq)
    assert record.payload["review"] == item["id"]
    assert item["receipt"] == told.child["receipt"]
    assert item["child"] == record.payload["subject"]
    assert (item["kind"], item["state"], item["purpose"], item["overdue"]) == ("BREAK_GLASS", "OPEN", "CP_S47", False)
    assert record.payload["due"] == stored["due_at"]


async def test_each_of_many_overrides_at_once_points_at_its_own_record(running: Running) -> None:
    async with running(council()) as world:
        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(lambda n=number: break_glass(world, sub=f"worker-{n}"))
        with world.gateway.engine.connect() as connection:
            stored = {r["id"]: r["seq"] for r in connection.execute(sa.select(review)).mappings()}
        recorded = {r.payload["review"]: r.seq for r in world.records(EventKind.OVERRIDE) if r.payload}

    assert len(recorded) == 12
    assert stored == recorded


async def test_no_identifier_of_the_child_and_no_word_of_the_justification_is_in_the_queue(running: Running) -> None:
    async with running(council()) as world:
        await break_glass(world)
        told = await world.post(QUEUE, **AUDITOR)
        with world.gateway.engine.connect() as connection:
            stored = [dict(r) for r in connection.execute(sa.select(review)).mappings()]

    for text in (told.response.text, json.dumps(stored)):
        assert str(CHILD) not in text
        assert JUSTIFICATION not in text
        assert "amber-worker-17" not in text


async def test_a_queue_holds_the_overrides_of_ones_own_organisation_alone(running: Running) -> None:
    async with running(council()) as world:
        await break_glass(world)
        await break_glass(world, **BROOK)
        own = await queue(world)
        others = await queue(world, org="brook-council", sub="brook-auditor")

    assert len(own) == len(others) == 1
    assert own[0]["id"] != others[0]["id"]


async def test_to_read_the_queue_is_on_record_with_what_was_asked_for(running: Running) -> None:
    async with running(council()) as world:
        await break_glass(world)
        await queue(world)
        await queue(world, "UPHELD")
        everything, upheld = reviews_recorded(world)

    assert everything["count"] == 1
    assert everything["filter"] == {"states": ["ESCALATED", "NOT_UPHELD", "OPEN", "UPHELD"]}
    assert (upheld["count"], upheld["filter"]) == (0, {"states": ["UPHELD"]})
    assert everything["caller"]["subject"] == AUDITOR["sub"]


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        pytest.param({"scope": "involvement:read lookup:override"}, "MISSING_SCOPE", id="without-the-scope"),
        pytest.param({"roles": ["social_worker"]}, "NO_REVIEWER", id="another-role"),
        pytest.param({"roles": []}, "NO_REVIEWER", id="no-role"),
        pytest.param({"sub": "amber-case-system"}, "NO_REVIEWER", id="a-system-that-names-nobody"),
    ],
)
async def test_who_is_no_reviewer_neither_reads_nor_decides(
    running: Running, claims: dict[str, Any], code: str
) -> None:
    async with running(council()) as world:
        await break_glass(world)
        (item,) = await queue(world)
        read = await world.post(QUEUE, **(AUDITOR | claims))
        decided = await decide(world, item["id"], **claims)
        await world.gateway.registers.refusals.drain()

        assert (read.code, decided.code) == ("FORBIDDEN", "FORBIDDEN")
        assert denied(world) == [code, code]
        assert (await queue(world))[0]["state"] == "OPEN"


async def test_a_privacy_officer_is_a_reviewer_too(running: Running) -> None:
    async with running(council()) as world:
        await break_glass(world)

        assert len(await queue(world, roles=["privacy_officer"])) == 1


@pytest.mark.parametrize("verdict", ["UPHELD", "NOT_UPHELD"])
async def test_a_verdict_is_on_record_with_its_override_and_ends_the_wait(running: Running, verdict: str) -> None:
    async with running(council()) as world:
        await break_glass(world)
        (item,) = await queue(world)
        told = await decide(world, item["id"], verdict, "Spoke to the worker")
        again = await decide(world, item["id"])
        (record,) = world.records(EventKind.OVERRIDE)
        recorded = reviews_recorded(world)[-1]

        assert told.body["data"]["decideReview"]["state"] == verdict
        assert told.body["data"]["decideReview"]["note"] == "Spoke to the worker"
        assert (again.code, denied(world)) == ("FORBIDDEN", ["ALREADY_DECIDED"])
        assert (recorded["of"], recorded["shard"], recorded["review"]) == (record.seq, record.shard, item["id"])
        assert (recorded["verdict"], recorded["note"]) == (verdict, "Spoke to the worker")
        assert (await queue(world, "OPEN", "ESCALATED")) == []


async def test_what_was_escalated_is_decided_by_a_second_verdict(running: Running) -> None:
    async with running(council()) as world:
        await break_glass(world)
        (item,) = await queue(world)
        await decide(world, item["id"], "ESCALATED")
        waiting = await queue(world, "ESCALATED")
        told = await decide(world, item["id"], "NOT_UPHELD", sub="auditor-2")

    assert [one["id"] for one in waiting] == [item["id"]]
    assert told.body["data"]["decideReview"]["state"] == "NOT_UPHELD"


async def test_nobody_reviews_their_own_override(running: Running) -> None:
    both = {"roles": ["social_worker", "privacy_officer"], "sub": "both"}
    async with running(council()) as world:
        await break_glass(world, **both)
        (item,) = await queue(world)
        own = await decide(world, item["id"], **both)
        other = await decide(world, item["id"])

        assert (own.code, denied(world)) == ("FORBIDDEN", ["OWN_OVERRIDE"])
        assert other.body["data"]["decideReview"]["state"] == "UPHELD"


async def test_nobody_reviews_their_own_override_through_a_system_either(running: Running) -> None:
    named = {"sub": "both", "name": "B", "role": "privacy_officer", "registration": None}
    async with running(council()) as world:
        await break_glass(world, sub="both")
        (item,) = await queue(world)
        own = await decide(world, item["id"], sub="amber-case-system", roles=["privacy_officer"], on_behalf_of=named)

        assert (own.code, denied(world)) == ("FORBIDDEN", ["OWN_OVERRIDE"])


async def test_another_organisations_review_and_one_that_does_not_exist_are_refused_alike(running: Running) -> None:
    async with running(council()) as world:
        await break_glass(world)
        (item,) = await queue(world)
        others = await decide(world, item["id"], org="brook-council", sub="brook-auditor")
        nowhere = await decide(world, "no-such-review", org="brook-council", sub="brook-auditor")

        assert others.response.content == nowhere.response.content
        assert others.code == "FORBIDDEN"
        assert denied(world)[0] == "NOT_THEIR_REVIEW"


@pytest.mark.parametrize("note", ["", "  ", "x" * 501, "a\x00b"])
async def test_a_verdict_without_a_note_that_can_be_read_is_no_verdict(running: Running, note: str) -> None:
    async with running(council()) as world:
        await break_glass(world)
        (item,) = await queue(world)
        told = await decide(world, item["id"], note=note)

        assert (told.status, told.code) == (400, "BAD_USER_INPUT")
        assert (await queue(world))[0]["state"] == "OPEN"


async def test_two_verdicts_at_once_are_one(running: Running) -> None:
    codes: list[str | None] = []
    async with running(council()) as world:
        await break_glass(world)
        (item,) = await queue(world)

        async def say(verdict: str, who: str) -> None:
            codes.append((await decide(world, item["id"], verdict, sub=who)).code)

        async with anyio.create_task_group() as group:
            group.start_soon(say, "UPHELD", "auditor-1")
            group.start_soon(say, "NOT_UPHELD", "auditor-2")

        assert sorted(codes, key=str) == ["FORBIDDEN", None]
        assert [p["verdict"] for p in reviews_recorded(world) if "verdict" in p] == [(await queue(world))[0]["state"]]


async def test_without_a_log_the_queue_is_neither_read_nor_decided(running: Running) -> None:
    async with running(council()) as world:
        await break_glass(world)
        (item,) = await queue(world)
        world.gateway.log.close()

        assert (await world.post(QUEUE, **AUDITOR)).code == "AUDIT_UNAVAILABLE"
        assert (await decide(world, item["id"])).code == "AUDIT_UNAVAILABLE"


async def test_the_metrics_count_what_waits_and_what_is_overdue_without_a_label(running: Running) -> None:
    async with running(council()) as world:
        for number in (CHILD, UNKNOWN_CHILD):
            await break_glass(world, number)
        late = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds")
        with world.gateway.engine.begin() as connection:
            connection.execute(
                sa.update(review)
                .where(review.c.id == sa.select(sa.func.min(review.c.id)).scalar_subquery())
                .values(due_at=late)
            )
        shown = (await world.client.get("/metrics")).text
        overdue = [item["overdue"] for item in await queue(world)]
        world.execute("DROP TABLE review")
        unreadable = (await world.client.get("/metrics")).text

    assert "contactpoint_reviews_open 2.0" in shown
    assert "contactpoint_reviews_overdue 1.0" in shown
    assert sorted(overdue) == [False, True]
    assert "contactpoint_reviews_open NaN" in unreadable


def test_every_change_is_a_registers_and_every_field_of_a_register_declares_its_scope() -> None:
    assert GRAPHQL_SCHEMA.mutation_type is not None
    assert set(GRAPHQL_SCHEMA.mutation_type.fields) < REGISTER_FIELDS
    assert ROOT_SCOPES.keys() >= REGISTER_FIELDS
