"""The connector against the simulated External API: what it holds of every fictional adult is what comes out."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import asdict

import httpx
import pytest
from starlette.applications import Starlette

from connectors.base import Ask, Deadline, FieldMask
from connectors.probation.client import CALLS_OF_AN_ASK, ProbationConnector, ProbationSettings
from connectors.probation.section import HOLDS
from connectors.settings import read
from connectors.sources import source_client
from gateway.demo.agencies import probation
from gateway.demo.agencies.faults import Fault
from gateway.demo.families import World, make_world
from gateway.demo.people import Adult
from schema.identifiers import CRN
from schema.records import AdultRef, Answered, NoAnswer
from schema.sections import ProbationRecord
from schema.vocabulary import ContactMode, InvolvementRelationship, InvolvementStatus, PurposeClass, SourceReason

pytestmark = pytest.mark.anyio

EVERYTHING = FieldMask(HOLDS)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(children=200)


@pytest.fixture
def api(world: World) -> Starlette:
    return probation.app(world)


def connected(api: Starlette, transport: httpx.AsyncBaseTransport, **keys: int) -> ProbationConnector:
    client = api.state.client
    entry = {"id": "probation-northshire", "name": "PDU", "kind": "PROBATION", "driver": "probation"}
    more = {"base_url": "http://hmpps.example", "allow_private": True}
    auth = {"method": "api_key", "header": "x-api-key", "api_key": client.api_key}
    named = {"subject_distinguished_name": client.distinguished_name}
    settings = read(ProbationSettings, {**entry, **more, **named, **keys, "auth": auth})
    headers = {"subject-distinguished-name": client.distinguished_name}
    source = source_client(settings, headers=headers, transport=transport)
    manifest = settings.manifest(holds=HOLDS, subjects=frozenset({AdultRef}))
    return ProbationConnector(manifest, source, calls_at_once=settings.calls_at_once)


@pytest.fixture
async def connector(api: Starlette) -> AsyncIterator[ProbationConnector]:
    made = connected(api, httpx.ASGITransport(api))
    yield made
    await made.aclose()


class Slowly(httpx.AsyncBaseTransport):
    """Answers after a while, so that calls that are made at once are under way at once."""

    def __init__(self, api: Starlette) -> None:
        self._inner = httpx.ASGITransport(api)
        self._under_way = 0
        self.most = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        try:
            await asyncio.sleep(0.05)
            return await self._inner.handle_async_request(request)
        finally:
            self._under_way -= 1


def an_ask() -> Ask:
    return Ask(str(uuid.uuid4()), None, PurposeClass.SAFEGUARDING, Deadline.after(30), asker=None)


def ref(adult: Adult) -> AdultRef:
    return AdultRef(CRN(adult.crn))


async def the_answer(connector: ProbationConnector, adult: Adult, mask: FieldMask = EVERYTHING) -> Answered:
    answer = (await connector.involvements([ref(adult)], mask, an_ask()))[ref(adult)]
    assert isinstance(answer, Answered), answer
    return answer


async def test_every_adult_gets_the_officers_that_probation_holds(connector: ProbationConnector, world: World) -> None:
    living = [adult for adult in world.adults if adult.merged_into is None]
    assert len(living) >= 4
    for adult in living:
        answer = await the_answer(connector, adult)

        told = {row.practitioner and row.practitioner.name for row in answer.involvements}
        managers = {adult.prison_manager.name} if adult.prison_manager else set()
        assert told == {adult.officer.name if adult.officer else None} | managers
        community = next(row for row in answer.involvements if row.local_id == "community")
        assert community.team is not None
        assert community.team.name == adult.team.name
        assert community.relationship is InvolvementRelationship.LINKED_ADULT
        assert (community.status is InvolvementStatus.CURRENT) == adult.under_supervision
        assert all((row.refusal is not None) == (adult.limitation is not None) for row in answer.involvements)


async def test_an_officer_who_is_nobody_leaves_the_team(connector: ProbationConnector, world: World) -> None:
    unallocated = [adult for adult in world.adults if adult.officer is None and adult.merged_into is None]
    assert unallocated
    for adult in unallocated:
        answer = await the_answer(connector, adult)
        row = next(row for row in answer.involvements if row.local_id == "community")
        assert (row.practitioner, row.contact_mode) == (None, ContactMode.TEAM_ONLY)
        assert row.team is not None
        assert row.team.phone == adult.team.phone


async def test_a_limited_record_is_never_shared_in_any_part(connector: ProbationConnector, world: World) -> None:
    limited = [adult for adult in world.adults if adult.limitation is not None]
    assert len(limited) >= 2
    for adult in limited:
        answer = await the_answer(connector, adult)
        assert answer.involvements
        assert all(row.refusal == "ACCESS_LIMITATION" for row in answer.involvements)
        assert not answer.sections


async def test_a_merged_record_is_followed_and_the_old_number_stays_the_subject(
    connector: ProbationConnector, world: World
) -> None:
    old = next(adult for adult in world.adults if adult.merged_into is not None)
    new = world.by_adult_identifier[str(old.merged_into)]

    followed, direct = await the_answer(connector, old), await the_answer(connector, new)

    assert followed.subject == ref(old)
    assert followed.involvements == direct.involvements


async def test_risk_and_mappa_are_told(connector: ProbationConnector, world: World) -> None:
    adult = next(
        adult
        for adult in world.adults
        if adult.mappa and adult.risks and not adult.limitation and not adult.merged_into
    )
    assert adult.mappa is not None

    record = (await the_answer(connector, adult)).sections[ProbationRecord]

    assert isinstance(record, ProbationRecord)
    assert [(item.level, item.category) for item in record.mappa or ()] == [(adult.mappa.level, adult.mappa.category)]
    assert {item.code for item in record.risk or ()} == {risk.code for risk in adult.risks}
    assert adult.harm is not None
    assert [(item.level, item.assessed_on) for item in record.risk_to_children or ()] == [
        (adult.harm.to_children, adult.harm.assessed_on)
    ]
    assert "Fictional notes" not in repr(record)
    assert {item.kind for item in record.supervision or ()} >= ({"COMMUNITY"} if adult.under_supervision else set())


async def test_nothing_of_the_adult_is_in_any_record(connector: ProbationConnector, world: World) -> None:
    for adult in world.adults:
        answer = await the_answer(connector, adult)
        kept = repr([asdict(row) for row in answer.involvements]) + repr(answer.sections)
        of_the_adult = [
            f"{adult.given} {adult.family}",
            adult.date_of_birth.isoformat(),
            adult.crn,
            adult.prison_number,
        ]
        assert not [text for text in of_the_adult if text and text in kept]


async def test_the_health_call_makes_as_many_calls_as_an_ask_for_involvements(
    connector: ProbationConnector, api: Starlette, world: World
) -> None:
    adult = next(adult for adult in world.adults if adult.merged_into is None)
    await the_answer(connector, adult, FieldMask(frozenset({"involvements"})))
    of_an_ask = len(api.state.calls)

    await connector.health(an_ask())

    assert len(api.state.calls) - of_an_ask == of_an_ask == CALLS_OF_AN_ASK
    assert {call.path for call in list(api.state.calls)[of_an_ask:]} == {"/v1/status"}


async def test_as_many_asks_as_may_be_made_have_room_however_many_adults_they_are_about(
    api: Starlette, world: World
) -> None:
    slowly = Slowly(api)
    connector = connected(api, slowly, max_asks=4, max_connections=32)
    family = [ref(adult) for adult in world.adults if adult.merged_into is None][:4]

    told = await asyncio.gather(*(connector.involvements(family, EVERYTHING, an_ask()) for _ in range(4)))

    assert {type(answer) for answers in told for answer in answers.values()} == {Answered}
    assert slowly.most == 32, "what there is room for is used"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.UNAVAILABLE, SourceReason.OVERLOADED),
        (Fault.BARE_NOT_FOUND, SourceReason.PROTOCOL),
        (Fault.EMPTY_BODY, SourceReason.PROTOCOL),
        (Fault.WRONG_SHAPE, SourceReason.INVALID_ANSWER),
        (Fault.PARTIAL_PAGE, SourceReason.INVALID_ANSWER),  # an error beside the data
        (Fault.UNFRAMED, SourceReason.PROTOCOL),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        None,
        "person-responsible-officer",
        "access-limitations",
        "risks/mappadetail",
        "risks/dynamic",
        "risks/serious-harm",
    ],
)
async def test_each_fault_about_one_adult_costs_that_adult_s_answer_alone(
    connector: ProbationConnector, api: Starlette, world: World, fault: Fault, reason: SourceReason, path: str | None
) -> None:
    victim, other, *_ = [adult for adult in world.adults if adult.merged_into is None]
    api.state.faults.set(fault, subjects=[victim.crn], path=path)

    answers = await connector.involvements([ref(victim), ref(other)], EVERYTHING, an_ask())

    failed = answers[ref(victim)]
    assert isinstance(failed, NoAnswer)
    assert failed.reason is reason
    assert isinstance(answers[ref(other)], Answered)


async def test_an_answer_about_another_adult_is_refused(
    connector: ProbationConnector, api: Starlette, world: World
) -> None:
    victim = next(adult for adult in world.adults if adult.merged_into is None)
    api.state.faults.set(Fault.WRONG_PERSON, subjects=[victim.crn])

    failed = (await connector.involvements([ref(victim)], EVERYTHING, an_ask()))[ref(victim)]

    assert isinstance(failed, NoAnswer)
    assert (failed.reason, failed.code) == (SourceReason.INVALID_ANSWER, "MISMATCH")
