"""The demo's world on real ports, and how a test asks it: tokens from `/idp`, lookups to `/graphql`.

Everything stands as `contactpoint demo` puts it together; only the number of families is smaller.
"""

from __future__ import annotations

import io
import logging
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import structlog
import uvicorn
from starlette.routing import Mount

from gateway import app as wiring
from gateway.audit.records import Record, read_records
from gateway.commands.listening import server_for
from gateway.demo.access_tokens import LIFETIME_SECONDS
from gateway.demo.agencies.server import Agencies
from gateway.demo.appointing import STORIES, appoint_guardian
from gateway.demo.clients import CLI_CLIENT_ID, PERSONA_GRANT
from gateway.demo.configuration import demo_settings
from gateway.demo.families import World, make_world
from gateway.demo.identity_provider import identity_provider
from gateway.demo.personas import CASE_SYSTEM_CLIENT_ID, CASE_SYSTEM_CLIENT_SECRET
from gateway.federation.breaker import Breaker
from gateway.front import asgi
from gateway.front.early_refusals import refusing_early
from gateway.settings import Settings, TelemetrySection
from gateway.telemetry import configure_logs
from tests.end_to_end.documents import EVERYTHING

CHILDREN = 60
S16LA = "SAFEGUARD_S16LA"
GRAPHQL_RESPONSE = "application/graphql-response+json"
REASON = "canary-reason Strategy discussion after a referral"
"""What every lookup gives as its reason unless it says otherwise: no log, error or metric may hold it."""

SOURCES = (
    "cs-northshire",
    "cs-eastmarch",
    "cs-westvale",
    "police-northshire",
    "health-northshire",
    "probation-northshire",
    "school-oak",
)
PRACTITIONERS = (
    "social-worker",
    "health-visitor",
    "police-officer",
    "probation-officer",
    "school-lead",
    "cafcass-guardian",
    "case-system",
)
"""The personas that may look up a child; each under `PURPOSE_OF`."""
OF_ANY_CHILD = tuple(persona for persona in PRACTITIONERS if persona != "cafcass-guardian")
"""Those of them who may ask about any child: the guardian may only about a child to whom a court appointed them."""
PURPOSE_OF = dict.fromkeys(PRACTITIONERS, S16LA) | {"cafcass-guardian": "CAFCASS_S42"}


@dataclass(frozen=True, slots=True)
class Key:
    """What an asker types to name a child."""

    nhs_number: str
    born: str
    family: str

    def variables(self) -> dict[str, str]:
        return {"nhsNumber": self.nhs_number, "dateOfBirth": self.born, "familyName": self.family}


@dataclass(frozen=True)
class Exchange:
    """One request to `/graphql` and everything that came back."""

    persona: str
    document: str
    variables: Mapping[str, Any]
    request_id: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    body: dict[str, Any]

    @property
    def child(self) -> dict[str, Any]:
        """The lookup; fails the test when there is none."""
        assert self.status == 200, self.body
        assert self.body.get("data"), self.body
        found: dict[str, Any] = self.body["data"]["child"]
        return found

    @property
    def entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.child["involvements"]
        return found

    @property
    def names(self) -> set[str]:
        """Every practitioner who is named."""
        return {e["practitioner"]["name"] for e in self.entries if e["practitioner"]}

    @property
    def code(self) -> str | None:
        """The code of the error, or None for an answer."""
        errors = self.body.get("errors")
        return errors[0]["extensions"]["code"] if errors else None

    @property
    def sources(self) -> dict[str, tuple[str, str | None]]:
        return {s["agency"]["id"]: (s["status"], s["reason"]) for s in self.child["sources"]}

    @property
    def withheld(self) -> dict[str, str]:
        return {w["path"]: w["code"] for w in self.body["extensions"]["disclosure"]["withheld"]}


@dataclass
class RunningGateway:
    """One gateway on one port."""

    gateway: wiring.Gateway
    url: str

    def records(self) -> list[Record]:
        """Every record of the log, in order."""
        return list(read_records(self.gateway.engine))


@contextmanager
def serving(settings: Settings, *routes: Any, listening: socket.socket | None = None) -> Iterator[RunningGateway]:
    """Run a gateway on a port of its own, in a thread, for the length of the block."""
    listening = listening or socket.create_server(("127.0.0.1", 0), backlog=256)
    port = listening.getsockname()[1]
    gateway = wiring.build(settings)
    server = server_for(
        asgi.application(gateway, more_routes=list(routes)),
        "127.0.0.1",
        port,
        protocol=refusing_early(gateway.early_refusals),
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="gateway", daemon=True)
    thread.start()
    try:
        _wait_for(server, thread)
        yield RunningGateway(gateway, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()


def _wait_for(server: uvicorn.Server, thread: threading.Thread) -> None:
    until = time.monotonic() + 20
    while not server.started:
        if not thread.is_alive() or time.monotonic() > until:
            raise RuntimeError("the gateway did not start")
        time.sleep(0.005)


@dataclass(repr=False)
class DemoWorld:
    """The running world: its agencies, its gateway, the log, and every answer that the gateway gave so far."""

    families: World
    agencies: Agencies
    settings: Settings
    running: RunningGateway
    data: Path
    logged: io.StringIO
    client: httpx.Client
    exchanges: list[Exchange] = field(default_factory=list)
    _tokens: dict[tuple[str, str | None, str | None], tuple[str, float]] = field(default_factory=dict)
    """With the moment from which another is fetched."""
    _fetched: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def gateway(self) -> wiring.Gateway:
        return self.running.gateway

    def key(self, story: str, index: int = 0) -> Key:
        """Return what is listed for a story, or for a further child of it."""
        listed = [
            Key(number, born.isoformat(), name) for told, number, born, name in self.families.stories() if told == story
        ]
        return listed[index]

    def token(self, persona: str, *, scope: str | None = None, acr: str | None = None) -> str:
        """Return a token of the demo's identity provider; the same one for the same words, for as long as it holds."""
        wanted = (persona, scope, acr)
        token, until = self._tokens.get(wanted, ("", 0.0))
        if time.monotonic() >= until:
            token = self._fetch_token(*wanted)
            self._tokens[wanted] = token, time.monotonic() + LIFETIME_SECONDS / 2
            self._fetched.append(token)
        return token

    def _fetch_token(self, persona: str, scope: str | None, acr: str | None) -> str:
        form = {"scope": scope} if scope else {}
        form |= {"acr": acr} if acr else {}
        credentials = None
        if persona == "case-system":
            form |= {"grant_type": "client_credentials"}
            credentials = (CASE_SYSTEM_CLIENT_ID, CASE_SYSTEM_CLIENT_SECRET)
        else:
            form |= {"grant_type": PERSONA_GRANT, "persona": persona, "client_id": CLI_CLIENT_ID}
        given = self.client.post(f"{self.url}/idp/token", data=form, auth=credentials)  # type: ignore[arg-type]
        assert given.status_code == 200, given.text
        token: str = given.json()["access_token"]
        return token

    def tokens(self) -> list[str]:
        """Every token of the session."""
        return list(self._fetched)

    def ask(
        self,
        persona: str,
        child: str | Key,
        purpose: str | None = None,
        *,
        query: str = EVERYTHING,
        reason: str = REASON,
        override: Mapping[str, Any] | None = None,
        scope: str | None = None,
        acr: str | None = None,
        at: RunningGateway | None = None,
        accept: str = GRAPHQL_RESPONSE,
        **variables: Any,
    ) -> Exchange:
        """Look a child up: a story, or a key; every status of entry unless `status` says otherwise."""
        key = self.key(child) if isinstance(child, str) else child
        access: dict[str, Any] = {"purpose": purpose or PURPOSE_OF.get(persona, S16LA), "reason": reason}
        if override is not None:
            access["override"] = dict(override)
        asked = {"key": key.variables(), "access": access, **variables}
        return self.post(persona, {"query": query, "variables": asked}, scope=scope, acr=acr, at=at, accept=accept)

    def post(
        self,
        persona: str,
        request: Mapping[str, Any],
        *,
        scope: str | None = None,
        acr: str | None = None,
        at: RunningGateway | None = None,
        accept: str = GRAPHQL_RESPONSE,
    ) -> Exchange:
        """Send one GraphQL request as a persona, and keep the exchange."""
        request_id = str(uuid.uuid4())
        headers = {
            "Authorization": f"Bearer {self.token(persona, scope=scope, acr=acr)}",
            "Accept": accept,
            "X-Request-ID": request_id,
        }
        response = self.client.post(f"{(at or self.running).url}/graphql", json=dict(request), headers=headers)
        exchange = Exchange(
            persona,
            request["query"],
            request.get("variables", {}),
            request_id,
            response.status_code,
            dict(response.headers),
            response.content,
            response.json(),
        )
        if at is None:
            self.exchanges.append(exchange)
        return exchange

    def asked_by_the_court(self, document: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send one operation as the family court and return its data."""
        data: dict[str, Any] = self.post("family-court", {"query": document, "variables": dict(variables)}).body["data"]
        return data

    def records_of(self, exchange: Exchange, *, at: RunningGateway | None = None) -> list[Record]:
        """Return the records of one request, in order."""
        return [
            r for r in (at or self.running).records() if r.payload and r.payload.get("request") == exchange.request_id
        ]

    def calls(self) -> dict[str, int]:
        """Return how many requests each simulated agency has had."""
        return {
            name: len(getattr(self.agencies, name).calls)
            for name in ("health", "police", "probation", "childrens_services")
        }

    def asked_about(self, key: Key) -> set[str]:
        """Return which simulated agencies were ever asked about a child."""
        return {
            name
            for name in ("health", "police", "probation", "childrens_services")
            if key.nhs_number in getattr(self.agencies, name).subjects_asked()
        }

    @contextmanager
    def stopped(self, connector: str) -> Iterator[None]:
        """Take an agency down for the length of the block."""
        self.close_circuits()
        self.agencies.stop(connector)
        try:
            yield
        finally:
            self.agencies.start(connector)
            self.close_circuits()

    def close_circuits(self) -> None:
        """Let every source be asked as at the start, whatever the tests before this one did to it."""
        for source in self.gateway.sources:
            source.upstream._breaker = Breaker(source.upstream._breaker._rules)


def families_for_tests() -> World:
    """Return the demo's families with one story more, `another-authority`.

    A child with a plan and a supervised father, whom Eastmarch works with and no persona's organisation does.
    """
    world = make_world(7, CHILDREN)
    told = next(child for child in world.children if child.story is None and child.health and not child.councils)
    eastmarch = next(c for c in world.story("three-authorities").councils if c.authority == "eastmarch")
    father = world.story("linked-adult-probation").councils[0].linked_adults
    record = replace(eastmarch, local_id="E-ANOTHER", linked_adults=father)
    health = replace(told.health, care_teams=()) if told.health else None
    child = replace(told, story="another-authority", councils=(record,), police=None, school=(), health=health)
    children = tuple(child if each is told else each for each in world.children)
    return replace(
        world, children=children, by_nhs_number=MappingProxyType({each.nhs_number: each for each in children})
    )


@contextmanager
def demo_world(data: Path) -> Iterator[DemoWorld]:
    """Start everything; stop it in order afterwards."""
    families = families_for_tests()
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    port = listening.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with Agencies(families) as agencies, logs_kept() as logged:
        provider = identity_provider(f"{url}/idp", f"{url}/graphql")
        settings = demo_settings(data, url, families, agencies, provider, port, "127.0.0.1")
        # the suite asks for much that may not be told; that such answers are held is tested in tests/gateway
        quick = settings.limits.model_copy(update={"quiet_seconds": 0.0})
        settings = settings.model_copy(update={"limits": quick})
        with (
            serving(settings, Mount("/idp", provider.app), listening=listening) as running,
            httpx.Client(trust_env=False, timeout=30) as client,
        ):
            world = DemoWorld(families, agencies, settings, running, data, logged, client)
            appoint_guardian(families, world.asked_by_the_court, (*STORIES, "another-authority"))
            yield world


@contextmanager
def logs_kept() -> Iterator[io.StringIO]:
    """Send the gateway's own logs, at their most talkative, to a text for the length of the block."""
    kept = io.StringIO()
    root, stderr = logging.getLogger(), sys.stderr
    before = root.handlers[:], root.level
    sys.stderr = kept
    try:
        configure_logs(TelemetrySection(log_format="json", log_level="debug"))
    finally:
        sys.stderr = stderr
    try:
        yield kept
    finally:
        structlog.reset_defaults()
        root.handlers[:], level = before
        root.setLevel(level)
