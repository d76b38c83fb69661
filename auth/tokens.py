"""Bearer token in, Caller out, or one of three refusals.

The order is the defence: nothing is parsed before its length is known, nothing is believed before its signature is
checked, and the issuer's name chooses the keys before any key is looked at (RFC 9068, section 4; RFC 8725).
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError

from auth.caller import Caller
from auth.claims import ClaimRules, caller_from
from auth.jwks import ALGORITHMS, VerificationKey
from auth.keys import IssuerKeys, KeySets, KeysUnavailable
from auth.refusals import REASONS, InvalidRequest, Reason, Unauthenticated, challenge
from auth.strict_json import NotStrict, decode_base64url, decode_object

__all__ = [
    "REASONS",
    "InvalidRequest",
    "IssuerSettings",
    "KeysUnavailable",
    "Reason",
    "TokenValidator",
    "Unauthenticated",
    "challenge",
]

MAX_TOKEN_CHARACTERS = 8192
MAX_LIFETIME_SECONDS = 900
LEEWAY_SECONDS = 30
CACHE_SECONDS = 60.0
_MAX_HEADER_VALUE = 200
_HEADER_MEMBERS = frozenset({"alg", "typ", "kid", "cty"})
_TYPES = frozenset({"at+jwt", "application/at+jwt"})
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
# a comma and another scheme: two headers that something on the way joined (RFC 9110, section 5.3)
_SECOND_CREDENTIALS = re.compile(r",\s*[A-Za-z][A-Za-z0-9-]*\s+\S")
_REGISTRIES = {name: jws.JWSRegistry(algorithms=[name]) for name in ALGORITHMS}


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """One issuer that we trust, and for whom it may speak: None means any client, or any organisation."""

    issuer: str
    algorithms: tuple[str, ...]
    clients: frozenset[str] | None
    organisations: frozenset[str] | None

    def __post_init__(self) -> None:
        if not self.issuer:
            raise ValueError("an issuer has a name")
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            raise ValueError(f"algorithms are some of {', '.join(ALGORITHMS)}")


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token that passed, and until when the result may be used again."""

    caller: Caller
    keys: IssuerKeys
    generation: int
    since: float
    until: float


class TokenValidator:
    """Validates bearer access tokens for one audience."""

    def __init__(
        self,
        issuers: Sequence[IssuerSettings],
        audience: str,
        keys: KeySets,
        *,
        revoked: Callable[[Caller], bool],
        clock: Callable[[], float] = time.time,
        max_lifetime_seconds: int = MAX_LIFETIME_SECONDS,
        leeway_seconds: int = LEEWAY_SECONDS,
        cache_size: int = 4096,
    ) -> None:
        """`clock` is the time of day in seconds. `revoked(caller)` is asked on every request and must be
        quick; what it raises is raised.

        Raises ValueError if an issuer is named twice or has no key set, or if no audience is given.
        """
        self._issuers = {settings.issuer: settings for settings in issuers}
        if len(self._issuers) != len(issuers):
            raise ValueError("an issuer is configured twice")
        if not audience:
            raise ValueError("tokens need an audience")
        for issuer in self._issuers:
            if keys.of(issuer) is None:
                raise ValueError("an issuer has no key set")
        self._rules = ClaimRules(audience, max_lifetime_seconds, leeway_seconds)
        self._keys = keys
        self._revoked = revoked
        self._clock = clock
        self._cache: dict[bytes, _Verified] = {}
        self._cache_size = cache_size

    async def authenticate(self, authorization: Sequence[str]) -> Caller:
        """Return the caller that the raw Authorization header values prove.

        Raises Unauthenticated (401), InvalidRequest (400), KeysUnavailable or RevocationsUnread (503). No outbound call
        depends on what a token says, but for at most one fetch a minute of its issuer's configured key set.
        """
        token = _bearer(authorization)
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        now = self._clock()
        try:
            verified = self._cached(digest, now)
            caller = verified.caller if verified is not None else await self._verify(token, digest, now)
            self.check_revocation(caller)
        except Unauthenticated as refused:
            refused.token_sha256 = digest.hex()[:16]
            raise
        return caller

    def recheck(self, caller: Caller) -> None:
        """Raise Unauthenticated if the token expired or was revoked since; for use before anything is disclosed.

        Raises RevocationsUnread if nobody can tell.
        """
        if self._clock() >= caller.expires_at + self._rules.leeway_seconds:
            raise Unauthenticated("invalid_token", Reason.EXPIRED)
        self.check_revocation(caller)

    def check_revocation(self, caller: Caller) -> None:
        """Raise Unauthenticated if the token is on the deny list, RevocationsUnread if nobody can tell."""
        if self._revoked(caller):
            raise Unauthenticated("invalid_token", Reason.REVOKED)

    def _cached(self, digest: bytes, now: float) -> _Verified | None:
        verified = self._cache.get(digest)
        if verified is None:
            return None
        # a clock that was set back must not lengthen anything
        if verified.since <= now < verified.until and verified.generation == verified.keys.generation:
            return verified
        del self._cache[digest]
        return None

    async def _verify(self, token: str, digest: bytes, now: float) -> Caller:
        header, claims = _parts(token)
        settings, keys = self._issuer(claims)
        algorithm = _algorithm(header, settings)
        key = await keys.key(header["kid"])
        # nothing awaits from here on: what is remembered belongs to the set that the key is from
        _check_signature(token, key, algorithm)
        caller = caller_from(claims, self._rules, settings.clients, settings.organisations, now)
        until = min(now + CACHE_SECONDS, caller.expires_at)
        self._remember(digest, _Verified(caller, keys, keys.generation, now, until))
        return caller

    def _issuer(self, claims: dict[str, Any]) -> tuple[IssuerSettings, IssuerKeys]:
        issuer = claims.get("iss")
        settings = self._issuers.get(issuer) if isinstance(issuer, str) else None
        keys = None if settings is None else self._keys.of(settings.issuer)
        if settings is None or keys is None:
            raise Unauthenticated("invalid_token", Reason.ISSUER)
        return settings, keys

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        while len(self._cache) >= self._cache_size:
            del self._cache[next(iter(self._cache))]
        self._cache[digest] = verified


def _bearer(authorization: Sequence[str]) -> str:
    """Return the token of the one Authorization header value (RFC 6750, section 2.1)."""
    if not authorization:
        raise Unauthenticated(None, Reason.NO_CREDENTIALS)
    if len(authorization) > 1:
        raise InvalidRequest
    scheme, _, token = authorization[0].partition(" ")
    if "," in authorization[0] and _SECOND_CREDENTIALS.search(authorization[0]):
        raise InvalidRequest
    if scheme.lower() != "bearer":
        # RFC 6750, section 3.1: no error code for an unsupported authentication method
        raise Unauthenticated(None, Reason.OTHER_SCHEME)
    token = token.lstrip(" ")
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise Unauthenticated("invalid_token", Reason.TOO_LONG)
    return token


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims, strictly read and not yet believed."""
    compact = _COMPACT.fullmatch(token)
    if compact is None:
        raise Unauthenticated("invalid_token", Reason.NOT_A_JWS)
    try:
        raw_header, raw_claims, _ = (decode_base64url(part) for part in compact.groups())
    except NotStrict:
        raise Unauthenticated("invalid_token", Reason.NOT_A_JWS) from None
    try:
        header, claims = decode_object(raw_header), decode_object(raw_claims)
    except NotStrict:
        raise Unauthenticated("invalid_token", Reason.NOT_STRICT_JSON) from None
    _check_header(header)
    return header, claims


def _check_header(header: dict[str, Any]) -> None:
    # no jku, jwk, x5u, x5c, crit, b64 or zip: what is not read cannot be used against us
    if not header.keys() <= _HEADER_MEMBERS or not header.get("kid"):
        raise Unauthenticated("invalid_token", Reason.HEADER)
    if not all(isinstance(value, str) and len(value) <= _MAX_HEADER_VALUE for value in header.values()):
        raise Unauthenticated("invalid_token", Reason.HEADER)
    if header.get("typ", "").lower() not in _TYPES:
        raise Unauthenticated("invalid_token", Reason.TYPE)


def _algorithm(header: dict[str, Any], settings: IssuerSettings) -> str:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in settings.algorithms:
        raise Unauthenticated("invalid_token", Reason.ALGORITHM)
    return algorithm


def _check_signature(token: str, key: VerificationKey | None, algorithm: str) -> None:
    if key is None or key.algorithm != algorithm:
        raise Unauthenticated("invalid_token", Reason.KEY)
    try:
        jws.deserialize_compact(token, key.key, registry=_REGISTRIES[algorithm])
    except (JoseError, ValueError):
        raise Unauthenticated("invalid_token", Reason.SIGNATURE) from None
