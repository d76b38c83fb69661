"""Driver `health` under contract, against a small FHIR server that behaves."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import httpx

from connectors.health.client import HealthConnector
from connectors.health.section import HOLDS
from connectors.http import SourceClient
from connectors.settings import HTTPSettings
from schema.identifiers import NHSNumber
from schema.records import ChildRef
from tests.connectors.contract.cases import BASE_URL, Case

NHS = "https://fhir.nhs.uk/Id/nhs-number"
NMC = "https://fhir.hl7.org.uk/Id/nmc-number"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

HELD = tuple(ChildRef(NHSNumber(text)) for text in ("9990000018", "9990000026", "9990000034"))
NOT_HELD = ChildRef(NHSNumber("9990000042"))

Resource = dict[str, Any]


def patient(number: str, **changed: Any) -> Resource:
    return {
        "resourceType": "Patient",
        "id": number,
        "identifier": [{"system": NHS, "value": number}],
        "meta": {"security": [{"system": CONFIDENTIALITY, "code": "U"}]},
        "name": [{"use": "usual", "given": ["Ada"], "family": "Amis"}, {"use": "old", "family": "Hart"}],
        "birthDate": "2015-04-09",
        "generalPractitioner": [
            {"identifier": {"value": "Y99001", "period": {"start": "2015-05-01"}}, "display": "Meadow Surgery"}
        ],
        **changed,
    }


def care_team(number: str, *, ended: bool = False, **changed: Any) -> Resource:
    return {
        "resourceType": "CareTeam",
        "id": f"ct-{'old' if ended else 'new'}-{number[-3:]}",
        "status": "inactive" if ended else "active",
        "name": "Health Visiting South",
        "subject": {"identifier": {"system": NHS, "value": number}},
        "period": {"start": "2020-01-01", **({"end": "2021-01-01"} if ended else {})},
        "participant": [
            {"role": [{"text": "Health visitor"}], "member": {"reference": "PractitionerRole/pr-1"}},
        ],
        "telecom": [{"system": "phone", "value": "01632 960401", "use": "work"}],
        **changed,
    }


def episode(number: str, **changed: Any) -> Resource:
    return {
        "resourceType": "EpisodeOfCare",
        "id": f"ep-{number[-3:]}",
        "status": "active",
        "type": [{"text": "Health visiting"}],
        "patient": {"identifier": {"system": NHS, "value": number}},
        "period": {"start": "2020-01-01"},
        "careManager": {"reference": "Practitioner/p-1"},
        "team": [{"reference": f"CareTeam/ct-new-{number[-3:]}"}],
        **changed,
    }


def flag(number: str, **changed: Any) -> Resource:
    return {
        "resourceType": "Flag",
        "id": f"fl-{number[-3:]}",
        "status": "active",
        "code": {"coding": [{"code": "CPP"}]},
        "subject": {"reference": f"Patient/{number}"},
        "period": {"start": "2026-02-01", "end": "2999-12-31"},
        "author": {"reference": "#authority", "display": "An authority"},
        "contained": [authority()],
        **changed,
    }


def authority(**changed: Any) -> Resource:
    """The authority that answers for a flag, with its telephones by day and out of hours (CP-IS)."""
    night = {"extension": [{"url": "https://contactpoint.example/fhir/out-of-hours", "valueBoolean": True}]}
    return {
        "resourceType": "Organization",
        "id": "authority",
        "name": "Northshire Council",
        "telecom": [
            {"system": "phone", "value": "01632 960101", "use": "work"},
            {"system": "phone", "value": "01632 960100", "use": "work", **night},
        ],
        **changed,
    }


def practitioner(**changed: Any) -> Resource:
    return {
        "resourceType": "Practitioner",
        "id": "p-1",
        "identifier": [{"system": NMC, "value": "99A0001N"}],
        "name": [{"given": ["Hana"], "family": "Lind"}],
        **changed,
    }


def practitioner_role(**changed: Any) -> Resource:
    return {
        "resourceType": "PractitionerRole",
        "id": "pr-1",
        "practitioner": {"reference": "Practitioner/p-1"},
        "code": [{"text": "Health visitor"}],
        "telecom": [{"system": "phone", "value": "01632 960480", "use": "work"}],
        **changed,
    }


def bundle(*matches: Resource, included: tuple[Resource, ...] = (), **changed: Any) -> Resource:
    entries = [{"resource": match, "search": {"mode": "match"}} for match in matches]
    entries += [{"resource": one, "search": {"mode": "include"}} for one in included]
    members = {"entry": entries} if entries else {}
    return {"resourceType": "Bundle", "type": "searchset", "total": len(matches), **members, **changed}


def not_found(code: str = "RESOURCE_NOT_FOUND") -> Resource:
    coding = {"system": "https://fhir.nhs.uk/R4/CodeSystem/Spine-ErrorOrWarningCode", "code": code}
    issue = {"severity": "error", "code": "not-found", "details": {"coding": [coding]}}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def fhir(resource: Resource, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=resource, headers={"Content-Type": "application/fhir+json"})


def form_of(request: httpx.Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.content.decode()).items()}


def source(request: httpx.Request) -> httpx.Response:
    """Answer as a server that keeps to the wire document; participants are sent along, their persons are not."""
    path = request.url.path.removeprefix("/api/")
    form = form_of(request)
    if path == "metadata":
        return fhir({"resourceType": "CapabilityStatement", "status": "active"})
    if path == "PractitionerRole/_search":
        return fhir(bundle(practitioner_role(), included=(practitioner(),)))
    number = path.removeprefix("Patient/") if path.startswith("Patient/") else form["patient.identifier"].split("|")[1]
    held = ChildRef(NHSNumber(number)) in HELD
    if path.startswith("Patient/"):
        return fhir(patient(number)) if held else fhir(not_found(), 404)
    if not held:
        return fhir(bundle())
    if path == "CareTeam/_search":
        return fhir(bundle(care_team(number, ended=form["status"] == "inactive"), included=(practitioner_role(),)))
    if path == "EpisodeOfCare/_search":
        return fhir(bundle(*([episode(number)] if form["status"] == "active" else [])))
    if path == "Flag/_search":
        return fhir(bundle(flag(number)))
    return httpx.Response(404)


def another(request: httpx.Request) -> httpx.Response:
    """Answer about the second child when the first is asked about: a trace like a merge, care teams that are none."""
    turned = str(HELD[0].nhs_number), str(HELD[1].nhs_number)
    content = request.content.decode().replace(*turned).encode()
    url = str(request.url).replace(*turned)
    headers = {"Content-Type": request.headers.get("content-type", "")}
    return source(httpx.Request(request.method, url, headers=headers, content=content))


def connect(transport: httpx.AsyncBaseTransport) -> HealthConnector:
    entry = {"id": "health-test", "name": "Test NHS Trust", "kind": "HEALTH", "driver": "health", "base_url": BASE_URL}
    settings = HTTPSettings.model_validate(entry)
    client = SourceClient(BASE_URL, allow_private=False, max_connections=64, transport=transport)
    return HealthConnector(settings.manifest(holds=HOLDS), client, base_url=BASE_URL)


def _searches(kind: str, status: str) -> Any:
    return lambda request: request.url.path == f"/api/{kind}/_search" and form_of(request)["status"] == status


CASE = Case(
    driver="health",
    connect=connect,
    source=source,
    held=HELD,
    not_held=NOT_HELD,
    another=another,
    drops_others=False,
    asks_for={
        "involvements": _searches("CareTeam", "active"),
        "involvements.previous": _searches("CareTeam", "inactive"),
        "health.safeguarding": _searches("Flag", "active"),
    },
    names_lead=True,
    silences=lambda request: request.url.path != "/api/Flag/_search" or form_of(request).get("silent") == "true",
    private=("Amis", "Hana", "Lind", "2015-04-09", "01632"),
)
