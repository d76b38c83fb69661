"""The children's services driver under contract."""

from __future__ import annotations

import json

import httpx

from connectors.childrens_services.client import ChildrensServicesConnector
from connectors.http import SourceClient
from schema.identifiers import NHSNumber
from schema.records import ChildRef
from tests.connectors.childrens_services import samples
from tests.connectors.contract.cases import BASE_URL, Case

HELD = tuple(ChildRef(NHSNumber(number)) for number in ("9990000018", "9990000026", "9990000034"))
NOT_HELD = ChildRef(NHSNumber("9990000042"))
AUTHORITY = samples.Authority(
    [samples.child(child.nhs_number) for child in HELD],
    shielded=["9990000018", "9990000026", "9990000034", "9990000042", "9990000050"],
)


def connect(transport: httpx.AsyncBaseTransport) -> ChildrensServicesConnector:
    return ChildrensServicesConnector(
        samples.MANIFEST, SourceClient(BASE_URL, allow_private=False, transport=transport)
    )


def another(request: httpx.Request) -> httpx.Response:
    """An authority that answers with the record of somebody else under the number that was asked for."""
    answered = AUTHORITY.execute(json.loads(request.content))
    for result in answered["data"].get("children", ()):
        result["child"]["nhsNumber"] = NOT_HELD.nhs_number
    return httpx.Response(200, json=answered)


def selects(text: str):  # type: ignore[no-untyped-def]
    return lambda request: text in json.loads(request.content)["query"]


CASE = Case(
    driver="childrens_services",
    connect=connect,
    source=AUTHORITY,
    held=HELD,
    not_held=NOT_HELD,
    another=another,
    drops_others=False,
    asks_for={
        "childrensServices.statuses": selects("statutory {"),
        "childrensServices.plans": selects("plans {"),
        "assessments": selects("assessments {"),
        "involvements.previous": selects("CLOSED"),
        "involvements": selects("OPEN"),
    },
    names_lead=True,
    private=("Amis", "Hart", "Ada", "2015-04-09", "Okoro", "01632 960101", "X123456", "SW900001"),
)
