"""An authority that executes what it is asked against the published schema. Every person is fictional."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
from graphql import GraphQLSchema, build_schema, default_field_resolver, graphql_sync

from connectors.base import Manifest
from connectors.childrens_services.client import HOLDS
from schema.records import Agency, ChildRef
from schema.vocabulary import AgencyKind

COUNCIL = Agency("cs-northshire", "Northshire Council", AgencyKind.CHILDRENS_SERVICES, "northshire")
MANIFEST = Manifest(
    agency=COUNCIL,
    organisation="northshire-council",
    driver="childrens_services",
    subjects=frozenset({ChildRef}),
    names_adults=True,
    holds=HOLDS,
    can_batch=True,
    answers_depend_on_asker=False,
    run_by="Northshire Council",
    support_contact="service-desk@northshire.example",
)

_PUBLISHED = Path(__file__).parents[3] / "docs" / "wire-interfaces.md"
_WORDS = """
scalar NhsNumber
scalar Date
scalar DateTime
enum NameUse { CURRENT FORMER ALIAS }
enum InvolvementStatus { OPEN CLOSED }
"""


def published_schema() -> GraphQLSchema:
    """Return the schema of the wire document, with the words that it leaves to its prose."""
    [sdl] = re.findall(r"```graphql\n(.*?)```", _PUBLISHED.read_text(encoding="utf-8"), re.DOTALL)
    return build_schema(sdl + _WORDS)


SCHEMA = published_schema()

TEAM = {
    "id": "T-1",
    "name": "Safeguarding Team North",
    "phone": "01632 960101",
    "email": "safeguarding-north@northshire.example",
    "dutyPhone": "01632 960100",
}
WORKER = {
    "id": "W-1",
    "displayName": "Sam Okoro",
    "role": "Social worker",
    "socialWorkEnglandNo": "SW900001",
    "phone": "01632 960102",
    "email": "sam.okoro@northshire.example",
}


def involvement(**changes: Any) -> dict[str, Any]:
    return {
        "id": "CS-1",
        "kind": "CHILD_PROTECTION",
        "status": "OPEN",
        "team": TEAM,
        "worker": WORKER,
        "startedOn": "2026-03-01",
        "endedOn": None,
        "isLead": True,
        "lastConfirmedAt": "2026-11-01T09:00:00Z",
        "sharing": None,
        **changes,
    }


def closed(**changes: Any) -> dict[str, Any]:
    row = {"id": "CS-2", "status": "CLOSED", "endedOn": "2026-02-28", "isLead": False, "kind": "ASSESSMENT"}
    return involvement(**{**row, **changes})


def plan(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "CHILD_PROTECTION",
        "startedOn": "2026-03-01",
        "endedOn": None,
        "reviewDueOn": "2026-12-01",
        "conferenceOn": "2026-12-03",
        "coreGroupOn": "2026-11-30",
        "category": "Neglect",
        **changes,
    }


def child(number: str, **changes: Any) -> dict[str, Any]:
    return {
        "localId": "N-1",
        "nhsNumber": str(number),
        "dateOfBirth": "2015-04-09",
        "sex": "F",
        "names": [
            {"use": "FORMER", "givenNames": ["Ada"], "familyName": "Hart"},
            {"use": "CURRENT", "givenNames": ["Ada", "Rose"], "familyName": "Amis"},
        ],
        "shielded": False,
        "sharing": None,
        "deceasedOn": None,
        "involvements": [involvement(), closed()],
        "linkedAdults": [
            {"crn": "X123456", "prisonNumber": None, "relationship": "FATHER", "assertedOn": "2026-03-01"}
        ],
        "statutory": [
            {"status": "CP_PLAN", "since": "2026-03-01", "until": None},
            {"status": "EARLY_HELP", "since": "2026-01-01", "until": "2999-12-31"},
        ],
        "plans": [plan(), plan(kind="EARLY_HELP", endedOn="2999-12-31")],
        "assessments": [
            {
                "id": "A-1",
                "kind": "EARLY_HELP",
                "holderTeam": TEAM,
                "startedOn": "2025-01-01",
                "completedOn": "2025-03-01",
                "consent": {"givenOn": "2025-01-01", "until": "2999-12-31", "withdrawnOn": None},
            }
        ],
        **changes,
    }


def result(number: str, record: Mapping[str, Any] | None, **changes: Any) -> dict[str, Any]:
    return {"nhsNumber": str(number), "complete": True, "child": record, **changes}


class Authority:
    """An authority that holds these records, and shields these numbers two a page."""

    def __init__(self, records: Iterable[Mapping[str, Any]], *, shielded: Iterable[str] = ()) -> None:
        self._records = {record["nhsNumber"]: copy.deepcopy(dict(record)) for record in records}
        self._shielded = sorted(shielded)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=self.execute(json.loads(request.content)))

    def execute(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the GraphQL answer to a request body."""
        root = {"children": self._children, "shielded": self._page, "health": {"status": "ok"}}
        executed = graphql_sync(
            SCHEMA, asked["query"], root, variable_values=asked["variables"], field_resolver=_resolve
        )
        return dict(executed.formatted)

    def _children(self, info: Any, nhsNumbers: list[str]) -> list[dict[str, Any]]:  # noqa: N803 (the schema's word)
        return [result(number, self._records.get(number)) for number in nhsNumbers]

    def _page(self, info: Any, after: str | None = None) -> dict[str, Any]:
        start = int(after or 0)
        more = str(start + 2) if start + 2 < len(self._shielded) else None
        return {"nhsNumbers": self._shielded[start : start + 2], "next": more, "complete": True}


def _resolve(source: Any, info: Any, **arguments: Any) -> Any:
    if info.field_name == "involvements":
        return [row for row in source["involvements"] if row["status"] in arguments["status"]]
    return default_field_resolver(source, info, **arguments)
