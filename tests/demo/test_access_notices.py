"""What a read leaves behind at a simulated agency, and that a silent one leaves nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from connectors.base import Ask, Connector, Deadline, FieldMask
from connectors.registry import build
from gateway.demo.agencies.server import Agencies, Agency
from gateway.demo.families import World, make_world
from schema.identifiers import CRN, NHSNumber
from schema.records import AdultRef, Answered, ChildRef, SubjectRef
from schema.vocabulary import PurposeClass
from tests.demo.asking import asking, bearer, in_process

pytestmark = [pytest.mark.anyio, pytest.mark.network]

AGENCIES = ("cs-northshire", "police-northshire", "health-northshire", "probation-northshire")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(children=60)


@pytest.fixture(scope="module")
def agencies(world: World) -> Iterator[Agencies]:
    with Agencies(world) as running:
        yield running


def kind_of(name: str) -> str:
    kind = name.partition("-")[0]
    return "childrens_services" if kind == "cs" else kind


def connector_of(agencies: Agencies, name: str) -> Connector:
    credentials: dict[str, Any] = dict(agencies.credentials[name])
    certificate = credentials.pop("distinguished_name", None)
    method = "api_key" if "api_key" in credentials else "client_credentials"
    return build(
        {
            "id": name,
            "name": name,
            "kind": "OTHER",
            "driver": kind_of(name),
            "base_url": agencies.base_urls[name],
            "auth": {"method": method, **credentials},
            "allow_private": True,
            **({"subject_distinguished_name": certificate} if certificate else {}),
        }
    )


def agency_of(agencies: Agencies, name: str) -> Agency:
    found: Agency = getattr(agencies, kind_of(name))
    return found


def subject_of(world: World, name: str) -> SubjectRef:
    if name.startswith("probation"):
        return AdultRef(CRN(world.adults[0].crn))
    return ChildRef(NHSNumber(world.story("ordinary").nhs_number))


@pytest.mark.parametrize("name", AGENCIES)
async def test_a_read_leaves_a_notice_and_a_silent_one_leaves_none(agencies: Agencies, world: World, name: str) -> None:
    connector, agency, subject = connector_of(agencies, name), agency_of(agencies, name), subject_of(world, name)
    mask = FieldMask(connector.manifest.holds)

    async def notices_of(*, silent: bool) -> set[str]:
        request_id = str(uuid.uuid4())
        ask = Ask(request_id, None, PurposeClass.SAFEGUARDING, Deadline.after(10), None, silent=silent)
        answer = (await connector.involvements([subject], mask, ask))[subject]
        assert isinstance(answer, Answered), answer
        assert {call.request_id for call in agency.calls} >= {request_id}
        return {told for notice in agency.notices if notice.request_id == request_id for told in notice.subjects}

    identifier = str(subject.nhs_number if isinstance(subject, ChildRef) else subject.identifier)
    assert await notices_of(silent=False) == {identifier}
    assert await notices_of(silent=True) == set()
    await connector.aclose()


async def test_neither_the_health_call_nor_the_list_of_shields_leaves_a_notice(agencies: Agencies) -> None:
    for name in AGENCIES:
        connector, agency = connector_of(agencies, name), agency_of(agencies, name)
        before = len(agency.notices)
        ask = Ask(str(uuid.uuid4()), None, PurposeClass.SAFEGUARDING, Deadline.after(10), None)
        assert await connector.health(ask)
        await connector.shields(ask)
        assert len(agency.notices) == before
        await connector.aclose()


async def test_no_notice_names_a_child_in_its_path(agencies: Agencies, world: World) -> None:
    await test_a_read_leaves_a_notice_and_a_silent_one_leaves_none(agencies, world, "health-northshire")
    notices = agencies.health.notices

    assert notices
    assert not [notice for notice in notices for subject in notice.subjects if subject in notice.path]


@pytest.mark.parametrize("value", ["", "loud", "Silent", "silent, silent"])
async def test_an_agency_refuses_a_word_about_notices_that_it_does_not_know(agencies: Agencies, value: str) -> None:
    app = agencies.police.app
    async with in_process(app) as client:
        headers = await bearer(client, app.state.client) | {"X-Access-Notification": value}
        answer = await client.post("/api/v1/nominals/search", json={}, headers=headers)

    assert answer.status_code == 400


async def test_a_flag_search_hears_silence_in_its_own_parameter_alone(agencies: Agencies, world: World) -> None:
    number = world.story("ordinary").nhs_number
    form = {"patient.identifier": f"https://fhir.nhs.uk/Id/nhs-number|{number}", "status": "active"}
    app = agencies.health.app
    async with in_process(app) as client:
        signed_in = await bearer(client, app.state.client)

        async def notices(more: dict[str, str], headers: dict[str, str]) -> int:
            before = len(app.state.notices)
            sent = {**signed_in, **asking(), "Authorization": signed_in["Authorization"], **headers}
            answer: httpx.Response = await client.post("/FHIR/R4/Flag/_search", data={**form, **more}, headers=sent)
            assert answer.status_code == 200, answer.text
            return len(app.state.notices) - before

        assert await notices({}, {}) == 1
        assert await notices({}, {"X-Access-Notification": "silent"}) == 1
        assert await notices({"silent": "true"}, {}) == 0
