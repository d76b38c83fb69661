"""How a source's trouble is named: a closed list of codes, each standing for one reason that a caller may see.

Source: the SourceReason meanings of the published contract. The code goes to audit and metrics only.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

from schema.vocabulary import SourceReason


class FaultCode(StrEnum):
    """What exactly went wrong."""

    CONNECT = "CONNECT"
    DNS = "DNS"
    TLS = "TLS"
    FORBIDDEN_ADDRESS = "FORBIDDEN_ADDRESS"
    DEADLINE = "DEADLINE"
    RESET = "RESET"
    TRUNCATED = "TRUNCATED"
    UNFRAMED = "UNFRAMED"
    GARBAGE = "GARBAGE"
    ENCODING = "ENCODING"
    REDIRECT = "REDIRECT"
    STATUS_5XX = "STATUS_5XX"
    STATUS_UNEXPECTED = "STATUS_UNEXPECTED"
    NOT_FOUND_BARE = "NOT_FOUND_BARE"
    EMPTY = "EMPTY"
    CONTENT_TYPE = "CONTENT_TYPE"
    BAD_JSON = "BAD_JSON"
    SCHEMA = "SCHEMA"
    MISMATCH = "MISMATCH"
    TOO_LARGE = "TOO_LARGE"
    AUTH = "AUTH"
    TOKEN_ENDPOINT = "TOKEN_ENDPOINT"  # noqa: S105 (a code, not a secret)
    RATE_LIMITED = "RATE_LIMITED"
    OVERLOADED = "OVERLOADED"
    BULKHEAD_FULL = "BULKHEAD_FULL"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"


REASON_OF: dict[FaultCode, SourceReason] = {
    FaultCode.CONNECT: SourceReason.CONNECT,
    FaultCode.DNS: SourceReason.CONNECT,
    FaultCode.TLS: SourceReason.CONNECT,
    FaultCode.FORBIDDEN_ADDRESS: SourceReason.CONNECT,
    FaultCode.DEADLINE: SourceReason.TIMEOUT,
    FaultCode.RESET: SourceReason.PROTOCOL,
    FaultCode.TRUNCATED: SourceReason.PROTOCOL,
    FaultCode.UNFRAMED: SourceReason.PROTOCOL,
    FaultCode.GARBAGE: SourceReason.PROTOCOL,
    FaultCode.ENCODING: SourceReason.PROTOCOL,
    FaultCode.REDIRECT: SourceReason.PROTOCOL,
    FaultCode.STATUS_5XX: SourceReason.PROTOCOL,
    FaultCode.STATUS_UNEXPECTED: SourceReason.PROTOCOL,
    FaultCode.NOT_FOUND_BARE: SourceReason.PROTOCOL,
    FaultCode.EMPTY: SourceReason.PROTOCOL,
    FaultCode.CONTENT_TYPE: SourceReason.INVALID_ANSWER,
    FaultCode.BAD_JSON: SourceReason.INVALID_ANSWER,
    FaultCode.SCHEMA: SourceReason.INVALID_ANSWER,
    FaultCode.MISMATCH: SourceReason.INVALID_ANSWER,
    FaultCode.TOO_LARGE: SourceReason.INVALID_ANSWER,
    FaultCode.AUTH: SourceReason.REFUSED,
    FaultCode.TOKEN_ENDPOINT: SourceReason.REFUSED,
    FaultCode.RATE_LIMITED: SourceReason.RATE_LIMITED,
    FaultCode.OVERLOADED: SourceReason.OVERLOADED,
    FaultCode.BULKHEAD_FULL: SourceReason.OVERLOADED,
    FaultCode.CIRCUIT_OPEN: SourceReason.CIRCUIT_OPEN,
}


class Bearing(IntEnum):
    """What the outcome of a call says of the source, for its circuit breaker."""

    NONE = 0  # nothing: it was not asked, or what failed is ours
    SOUND = 1  # it answered, whatever we make of the answer
    FAILING = 2  # the source, or the way there, is in trouble


# What stands in one child's record may be unreadable, and our own request or sign-in may be refused: neither silences
# a source for everybody. A bare 404 comes from a proxy without its service behind it.
_BEARINGS: dict[str, Bearing] = {
    FaultCode.CONNECT: Bearing.FAILING,
    FaultCode.DNS: Bearing.FAILING,
    FaultCode.TLS: Bearing.FAILING,
    FaultCode.FORBIDDEN_ADDRESS: Bearing.NONE,
    FaultCode.DEADLINE: Bearing.FAILING,
    FaultCode.RESET: Bearing.FAILING,
    FaultCode.TRUNCATED: Bearing.FAILING,
    FaultCode.UNFRAMED: Bearing.FAILING,
    FaultCode.GARBAGE: Bearing.FAILING,
    FaultCode.ENCODING: Bearing.FAILING,
    FaultCode.REDIRECT: Bearing.FAILING,
    FaultCode.STATUS_5XX: Bearing.FAILING,
    FaultCode.STATUS_UNEXPECTED: Bearing.SOUND,
    FaultCode.NOT_FOUND_BARE: Bearing.FAILING,
    FaultCode.EMPTY: Bearing.FAILING,
    FaultCode.CONTENT_TYPE: Bearing.FAILING,
    FaultCode.BAD_JSON: Bearing.SOUND,
    FaultCode.SCHEMA: Bearing.SOUND,
    FaultCode.MISMATCH: Bearing.SOUND,
    FaultCode.TOO_LARGE: Bearing.SOUND,
    FaultCode.AUTH: Bearing.SOUND,
    FaultCode.TOKEN_ENDPOINT: Bearing.SOUND,
    FaultCode.RATE_LIMITED: Bearing.FAILING,
    FaultCode.OVERLOADED: Bearing.FAILING,
    FaultCode.BULKHEAD_FULL: Bearing.NONE,
    FaultCode.CIRCUIT_OPEN: Bearing.NONE,
}


def bearing_of(code: str) -> Bearing:
    """Return what a code says of the source; NONE for a code that is not of this list."""
    return _BEARINGS.get(code, Bearing.NONE)


class SourceFailed(Exception):
    """A source gave no answer.

    Its text is the code and nothing else: never a URL, an identifier or a piece of a body. Raise it `from None`,
    because the exception below usually holds the URL.
    """

    def __init__(
        self, code: FaultCode, *, retry_after_seconds: float | None = None, during_sign_in: bool = False
    ) -> None:
        super().__init__(code.value)
        self.code = code
        self.reason = REASON_OF[code]
        self.retry_after_seconds = retry_after_seconds
        self.during_sign_in = during_sign_in
