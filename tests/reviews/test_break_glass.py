"""What break-glass needs, what it costs, what is on record before any agency is asked, and what it never tells."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.audit.errors import AuditUnavailable
from gateway.audit.events import EventKind, unlisted_keys
from gateway.reviews import a_working_day_after
from schema.records import IdentityClaim
from tests.fixtures.sources import BORN, CHILD, FAMILY, UNKNOWN_CHILD, RaisingSource, known, row, source
from tests.fixtures.world import Opening, Terms, World
from tests.reviews.conftest import JUSTIFICATION, Running, break_glass, queue

pytestmark = pytest.mark.anyio

LOOKUP_KINDS = (EventKind.INTENT, EventKind.OVERRIDE, EventKind.OUTCOME, EventKind.DENIED)


def council(*, shielded: bool = False) -> Any:
    """A council that is nobody's own here; it also traces who the child is."""
    trace = IdentityClaim(BORN, (FAMILY,))
    return source("cs-amber", known(CHILD, row(), trace=trace, shielded=shielded), organisation="brook-council")


def kinds(world: World) -> list[str]:
    return [record.kind.value for record in world.records(*LOOKUP_KINDS)]


def codes(world: World) -> list[str]:
    return [record.payload["code"] for record in world.records(EventKind.DENIED) if record.payload]


@pytest.mark.parametrize("age", [0, 60, 890])
async def test_a_sign_in_of_the_last_fifteen_minutes_is_new_enough(running: Running, age: int) -> None:
    async with running(council(shielded=True)) as world:
        told = await break_glass(world, auth_time=int(time.time()) - age)

    assert told.outcome == "DISCLOSED"


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"auth_time": int(time.time()) - 1000}, id="too-old"),
        pytest.param({"auth_time": int(time.time()) + 3600}, id="yet-to-come"),
        pytest.param({"acr": "urn:contactpoint:acr:standard"}, id="not-strong"),
    ],
)
async def test_another_sign_in_is_asked_for_in_the_words_of_rfc_9470(running: Running, claims: dict[str, Any]) -> None:
    async with running(council(shielded=True)) as world:
        told = await break_glass(world, **claims)
        challenge = told.response.headers["www-authenticate"]

        assert told.status == 401
        assert 'error="insufficient_user_authentication"' in challenge
        assert 'acr_values="urn:contactpoint:acr:strong"' in challenge
        assert 'max_age="900"' in challenge
        assert kinds(world) == ["DENIED"]
        assert codes(world)[0] in {"SIGN_IN_TOO_OLD", "STEP_UP_REQUIRED"}


async def test_a_token_that_does_not_say_when_somebody_signed_in_is_one_that_is_too_old(running: Running) -> None:
    async with running(council()) as world:
        usual = {"override": {"justification": JUSTIFICATION, "acceptReview": True}}
        told = await world.ask(access=usual, scope="involvement:read lookup:override")

        assert (told.status, codes(world)) == (401, ["SIGN_IN_TOO_OLD"])


async def test_an_ordinary_step_up_says_nothing_of_an_age(running: Running) -> None:
    async with running(council(), agreements=[Terms("cs-amber", (Opening(assurance="STRONG"),))]) as world:
        told = await world.ask(acr="urn:none")

    assert told.status == 401
    assert "max_age" not in told.response.headers["www-authenticate"]


@pytest.mark.parametrize("justification", ["", "   ", "urgent", "too short", "  too short  "])
async def test_a_justification_that_nobody_could_judge_is_refused_before_execution(
    running: Running, justification: str
) -> None:
    async with running(council()) as world:
        told = await break_glass(world, access={"justification": justification})

        assert (told.status, told.code) == (400, "BAD_USER_INPUT")
        assert kinds(world) == []


async def test_its_own_record_stands_after_the_intent_and_before_any_agency_is_asked(running: Running) -> None:
    seen: list[list[str]] = []
    worlds: list[World] = []

    class Watching(RaisingSource):
        """Looks at the log when it is asked."""

        async def involvements(self, *arguments: Any) -> Any:
            seen.append(kinds(worlds[0]))
            return await super().involvements(*arguments)

    async with running(Watching(council())) as world:
        worlds.append(world)
        await break_glass(world)
        intent, override = world.records(EventKind.INTENT)[0], world.records(EventKind.OVERRIDE)[0]

    assert seen == [["INTENT", "OVERRIDE"]]
    assert override.payload is not None
    assert intent.payload is not None
    assert override.payload["of"] == intent.seq
    assert override.payload["override"] == {"justification": JUSTIFICATION}
    assert override.payload["subject"] == intent.payload["subject"]
    assert override.payload["receipt"] == intent.payload["receipt"]
    assert unlisted_keys(EventKind.OVERRIDE, override.payload) == frozenset()


async def test_without_its_record_nobody_is_asked_and_the_intent_is_closed(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = RaisingSource(council())
    async with running(asked) as world:
        append = world.gateway.log.append

        async def refuses_overrides(kind: EventKind, *arguments: Any, **more: Any) -> Any:
            if kind is EventKind.OVERRIDE:
                raise AuditUnavailable("no")
            return await append(kind, *arguments, **more)

        monkeypatch.setattr(world.gateway.log, "append", refuses_overrides)
        told = await break_glass(world)

        assert (told.status, told.code) == (503, "AUDIT_UNAVAILABLE")
        assert asked.asked == []
        assert kinds(world) == ["INTENT", "OUTCOME"]
        assert world.payload(EventKind.OUTCOME)["outcome"] == "FAILED"
        assert await queue(world) == []


async def test_without_a_queue_no_override_is_used(running: Running) -> None:
    """The item is part of the record's transaction: if one cannot be written, neither is."""
    asked = RaisingSource(council())
    async with running(asked) as world:
        world.execute("DROP TABLE review")
        told = await break_glass(world)

        assert told.status == 503
        assert asked.asked == []
        assert kinds(world) == ["INTENT", "OUTCOME"]


async def test_it_serves_one_lookup_and_no_other(running: Running) -> None:
    async with running(council(shielded=True)) as world:
        told = await break_glass(world)
        after = await world.ask()

    assert (told.outcome, after.outcome) == ("DISCLOSED", "NOTHING_DISCLOSABLE")


async def test_it_has_a_budget_of_its_own_in_place_of_the_persons(running: Running) -> None:
    limits = {"person_overrides": {"hour": 2}, "person_lookups": {"day": 1}, "person_misses": {"day": 1}}
    async with running(council(), limits=limits) as world:
        used = [await break_glass(world, UNKNOWN_CHILD) for _ in range(2)]
        spent = await break_glass(world)
        ordinary = await world.ask()
        over = await world.ask()

        assert [told.status for told in used] == [200, 200]
        assert spent.status == 429
        assert ordinary.outcome == "DISCLOSED"
        assert over.status == 429
        assert codes(world) == ["BUDGET override.lookups.hour", "BUDGET person.lookups.day"]


@pytest.mark.parametrize("of", ["client", "organisation"])
@pytest.mark.parametrize("what", ["lookups", "misses"])
async def test_client_and_organisation_pay_for_it_as_for_any_lookup(running: Running, of: str, what: str) -> None:
    async with running(council(), limits={f"{of}_{what}": {"day": 1}}) as world:
        await break_glass(world, UNKNOWN_CHILD)
        told = await world.ask(sub="somebody-else")

        assert (told.status, codes(world)) == (429, [f"BUDGET {of}.{what}.day"])


async def test_a_refused_override_costs_the_budget_of_overrides(running: Running) -> None:
    async with running(council(), limits={"person_overrides": {"hour": 1}}) as world:
        refused = await break_glass(world, scope="involvement:read")
        spent = await break_glass(world)

        assert (refused.code, spent.status) == ("FORBIDDEN", 429)


async def test_nothing_in_an_answer_tells_whether_it_changed_anything(running: Running) -> None:
    """Of a child whom nothing hides, the answer is the ordinary one but for its receipt, and is queued all the same."""
    terms = [Terms("cs-amber", (Opening(),))]
    async with running(council(), agreements=terms) as world:
        plain, broken = await world.ask(scope="involvement:read"), await break_glass(world)
        unknown, unknown_broken = (
            await world.ask(UNKNOWN_CHILD, scope="involvement:read"),
            await break_glass(world, UNKNOWN_CHILD),
        )
        waiting = await queue(world)

    assert without_receipt(plain.body) == without_receipt(broken.body)
    assert without_receipt(unknown.body) == without_receipt(unknown_broken.body)
    assert len(waiting) == 2


def without_receipt(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"data": {"child": body["data"]["child"] | {"receipt": None}}}


@pytest.mark.parametrize(
    ("opened", "due"),
    [
        pytest.param("2026-11-23T09:30", "2026-11-24T09:30", id="monday"),
        pytest.param("2026-11-26T23:59", "2026-11-27T23:59", id="thursday"),
        pytest.param("2026-11-27T17:00", "2026-11-30T17:00", id="friday"),
        pytest.param("2026-11-28T03:00", "2026-11-30T03:00", id="saturday"),
        pytest.param("2026-11-29T12:00", "2026-11-30T12:00", id="sunday"),
    ],
)
def test_a_review_is_due_one_working_day_later(opened: str, due: str) -> None:
    at = datetime.fromisoformat(opened).replace(tzinfo=UTC)

    assert a_working_day_after(at) == datetime.fromisoformat(due).replace(tzinfo=UTC)
