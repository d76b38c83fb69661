"""The attack table: what scanners and people try at a GraphQL endpoint, and what the front door says to each."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import structlog
from graphql import get_introspection_query
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio

CANARY = "9990000018"
ARGUMENTS = (
    '(key: {nhsNumber: "9990000018", dateOfBirth: "2015-04-09", familyName: "Amis"},'
    ' access: {purpose: CP_S47, reason: "r"})'
)
CHILD = f"child{ARGUMENTS} {{ outcome }}"


def document(query: str, **variables: Any) -> bytes:
    return json.dumps({"query": query, "variables": variables}).encode()


def doubling(fragments: int) -> str:
    chain = "".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }} " for n in range(fragments - 1))
    return f"{{ ...F0 }} {chain} fragment F{fragments - 1} on Query {{ __typename }}"


@dataclass(frozen=True, slots=True)
class Attack:
    """One request; the status and code that it gets."""

    number: int
    body: bytes
    status: int
    code: str
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"


LIMIT, INVALID, PARSE, INPUT = (
    "LIMIT_EXCEEDED",
    "GRAPHQL_VALIDATION_FAILED",
    "GRAPHQL_PARSE_FAILED",
    "BAD_USER_INPUT",
)
NOT_JSON, NOT_GRAPHQL, TOO_LARGE = "BODY_NOT_JSON", "NOT_A_GRAPHQL_REQUEST", "PAYLOAD_TOO_LARGE"
TYPE, METHOD = "UNSUPPORTED_MEDIA_TYPE", "METHOD_NOT_ALLOWED"


def query(number: int, text: str, code: str, **variables: Any) -> Attack:
    return Attack(number, document(text, **variables), 400, code)


ATTACKS = {
    "101 aliases of child": query(1, "{" + " ".join(f"a{n}: viewer {{ subject }}" for n in range(101)) + "}", LIMIT),
    "two children": query(1, f"{{ a: {CHILD} b: {CHILD} }}", LIMIT),
    "101 aliases of __typename": query(1, "{" + " ".join(f"a{n}: __typename" for n in range(101)) + "}", LIMIT),
    "500 duplicate fields": query(2, "{" + "__typename " * 500 + "}", LIMIT),
    "1000 duplicate fields": query(2, "{" + "__typename " * 1000 + "}", LIMIT),
    "array batch": Attack(3, b"[" + document("{ __typename }") + b"]", 400, NOT_GRAPHQL),
    "25 doubling fragments": query(4, doubling(25), LIMIT),
    "10 doubling fragments": query(4, doubling(10), LIMIT),
    "fragment cycle": query(5, "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", INVALID),
    "fragment self-cycle": query(5, "{ ...A } fragment A on Query { ...A }", INVALID),
    "chain of fragments": query(
        6,
        "{ ...F0 } "
        + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} }}" for n in range(90))
        + " fragment F90 on Query { __typename }",
        LIMIT,
    ),
    "1000-fragment chain": Attack(
        6, document("".join(f"fragment F{n} on Query {{ ...F{n + 1} }} " for n in range(1000))), 413, TOO_LARGE
    ),
    "100 includes": query(7, "{ __typename " + "@include(if: true) " * 100 + "}", LIMIT),
    "10 unknown directives": query(7, "{ __typename " + "@x " * 10 + "}", INVALID),
    "700 unknown directives": query(7, "{ __typename " + "@x " * 390 + "}", LIMIT),
    "5 MB of comments": Attack(8, document("{ __typename } " + "#\n" * 2_500_000), 413, TOO_LARGE),
    "4000 comments": query(8, "{ __typename } " + "#\n" * 3000, LIMIT),
    "1 MB name": Attack(9, document("{ " + "a" * 1_000_000 + " }"), 413, TOO_LARGE),
    "9 kB name": query(9, "{ " + "a" * 9_000 + " }", LIMIT),
    "depth 5000": Attack(10, document("{a" * 5000), 400, LIMIT),
    "deep selection": query(10, "{a" * 200 + "}" * 200, LIMIT),
    "deep list value": query(10, "{ numbered(first: " + "[" * 300 + "]" * 300 + ") }", LIMIT),
    "nine deep": query(10, "{ agencies " + "{ safeguardingLead " * 9 + "{ phone }" + "}" * 9 + " }", LIMIT),
    "variables 100k deep": Attack(
        11, b'{"query":"{ __typename }","variables":' + b"[" * 100_000 + b"}", 413, TOO_LARGE
    ),
    "variables 7k deep": Attack(
        11, b'{"query":"{ __typename }","variables":' + b'{"a":' * 2_000 + b"1" + b"}" * 2_001, 400, NOT_JSON
    ),
    "body 1": Attack(12, b"1", 400, NOT_GRAPHQL),
    "body null": Attack(12, b"null", 400, NOT_GRAPHQL),
    "body true": Attack(12, b"true", 400, NOT_GRAPHQL),
    'body "x"': Attack(12, b'"x"', 400, NOT_GRAPHQL),
    "duplicate key": Attack(13, b'{"query":"{ __typename }","query":"{ viewer { subject } }"}', 400, NOT_JSON),
    "UTF-16": Attack(14, document("{ __typename }").decode().encode("utf-16"), 400, NOT_JSON),
    "invalid UTF-8": Attack(14, b'{"query":"{ __typename } # \xc3"}', 400, NOT_JSON),
    "two unnamed operations": query(15, "{ __typename } { __typename }", INVALID),
    "two named, none chosen": query(15, "query A { __typename } query B { __typename }", INVALID),
    "empty selection": query(16, f"{{ child{ARGUMENTS} {{ }} }}", INVALID),
    "typename only": query(17, f"{{ child{ARGUMENTS} {{ __typename }} }}", INVALID),
    "introspection": query(18, get_introspection_query(descriptions=False), INVALID),
    "__type": query(18, '{ __type(name: "Query") { fields { name } } }', INVALID),
    "typo in a field": query(19, "{ agencies { nam } }", INVALID),
    "typo in an argument": query(19, "{ numbered(frist: 1) }", INVALID),
    "typo in a type": query(19, "query($k: ChildKeys) { __typename }", INVALID),
    "no selection": query(19, "{ agencies }", INVALID),
    "bad variable": query(
        20, "query($k: ChildKey!) { child(key: $k) { outcome } }", INVALID, k={"nhsNumber": "x" + CANARY}
    ),
    "bad variable value": query(20, "query($n: Int) { numbered(first: $n) }", INPUT, n=CANARY),
    "bad literal": query(20, '{ numbered(first: "9990000018") }', INPUT),
    "GET": Attack(21, b"", 405, METHOD, method="GET"),
    "HTML GET": Attack(21, b"", 405, METHOD, {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, "GET"),
    "urlencoded": Attack(
        22, b"query=%7B+__typename+%7D", 415, TYPE, {"content-type": "application/x-www-form-urlencoded"}
    ),
    "text/plain": Attack(22, document("{ __typename }"), 415, TYPE, {"content-type": "text/plain"}),
    "no type": Attack(22, document("{ __typename }"), 415, TYPE, {"content-type": ""}),
    "multipart": Attack(22, b"--x--", 415, TYPE, {"content-type": "multipart/form-data; boundary=x"}),
    "application/graphql": Attack(22, b"{ __typename }", 415, TYPE, {"content-type": "application/graphql"}),
    "subscription": query(24, "subscription { __typename }", INVALID),
    "defer": query(25, "{ ... @defer { __typename } }", INVALID),
    "stream": query(25, "{ agencies @stream(initialCount: 0) { id } }", INVALID),
    "persisted hash only": Attack(
        26, b'{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}', 400, NOT_GRAPHQL
    ),
    "first overflows": query(27, "{ numbered(first: 99999999999999999999) }", INPUT),
    "NUL in an id": query(28, f"{{ child{ARGUMENTS.replace('18', '1' + chr(92) + 'u0000')} {{ outcome }} }}", INPUT),
    "gzip": Attack(30, gzip.compress(document("{ __typename }")), 415, TYPE, {"content-encoding": "gzip"}),
    "method override": Attack(33, document("{ __typename }"), 405, METHOD, {"x-http-method-override": "POST"}, "PUT"),
    "NaN in variables": Attack(37, b'{"query":"{ __typename }","variables":{"a":NaN}}', 400, NOT_JSON),
    "lone surrogate": Attack(37, b'{"query":"{ __typename }","variables":{"a":"\\ud800"}}', 400, NOT_JSON),
    "200k brackets": Attack(37, b"[" * 200_000, 413, TOO_LARGE),
    "20 MB": Attack(37, b" " * 20_000_000, 413, TOO_LARGE),
    "image wanted": Attack(37, document("{ __typename }"), 406, "NOT_ACCEPTABLE", {"accept": "image/png"}),
}
#: the rows of the table that the front door decides alone; the others belong to routing, connectors and the lookup
DECIDED_HERE = set(range(1, 23)) | {24, 25, 26, 27, 28, 30, 33, 37}


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.mark.parametrize("name", list(ATTACKS))
async def test_the_attack_is_refused_and_nothing_of_it_comes_back(
    client: httpx.AsyncClient, door: Any, logged: list[Any], name: str
) -> None:
    attack = ATTACKS[name]

    response = await client.request(
        attack.method, "", content=attack.body, headers={"content-type": "application/json", **attack.headers}
    )

    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (attack.status, attack.code)
    assert "data" not in response.json()
    assert len(response.json()["errors"]) == 1
    assert door.answers.asked == []
    assert CANARY not in response.text + repr(response.headers.multi_items()) + repr(logged)
    assert "Did you mean" not in response.text
    assert logged == []


def test_every_row_that_is_decided_here_has_an_attack() -> None:
    assert {attack.number for attack in ATTACKS.values()} == DECIDED_HERE - {23, 29, 31, 32}


async def test_the_table_would_notice_a_door_that_lets_an_attack_in(client: httpx.AsyncClient, door: Any) -> None:
    # negative control: the same check on a request that is no attack
    response = await client.post("", content=document("{ __typename }"), headers={"content-type": "application/json"})

    assert response.status_code == 200
    assert len(door.answers.asked) == 1


@given(raw=st.binary(max_size=300), mutate=st.booleans(), at=st.integers(0, 10_000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_bytes_make_the_front_door_fail(make_door: Any, raw: bytes, mutate: bool, at: int) -> None:
    good = document(f"query A($b: Int = 3) {{ {CHILD} numbered(first: $b) ... on Query {{ x: __typename }} }}", b=1)
    position = at % len(good)
    body = good[:position] + raw + good[position + 1 :] if mutate else raw

    status, _ = await post(make_door().app, body)

    assert status < 500


PUNCTUATION = ("{", "}", "(", ")", "[", "]", "!", ":", "...", "#", "1", '"x"', '"""', "$a", "@skip")
NAMES = ("if", "true", "on", "query", "mutation", "fragment", "F", "Query", "child", "outcome", "agencies", "id", "a")
WORDS = (*PUNCTUATION, *NAMES, "__typename", "__schema")


@given(
    text=st.lists(
        st.sampled_from(WORDS),
        max_size=30,
    ).map(" ".join),
    name=st.none() | st.text(max_size=5),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_document_makes_the_front_door_fail(make_door: Any, text: str, name: str | None) -> None:
    status, _ = await post(make_door().app, json.dumps({"query": text, "operationName": name}).encode())

    assert status < 500


async def post(app: Any, body: bytes) -> tuple[int, bytes]:
    sent: list[Any] = []
    headers = [
        (b"content-type", b"application/json"),
        (b"authorization", b"Bearer schema"),
        (b"accept", b"application/graphql-response+json"),
    ]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "method": "POST", "headers": headers}, receive, send)
    return sent[0]["status"], sent[1]["body"]
