"""A whole gateway in this process: the configuration of `bench/serve.py`, sources in memory, a token of its own."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from joserfc import jwk, jwt
from starlette.applications import Starlette

from bench import serve
from bench.agency import CHILD
from gateway import app as wiring
from gateway.settings_reading import load

QUERY = """query($k: ChildKey!, $a: AccessRequest!) { child(key: $k, access: $a) { outcome complete
  involvements(status: [CURRENT, PREVIOUS]) {
    agency { kind } practitioner { name } role team { name } contact { phone email } startedOn status } } }"""
VARIABLES = {
    "k": {"nhsNumber": "9990000018", "dateOfBirth": "2015-03-14", "familyName": "Archer"},
    "a": {"purpose": "CP_S47", "reason": "bench"},
}
BODY = json.dumps({"query": QUERY, "variables": VARIABLES}, separators=(",", ":")).encode()
TOLD = len(serve.AGENCIES) * len(json.loads(CHILD)["involvements"])
"""How many involvements a lookup of which every source answered tells of."""


def gateway_in(folder: Path) -> tuple[wiring.Gateway, str]:
    """Return a gateway whose files are under `folder`, and a bearer token that it accepts."""
    key = jwk.ECKey.generate_key("P-256", {"kid": "bench", "use": "sig", "alg": "ES256"})
    published = folder / "jwks.json"
    published.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    # the drivers are found through their entry points, which lie beside this file
    sys.path.insert(0, str(Path(__file__).parent))
    file = serve.write(folder, 0, "http://127.0.0.1:1", str(published), batches=False, driver="bench-memory")
    return wiring.build(load(file)), _token(key)


def _token(key: jwk.ECKey) -> str:
    now = int(time.time())
    claims = {
        "iss": "https://idp.bench.example",
        "aud": "https://gateway.bench.example/graphql",
        "sub": "user-1",
        "client_id": "bench-case-system",
        "jti": "bench",
        "iat": now,
        "exp": now + 900,
        "scope": "involvement:read involvement.previous:read",
        "roles": ["social_worker"],
        "org": "northshire",
        "acr": "urn:contactpoint:acr:strong",
    }
    return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "bench"}, claims, key)


def request_of(app: Starlette, token: str) -> Callable[[], Awaitable[bytes]]:
    """Return a function that sends one lookup through the ASGI application and returns the body of a 200.

    It raises RuntimeError where the answer is another one, or not complete: the cost of that is of another thing.
    """
    headers = [
        (b"host", b"127.0.0.1"),
        (b"content-type", b"application/json"),
        (b"accept", b"application/json"),
        (b"authorization", f"Bearer {token}".encode()),
        (b"content-length", str(len(BODY)).encode()),
    ]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    known: list[bytes] = []

    async def send() -> bytes:
        told: list[Any] = []

        async def note(message: Any) -> None:
            told.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
        }
        await app(scope, receive, note)
        if told[0]["status"] != 200:
            raise RuntimeError(f"a lookup was answered {told[0]['status']}: {told[1]['body'][:200]!r}")
        body: bytes = told[1]["body"]
        if body not in known:  # the same bytes every time: they are read once, and not in what is measured
            _refuse_another(body)
            known.append(body)
        return body

    return send


def _refuse_another(body: bytes) -> None:
    answer = json.loads(body)
    child = (answer.get("data") or {}).get("child") or {}
    told = child.get("involvements") or []
    if "errors" in answer or child.get("complete") is not True or len(told) != TOLD:
        raise RuntimeError(f"a lookup was not answered in full, with {TOLD} involvements: {body[:200]!r}")
