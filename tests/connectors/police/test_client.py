"""What is asked of a force, and what its troubles cost whom."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from connectors.base import Ask, Deadline, FieldMask
from connectors.faults import SourceFailed
from connectors.http import SourceClient
from connectors.police.client import PoliceConnector
from schema.identifiers import NHSNumber
from schema.records import Answered, ChildRef, NoAnswer
from schema.vocabulary import PurposeClass, SourceReason
from tests.connectors.police import samples

pytestmark = pytest.mark.anyio

ADA, BEN, CAT = (ChildRef(NHSNumber(number)) for number in ("9990000018", "9990000026", "9990000034"))
EVERYBODY = (ADA, BEN, CAT)
WELL = samples.well_behaved(child.nhs_number for child in EVERYBODY)
EVERYTHING = FieldMask(samples.EVERYTHING)


class Force:
    """A force over a mock transport that keeps what it was asked."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answer = answer
        client = SourceClient("https://pole.example", allow_private=False, transport=httpx.MockTransport(self._take))
        self.connector = PoliceConnector(samples.MANIFEST, client)

    def _take(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(json.loads(request.content or b"{}"))
        return self._answer(request)

    async def save_for(self, repetitions: int) -> None:
        """Be asked well so often that this many repetitions are paid for."""
        for _ in range(10 * repetitions):
            await self.connector.involvements([CAT], EVERYTHING, an_ask())
        self.asked.clear()

    @property
    def subjects_asked(self) -> list[list[str]]:
        return [[subject["nhsNumber"] for subject in asked["subjects"]] for asked in self.asked]


def an_ask() -> Ask:
    return Ask("6f9619ff-8b86-4011-b42d-00c04fc964ff", None, PurposeClass.SAFEGUARDING, Deadline.after(5), None)


def about(request: httpx.Request, child: ChildRef) -> bool:
    return child.nhs_number in request.content.decode()


async def test_several_children_are_asked_about_in_one_call() -> None:
    force = Force(WELL)

    answers = await force.connector.involvements([*EVERYBODY, ADA], EVERYTHING, an_ask())

    assert force.subjects_asked == [[child.nhs_number for child in EVERYBODY]]
    assert all(isinstance(answer, Answered) for answer in answers.values())


@pytest.mark.parametrize(
    ("mask", "include", "status"),
    [
        pytest.param({"involvements"}, ["officers"], ["OPEN"], id="current"),
        pytest.param({"involvements.previous"}, ["officers"], ["CLOSED"], id="previous"),
        pytest.param({"involvements", "involvements.previous"}, ["officers"], ["OPEN", "CLOSED"], id="both"),
        pytest.param({"police.events"}, ["events"], ["OPEN"], id="events"),
        pytest.param({"police.orders"}, ["orders"], [], id="orders"),
        pytest.param({"police.notifications"}, ["notifications"], [], id="notifications"),
        pytest.param(
            samples.EVERYTHING, ["officers", "events", "orders", "notifications"], ["OPEN", "CLOSED"], id="everything"
        ),
    ],
)
async def test_no_more_is_asked_for_than_the_mask_opens(mask: set[str], include: list[str], status: list[str]) -> None:
    force = Force(WELL)

    await force.connector.involvements([ADA], FieldMask(frozenset(mask)), an_ask())

    [asked] = force.asked
    assert asked == {
        "requestId": "6f9619ff-8b86-4011-b42d-00c04fc964ff",
        "purposeClass": "SAFEGUARDING",
        "subjects": [{"nhsNumber": "9990000018"}],
        "include": include,
        "status": status,
    }


def restricted(number: str = ADA.nhs_number, **changes: Any) -> httpx.Response:
    body = {"requestId": "6f9619ff-8b86-4011-b42d-00c04fc964ff", "nhsNumber": number, "code": "RESTRICTED_NOMINAL"}
    return httpx.Response(423, json={**body, **changes})


async def test_a_restricted_nominal_that_a_force_will_not_list_is_a_shield_and_nothing_else() -> None:
    force = Force(lambda request: restricted() if about(request, ADA) else WELL(request))

    alone = await force.connector.involvements([ADA], EVERYTHING, an_ask())
    among = await force.connector.involvements(EVERYBODY, EVERYTHING, an_ask())

    for told in (alone[ADA], among[ADA]):
        assert isinstance(told, Answered)
        assert (told.shielded, told.involvements, dict(told.sections)) == (True, (), {})
    assert isinstance(among[BEN], Answered)
    assert among[BEN].involvements


async def test_a_shield_is_told_however_often_children_have_to_be_asked_about_alone_for_it() -> None:
    force = Force(lambda request: restricted() if about(request, ADA) else WELL(request))

    for _ in range(20):
        told = await force.connector.involvements(EVERYBODY, EVERYTHING, an_ask())
        assert isinstance(told[ADA], Answered)
        assert told[ADA].shielded


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(restricted(BEN.nhs_number), SourceReason.INVALID_ANSWER, id="about-another-child"),
        pytest.param(restricted(requestId="x"), SourceReason.INVALID_ANSWER, id="to-another-request"),
        pytest.param(restricted(code="LOCKED"), SourceReason.INVALID_ANSWER, id="of-another-kind"),
        pytest.param(restricted(note="x"), SourceReason.INVALID_ANSWER, id="with-an-unknown-member"),
        pytest.param(httpx.Response(423, json={}), SourceReason.INVALID_ANSWER, id="that-says-nothing"),
    ],
)
async def test_a_423_that_is_not_this_interfaces_own_is_no_answer(answer: httpx.Response, reason: SourceReason) -> None:
    told = (await Force(lambda _: answer).connector.involvements([ADA], EVERYTHING, an_ask()))[ADA]

    assert isinstance(told, NoAnswer)
    assert told.reason is reason


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(httpx.Response(503), id="overloaded"),
        pytest.param(httpx.Response(500, json={}), id="broken"),
        pytest.param(httpx.Response(200, json={}), id="misspoken"),
        pytest.param(httpx.Response(400, json={}), id="refuses-the-batch"),
    ],
)
async def test_one_childs_trouble_costs_its_own_answer_alone(trouble: httpx.Response) -> None:
    force = Force(lambda request: trouble if about(request, BEN) else WELL(request))

    answers = await force.connector.involvements(EVERYBODY, EVERYTHING, an_ask())

    assert isinstance(answers[BEN], NoAnswer)
    assert isinstance(answers[ADA], Answered)
    assert isinstance(answers[CAT], Answered)
    # once together, once each, and no more
    assert sorted(map(len, force.subjects_asked)) == [1, 1, 1, 3]


async def test_a_force_whose_shared_calls_fail_is_asked_a_tenth_more_and_not_as_often_as_there_are_children() -> None:
    asked_together = httpx.Response(503)
    force = Force(lambda request: asked_together if about(request, CAT) else httpx.Response(500))
    told = [await force.connector.involvements(EVERYBODY, EVERYTHING, an_ask()) for _ in range(200)]

    assert len(force.asked) == 220
    codes = [[answer.code for answer in answers.values() if isinstance(answer, NoAnswer)] for answers in told]
    # who is not asked about alone is told how the call for all of them failed
    assert codes.count(["OVERLOADED"] * 3) == 180
    assert codes.count(["STATUS_5XX", "OVERLOADED", "OVERLOADED"]) == 20


async def test_after_a_lost_connection_the_whole_is_not_asked_again_since_each_child_is_asked_about_alone() -> None:
    unsure: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        unsure.append(1)
        if len(unsure) == 1:
            raise httpx.ReadError("lost")
        return httpx.Response(500)

    force = Force(answer)
    answers = await force.connector.involvements(EVERYBODY, EVERYTHING, an_ask())

    # the call, and the only repetition that it paid for
    assert list(map(len, force.subjects_asked)) == [3, 1]
    codes = [answer.code for answer in answers.values() if isinstance(answer, NoAnswer)]
    assert codes == ["STATUS_5XX", "RESET", "RESET"]


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (httpx.Response(500), "STATUS_5XX"),
        (httpx.Response(200, content=b"{}"), "CONTENT_TYPE"),
        (httpx.Response(200, json={"complete": True}), "SCHEMA"),
    ],
)
async def test_what_was_asked_twice_for_all_is_asked_about_nobody_alone(second: httpx.Response, code: str) -> None:
    """Whether the client or the driver finds fault with the second answer."""
    busy = httpx.Response(503, headers={"Retry-After": "0"})

    def answer(request: httpx.Request) -> httpx.Response:
        if not about(request, ADA):
            return WELL(request)
        return busy if len(force.asked) == 1 else second

    force = Force(answer)
    await force.save_for(9)
    answers = await force.connector.involvements(EVERYBODY, EVERYTHING, an_ask())

    assert list(map(len, force.subjects_asked)) == [3, 3]
    assert {answer.code for answer in answers.values() if isinstance(answer, NoAnswer)} == {code}


async def test_a_child_asked_about_alone_is_not_asked_about_a_third_time() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if about(request, BEN) and about(request, ADA):
            return httpx.Response(500)
        if about(request, BEN):
            raise httpx.ReadError("lost")
        return WELL(request)

    force = Force(answer)
    await force.save_for(9)

    await force.connector.involvements(EVERYBODY, EVERYTHING, an_ask())

    assert sorted(map(len, force.subjects_asked)) == [1, 1, 1, 3]


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        pytest.param(httpx.Response(401, json={}), SourceReason.REFUSED, id="unauthenticated"),
        pytest.param(httpx.Response(403, json={}), SourceReason.REFUSED, id="forbidden"),
        pytest.param(httpx.Response(429, json={}), SourceReason.RATE_LIMITED, id="asked-too-often"),
        pytest.param(
            httpx.Response(503, headers={"Retry-After": "5"}), SourceReason.OVERLOADED, id="to-come-back-later"
        ),
    ],
)
async def test_a_force_that_turns_us_away_is_not_asked_again_for_each_child(
    trouble: httpx.Response, reason: SourceReason
) -> None:
    force = Force(lambda _: trouble)

    answers = await force.connector.involvements(EVERYBODY, EVERYTHING, an_ask())

    assert {answer.reason for answer in answers.values() if isinstance(answer, NoAnswer)} == {reason}
    assert len(answers) == 3
    assert len(force.asked) == 1


async def test_an_answer_about_somebody_else_is_not_asked_for_again() -> None:
    def wrong(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        return samples.answering_json(samples.envelope(asked["requestId"], [samples.result("9990000050")]))

    force = Force(wrong)

    answers = await force.connector.involvements(EVERYBODY, EVERYTHING, an_ask())

    assert set(answers.values()) == {NoAnswer(child, SourceReason.INVALID_ANSWER, "MISMATCH") for child in EVERYBODY}
    assert len(force.asked) == 1


async def test_a_force_is_well_when_it_says_ok_and_not_before() -> None:
    assert await Force(WELL).connector.health(an_ask()) is True
    for said in ({"status": "starting"}, {}, {"status": "ok", "since": "today"}):
        with pytest.raises(SourceFailed) as failed:
            await Force(lambda _, said=said: httpx.Response(200, json=said)).connector.health(an_ask())  # type: ignore[misc]
        assert failed.value.reason is SourceReason.INVALID_ANSWER


async def test_a_force_has_no_list_of_shields() -> None:
    assert await Force(WELL).connector.shields(an_ask()) is None
