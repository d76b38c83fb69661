"""The simulated police force: nominals by NHS number, in the POLE vocabulary (an interface of our own)."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from datetime import date
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route

from gateway.demo.agencies.answers import Answer
from gateway.demo.agencies.desk import PURPOSE_CLASSES, Ask, BadRequestError, Desk
from gateway.demo.agencies.faults import Fault, FaultRule, Faults
from gateway.demo.agencies.oauth import Client, TokenDesk, register
from gateway.demo.families import World
from gateway.demo.people import Child, PoliceInvolvement, PoliceRecord, Team
from gateway.demo.staff import FORCE

SCOPE = "pole.nominal.search"
MOST_SUBJECTS = 100

_NHS_NUMBER = re.compile(r"[0-9]{10}")
_INCLUDES = frozenset({"officers", "events", "orders", "notifications"})
_STATUSES = frozenset({"OPEN", "CLOSED"})


def app(world: World, *, client: Client | None = None, faults: Faults | None = None) -> Starlette:
    """Return the force's server; `app.state` holds `calls`, `notices`, `faults`, `tokens` and `client`.

    The child of the story `agency-down` meets a 503 from the start, alone or among others.
    """
    client = client or register("contactpoint-gateway", SCOPE)
    faults = faults or Faults(FaultRule(Fault.UNAVAILABLE, frozenset({world.story("agency-down").nhs_number}), None))
    desk = Desk("application/json", _problem, faults)
    tokens = TokenDesk(client, faults)
    nominals = _Nominals(world)
    routes = [
        Route("/oauth/token", tokens.token, methods=["POST"]),
        Route("/api/v1/health", desk.endpoint(lambda _: None, _health), methods=["GET"]),
        Route("/api/v1/nominals/search", desk.endpoint(tokens.guard(SCOPE), nominals.search), methods=["POST"]),
    ]
    application = Starlette(routes=routes, max_body_size=65_536)
    application.state.calls, application.state.faults = desk.calls, faults
    application.state.notices = desk.notices
    application.state.tokens, application.state.client = tokens, client
    return application


def _problem(status: int, code: str) -> dict[str, Any]:
    return {"error": {"status": status, "code": code}}


async def _health(_: Ask) -> Answer:
    return Answer(200, {"status": "ok"})


class _Nominals:
    def __init__(self, world: World) -> None:
        self._world = world
        # whom the force talks of when it is told to answer about the wrong person
        self._stand_in = next(child for child in reversed(world.children) if child.police is not None)

    async def search(self, ask: Ask) -> Answer:
        """Return one result for each subject asked about."""
        asked = _read(await ask.request.body())
        fault = ask.about(*asked.numbers)
        results = [self._result(number, asked, fault) for number in asked.numbers]
        if fault is Fault.MISSING_RESULT:
            results = results[1:]
        body = {
            "requestId": asked.request_id,
            "force": FORCE,
            "complete": fault is not Fault.PARTIAL_PAGE,
            "count": sum(result["count"] for result in results),
            "results": results,
        }
        return Answer(200, body)

    def _result(self, number: str, asked: _Search, fault: Fault | None) -> dict[str, Any]:
        child = self._world.by_nhs_number.get(number)
        if fault is Fault.WRONG_PERSON:
            child = self._stand_in
        matches = [_match(child, child.police, asked)] if child is not None and child.police is not None else []
        complete = fault is not Fault.PARTIAL_PAGE
        return {"nhsNumber": number, "complete": complete, "count": len(matches), "matches": matches}


class _Search:
    """A search body of this interface; raises BadRequestError for any other."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.request_id = body.get("requestId")
        subjects = body.get("subjects")
        self.include = _words(body.get("include", []), _INCLUDES)
        self.status = _words(body.get("status", ["OPEN"]), _STATUSES)
        if not isinstance(self.request_id, str) or body.get("purposeClass") not in PURPOSE_CLASSES:
            raise BadRequestError("requestId and purposeClass are required")
        if body.keys() - {"requestId", "purposeClass", "subjects", "include", "status"}:
            raise BadRequestError("a member is not of this interface")
        if not isinstance(subjects, list) or not 1 <= len(subjects) <= MOST_SUBJECTS:
            raise BadRequestError("subjects are a list of one or more")
        self.numbers = tuple(_number(subject) for subject in subjects)


def _read(body: bytes) -> _Search:
    try:
        parsed = json.loads(body)
    except ValueError:
        raise BadRequestError("the body is not JSON") from None
    if not isinstance(parsed, dict):
        raise BadRequestError("the body is not an object")
    return _Search(parsed)


def _words(value: Any, allowed: Collection[str]) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(word, str) and word in allowed for word in value):
        raise BadRequestError("a word is not of its list")
    return frozenset(value)


def _number(subject: Any) -> str:
    number = subject.get("nhsNumber") if isinstance(subject, dict) and subject.keys() == {"nhsNumber"} else None
    if not isinstance(number, str) or not _NHS_NUMBER.fullmatch(number):
        raise BadRequestError("a subject is an NHS number")
    return number


def _match(child: Child, record: PoliceRecord, asked: _Search) -> dict[str, Any]:
    match: dict[str, Any] = {
        "nominalId": record.nominal_id,
        "nhsNumber": child.nhs_number,
        "matchScore": round(record.match_score, 2),
        "person": {
            "familyName": child.current_name.family,
            "givenNames": list(child.current_name.given),
            "dateOfBirth": child.date_of_birth.isoformat(),
            "aliases": [{"familyName": name.family, "givenNames": list(name.given)} for name in child.names[1:]],
            "roles": list(record.roles),
        },
        "flags": {"restricted": record.restricted, "handlingCode": record.handling_code},
        "involvements": [
            _involvement(row, asked.include)
            for row in record.involvements
            if ("CLOSED" if row.ended_on else "OPEN") in asked.status
        ],
    }
    if "orders" in asked.include:
        match["orders"] = [
            {
                "kind": order.kind,
                "from": order.started_on.isoformat(),
                "to": _iso(order.ended_on),
                "unit": order.unit and _unit(order.unit),
                "disclosure": _disclosure(order.do_not_disclose),
            }
            for order in record.orders
        ]
    if "notifications" in asked.include:
        match["notifications"] = [
            {
                "kind": sent.kind,
                "sentOn": sent.sent_on.isoformat(),
                "recipient": sent.recipient,
                "disclosure": _disclosure(sent.do_not_disclose),
            }
            for sent in record.notifications
        ]
    return match


def _unit(unit: Team) -> dict[str, Any]:
    return {
        "code": unit.code,
        "name": unit.name,
        "phone": unit.phone,
        "email": unit.email,
        "outOfHours": unit.out_of_hours,
    }


def _disclosure(do_not_disclose: bool) -> dict[str, Any]:
    return {"marking": "OFFICIAL-SENSITIVE", "doNotDisclose": do_not_disclose}


def _involvement(row: PoliceInvolvement, include: Collection[str]) -> dict[str, Any]:
    involvement: dict[str, Any] = {
        "id": row.id,
        "role": row.role,
        "unit": _unit(row.unit),
        "from": row.started_on.isoformat(),
        "to": _iso(row.ended_on),
        "status": "CLOSED" if row.ended_on else "OPEN",
        "lastConfirmedAt": f"{row.last_confirmed_on.isoformat()}T09:00:00Z",
        "disclosure": _disclosure(row.do_not_disclose),
    }
    if "events" in include:
        involvement["eventType"] = row.event_type
    if "officers" in include:
        officer = row.officer
        involvement["officer"] = officer and {"collar": officer.collar, "name": officer.name, "rank": officer.rank}
    return involvement


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
