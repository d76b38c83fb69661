"""Bad input of every kind over a real socket: the status and code of the contract, never a 5xx, never an echo."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from tests.end_to_end.documents import EVERYTHING
from tests.end_to_end.world import GRAPHQL_RESPONSE, REASON, DemoWorld, RunningGateway, serving

pytestmark = pytest.mark.network

CANARY = "zqxcanary"
JSON = "application/json"
OUTCOME = "query($key: ChildKey!, $access: AccessRequest!) { child(key: $key, access: $access) { outcome } }"


@pytest.fixture
def good(world: DemoWorld) -> dict[str, Any]:
    """Return a request that is answered; tests spoil one thing of it."""
    access = {"purpose": "SAFEGUARD_S16LA", "reason": REASON}
    return {"query": OUTCOME, "variables": {"key": world.key("unknown").variables(), "access": access}}


def spoiled(good: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return the request with one value changed, or taken out when it is `...`."""
    made: dict[str, Any] = json.loads(json.dumps(good))
    *above, last = path.split(".")
    inner = made
    for name in above:
        inner = inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return made


def send(world: DemoWorld, body: bytes | Mapping[str, Any], accept: str = JSON, **headers: str) -> httpx.Response:
    """Send a body as the social worker, and hold the answer to what every refusal must keep."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {
        "Authorization": f"Bearer {world.token('social-worker')}",
        "Content-Type": JSON,
        "Accept": accept,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    with httpx.Client(trust_env=False, timeout=30) as client:
        response = client.post(f"{world.url}/graphql", content=content, headers=given)
    check(response)
    return response


def check(response: httpx.Response) -> None:
    assert response.status_code < 500
    everything = response.content + b"".join(name + value for name, value in response.headers.raw)
    assert CANARY.encode() not in everything.lower()
    assert b"999 000" not in everything
    assert b"999000" not in everything
    assert REASON.encode() not in everything
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "server" not in response.headers


def code(response: httpx.Response) -> str:
    errors = response.json()["errors"]
    assert len(errors) == 1
    found: str = errors[0]["extensions"]["code"]
    return found


BAD_VALUES = {
    "a wrong check digit": ("variables.key.nhsNumber", "9990000011"),
    "letters for a number": ("variables.key.nhsNumber", f"{CANARY}9990000018"),
    "a number too long": ("variables.key.nhsNumber", "99900000180"),
    "a number as a number": ("variables.key.nhsNumber", 9990000018),
    "digits of another script": ("variables.key.nhsNumber", "٩٩٩٠٠٠٠٠١٨"),
    "neither number nor handle": ("variables.key.nhsNumber", ...),
    "both number and handle": ("variables.key.handle", CANARY),
    "no such day": ("variables.key.dateOfBirth", "2020-02-30"),
    "a day in other words": ("variables.key.dateOfBirth", f"{CANARY} 1 May 2020"),
    "a day to come": ("variables.key.dateOfBirth", "2999-01-01"),
    "an adult's day": ("variables.key.dateOfBirth", "1980-01-01"),
    "no day": ("variables.key.dateOfBirth", ...),
    "an empty name": ("variables.key.familyName", ""),
    "a name of spaces": ("variables.key.familyName", "   "),
    "a name too long": ("variables.key.familyName", CANARY * 20),
    "a name with a control character": ("variables.key.familyName", f"{CANARY}\u0000"),
    "an unknown purpose": ("variables.access.purpose", CANARY.upper()),
    "no purpose": ("variables.access.purpose", None),
    "an empty reason": ("variables.access.reason", ""),
    "a reason of spaces": ("variables.access.reason", " \t\n "),
    "a reason too long": ("variables.access.reason", CANARY * 100),
    "a case reference too long": ("variables.access.caseReference", CANARY * 20),
    "an empty justification": ("variables.access.override", {"justification": "", "acceptReview": True}),
    "an unknown member": ("variables.key.zqxCanary", "x"),
    "an object for a text": ("variables.access.reason", {"a": CANARY}),
    "a list for a key": ("variables.key", [CANARY]),
    "no key": ("variables.key", ...),
}

BAD_DOCUMENTS = {
    "not GraphQL": ("{ zqxcanary(", "GRAPHQL_PARSE_FAILED"),
    "nothing": ("", "GRAPHQL_PARSE_FAILED"),
    "no such field": ("{ zqxcanary }", "GRAPHQL_VALIDATION_FAILED"),
    "no such argument": ('{ viewer(zqxcanary: "zqxcanary") { subject } }', "GRAPHQL_VALIDATION_FAILED"),
    "no selection": ("{ viewer }", "GRAPHQL_VALIDATION_FAILED"),
    "outcome left out": (OUTCOME.replace("outcome", "advice"), "GRAPHQL_VALIDATION_FAILED"),
    "outcome under another name": (OUTCOME.replace("outcome", "zqxcanary: outcome"), "GRAPHQL_VALIDATION_FAILED"),
    "outcome under a condition": (
        OUTCOME.replace("outcome", "outcome @include(if: true)"),
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "a lookup under a condition": (
        OUTCOME.replace("{ outcome", "@skip(if: false) { outcome"),
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "two lookups": (
        OUTCOME.replace("{ child", "{ a: child(key: $key, access: $access) { outcome } child"),
        "LIMIT_EXCEEDED",
    ),
    "introspection beside a lookup": (
        OUTCOME.replace("{ child", "{ __schema { queryType { name } } child"),
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "introspection without its scope": ("{ __schema { queryType { name } } }", "GRAPHQL_VALIDATION_FAILED"),
    "a mutation": ("mutation { zqxcanary }", "GRAPHQL_VALIDATION_FAILED"),
    "a subscription": ("subscription { zqxcanary }", "GRAPHQL_VALIDATION_FAILED"),
    "two operations and no name": (
        "query A { agencies { id } } query B { agencies { id } }",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "too many aliases": (
        "{" + " ".join(f"zqxcanary{n}: viewer {{ subject }}" for n in range(30)) + "}",
        "LIMIT_EXCEEDED",
    ),
    "a document too long": ("{ viewer { subject } } #" + CANARY * 1000, "LIMIT_EXCEEDED"),
    "too deep": ("{ viewer " + "{ a " * 40 + "}" * 40 + "}", "LIMIT_EXCEEDED"),
    "fragments in a circle": (
        "{ viewer { ...zqxcanary } } fragment zqxcanary on Viewer { ...zqxcanary }",
        "GRAPHQL_VALIDATION_FAILED",
    ),
}


@pytest.mark.parametrize("accept", [GRAPHQL_RESPONSE, JSON])
@pytest.mark.parametrize("spoil", BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_bad_value_is_refused_in_the_contracts_words(
    world: DemoWorld, good: dict[str, Any], spoil: tuple[str, Any], accept: str
) -> None:
    before = world.calls()

    response = send(world, spoiled(good, *spoil), accept)

    assert response.status_code == (400 if accept == GRAPHQL_RESPONSE else 200)
    assert code(response) == "BAD_USER_INPUT"
    assert "data" not in response.json()
    assert response.headers["content-type"] == f"{accept}; charset=utf-8"
    assert world.calls() == before


@pytest.mark.parametrize("accept", [GRAPHQL_RESPONSE, JSON])
@pytest.mark.parametrize(("document", "expected"), BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS)
def test_a_bad_document_is_refused_in_the_contracts_words(
    world: DemoWorld, good: dict[str, Any], document: str, expected: str, accept: str
) -> None:
    before = world.calls()

    response = send(world, spoiled(good, "query", document), accept)

    assert (response.status_code, code(response)) == (400 if accept == GRAPHQL_RESPONSE else 200, expected)
    assert "data" not in response.json()
    assert world.calls() == before


BAD_BODIES = {
    "not JSON": b"zqxcanary",
    "nothing": b"",
    "half of it": b'{"query": "{ viewer',
    "not UTF-8": b'{"query": "\xff\xfe"}',
    "a byte-order mark": b'\xef\xbb\xbf{"query": "{ viewer { subject } }"}',
    "a member twice": b'{"query": "{ viewer { subject } }", "query": "zqxcanary"}',
    "a number that JSON does not have": b'{"query": "{ viewer { subject } }", "variables": {"a": NaN}}',
    "a lone surrogate": b'{"query": "{ viewer { subject } }", "variables": {"a": "\\ud800"}}',
    "nested too deep": b'{"query": "{ viewer { subject } }", "variables": ' + b"[" * 500 + b"]" * 500 + b"}",
    "a batch": b'[{"query": "{ viewer { subject } }"}]',
    "no query": b'{"zqxcanary": 1}',
    "a query that is no text": b'{"query": 7}',
    "variables that are no object": b'{"query": "{ viewer { subject } }", "variables": "zqxcanary"}',
    "null": b"null",
}


@pytest.mark.parametrize("accept", [GRAPHQL_RESPONSE, JSON])
@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_that_is_no_request_is_400_under_either_type(world: DemoWorld, body: bytes, accept: str) -> None:
    response = send(world, body, accept)

    assert response.status_code == 400
    assert code(response) in {"BODY_NOT_JSON", "NOT_A_GRAPHQL_REQUEST"}


@pytest.mark.parametrize("accept", [GRAPHQL_RESPONSE, JSON])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Content_Type": "text/plain"}, 415, id="text"),
        pytest.param({"Content_Type": "application/x-www-form-urlencoded"}, 415, id="a-form"),
        pytest.param({"Content_Type": "application/json; charset=utf-16"}, 415, id="another-charset"),
        pytest.param({"Content_Type": f"application/json; {CANARY}"}, 415, id="a-parameter-nobody-knows"),
        pytest.param({"Content_Encoding": "gzip"}, 415, id="compressed"),
        pytest.param({"Authorization": ""}, 401, id="no-token"),
        pytest.param({"Authorization": f"Bearer {CANARY}"}, 401, id="no-jwt"),
        pytest.param({"Authorization": f"Basic {CANARY}"}, 401, id="another-scheme"),
    ],
)
def test_headers_that_are_not_right_are_refused_whatever_is_accepted(
    world: DemoWorld, good: dict[str, Any], headers: dict[str, str], status: int, accept: str
) -> None:
    response = send(world, good, accept, **headers)

    assert response.status_code == status
    if status == 401:
        assert code(response) == "UNAUTHENTICATED"
        assert response.headers["www-authenticate"].startswith("Bearer ")
        assert "/.well-known/oauth-protected-resource" in response.headers["www-authenticate"]


def test_a_token_that_has_been_changed_is_refused(world: DemoWorld, good: dict[str, Any]) -> None:
    header, payload, signature = world.token("social-worker").split(".")
    changed = payload[:-4] + ("AAAA" if payload[-4:] != "AAAA" else "BBBB")

    response = send(world, good, Authorization=f"Bearer {header}.{changed}.{signature}")

    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


@pytest.mark.parametrize("accept", ["text/html", f"application/{CANARY}", "application/json;q=0"])
def test_what_is_not_written_here_is_406(world: DemoWorld, good: dict[str, Any], accept: str) -> None:
    assert send(world, good, accept).status_code == 406


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "QUERY"])
def test_other_methods_are_405(world: DemoWorld, method: str) -> None:
    response = world.client.request(method, f"{world.url}/graphql", content=b"{}")

    check(response)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


@pytest.mark.parametrize("length", [16_385, 100_000, 5_000_000])
def test_a_body_too_large_is_413(world: DemoWorld, length: int) -> None:
    assert send(world, b'{"query": "' + b"a" * length + b'"}').status_code == 413


def test_a_body_too_large_without_a_stated_length_is_413(world: DemoWorld) -> None:
    with raw(world.running) as connection:
        connection.sendall(head(world, "Transfer-Encoding: chunked"))
        chunk = b"1000\r\n" + b"a" * 0x1000 + b"\r\n"
        for _ in range(5):
            connection.sendall(chunk)
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_never_ends_is_408(world: DemoWorld) -> None:
    limits = world.settings.limits.model_copy(update={"body_seconds": 0.2})
    with another(world, {"limits": limits}) as gateway, raw(gateway) as connection:
        connection.sendall(head(world, "Content-Length: 200") + b'{"query": "{ viewer')
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()


def raw(gateway: RunningGateway) -> socket.socket:
    host, port = gateway.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def head(world: DemoWorld, *lines: str) -> bytes:
    fixed = ("POST /graphql HTTP/1.1", "Host: gateway.example", f"Content-Type: {JSON}", f"Accept: {JSON}")
    token = f"Authorization: Bearer {world.token('social-worker')}"
    return ("\r\n".join((*fixed, token, *lines)) + "\r\n\r\n").encode()


def another(world: DemoWorld, changes: Mapping[str, Any]) -> Any:
    """Run another gateway beside the world's, on a database of its own."""
    folder = world.data / f"another-{len(list(world.data.iterdir()))}"
    folder.mkdir()
    database = world.settings.database.model_copy(update={"url": f"sqlite:///{folder}/contactpoint.db"})
    return serving(world.settings.model_copy(update={"database": database, **changes}))


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"zqxcanary\r\n\r\n", id="no-http"),
        pytest.param(b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: zqxcanary\r\n\r\n", id="bad-length"),
        pytest.param(
            b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="two-framings",
        ),
        pytest.param(b"GET /" + b"zqxcanary" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", id="endless-url"),
    ],
)
def test_what_is_not_http_gets_no_5xx_and_no_echo(world: DemoWorld, sent: bytes) -> None:
    with raw(world.running) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        except OSError:
            answer = b""
    assert CANARY.encode() not in answer
    assert not answer.startswith(b"HTTP/1.1 5")
    assert not answer.startswith(b"HTTP/1.1 2")


class TestGet:
    """Identifiers do not go in URLs; the rest needs a header that no page of another origin can send unasked."""

    @pytest.fixture
    def get(self, world: DemoWorld) -> Callable[..., httpx.Response]:
        def call(query: str, persona: str = "social-worker", preflight: bool = True, **more: str) -> httpx.Response:
            headers = {"Authorization": f"Bearer {world.token(persona)}", "Accept": GRAPHQL_RESPONSE}
            headers |= {"GraphQL-Require-Preflight": "1"} if preflight else {}
            response = world.client.get(f"{world.url}/graphql", params={"query": query, **more}, headers=headers)
            check(response)
            return response

        return call

    def test_a_get_with_the_header_is_answered(self, get: Any) -> None:
        assert get("{ viewer { subject } }").status_code == 200

    def test_a_get_without_the_header_is_405(self, get: Any) -> None:
        assert get("{ viewer { subject } }", preflight=False).status_code == 405

    def test_a_lookup_by_get_is_405_and_asks_nobody(self, get: Any, world: DemoWorld, good: dict[str, Any]) -> None:
        before, records = world.calls(), len(world.running.records())

        response = get(OUTCOME, variables=json.dumps(good["variables"]))

        assert response.status_code == 405
        assert response.headers["allow"] == "POST"
        assert world.calls() == before
        assert len(world.running.records()) == records

    def test_a_lookup_by_get_hidden_in_a_fragment_is_405(self, get: Any, good: dict[str, Any]) -> None:
        hidden = OUTCOME.replace("{ child", "{ ...f } fragment f on Query { child").removesuffix("}") + "}"

        assert get(hidden, variables=json.dumps(good["variables"])).status_code == 405

    def test_introspection_by_get_needs_its_scope(self, get: Any) -> None:
        query = "{ __schema { queryType { name } } }"

        assert get(query, "integrator").status_code == 200
        assert get(query).status_code == 400


@pytest.mark.parametrize(
    "path", ["/graphql/", "/zqxcanary", "/", "/GraphQL", "/idp/zqxcanary", "/graphql/x", "//graphql"]
)
def test_an_unknown_path_is_404(world: DemoWorld, path: str) -> None:
    for method in ("GET", "POST"):
        response = world.client.request(method, f"{world.url}{path}", content=b"{}" if method == "POST" else None)
        assert response.status_code == 404
        assert CANARY.encode() not in response.content


def test_a_request_id_is_kept_only_when_it_is_one(world: DemoWorld, good: dict[str, Any]) -> None:
    taken = "0b5f1b4e-31a5-4f0e-9d46-6b7d8a1c2e3f"

    assert send(world, {"query": "{ viewer { subject } }"}, X_Request_ID=taken).headers["x-request-id"] == taken
    assert send(world, {"query": "{ viewer { subject } }"}, X_Request_ID=CANARY).headers["x-request-id"] != CANARY


def test_a_good_request_passes_the_same_door(world: DemoWorld, good: dict[str, Any]) -> None:
    """The control: what these tests spoil is otherwise answered."""
    answered = world.post("social-worker", good)

    assert answered.child["outcome"] == "NOTHING_DISCLOSABLE"
    assert world.post("social-worker", spoiled(good, "query", EVERYTHING)).status == 200
