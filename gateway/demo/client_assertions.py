"""Client authentication by a signed assertion (RFC 7523, `private_key_jwt`)."""

from __future__ import annotations

import time
from typing import Any

from authlib.oauth2.rfc6749.errors import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc.jwk import ECKey

MAXIMUM_LIFETIME_SECONDS = 300


class PrivateKeyJWT(JWTBearerClientAssertion):  # type: ignore[misc]
    """Accepts an assertion once, for at most five minutes, from a client that has registered a key."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(self, audiences: list[str]) -> None:
        super().__init__(validate_jti=True, leeway=30)
        self._audiences = audiences
        self._seen: dict[tuple[str, str], float] = {}

    def get_audiences(self) -> list[str]:
        return self._audiences

    def resolve_client_public_key(self, client: Any) -> ECKey:
        if client.public_key is None:
            raise InvalidClientError
        key: ECKey = client.public_key
        return key

    def validate_jti(self, claims: dict[str, Any], jti: object) -> bool:
        """Return whether this assertion is short-lived and new."""
        now = time.time()
        if not isinstance(jti, str) or claims["exp"] > now + MAXIMUM_LIFETIME_SECONDS + self.leeway:
            return False
        self._seen = {known: until for known, until in self._seen.items() if until >= now}
        if (claims["sub"], jti) in self._seen:
            return False
        self._seen[claims["sub"], jti] = claims["exp"] + self.leeway
        return True
