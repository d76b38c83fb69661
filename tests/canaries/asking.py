"""Asks everything that can be asked about a marked child, well and badly, and puts what comes back into the sinks."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from random import Random
from typing import Any, Final

import httpx

from schema.records import IdentityClaim
from tests.auditing.conftest import EVENTS
from tests.canaries.marked import PREFIX, Canaries
from tests.canaries.sinks import Sinks
from tests.fixtures.sources import LyingSource, RaisingSource, Remembering, ShapelessSource, SilentSource, SlowSource
from tests.fixtures.token_factory import STRONG
from tests.fixtures.world import ALL_SCOPES, World, lookup_document
from tests.monotonicity.situations import Child, Viewer, hold, make_child, make_viewer
from tests.monotonicity.trying import SELECT

BORN: Final = date(2013, 7, 19)
FAMILY: Final = f"{PREFIX}-family"
_FAULTY: Final = (LyingSource, ShapelessSource, SilentSource, SlowSource)
_EVERY_SCOPE: Final = f"{ALL_SCOPES} lookup:override schema:read appointment:write audit:read"


class Overheard(RuntimeError):
    """What a careless driver raises: an exception whose text and arguments hold what it was asked and told."""


@dataclass
class Asker:
    """Sends requests that hold canaries, and keeps what came back."""

    world: World
    held: Mapping[str, Remembering]
    canaries: Canaries
    sinks: Sinks
    random: Random
    answers: Counter[str] = field(default_factory=Counter)  # by status and code
    numbers: list[str] = field(default_factory=list)  # of the children so far
    _numbers: Any = field(default_factory=lambda: count(1))

    def mark(self, kind: str, text: str = "") -> str:
        """Return a new canary of a kind."""
        return self.canaries.add(kind, f"{PREFIX}-{kind.replace(' ', '-')}-{next(self._numbers)} {text}".strip())

    def child(self, index: int) -> Child:
        """Return a child of whom every text is marked, and look for all of it."""
        who = IdentityClaim(BORN, (FAMILY, self.mark("former name")), (self.mark("given name"),))
        child = make_child(self.random, index, f"{PREFIX}{index}", who)
        self.canaries.add_all("child", child)
        self.numbers.append(str(child.number))
        for _, row in child.rows().values():
            person = row.practitioner
            if person is not None and person.registration is not None:
                self.canaries.add("registration", person.registration.number)
        return child

    def headers(self, **claims: Any) -> dict[str, str]:
        """Return headers with a token whose every claim about the person is marked."""
        marked = {
            "sub": self.mark("asker.subject"),
            "name": self.mark("asker.name"),
            "jti": self.mark("token id"),
            "scope": _EVERY_SCOPE,
            "acr": STRONG,
            "auth_time": int(self.world.tokens.clock()) - 60,
        }
        found = self.world.headers(**(marked | claims)) | self._trace()
        token = found["Authorization"].partition(" ")[2]
        if token:
            self.canaries.add("token", token.rpartition(".")[2])
        return found

    def _trace(self) -> dict[str, str]:
        """Return headers of a trace whose every part is marked, and whose ids hold a child's number."""
        number = self.numbers[-1] if self.numbers else "0"
        return {
            "traceparent": f"00-{number:a>32}-{number:b>16}-01",
            "tracestate": f"vendor={self.mark('trace state')}",
            "baggage": f"who={self.mark('baggage')}",
        }

    async def lookup(self, child: Child, viewer: Viewer | None = None, **differs: Any) -> None:
        """Look the child up."""
        key = {"nhsNumber": child.number, "dateOfBirth": BORN.isoformat(), "familyName": FAMILY}
        access = {
            "purpose": viewer.purpose if viewer else "CP_S47",
            "reason": self.mark("reason", "A referral"),
            "caseReference": self.mark("case reference"),
        }
        if viewer is None or viewer.override:
            access["override"] = {"justification": self.mark("justification"), "acceptReview": True}
        claims = {k: v for k, v in viewer.claims().items() if k != "sub"} if viewer else {}
        if viewer and viewer.registration:
            self.canaries.kind_of[viewer.registration.partition(":")[2].lower()] = "asker.registration"
        body = {
            "query": lookup_document(differs.pop("select", SELECT)),
            "variables": {"key": key | differs.pop("key", {}), "access": access | differs.pop("access", {})},
        }
        await self.send(json=body, headers=self.headers(**claims, **differs))

    async def send(self, method: str = "POST", path: str = "/graphql", **request: Any) -> None:
        """Send a request, whatever it is, and put the response where it belongs."""
        response = await self.world.client.request(method, path, **request)
        code = "-"
        if response.headers.get("content-type", "").partition(";")[0].endswith("json"):
            code = _code(response)
        self.answers[f"{response.status_code} {code}"] += 1
        self.sinks.put("response headers", b"\n".join(name + b": " + value for name, value in response.headers.raw))
        told = response.status_code == 200 and code == "-"
        child = (response.json().get("data") or {}).get("child") if told and path == "/graphql" else None
        if child is None or not (child["involvements"] or _sections(child)):
            self.sinks.put("errors and answers without a disclosure", response.content)
            return
        self.sinks.put("answers", response.content)
        for entry in child["involvements"]:
            if entry["practitioner"]:
                self._told(entry["practitioner"])

    def _told(self, practitioner: Mapping[str, Any]) -> None:
        """Note that a practitioner was told: the log has to hold who, and may."""
        self.canaries.kind_of[practitioner["name"].lower()] = "told.practitioner"
        held = (practitioner["registration"] or {}).get("number", "").lower()
        if held and self.canaries.kind_of[held] == "registration":
            self.canaries.kind_of[held] = "told.registration"

    async def audit(self, child: Child) -> None:
        """Read what was asked of the child as the asker's own auditor: the events, and nothing of who the child is."""
        headers = self.headers(roles=["security_auditor"])
        wanted = {"filter": {"nhsNumber": str(child.number)}}
        response = await self.world.client.post(
            "/graphql", json={"query": EVENTS, "variables": wanted}, headers=headers
        )
        self.answers[f"{response.status_code} {_code(response)}"] += 1
        self.sinks.put("events", response.content)

    async def round(self, index: int) -> None:
        """Ask about one child: as those who may, as those who may not, wrongly, and while sources fail."""
        child = self.child(index)
        hold(self.held, child)
        await self.lookup(child, roles=["social_worker"])
        for n in range(3):
            await self.lookup(child, make_viewer(self.random, 10 * index + n, child))
        await self.lookup(child, key={"familyName": self.mark("another name")})
        await self.lookup(child, key={"dateOfBirth": "1980-03-04"})
        await self.lookup(child, org=self.mark("asker.organisation"))
        await self.lookup(child, scope=f"involvement:read {self.mark('asker.scope')}")
        await self.lookup(child, roles=[self.mark("role")])
        await self.lookup(child, sub="amber-case-system")
        await self._while_sources_fail(child)
        await self._badly(child)
        await self.audit(child)
        await self._without_a_good_token(child)
        for path in ("/livez", "/readyz", "/metrics", "/.well-known/oauth-protected-resource", "/schema.graphql"):
            answer = await self.world.client.get(path, headers=self.headers())
            self.sinks.put(f"operations {path}", answer.content)
            self.sinks.put("response headers", str(answer.headers))

    async def _while_sources_fail(self, child: Child) -> None:
        whole = {name: each.inner for name, each in self.held.items()}
        answers = repr(child) + str(child.number) + FAMILY
        for wrap in _FAULTY:
            name = self.random.choice(list(self.held))
            self.held[name].inner = wrap(whole[name])
            await self.lookup(child, roles=["social_worker"])
            self.held[name].inner = whole[name]
        for name, each in self.held.items():
            each.inner = RaisingSource(whole[name], Overheard(answers, child))
            await self.lookup(child, roles=["social_worker"])
            each.inner = whole[name]

    async def _badly(self, child: Child) -> None:
        number, mark = str(child.number), self.mark
        for key in ({"nhsNumber": mark("number")}, {"handle": mark("handle")}, {"dateOfBirth": mark("day")}):
            await self.lookup(child, key=key)
        for access in (
            {"purpose": mark("purpose")},
            {"reason": mark("reason") * 30},
            {"reason": f"\x07{mark('reason')}"},
        ):
            await self.lookup(child, access=access)
        await self.lookup(child, access={"override": {"justification": mark("justification"), "acceptReview": False}})
        inline = SELECT.replace("outcome", f"note: outcome # {mark('comment')}\n")
        written = (
            f'{{ child(key: {{nhsNumber: "{number}", dateOfBirth: "{BORN}", familyName: "{FAMILY}"}}, '
            f'access: {{purpose: CP_S47, reason: "{mark("reason")}"}}) {{ {inline} }} }}'
        )
        queries = (
            written,
            f"{{ {PREFIX}_field }}",
            f'{{ child(key: "{number}" }}',
            f"query {PREFIX}_{number} {{ viewer",
        )
        for query in queries:
            body = {"query": query, "operationName": mark("operation"), "extensions": {"note": mark("extension")}}
            await self.send(json=body, headers=self.headers())
        for content in (b"{" + mark("body").encode(), json.dumps([mark("body"), number]).encode(), number.encode()):
            await self.send(content=content, headers=self.headers() | {"Content-Type": "application/json"})
        strange = {
            "Content-Type": mark("type"),
            "Accept": mark("accept"),
            "X-Request-ID": mark("request"),
            "Cookie": number,
        }
        for name, value in strange.items():
            await self.send(content=b"{}", headers=self.headers() | {name: value})
        await self.send("GET", "/graphql", params={"query": written}, headers=self.headers())
        await self.send("PUT", f"/{PREFIX}/{number}", headers=self.headers())
        await self.send(
            json={
                "query": "mutation($a: AppointmentInput!) { registerAppointment(appointment: $a) { id } }",
                "variables": {
                    "a": {
                        "nhsNumber": number,
                        "appointeeSubject": mark("appointee"),
                        "appointeeOrganisation": "amber-council",
                        "purpose": "COURT_ORDER",
                        "evidence": mark("evidence"),
                        "expiresOn": "2027-01-01",
                    }
                },
            },
            headers=self.headers(org="amber-court"),
        )

    async def _without_a_good_token(self, child: Child) -> None:
        good = self.headers()["Authorization"].partition(" ")[2]
        head, payload, signature = good.split(".")
        user = base64.b64encode(f"{self.mark('user')}:{self.mark('password')}".encode()).decode()
        for value in (
            "",
            f"Basic {user}",
            f"Bearer {self.mark('opaque token').replace(' ', '-')}",
            f"Bearer {head}.{payload}.{signature[::-1]}",
            f"Bearer {payload}.{payload}.{signature}",
            self.world.tokens.bearer(claims={"sub": self.mark("asker.subject"), "exp": 1, "iat": 0}),
            self.world.tokens.bearer(claims={"sub": self.mark("asker.subject"), "aud": self.mark("audience")}),
            self.world.tokens.bearer(header={"kid": self.mark("key id")}),
        ):
            headers = {"Authorization": value} if value else {}
            await self.send(json={"query": "{ viewer { subject } }"}, headers=headers)


def _sections(child: Mapping[str, Any]) -> bool:
    frame = {"outcome", "complete", "advice", "receipt", "sources", "involvements", "leadPractitioner"}
    return any(value for name, value in child.items() if name not in frame)


def _code(response: httpx.Response) -> str:
    body = response.json()
    errors = body.get("errors") if isinstance(body, dict) else None
    return str(errors[0]["extensions"]["code"]) if errors else "-"
