"""Accept, and the status that goes with what was chosen."""

from __future__ import annotations

import pytest

from gateway.errors import (
    AuditUnavailable,
    BadUserInput,
    BodyNotJSON,
    Forbidden,
    GatewayError,
    LimitExceeded,
    NotAcceptable,
    ParseFailed,
    RateLimited,
    Unauthenticated,
    ValidationFailed,
)
from gateway.graphql.negotiation import MediaType, media_type_of, negotiate, status_of

GRAPHQL, JSON = MediaType.GRAPHQL_RESPONSE, MediaType.JSON


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        (b"", JSON),
        (b"*/*", JSON),
        (b"application/*", JSON),
        (b"application/json", JSON),
        (b"application/graphql-response+json", GRAPHQL),
        (b"application/graphql-response+json; charset=utf-8", GRAPHQL),
        (b"APPLICATION/GraphQL-Response+JSON", GRAPHQL),
        (b"application/graphql-response+json, application/json;q=0.9", GRAPHQL),
        (b"application/json;q=0.9, application/graphql-response+json", GRAPHQL),
        (b"application/json, application/graphql-response+json", GRAPHQL),
        (b"application/json, application/graphql-response+json;q=0.5", JSON),
        (b"application/graphql-response+json;q=0.2, */*;q=0.1", GRAPHQL),
        (b"application/graphql-response+json;q=0.1, */*", JSON),
        (b"application/json;q=0, */*", GRAPHQL),
        (b"text/html, application/xhtml+xml, */*;q=0.8", JSON),
        (b"application/json; charset=utf-16, application/graphql-response+json;q=0.1", GRAPHQL),
    ],
)
def test_the_preferred_type_is_chosen(accept: bytes | None, chosen: MediaType) -> None:
    assert negotiate(accept) is chosen


@pytest.mark.parametrize(
    "accept",
    [
        b"image/png",
        b"text/html",
        b"application/json;q=0",
        b"*/*;q=0",
        b"application/json;q=2",
        b"application/json;charset=latin-1",
        b"json",
        b"\xff" * 300,
    ],
)
def test_a_client_that_takes_neither_type_is_told_so(accept: bytes) -> None:
    with pytest.raises(NotAcceptable):
        negotiate(accept)


@pytest.mark.parametrize(
    ("error", "under_graphql", "under_json"),
    [
        (None, 200, 200),
        (Forbidden(), 200, 200),
        (ParseFailed(), 400, 200),
        (ValidationFailed(), 400, 200),
        (LimitExceeded(), 400, 200),
        (BadUserInput(), 400, 200),
        (BodyNotJSON(), 400, 400),
        (Unauthenticated("Bearer"), 401, 401),
        (RateLimited(60), 429, 429),
        (AuditUnavailable(None), 503, 503),
    ],
)
def test_the_status_is_the_one_of_the_published_table(
    error: GatewayError | None, under_graphql: int, under_json: int
) -> None:
    assert (status_of(error, GRAPHQL), status_of(error, JSON)) == (under_graphql, under_json)


def test_what_is_no_graphql_response_is_not_labelled_as_one() -> None:
    assert media_type_of(BodyNotJSON(), GRAPHQL) is JSON
    assert media_type_of(ParseFailed(), GRAPHQL) is GRAPHQL
