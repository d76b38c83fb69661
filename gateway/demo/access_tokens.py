"""Access tokens of the demo identity provider: JWTs after RFC 9068, signed with ES256."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.demo.personas import ACR_VALUES, Persona
from schema.vocabulary import ACR, Assurance

LIFETIME_SECONDS = 900
ALGORITHM = "ES256"

_ACR_OF = {assurance: value for value, assurance in ACR.items()}


class TokenResponse(dict[str, Any]):
    """The body of a token response (RFC 6749 section 5.1); it prints as nothing, for Authlib logs what it issues."""

    def __repr__(self) -> str:
        return "TokenResponse(***)"


@dataclass(frozen=True, slots=True)
class SignIn:
    """One persona signed in, how strongly, and when (seconds since the epoch)."""

    persona: Persona
    assurance: Assurance
    at: int

    @classmethod
    def now(cls, persona: Persona, acr: str | None) -> SignIn:
        """Return a sign-in at this moment, as strong as `acr` says (by default as the persona's).

        Raises KeyError for an `acr` that is neither `standard` nor `strong`, nor the URN of one of them.
        """
        assurance = persona.assurance if acr is None else ACR[ACR_VALUES.get(acr, acr)]
        return cls(persona, assurance, int(time.time()))

    @property
    def methods(self) -> list[str]:
        """Return the authentication methods that a sign-in of this strength would have used (RFC 8176)."""
        if self.persona.on_behalf_of is not None:
            return ["pop"]
        return ["pwd", "otp", "mfa"] if self.assurance is Assurance.STRONG else ["pwd"]


def signing_key() -> ECKey:
    """Return a fresh P-256 key whose `kid` is its thumbprint (RFC 7638)."""
    return ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, private=True, auto_kid=True)


@dataclass(frozen=True, slots=True)
class Minter:
    """Signs tokens for one audience."""

    issuer: str
    audience: str
    key: ECKey

    def token_response(self, sign_in: SignIn, client_id: str, scope: str) -> TokenResponse:
        """Return a token response with a token that opens `scope`, and the scope, which may be less than was asked."""
        return TokenResponse(
            access_token=self._sign(self._claims(sign_in, client_id, scope)),
            token_type="Bearer",
            expires_in=LIFETIME_SECONDS,
            scope=scope,
        )

    def _sign(self, claims: dict[str, Any]) -> str:
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": self.key.kid}
        return jwt.encode(header, claims, self.key, algorithms=[ALGORITHM])

    def _claims(self, sign_in: SignIn, client_id: str, scope: str) -> dict[str, Any]:
        persona = sign_in.persona
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": persona.subject,
            "client_id": client_id,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": secrets.token_urlsafe(16),
            "scope": scope,
            "org": persona.organisation,
            "roles": [role.value for role in persona.roles],
            "acr": _ACR_OF[sign_in.assurance],
            "amr": sign_in.methods,
            "auth_time": sign_in.at,
            "name": persona.name,
        }
        if persona.registration is not None:
            claims["registration"] = persona.registration
        if persona.on_behalf_of is not None:
            named = persona.on_behalf_of
            claims["on_behalf_of"] = {"sub": named.subject, "name": named.name, "role": named.role.value}
            if named.registration is not None:
                claims["on_behalf_of"]["registration"] = named.registration
        return claims
