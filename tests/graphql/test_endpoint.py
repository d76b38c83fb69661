"""One request through the front door: order, headers, status, and what is said to whom."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import uuid
import weakref
from typing import Any

import httpx
import pytest
import structlog
from graphql import GraphQLSchema, get_introspection_query

from gateway.errors import (
    AuditUnavailable,
    BadUserInput,
    Forbidden,
    GatewayError,
    Overloaded,
    RateLimited,
    Unauthenticated,
)
from gateway.graphql import body as body_reading
from gateway.graphql.body import BodyLimits
from gateway.graphql.endpoint import ExecutedAnswer

pytestmark = pytest.mark.anyio

CANARY = "9990000018"
KEY = {"nhsNumber": CANARY, "dateOfBirth": "2015-04-09", "familyName": "Amis"}
ACCESS = {"purpose": "CP_S47", "reason": "strategy discussion"}
LOOKUP = "query Who($key: ChildKey!, $access: AccessRequest!) { child(key: $key, access: $access) { outcome } }"
BODY = {"query": LOOKUP, "variables": {"key": KEY, "access": ACCESS}}


async def test_a_lookup_is_answered_with_the_headers_that_keep_it_private(client: httpx.AsyncClient) -> None:
    response = await client.post("", json=BODY)

    assert response.status_code == 200
    assert response.json() == {"data": {"child": {"outcome": "DISCLOSED"}}}
    assert response.headers["content-type"] == "application/graphql-response+json; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    uuid.UUID(response.headers["x-request-id"])
    assert not {"etag", "content-encoding", "access-control-allow-origin", "set-cookie"} & set(response.headers)


async def test_the_older_media_type_is_answered_in_kind(client: httpx.AsyncClient) -> None:
    response = await client.post("", json={"query": "{"}, headers={"accept": "application/json"})

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert "data" not in response.json()


async def test_a_client_may_choose_a_uuid_as_request_id_and_nothing_else(client: httpx.AsyncClient) -> None:
    chosen = str(uuid.uuid4())

    kept = await client.post("", json=BODY, headers={"x-request-id": chosen})
    assert kept.headers["x-request-id"] == chosen
    for other in ("1", CANARY, "{" + chosen[1:-1] + "}", "urn:uuid:" + chosen, chosen + chosen, "x" * 36, "é" * 18):
        replaced = await client.post("", json=BODY, headers=[(b"x-request-id", other.encode())])
        assert replaced.headers["x-request-id"] != other
        uuid.UUID(replaced.headers["x-request-id"])


@pytest.mark.parametrize("query", ["{", "{ nobody }", "{ " + "__typename " * 50 + "}", get_introspection_query()])
async def test_without_a_token_nobody_learns_whether_a_document_is_good(
    client: httpx.AsyncClient, door: Any, query: str
) -> None:
    response = await client.post("", json={"query": query}, headers={"authorization": "Bearer wrong"})

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer ")
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert door.parse.calls == 0


async def test_what_is_too_long_to_parse_is_refused_before_the_token(client: httpx.AsyncClient, door: Any) -> None:
    response = await client.post("", json={"query": "{ " + "a " * 900 + "}"}, headers={"authorization": "Bearer wrong"})

    assert response.json()["errors"][0]["extensions"] == {"code": "LIMIT_EXCEEDED"}
    assert door.parse.calls == 0


async def test_two_credentials_are_one_too_many(client: httpx.AsyncClient) -> None:
    headers = [("authorization", "Bearer plain"), ("authorization", "Bearer schema")]

    response = await client.post("", json=BODY, headers=headers)

    assert response.status_code == 400


async def test_a_cookie_is_no_credential(door: Any) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=door.app), base_url="http://g/graphql") as client:
        response = await client.post("", json=BODY, headers={"cookie": "authorization=Bearer plain"})

    assert response.status_code == 401


async def test_a_page_of_another_origin_is_given_no_permission(client: httpx.AsyncClient) -> None:
    response = await client.request(
        "OPTIONS", "", headers={"origin": "https://other.example", "access-control-request-method": "POST"}
    )

    assert response.status_code == 405
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "QUERY"])
async def test_any_other_method_is_refused_and_the_allowed_are_named(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "", headers={"graphql-require-preflight": "1"})

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


async def test_a_method_cannot_be_overridden(client: httpx.AsyncClient) -> None:
    response = await client.get(
        "", params={"query": "{ __typename }"}, headers={"x-http-method-override": "POST", "x-method-override": "POST"}
    )

    assert response.status_code == 405


async def test_a_get_needs_the_header_that_no_foreign_page_can_send(client: httpx.AsyncClient) -> None:
    params = {"query": "{ __typename }"}

    refused = await client.get("", params=params, headers={"accept": "text/html, */*"})
    answered = await client.get("", params=params, headers={"graphql-require-preflight": "1"})

    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert answered.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "query",
    [
        'query($key: ChildKey!) { child(key: $key, access: {purpose: CP_S47, reason: "r"}) { outcome } }',
        'query($key: ChildKey) { findChild(match: "m", access: {purpose: CP_S47, reason: "r"}) { outcome } viewer {'
        " subject } }",
        'mutation { registerAppointment(child: "1") }',
    ],
)
async def test_a_get_never_looks_up_and_never_changes(client: httpx.AsyncClient, door: Any, query: str) -> None:
    params = {"query": query.replace("query($key: ChildKey) ", ""), "variables": json.dumps({"key": KEY})}

    response = await client.get("", params=params, headers={"graphql-require-preflight": "1"})

    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert door.answers.asked == []
    assert CANARY not in response.text


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (BadUserInput("Give a reason."), 400, "BAD_USER_INPUT"),
        (RateLimited(3600), 429, "RATE_LIMITED"),
        (Overloaded(1), 503, "OVERLOADED"),
        (AuditUnavailable(None), 503, "AUDIT_UNAVAILABLE"),
        (Unauthenticated('Bearer error="insufficient_user_authentication"'), 401, "UNAUTHENTICATED"),
    ],
)
async def test_a_refusal_of_the_lookup_has_its_status_and_no_data(
    client: httpx.AsyncClient, door: Any, failure: GatewayError, status: int, code: str
) -> None:
    door.answers.failure = failure

    response = await client.post("", json=BODY)

    assert response.status_code == status
    assert response.json()["errors"][0]["extensions"] == {"code": code}
    assert "data" not in response.json()
    assert response.headers.get("retry-after") == {429: "3600", 503: "1" if code == "OVERLOADED" else None}.get(status)
    # the lookup keeps its own record of what it refuses
    assert door.refusals.told == []


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_a_forbidden_lookup_is_an_executed_one(client: httpx.AsyncClient, door: Any, accept: str) -> None:
    door.answers.failure = Forbidden()

    response = await client.post("", json=BODY, headers={"accept": accept})

    assert response.status_code == 200
    assert response.json()["data"] is None
    assert response.json()["errors"][0]["extensions"] == {"code": "FORBIDDEN"}


EXHAUSTED = [MemoryError(), RecursionError(), OSError(errno.EMFILE, "too many open files")]
_LITERAL = """{ child(key: {nhsNumber: "9990000018", dateOfBirth: "2015-04-09", familyName: "Amis"},
  access: {purpose: CP_S47, reason: "r"}) { outcome } }"""
_DEFAULT = """query Who($key: ChildKey!, $access: AccessRequest!, $first: Int = 1) {
  child(key: $key, access: $access) { outcome } numbered(first: $first) }"""


class Exhausted:
    """Raises in place of one function, so many times, and then does what it did."""

    def __init__(self, problem: BaseException, function: Any, times: int) -> None:
        self.problem, self.function, self.left = problem, function, times

    def __call__(self, *given: Any, **named: Any) -> Any:
        if self.left > 0:
            self.left -= 1
            raise self.problem
        return self.function(*given, **named)


@pytest.mark.parametrize("problem", EXHAUSTED, ids=lambda problem: type(problem).__name__)
@pytest.mark.parametrize("times", [1, 99], ids=["once", "for-good"])
@pytest.mark.parametrize(
    ("part", "body"),
    [
        ("json", BODY),
        ("parse", BODY),
        ("authenticate", BODY),
        ("scalar", BODY),
        ("scalar", {"query": _LITERAL}),
        ("scalar", {"query": _DEFAULT, "variables": BODY["variables"]}),
        ("answer", BODY),
    ],
    ids=["json", "parse", "authenticate", "variable", "literal", "variables-with-a-default", "answer"],
)
async def test_a_good_request_that_there_is_no_memory_for_is_answered_503_and_not_called_bad(
    client: httpx.AsyncClient,
    door: Any,
    monkeypatch: pytest.MonkeyPatch,
    problem: BaseException,
    times: int,
    part: str,
    body: Any,
) -> None:
    scalar = door.answers.schema.type_map["NHSNumber"]
    holder, name = {
        "json": (body_reading._DECODER, "decode"),
        "parse": (door.app._documents, "_parse"),
        "authenticate": (door.app, "_authenticate"),
        "scalar": (scalar, "coerce_input_value"),
        "answer": (door.app, "_answer"),
    }[part]

    fails = Exhausted(problem, getattr(holder, name), times)

    with structlog.testing.capture_logs() as logged, monkeypatch.context() as patched:
        patched.setattr(holder, name, fails)
        response = await client.post("", json=body)
    fails.left = 0

    assert response.status_code == 503
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["OVERLOADED"]
    assert "data" not in response.json()
    assert response.headers["retry-after"] == "1"
    assert [entry["exceptions"][0] for entry in logged] == [type(problem).__name__]
    assert door.refusals.told == []
    # and nothing of it is remembered against the request
    assert (await client.post("", json=body)).json().get("data", {}).get("child") == {"outcome": "DISCLOSED"}


async def test_a_failure_of_ours_says_its_correlation_id_and_nothing_else(client: httpx.AsyncClient, door: Any) -> None:
    door.answers.failure = ValueError(f"no such child: {CANARY}")

    with structlog.testing.capture_logs() as logged:
        response = await client.post("", json=BODY)

    assert response.status_code == 500
    [error] = response.json()["errors"]
    assert error["extensions"] == {
        "code": "INTERNAL_SERVER_ERROR",
        "requestId": response.headers["x-request-id"],
    }
    [entry] = logged
    assert entry["exceptions"] == ["ValueError"]
    assert any("Answers.__call__" in frame for frame in entry["frames"])
    assert CANARY not in response.text + repr(dict(response.headers)) + repr(logged)


async def test_what_was_refused_is_freed_without_the_collector(client: httpx.AsyncClient, door: Any) -> None:
    failure = Forbidden()
    door.answers.failure = failure
    freed = weakref.ref(failure)
    gc.collect()
    gc.disable()
    try:
        await client.post("", json=BODY)
        door.answers.failure = None
        del failure
        left = freed()
    finally:
        gc.enable()

    assert left is None


async def test_an_answer_that_is_already_encoded_leaves_as_it_is(client: httpx.AsyncClient, door: Any) -> None:
    exactly = b'{"data": {"child" : null}}'

    async def answer(*_: Any) -> ExecutedAnswer:
        return ExecutedAnswer(body=exactly, headers=((b"x-receipt", b"1"),))

    door.app._answer = answer
    response = await client.post("", json=BODY)

    assert response.content == exactly
    assert response.headers["x-receipt"] == "1"


async def test_each_refusal_of_the_front_door_is_told_with_what_is_known(client: httpx.AsyncClient, door: Any) -> None:
    await client.post("", content=b"1", headers={"content-type": "application/json"})
    await client.post("", json=BODY, headers={"authorization": "none"})
    await client.post("", json={"query": "{ nobody }"})
    await client.post("", json={"query": LOOKUP, "variables": {}})

    known = [(error.code, caller is not None, operation is not None) for error, caller, operation in door.refusals.told]
    assert known == [
        ("NOT_A_GRAPHQL_REQUEST", False, False),
        ("UNAUTHENTICATED", False, False),
        ("GRAPHQL_VALIDATION_FAILED", True, False),
        ("BAD_USER_INPUT", True, True),
    ]


async def test_a_refusal_that_cannot_be_recorded_is_told_as_that(client: httpx.AsyncClient, door: Any) -> None:
    async def full(*_: Any) -> None:
        raise AuditUnavailable(None)

    door.app._refused = full
    response = await client.post("", json={"query": "{ nobody }"})

    assert response.status_code == 503


async def test_an_answer_runs_to_its_end_when_its_client_goes_away(door: Any, schema: GraphQLSchema) -> None:
    begun, may_end, recorded = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def answer(*_: Any) -> ExecutedAnswer:
        begun.set()
        await may_end.wait()
        recorded.set()
        return ExecutedAnswer(data={})

    door.app._answer = answer
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=door.app),
        base_url="http://g/graphql",
        headers={"authorization": "Bearer plain"},
    ) as client:
        request = asyncio.ensure_future(client.post("", json=BODY))
        await begun.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
    assert not recorded.is_set()

    may_end.set()
    await door.app.drain()

    assert recorded.is_set()
    assert not door.app._answering


async def test_an_answer_that_fails_unheard_is_logged(door: Any) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def answer(*_: Any) -> ExecutedAnswer:
        begun.set()
        await may_end.wait()
        raise ValueError(CANARY)

    door.app._answer = answer
    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    scope["headers"].append((b"authorization", b"Bearer plain"))  # type: ignore[attr-defined]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(BODY).encode()}

    async def send(_message: Any) -> None:
        raise AssertionError("answered a client that had gone")

    with structlog.testing.capture_logs() as logged:
        request = asyncio.ensure_future(door.app(scope, receive, send))
        await begun.wait()
        request.cancel()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await request
        await door.app.drain()
        await asyncio.sleep(0)

    assert [entry["exceptions"] for entry in logged] == [["ValueError"]]
    assert CANARY not in repr(logged)


async def test_a_body_that_stops_arriving_is_answered_and_its_connection_closed(make_door: Any) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    door = make_door(BodyLimits(read_seconds=0.01))
    await door.app(
        {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}, receive, send
    )

    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_a_web_socket_is_closed_before_it_opens(door: Any) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await door.app({"type": "websocket", "headers": []}, None, send)

    assert sent == [{"type": "websocket.close", "code": 1000}]
