"""The driver beside the demo's force, which shares no code with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from connectors.base import Ask, Deadline, FieldMask
from connectors.police.client import HOLDS, SCOPE, PoliceConnector
from connectors.settings import HTTPSettings, read
from connectors.sources import source_client
from gateway.demo.agencies import police
from gateway.demo.agencies.faults import Fault
from gateway.demo.families import World, make_world
from schema.identifiers import NHSNumber
from schema.records import Answer, Answered, ChildRef, NoAnswer
from schema.sections import PoliceRecord
from schema.vocabulary import PurposeClass, SourceReason

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(children=60)


class Beside:
    """The driver, signed in to a simulated force."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.app = police.app(world)
        client = self.app.state.client
        settings = read(
            HTTPSettings,
            {
                "id": "police-northshire",
                "name": "Northshire Constabulary",
                "kind": "POLICE",
                "driver": "police",
                "base_url": "https://force.example",
                "auth": {
                    "token_url": "https://force.example/oauth/token",
                    "client_id": client.id,
                    "client_secret": client.secret,
                },
            },
        )
        self.connector = PoliceConnector(
            settings.manifest(holds=HOLDS, can_batch=True),
            source_client(settings, scope=SCOPE, transport=httpx.ASGITransport(self.app)),
        )

    def child(self, story: str) -> ChildRef:
        return ChildRef(NHSNumber(self.world.story(story).nhs_number))

    async def ask(self, *stories: str) -> list[Answer]:
        children = [self.child(story) for story in stories]
        ask = Ask("6f9619ff-8b86-4011-b42d-00c04fc964ff", None, PurposeClass.SAFEGUARDING, Deadline.after(5), None)
        answers = await self.connector.involvements(children, FieldMask(HOLDS), ask)
        return [answers[child] for child in children]


@pytest.fixture
async def beside(world: World) -> AsyncIterator[Beside]:
    made = Beside(world)
    for _ in range(10):  # which pays for a second repetition
        await made.ask("unknown")
    yield made
    await made.connector.aclose()


async def test_the_ordinary_child_has_an_officer_an_earlier_one_events_and_an_order(beside: Beside) -> None:
    [answer] = await beside.ask("ordinary")

    assert isinstance(answer, Answered)
    names = [row.practitioner.name for row in answer.involvements if row.practitioner]
    assert len(names) == len(answer.involvements) == 2
    assert "Okafor" in names[0]
    record = answer.sections[PoliceRecord]
    assert len(record.events) == 2  # type: ignore[attr-defined]
    [order] = record.orders  # type: ignore[attr-defined]
    assert (order.kind, order.unit) == ("POLICE_PROTECTION_S46", "Child Abuse Investigation Team South")
    [sent] = record.notifications  # type: ignore[attr-defined]
    assert (sent.kind, sent.recipient) == ("PUBLIC_PROTECTION_NOTICE", "CHILDRENS_SERVICES")


async def test_a_restricted_nominal_of_the_force_is_a_shield(beside: Beside) -> None:
    shielded, ordinary = await beside.ask("shielded", "ordinary")

    assert isinstance(shielded, Answered)
    assert isinstance(ordinary, Answered)
    assert (shielded.shielded, ordinary.shielded) == (True, False)


async def test_a_child_whom_the_force_does_not_know_has_an_empty_answer(beside: Beside) -> None:
    [answer] = await beside.ask("unknown")

    assert isinstance(answer, Answered)
    assert answer.involvements == ()


async def test_the_child_that_the_force_fails_at_costs_no_other_child_an_answer(beside: Beside) -> None:
    down, ordinary, unknown = await beside.ask("agency-down", "ordinary", "unknown")

    assert down == NoAnswer(beside.child("agency-down"), SourceReason.OVERLOADED, "OVERLOADED")
    assert isinstance(ordinary, Answered)
    assert isinstance(unknown, Answered)
    assert beside.app.state.tokens.issued == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.UNAVAILABLE, SourceReason.OVERLOADED),
        (Fault.SERVER_ERROR, SourceReason.PROTOCOL),
        (Fault.TOO_MANY_REQUESTS, SourceReason.RATE_LIMITED),
        (Fault.UNAUTHORISED, SourceReason.REFUSED),
        (Fault.FORBIDDEN, SourceReason.REFUSED),
        (Fault.BARE_NOT_FOUND, SourceReason.PROTOCOL),
        (Fault.REDIRECT, SourceReason.PROTOCOL),
        (Fault.UNFRAMED, SourceReason.PROTOCOL),
        (Fault.TRUNCATED, SourceReason.PROTOCOL),
        (Fault.EMPTY_BODY, SourceReason.PROTOCOL),
        (Fault.MALFORMED, SourceReason.INVALID_ANSWER),
        (Fault.WRONG_MEDIA_TYPE, SourceReason.INVALID_ANSWER),
        (Fault.WRONG_SHAPE, SourceReason.INVALID_ANSWER),
        (Fault.PARTIAL_PAGE, SourceReason.INVALID_ANSWER),
        (Fault.MISSING_RESULT, SourceReason.INVALID_ANSWER),
    ],
)
async def test_each_fault_of_the_force_is_no_answer_with_its_reason(
    beside: Beside, fault: Fault, reason: SourceReason
) -> None:
    beside.app.state.faults.set(fault, subjects=[beside.child("ordinary").nhs_number])

    ordinary, twin = await beside.ask("ordinary", "twins")

    assert isinstance(ordinary, NoAnswer)
    assert ordinary.reason is reason
    # what one subject may have caused is asked for again without it
    turned_away = reason in {SourceReason.REFUSED, SourceReason.RATE_LIMITED}
    assert isinstance(twin, NoAnswer if turned_away else Answered)


async def test_a_stranger_in_the_place_of_the_child_is_dropped(beside: Beside) -> None:
    beside.app.state.faults.set(Fault.WRONG_PERSON)

    [answer] = await beside.ask("ordinary")

    assert isinstance(answer, Answered)
    assert (answer.involvements, answer.shielded, dict(answer.sections)) == ((), None, {})


async def test_every_child_of_the_world_is_answered(beside: Beside) -> None:
    children = [ChildRef(NHSNumber(child.nhs_number)) for child in beside.world.children][:100]
    ask = Ask("6f9619ff-8b86-4011-b42d-00c04fc964ff", None, PurposeClass.SAFEGUARDING, Deadline.after(30), None)

    answers = await beside.connector.involvements(children, FieldMask(HOLDS), ask)

    failed = [child for child, answer in answers.items() if isinstance(answer, NoAnswer)]
    assert failed == [beside.child("agency-down")]
