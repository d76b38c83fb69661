"""`contactpoint token` and `contactpoint lookup`, as a person at a terminal meets them."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import click
import httpx
import pytest
import respx
import uvicorn
from click.testing import CliRunner, Result
from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.applications import Starlette
from starlette.routing import Mount

from gateway.commands.errors import OneLineCommand, OneLineGroup
from gateway.commands.lookup import lookup
from gateway.commands.token import token
from gateway.demo.identity_provider import IdentityProvider, identity_provider
from gateway.demo.personas import PERSONAS

URL = "http://127.0.0.1:8000"
ANSWERS = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "answers").glob("*.json")}
CHILD = ["9990000018", "--born", "2015-04-09", "--family", "Amis"]
ASK = [*CHILD, "--purpose", "SAFEGUARD_S16LA", "--reason", "A concern at school"]


def through(app: Starlette) -> Callable[[httpx.Request], httpx.Response]:
    """Answer an intercepted request from an ASGI application."""

    async def asked(request: httpx.Request) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.post(request.url, content=request.content, headers=request.headers)

    def answer(request: httpx.Request) -> httpx.Response:
        response = anyio.run(asked, request)
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)

    return answer


@pytest.fixture
def network(provider: IdentityProvider) -> Iterator[respx.MockRouter]:
    app = Starlette(routes=[Mount("/idp", provider.app)])
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.post("/idp/token").mock(side_effect=through(app))
        router.post("/graphql", name="graphql").respond(200, json=ANSWERS["disclosed"])
        yield router


def run(command: Any, *args: str, **environment: str) -> Result:
    return CliRunner(env={"CONTACTPOINT_TOKEN": None, "COLUMNS": None, **environment}).invoke(command, args)


def assert_one_line(result: Result, *, code: int) -> str:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize("persona", PERSONAS)
def test_token_prints_the_token_of_every_persona_and_nothing_else(
    provider: IdentityProvider, network: respx.MockRouter, persona: str
) -> None:
    result = run(token, "--as", persona)

    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    key_set = KeySet.import_key_set(provider.jwks)  # type: ignore[arg-type]
    claims = jwt.decode(result.stdout.strip(), key_set, algorithms=["ES256"]).claims
    assert claims["sub"] == PERSONAS[persona].subject
    assert ("on_behalf_of" in claims) == (persona == "case-system")


@pytest.mark.parametrize("persona", ["social-worker", "case-system"])
def test_token_asks_for_less_when_told(network: respx.MockRouter, persona: str) -> None:
    result = run(token, "--as", persona, "--scope", "involvement:read")

    assert json.loads(_decoded(result.stdout.split(".")[1]))["scope"] == "involvement:read"


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(["--as", "the-minister"], "no such persona", id="unknown-persona"),
        pytest.param([], "--as", id="no-persona"),
        pytest.param(["--as", "school-lead", "--scope", "mappa:read"], "scope", id="too-much-scope"),
        pytest.param(["--as", "school-lead", "--url", "ftp://x"], "--url", id="not-http"),
        pytest.param(["--as", "school-lead", "--url", "http://[::1"], "--url", id="broken-url"),
        pytest.param(["--as", "school-lead", "--colour"], "No such option", id="unknown-option"),
    ],
)
def test_token_says_in_one_line_what_to_mend(network: respx.MockRouter, args: list[str], says: str) -> None:
    assert says in assert_one_line(run(token, *args), code=2)


def test_token_says_in_one_line_that_nothing_listens(network: respx.MockRouter) -> None:
    network.post("/idp/token").mock(side_effect=httpx.ConnectError("refused"))

    assert "contactpoint demo" in assert_one_line(run(token, "--as", "school-lead"), code=2)


@pytest.mark.parametrize(
    ("response", "code"),
    [
        pytest.param(httpx.Response(404), 2, id="no-identity-provider"),
        pytest.param(httpx.Response(200, text="<html>"), 1, id="a-page"),
        pytest.param(httpx.Response(200, json={}), 2, id="no-token"),
        pytest.param(httpx.Response(500, json={}), 1, id="failed"),
        pytest.param(httpx.Response(302, headers={"Location": "https://elsewhere.example"}), 1, id="redirect"),
    ],
)
def test_token_takes_nothing_else_for_a_token(network: respx.MockRouter, response: httpx.Response, code: int) -> None:
    network.post("/idp/token").mock(return_value=response)

    assert_one_line(run(token, "--as", "school-lead"), code=code)


def test_lookup_prints_the_answer_under_who_asked(network: respx.MockRouter) -> None:
    result = run(lookup, *ASK, "--as", "social-worker", "--previous", "--case-reference", "C-1")

    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("As Sam Okoro, social worker, northshire-council\nDISCLOSED\n")
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    request = network["graphql"].calls.last.request
    assert request.headers["accept"] == "application/graphql-response+json"
    assert request.headers["authorization"].startswith("Bearer ey")
    variables = json.loads(request.content)["variables"]
    assert variables["status"] == ["CURRENT", "PREVIOUS"]
    assert variables["access"]["caseReference"] == "C-1"


def test_lookup_prints_the_body_when_a_program_asks(network: respx.MockRouter) -> None:
    result = run(lookup, *ASK, "--as", "social-worker", "--json")

    assert json.loads(result.stdout) == ANSWERS["disclosed"]


def test_an_incomplete_answer_is_an_answer(network: respx.MockRouter) -> None:
    network["graphql"].respond(200, json=ANSWERS["incomplete"])

    result = run(lookup, *ASK, "--as", "social-worker")

    assert result.exit_code == 0
    assert "INCOMPLETE" in result.stdout.splitlines()[2]


def test_lookup_takes_its_token_from_the_environment(network: respx.MockRouter) -> None:
    result = run(lookup, *ASK, CONTACTPOINT_TOKEN="of.my.own")

    assert result.exit_code == 0, result.stderr
    assert network["graphql"].calls.last.request.headers["authorization"] == "Bearer of.my.own"
    assert "of.my.own" not in result.output


def test_a_persona_named_on_the_command_line_goes_before_the_environment(network: respx.MockRouter) -> None:
    run(lookup, *ASK, "--as", "social-worker", CONTACTPOINT_TOKEN="of.my.own")

    assert network["graphql"].calls.last.request.headers["authorization"] != "Bearer of.my.own"


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (200, "FORBIDDEN", 1),
        (429, "RATE_LIMITED", 1),
        (503, "AUDIT_UNAVAILABLE", 1),
        (503, "OVERLOADED", 1),
        (401, "UNAUTHENTICATED", 1),
        (500, "INTERNAL_SERVER_ERROR", 1),
        (400, "BAD_USER_INPUT", 2),
        (400, "GRAPHQL_VALIDATION_FAILED", 2),
    ],
)
def test_lookup_says_a_refusal_in_one_line(network: respx.MockRouter, status: int, code: str, exit_code: int) -> None:
    error = {"message": "A fixed sentence.", "extensions": {"code": code}}
    network["graphql"].respond(status, json={"errors": [error]}, headers={"Retry-After": "30"})

    line = assert_one_line(run(lookup, *ASK, "--as", "social-worker"), code=exit_code)

    assert f"{code}: A fixed sentence. (ask again in 30 s)" in line
    assert ("contactpoint viewer" in line) == (code == "FORBIDDEN")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(httpx.Response(502, text="<html>"), id="a-page"),
        pytest.param(httpx.Response(200, json={"data": None}), id="no-data"),
        pytest.param(httpx.Response(200, json=[]), id="a-list"),
        pytest.param(httpx.Response(200, json={"errors": []}), id="no-errors"),
    ],
)
def test_what_is_no_answer_about_the_child_is_never_taken_for_one(
    network: respx.MockRouter, response: httpx.Response
) -> None:
    network["graphql"].mock(return_value=response)

    assert_one_line(run(lookup, *ASK, "--as", "social-worker"), code=1)


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("broken"), httpx.ReadError("reset")]
)
def test_a_broken_connection_is_said_in_one_line(network: respx.MockRouter, error: httpx.HTTPError) -> None:
    network["graphql"].mock(side_effect=error)

    assert "ask again" in assert_one_line(run(lookup, *ASK, "--as", "social-worker"), code=1)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        pytest.param(["9990000019", *ASK[1:], "--as", "social-worker"], "9990000019", id="check-digit"),
        pytest.param([*ASK, "--born", "09/04/2015", "--as", "social-worker"], "09/04", id="date"),
        pytest.param([*ASK, "--purpose", "CURIOSITY-77", "--as", "social-worker"], "CURIOSITY-77", id="purpose"),
        pytest.param([*ASK, "--as", "minister-77"], "minister-77", id="persona"),
        pytest.param(ASK, "9990000018", id="nobody-asks"),
        pytest.param([*CHILD, "--purpose", "CP_S47"], "9990000018", id="no-reason"),
        pytest.param([*ASK, "9990000026", "--as", "social-worker"], "A concern", id="two-children"),
    ],
)
def test_lookup_says_a_mistake_in_one_line_without_the_value(
    network: respx.MockRouter, args: list[str], said: str
) -> None:
    line = assert_one_line(run(lookup, *args), code=2)

    assert said not in line
    assert not network["graphql"].called


@pytest.mark.parametrize(
    ("born", "says"),
    [("2022-02-30", "no such day"), ("2022-13-01", "no such day"), ("30/02/2022", "a date such as 2015-04-09")],
)
def test_a_day_that_does_not_exist_is_told_from_one_written_otherwise(
    network: respx.MockRouter, born: str, says: str
) -> None:
    line = assert_one_line(run(lookup, *ASK, "--born", born, "--as", "social-worker"), code=2)

    assert says in line


def test_a_purpose_may_be_written_small(network: respx.MockRouter) -> None:
    run(lookup, *ASK, "--purpose", "cp_s47", "--as", "social-worker")

    variables = json.loads(network["graphql"].calls.last.request.content)["variables"]
    assert variables["access"]["purpose"] == "CP_S47"


def test_the_help_of_lookup_says_what_its_exit_codes_mean() -> None:
    told = run(lookup, "--help").stdout

    for line in ("0  an answer", "1  the gateway refused", "2  something to mend"):
        assert line in told


def test_a_token_of_ones_own_is_not_sent_in_the_clear(network: respx.MockRouter) -> None:
    result = run(lookup, *ASK, "--url", "http://gateway.example", CONTACTPOINT_TOKEN="of.my.own")

    assert "https" in assert_one_line(result, code=2)


@pytest.mark.parametrize("held", ["two words", "line\nbreak", "ö"])
def test_what_is_no_token_is_not_sent(network: respx.MockRouter, held: str) -> None:
    line = assert_one_line(run(lookup, *ASK, CONTACTPOINT_TOKEN=held), code=2)

    assert held not in line


@pytest.mark.network
def test_token_speaks_to_a_real_server_on_the_loopback_address() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        provider = identity_provider(f"{url}/idp", f"{url}/graphql")
        app = Starlette(routes=[Mount("/idp", provider.app)])
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            result = run(token, "--as", "health-visitor", "--url", url)
            secure = run(token, "--as", "health-visitor", "--url", url.replace("http:", "https:"))
        finally:
            server.should_exit = True
            thread.join()

    assert result.exit_code == 0, result.stderr
    assert result.stdout.count(".") == 2
    assert "secure" in assert_one_line(secure, code=2)
    assert "listens" in assert_one_line(run(token, "--as", "health-visitor", "--url", url), code=2)


@click.command(cls=OneLineCommand)
@click.option("--port", type=click.IntRange(1, 65535))
@click.option("--colour", type=click.Choice(["red", "blue"]), metavar="COLOUR")
def serve(port: int, colour: str) -> None:
    """Serve."""


@click.group(cls=OneLineGroup)
def contactpoint() -> None:
    """Everything."""


contactpoint.add_command(serve)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param(["serve", "--colour", "9990000018"], "one of: red, blue", id="a-closed-list"),
        pytest.param(
            ["serve", "--port", "9990000018"],
            "not a valid value for '--port'; a whole number from 1 to 65535",
            id="bad-value",
        ),
        pytest.param(["serve", "--prot", "1"], "No such option", id="unknown-option"),
        pytest.param(["serve", "more"], "unexpected extra argument", id="too-many"),
        pytest.param(["sreve"], "No such command", id="unknown-command"),
    ],
)
def test_every_usage_error_is_one_line(args: list[str], says: str) -> None:
    line = assert_one_line(run(contactpoint, *args), code=2)

    assert says in line
    assert "9990000018" not in line


def test_a_group_without_a_command_prints_its_help() -> None:
    assert "Commands:" in run(contactpoint).output
    assert "--port" in run(contactpoint, "serve", "--help").stdout
