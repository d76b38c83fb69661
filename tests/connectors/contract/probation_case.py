"""Driver `probation` under contract, against a small External API that behaves."""

from __future__ import annotations

from typing import Any

import httpx

from connectors.http import SourceClient
from connectors.probation.client import ProbationConnector
from connectors.probation.section import HOLDS
from connectors.settings import HTTPSettings
from schema.identifiers import CRN, PrisonNumber
from schema.records import AdultRef
from tests.connectors.contract.cases import BASE_URL, Case

HELD = (AdultRef(CRN("X900001")), AdultRef(CRN("X900002")), AdultRef(PrisonNumber("A9003AA")))
NOT_HELD = AdultRef(CRN("X900009"))


def person(identifier: str, **changed: Any) -> dict[str, Any]:
    """Return one half of an answer about a person; its name and date of birth are there to be dropped."""
    is_crn = identifier[1:].isdigit()
    return {
        "firstName": "Ned",
        "lastName": "Hartley",
        "dateOfBirth": "1985-02-03",
        "aliases": [{"firstName": "Ed", "lastName": "Hart"}],
        "identifiers": {
            "nomisNumber": None if is_crn else identifier,
            "croNumber": None,
            "deliusCrn": identifier if is_crn else None,
        },
        "hmppsId": identifier,
        "currentRestriction": False,
        "currentExclusion": False,
        **changed,
    }


def persons(identifier: str, **changed: Any) -> dict[str, Any]:
    probation = person(identifier, underActiveSupervision=False)
    return {"data": {"prisonerOffenderSearch": person(identifier), "probationOffenderSearch": probation, **changed}}


def community_manager(**changed: Any) -> dict[str, Any]:
    return {
        "name": {"forename": "Petra", "surname": "Blum"},
        "email": "petra.blum@probation.example",
        "telephoneNumber": "01632 960580",
        "team": {
            "code": "N99OM1",
            "description": "Northshire Offender Management 1",
            "email": "om1@probation.example",
            "telephoneNumber": "01632 960501",
        },
        **changed,
    }


def officers(**changed: Any) -> dict[str, Any]:
    prison = {"forename": "Noor", "surname": "Tully", "prison": {"code": "NSI"}}
    return {"data": {"prisonOffenderManager": prison, "communityOffenderManager": community_manager(), **changed}}


def limitations(**changed: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "excludedFrom": [],
        "exclusionMessage": None,
        "restrictedTo": [],
        "restrictionMessage": None,
    }
    return {"data": {**nothing, **changed}}


MAPPA = {
    "data": {
        "level": 2,
        "category": 1,
        "startDate": "2026-01-05",
        "reviewDate": "2026-12-05",
        "levelDescription": "",
        "categoryDescription": "",
        "notes": "private",
    }
}


def risks(*codes: str, page: int = 1, of: int = 1, total: int | None = None) -> dict[str, Any]:
    rows = [
        {
            "code": code,
            "description": "Child concerns",
            "startDate": "2026-01-05",
            "reviewDate": "2026-12-05",
            "notes": "n",
        }
        for code in codes
    ]
    counted = len(codes) if total is None else total
    pagination = {"isLastPage": page == of, "count": len(codes), "page": page, "perPage": 10, "totalCount": counted}
    return {"data": rows, "pagination": {**pagination, "totalPages": of}}


def serious_harm(children: Any = "HIGH ", **changed: Any) -> dict[str, Any]:
    """Return the answer with one level that is read, and free text that is there to be dropped."""
    summary = {
        "whoIsAtRisk": "private",
        "natureOfRisk": "private",
        "overallRiskLevel": "VERY_HIGH",
        "riskInCommunity": {"children": children, "public": "LOW"},
        "riskInCustody": {"children": "LOW"},
    }
    return {"data": {"assessedOn": "2026-01-16T16:22:54", "otherRisks": {}, "summary": summary, **changed}}


def not_found() -> dict[str, Any]:
    return {"data": None, "errors": [{"causedBy": "NDELIUS", "type": "ENTITY_NOT_FOUND", "description": "Not found"}]}


def source(request: httpx.Request) -> httpx.Response:
    """Answer as the API does: each adult has an officer in prison now, and one in the community whose work is over."""
    path = request.url.path.removeprefix("/api")
    if path == "/v1/status":
        return httpx.Response(200, json={"data": {"status": "ok"}})
    identifier, _, rest = path.removeprefix("/v1/persons/").partition("/")
    if identifier not in {str(adult.identifier) for adult in HELD}:
        return httpx.Response(404, json=not_found())
    body = {
        "": persons(identifier),
        "person-responsible-officer": officers(),
        "access-limitations": limitations(),
        "risks/mappadetail": MAPPA,
        "risks/dynamic": risks("RCCO"),
        "risks/serious-harm": serious_harm(),
    }.get(rest)
    return httpx.Response(404) if body is None else httpx.Response(200, json=body)


def another(request: httpx.Request) -> httpx.Response:
    """Answer about the second adult when the first is asked about."""
    url = str(request.url).replace(str(HELD[0].identifier), str(HELD[1].identifier))
    return source(httpx.Request(request.method, url))


def connect(transport: httpx.AsyncBaseTransport) -> ProbationConnector:
    entry = {"id": "probation-test", "name": "Test PDU", "kind": "PROBATION", "driver": "probation"}
    settings = HTTPSettings.model_validate({**entry, "base_url": BASE_URL})
    client = SourceClient(BASE_URL, allow_private=False, max_connections=64, transport=transport)
    manifest = settings.manifest(holds=HOLDS, subjects=frozenset({AdultRef}))
    return ProbationConnector(manifest, client, calls_at_once=16)


CASE = Case(
    driver="probation",
    connect=connect,
    source=source,
    held=HELD,
    not_held=NOT_HELD,
    another=another,
    drops_others=False,
    asks_for={
        "probation.risk": lambda request: request.url.path.endswith("/risks/dynamic"),
        "probation.riskToChildren": lambda request: request.url.path.endswith("/risks/serious-harm"),
        "probation.mappa": lambda request: request.url.path.endswith("/risks/mappadetail"),
    },
    names_lead=False,
    # the API publishes no day on which supervision began or will end
    not_published=frozenset({"probation.supervision.since", "probation.supervision.until"}),
    private=("Hartley", "1985-02-03", "Petra", "Blum", "01632"),
)
