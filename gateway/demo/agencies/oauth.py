"""Each agency's own token endpoint: OAuth 2.0 client credentials, opaque tokens that run out (RFC 6749 section 4.4)."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.demo.agencies.answers import Answer, put
from gateway.demo.agencies.desk import Guard, Refusal
from gateway.demo.agencies.faults import Faults

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True)
class Client:
    """A client that the agency has registered, and all that it may ask for."""

    id: str
    secret: str
    scope: str


def register(client_id: str, scope: str) -> Client:
    """Return a client with a new secret."""
    return Client(client_id, secrets.token_urlsafe(24), scope)


@dataclass(frozen=True, slots=True)
class _Grant:
    scopes: frozenset[str]
    expires_at: float


class TokenDesk:
    """Issues and checks tokens for one agency. Tests may count `issued`, or `revoke_all` to see a client ask again."""

    def __init__(
        self,
        client: Client,
        faults: Faults,
        *,
        lifetime_seconds: int = 300,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.lifetime_seconds = lifetime_seconds
        self.issued = 0
        self._faults = faults
        self._clock = clock
        self._grants: dict[str, _Grant] = {}

    async def token(self, request: Request) -> Response:
        """Return an access token, or an error of RFC 6749 section 5.2."""
        if fault := self._faults.at_path_only(request.url.path):
            return put(Answer(200, {}), fault, faults=self._faults, media_type="application/json", headers=_NO_STORE)
        if not self._is_client(request.headers.get("authorization", "")):
            challenge = {"WWW-Authenticate": 'Basic realm="token"'}
            return JSONResponse({"error": "invalid_client"}, 401, {**_NO_STORE, **challenge})
        form = parse_qs((await request.body()).decode(errors="replace"))
        if form.get("grant_type") != ["client_credentials"]:
            return JSONResponse({"error": "unsupported_grant_type"}, 400, _NO_STORE)
        registered = frozenset(self.client.scope.split())
        asked = frozenset(" ".join(form.get("scope", [self.client.scope])).split())
        if not asked or not asked <= registered:
            return JSONResponse({"error": "invalid_scope"}, 400, _NO_STORE)
        token = secrets.token_urlsafe(32)
        now = self._clock()
        self._grants = {key: grant for key, grant in self._grants.items() if grant.expires_at > now}
        self._grants[token] = _Grant(asked, now + self.lifetime_seconds)
        self.issued += 1
        body = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self.lifetime_seconds,
            "scope": " ".join(sorted(asked)),
        }
        return JSONResponse(body, 200, _NO_STORE)

    def guard(self, scope: str) -> Guard:
        """Return a guard that lets in a live token with this scope (RFC 6750 section 3.1)."""

        def check(request: Request) -> Refusal | None:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token:
                return Refusal(401, "ACCESS_DENIED", "Bearer")
            grant = self._grants.get(token)
            if grant is None or grant.expires_at <= self._clock():
                return Refusal(401, "ACCESS_DENIED", 'Bearer error="invalid_token"')
            if scope not in grant.scopes:
                return Refusal(403, "ACCESS_DENIED", f'Bearer error="insufficient_scope", scope="{scope}"')
            return None

        return check

    def revoke_all(self) -> None:
        """Forget every token, as an agency does after an incident."""
        self._grants = {}

    def _is_client(self, authorization: str) -> bool:
        scheme, _, credentials = authorization.partition(" ")
        try:
            user, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        # RFC 6749 section 2.3.1: both are form-encoded before they are joined
        known = secrets.compare_digest(unquote_plus(user).encode(), self.client.id.encode())
        proven = secrets.compare_digest(unquote_plus(secret).encode(), self.client.secret.encode())
        return scheme.lower() == "basic" and known and proven
