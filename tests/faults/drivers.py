"""The four shipped drivers before the demo's agencies, with a place between them at which everything can go wrong.

A fault of the way there or of the reply is done between the two (`Deed.body` None), to every request or to those of one
path; what an agency may say wrong is its own fault (`gateway.demo.agencies.faults`). Signing in always goes well.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from copy import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx
from starlette.applications import Starlette

from connectors import registry
from connectors.base import Ask, Connector, FieldMask
from gateway.demo.agencies import childrens_services, health, police, probation
from gateway.demo.agencies.faults import Fault
from gateway.demo.families import World as Families
from gateway.demo.families import make_world
from gateway.demo.people import Child
from gateway.federation.sources import Source
from gateway.federation.upstream import Upstream
from schema.identifiers import NHSNumber
from schema.records import Answer, SubjectRef
from schema.vocabulary import SourceReason
from tests.faults.matrix import DEEDS, WELL, Deed
from tests.faults.rig import MOST_ASKED, NEVER_OPEN, Unspent, port_where_nobody_listens, usual_limits, wrong_ways
from tests.fixtures.certificates import Authority, server_context
from tests.fixtures.fault_server import FaultServer, Received
from tests.fixtures.world import World, configured, running_world

DRIVERS: Final = {"cs": "childrens_services", "police": "police", "health": "health", "probation": "probation"}
_KINDS = {"cs": "CHILDRENS_SERVICES", "police": "POLICE", "health": "HEALTH", "probation": "PROBATION"}
_PREFIX = {"cs": "/northshire", "police": "", "health": health.BASE, "probation": ""}
LEARNS = 5  # a busy machine makes a good source late
# one health call for each call of an ask, all alike
_ALIKE = {"/v1/status": 3}


@dataclass(frozen=True)
class DriverDeed:
    """What is done at one source; `reason` None: it must be ANSWERED."""

    reason: SourceReason | None
    deed: Deed = WELL
    fault: Fault | None = None
    path: str = ""  # only to requests whose path holds this
    tells: bool = True  # what it answers with is what the agency holds

    @property
    def of_a_record(self) -> bool:
        """Whether it shows only where a record is asked for, and so not in the call on the agency's health."""
        return bool(self.path) or self.fault in {Fault.WRONG_PERSON, Fault.PARTIAL_PAGE}


_ON_THE_WAY = {name: DriverDeed(deed.reason, deed) for name, deed in DEEDS.items() if deed.body is None}
_INVALID = SourceReason.INVALID_ANSWER
_OF_AGENCIES: Mapping[str, Sequence[Fault]] = {
    "cs": (
        Fault.MALFORMED,
        Fault.WRONG_SHAPE,
        Fault.WRONG_PERSON,
        Fault.PARTIAL_PAGE,
        Fault.MISSING_RESULT,
        Fault.ERRORS_BESIDE_DATA,
    ),
    "police": (Fault.MALFORMED, Fault.WRONG_SHAPE, Fault.PARTIAL_PAGE, Fault.MISSING_RESULT),
    "health": (Fault.MALFORMED, Fault.WRONG_SHAPE, Fault.WRONG_PERSON, Fault.PARTIAL_PAGE),
    "probation": (Fault.MALFORMED, Fault.WRONG_SHAPE, Fault.WRONG_PERSON, Fault.PARTIAL_PAGE),
}
# of the calls that a driver makes at once, each may be the one that goes wrong
_PATHS = {
    "health": ("/Patient/", "/CareTeam/", "/EpisodeOfCare/", "/Flag/"),
    "probation": ("/access-limitations", "/person-responsible-officer", "/risks/mappadetail", "/risks/dynamic"),
}
PART = ("500", "404-bare", "close-delimited-empty-list", "401", "nan", "empty-200", "reset-before-the-first-byte")


def deeds_of(source: str) -> dict[str, DriverDeed]:
    """Return all that can be done at a source, by name."""
    found = dict(_ON_THE_WAY)
    found |= {fault.value: DriverDeed(_INVALID, fault=fault) for fault in _OF_AGENCIES[source]}
    if source == "police":
        # a match that is somebody else's is dropped, whatever its score
        found[Fault.WRONG_PERSON.value] = DriverDeed(None, fault=Fault.WRONG_PERSON, tells=False)
    for path in _PATHS.get(source, ()):
        found |= {f"{name} at {path}": DriverDeed(DEEDS[name].reason, DEEDS[name], path=path) for name in PART}
    return found


class Between:
    """Passes what a driver asks on to its agency, or does the deed; it remembers how often each was asked."""

    def __init__(self, source: str, agency: Starlette) -> None:
        self.source = source
        self.agency = agency
        self.does = DriverDeed(None)
        self.met = 0  # how many requests met it
        self.asked: Counter[tuple[str, bytes]] = Counter()
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(agency), base_url="http://agency.example", trust_env=False
        )

    def do(self, deed: DriverDeed) -> None:
        """Do this from now on."""
        self.does, self.met = deed, 0
        self.asked.clear()
        faults = self.agency.state.faults
        faults.clear()
        if deed.fault is not None:
            faults.set(deed.fault)

    async def __call__(self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        signs_in = request.target.endswith("/oauth/token")
        if not signs_in:
            which = (request.target, request.body)
            self.asked[which] += 1
            deed = self.does.deed
            wrong = deed.body is None and self.does.path in request.target
            self.met += wrong or self.does.fault is not None
            if wrong and not (deed.once and self.asked[which] > 1):
                await deed.answer(self.source, "", 0)(request, reader, writer)
                return
        told = await self._client.request(request.method, request.target, headers=request.headers, content=request.body)
        lines = [f"HTTP/1.1 {told.status_code} -", *(f"{name}: {value}" for name, value in told.headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + told.content)
        await writer.drain()

    def too_often(self) -> list[str]:
        """Return what was asked more often than once and once more."""
        return [
            f"{self.source} was asked {times} times"
            for (target, _), times in self.asked.items()
            if times > MOST_ASKED * next((n for part, n in _ALIKE.items() if target.endswith(part)), 1)
        ]

    async def aclose(self) -> None:
        """Let go of the agency."""
        await self._client.aclose()


class ByWay:
    """A driver that reaches its source on the way of the deed: one connector for each."""

    def __init__(self, between: Between, ways: Mapping[str, Connector]) -> None:
        self._between = between
        self._ways = ways
        self.manifest = ways["good"].manifest

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        return await self._ways[self._between.does.deed.way].involvements(subjects, mask, ask)

    async def health(self, ask: Ask) -> bool:
        return await self._ways[self._between.does.deed.way].health(ask)

    async def shields(self, ask: Ask) -> frozenset[NHSNumber] | None:
        return await self._ways["good"].shields(ask)

    async def aclose(self) -> None:
        for connector in self._ways.values():
            await connector.aclose()


@dataclass
class Drivers:
    """A gateway over the four drivers, and what their sources do. One lookup at a time."""

    world: World
    between: Mapping[str, Between]
    child: Child
    usual: tuple[tuple[str, str], ...] = ()  # who works with the child: source and name
    made: int = 0
    again: int = 0

    async def learn(self) -> None:
        """Note what is told when all is well. Raises AssertionError if some source does not count."""
        for _ in range(LEARNS):
            data = await self._told({})
            if data["complete"]:
                break
        assert data["complete"], data["sources"]
        self.usual = _entries(data)
        assert {source for source, _ in self.usual} == set(DRIVERS), self.usual

    async def findings(self, does: Mapping[str, str]) -> list[str]:
        """Return what is wrong with the answer to one lookup whose sources do this, nothing if all is right."""
        found = await self._findings(does)
        if any(late in each for each in found for late in ("TIMEOUT", "CONNECT")):
            # a busy machine makes a good source late; that is not what is looked for, and does not happen twice
            self.again += 1
            found = await self._findings(does)
        return found

    async def _findings(self, does: Mapping[str, str]) -> list[str]:
        deeds = {source: deeds_of(source)[name] for source, name in does.items()}
        data = await self._told(deeds)
        reasons = {source: deeds[source].reason if source in deeds else None for source in DRIVERS}
        spared = reasons["cs"] is not None and "probation" in deeds and deeds["probation"].of_a_record
        if reasons["cs"] and (spared or not reasons["probation"]):
            # who could have named an adult did not answer: nobody can say that all were asked about
            reasons["probation"] = reasons["cs"]
        found = []
        for line in data["sources"]:
            wanted = reasons[line["agency"]["id"]]
            if (line["status"], line["reason"]) != ("NO_ANSWER" if wanted else "ANSWERED", wanted):
                found.append(f"{line['agency']['id']} is {line['status']} {line['reason']}, not {wanted}")
        silent = {source for source, reason in reasons.items() if reason}
        if (data["outcome"], data["complete"]) != (("INCOMPLETE", False) if silent else ("DISCLOSED", True)):
            found.append(f"{data['outcome']}, complete {data['complete']}, with {sorted(silent)} silent")
        lost = silent | {source for source, deed in deeds.items() if not deed.tells}
        wanted_entries = tuple(each for each in self.usual if each[0] not in lost)
        if _entries(data) != wanted_entries:
            found.append(f"practitioners are {_entries(data)}, not {wanted_entries}")
        for source, deed in deeds.items():
            if not self.between[source].met and deed.deed.way == "good" and not (spared and source == "probation"):
                found.append(f"{source} met no {does[source]}")
        return found + [each for between in self.between.values() for each in between.too_often()]

    async def _told(self, deeds: Mapping[str, DriverDeed]) -> Mapping[str, Any]:
        for source, between in self.between.items():
            between.do(deeds.get(source, DriverDeed(None)))
        self.made += 1
        answer = await self.world.ask(
            self.child.nhs_number, born=self.child.date_of_birth, family=self.child.current_name.family
        )
        return answer.child


def _entries(data: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((e["agency"]["id"], (e["practitioner"] or {}).get("name", "")) for e in data["involvements"]))


@cache
def families() -> Families:
    """Return the fictional people whom the agencies know."""
    return make_world(children=200)


def known_to_all(world: Families) -> Child:
    """Return a child whom all four know, with a parent on probation."""
    return next(
        child
        for child in world.children
        if child.police is not None
        and any(team.ended_on is None for team in (child.health.care_teams if child.health else ()))
        and any(record.authority == "northshire" and record.linked_adults for record in child.councils)
    )


@asynccontextmanager
async def running_drivers(asks: Callable[..., Upstream] = Upstream) -> AsyncIterator[Drivers]:
    """Start the four agencies, what stands before each, and a gateway, which asks by what `asks` makes."""
    world = families()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tls = server_context(Authority(folder).issue("stranger"))
        refusing = stack.enter_context(port_where_nobody_listens())
        agencies = {
            "cs": childrens_services.app(world),
            "police": police.app(world),
            "health": health.app(world),
            "probation": probation.app(world),
        }
        between: dict[str, Between] = {}
        sources: list[Source] = []
        for source, agency in agencies.items():
            between[source] = it = Between(source, agency)
            stack.push_async_callback(it.aclose)
            server = await stack.enter_async_context(FaultServer(it))
            stranger = await stack.enter_async_context(FaultServer(it, tls=tls))
            ways = {"good": registry.build(_entry(source, agency, server.url))}
            for way, client in wrong_ways(stranger.url, refusing, folder).items():
                ways[way] = copy(ways["good"])
                vars(ways[way])["_client"] = client
            for connector in ways.values():
                vars(vars(connector)["_client"])["_retries"] = Unspent()
            sources.append(configured(ByWay(it, ways)))
            vars(sources[-1])["upstream"] = asks(sources[-1].connector, rules=NEVER_OPEN)
        gateway = await stack.enter_async_context(running_world(folder, *sources, limits=usual_limits()))
        drivers = Drivers(gateway, between, known_to_all(world))
        await drivers.learn()
        yield drivers


def _entry(source: str, agency: Starlette, origin: str) -> dict[str, Any]:
    state = agency.state
    entry = {
        "id": source,
        "name": source.title(),
        "kind": _KINDS[source],
        "driver": DRIVERS[source],
        "area": "amber",
        "base_url": f"{origin}{_PREFIX[source]}",
    }
    if source == "probation":
        key = {"method": "api_key", "api_key": state.client.api_key}
        return entry | {"auth": key, "subject_distinguished_name": state.client.distinguished_name}
    client = state.clients["northshire"] if source == "cs" else state.client
    token_url = f"{origin}{_PREFIX[source] if source == 'cs' else ''}/oauth/token"
    secret = {"client_id": client.id, "client_secret": client.secret, "scope": client.scope}
    return entry | {"auth": {"method": "client_credentials", "token_url": token_url, **secret}}
