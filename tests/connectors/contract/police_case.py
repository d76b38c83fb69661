"""The police driver under contract."""

from __future__ import annotations

import json

import httpx

from connectors.http import SourceClient
from connectors.police.client import PoliceConnector
from schema.identifiers import NHSNumber
from schema.records import ChildRef
from tests.connectors.contract.cases import BASE_URL, Case
from tests.connectors.police import samples

HELD = tuple(ChildRef(NHSNumber(number)) for number in ("9990000018", "9990000026", "9990000034"))
NOT_HELD = ChildRef(NHSNumber("9990000042"))


def connect(transport: httpx.AsyncBaseTransport) -> PoliceConnector:
    return PoliceConnector(samples.MANIFEST, SourceClient(BASE_URL, allow_private=False, transport=transport))


def another(request: httpx.Request) -> httpx.Response:
    """A force whose best match is another child of the same name: score 1, and its own NHS number."""
    if not request.content:
        return samples.answering_json({"status": "ok"})
    asked = json.loads(request.content)
    numbers = [subject["nhsNumber"] for subject in asked["subjects"]]
    stranger = samples.match(NOT_HELD.nhs_number, matchScore=1.0, restricted=True)
    return samples.answering_json(
        samples.envelope(asked["requestId"], [samples.result(number, stranger) for number in numbers])
    )


def includes(word: str):  # type: ignore[no-untyped-def]
    return lambda request: bool(request.content) and word in json.loads(request.content)["include"]


CASE = Case(
    driver="police",
    connect=connect,
    source=samples.well_behaved(child.nhs_number for child in HELD),
    held=HELD,
    not_held=NOT_HELD,
    another=another,
    drops_others=True,
    asks_for={
        "police.events": includes("events"),
        "police.orders": includes("orders"),
        "police.notifications": includes("notifications"),
        "involvements.previous": lambda request: "CLOSED" in json.loads(request.content)["status"],
    },
    names_lead=False,
    private=("Amis", "Ada", "2015-04-09", "Okafor", "01632 960301", "99/NIC"),
)
