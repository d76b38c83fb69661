"""The driver beside the demo's authorities, which share no code with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from connectors.base import Ask, Deadline, FieldMask
from connectors.childrens_services.client import HOLDS, SCOPE, ChildrensServicesConnector
from connectors.settings import HTTPSettings, read
from connectors.sources import source_client
from gateway.demo.agencies import childrens_services
from gateway.demo.agencies.faults import Fault
from gateway.demo.families import World, make_world
from schema.identifiers import CRN, NHSNumber
from schema.records import Answer, Answered, ChildRef, NoAnswer, Registration
from schema.sections import Assessments, ChildrensServicesRecord
from schema.vocabulary import InvolvementStatus, PurposeClass, SourceReason

pytestmark = pytest.mark.anyio

AUTHORITIES = ("northshire", "eastmarch", "westvale")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(children=60)


def an_ask() -> Ask:
    return Ask("6f9619ff-8b86-4011-b42d-00c04fc964ff", None, PurposeClass.SAFEGUARDING, Deadline.after(30), None)


class Beside:
    """A driver for each authority, signed in to it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.app = childrens_services.app(world)
        self.connectors = {authority: self._connect(authority) for authority in AUTHORITIES}

    def _connect(self, authority: str) -> ChildrensServicesConnector:
        client = self.app.state.clients[authority]
        settings = read(
            HTTPSettings,
            {
                "id": f"cs-{authority}",
                "name": authority.title(),
                "kind": "CHILDRENS_SERVICES",
                "driver": "childrens_services",
                "base_url": f"https://cs.example/{authority}",
                "auth": {
                    "token_url": f"https://cs.example/{authority}/oauth/token",
                    "client_id": client.id,
                    "client_secret": client.secret,
                },
            },
        )
        return ChildrensServicesConnector(
            settings.manifest(holds=HOLDS, names_adults=True, can_batch=True),
            source_client(settings, scope=SCOPE, transport=httpx.ASGITransport(self.app)),
        )

    def child(self, story: str) -> ChildRef:
        return ChildRef(NHSNumber(self.world.story(story).nhs_number))

    async def ask(self, *stories: str, authority: str = "northshire") -> list[Answer]:
        children = [self.child(story) for story in stories]
        answers = await self.connectors[authority].involvements(children, FieldMask(HOLDS), an_ask())
        return [answers[child] for child in children]


@pytest.fixture
async def beside(world: World) -> AsyncIterator[Beside]:
    made = Beside(world)
    yield made
    for connector in made.connectors.values():
        await connector.aclose()


async def test_the_ordinary_child_has_its_allocated_lead_worker_and_a_plan(beside: Beside) -> None:
    [answer] = await beside.ask("ordinary")

    assert isinstance(answer, Answered)
    [lead] = [row for row in answer.involvements if row.lead]
    assert lead.practitioner is not None
    assert lead.practitioner.registration == Registration("SWE", "SW900001")
    assert lead.status is InvolvementStatus.CURRENT
    record = answer.sections[ChildrensServicesRecord]
    assert [status.status for status in record.statuses] == ["CP_PLAN"]  # type: ignore[attr-defined]
    assert [plan.kind for plan in record.plans] == ["CHILD_PROTECTION"]  # type: ignore[attr-defined]


async def test_a_record_that_the_authority_does_not_share_proves_nothing_and_tells_nothing(beside: Beside) -> None:
    [answer] = await beside.ask("refused")

    assert isinstance(answer, Answered)
    assert [row.refusal for row in answer.involvements] == ["MORE_DETRIMENTAL"]
    assert (answer.trace, answer.linked_adults, dict(answer.sections)) == (None, (), {})


async def test_an_assessment_is_told_with_consent_and_not_once_it_is_withdrawn(beside: Beside) -> None:
    given, withdrawn = await beside.ask("ordinary", "early-help-withdrawn")

    assert isinstance(given, Answered)
    assert isinstance(withdrawn, Answered)
    assert Assessments in given.sections
    assert withdrawn.involvements
    assert Assessments not in withdrawn.sections


async def test_the_old_surname_of_a_child_proves_it_too(beside: Beside) -> None:
    [answer] = await beside.ask("former-surname")

    assert isinstance(answer, Answered)
    assert answer.trace is not None
    assert beside.world.story("former-surname").listed_family_name in answer.trace.family_names
    assert len(answer.trace.family_names) > 1


async def test_an_adult_on_probation_is_named_by_crn(beside: Beside) -> None:
    [answer] = await beside.ask("linked-adult-probation")

    assert isinstance(answer, Answered)
    assert [type(linked.adult.identifier) for linked in answer.linked_adults] == [CRN]


async def test_three_authorities_each_hold_the_child_that_all_three_know(beside: Beside) -> None:
    for authority in AUTHORITIES:
        [answer] = await beside.ask("three-authorities", authority=authority)
        assert isinstance(answer, Answered)
        assert answer.involvements


async def test_the_shielding_authority_says_so_and_lists_the_child(beside: Beside) -> None:
    [shielded] = await beside.ask("shielded", authority="eastmarch")
    listed = await beside.connectors["eastmarch"].shields(an_ask())

    assert isinstance(shielded, Answered)
    assert shielded.shielded is True
    assert beside.child("shielded").nhs_number in listed
    expected = {
        child.nhs_number
        for child in beside.world.children
        for record in child.councils
        if record.authority == "eastmarch" and record.shielded
    }
    assert listed == expected


async def test_a_child_who_is_not_known_here_has_an_empty_answer(beside: Beside) -> None:
    [answer] = await beside.ask("unknown")

    assert isinstance(answer, Answered)
    assert (answer.involvements, answer.trace, answer.shielded) == ((), None, None)


@pytest.mark.parametrize(
    ("fault", "reason", "code"),
    [
        (Fault.UNAVAILABLE, SourceReason.OVERLOADED, "OVERLOADED"),
        (Fault.SERVER_ERROR, SourceReason.PROTOCOL, "STATUS_5XX"),
        (Fault.WRONG_PERSON, SourceReason.INVALID_ANSWER, "MISMATCH"),
        (Fault.PARTIAL_PAGE, SourceReason.INVALID_ANSWER, "SCHEMA"),
        (Fault.MISSING_RESULT, SourceReason.INVALID_ANSWER, "SCHEMA"),
        (Fault.ERRORS_BESIDE_DATA, SourceReason.INVALID_ANSWER, "SCHEMA"),
        (Fault.WRONG_SHAPE, SourceReason.INVALID_ANSWER, "SCHEMA"),
        (Fault.MALFORMED, SourceReason.INVALID_ANSWER, "BAD_JSON"),
        (Fault.UNFRAMED, SourceReason.PROTOCOL, "UNFRAMED"),
        (Fault.TRUNCATED, SourceReason.PROTOCOL, "TRUNCATED"),
    ],
)
async def test_each_fault_of_the_authority_is_no_answer_with_its_reason(
    beside: Beside, fault: Fault, reason: SourceReason, code: str
) -> None:
    beside.app.state.faults.set(fault, subjects=[beside.child("ordinary").nhs_number])

    [answer] = await beside.ask("ordinary")

    assert answer == NoAnswer(beside.child("ordinary"), reason, code)


async def test_every_child_of_the_world_is_answered(beside: Beside) -> None:
    children = [ChildRef(NHSNumber(child.nhs_number)) for child in beside.world.children]

    answers = await beside.connectors["northshire"].involvements(children, FieldMask(HOLDS), an_ask())

    assert not [child for child, answer in answers.items() if isinstance(answer, NoAnswer)]
