"""A whole gateway over four sources that can be told what to do wrong, about which child."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from connectors.base import Manifest
from connectors.http import SourceClient
from connectors.retries import RetryBudget
from connectors.transport import trust_context
from gateway.audit.events import EventKind
from gateway.federation.breaker import BreakerRules
from gateway.federation.sources import Source
from gateway.federation.upstream import Upstream
from schema.identifiers import NHSNumber
from schema.records import Agency, ChildRef
from schema.vocabulary import AgencyKind
from tests.faults.connecting import RigConnector
from tests.faults.matrix import ANOTHER_CHILD, WELL, Deed, Misbehaving
from tests.fixtures.certificates import Authority, server_context
from tests.fixtures.fault_server import FaultServer
from tests.fixtures.world import Told, World, running_world

SECONDS = 0.5  # what a source may take, in place of a second and a half
TOTAL_SECONDS = SECONDS + 1.0  # what a lookup may take, in place of two and a half
MOST_ASKED = 2  # once, and once more where that is safe
SOURCES = {
    "cs": AgencyKind.CHILDRENS_SERVICES,
    "police": AgencyKind.POLICE,
    "health": AgencyKind.HEALTH,
    "school": AgencyKind.SCHOOL,
}
# this proof is about what each fault reads as; a breaker would soon answer in the sources' place
NEVER_OPEN = BreakerRules(least_calls=10**9, failing_in_a_row=10**9)


class Unspent(RetryBudget):
    """More answers are repeated here than a tenth: what the budget refuses is tested apart."""

    def spend(self) -> bool:
        return True


@dataclass
class Rig:
    """The gateway, and what its sources do."""

    world: World
    doing: dict[str, Misbehaving]
    servers: list[FaultServer]
    longest_seconds: float = 0.0
    made: int = 0
    again: int = 0
    _number: int = field(default=0)
    _signed_in: dict[str, tuple[float, dict[str, str]]] = field(default_factory=dict)

    def child(self) -> NHSNumber:
        """Return a child whom nobody has been asked about."""
        while True:
            self._number += 1
            digits = f"99900{self._number % 10_000:04}"
            check = (11 - sum(int(d) * (10 - i) for i, d in enumerate(digits)) % 11) % 11
            if check != 10 and f"{digits}{check}" != ANOTHER_CHILD:
                return NHSNumber(f"{digits}{check}")

    def forget(self) -> None:
        """Let go of what was asked and of what was to be done: nothing of a rig grows with it."""
        for server in self.servers:
            server.received.clear()
        for doing in self.doing.values():
            doing.deeds.clear()
            doing.delays.clear()
            doing.asked.clear()

    async def findings(self, deeds: Mapping[str, Deed], delays: Mapping[str, float] | None = None) -> list[str]:
        """Return what is wrong with the answer of one lookup whose sources do this, nothing if all is right."""
        found = await self._findings(deeds, delays or {})
        if found and all("TIMEOUT" in each for each in found):
            # a busy machine makes a good source late; that is not what is looked for, and does not happen twice
            self.again += 1
            found = await self._findings(deeds, delays or {})
        return found

    async def told(
        self, deeds: Mapping[str, Deed], delays: Mapping[str, float], child: NHSNumber | None = None
    ) -> dict[str, Any]:
        """Return the data of one lookup whose sources do this, about a child whom it has been done to before or not."""
        answer = await self._answered(child or self.child(), deeds, delays)
        data: dict[str, Any] = answer.body["data"]["child"]
        return data

    async def answered(self, deeds: Mapping[str, Deed], delays: Mapping[str, float] = MappingProxyType({})) -> Told:
        """Return the answer to one lookup whose sources do this, a refusal if it is one."""
        return await self._answered(self.child(), deeds, delays)

    async def _answered(self, child: NHSNumber, deeds: Mapping[str, Deed], delays: Mapping[str, float]) -> Told:
        for source, doing in self.doing.items():
            doing.deeds[child] = deeds.get(source, WELL)
            doing.delays[child] = delays.get(source, 0.0)
            doing.asked.pop(child, None)
        self.made += 1
        started = time.monotonic()
        answer = await self.world.ask(child, headers=self.signed_in())
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - started)
        return answer

    def signed_in(self, person: str = "amber-worker-17") -> dict[str, str]:
        """Return the headers of one person, whose token is another one each minute."""
        until, headers = self._signed_in.get(person, (0.0, {}))
        if time.monotonic() >= until:
            headers = self.world.headers(sub=person)
            self._signed_in[person] = (time.monotonic() + 60.0, headers)
        return headers

    async def _findings(self, deeds: Mapping[str, Deed], delays: Mapping[str, float]) -> list[str]:
        child = self.child()
        started = time.monotonic()
        data = (await self._answered(child, deeds, delays)).child
        took = time.monotonic() - started
        found = []
        silent = {source for source, deed in deeds.items() if deed.code is not None}
        if data["complete"] != (not silent):
            found.append(f"complete is {data['complete']} with {sorted(silent)} silent")
        if data["outcome"] != ("INCOMPLETE" if silent else "DISCLOSED"):
            found.append(f"outcome is {data['outcome']} with {sorted(silent)} silent")
        for line in data["sources"]:
            source = line["agency"]["id"]
            deed = deeds.get(source, WELL)
            wanted = "ANSWERED" if deed.code is None else "NO_ANSWER"
            if (line["status"], line["reason"]) != (wanted, deed.reason):
                found.append(f"{source} is {line['status']} {line['reason']}, not {wanted} {deed.reason}")
        told = sorted((e["agency"]["id"], e["practitioner"]["name"]) for e in data["involvements"])
        wanted_rows = sorted(
            (source, f"Worker {source} 0")
            for source in self.doing
            if source not in silent
            for _ in range(deeds.get(source, WELL).rows)
        )
        if told != wanted_rows:
            late = "TIMEOUT" if any("TIMEOUT" in each for each in found) else ""
            found.append(f"practitioners are {told}, not {wanted_rows} {late}")
        if found and any(" TIMEOUT, not ANSWERED" in each for each in found):
            found = [f"{each} (TIMEOUT of a good source)" for each in found]
        if took > TOTAL_SECONDS:
            found.append(f"answered after {took:.1f} s, beyond the deadline of a lookup: TIMEOUT")
        for source, doing in self.doing.items():
            if doing.asked.get(child, 0) > MOST_ASKED:
                found.append(f"{source} was asked {doing.asked[child]} times")
        return found


class Made(Protocol):
    """Lookups that were made on a gateway."""

    world: World
    made: int


def unrecorded(lookups: Made) -> list[str]:
    """Return what is wrong with the records of the lookups that were made: each has one INTENT, then one OUTCOME."""
    records: dict[str, list[str]] = {}
    for record in lookups.world.records(EventKind.INTENT, EventKind.OUTCOME, EventKind.DENIED):
        assert record.payload is not None
        records.setdefault(record.payload["request"], []).append(record.kind.value)
    found = [f"records are {kinds}" for kinds in records.values() if kinds != ["INTENT", "OUTCOME"]]
    if len(records) != lookups.made:
        found.append(f"{len(records)} of {lookups.made} lookups are on record")
    return found


@asynccontextmanager
async def running_rig(
    *,
    rules: BreakerRules = NEVER_OPEN,
    sections: Mapping[str, Any] = MappingProxyType({}),
    limits: Mapping[str, Any] = MappingProxyType({}),
    connects: type[RigConnector] = RigConnector,
    misbehaves: type[Misbehaving] = Misbehaving,
    asks: type[Upstream] = Upstream,
) -> AsyncIterator[Rig]:
    """Start the gateway, its four sources, and the places at which they cannot be reached.

    `sections` of the configuration, and its `limits`, stand over those that are usual here. `connects`, `misbehaves`
    and `asks` are other sources than those that are asked about one child at a time.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        doing = {source: misbehaves(source) for source in SOURCES}
        tls = server_context(Authority(folder).issue("stranger"))
        refusing = stack.enter_context(port_where_nobody_listens())
        sources, servers = [], []
        for name, kind in SOURCES.items():
            server = await stack.enter_async_context(FaultServer(doing[name]))
            stranger = await stack.enter_async_context(FaultServer(doing[name], tls=tls))
            servers += [server, stranger]
            ways = {"good": SourceClient(server.url, allow_private=False), **wrong_ways(stranger.url, refusing, folder)}
            for client in ways.values():
                vars(client)["_retries"] = Unspent()
            manifest = replace(_manifest(name, kind), can_batch=connects.can_batch)
            source = Source(connects(manifest, ways, doing[name]), enabled=True, broker=None)
            vars(source)["upstream"] = asks(source.connector, rules=rules)
            sources.append(source)
        world = await stack.enter_async_context(
            running_world(folder, *sources, limits=usual_limits() | dict(limits), sections=sections)
        )
        yield Rig(world, doing, servers)


def usual_limits() -> dict[str, Any]:
    """Return the limits of the configuration: short times, and no budget that runs dry."""
    unlimited = {"minute": 10**9, "hour": 10**9, "day": 10**9}
    times = {"total_seconds": TOTAL_SECONDS, "source_seconds": SECONDS, "reserve_seconds": 0.25}
    people = ("person", "client", "organisation")
    return times | {f"{who}_{what}": unlimited for who in people for what in ("lookups", "misses")}


@contextmanager
def port_where_nobody_listens() -> Iterator[int]:
    """Give a port of ours that refuses connections. One that was only free before could be anybody's by and by."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        yield port


def wrong_ways(stranger: str, refusing: int, folder: Path) -> dict[str, SourceClient]:
    """Return a client for each way on which a source is not reached.

    `stranger` is where another's certificate is, and `refusing` a port where nobody listens.
    """
    return {
        "stranger": SourceClient(stranger, allow_private=False, ssl_context=_trusting(folder)),
        "refused": SourceClient(f"http://127.0.0.1:{refusing}", allow_private=False),
        "nowhere": SourceClient("https://agency.example", allow_private=False, lookup=_nowhere),
        "inside": SourceClient("https://agency.example", allow_private=False, lookup=_inside),
    }


def _manifest(name: str, kind: AgencyKind) -> Manifest:
    return Manifest(
        agency=Agency(name, name.upper(), kind, "amber", None),
        organisation=f"{name}-organisation",
        driver="rig",
        subjects=frozenset({ChildRef}),
        names_adults=False,
        holds=frozenset({"involvements", "involvements.previous"}),
        can_batch=False,
        answers_depend_on_asker=False,
        run_by="the tests",
        support_contact="nobody",
    )


def _trusting(folder: Path) -> ssl.SSLContext:
    (folder / "another").mkdir(exist_ok=True)
    return trust_context(str(Authority(folder / "another").file))


async def _nowhere(host: str) -> Sequence[str]:
    raise socket.gaierror(socket.EAI_NONAME, "no such host")


async def _inside(host: str) -> Sequence[str]:
    await asyncio.sleep(0)
    return ["169.254.169.254"]
