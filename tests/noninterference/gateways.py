"""Two gateways in this process, one for each world of a pair: the real application, its own log, one audit key.

What is random by design and not made equal here: receipts, and what only the log and the agencies see (the ids of
asks). Request ids are the client's; opaque ids are keyed, so both gateways have the same audit key; the budgets'
windows stand still, so that no minute ends between the two worlds, and no deadline comes: time has a proof of its own.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from gateway import app as wiring
from gateway.audit.events import EventKind
from gateway.audit.records import Record, read_records
from gateway.front import asgi
from gateway.settings import Settings, audit_key_file
from gateway.settings_reading import from_values
from gateway.storage.engine import open_engine
from tests.fixtures.migrated import lay_out
from tests.fixtures.token_factory import AUDIENCE, ISSUER, STRONG, TokenFactory
from tests.noninterference.agreements import write_agreements
from tests.noninterference.facts import Viewer
from tests.noninterference.staging import PATIENCE, Scene, configured
from tests.noninterference.table import COURT

PERSON_LOOKUPS, PERSON_MISSES = 3, 2
STANDARD = "urn:contactpoint:acr:standard"
CLIENT = "case-system"


@dataclass(frozen=True, slots=True)
class Response:
    """Everything that came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes


@dataclass
class Running:
    """One gateway, and what is true in its world."""

    app: Any
    scene: Scene
    settings: Settings

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Response:
        """Send one request to /graphql, as a server would pass it to the application."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "https",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "root_path": "",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.1", 50000),
            "server": ("gateway.example", 443),
        }
        said: list[dict[str, Any]] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        await self.app(scope, receive, send)
        start = next(message for message in said if message["type"] == "http.response.start")
        content = b"".join(m.get("body", b"") for m in said if m["type"] == "http.response.body")
        told = tuple((name.decode(), value.decode()) for name, value in start.get("headers", ()))
        return Response(start["status"], told, content)

    def records(self) -> list[Record]:
        """Return the records of lookups, read through another connection."""
        engine = open_engine(self.settings.database.url, create=False)
        wanted = {EventKind.INTENT, EventKind.OUTCOME, EventKind.DENIED}
        try:
            return [record for record in read_records(engine) if record.kind in wanted]
        finally:
            engine.dispose()


class Tokens:
    """The issuer whose tokens both gateways take."""

    def __init__(self) -> None:
        self.factory = TokenFactory(ISSUER)

    def bearer(self, viewer: Viewer) -> str:
        """Return the Authorization header of a viewer."""
        claims: dict[str, Any] = {
            "sub": viewer.subject,
            "client_id": CLIENT,
            "org": viewer.organisation,
            "roles": list(viewer.roles),
            "scope": " ".join(sorted(viewer.scopes)) or "none",
            "acr": STRONG if viewer.strong else STANDARD,
            "auth_time": int(time.time()) - 60,
        }
        if viewer.registration:
            claims["registration"] = viewer.registration
        if viewer.machine != "PERSON":
            claims["sub"] = CLIENT
        if viewer.machine == "FOR_PRACTITIONER":
            claims |= {
                "on_behalf_of": {
                    "sub": viewer.subject,
                    "name": "Ms Amis",
                    "role": viewer.roles[0],
                    "registration": viewer.registration,
                }
            }
        return self.factory.bearer(claims=claims)

    def auditor(self, organisation: str) -> str:
        """Return the Authorization header of a security auditor."""
        who = {"sub": "auditor", "client_id": CLIENT, "org": organisation, "roles": ["security_auditor"]}
        return self.factory.bearer(claims=who | {"scope": "audit:read"})

    def court(self) -> str:
        """Return the Authorization header of the body that appoints."""
        claims = {"sub": "clerk", "client_id": "court", "org": COURT, "roles": [], "scope": "appointment:write"}
        return self.factory.bearer(claims=claims)


@asynccontextmanager
async def two_gateways(folder: Path, *, stale_seconds: int = 0) -> AsyncIterator[tuple[Running, Running]]:
    """Start both over the sources of the table, with nothing in their scenes yet; close them at the end.

    `stale_seconds`: how long every source that may be is stood in for by what it said before.
    """
    _prepare(folder)
    async with contextlib.AsyncExitStack() as stack:
        now = time.time()
        first = await stack.enter_async_context(_running(folder, folder / "first", now, stale_seconds))
        key = audit_key_file(first.settings)
        shutil.copy(key, folder / "second" / key.name)
        yield first, await stack.enter_async_context(_running(folder, folder / "second", now, stale_seconds))


def _prepare(folder: Path) -> None:
    for world in ("first", "second"):
        (folder / world).mkdir(parents=True)
    (folder / "jwks.json").write_bytes(TokenFactory(ISSUER).jwks())
    write_agreements(folder / "agreements")


@asynccontextmanager
async def _running(shared: Path, folder: Path, now: float, stale_seconds: int) -> AsyncIterator[Running]:
    raised = {"minute": 10**9, "hour": 10**9, "day": 10**9}
    budgets: dict[str, Any] = {
        f"{who}_{what}": raised for who in ("person", "client", "organisation") for what in ("lookups", "misses")
    }
    budgets["person_lookups"] = {"minute": PERSON_LOOKUPS}
    budgets["person_overrides"] = {"hour": PERSON_LOOKUPS}
    budgets["person_misses"] = {"hour": PERSON_MISSES}
    settings = from_values(
        {
            "resource": {"identifier": AUDIENCE},
            "issuers": [{"issuer": ISSUER, "jwks_file": str(shared / "jwks.json")}],
            "database": {"url": f"sqlite:///{folder}/gateway.db"},
            "agreements": {"directory": str(shared / "agreements")},
            "limits": {"quiet_seconds": 0, "total_seconds": PATIENCE, "source_seconds": PATIENCE, **budgets},
        },
        "pair",
        relative_to=folder,
    )
    lay_out(folder / "gateway.db")
    scene = Scene(stale_seconds=stale_seconds)
    with contextlib.ExitStack() as patches:
        patches.enter_context(patch.object(wiring, "build_sources", lambda _settings: configured(scene)))
        patches.enter_context(patch.object(wiring, "Budgets", partial(vars(wiring)["Budgets"], clock=lambda: now)))
        gateway = wiring.build(settings)
    app = asgi.application(gateway)
    async with app.router.lifespan_context(app):
        yield Running(app, scene, settings)


def body_of(document: str, variables: Mapping[str, Any]) -> bytes:
    """Return the body of a request."""
    return json.dumps({"query": document, "variables": variables}, separators=(",", ":")).encode()
