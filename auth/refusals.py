"""Why a request is not let in: closed reason codes for the audit log, one answer for the caller.

The caller learns `invalid_token` and nothing more, whatever the reason; the reason goes to the audit log. A reason is
a word of this list and never text from the token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Reason(StrEnum):
    """Why a bearer token was refused."""

    NO_CREDENTIALS = "NO_CREDENTIALS"
    OTHER_SCHEME = "OTHER_SCHEME"
    SEVERAL_CREDENTIALS = "SEVERAL_CREDENTIALS"
    TOO_LONG = "TOO_LONG"
    NOT_A_JWS = "NOT_A_JWS"
    NOT_STRICT_JSON = "NOT_STRICT_JSON"
    HEADER = "HEADER"
    ALGORITHM = "ALGORITHM"
    TYPE = "TYPE"
    ISSUER = "ISSUER"
    KEY = "KEY"
    SIGNATURE = "SIGNATURE"
    AUDIENCE = "AUDIENCE"
    TIME_MALFORMED = "TIME_MALFORMED"
    EXPIRED = "EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    LIFETIME = "LIFETIME"
    SUBJECT = "SUBJECT"
    TOKEN_ID = "TOKEN_ID"  # noqa: S105 - the name of a reason, not a secret
    CLIENT = "CLIENT"
    CLIENT_NOT_LISTED = "CLIENT_NOT_LISTED"
    SCOPE = "SCOPE"
    ORGANISATION = "ORGANISATION"
    ROLES = "ROLES"
    ASSURANCE = "ASSURANCE"
    DELEGATION = "DELEGATION"
    PERSON = "PERSON"
    AUTHORIZATION_DETAILS = "AUTHORIZATION_DETAILS"
    SENDER_CONSTRAINED = "SENDER_CONSTRAINED"
    REVOKED = "REVOKED"


REASONS: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.NO_CREDENTIALS: "no Authorization header",
        Reason.OTHER_SCHEME: "the Authorization scheme is not Bearer",
        Reason.SEVERAL_CREDENTIALS: "more than one Authorization header, or several joined by a comma (RFC 6750, 3.1)",
        Reason.TOO_LONG: "longer than 8 KiB",
        Reason.NOT_A_JWS: "not three parts of canonical base64url (RFC 7515, 7.1)",
        Reason.NOT_STRICT_JSON: "header or claims are not an object with one reading",
        Reason.HEADER: "a header member is missing, unknown, too long or not text",
        Reason.ALGORITHM: "an algorithm that this issuer may not use",
        Reason.TYPE: "not `at+jwt` (RFC 9068, 2.1)",
        Reason.ISSUER: "no configured issuer has exactly this name",
        Reason.KEY: "the issuer publishes no signing key with this id for this algorithm",
        Reason.SIGNATURE: "the signature is not the issuer's",
        Reason.AUDIENCE: "meant for another resource server",
        Reason.TIME_MALFORMED: "a time is missing or not a number in range",
        Reason.EXPIRED: "expired",
        Reason.NOT_YET_VALID: "not valid yet, or issued in the future",
        Reason.LIFETIME: "lives longer than this server accepts, or ends before it begins",
        Reason.SUBJECT: "`sub` is missing or not a short text",
        Reason.TOKEN_ID: "`jti` is missing or not a short text",
        Reason.CLIENT: "`client_id` is missing or not a short text",
        Reason.CLIENT_NOT_LISTED: "the issuer's allow-list does not name this client",
        Reason.SCOPE: "`scope` is missing or breaks the grammar of RFC 6749, 3.3",
        Reason.ORGANISATION: "`org` is missing or not a short text",
        Reason.ROLES: "`roles` is not an array of texts",
        Reason.ASSURANCE: "`acr` is not a text",
        Reason.DELEGATION: "`act` or `on_behalf_of` is malformed, contradictory, or claims a role that the token lacks",
        Reason.PERSON: "`name` or `registration` is not a short text",
        Reason.AUTHORIZATION_DETAILS: "`authorization_details` is malformed (RFC 9396)",
        Reason.SENDER_CONSTRAINED: "the token is bound to a key (`cnf`) and no proof of it is offered here",
        Reason.REVOKED: "the token is on the deny list",
    }
)


class Unauthenticated(Exception):
    """401. `error` is None when no bearer token was sent, else `invalid_token`; `reason` is for the audit log.

    `token_sha256` holds the first 16 hexadecimal digits of the token's SHA-256, so that a log can tell two refused
    tokens apart without holding either.
    """

    def __init__(self, error: str | None, reason: Reason, token_sha256: str | None = None) -> None:
        super().__init__(reason.value)
        self.error = error
        self.reason = reason
        self.token_sha256 = token_sha256


class InvalidRequest(Exception):
    """400 `invalid_request`: the request carries more than one set of credentials (RFC 6750, section 3.1)."""

    error = "invalid_request"
    reason = Reason.SEVERAL_CREDENTIALS

    def __init__(self) -> None:
        super().__init__(self.reason.value)


_QUOTABLE = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]*")


def challenge(
    error: str | None,
    *,
    resource_metadata: str,
    scope: str | None = None,
    acr_values: str | None = None,
    max_age: int | None = None,
) -> str:
    """Return the value of WWW-Authenticate (RFC 6750, section 3), naming the resource metadata (RFC 9728, 5.1).

    `acr_values` and `max_age` belong to `insufficient_user_authentication` (RFC 9470, section 3), `scope` to
    `insufficient_scope`. Raises ValueError for a value that cannot stand in a quoted string.
    """
    parameters = {
        "error": error,
        "scope": scope,
        "acr_values": acr_values,
        "max_age": None if max_age is None else str(max_age),
        "resource_metadata": resource_metadata,
    }
    written = []
    for name, value in parameters.items():
        if value is None:
            continue
        if not _QUOTABLE.fullmatch(value):
            raise ValueError(f"{name} cannot stand in a quoted string")
        written.append(f'{name}="{value}"')
    return "Bearer " + ", ".join(written)
