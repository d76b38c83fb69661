"""What the probation connector makes of particular answers: one flaw or one feature each."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

import httpx
import pytest

from connectors.base import Ask, Deadline, FieldMask
from connectors.faults import SourceFailed
from connectors.probation.mapping import merged_into
from connectors.probation.section import HOLDS
from schema.records import Answer, Answered, Involvement, NoAnswer
from schema.sections import ProbationRecord
from schema.vocabulary import ContactMode, InvolvementStatus, PurposeClass, SourceReason
from tests.connectors.contract import probation_case as fake
from tests.connectors.contract.transports import Recording

pytestmark = pytest.mark.anyio

ADULT = fake.HELD[0]
ID = str(ADULT.identifier)
NEW_ID = str(fake.HELD[1].identifier)
PERSONS, OFFICER, LIMITS, RISKS = "", "person-responsible-officer", "access-limitations", "risks/dynamic"


async def answer_of(transport: httpx.AsyncBaseTransport, mask: FieldMask | None = None) -> Answer:
    connector = fake.connect(transport)
    ask = Ask(str(uuid.uuid4()), None, PurposeClass.SAFEGUARDING, Deadline.after(5), asker=None)
    return (await connector.involvements([ADULT], mask or FieldMask(HOLDS), ask))[ADULT]


async def ask(said: dict[str, Any], *, status: int = 200) -> Answer:
    """Ask a source that gives these bodies by the rest of the path; for others as the good source does."""

    def source(request: httpx.Request) -> httpx.Response:
        rest = request.url.path.removeprefix(f"/api/v1/persons/{ID}").removeprefix("/")
        return httpx.Response(status, json=said[rest]) if rest in said else fake.source(request)

    return await answer_of(Recording(source))


async def told(said: dict[str, Any]) -> Answered:
    answer = await ask(said)
    assert isinstance(answer, Answered), answer
    return answer


async def community_row(**officer: Any) -> Involvement:
    manager = fake.community_manager(**officer)
    answer = await told({OFFICER: fake.officers(communityOffenderManager=manager)})
    return next(row for row in answer.involvements if row.local_id == "community")


# Officers

NOBODY: dict[str, Any] = {
    "unallocated": {"forename": "Unallocated", "surname": "Unallocated"},
    "unallocated-staff": {"forename": "Unallocated", "surname": "Staff"},
    "in-capitals": {"forename": None, "surname": "UNALLOCATED"},
    "null": None,
    "null-parts": {"forename": None, "surname": None},
    "blank": {"forename": "", "surname": " "},
    "redacted": {"forename": "**REDACTED**", "surname": "**REDACTED**"},
    "half-redacted": {"forename": "**REDACTED**", "surname": "Blum"},
    "other-half-redacted": {"forename": "Petra", "surname": "**REDACTED**"},
}


@pytest.mark.parametrize("name", [pytest.param(value, id=key) for key, value in NOBODY.items()])
async def test_an_officer_who_is_nobody_or_withheld_leaves_the_team_only(name: Any) -> None:
    row = await community_row(name=name)

    assert (row.practitioner, row.contact_mode) == (None, ContactMode.TEAM_ONLY)
    assert row.team is not None
    assert row.team.name == "Northshire Offender Management 1"


async def test_an_officer_said_not_to_be_allocated_leaves_the_team_only() -> None:
    assert (await community_row(allocated=False)).practitioner is None


async def test_an_officer_whose_telephone_is_withheld_is_reached_through_the_team() -> None:
    row = await community_row(email=None, telephoneNumber="**REDACTED**")

    assert row.practitioner is not None
    assert (row.practitioner.name, row.practitioner.phone) == ("Petra Blum", None)
    assert row.contact_mode is ContactMode.TEAM_ONLY


async def test_supervision_without_an_officer_is_still_a_row() -> None:
    supervised = fake.person(ID, underActiveSupervision=True)
    nobody = fake.officers(prisonOffenderManager=None, communityOffenderManager=None)

    answer = await told({PERSONS: fake.persons(ID, probationOffenderSearch=supervised), OFFICER: nobody})

    (row,) = answer.involvements
    assert (row.practitioner, row.team, row.contact_mode) == (None, None, ContactMode.NONE)
    assert row.status is InvolvementStatus.CURRENT


async def test_an_officer_answer_that_mentions_nobody_at_all_is_no_answer() -> None:
    assert isinstance(await ask({OFFICER: {"data": {}}}), NoAnswer)


# Limitations

LIMITED: dict[str, Any] = {
    "excluded": {LIMITS: fake.limitations(excludedFrom=[{"email": "a@probation.example"}])},
    "restricted": {LIMITS: fake.limitations(restrictedTo=[{"email": "a@probation.example"}])},
    "a-message-alone": {LIMITS: fake.limitations(restrictionMessage="This is a restricted record")},
    "a-list-withheld": {LIMITS: fake.limitations(excludedFrom=None)},
    "said-of-the-person": {
        PERSONS: fake.persons(ID, probationOffenderSearch=fake.person(ID, currentRestriction=True)),
    },
    "excluded-said-of-the-person": {
        PERSONS: fake.persons(ID, prisonerOffenderSearch=fake.person(ID, currentExclusion=True)),
    },
}


@pytest.mark.parametrize("said", [pytest.param(value, id=key) for key, value in LIMITED.items()])
async def test_any_limitation_stops_every_row_and_every_section(said: dict[str, Any]) -> None:
    answer = await told(said)

    assert answer.involvements
    assert all(row.refusal == "ACCESS_LIMITATION" for row in answer.involvements)
    assert not answer.sections


async def test_without_a_limitation_rows_may_be_shared() -> None:
    answer = await told({})

    assert not [row for row in answer.involvements if row.refusal]
    assert ProbationRecord in answer.sections


# Sections

HARM, MAPPA = "risks/serious-harm", "risks/mappadetail"


async def record_of(said: dict[str, Any]) -> ProbationRecord:
    record = (await told(said)).sections.get(ProbationRecord, ProbationRecord())  # type: ignore[call-arg]
    assert isinstance(record, ProbationRecord)
    return record


@pytest.mark.parametrize("level", ["LOW", "MEDIUM", "HIGH", "VERY_HIGH", "HIGH ", " LOW"])
async def test_the_level_of_risk_to_children_is_told_and_no_word_of_its_reasons(level: str) -> None:
    record = await record_of({HARM: fake.serious_harm(level)})

    (risk,) = record.risk_to_children or ()
    assert (risk.level, risk.assessed_on) == (level.strip(), date(2026, 1, 16))
    assert "private" not in repr(record)


@pytest.mark.parametrize(
    "body",
    [
        {"data": None},
        fake.serious_harm(None),
        fake.serious_harm("**REDACTED**"),
        fake.serious_harm(summary=None),
        fake.serious_harm(summary={"whoIsAtRisk": "private"}),
    ],
)
async def test_a_level_that_is_not_stated_is_none(body: dict[str, Any]) -> None:
    assert (await record_of({HARM: body})).risk_to_children is None


@pytest.mark.parametrize("level", ["EXTREME", "high", "her partner"])
async def test_a_level_that_is_not_understood_is_no_answer(level: str) -> None:
    answer = await ask({HARM: fake.serious_harm(level)})

    assert isinstance(answer, NoAnswer)
    assert answer.reason is SourceReason.INVALID_ANSWER


@pytest.mark.parametrize(
    "body", [{"data": {}}, {"data": {"summary": "none"}}, fake.serious_harm(assessedOn="last year"), {"data": []}]
)
async def test_a_risk_answer_of_another_shape_is_no_answer(body: dict[str, Any]) -> None:
    assert isinstance(await ask({HARM: body}), NoAnswer)


async def test_supervision_says_whether_an_officer_is_allocated_and_where() -> None:
    supervised = fake.person(ID, underActiveSupervision=True)
    persons = fake.persons(ID, probationOffenderSearch=supervised)
    unallocated = fake.community_manager(name={"forename": "Unallocated", "surname": "Staff"})

    named = await record_of({PERSONS: persons})
    waiting = await record_of({PERSONS: persons, OFFICER: fake.officers(communityOffenderManager=unallocated)})

    told_of = [[(one.kind, one.allocated, one.establishment) for one in r.supervision or ()] for r in (named, waiting)]
    assert told_of[0] == [("COMMUNITY", True, None), ("CUSTODY", True, "NSI")]
    assert told_of[1] == [("COMMUNITY", False, None), ("CUSTODY", True, "NSI")]


async def test_mappa_is_told_with_its_days_and_without_its_notes() -> None:
    record = await record_of({})

    (mappa,) = record.mappa or ()
    days = (date(2026, 1, 5), date(2026, 12, 5))
    assert (mappa.level, mappa.category, mappa.started_on, mappa.review_due_on) == (2, 1, *days)
    assert "private" not in repr(record)


# What cannot be believed


@pytest.mark.parametrize("data", [{}, {"excludedFrom": []}, {"restrictedTo": []}, None, []])
async def test_limitations_that_are_not_stated_are_no_answer(data: Any) -> None:
    assert isinstance(await ask({LIMITS: {"data": data}}), NoAnswer)


async def test_a_record_in_delius_without_an_answer_about_limitations_is_no_answer() -> None:
    assert isinstance(await ask({LIMITS: fake.not_found()}, status=404), NoAnswer)


# Errors


async def test_an_error_beside_data_is_no_answer() -> None:
    body = {**fake.officers(), "errors": [{"type": "INTERNAL_SERVER_ERROR"}]}

    answer = await ask({OFFICER: body})

    assert isinstance(answer, NoAnswer)
    assert answer.reason is SourceReason.INVALID_ANSWER


async def test_one_half_not_found_beside_the_other_is_an_answer() -> None:
    body = {**fake.persons(ID, prisonerOffenderSearch=None), "errors": [{"type": "ENTITY_NOT_FOUND"}]}

    assert isinstance(await ask({PERSONS: body}), Answered)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"errors": []},
        {"errors": [{"type": "FORBIDDEN"}]},
        {"errors": [{"type": "ENTITY_NOT_FOUND"}, {"type": "INTERNAL_SERVER_ERROR"}]},
        {"status": 404, "userMessage": "404 Not found error"},
        [],
    ],
)
async def test_a_404_that_is_not_typed_is_no_answer(body: Any) -> None:
    answer = await ask({PERSONS: body}, status=404)

    assert isinstance(answer, NoAnswer)
    assert answer.code == "NOT_FOUND_BARE"


async def test_nobody_there_with_somebody_responsible_is_no_answer() -> None:
    answer = await ask({PERSONS: fake.not_found()}, status=404)

    assert isinstance(answer, NoAnswer)
    assert answer.code == "MISMATCH"


# Who is meant


@pytest.mark.parametrize(
    "halves",
    [
        pytest.param({"prisonerOffenderSearch": None, "probationOffenderSearch": None}, id="nobody"),
        pytest.param(
            {"probationOffenderSearch": fake.person(NEW_ID), "prisonerOffenderSearch": None}, id="somebody-else"
        ),
        pytest.param({"prisonerOffenderSearch": fake.person(NEW_ID)}, id="two-people"),
        pytest.param(
            {
                "prisonerOffenderSearch": None,
                "probationOffenderSearch": fake.person(ID, hmppsId="**REDACTED**", identifiers=None),
            },
            id="a-person-without-identifiers",
        ),
    ],
)
async def test_a_person_who_is_not_shown_to_be_the_one_asked_about_is_refused(halves: dict[str, Any]) -> None:
    answer = await ask({PERSONS: fake.persons(ID, **halves)})

    assert isinstance(answer, NoAnswer)
    assert answer.code == "MISMATCH"


# Merges


def merging(location: str, then: str | None = None) -> Recording:
    def source(request: httpx.Request) -> httpx.Response:
        for identifier, to in ((ID, location), (NEW_ID, then)):
            if to is not None and f"/persons/{identifier}" in request.url.path:
                return httpx.Response(303, headers={"Location": to, "Content-Length": "0"})
        return fake.source(request)

    return Recording(source)


@pytest.mark.parametrize("location", [f"/v1/persons/{NEW_ID}", f"https://evil.example/v1/persons/{NEW_ID}"])
async def test_a_merge_is_followed_on_the_configured_origin_whatever_its_address(location: str) -> None:
    transport = merging(location)

    answer = await answer_of(transport)

    assert isinstance(answer, Answered)
    assert answer.subject == ADULT
    assert {request.url.host for request in transport.requests} == {"source.example"}


async def test_a_merge_of_a_merge_is_not_followed() -> None:
    transport = merging(f"/v1/persons/{NEW_ID}", then=f"/v1/persons/{fake.HELD[2].identifier}")

    answer = await answer_of(transport)

    assert isinstance(answer, NoAnswer)
    assert (answer.reason, answer.code) == (SourceReason.PROTOCOL, "REDIRECT")


@pytest.mark.parametrize(
    "location",
    ["", "/v1/persons/", "/v1/persons/../admin", f"/v1/persons/{NEW_ID}/risks", "/v1/persons/X90000Z", "/login", None],
)
def test_a_location_that_names_no_identifier_is_refused(location: str | None) -> None:
    with pytest.raises(SourceFailed):
        merged_into(location)


# Pages


def paged(*bodies: Any) -> Recording:
    def source(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith(RISKS):
            return fake.source(request)
        return httpx.Response(200, json=bodies[int(request.url.params.get("page", "1")) - 1])

    return Recording(source)


async def test_every_page_of_risks_is_read() -> None:
    first, second = fake.risks("RCCO", page=1, of=2, total=2), fake.risks("RCPR", page=2, of=2, total=2)

    answer = await answer_of(paged(first, second))

    assert isinstance(answer, Answered)
    record = answer.sections[ProbationRecord]
    assert [item.code for item in record.risk or ()] == ["RCCO", "RCPR"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "bodies",
    [
        pytest.param([fake.risks("RCCO", total=2)], id="fewer-than-the-total"),
        pytest.param([fake.risks("RCCO", page=1, of=2, total=2)] * 2, id="the-same-page-twice"),
        pytest.param([fake.risks("RCCO", of=30, page=n, total=30) for n in range(1, 31)], id="without-end"),
    ],
)
async def test_pages_that_do_not_fit_are_no_answer(bodies: list[Any]) -> None:
    answer = await answer_of(paged(*bodies))

    assert isinstance(answer, NoAnswer)
    assert answer.reason is SourceReason.INVALID_ANSWER


async def test_an_ask_for_a_section_alone_does_not_ask_for_officers() -> None:
    transport = Recording(fake.source)

    await answer_of(transport, FieldMask(frozenset({"probation.risk"})))

    assert {request.url.path.removeprefix(f"/api/v1/persons/{ID}") for request in transport.requests} == {
        "",
        "/access-limitations",
        "/risks/dynamic",
    }
