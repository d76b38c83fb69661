"""Every fault shows as what it is called, and only where it was set."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from gateway.demo.agencies import childrens_services, health, police
from gateway.demo.agencies.faults import Fault, FaultRule, Faults
from gateway.demo.agencies.server import Agencies
from gateway.demo.families import World, make_world
from tests.demo.asking import EVERYTHING, asking, bearer, care_team_search, in_process, nominal_search

pytestmark = pytest.mark.anyio

SEARCH = "/api/v1/nominals/search"


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(children=100)


# which rule applies


def test_a_fault_for_a_subject_shows_for_that_subject_alone_or_among_others() -> None:
    faults = Faults()
    faults.set(Fault.SERVER_ERROR, subjects=["a"])
    assert faults.at("/x", ["b"]) is None
    assert faults.at("/x", ["b", "a"]) is Fault.SERVER_ERROR


def test_a_fault_for_a_path_shows_on_that_path_only() -> None:
    faults = Faults()
    faults.set(Fault.UNAVAILABLE, path="/eastmarch")
    assert faults.at("/northshire/graphql", ["a"]) is None
    assert faults.at("/eastmarch/graphql", []) is Fault.UNAVAILABLE
    assert faults.at_path_only("/eastmarch/oauth/token") is Fault.UNAVAILABLE


def test_the_fault_set_last_wins_and_clearing_leaves_what_is_built_in() -> None:
    faults = Faults(FaultRule(Fault.UNAVAILABLE, frozenset({"a"}), None))
    faults.set(Fault.DRIP)
    faults.set(Fault.TRUNCATED)
    assert faults.at("/x", ["a"]) is Fault.TRUNCATED
    faults.clear()
    assert faults.at("/x", ["a"]) is Fault.UNAVAILABLE
    assert faults.at("/x", ["b"]) is None


# what an answer then says


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.UNAVAILABLE, 503),
        (Fault.SERVER_ERROR, 500),
        (Fault.TOO_MANY_REQUESTS, 429),
        (Fault.UNAUTHORISED, 401),
        (Fault.FORBIDDEN, 403),
        (Fault.BARE_NOT_FOUND, 404),
        (Fault.REDIRECT, 302),
        (Fault.EMPTY_BODY, 200),
        (Fault.WRONG_MEDIA_TYPE, 200),
        (Fault.WRONG_SHAPE, 200),
        (Fault.MALFORMED, 200),
    ],
)
async def test_a_fault_has_its_status(world: World, fault: Fault, status: int) -> None:
    app = police.app(world)
    async with in_process(app) as client:
        headers = await bearer(client, app.state.client)
        app.state.faults.set(fault)
        answer = await client.post(SEARCH, headers=headers, json=nominal_search("9990000018"))
    assert answer.status_code == status
    match fault:
        case Fault.TOO_MANY_REQUESTS:
            assert answer.headers["retry-after"] == "2"
        case Fault.EMPTY_BODY:
            assert answer.content == b""
        case Fault.WRONG_MEDIA_TYPE | Fault.BARE_NOT_FOUND:
            assert answer.headers["content-type"].startswith("text/html")
        case Fault.MALFORMED:
            with pytest.raises(json.JSONDecodeError):
                answer.json()


async def test_the_wrong_person_at_the_police_is_a_match_that_echoes_another_number(world: World) -> None:
    app = police.app(world)
    async with in_process(app) as client:
        headers = await bearer(client, app.state.client)
        app.state.faults.set(Fault.WRONG_PERSON)
        answer = (await client.post(SEARCH, headers=headers, json=nominal_search("9990000018"))).json()
    (result,) = answer["results"]
    assert result["nhsNumber"] == "9990000018" != result["matches"][0]["nhsNumber"]


@pytest.mark.parametrize(
    ("fault", "results", "complete"), [(Fault.PARTIAL_PAGE, 2, False), (Fault.MISSING_RESULT, 1, True)]
)
async def test_a_partial_answer_of_the_police(world: World, fault: Fault, results: int, complete: bool) -> None:
    app = police.app(world)
    async with in_process(app) as client:
        headers = await bearer(client, app.state.client)
        app.state.faults.set(fault)
        answer = await client.post(SEARCH, headers=headers, json=nominal_search("9990000018", "9990000026"))
    assert (len(answer.json()["results"]), answer.json()["complete"]) == (results, complete)


async def test_a_partial_page_of_health_has_fewer_matches_than_its_total_and_no_next(world: World) -> None:
    app = health.app(world)
    number = world.story("many-teams").nhs_number
    async with in_process(app) as client:
        headers = await bearer(client, app.state.client)
        app.state.faults.set(Fault.PARTIAL_PAGE, subjects=[number])
        form = care_team_search(number)
        bundle = (await client.post(f"{health.BASE}/CareTeam/_search", headers=headers, data=form)).json()
    matches = [entry for entry in bundle["entry"] if entry["search"]["mode"] == "match"]
    assert len(matches) < bundle["total"]
    assert [link["relation"] for link in bundle["link"]] == ["self"]


async def test_the_wrong_person_at_health_is_the_subject_of_each_row(world: World) -> None:
    app = health.app(world)
    async with in_process(app) as client:
        headers = await bearer(client, app.state.client)
        app.state.faults.set(Fault.WRONG_PERSON)
        form = care_team_search("9990000018")
        bundle = (await client.post(f"{health.BASE}/CareTeam/_search", headers=headers, data=form)).json()
        traced = (await client.get(f"{health.BASE}/Patient/9990000018", headers=headers)).json()
    rows = [entry["resource"] for entry in bundle["entry"] if entry["search"]["mode"] == "match"]
    assert rows
    assert "9990000018" not in {row["subject"]["identifier"]["value"] for row in rows}
    assert traced["id"] == "9990000018" != traced["identifier"][0]["value"]


@pytest.mark.parametrize(
    "fault", [Fault.WRONG_PERSON, Fault.PARTIAL_PAGE, Fault.MISSING_RESULT, Fault.ERRORS_BESIDE_DATA]
)
async def test_a_fault_of_an_authority_shows_in_its_result(world: World, fault: Fault) -> None:
    app = childrens_services.app(world)
    async with in_process(app) as client:
        headers = await bearer(client, app.state.clients["northshire"], "/northshire/oauth/token")
        app.state.faults.set(fault)
        body = {"query": EVERYTHING, "variables": {"numbers": ["9990000018"]}}
        answer = (await client.post("/northshire/graphql", headers=headers, json=body)).json()
    results = answer["data"]["children"]
    match fault:
        case Fault.WRONG_PERSON:
            assert results[0]["child"]["nhsNumber"] != results[0]["nhsNumber"] == "9990000018"
        case Fault.PARTIAL_PAGE:
            assert results[0]["complete"] is False
        case Fault.MISSING_RESULT:
            assert results == []
        case _:
            assert answer["errors"]


async def test_a_fault_at_the_token_endpoint_is_set_by_its_path(world: World) -> None:
    app = police.app(world)
    async with in_process(app) as client:
        app.state.faults.set(Fault.UNAVAILABLE, path="/oauth/token")
        with pytest.raises(httpx.HTTPStatusError):
            await bearer(client, app.state.client)
        app.state.faults.clear()
        app.state.faults.set(Fault.UNAVAILABLE)
        await bearer(client, app.state.client)


# on the wire


@pytest.fixture(scope="module")
def running(world: World) -> Iterator[Agencies]:
    with Agencies(world) as agencies:
        yield agencies


@pytest.fixture
async def wire(running: Agencies) -> AsyncIterator[httpx.AsyncClient]:
    api = running.credentials["probation-northshire"]
    headers = asking(**{"x-api-key": api["api_key"], "subject-distinguished-name": api["distinguished_name"]})
    url = running.base_urls["probation-northshire"]
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        yield client
    running.probation.faults.clear()


@pytest.mark.network
async def test_a_truncated_answer_ends_before_its_length(running: Agencies, wire: httpx.AsyncClient) -> None:
    running.probation.faults.set(Fault.TRUNCATED)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        await wire.get("/v1/persons/X900001")


@pytest.mark.network
async def test_an_unframed_answer_has_neither_length_nor_chunks(running: Agencies, wire: httpx.AsyncClient) -> None:
    running.probation.faults.set(Fault.UNFRAMED)
    answer = await wire.get("/v1/persons/X900001")
    assert answer.json()["data"]["probationOffenderSearch"]
    assert not {"content-length", "transfer-encoding"} & answer.headers.keys()


@pytest.mark.network
async def test_a_dripping_answer_comes_a_few_bytes_at_a_time(running: Agencies, wire: httpx.AsyncClient) -> None:
    running.probation.faults.drip_seconds = 0.001
    running.probation.faults.set(Fault.DRIP)
    async with wire.stream("GET", "/v1/persons/X999999") as answer:
        pieces = [len(piece) async for piece in answer.aiter_raw()]
    assert len(pieces) > 5
    assert max(pieces) <= 16


@pytest.mark.network
async def test_an_agency_that_is_slow_can_be_given_up_on_and_has_noted_the_call(
    running: Agencies, wire: httpx.AsyncClient
) -> None:
    running.probation.calls.clear()
    running.probation.faults.latency_seconds = 2.0
    with pytest.raises(httpx.ReadTimeout):
        await wire.get("/v1/persons/X900001", timeout=0.2)
    assert running.probation.subjects_asked() == ["X900001"]


@pytest.mark.network
@pytest.mark.parametrize("fault", [Fault.TRUNCATED, Fault.UNFRAMED, Fault.EMPTY_BODY, Fault.DRIP])
async def test_the_agency_is_well_again_when_the_fault_is_cleared(
    running: Agencies, wire: httpx.AsyncClient, fault: Fault
) -> None:
    running.probation.faults.set(fault, subjects=["X900001"])
    assert (await wire.get("/v1/persons/X900002")).status_code == 200
    running.probation.faults.clear()
    assert (await wire.get("/v1/persons/X900001")).status_code == 200
