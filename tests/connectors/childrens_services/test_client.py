"""What is asked of an authority, what its troubles cost whom, and its list of shields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from connectors.base import Ask, Deadline, FieldMask
from connectors.childrens_services.client import ChildrensServicesConnector
from connectors.faults import SourceFailed
from connectors.http import SourceClient
from schema.identifiers import NHSNumber
from schema.records import Answered, ChildRef, NoAnswer
from schema.vocabulary import PurposeClass, SourceReason
from tests.connectors.childrens_services import samples

pytestmark = pytest.mark.anyio

NUMBERS = ("9990000018", "9990000026", "9990000034", "9990000042", "9990000050")
ADA, BEN, CAT = (ChildRef(NHSNumber(number)) for number in NUMBERS[:3])
EVERYBODY = (ADA, BEN, CAT)
EVERYTHING = FieldMask(samples.HOLDS)
WELL = samples.Authority([samples.child(one.nhs_number) for one in EVERYBODY], shielded=NUMBERS)


class Council:
    """An authority over a mock transport that keeps what it was asked."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self._answer = answer
        client = SourceClient(
            "https://cs.example/northshire", allow_private=False, transport=httpx.MockTransport(self._take)
        )
        self.connector = ChildrensServicesConnector(samples.MANIFEST, client)

    def _take(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/northshire/graphql"
        self.asked.append(json.loads(request.content))
        return self._answer(request)


def an_ask() -> Ask:
    return Ask("6f9619ff-8b86-4011-b42d-00c04fc964ff", None, PurposeClass.SAFEGUARDING, Deadline.after(5), None)


def page(numbers: list[str], *, following: str | None, complete: bool = True) -> httpx.Response:
    told = {"nhsNumbers": numbers, "next": following, "complete": complete}
    return httpx.Response(200, json={"data": {"shielded": told}})


async def test_several_children_are_asked_about_in_one_call_and_no_number_is_in_the_document() -> None:
    council = Council(WELL)

    answers = await council.connector.involvements(EVERYBODY, EVERYTHING, an_ask())

    [asked] = council.asked
    assert asked["variables"] == {"nhsNumbers": list(NUMBERS[:3])}
    assert not any(number in asked["query"] for number in NUMBERS)
    assert all(isinstance(answer, Answered) for answer in answers.values())


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(httpx.Response(503), id="overloaded"),
        pytest.param(httpx.Response(200, json={"data": None, "errors": [{"message": "no"}]}), id="errors"),
    ],
)
async def test_one_childs_trouble_costs_its_own_answer_alone(trouble: httpx.Response) -> None:
    council = Council(lambda request: trouble if BEN.nhs_number in request.content.decode() else WELL(request))

    answers = await council.connector.involvements(EVERYBODY, EVERYTHING, an_ask())

    assert isinstance(answers[BEN], NoAnswer)
    assert isinstance(answers[ADA], Answered)
    assert isinstance(answers[CAT], Answered)
    assert len(council.asked) == 4


async def test_the_list_of_shields_is_read_to_its_end() -> None:
    council = Council(WELL)

    assert await council.connector.shields(an_ask()) == set(NUMBERS)
    assert [asked["variables"]["after"] for asked in council.asked] == [None, "2", "4"]


async def test_an_authority_that_shields_nobody_says_so() -> None:
    assert await Council(samples.Authority([])).connector.shields(an_ask()) == frozenset()


HALF_LISTS = {
    "a-page-that-is-not-complete": lambda _: page([NUMBERS[0]], following=None, complete=False),
    "a-page-that-comes-again": lambda _: page([NUMBERS[0]], following="again"),
    "a-number-that-is-none": lambda _: page(["secret"], following=None),
    "an-error-beside-the-page": lambda _: httpx.Response(
        200, json={"data": {"shielded": None}, "errors": [{"message": "no"}]}
    ),
}


@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in HALF_LISTS.items()])
async def test_half_a_list_of_shields_is_none(answer: Callable[[httpx.Request], httpx.Response]) -> None:
    with pytest.raises(SourceFailed) as failed:
        await Council(answer).connector.shields(an_ask())

    assert failed.value.reason is SourceReason.INVALID_ANSWER


async def test_a_list_that_fails_at_its_second_page_is_a_failure() -> None:
    def fails(request: httpx.Request) -> httpx.Response:
        return WELL(request) if json.loads(request.content)["variables"]["after"] is None else httpx.Response(503)

    with pytest.raises(SourceFailed) as failed:
        await Council(fails).connector.shields(an_ask())

    assert failed.value.reason is SourceReason.OVERLOADED


async def test_an_authority_is_well_when_it_says_ok_and_not_before() -> None:
    starting = httpx.Response(200, json={"data": {"health": {"status": "starting"}}})

    assert await Council(WELL).connector.health(an_ask()) is True
    with pytest.raises(SourceFailed):
        await Council(lambda _: starting).connector.health(an_ask())
