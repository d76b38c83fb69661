"""The connector against the simulated trust: what the trust knows of every fictional child is what comes out."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from starlette.applications import Starlette

from connectors.base import Ask, Deadline, FieldMask
from connectors.health.client import HealthConnector, HealthSettings
from connectors.health.section import HOLDS
from connectors.settings import read
from connectors.sources import source_client
from gateway.demo.agencies import health
from gateway.demo.agencies.faults import Fault
from gateway.demo.families import World, make_world
from gateway.demo.people import CareTeam, Child
from schema.identifiers import NHSNumber
from schema.records import Answer, Answered, ChildRef, Involvement, NoAnswer, SubjectRef
from schema.sections import HealthRecord
from schema.vocabulary import DisclosureBasis, InvolvementStatus, PurposeClass, Sensitivity, SourceReason

pytestmark = pytest.mark.anyio

BASE_URL = "http://trust.example/FHIR/R4"
EVERYTHING = FieldMask(HOLDS)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(children=400)


@pytest.fixture
def trust(world: World) -> Starlette:
    return health.app(world)


@pytest.fixture
async def connector(trust: Starlette) -> AsyncIterator[HealthConnector]:
    client = trust.state.client
    auth = {"token_url": "http://trust.example/oauth/token", "client_id": client.id, "client_secret": client.secret}
    entry = {"id": "health-northshire", "name": "Trust", "kind": "HEALTH", "driver": "health", "allow_private": True}
    settings = read(HealthSettings, {**entry, "base_url": BASE_URL, "auth": auth})
    source = source_client(settings, scope=health.SCOPE, transport=httpx.ASGITransport(trust))
    made = HealthConnector(settings.manifest(holds=HOLDS), source, base_url=settings.base_url)
    yield made
    await made.aclose()


def an_ask() -> Ask:
    return Ask(str(uuid.uuid4()), None, PurposeClass.SAFEGUARDING, Deadline.after(30), asker=None)


def ref(child: Child) -> ChildRef:
    return ChildRef(NHSNumber(child.nhs_number))


async def ask(
    connector: HealthConnector, *children: Child, mask: FieldMask = EVERYTHING
) -> Mapping[SubjectRef, Answer]:
    return await connector.involvements([ref(child) for child in children], mask, an_ask())


async def the_answer(connector: HealthConnector, child: Child) -> Answered:
    answer = (await ask(connector, child))[ref(child)]
    assert isinstance(answer, Answered)
    return answer


def expected(rows: tuple[CareTeam, ...]) -> set[tuple[str, str | None, str | None, bool]]:
    """Return team, practitioner, registration and whether it is over, for each row that ought to come out."""
    return {
        (row.team.name, worker.name if worker else None, worker.registration if worker else None, bool(row.ended_on))
        for row in rows
        for worker in (row.practitioners or (None,))
    }


def told(rows: tuple[Involvement, ...]) -> set[tuple[str | None, str | None, str | None, bool]]:
    return {
        (
            row.team.name if row.team else None,
            row.practitioner.name if row.practitioner else None,
            row.practitioner.registration.number if row.practitioner and row.practitioner.registration else None,
            row.status is InvolvementStatus.PREVIOUS,
        )
        for row in rows
    }


async def test_every_child_gets_exactly_the_rows_that_the_trust_holds(connector: HealthConnector, world: World) -> None:
    registered = [
        child
        for child in world.children
        if child.health and not child.health.superseded_by and not child.health.invalidated
    ]
    seen = 0
    for start in range(0, len(registered), 40):
        some = registered[start : start + 40]
        answers = await ask(connector, *some)
        for child in some:
            answer = answers[ref(child)]
            assert isinstance(answer, Answered), answer
            assert child.health is not None
            assert told(answer.involvements) == expected(child.health.care_teams), child.story
            # one piece of work, one row: an episode of care adds none to its care team's
            assert len(answer.involvements) == sum(max(1, len(row.practitioners)) for row in child.health.care_teams)
            assert answer.trace is not None
            assert answer.trace.date_of_birth == child.date_of_birth
            assert set(answer.trace.family_names) == {name.family for name in child.names}
            assert answer.shielded is (child.health.confidentiality != "U")
            seen += len(answer.involvements)
    assert seen > 100


async def test_practitioners_are_found_however_the_trust_sends_them(connector: HealthConnector, world: World) -> None:
    seen = set()
    for child in world.children:
        for row in child.health.care_teams if child.health else ():
            if row.practitioners and row.inclusion not in seen:
                seen.add(row.inclusion)
                answer = await the_answer(connector, child)
                names = {one.practitioner.name for one in answer.involvements if one.practitioner}
                assert {worker.name for worker in row.practitioners} <= names
    assert len(seen) == 3


async def test_the_health_visitor_of_the_ordinary_child_is_there_with_registration_and_contact(
    connector: HealthConnector, world: World
) -> None:
    answer = await the_answer(connector, world.story("ordinary"))

    (row,) = [r for r in answer.involvements if r.practitioner and r.practitioner.name == "Hana Lind"]
    assert row.practitioner is not None
    assert row.practitioner.registration is not None
    assert (row.practitioner.registration.body, row.practitioner.registration.number) == ("NMC", "99A0001N")
    assert row.practitioner.phone == "01632 960480"
    assert row.team is not None
    assert (row.team.phone, row.team.out_of_hours) == ("01632 960401", "01632 960400")


async def test_sensitive_rows_keep_their_label_and_their_own_basis(connector: HealthConnector, world: World) -> None:
    answer = await the_answer(connector, world.story("sensitive-service"))

    by_team = {row.team.name: row for row in answer.involvements if row.team}
    assert by_team["Health Visiting South"].sensitivity is Sensitivity.STANDARD
    camhs = by_team["Child and Adolescent Mental Health"]
    assert (camhs.sensitivity, camhs.basis) == (Sensitivity.SENSITIVE, DisclosureBasis.CONSENT)
    assert camhs.basis_until is not None
    substance = by_team["Young People's Substance Use"]
    assert (substance.sensitivity, substance.basis, substance.basis_until) == (Sensitivity.SENSITIVE, None, None)


async def test_a_consent_that_was_withdrawn_is_no_basis(connector: HealthConnector, world: World) -> None:
    answer = await the_answer(connector, world.story("withdrawn-consent"))

    (row,) = [row for row in answer.involvements if row.sensitivity is Sensitivity.SENSITIVE]
    assert (row.basis, row.basis_until) == (None, None)


async def test_a_superseded_number_is_followed_and_stays_the_subject(connector: HealthConnector, world: World) -> None:
    old = next(child for child in world.children if child.health and child.health.superseded_by)
    assert old.health is not None
    new = world.by_nhs_number[str(old.health.superseded_by)]

    answer = await the_answer(connector, old)

    assert answer.subject == ref(old)
    assert answer.trace is not None
    assert set(answer.trace.family_names) == {name.family for name in new.names}
    assert new.health is not None
    assert told(answer.involvements) == expected((*old.health.care_teams, *new.health.care_teams))


async def test_numbers_that_nobody_has_and_numbers_made_invalid_are_answered_with_nothing(
    connector: HealthConnector, world: World
) -> None:
    unknown = world.story("unknown")
    invalidated = next(child for child in world.children if child.health and child.health.invalidated)

    for child in (unknown, invalidated):
        answer = await the_answer(connector, child)
        assert (answer.trace, answer.involvements, answer.shielded, dict(answer.sections)) == (None, (), None, {})


async def test_flags_and_registration_are_told(connector: HealthConnector, world: World) -> None:
    child = next(
        child
        for child in world.children
        if child.health and child.health.practice and any(flag.ended_on is None for flag in child.health.flags)
    )
    assert child.health is not None

    record = (await the_answer(connector, child)).sections[HealthRecord]

    assert isinstance(record, HealthRecord)
    assert [item.practice for item in record.registration or ()] == [child.health.practice]
    assert {item.code for item in record.safeguarding or ()} == {f.code for f in child.health.flags if not f.ended_on}


async def test_the_trust_is_asked_for_no_more_than_the_mask_opens(
    connector: HealthConnector, trust: Starlette, world: World
) -> None:
    await ask(connector, world.story("ordinary"), mask=FieldMask(frozenset({"health.registration"})))

    assert {call.path for call in trust.state.calls} == {"/FHIR/R4/Patient/{id}"}


# a page that is cut, and an answer about somebody else, show only where something is held: those are asked for anywhere
ANYWHERE = {Fault.PARTIAL_PAGE, Fault.WRONG_PERSON}


@pytest.mark.parametrize(
    ("fault", "reason", "path"),
    [
        pytest.param(fault, reason, path, id=f"{fault}-at-{path}")
        for fault, reason in [
            (Fault.UNAVAILABLE, SourceReason.OVERLOADED),
            (Fault.SERVER_ERROR, SourceReason.PROTOCOL),
            (Fault.TOO_MANY_REQUESTS, SourceReason.RATE_LIMITED),
            (Fault.UNAUTHORISED, SourceReason.REFUSED),
            (Fault.FORBIDDEN, SourceReason.REFUSED),
            (Fault.BARE_NOT_FOUND, SourceReason.PROTOCOL),
            (Fault.REDIRECT, SourceReason.PROTOCOL),
            (Fault.EMPTY_BODY, SourceReason.PROTOCOL),
            (Fault.MALFORMED, SourceReason.INVALID_ANSWER),
            (Fault.WRONG_MEDIA_TYPE, SourceReason.INVALID_ANSWER),
            (Fault.WRONG_SHAPE, SourceReason.INVALID_ANSWER),
            (Fault.WRONG_PERSON, SourceReason.INVALID_ANSWER),
            (Fault.PARTIAL_PAGE, SourceReason.INVALID_ANSWER),
            (Fault.UNFRAMED, SourceReason.PROTOCOL),
        ]
        for path in ([None, "CareTeam"] if fault in ANYWHERE else [None, "CareTeam", "EpisodeOfCare", "Patient/"])
    ],
)
async def test_each_fault_about_one_child_costs_that_child_s_answer_alone(
    connector: HealthConnector, trust: Starlette, world: World, fault: Fault, reason: SourceReason, path: str | None
) -> None:
    victim, other = world.story("sensitive-service"), world.story("ordinary")
    trust.state.faults.set(fault, subjects=[victim.nhs_number], path=path)

    answers = await ask(connector, victim, other)

    failed = answers[ref(victim)]
    assert isinstance(failed, NoAnswer)
    assert failed.reason is reason
    assert isinstance(answers[ref(other)], Answered)


async def test_the_health_call_needs_no_child(connector: HealthConnector, trust: Starlette) -> None:
    assert await connector.health(an_ask())
    assert {call.subjects for call in trust.state.calls} == {()}
