"""A force as it answers when all is well, in its own words. Every person is fictional."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx

from connectors.base import Manifest
from connectors.police.client import HOLDS
from schema.records import Agency, ChildRef
from schema.vocabulary import AgencyKind

FORCE = Agency("police-northshire", "Northshire Constabulary", AgencyKind.POLICE, "northshire")
MANIFEST = Manifest(
    agency=FORCE,
    organisation="northshire-constabulary",
    driver="police",
    subjects=frozenset({ChildRef}),
    names_adults=False,
    holds=HOLDS,
    can_batch=True,
    answers_depend_on_asker=False,
    run_by="Northshire Constabulary",
    support_contact="service-desk@northshire.police.example",
)
EVERYTHING = HOLDS


def involvement(**changes: Any) -> dict[str, Any]:
    return {
        "id": "INV-1",
        "eventType": "PUBLIC_PROTECTION_NOTICE",
        "role": "SAFEGUARDING_DETECTIVE",
        "officer": {"collar": "DC 4411", "name": "R Okafor", "rank": "DC"},
        "unit": {
            "code": "CAIT-S",
            "name": "Child Abuse Investigation Team South",
            "phone": "01632 960301",
            "email": "cait-south@northshire.police.example",
            "outOfHours": "01632 960300",
        },
        "from": "2026-03-01",
        "to": None,
        "status": "OPEN",
        "lastConfirmedAt": "2026-11-01T09:00:00Z",
        "disclosure": {"marking": "OFFICIAL-SENSITIVE", "doNotDisclose": False},
        **changes,
    }


def closed(**changes: Any) -> dict[str, Any]:
    return involvement(**{"id": "INV-2", "status": "CLOSED", "to": "2026-04-01", **changes})


def order(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "POLICE_PROTECTION_S46",
        "from": "2026-03-01",
        "to": None,
        "unit": {"name": "Public Protection Unit", "phone": "01632 960302", "outOfHours": "01632 960300"},
        "disclosure": {"marking": "OFFICIAL-SENSITIVE", "doNotDisclose": False},
        **changes,
    }


def notification(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "MISSING_NOTIFICATION",
        "sentOn": "2026-03-02",
        "recipient": "CHILDRENS_SERVICES",
        "disclosure": {"marking": "OFFICIAL-SENSITIVE", "doNotDisclose": False},
        **changes,
    }


def match(number: str, *involvements: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A nominal; `restricted` and `handlingCode` change its flags, anything else a member of its own."""
    flags = {"restricted": changes.pop("restricted", False), "handlingCode": changes.pop("handlingCode", "P")}
    return {
        "nominalId": "99/NIC/000123456",
        "nhsNumber": number,
        "matchScore": 0.98,
        "person": {
            "familyName": "Amis",
            "givenNames": ["Ada"],
            "dateOfBirth": "2015-04-09",
            "aliases": [{"familyName": "Amis-Hart", "givenNames": ["Ada"]}],
            "roles": ["CHILD_AT_RISK"],
        },
        "flags": flags,
        "involvements": list(involvements) or [involvement(), closed()],
        "orders": [order(), order(kind="CHILD_ABDUCTION_WARNING_NOTICE", to="2026-05-01")],
        "notifications": [notification()],
        **changes,
    }


def result(number: str, *matches: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {"nhsNumber": number, "complete": True, "count": len(matches), "matches": list(matches), **changes}


def envelope(request_id: str, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "requestId": request_id,
        "force": {"code": "99", "name": "Northshire Constabulary"},
        "complete": True,
        "count": sum(one["count"] for one in results),
        "results": list(results),
    }


def answering_json(value: Any) -> httpx.Response:
    return httpx.Response(200, json=value)


def well_behaved(held: Iterable[str]) -> Any:
    """Return a force that holds a nominal for each number, answers as it is asked, and is well."""
    known = frozenset(held)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/api/v1/health"):
            return answering_json({"status": "ok"})
        asked = json.loads(request.content)
        return answering_json(
            envelope(
                asked["requestId"],
                [
                    result(number, *([told(number, asked)] if number in known else []))
                    for number in (subject["nhsNumber"] for subject in asked["subjects"])
                ],
            )
        )

    return answer


def told(number: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A match with what was asked for, and no more."""
    rows = [row for row in (involvement(), closed()) if row["status"] in asked["status"]]
    for row in rows:
        if "events" not in asked["include"]:
            del row["eventType"]
        if "officers" not in asked["include"]:
            del row["officer"]
    whole = match(number)
    whole["involvements"] = rows
    for section in ("orders", "notifications"):
        if section not in asked["include"]:
            del whole[section]
    return whole
