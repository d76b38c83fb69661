"""One token for everyone who waits, fresh before it ends, and never the same assertion twice."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from urllib.parse import parse_qs

import httpx
import pytest
import respx
from joserfc import jwt
from joserfc.jwk import ECKey

from connectors import oauth
from connectors.http import ApiKey, Credentials, Deadline, FaultCode, Reply, SourceClient, SourceFailed, StaticHeaders
from connectors.oauth import ClientCredentials, ClientSecretBasic, PrivateKeyJWT
from connectors.retries import RetryBudget
from schema.vocabulary import SourceReason
from tests.fixtures.fault_server import FAULTS, FaultServer, says

pytestmark = pytest.mark.anyio

TOKEN_URL = "https://idp.example/oauth/token"
BASIC = ClientSecretBasic("gate:way", "s%cret")


class Agency:
    """An authorization server and a source in one, without a network."""

    def __init__(self, *, expires_in: object = 300, token: str | None = None) -> None:
        self.router = respx.Router(assert_all_called=False)
        self.issued = 0
        self.accepted: set[str] = set()
        self.expires_in = expires_in
        self.token = token
        self.tokens = self.router.post(TOKEN_URL).mock(side_effect=self._issue)
        self.calls = self.router.route(host="agency.example").mock(side_effect=self._answer)

    async def _issue(self, _: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        self.issued += 1
        token = self.token if self.token is not None else f"token-{self.issued}"
        self.accepted.add(token)
        body = {"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in, "more": 1}
        return httpx.Response(200, json=body)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        known = request.headers["authorization"].removeprefix("Bearer ") in self.accepted
        return httpx.Response(200 if known else 401, json={"complete": True})

    def credentials(
        self, client: oauth.ClientAuthentication = BASIC, *, scope: str | None = None, resource: str | None = None
    ) -> ClientCredentials:
        network = httpx.MockTransport(self.router.async_handler)
        return ClientCredentials(
            TOKEN_URL, client, allow_private=False, scope=scope, resource=resource, transport=network
        )

    def client(self, auth: Credentials) -> SourceClient:
        return SourceClient(
            "https://agency.example",
            allow_private=False,
            auth=auth,
            max_connections=64,
            transport=httpx.MockTransport(self.router.async_handler),
        )


async def ask(client: SourceClient, *, seconds: float = 2) -> Reply:
    return await client.request("GET", "/", deadline=Deadline.after(seconds), request_id="7d1c")


def form_of(route: respx.Route, number: int = 0) -> dict[str, str]:
    return {name: value[0] for name, value in parse_qs(route.calls[number].request.content.decode()).items()}


async def test_fifty_calls_at_once_fetch_one_token() -> None:
    agency = Agency()
    client = agency.client(agency.credentials())

    replies = await asyncio.gather(*(ask(client) for _ in range(50)))
    await client.aclose()

    assert all(reply.status == 200 for reply in replies)
    assert agency.issued == 1


async def test_the_secret_is_encoded_before_it_is_joined() -> None:
    agency = Agency()
    client = agency.client(agency.credentials(scope="a b", resource="https://agency.example/"))

    await ask(client)
    await client.aclose()

    basic = agency.tokens.calls[0].request.headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(basic) == b"gate%3Away:s%25cret"
    assert form_of(agency.tokens) == {
        "grant_type": "client_credentials",
        "scope": "a b",
        "resource": "https://agency.example/",
    }


async def test_each_assertion_is_for_one_use_and_one_minute() -> None:
    key = ECKey.generate_key("P-256", {"kid": "k1"})
    agency = Agency(expires_in=0)
    client = agency.client(agency.credentials(PrivateKeyJWT("gateway", key, "ES256", TOKEN_URL)))

    await ask(client)
    await ask(client)
    await client.aclose()

    assertions = [jwt.decode(form_of(agency.tokens, n)["client_assertion"], key, algorithms=["ES256"]) for n in (0, 1)]
    assert assertions[0].header["kid"] == "k1"
    assert assertions[0].claims["jti"] != assertions[1].claims["jti"]
    for assertion in assertions:
        assert assertion.claims["exp"] - assertion.claims["iat"] <= 60
        assert assertion.claims["exp"] <= time.time() + 61
        assert assertion.claims["iss"] == assertion.claims["sub"] == "gateway"
        assert assertion.claims["aud"] == TOKEN_URL


async def test_a_refused_token_is_replaced_once() -> None:
    agency = Agency()
    client = agency.client(agency.credentials())
    await ask(client)
    agency.accepted.clear()

    reply = await ask(client)
    await client.aclose()

    assert reply.status == 200
    assert agency.issued == 2
    assert agency.calls.call_count == 3


async def test_fifty_refused_calls_replace_the_token_once() -> None:
    agency = Agency()
    client = agency.client(agency.credentials())
    await ask(client)
    agency.accepted.clear()

    await asyncio.gather(*(ask(client) for _ in range(50)))
    await client.aclose()

    assert agency.issued == 2


async def test_a_source_that_refuses_every_token_is_asked_twice_only() -> None:
    agency = Agency()
    agency.calls.mock(return_value=httpx.Response(401, json={}))
    client = agency.client(agency.credentials())

    with pytest.raises(SourceFailed) as caught:
        await ask(client)
    await client.aclose()

    assert caught.value.code is FaultCode.AUTH
    assert not caught.value.during_sign_in
    assert agency.calls.call_count == 2
    assert agency.issued == 2


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([500, 401, 200], id="refused-when-it-was-tried-once-more"),
        pytest.param([401, 500, 200], id="in-trouble-when-it-was-asked-with-another-token"),
    ],
)
async def test_a_call_is_not_made_a_third_time_whatever_the_first_two_failed_of(answers: list[int]) -> None:
    agency = Agency()
    agency.calls.mock(side_effect=[httpx.Response(status, json={}) for status in answers])
    client = agency.client(agency.credentials())
    vars(client)["_retries"] = RetryBudget(share=1.0)

    with pytest.raises(SourceFailed):
        await ask(client)
    await client.aclose()

    assert agency.calls.call_count == 2


async def test_a_source_that_refuses_every_token_is_not_asked_twice_as_much_for_it() -> None:
    agency = Agency()
    agency.calls.mock(return_value=httpx.Response(401, json={}))
    client = agency.client(agency.credentials())

    for _ in range(40):
        with pytest.raises(SourceFailed):
            await ask(client)
    await client.aclose()

    assert agency.calls.call_count == 40 + 1
    assert agency.issued == 2


async def test_a_forbidden_call_is_not_tried_with_another_token() -> None:
    agency = Agency()
    agency.calls.mock(return_value=httpx.Response(403, json={}))
    client = agency.client(agency.credentials())

    with pytest.raises(SourceFailed):
        await ask(client)
    await client.aclose()

    assert agency.issued == 1


async def test_a_token_is_renewed_before_it_ends_without_anybody_waiting() -> None:
    agency = Agency(expires_in="1")  # so from three quarters of a second
    client = agency.client(agency.credentials())
    await ask(client)
    await asyncio.sleep(0.8)

    await ask(client)
    sent_with_old = agency.calls.calls[1].request.headers["authorization"]
    await asyncio.sleep(0.05)
    await ask(client)
    await client.aclose()

    assert sent_with_old == "Bearer token-1"
    assert agency.calls.calls[2].request.headers["authorization"] == "Bearer token-2"


async def test_a_caller_with_little_time_does_not_spoil_the_token_for_the_next() -> None:
    agency = Agency()
    client = agency.client(agency.credentials())

    with pytest.raises(SourceFailed) as caught:
        await ask(client, seconds=0.002)
    reply = await ask(client)
    await client.aclose()

    assert caught.value.code is FaultCode.DEADLINE
    assert reply.status == 200
    assert agency.issued == 1


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        pytest.param(400, {"error": "invalid_client"}, FaultCode.TOKEN_ENDPOINT, id="invalid-client"),
        pytest.param(401, {"error": "invalid_client"}, FaultCode.AUTH, id="unauthorised"),
        pytest.param(429, {}, FaultCode.RATE_LIMITED, id="too-many"),
        pytest.param(503, {}, FaultCode.OVERLOADED, id="overloaded"),
        pytest.param(500, {}, FaultCode.STATUS_5XX, id="broken"),
        pytest.param(200, {"token_type": "Bearer"}, FaultCode.SCHEMA, id="no-token"),
        pytest.param(200, {"access_token": "a", "token_type": "mac"}, FaultCode.SCHEMA, id="another-type"),
        pytest.param(200, {"access_token": "a\r\nX: y", "token_type": "Bearer"}, FaultCode.SCHEMA, id="line-end"),
        pytest.param(
            200, {"access_token": "a", "token_type": "Bearer", "expires_in": "soon"}, FaultCode.SCHEMA, id="lifetime"
        ),
    ],
)
async def test_trouble_of_the_token_endpoint_is_named_for_its_cause(
    status: int, body: dict[str, str], code: FaultCode
) -> None:
    agency = Agency()
    agency.tokens.mock(return_value=httpx.Response(status, json=body))
    client = agency.client(agency.credentials())

    with pytest.raises(SourceFailed) as caught:
        await ask(client)
    await client.aclose()

    assert caught.value.code is code
    assert caught.value.during_sign_in
    assert agency.calls.call_count == 0


def test_a_refused_sign_in_reads_as_refused() -> None:
    assert SourceFailed(FaultCode.TOKEN_ENDPOINT).reason is SourceReason.REFUSED


@pytest.mark.network
@pytest.mark.parametrize("name", sorted(name for name, fault in FAULTS.items() if fault.row not in (21, 22, 23, 24)))
async def test_the_token_endpoint_is_held_to_the_same_rules(name: str) -> None:
    fault = FAULTS[name]
    async with FaultServer(fault.answer) as server:
        auth = ClientCredentials(f"{server.url}/token", BASIC, allow_private=False, fetch_seconds=0.25)
        with pytest.raises(SourceFailed) as caught:
            await auth.headers()
        await auth.aclose()

    assert caught.value.code == fault.code
    assert caught.value.during_sign_in
    assert len(server.received) == 1, "an assertion is for one use"


@pytest.mark.network
async def test_closing_ends_a_fetch_that_is_under_way() -> None:
    async with FaultServer(FAULTS["accepts-then-says-nothing"].answer) as server:
        auth = ClientCredentials(f"{server.url}/token", BASIC, allow_private=False, fetch_seconds=30)
        client = SourceClient(server.url, allow_private=False, auth=auth)
        waiting = asyncio.create_task(ask(client, seconds=30))
        await server.requests(1)
        await client.aclose()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_it_signs_the_requests_of_a_plain_httpx_client_too() -> None:
    agency = Agency()
    auth = agency.credentials()
    async with httpx.AsyncClient(transport=httpx.MockTransport(agency.router.async_handler), auth=auth) as client:
        first = await client.get("https://agency.example/")
        agency.accepted.clear()
        second = await client.get("https://agency.example/")
    await auth.aclose()

    assert first.status_code == second.status_code == 200
    assert agency.issued == 2


@pytest.mark.network
async def test_fixed_credentials_are_sent_and_a_401_is_not_tried_again() -> None:
    for auth in (ApiKey("X-Api-Key", "k"), StaticHeaders({"X-Api-Key": "k"})):
        async with FaultServer(says(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")) as server:
            client = SourceClient(server.url, allow_private=False, auth=auth)
            with pytest.raises(SourceFailed):
                await ask(client)
            await client.aclose()

        assert [request.headers["x-api-key"] for request in server.received] == ["k"]


def test_no_secret_shows_in_a_representation() -> None:
    key = ECKey.generate_key("P-256")
    shown = [repr(BASIC), repr(PrivateKeyJWT("gateway", key, "ES256", TOKEN_URL)), repr(ApiKey("X-Api-Key", "s%cret"))]

    assert not [text for text in shown if "s%cret" in text or json.dumps(key.as_dict(private=True)["d"])[1:-1] in text]
