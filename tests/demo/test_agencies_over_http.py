"""Each simulated agency on a port of its own, asked over HTTP as its interface says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from gateway.demo.agencies.health import PAGE_SIZE
from gateway.demo.agencies.server import Agencies
from gateway.demo.families import World, make_world
from tests.demo.asking import EVERYTHING, asking, care_team_search, nominal_search

pytestmark = [pytest.mark.anyio, pytest.mark.network]


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(children=200)


@pytest.fixture(scope="module")
def running(world: World) -> Iterator[Agencies]:
    with Agencies(world) as agencies:
        yield agencies


@pytest.fixture
def agencies(running: Agencies) -> Iterator[Agencies]:
    handles = (running.health, running.police, running.probation, running.childrens_services)
    yield running
    for handle in handles:
        handle.faults.clear()
        handle.calls.clear()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as opened:
        yield opened


class Desk:
    """Asks one agency with good credentials."""

    def __init__(self, agencies: Agencies, connector: str, client: httpx.AsyncClient) -> None:
        self.url = agencies.base_urls[connector]
        self._credentials = agencies.credentials[connector]
        self._client = client

    async def headers(self) -> dict[str, str]:
        held = self._credentials
        if "api_key" in held:
            return asking(**{"x-api-key": held["api_key"], "subject-distinguished-name": held["distinguished_name"]})
        answer = await self._client.post(
            held["token_url"],
            auth=(held["client_id"], held["client_secret"]),
            data={"grant_type": "client_credentials", "scope": held["scope"]},
        )
        return asking(Authorization=f"Bearer {answer.raise_for_status().json()['access_token']}")

    async def get(self, path: str) -> httpx.Response:
        return await self._client.get(self.url + path, headers=await self.headers())

    async def post(self, path: str, **body: object) -> httpx.Response:
        return await self._client.post(self.url + path, headers=await self.headers(), **body)  # type: ignore[arg-type]


# common to all


ASKS = [
    ("health-northshire", "GET", "/Patient/9990000018", None),
    ("police-northshire", "POST", "/api/v1/nominals/search", nominal_search("9990000018")),
    ("cs-northshire", "POST", "/graphql", {"query": EVERYTHING, "variables": {"numbers": ["9990000018"]}}),
    ("probation-northshire", "GET", "/v1/persons/X900001", None),
]


@pytest.mark.parametrize(("connector", "method", "path", "body"), ASKS)
async def test_a_good_ask_is_answered_framed_echoed_and_not_to_be_stored(
    agencies: Agencies, client: httpx.AsyncClient, connector: str, method: str, path: str, body: object
) -> None:
    desk = Desk(agencies, connector, client)
    headers = await desk.headers()
    answer = await client.request(method, desk.url + path, headers=headers, json=body)
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] == headers["X-Request-ID"]
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(("connector", "method", "path", "body"), ASKS)
@pytest.mark.parametrize("request_id", [None, "", "42", "not-a-uuid-at-all-not-a-uuid-at-all"])
async def test_an_ask_without_a_request_id_is_refused(
    agencies: Agencies,
    client: httpx.AsyncClient,
    connector: str,
    method: str,
    path: str,
    body: object,
    request_id: str | None,
) -> None:
    desk = Desk(agencies, connector, client)
    headers = await desk.headers()
    headers.pop("X-Request-ID")
    if request_id is not None:
        headers["X-Request-ID"] = request_id
    answer = await client.request(method, desk.url + path, headers=headers, json=body)
    assert answer.status_code == 400


@pytest.mark.parametrize(("connector", "method", "path", "body"), ASKS)
async def test_an_ask_without_credentials_is_refused_and_not_in_the_book(
    agencies: Agencies, client: httpx.AsyncClient, connector: str, method: str, path: str, body: object
) -> None:
    url = agencies.base_urls[connector] + path
    for credentials in ({}, {"Authorization": "Bearer made-up"}, {"x-api-key": "made-up"}):
        answer = await client.request(method, url, headers=asking(**credentials), json=body)
        assert answer.status_code == (403 if connector == "probation-northshire" else 401)
    handles = (agencies.health, agencies.police, agencies.probation, agencies.childrens_services)
    assert not [call for handle in handles for call in handle.calls]


@pytest.mark.parametrize(("connector", "method", "path", "body"), ASKS)
async def test_a_purpose_class_that_is_none_is_refused(
    agencies: Agencies, client: httpx.AsyncClient, connector: str, method: str, path: str, body: object
) -> None:
    desk = Desk(agencies, connector, client)
    headers = {**await desk.headers(), "X-Purpose-Class": "CURIOSITY"}
    answer = await client.request(method, desk.url + path, headers=headers, json=body)
    assert answer.status_code == 400


async def test_the_agency_remembers_who_was_asked_about_and_keeps_no_number_in_the_path(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    ordinary = world.story("ordinary").nhs_number
    await Desk(agencies, "health-northshire", client).get(f"/Patient/{ordinary}")
    (call,) = agencies.health.calls
    assert call.subjects == (ordinary,)
    assert call.path == "/FHIR/R4/Patient/{id}"
    assert call.purpose_class == "SAFEGUARDING"
    assert agencies.health.subjects_asked() == [ordinary]


# health


async def test_the_trace_answers_with_the_patient(agencies: Agencies, client: httpx.AsyncClient, world: World) -> None:
    child = world.story("former-surname")
    answer = await Desk(agencies, "health-northshire", client).get(f"/Patient/{child.nhs_number}")
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert answer.json()["id"] == child.nhs_number
    assert [(name["use"], name["family"]) for name in answer.json()["name"]] == [
        ("usual", "Rowntree"),
        ("old", "Sharp"),
    ]


@pytest.mark.parametrize(
    ("story", "code"), [("unknown", "RESOURCE_NOT_FOUND"), ("invalidated-number", "INVALIDATED_RESOURCE")]
)
async def test_no_such_patient_is_said_in_the_typed_way(
    agencies: Agencies, client: httpx.AsyncClient, world: World, story: str, code: str
) -> None:
    answer = await Desk(agencies, "health-northshire", client).get(f"/Patient/{world.story(story).nhs_number}")
    assert answer.status_code == 404
    assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == code


async def test_a_superseded_number_answers_with_the_superseding_patient(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    old, now = world.story("superseded-number").nhs_number, world.story("superseding-number").nhs_number
    answer = await Desk(agencies, "health-northshire", client).get(f"/Patient/{old}")
    assert answer.json()["id"] == now != old


async def test_a_care_team_comes_with_its_health_visitor(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    form = care_team_search(world.story("ordinary").nhs_number)
    answer = await Desk(agencies, "health-northshire", client).post("/CareTeam/_search", data=form)
    bundle = answer.json()
    assert bundle["total"] == 2
    assert [entry["search"]["mode"] for entry in bundle["entry"]].count("match") == 2
    assert "99A0001N" in answer.text


async def test_empty_is_a_total_of_nought(agencies: Agencies, client: httpx.AsyncClient, world: World) -> None:
    desk = Desk(agencies, "health-northshire", client)
    for story in ("nobody-involved", "unknown"):
        form = care_team_search(world.story(story).nhs_number)
        bundle = (await desk.post("/CareTeam/_search", data=form)).json()
        assert bundle["total"] == 0
        assert "entry" not in bundle


async def test_a_child_with_many_teams_takes_two_pages_and_no_number_is_in_a_link(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    number = world.story("many-teams").nhs_number
    desk = Desk(agencies, "health-northshire", client)
    first = (await desk.post("/CareTeam/_search", data=care_team_search(number))).json()
    links = {link["relation"]: link["url"] for link in first["link"]}
    assert all(link.startswith(desk.url) and number not in link for link in links.values())
    second = (await client.get(links["next"], headers=await desk.headers())).json()
    matches = [entry for page in (first, second) for entry in page["entry"] if entry["search"]["mode"] == "match"]
    assert len(matches) == first["total"] == second["total"] == 6 > PAGE_SIZE
    assert [link["relation"] for link in second["link"]] == ["self"]
    assert agencies.health.subjects_asked() == [number, number]


async def test_participants_that_were_not_included_can_be_asked_for(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    desk = Desk(agencies, "health-northshire", client)
    form = care_team_search(world.story("many-teams").nhs_number)
    entries = (await desk.post("/CareTeam/_search", data=form)).json()["entry"]
    members = {
        participant["member"]["reference"].removeprefix("PractitionerRole/")
        for entry in entries
        for participant in entry["resource"].get("participant", ())
    }
    missing = members - {entry["resource"]["id"] for entry in entries}
    assert missing
    form = {"_id": ",".join(sorted(missing)), "_include": "PractitionerRole:practitioner"}
    bundle = (await desk.post("/PractitionerRole/_search", data=form)).json()
    assert bundle["total"] == len(missing)
    assert {entry["resource"]["resourceType"] for entry in bundle["entry"]} == {"PractitionerRole", "Practitioner"}


async def test_a_sensitive_row_carries_its_label_and_its_basis(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    desk = Desk(agencies, "health-northshire", client)
    form = care_team_search(world.story("sensitive-service").nhs_number)
    entries = (await desk.post("/CareTeam/_search", data=form)).json()["entry"]
    teams = {one["resource"]["name"]: one["resource"] for one in entries if one["search"]["mode"] == "match"}
    mental_health = teams["Child and Adolescent Mental Health"]
    assert mental_health["meta"]["security"][0]["code"] == "MH"
    assert mental_health["extension"][0]["valueCode"] == "CONSENT"
    beside = mental_health["extension"][0]["_valueCode"]["extension"]
    assert [one["url"].rpartition("-")[2] for one in beside] == ["until"]
    assert "extension" not in mental_health["extension"][0]  # FHIR: a value or extensions, never both
    assert "extension" not in teams["Young People's Substance Use"]
    episodes = (
        await desk.post("/EpisodeOfCare/_search", data=form | {"_include": "EpisodeOfCare:care-manager"})
    ).json()
    assert episodes["entry"][0]["resource"]["team"] == [{"reference": f"CareTeam/{mental_health['id']}"}]


async def test_flags_say_which_authority_holds_a_plan(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    form = care_team_search(world.story("ordinary").nhs_number)
    form.pop("_include")
    bundle = (await Desk(agencies, "health-northshire", client).post("/Flag/_search", data=form)).json()
    (entry,) = bundle["entry"]
    assert entry["resource"]["code"]["coding"][0]["code"] == "CPP"
    assert entry["resource"]["author"]["display"] == "Northshire Council"


@pytest.mark.parametrize(
    "form",
    [
        {"patient.identifier": "9990000018"},
        {"patient.identifier": "https://fhir.nhs.uk/Id/nhs-number|12"},
        {"status": "active"},
        {**care_team_search("9990000018"), "family": "Amis"},
        {**care_team_search("9990000018"), "status": "sleeping"},
    ],
)
async def test_a_search_that_is_not_of_the_interface_is_refused_without_an_echo(
    agencies: Agencies, client: httpx.AsyncClient, form: dict[str, str]
) -> None:
    answer = await Desk(agencies, "health-northshire", client).post("/CareTeam/_search", data=form)
    assert answer.status_code == 400
    assert "9990000018" not in answer.text


# police


async def test_police_answer_one_result_for_each_subject(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    known, unknown = world.story("ordinary").nhs_number, world.story("unknown").nhs_number
    search = nominal_search(known, unknown)
    answer = (await Desk(agencies, "police-northshire", client).post("/api/v1/nominals/search", json=search)).json()
    assert (answer["requestId"], answer["complete"], answer["count"]) == (search["requestId"], True, 1)
    results = {result["nhsNumber"]: result for result in answer["results"]}
    assert results[unknown] == {"nhsNumber": unknown, "complete": True, "count": 0, "matches": []}
    (match,) = results[known]["matches"]
    assert match["nhsNumber"] == known
    assert {row["status"] for row in match["involvements"]} == {"OPEN", "CLOSED"}
    assert match["involvements"][0]["officer"]["name"] == "R Okafor"
    assert match["orders"][0]["kind"] == "POLICE_PROTECTION_S46"


async def test_police_name_no_officer_event_or_order_that_was_not_asked_for(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    search = nominal_search(world.story("ordinary").nhs_number, include=[], status=["OPEN"])
    answer = await Desk(agencies, "police-northshire", client).post("/api/v1/nominals/search", json=search)
    (match,) = answer.json()["results"][0]["matches"]
    assert "orders" not in match
    assert [row.keys() & {"officer", "eventType"} for row in match["involvements"]] == [set()]


async def test_a_restricted_nominal_says_so(agencies: Agencies, client: httpx.AsyncClient, world: World) -> None:
    search = nominal_search(world.story("shielded").nhs_number)
    answer = await Desk(agencies, "police-northshire", client).post("/api/v1/nominals/search", json=search)
    assert answer.json()["results"][0]["matches"][0]["flags"]["restricted"] is True


@pytest.mark.parametrize("others", [[], ["9990000018"]])
async def test_police_are_down_for_the_child_of_that_story_alone_or_among_others(
    agencies: Agencies, client: httpx.AsyncClient, world: World, others: list[str]
) -> None:
    desk = Desk(agencies, "police-northshire", client)
    search = nominal_search(*others, world.story("agency-down").nhs_number)
    assert (await desk.post("/api/v1/nominals/search", json=search)).status_code == 503
    assert (await desk.post("/api/v1/nominals/search", json=nominal_search("9990000018"))).status_code == 200


@pytest.mark.parametrize(
    "flaw",
    [
        {"subjects": []},
        {"subjects": [{"nhsNumber": "12"}]},
        {"subjects": [{"nhsNumber": "9990000018", "familyName": "Amis"}]},
        {"purposeClass": "CURIOSITY"},
        {"include": ["intelligence"]},
        {"status": ["ALL"]},
        {"reason": "a strategy discussion"},
    ],
)
async def test_a_police_search_that_is_not_of_the_interface_is_refused(
    agencies: Agencies, client: httpx.AsyncClient, flaw: dict[str, object]
) -> None:
    search = nominal_search("9990000018", **flaw)
    answer = await Desk(agencies, "police-northshire", client).post("/api/v1/nominals/search", json=search)
    assert answer.status_code == 400


async def test_police_say_that_they_are_well(agencies: Agencies, client: httpx.AsyncClient) -> None:
    assert (await Desk(agencies, "police-northshire", client).get("/api/v1/health")).json() == {"status": "ok"}


# children's services


async def test_an_authority_answers_for_each_number_asked(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    numbers = [world.story(story).nhs_number for story in ("ordinary", "unknown", "linked-adult-probation")]
    body = {"query": EVERYTHING, "variables": {"numbers": numbers}}
    answer = (await Desk(agencies, "cs-northshire", client).post("/graphql", json=body)).json()
    assert "errors" not in answer
    ordinary, unknown, linked = answer["data"]["children"]
    assert [one["nhsNumber"] for one in (ordinary, unknown, linked)] == numbers
    assert unknown == {"nhsNumber": numbers[1], "complete": True, "child": None}
    lead = next(row for row in ordinary["child"]["involvements"] if row["isLead"])
    assert lead["worker"]["socialWorkEnglandNo"] == "SW900001"
    assert {row["status"] for row in ordinary["child"]["involvements"]} == {"OPEN", "CLOSED"}
    assert linked["child"]["linkedAdults"][0]["crn"] == "X900001"
    assert agencies.childrens_services.subjects_asked() == numbers


async def test_open_involvements_are_the_default(agencies: Agencies, client: httpx.AsyncClient) -> None:
    query = '{ children(nhsNumbers: ["9990000018"]) { child { involvements { status } } } }'
    answer = await Desk(agencies, "cs-northshire", client).post("/graphql", json={"query": query})
    assert answer.json()["data"]["children"][0]["child"]["involvements"] == [{"status": "OPEN"}]


async def test_an_unallocated_case_has_a_team_and_no_worker(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    body = {"query": EVERYTHING, "variables": {"numbers": [world.story("unallocated").nhs_number]}}
    answer = (await Desk(agencies, "cs-northshire", client).post("/graphql", json=body)).json()
    (row,) = answer["data"]["children"][0]["child"]["involvements"]
    assert row["worker"] is None
    assert row["team"]["phone"]


async def test_each_of_three_authorities_knows_the_child_of_that_story(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    body = {"query": EVERYTHING, "variables": {"numbers": [world.story("three-authorities").nhs_number]}}
    for connector in ("cs-northshire", "cs-eastmarch", "cs-westvale"):
        answer = (await Desk(agencies, connector, client).post("/graphql", json=body)).json()
        assert len(answer["data"]["children"][0]["child"]["involvements"]) == 1


async def test_the_list_of_shields_is_complete_over_its_pages(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    for authority in ("northshire", "eastmarch", "westvale"):
        desk, found, after, pages = Desk(agencies, f"cs-{authority}", client), [], None, 0
        while pages == 0 or after:
            query = "query($after: String) { shielded(after: $after) { nhsNumbers next complete } }"
            answer = await desk.post("/graphql", json={"query": query, "variables": {"after": after}})
            page = answer.json()["data"]["shielded"]
            assert page["complete"]
            found, after, pages = found + page["nhsNumbers"], page["next"], pages + 1
        held = {child.nhs_number: child.council(authority) for child in world.children}
        assert found == [number for number, record in held.items() if record is not None and record.shielded]


async def test_a_token_of_one_authority_is_worth_nothing_at_another(
    agencies: Agencies, client: httpx.AsyncClient
) -> None:
    headers = await Desk(agencies, "cs-northshire", client).headers()
    url = agencies.base_urls["cs-eastmarch"] + "/graphql"
    answer = await client.post(url, headers=headers, json={"query": "{ health { status } }"})
    assert answer.status_code == 401


async def test_a_bad_number_is_an_error_that_does_not_repeat_it(agencies: Agencies, client: httpx.AsyncClient) -> None:
    body = {"query": EVERYTHING, "variables": {"numbers": ["not a number"]}}
    answer = await Desk(agencies, "cs-northshire", client).post("/graphql", json=body)
    assert answer.json()["data"] is None
    assert "not a number" not in answer.text


# probation


async def test_probation_answers_with_the_allocated_officer(agencies: Agencies, client: httpx.AsyncClient) -> None:
    desk = Desk(agencies, "probation-northshire", client)
    officer = (await desk.get("/v1/persons/X900001/person-responsible-officer")).json()["data"]
    assert officer["communityOffenderManager"]["name"] == {"forename": "Petra", "surname": "Blum"}
    assert officer["prisonOffenderManager"] is None
    mappa = (await desk.get("/v1/persons/X900001/risks/mappadetail")).json()["data"]
    assert (mappa["level"], mappa["category"]) == (2, 2)
    risks = (await desk.get("/v1/persons/X900001/risks/dynamic")).json()["data"]
    assert [risk["code"] for risk in risks] == ["RCCO"]


async def test_an_unallocated_case_has_the_placeholder_for_an_officer(
    agencies: Agencies, client: httpx.AsyncClient
) -> None:
    answer = await Desk(agencies, "probation-northshire", client).get("/v1/persons/X900002/person-responsible-officer")
    manager = answer.json()["data"]["communityOffenderManager"]
    assert manager["name"]["surname"] == "Unallocated"
    assert manager["team"]["telephoneNumber"]


async def test_an_adult_who_is_not_known_is_said_in_the_typed_way(
    agencies: Agencies, client: httpx.AsyncClient
) -> None:
    answer = await Desk(agencies, "probation-northshire", client).get("/v1/persons/X999999")
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["type"] == "ENTITY_NOT_FOUND"
    assert "X999999" not in answer.text


async def test_a_merged_record_points_to_the_one_that_lives_on(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    merged = next(adult for adult in world.adults if adult.merged_into)
    desk = Desk(agencies, "probation-northshire", client)
    answer = await desk.get(f"/v1/persons/{merged.crn}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/v1/persons/{merged.merged_into}")
    assert (await desk.get(answer.headers["location"])).json()["data"]["probationOffenderSearch"][
        "lastName"
    ] == "Stanton"


async def test_limited_access_is_told(agencies: Agencies, client: httpx.AsyncClient, world: World) -> None:
    desk = Desk(agencies, "probation-northshire", client)
    limited = [adult for adult in world.adults if adult.limitation]
    told = [(await desk.get(f"/v1/persons/{adult.crn}/access-limitations")).json()["data"] for adult in limited]
    assert [(bool(one["excludedFrom"]), bool(one["restrictedTo"])) for one in told] == [(True, False), (False, True)]


async def test_an_adult_in_prison_is_found_by_prison_number(
    agencies: Agencies, client: httpx.AsyncClient, world: World
) -> None:
    adult = next(adult for adult in world.adults if adult.prison_number)
    path = f"/v1/persons/{adult.prison_number}/person-responsible-officer"
    manager = (await Desk(agencies, "probation-northshire", client).get(path)).json()["data"]["prisonOffenderManager"]
    assert manager["prison"] == {"code": "ZZI"}


async def test_probation_wants_the_certificate_as_well_as_the_key(
    agencies: Agencies, client: httpx.AsyncClient
) -> None:
    key = agencies.credentials["probation-northshire"]["api_key"]
    url = agencies.base_urls["probation-northshire"] + "/v1/status"
    for name in ("", "CN=somebody-else"):
        headers = asking(**{"x-api-key": key, "subject-distinguished-name": name})
        assert (await client.get(url, headers=headers)).status_code == 403


# up and down


async def test_one_agency_goes_down_and_comes_back_on_its_port(agencies: Agencies, client: httpx.AsyncClient) -> None:
    before = dict(agencies.base_urls)
    agencies.stop("police-northshire")
    with pytest.raises(httpx.ConnectError):
        await client.get(before["police-northshire"] + "/api/v1/health")
    assert (await Desk(agencies, "probation-northshire", client).get("/v1/status")).status_code == 200
    agencies.start("police-northshire")
    assert agencies.base_urls == before
    assert (await Desk(agencies, "police-northshire", client).get("/api/v1/health")).status_code == 200


def test_agencies_that_are_not_running_say_so(world: World) -> None:
    with pytest.raises(RuntimeError):
        Agencies(world).stop("police-northshire")
