"""The simulated NHS trust and the national trace: a FHIR R4 server, searched by POST to keep numbers out of URLs."""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from gateway.demo.agencies.answers import Answer
from gateway.demo.agencies.desk import Ask, BadRequestError, Desk
from gateway.demo.agencies.faults import Fault, Faults
from gateway.demo.agencies.health_resources import (
    NHS_NUMBER,
    Resource,
    care_team,
    episode,
    flag,
    operation_outcome,
    patient,
    practitioner,
    practitioner_role,
    role_id,
)
from gateway.demo.agencies.oauth import Client, TokenDesk, register
from gateway.demo.families import World
from gateway.demo.people import CareTeam, Child, Inclusion, Worker
from gateway.demo.staff import HEALTH_TRUST_ODS

BASE = "/FHIR/R4"
SCOPE = "system/*.rs"
PAGE_SIZE = 4

_NHS_NUMBER = re.compile(r"[0-9]{10}")
_ISSUES = {400: "invalid", 401: "login", 403: "forbidden", 404: "not-found"}
_MOST_OPEN_SEARCHES = 1000
_PATIENT_SEARCH = frozenset({"patient.identifier", "status", "_include", "_count"})
_FLAG_SEARCH = _PATIENT_SEARCH | {"silent"}


def app(world: World, *, client: Client | None = None, faults: Faults | None = None) -> Starlette:
    """Return the trust's server; `app.state` holds `calls`, `notices`, `faults`, `tokens` and `client`."""
    client = client or register("contactpoint-gateway", SCOPE)
    faults = faults or Faults()
    desk = Desk("application/fhir+json", lambda status, code: operation_outcome(code, _ISSUES[status]), faults)
    tokens = TokenDesk(client, faults)
    trust = _Trust(world)
    guard = tokens.guard(SCOPE)
    searches = {"CareTeam": trust.care_teams, "EpisodeOfCare": trust.episodes, "Flag": trust.flags}
    routes = [
        Route("/oauth/token", tokens.token, methods=["POST"]),
        Route(f"{BASE}/metadata", desk.endpoint(lambda _: None, _metadata)),
        Route(f"{BASE}/Patient/{{nhs_number}}", desk.endpoint(guard, trust.trace)),
        Route(f"{BASE}/PractitionerRole/_search", desk.endpoint(guard, trust.practitioner_roles), methods=["POST"]),
        *(
            Route(f"{BASE}/{kind}/_search", desk.endpoint(guard, work), methods=["POST"])
            for kind, work in searches.items()
        ),
        *(Route(f"{BASE}/{kind}", desk.endpoint(guard, trust.next_page)) for kind in searches),
    ]
    application = Starlette(routes=routes, max_body_size=65_536)
    application.state.calls, application.state.faults = desk.calls, faults
    application.state.notices = desk.notices
    application.state.tokens, application.state.client = tokens, client
    return application


async def _metadata(_: Ask) -> Answer:
    statement = {"resourceType": "CapabilityStatement", "status": "active", "kind": "instance", "fhirVersion": "4.0.1"}
    return Answer(200, {**statement, "format": ["application/fhir+json"]})


@dataclass(frozen=True, slots=True)
class _Found:
    """A match with the resources that `_include` brings along."""

    resource: Resource
    included: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class _OpenSearch:
    """The rest of a search whose first page has been read."""

    kind: str
    subject: str
    total: int
    rest: tuple[_Found, ...]


class _Trust:
    def __init__(self, world: World) -> None:
        self._world = world
        self._stand_in = next(child for child in reversed(world.children) if _care_teams(child))
        self._open: OrderedDict[str, _OpenSearch] = OrderedDict()
        self._staff: dict[str, Worker] = {
            role_id(worker): worker
            for child in world.children
            for row in _care_teams(child)
            for worker in row.practitioners
        }

    async def trace(self, ask: Ask) -> Answer:
        """Return the Patient, the superseding one, or an OperationOutcome that says why there is none."""
        number = ask.request.path_params["nhs_number"]
        if not _NHS_NUMBER.fullmatch(number):
            return Answer(400, operation_outcome("INVALID_RESOURCE_ID", "value"))
        fault = ask.about(number)
        child = self._world.by_nhs_number.get(number)
        if child is None or child.health is None:
            return Answer(404, operation_outcome("RESOURCE_NOT_FOUND", "not-found"))
        if child.health.invalidated:
            return Answer(404, operation_outcome("INVALIDATED_RESOURCE", "not-found"))
        if child.health.superseded_by is not None:
            child = self._world.by_nhs_number[child.health.superseded_by]
        if fault is Fault.WRONG_PERSON:
            # the id that was asked for over the identifier and the name of somebody else
            return Answer(200, {**patient(self._stand_in), "id": number})
        return Answer(200, patient(child), {"ETag": 'W/"2"'})

    async def care_teams(self, ask: Ask) -> Answer:
        async def found(subject: str, child: Child, includes: frozenset[str]) -> Iterable[_Found]:
            wanted = "CareTeam:participant" in includes
            return [_Found(care_team(row, subject), _participants(row) if wanted else ()) for row in _care_teams(child)]

        return await self._search(ask, "CareTeam", found)

    async def episodes(self, ask: Ask) -> Answer:
        async def found(subject: str, child: Child, includes: frozenset[str]) -> Iterable[_Found]:
            wanted = "EpisodeOfCare:care-manager" in includes
            return [
                _Found(episode(row, subject), tuple(map(practitioner, row.practitioners[:1])) if wanted else ())
                for row in _care_teams(child)
                if row.episode
            ]

        return await self._search(ask, "EpisodeOfCare", found)

    async def flags(self, ask: Ask) -> Answer:
        async def found(subject: str, child: Child, _: frozenset[str]) -> Iterable[_Found]:
            return [_Found(flag(row, subject), ()) for row in (child.health.flags if child.health else ())]

        # CP-IS hears in its own parameter that the authority is not to be told
        return await self._search(ask, "Flag", found, _FLAG_SEARCH)

    async def practitioner_roles(self, ask: Ask) -> Answer:
        """Return the roles of these ids; it is about staff, so there is no subject."""
        form = await _form(ask.request, frozenset({"_id", "_include", "_count"}))
        ids = [one for one in form.get("_id", "").split(",") if one]
        workers = [self._staff[one] for one in ids if one in self._staff]
        included = "PractitionerRole:practitioner" in form.get("_include", "").split(",")
        found = tuple(
            _Found(
                practitioner_role(worker, HEALTH_TRUST_ODS, Inclusion.INCLUDED),
                (practitioner(worker),) if included else (),
            )
            for worker in workers
        )
        return Answer(200, self._bundle(ask.request, _OpenSearch("PractitionerRole", "", len(found), found), None))

    async def next_page(self, ask: Ask) -> Answer:
        """Return a further page of a search, by the opaque key that the page before gave."""
        search = self._open.get(ask.request.query_params.get("_page", ""))
        if search is None or set(ask.request.query_params) != {"_page"}:
            raise BadRequestError("no such page")
        fault = ask.about(search.subject)
        return Answer(200, self._bundle(ask.request, search, fault))

    async def _search(
        self,
        ask: Ask,
        kind: str,
        find: Callable[[str, Child, frozenset[str]], Any],
        allowed: frozenset[str] = _PATIENT_SEARCH,
    ) -> Answer:
        form = await _form(ask.request, allowed)
        if "silent" in allowed:
            if form.get("silent", "true") != "true":
                raise BadRequestError("silent is true, or left out")
            ask.silent = "silent" in form
        system, _, number = form.get("patient.identifier", "").partition("|")
        if system != NHS_NUMBER or not _NHS_NUMBER.fullmatch(number):
            raise BadRequestError("patient.identifier is system|value")
        fault = ask.about(number)
        child = self._world.by_nhs_number.get(number)
        subject = number
        if fault is Fault.WRONG_PERSON:
            child, subject = self._stand_in, self._stand_in.nhs_number
        includes = frozenset(form.get("_include", "").split(","))
        found = () if child is None else await find(subject, child, includes)
        states = _states(form)
        matches = tuple(one for one in found if states is None or one.resource["status"] in states)
        return Answer(200, self._bundle(ask.request, _OpenSearch(kind, number, len(matches), matches), fault))

    def _bundle(self, request: Request, search: _OpenSearch, fault: Fault | None) -> Resource:
        page, rest = search.rest[:PAGE_SIZE], search.rest[PAGE_SIZE:]
        address = f"{str(request.base_url).rstrip('/')}{BASE}"
        links = [{"relation": "self", "url": f"{address}/{search.kind}"}]
        if fault is Fault.PARTIAL_PAGE:
            page, rest = page[:-1], ()
        if rest:
            key = secrets.token_urlsafe(16)
            self._open[key] = _OpenSearch(search.kind, search.subject, search.total, rest)
            if len(self._open) > _MOST_OPEN_SEARCHES:
                self._open.popitem(last=False)
            links.append({"relation": "next", "url": f"{address}/{search.kind}?_page={key}"})
        included = {one["resourceType"] + one["id"]: one for found in page for one in found.included}
        entries = [_entry(address, found.resource, "match") for found in page]
        entries += [_entry(address, one, "include") for one in included.values()]
        bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": search.total, "link": links}
        # FHIR has no empty lists: a bundle without entries leaves the member out
        return {**bundle, "entry": entries} if entries else bundle


def _care_teams(child: Child) -> tuple[CareTeam, ...]:
    return child.health.care_teams if child.health is not None else ()


def _participants(row: CareTeam) -> tuple[Resource, ...]:
    match row.inclusion:
        case Inclusion.BY_REFERENCE:
            return ()
        case Inclusion.CONTAINED:
            return tuple(practitioner_role(worker, row.organisation, row.inclusion) for worker in row.practitioners)
        case Inclusion.INCLUDED:
            roles = [practitioner_role(worker, row.organisation, row.inclusion) for worker in row.practitioners]
            return (*roles, *map(practitioner, row.practitioners))


def _entry(address: str, resource: Resource, mode: str) -> Resource:
    url = f"{address}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}


async def _form(request: Request, allowed: frozenset[str]) -> dict[str, str]:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise BadRequestError("a search is a form")
    parsed = parse_qs((await request.body()).decode(errors="replace"), keep_blank_values=True)
    # `_include` may be repeated; for the rest, FHIR reads a repetition as "and", which no caller means
    if parsed.keys() - allowed or any(len(values) > 1 for name, values in parsed.items() if name != "_include"):
        raise BadRequestError("a parameter is not of this interface")
    return {name: ",".join(values) for name, values in parsed.items()}


def _states(form: dict[str, str]) -> frozenset[str] | None:
    """Return the states asked for, None for all; FHIR calls an ended episode `finished`, an ended team `inactive`."""
    if "status" not in form:
        return None
    states = frozenset(form["status"].split(","))
    if not states <= {"active", "inactive", "finished"}:
        raise BadRequestError("a status is not of this interface")
    return states | {"finished"} if "inactive" in states else states
