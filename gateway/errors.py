"""What a caller may be told when a request is not answered.

The tree; each class has one code (`errors[].extensions.code`), one status and fixed sentences:

    GatewayError
        TransportError
            BodyNotJSON
            NotAGraphQLRequest
            InvalidCredentialsRequest
            NotFound
            MethodNotAllowed
            NotAcceptable
            RequestTimeout
            PayloadTooLarge
            UnsupportedMediaType
        RequestError
            ParseFailed
            ValidationFailed
            LimitExceeded
            BadUserInput
        Unauthenticated
        Forbidden
        ServiceError
            RetryLater
                RateLimited
                Overloaded
                AuditUnavailable
            InternalServerError

Nothing of the request stands in any of them: a message is a sentence of this repository, a location is a line and a
column, a header is a number or a configured value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, LiteralString

Locations = Sequence[tuple[int, int]]


class GatewayError(Exception):
    """Anything that a caller is told instead of an answer."""

    code: ClassVar[str] = ""
    status: ClassVar[int] = 500
    #: The status under `Accept: application/json`, where older clients expect 200 for an error of the document.
    legacy_status: ClassVar[int | None] = None
    #: True when execution began: the body then holds `data: null` (GraphQL, section 7.1.1).
    executed: ClassVar[bool] = False
    message: ClassVar[LiteralString] = "The request was not answered."

    def __init__(self, sentence: LiteralString | None = None, *, locations: Locations = ()) -> None:
        self.sentence: str = self.message if sentence is None else sentence
        self.locations = tuple(locations)
        super().__init__(self.sentence)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the response headers that belong to this error, names in lower case."""
        return []

    def extensions(self) -> dict[str, Any]:
        """Return the `extensions` of the error object."""
        return {"code": self.code}

    def formatted(self) -> dict[str, Any]:
        """Return the error object of the response (GraphQL, section 7.1.2)."""
        error: dict[str, Any] = {"message": self.sentence}
        if self.locations:
            error["locations"] = [{"line": line, "column": column} for line, column in self.locations]
        error["extensions"] = self.extensions()
        return error


class TransportError(GatewayError):
    """The HTTP request is not one that a GraphQL server answers; always `application/json`."""


class BodyNotJSON(TransportError):
    """400: not UTF-8, not JSON, ambiguous JSON, or nested too deep."""

    code = "BODY_NOT_JSON"
    status = 400
    message = "The body is not JSON that has exactly one reading."


class NotAGraphQLRequest(TransportError):
    """400: JSON, but not an object with the members of GraphQL over HTTP."""

    code = "NOT_A_GRAPHQL_REQUEST"
    status = 400
    message = (
        "The body is not a GraphQL request: an object with `query` and, if needed, `operationName` and `variables`."
    )


class InvalidCredentialsRequest(TransportError):
    """400 `invalid_request`: several credentials, or credentials outside the header (RFC 6750, section 3.1)."""

    code = "INVALID_REQUEST"
    status = 400
    message = "Send exactly one Authorization header with one bearer token."

    def __init__(self, challenge: str) -> None:
        super().__init__()
        self.challenge = challenge

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"www-authenticate", self.challenge.encode("ascii"))]


class NotFound(TransportError):
    """404."""

    code = "NOT_FOUND"
    status = 404
    message = "There is nothing here."


class MethodNotAllowed(TransportError):
    """405, with the methods that are."""

    code = "METHOD_NOT_ALLOWED"
    status = 405
    message = "This method is not allowed here."

    def __init__(self, allow: LiteralString = "POST") -> None:
        super().__init__()
        self.allow = allow

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"allow", self.allow.encode("ascii"))]


class NotAcceptable(TransportError):
    """406: no media type that this server writes."""

    code = "NOT_ACCEPTABLE"
    status = 406
    message = "Accept application/graphql-response+json or application/json."


class RequestTimeout(TransportError):
    """408: the body did not arrive in time."""

    code = "REQUEST_TIMEOUT"
    status = 408
    message = "The body did not arrive in time."

    def headers(self) -> list[tuple[bytes, bytes]]:
        # what is still to come would be read as the next request
        return [(b"connection", b"close")]


class PayloadTooLarge(TransportError):
    """413: the body, or the query string of a GET, is longer than allowed."""

    code = "PAYLOAD_TOO_LARGE"
    status = 413
    message = "The request is too large."

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"connection", b"close")]


class UnsupportedMediaType(TransportError):
    """415: not `application/json` in UTF-8, or compressed."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415
    message = "Send application/json in UTF-8, without a content encoding."


class RequestError(GatewayError):
    """The GraphQL request was refused before execution: no `data`."""

    status = 400
    legacy_status = 200


class ParseFailed(RequestError):
    """The document is not GraphQL."""

    code = "GRAPHQL_PARSE_FAILED"
    message = "The document is not valid GraphQL syntax."


class ValidationFailed(RequestError):
    """The document does not fit the schema, or one of its own rules."""

    code = "GRAPHQL_VALIDATION_FAILED"
    message = "The document is not valid against the schema."


class LimitExceeded(RequestError):
    """The document is larger or asks for more than one request may."""

    code = "LIMIT_EXCEEDED"
    message = "The document exceeds a limit."


class BadUserInput(RequestError):
    """A value is not one that its type takes."""

    code = "BAD_USER_INPUT"
    message = "A value is not valid for its type."


class Unauthenticated(GatewayError):
    """401 with a challenge (RFC 6750, section 3; RFC 9470 when a stronger sign-in is needed)."""

    code = "UNAUTHENTICATED"
    status = 401
    message = "A valid access token is needed."

    def __init__(self, challenge: str, sentence: LiteralString | None = None) -> None:
        super().__init__(sentence)
        self.challenge = challenge

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"www-authenticate", self.challenge.encode("ascii"))]


class Forbidden(GatewayError):
    """An executed error: 200 with `data: null`. It depends on the caller alone, never on the child."""

    code = "FORBIDDEN"
    status = 200
    executed = True
    message = "You may not look up a child for this purpose."


class ServiceError(GatewayError):
    """The request may be good; this server does not answer it now."""


class RetryLater(ServiceError):
    """A refusal that says when to come back."""

    def __init__(self, retry_after_seconds: int | None, sentence: LiteralString | None = None) -> None:
        super().__init__(sentence)
        self.retry_after_seconds = retry_after_seconds

    def headers(self) -> list[tuple[bytes, bytes]]:
        if self.retry_after_seconds is None:
            return []
        return [(b"retry-after", str(self.retry_after_seconds).encode("ascii"))]


class RateLimited(RetryLater):
    """429: a budget is spent; the body is the same for every budget."""

    code = "RATE_LIMITED"
    status = 429
    message = "The budget for lookups is spent. Try again later."


class Overloaded(RetryLater):
    """503: the server, or something that it needs to decide, cannot take the request now."""

    code = "OVERLOADED"
    status = 503
    message = "The service cannot take this request now. Try again."


class AuditUnavailable(RetryLater):
    """503: no record, no disclosure."""

    code = "AUDIT_UNAVAILABLE"
    status = 503
    message = "The audit log cannot be written, so nothing is disclosed. Try again."


class InternalServerError(ServiceError):
    """500: our fault; the caller gets the correlation id and nothing else."""

    code = "INTERNAL_SERVER_ERROR"
    status = 500
    message = "Something went wrong here. Quote the request id when you report it."

    def __init__(self, request_id: str) -> None:
        super().__init__()
        self.request_id = request_id

    def extensions(self) -> dict[str, Any]:
        return {"code": self.code, "requestId": self.request_id}
