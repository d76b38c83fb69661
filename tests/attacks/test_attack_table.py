"""Every row of the attack table against the whole application, under both media types."""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.audit.events import EventKind
from gateway.graphql.endpoint import GraphQLEndpoint
from gateway.lookup import Lookups
from tests.attacks import attack_table as table
from tests.attacks.attack_table import Case
from tests.attacks.conftest import House
from tests.attacks.door import GRAPHQL, JSON, STATUS, Answer, Knock, echoes_in, faults_of, knock

pytestmark = pytest.mark.anyio


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Yield what was logged so far, by anything."""
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as entries:
        yield lambda: repr(entries) + caplog.text


async def tried(house: House, case: Case, accept: str) -> Answer:
    """Send a case under a media type."""
    request = case.knock.with_header(b"accept", accept.encode())
    if case.token is not None:
        request = request.with_header(b"authorization", house.tokens[case.token])
    return await knock(house.app, request)


async def wrongs(house: House, case: Case, accept: str) -> list[str]:
    """Return, in words, how the answer to a case is not what the table says."""
    asked, intents = house.asked(), len(house.world.records(EventKind.INTENT))
    answer = await tried(house, case, accept)
    found = faults_of(answer)
    if answer.code != case.code:
        found.append(f"code {answer.code}")
    status = 200 if case.code is None else STATUS[case.code][accept == JSON]
    if answer.status != status:
        found.append(f"status {answer.status}")
    found += [f"quotes {text!r}" for text in echoes_in(answer, table.PLANTED)]
    made = len(house.world.records(EventKind.INTENT)) - intents
    if made != case.lookups or (not case.lookups and house.asked() != asked):
        found.append(f"{made} lookups")
    return found


@pytest.mark.parametrize("accept", [GRAPHQL, JSON], ids=["graphql-response", "json"])
@pytest.mark.parametrize("case", table.single(), ids=lambda case: f"{case.row}-{case.what[:60]}")
async def test_the_attack_gets_what_the_table_says(
    house: House, case: Case, accept: str, logged: Callable[[], str]
) -> None:
    assert await wrongs(house, case, accept) == []
    assert not [text for text in table.PLANTED if text.decode().lower() in logged().lower()]


def test_every_row_has_a_case(record_testsuite_property: Callable[[str, object], None]) -> None:
    rows = {case.row for case in table.CASES}

    assert rows == set(table.ROWS)
    record_testsuite_property("rows of the attack table with a case", f"{len(rows)} of {len(table.ROWS)}")
    record_testsuite_property("cases of one request, each under two media types", len(table.single()))
    record_testsuite_property("cases with a test of their own", len(table.shown()))


def test_every_case_with_a_test_of_its_own_has_it() -> None:
    there = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        there |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}

    assert not {case.by for case in table.shown()} - there


def test_no_case_stands_twice() -> None:
    sent = [(case.knock, case.token) for case in table.single() if case.lookups == 0]

    assert len(set(sent)) == len(sent)


class Flawed:
    """The application with one flaw, put in after it has answered."""

    def __init__(self, app: Any, flaw: Callable[[bytes, Any], Any]) -> None:
        self.app = app
        self.flaw = flaw

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        heard = b""

        async def hear() -> Any:
            nonlocal heard
            message = await receive()
            heard += message.get("body", b"")
            return message

        async def say(message: Any) -> None:
            await send(self.flaw(heard, message))

        await self.app(scope, hear, say)


def _quotes(heard: bytes, message: Any) -> Any:
    return (
        {**message, "headers": [*message["headers"], (b"x-heard", heard[:2000])]} if "headers" in message else message
    )


def _hints(heard: bytes, message: Any) -> Any:
    body = message.get("body", b"")
    return {**message, "body": body.replace(b"is not valid", b"is NOT valid")} if body else message


def _always_200(heard: bytes, message: Any) -> Any:
    return {**message, "status": 200} if "status" in message else message


def _opens(heard: bytes, message: Any) -> Any:
    extra = (b"access-control-allow-origin", b"*")
    return {**message, "headers": [*message["headers"], extra]} if "headers" in message else message


FLAWS = {"quotes": _quotes, "words it otherwise": _hints, "always 200": _always_200, "opens to every origin": _opens}


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=FLAWS)
async def test_the_table_notices_a_flawed_door(
    house: House, flaw: Any, record_testsuite_property: Callable[[str, object], None]
) -> None:
    flawed = House(house.world, Flawed(house.app, flaw), house.sources, house.tokens)

    noticed = [case for case in table.single() if len(case.knock.body) < 20_000 and await wrongs(flawed, case, GRAPHQL)]

    assert len(noticed) > 20
    name = next(name for name, each in FLAWS.items() if each is flaw)
    record_testsuite_property(f"control: a door that {name}", f"noticed by {len(noticed)} cases")


@pytest.mark.parametrize("accept", ["image/png", "text/html", "application/zqx", "application/json;q=0", "zqx"])
async def test_a_type_that_is_not_written_is_406(house: House, accept: str) -> None:
    answer = await tried(house, Case(37, "", table.post(table.body("{ __typename }")), None), accept)

    assert (answer.status, answer.code) == (406, "NOT_ACCEPTABLE")
    assert faults_of(answer) == []
    assert not echoes_in(answer, [b"zqx", b"png", b"html"])


async def test_a_websocket_is_closed_before_it_is_accepted(house: House) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    for path in ("/graphql", "/subscriptions", "/"):
        scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "subprotocols": ["graphql-ws"]}
        await house.app(scope | {"root_path": "", "scheme": "wss"}, receive, send)

    assert sent == ["websocket.close"] * 3


async def test_no_answer_is_compressed(house: House) -> None:
    case = Case(30, "", table.looks_up(30, "").knock.with_header(b"accept-encoding", b"gzip, br, deflate, zstd"), None)

    answer = await tried(house, case, JSON)

    assert answer.status == 200
    assert answer.header(b"content-encoding") is None
    assert answer.read["data"]["child"]["outcome"]


async def test_a_failure_tells_its_correlation_id_and_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    async def fail(*given: Any, **_: Any) -> None:
        raise RuntimeError(f"{table.NUMBER} {table.FAMILY} {given!r}")

    monkeypatch.setattr(Lookups, "answer", fail)
    case = table.looks_up(31, "")
    for accept in (GRAPHQL, JSON):
        answer = await tried(house, case, accept)
        request_id = answer.header(b"x-request-id")

        assert answer.status == 500
        assert answer.read == {
            "errors": [
                {
                    "message": "Something went wrong here. Quote the request id when you report it.",
                    "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id},
                }
            ]
        }
        assert request_id is not None
        assert request_id in logged()
    assert not echoes_in(Answer(0, (), logged().encode()), table.PLANTED)


async def test_nothing_traces(house: House) -> None:
    wish = table.body("{ viewer { subject } }")[:-1] + b', "extensions": {"tracing": true, "queryPlan": true}}'
    asking = table.post(
        wish, JSON, (b"x-apollo-tracing", b"1"), (b"apollo-query-plan-experimental", b"1"), (b"x-debug", b"1")
    )

    answer = await tried(house, Case(32, "", asking, None), GRAPHQL)

    assert answer.status == 200
    assert answer.read.keys() == {"data"}
    names = {name for name, _ in answer.headers}
    assert not {
        name for name in names if b"trac" in name or b"timing" in name or b"debug" in name or b"powered" in name
    }
    refused = await tried(house, table.asks(32, "", "{ viewer @tracing { subject } }", None), GRAPHQL)
    assert refused.code == "GRAPHQL_VALIDATION_FAILED"


async def test_no_log_line_can_be_forged(house: House, logged: Callable[[], str]) -> None:
    forged = b'zqx\r\n{"event":"zqxforged"}\x1b[2J'
    content = table.body("query Zqx { viewer { subject } }", 'Zqx\n{"event":"zqxforged"}')
    headers = [(name, forged) for name in (b"x-request-id", b"user-agent", b"x-forwarded-for", b"traceparent")]

    answer = await tried(house, Case(36, "", table.post(content, JSON, *headers), None), GRAPHQL)
    spoiled = await knock(house.app, Knock(headers=((b"authorization", b"Bearer " + forged), *headers), path="/zqx"))

    for each in (answer, spoiled):
        assert not echoes_in(each, [b"zqx", b"forged", b"\x1b"])
        assert each.header(b"x-request-id") != forged.decode("latin-1")
    assert "zqx" not in logged().lower()


def test_the_endpoint_has_no_debugger_or_console() -> None:
    # nothing but the constructor's arguments can switch something on
    assert not {name for name in vars(GraphQLEndpoint) if "debug" in name or "graphiql" in name}
