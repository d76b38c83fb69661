"""The simulated token endpoints keep to RFC 6749 and 6750, so a client that passes here has sent the right thing."""

from __future__ import annotations

import base64
from urllib.parse import quote_plus

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from gateway.demo.agencies.faults import Faults
from gateway.demo.agencies.oauth import Client, TokenDesk
from tests.demo.asking import in_process

pytestmark = pytest.mark.anyio

CLIENT = Client("gateway", "s3cret:with/odd+signs", "read search")
GRANT = {"grant_type": "client_credentials"}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(clock: Clock) -> TokenDesk:
    return TokenDesk(CLIENT, Faults(), lifetime_seconds=60, clock=clock)


@pytest.fixture
def client(desk: TokenDesk) -> httpx.AsyncClient:
    return in_process(Starlette(routes=[Route("/token", desk.token, methods=["POST"])]))


def basic(user: str, secret: str) -> dict[str, str]:
    joined = f"{quote_plus(user)}:{quote_plus(secret)}".encode()
    return {"Authorization": f"Basic {base64.b64encode(joined).decode()}"}


GOOD = basic(CLIENT.id, CLIENT.secret)


def carrying(token: str) -> Request:
    return Request({"type": "http", "headers": [(b"authorization", f"Bearer {token}".encode())]})


async def test_a_registered_client_gets_an_opaque_token_for_all_its_scopes(client: httpx.AsyncClient) -> None:
    answer = await client.post("/token", headers=GOOD, data=GRANT)
    body = answer.json()
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 60, "read search")
    assert answer.headers["cache-control"] == "no-store"
    assert "." not in body["access_token"]


async def test_a_narrower_scope_is_granted_and_a_wider_one_refused(client: httpx.AsyncClient, desk: TokenDesk) -> None:
    narrow = (await client.post("/token", headers=GOOD, data={**GRANT, "scope": "read"})).json()
    assert desk.guard("read")(carrying(narrow["access_token"])) is None
    refused = desk.guard("search")(carrying(narrow["access_token"]))
    assert refused is not None
    assert refused.status == 403
    wide = await client.post("/token", headers=GOOD, data={**GRANT, "scope": "read write"})
    assert (wide.status_code, wide.json()) == (400, {"error": "invalid_scope"})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic not-base-64"},
        {"Authorization": "Bearer " + "x" * 20},
        basic("gateway", "wrong"),
        basic("somebody", CLIENT.secret),
    ],
)
async def test_a_client_that_cannot_prove_itself_gets_invalid_client(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.post("/token", headers=headers, data=GRANT)
    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})
    assert answer.headers["www-authenticate"].startswith("Basic")


async def test_no_other_grant_is_known(client: httpx.AsyncClient) -> None:
    answer = await client.post("/token", headers=GOOD, data={"grant_type": "password"})
    assert answer.json() == {"error": "unsupported_grant_type"}


async def test_a_token_runs_out(client: httpx.AsyncClient, desk: TokenDesk, clock: Clock) -> None:
    token = (await client.post("/token", headers=GOOD, data=GRANT)).json()["access_token"]
    clock.now += 59
    assert desk.guard("read")(carrying(token)) is None
    clock.now += 2
    refused = desk.guard("read")(carrying(token))
    assert refused is not None
    assert refused.challenge == 'Bearer error="invalid_token"'


async def test_revoked_tokens_are_worth_nothing_and_each_issue_is_counted(
    client: httpx.AsyncClient, desk: TokenDesk
) -> None:
    tokens = [(await client.post("/token", headers=GOOD, data=GRANT)).json()["access_token"] for _ in range(2)]
    assert desk.issued == 2
    desk.revoke_all()
    assert all(desk.guard("read")(carrying(token)) for token in tokens)
