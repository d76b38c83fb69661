"""Client credentials (RFC 6749 section 4.4): the gateway signs in to a source under its own name.

The token comes over a `SourceClient` of its own, so the same rules hold for the authorization server as for the source.
One fetch serves everyone who waits. It has its own deadline and outlives the caller who started it, since a lookup with
little time left must not spoil the token for the next; each caller still waits no longer than its own deadline.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote_plus, urlsplit

import httpx
import msgspec
from joserfc import jwt
from joserfc.jwk import Key

from connectors.addresses import Lookup
from connectors.base import Deadline
from connectors.faults import FaultCode, SourceFailed
from connectors.http import SourceClient

FETCH_SECONDS = 1.5
ASSERTION_SECONDS = 60
DEFAULT_LIFETIME_SECONDS = 60
MAX_LIFETIME_SECONDS = 3600
_AHEAD_SECONDS = 30.0
_BETWEEN_EARLY_RENEWALS_SECONDS = 2.0  # a token endpoint in trouble is not asked at every lookup
_BETWEEN_REFUSALS_SECONDS = 5.0

_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{1,8000}=*")  # RFC 6750 section 2.1


class ClientAuthentication(Protocol):
    """How the client proves who it is at the token endpoint."""

    def headers(self) -> Mapping[str, str]:
        """Return the headers of one token request."""
        ...

    def form(self) -> Mapping[str, str]:
        """Return the parameters of one token request."""
        ...


@dataclass(frozen=True, slots=True)
class ClientSecretBasic:
    """RFC 6749 section 2.3.1: both halves are form-encoded before they are joined."""

    client_id: str
    secret: str

    def __repr__(self) -> str:
        return "ClientSecretBasic(...)"

    def headers(self) -> Mapping[str, str]:
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    def form(self) -> Mapping[str, str]:
        return {}


@dataclass(frozen=True, slots=True)
class PrivateKeyJWT:
    """RFC 7523 section 2.2. Each assertion has its own `jti` and lives a minute: servers refuse used and long ones."""

    client_id: str
    key: Key
    algorithm: str
    audience: str

    def __repr__(self) -> str:
        return "PrivateKeyJWT(...)"

    def headers(self) -> Mapping[str, str]:
        return {}

    def form(self) -> Mapping[str, str]:
        now = int(time.time())
        header = {"alg": self.algorithm, "typ": "JWT"}
        if self.key.kid:
            header["kid"] = self.key.kid
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": str(uuid.uuid4()),
        }
        return {
            "client_id": self.client_id,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(header, claims, self.key, algorithms=[self.algorithm]),
        }


class _TokenResponse(msgspec.Struct, frozen=True):
    """RFC 6749 section 5.1."""

    access_token: str
    token_type: str
    expires_in: int | str | None = None  # the NHS platform sends digits in a string


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_at: float
    ends_at: float

    def __repr__(self) -> str:
        return "_Token(...)"


class ClientCredentials(httpx.Auth):
    """A bearer token for one source, renewed before it ends, and once more when the source refuses it.

    What `SourceClient` takes as `auth`. It is an httpx.Auth too, for a plain httpx client.
    """

    def __init__(
        self,
        token_url: str,
        client: ClientAuthentication,
        *,
        allow_private: bool,
        scope: str | None = None,
        resource: str | None = None,
        fetch_seconds: float = FETCH_SECONDS,
        ssl_context: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        parts = urlsplit(token_url)
        self._client = client
        self._path = parts.path or "/"
        self._form = {"grant_type": "client_credentials"}
        if scope is not None:
            self._form["scope"] = scope
        if resource is not None:
            self._form["resource"] = resource
        self._fetch_seconds = fetch_seconds
        self._server = SourceClient(
            token_url.removesuffix(parts.path) if parts.path else token_url,
            allow_private=allow_private,
            byte_cap=32 * 1024,
            max_connections=2,
            ssl_context=ssl_context,
            transport=transport,
            lookup=lookup,
        )
        self._token: _Token | None = None
        self._fetching: asyncio.Task[_Token] | None = None
        self._renew_not_before = 0.0
        self._refuse_not_before = 0.0

    def at_hand(self) -> Mapping[str, str] | None:
        """Return the Authorization header of a token that is still good; None if one has to be waited for."""
        now = asyncio.get_running_loop().time()
        token = self._token
        if token is None or now >= token.ends_at:
            return None
        if now >= token.renew_at and now >= self._renew_not_before:
            self._renew_not_before = now + _BETWEEN_EARLY_RENEWALS_SECONDS
            self._fetch()  # ahead of its end, and nobody waits for it
        return {"Authorization": f"Bearer {token.value}"}

    async def headers(self) -> Mapping[str, str]:
        """Return the Authorization header. Raises SourceFailed, with `during_sign_in`, if no token is to be had."""
        at_hand = self.at_hand()
        if at_hand is not None:
            return at_hand
        # shielded: a caller whose deadline ends must not take the fetch away from those who still wait
        return {"Authorization": f"Bearer {(await asyncio.shield(self._fetch())).value}"}

    def refused(self, headers: Mapping[str, str]) -> bool:
        """Forget the token that these headers carried, unless it has been replaced already.

        False if one was replaced a moment ago for being refused: a source that refuses whatever it is shown is not
        asked twice as much for it, nor its token endpoint once for every call.
        """
        if self._token is not None and headers.get("Authorization") == f"Bearer {self._token.value}":
            now = asyncio.get_running_loop().time()
            if now < self._refuse_not_before:
                return False
            self._refuse_not_before = now + _BETWEEN_REFUSALS_SECONDS
            self._token = None
        return True

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign a request of a plain httpx client; repeat it once with a fresh token after a 401."""
        identity = await self.headers()
        request.headers.update(identity)
        response = yield request
        if response.status_code == 401:
            self.refused(identity)
            request.headers.update(await self.headers())
            yield request

    async def aclose(self) -> None:
        """Stop a fetch that is under way and close connections."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        await self._server.aclose()

    def _fetch(self) -> asyncio.Task[_Token]:
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().create_task(self._request_token())
            self._fetching.add_done_callback(self._fetched)
        return self._fetching

    def _fetched(self, task: asyncio.Task[_Token]) -> None:
        self._fetching = None
        # read the exception in any case: perhaps nobody waits for it any more
        if not task.cancelled() and task.exception() is None:
            self._token = task.result()

    async def _request_token(self) -> _Token:
        try:
            reply = await self._server.request(
                "POST",
                self._path,
                deadline=Deadline.after(self._fetch_seconds),
                request_id=str(uuid.uuid4()),
                form={**self._form, **self._client.form()},
                headers=self._client.headers(),
                decode=_TokenResponse,
                expect=frozenset({200, 400}),
                repeatable=False,  # an assertion is for one use
            )
        except SourceFailed as failure:
            raise SourceFailed(
                failure.code, retry_after_seconds=failure.retry_after_seconds, during_sign_in=True
            ) from None
        # 400 is how the endpoint says invalid_client, invalid_scope and the like (RFC 6749 section 5.2)
        if reply.status == 400:
            raise SourceFailed(FaultCode.TOKEN_ENDPOINT, during_sign_in=True)
        return _token(reply.json)


def _token(response: _TokenResponse) -> _Token:
    if response.token_type.lower() != "bearer" or not _B64TOKEN.fullmatch(response.access_token):
        raise SourceFailed(FaultCode.SCHEMA, during_sign_in=True)
    lifetime = _lifetime(response.expires_in)
    now = asyncio.get_running_loop().time()
    return _Token(
        response.access_token,
        renew_at=now + lifetime - min(_AHEAD_SECONDS, lifetime / 4),
        ends_at=now + lifetime,
    )


def _lifetime(expires_in: int | str | None) -> int:
    if expires_in is None:
        return DEFAULT_LIFETIME_SECONDS
    if isinstance(expires_in, str):
        if not re.fullmatch(r"[0-9]{1,9}", expires_in):
            raise SourceFailed(FaultCode.SCHEMA, during_sign_in=True)
        expires_in = int(expires_in)
    return max(0, min(expires_in, MAX_LIFETIME_SECONDS))
