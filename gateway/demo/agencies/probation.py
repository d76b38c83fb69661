"""The simulated HMPPS External API: an adult by CRN or prison number, in the shapes of its recorded answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from gateway.demo.agencies.answers import Answer
from gateway.demo.agencies.desk import Ask, Desk, Guard, Refusal
from gateway.demo.agencies.faults import Fault, Faults
from gateway.demo.families import World
from gateway.demo.people import Adult, Allocation, Worker

_PLACEHOLDERS = {
    # both are seen in probation's records: the second is what its case system writes for nobody
    Allocation.PLACEHOLDER_UNALLOCATED: {"forename": "Unallocated", "surname": "Unallocated"},
    Allocation.PLACEHOLDER_STAFF: {"forename": "Unallocated", "surname": "Staff"},
}
_LEVELS = {1: "MAPPA Level 1", 2: "MAPPA Level 2", 3: "MAPPA Level 3"}
_CATEGORIES = {
    1: "Registered sex offender",
    2: "Violent and other sexual offenders",
    3: "Other dangerous offenders",
    4: "Terrorism",
}


@dataclass(frozen=True, slots=True)
class ApiClient:
    """A consumer, as the gateway before the API knows it: the certificate's name and a key."""

    api_key: str
    distinguished_name: str


def app(world: World, *, client: ApiClient | None = None, faults: Faults | None = None) -> Starlette:
    """Return the API's server; `app.state` holds `calls`, `notices`, `faults` and `client`."""
    client = client or ApiClient(secrets.token_urlsafe(24), "CN=contactpoint-gateway,O=Northshire")
    faults = faults or Faults()
    desk = Desk("application/json", _problem, faults)
    api = _Api(world)
    guard = _guard(client)
    person = "/v1/persons/{hmpps_id}"
    routes = [
        Route("/v1/status", desk.endpoint(guard, _status)),
        Route(person, desk.endpoint(guard, api.about(_person))),
        Route(f"{person}/person-responsible-officer", desk.endpoint(guard, api.about(_responsible_officer))),
        Route(f"{person}/access-limitations", desk.endpoint(guard, api.about(_access_limitations))),
        Route(f"{person}/risks/mappadetail", desk.endpoint(guard, api.about(_mappa))),
        Route(f"{person}/risks/dynamic", desk.endpoint(guard, api.about(_dynamic_risks))),
        Route(f"{person}/risks/serious-harm", desk.endpoint(guard, api.about(_serious_harm))),
    ]
    application = Starlette(routes=routes)
    application.state.calls, application.state.faults, application.state.client = desk.calls, faults, client
    application.state.notices = desk.notices
    return application


def _guard(client: ApiClient) -> Guard:
    def check(request: Request) -> Refusal | None:
        if not secrets.compare_digest(request.headers.get("x-api-key", "").encode(), client.api_key.encode()):
            return Refusal(403, "FORBIDDEN")
        if request.headers.get("subject-distinguished-name") != client.distinguished_name:
            return Refusal(403, "FORBIDDEN")
        return None

    return check


def _problem(status: int, code: str) -> dict[str, Any]:
    kind = {400: "BAD_REQUEST", 403: "FORBIDDEN", 404: "ENTITY_NOT_FOUND"}.get(status, "INTERNAL_SERVER_ERROR")
    return {"data": None, "errors": [{"causedBy": "NDELIUS", "type": kind, "description": code}]}


async def _status(_: Ask) -> Answer:
    return Answer(200, {"data": {"status": "ok"}})


class _Api:
    def __init__(self, world: World) -> None:
        self._adults = world.by_adult_identifier
        self._stand_in = world.adults[-1]

    def about(self, tell: Callable[[Adult], dict[str, Any]]) -> Callable[[Ask], Any]:
        """Return work that finds the adult first: 404 when there is none, 303 when two records became one."""

        async def work(ask: Ask) -> Answer:
            identifier = ask.request.path_params["hmpps_id"]
            fault = ask.about(identifier)
            adult = self._adults.get(identifier)
            if adult is None:
                return Answer(404, _problem(404, "Not found"))
            if adult.merged_into is not None:
                return Answer(303, {"data": None}, {"Location": f"/v1/persons/{adult.merged_into}"})
            body = tell(self._stand_in if fault is Fault.WRONG_PERSON else adult)
            if fault is Fault.PARTIAL_PAGE:
                body["errors"] = [
                    {"causedBy": "NDELIUS", "type": "INTERNAL_SERVER_ERROR", "description": "Unavailable"}
                ]
            return Answer(200, body)

        return work


def _person(adult: Adult) -> dict[str, Any]:
    prison = _as_person(adult, adult.prison_number) if adult.prison_number else None
    probation = {"underActiveSupervision": adult.under_supervision, **_as_person(adult, adult.crn)}
    return {"data": {"prisonerOffenderSearch": prison, "probationOffenderSearch": probation}}


def _as_person(adult: Adult, hmpps_id: str) -> dict[str, Any]:
    limitation = adult.limitation
    return {
        "firstName": adult.given,
        "lastName": adult.family,
        "middleName": adult.middle,
        "dateOfBirth": adult.date_of_birth.isoformat(),
        "gender": {"M": "Male", "F": "Female"}.get(adult.sex),
        "ethnicity": None,
        "aliases": [],
        "identifiers": {"nomisNumber": adult.prison_number, "croNumber": None, "deliusCrn": adult.crn},
        "pncId": None,
        "hmppsId": hmpps_id,
        "contactDetails": {"phoneNumbers": [], "emails": []},
        "currentRestriction": bool(limitation and limitation.restricted_to),
        "restrictionMessage": "This is a restricted record" if limitation and limitation.restricted_to else None,
        "currentExclusion": bool(limitation and limitation.excluded),
        "exclusionMessage": "You are excluded from viewing this record" if limitation and limitation.excluded else None,
    }


def _responsible_officer(adult: Adult) -> dict[str, Any]:
    manager = adult.prison_manager
    prison = manager and {"forename": manager.given, "surname": manager.family, "prison": {"code": adult.prison}}
    return {"data": {"prisonOffenderManager": prison, "communityOffenderManager": _community_manager(adult)}}


def _community_manager(adult: Adult) -> dict[str, Any]:
    officer: Worker | None = adult.officer
    name = {"forename": officer.given, "surname": officer.family} if officer else _PLACEHOLDERS.get(adult.allocation)
    return {
        "name": name,
        "email": officer and officer.email,
        "telephoneNumber": officer and officer.phone,
        "team": {
            "code": adult.team.code,
            "description": adult.team.name,
            "email": adult.team.email,
            "telephoneNumber": adult.team.phone,
        },
    }


def _access_limitations(adult: Adult) -> dict[str, Any]:
    excluded = adult.limitation.excluded if adult.limitation else ()
    restricted_to = adult.limitation.restricted_to if adult.limitation else ()
    return {
        "data": {
            "excludedFrom": [{"email": email} for email in excluded],
            "exclusionMessage": "You are excluded from viewing this record" if excluded else None,
            "restrictedTo": [{"email": email} for email in restricted_to],
            "restrictionMessage": "This is a restricted record" if restricted_to else None,
        }
    }


def _mappa(adult: Adult) -> dict[str, Any]:
    mappa = adult.mappa
    if mappa is None:
        return {"data": None}
    return {
        "data": {
            "level": mappa.level,
            "levelDescription": _LEVELS[mappa.level],
            "category": mappa.category,
            "categoryDescription": _CATEGORIES[mappa.category],
            "startDate": mappa.started_on.isoformat(),
            "reviewDate": mappa.review_on.isoformat(),
            "notes": "Fictional notes, which nobody may pass on",
        }
    }


_NOTES = "Fictional notes, which nobody may pass on"
_SELF = ("suicide", "selfHarm", "custody", "hostelSetting", "vulnerability")
_OTHER = ("escapeOrAbscond", "controlIssuesDisruptiveBehaviour", "breachOfTrust", "riskToOtherPrisoners")
_FREE_TEXT = ("whoIsAtRisk", "natureOfRisk", "riskImminence", "riskIncreaseFactors", "riskMitigationFactors")


def _serious_harm(adult: Adult) -> dict[str, Any]:
    harm = adult.harm
    if harm is None:
        return {"data": None}
    to_self = {
        "risk": "NO",
        "previous": "NO",
        "previousConcernsText": _NOTES,
        "current": "NO",
        "currentConcernsText": _NOTES,
    }
    levels = {"children": harm.to_children, "public": "LOW", "staff": "LOW", "prisoners": "LOW"}
    return {
        "data": {
            "assessedOn": f"{harm.assessed_on.isoformat()}T10:15:41",
            "riskToSelf": dict.fromkeys(_SELF, to_self),
            "otherRisks": dict.fromkeys(_OTHER, "NO"),
            "summary": {
                **dict.fromkeys(_FREE_TEXT, _NOTES),
                "overallRiskLevel": harm.overall,
                # the recorded answers have the space behind the word, and this spelling of the adult
                "riskInCommunity": {**{who: f"{level} " for who, level in levels.items()}, "knowAdult": "MEDIUM"},
                "riskInCustody": {**levels, "knowAdult": "LOW"},
            },
        }
    }


def _dynamic_risks(adult: Adult) -> dict[str, Any]:
    rows = [
        {
            "code": risk.code,
            "description": risk.description,
            "startDate": risk.started_on.isoformat(),
            "reviewDate": risk.review_on.isoformat(),
            "notes": "Fictional notes, which nobody may pass on",
        }
        for risk in adult.risks
    ]
    count = len(rows)
    return {
        "data": rows,
        "pagination": {
            "isLastPage": True,
            "count": count,
            "page": 1,
            "perPage": 10,
            "totalCount": count,
            "totalPages": min(count, 1),
        },
    }
