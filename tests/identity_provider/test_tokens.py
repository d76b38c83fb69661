"""Tokens of the demo: the claims of every persona, and what is refused."""

from __future__ import annotations

import logging
import time
from typing import Any

import httpx
import pytest
from authlib.oauth2.rfc6749.errors import InvalidScopeError
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey, KeySet

from gateway.demo.access_tokens import signing_key
from gateway.demo.authorization_server import granted_scope
from gateway.demo.clients import PERSONA_GRANT
from gateway.demo.identity_provider import IdentityProvider, identity_provider
from gateway.demo.personas import CASE_SYSTEM_CLIENT_ID, CASE_SYSTEM_CLIENT_SECRET, PERSONAS, ROLE_SCOPES
from schema.vocabulary import Role, Scope

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8000/idp"
AUDIENCE = "http://127.0.0.1:8000/graphql"
CASE_SYSTEM = (CASE_SYSTEM_CLIENT_ID, CASE_SYSTEM_CLIENT_SECRET)


def read(provider: IdentityProvider, token: str) -> jwt.Token:
    return jwt.decode(token, KeySet.import_key_set(provider.jwks), algorithms=["ES256"])  # type: ignore[arg-type]


async def sign_in(idp: httpx.AsyncClient, persona: str, **more: str) -> httpx.Response:
    return await idp.post("/token", data={"grant_type": PERSONA_GRANT, "persona": persona, **more})


async def claims_of(provider: IdentityProvider, idp: httpx.AsyncClient, persona: str, **more: str) -> dict[str, Any]:
    response = await sign_in(idp, persona, **more)
    assert response.status_code == 200, response.json()["error"]
    return read(provider, response.json()["access_token"]).claims


@pytest.mark.parametrize("name", PERSONAS)
async def test_every_persona_gets_a_token_that_says_what_the_contract_says(
    provider: IdentityProvider, idp: httpx.AsyncClient, name: str
) -> None:
    before = int(time.time())

    response = await sign_in(idp, name)

    body = response.json()
    token = read(provider, body["access_token"])
    persona = PERSONAS[name]
    assert token.header == {"alg": "ES256", "typ": "at+jwt", "kid": provider.jwks["keys"][0]["kid"]}
    claims = token.claims
    assert claims["iss"] == ISSUER
    assert claims["aud"] == AUDIENCE
    assert claims["sub"] == persona.subject
    assert claims["client_id"] == (persona.client_id or "contactpoint-cli")
    assert claims["org"] == persona.organisation
    assert claims["roles"] == list(persona.roles)
    assert claims["name"] == persona.name
    assert claims.get("registration") == persona.registration
    assert claims["acr"] == f"urn:contactpoint:acr:{persona.assurance.value.lower()}"
    assert before <= claims["iat"] <= int(time.time())
    assert claims["exp"] - claims["iat"] == 900 == body["expires_in"]
    assert set(claims["scope"].split()) == {scope.value for scope in persona.scopes}
    assert body["scope"] == claims["scope"]
    assert body["token_type"] == "Bearer"
    assert response.headers["cache-control"] == "no-store"
    assert len(body["access_token"]) < 8192


async def test_no_two_tokens_share_an_identifier(provider: IdentityProvider, idp: httpx.AsyncClient) -> None:
    first = await claims_of(provider, idp, "social-worker")
    second = await claims_of(provider, idp, "social-worker")

    assert first["jti"] != second["jti"]


def test_the_people_of_the_demo_are_those_of_the_contract() -> None:
    assert set(PERSONAS) == {
        "social-worker",
        "health-visitor",
        "police-officer",
        "probation-officer",
        "school-lead",
        "cafcass-guardian",
        "immigration-officer",
        "case-system",
        "security-auditor",
        "integrator",
        "family-court",
    }


def test_an_integrator_reads_the_schema_and_nothing_else() -> None:
    assert PERSONAS["integrator"].scopes == {Scope.SCHEMA}


def test_nobody_who_looks_children_up_may_read_the_log() -> None:
    lookups = [scopes for scopes in ROLE_SCOPES.values() if Scope.INVOLVEMENT in scopes]

    assert all(scopes.isdisjoint({Scope.AUDIT, Scope.AUDIT_VERIFY}) for scopes in lookups)
    assert Scope.INVOLVEMENT not in ROLE_SCOPES[Role.SECURITY_AUDITOR]


async def test_a_narrower_scope_is_granted_as_asked(provider: IdentityProvider, idp: httpx.AsyncClient) -> None:
    claims = await claims_of(provider, idp, "social-worker", scope="mappa:read involvement:read")

    assert claims["scope"] == "involvement:read mappa:read"


@pytest.mark.parametrize(
    "scope",
    [
        pytest.param("involvement:read audit:read", id="another-role's"),
        pytest.param("everything", id="unknown"),
        pytest.param("involvement:read  mappa:read", id="two-spaces"),
        pytest.param("involvement:read\tmappa:read", id="a-tab"),
    ],
)
async def test_more_scope_than_the_role_may_hold_is_refused(idp: httpx.AsyncClient, scope: str) -> None:
    response = await sign_in(idp, "social-worker", scope=scope)

    assert response.status_code == 400
    assert response.json()["error"] == "invalid_scope"
    assert "access_token" not in response.json()


@given(st.sampled_from(sorted(PERSONAS)), st.sets(st.sampled_from(list(Scope)), min_size=1))
def test_no_request_is_ever_granted_more_than_was_asked_or_may_be_held(name: str, asked: set[Scope]) -> None:
    persona = PERSONAS[name]

    try:
        granted = set(granted_scope(persona, " ".join(asked)).split(" "))
    except InvalidScopeError:
        assert not asked <= persona.scopes
    else:
        assert granted == asked
        assert granted <= persona.scopes


@pytest.mark.parametrize("acr", ["standard", "strong", "urn:contactpoint:acr:standard", "urn:contactpoint:acr:strong"])
async def test_the_strength_of_the_sign_in_can_be_chosen(
    provider: IdentityProvider, idp: httpx.AsyncClient, acr: str
) -> None:
    claims = await claims_of(provider, idp, "school-lead", acr=acr)

    assert claims["acr"] == f"urn:contactpoint:acr:{acr.rpartition(':')[2]}"
    assert ("mfa" in claims["amr"]) == acr.endswith("strong")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        pytest.param({"persona": "the-minister"}, "invalid_grant", id="unknown-persona"),
        pytest.param({}, "invalid_request", id="no-persona"),
        pytest.param({"persona": ""}, "invalid_request", id="empty-persona"),
        pytest.param({"persona": "social-worker", "acr": "STRONGEST"}, "invalid_request", id="unknown-strength"),
        pytest.param({"persona": "social-worker", "client_id": "nobody"}, "invalid_client", id="unknown-client"),
        pytest.param(
            {"persona": "social-worker", "client_id": CASE_SYSTEM_CLIENT_ID}, "invalid_client", id="a-client-with-a-key"
        ),
        pytest.param(
            {"persona": "social-worker", "client_id": "contactpoint-pages"}, "unauthorized_client", id="the-pages"
        ),
        pytest.param(
            {"persona": "social-worker", "resource": "https://elsewhere.example"}, "invalid_target", id="elsewhere"
        ),
        pytest.param(
            {"persona": "social-worker", "resource": [AUDIENCE, "https://elsewhere.example"]},
            "invalid_target",
            id="a-second-audience",
        ),
        pytest.param({"persona": ["social-worker", "integrator"]}, "invalid_request", id="two-personas"),
        pytest.param({"persona": 'n"ö'}, "invalid_grant", id="odd-characters"),
    ],
)
async def test_a_persona_is_not_signed_in_when(idp: httpx.AsyncClient, form: dict[str, Any], error: str) -> None:
    response = await idp.post("/token", data={"grant_type": PERSONA_GRANT, **form})

    assert response.status_code == 400
    assert response.json()["error"] == error
    assert set(response.json()) == {"error", "error_description"}


async def test_unknown_parameters_are_ignored_and_the_known_resource_is_accepted(
    provider: IdentityProvider, idp: httpx.AsyncClient
) -> None:
    claims = await claims_of(provider, idp, "social-worker", resource=AUDIENCE, colour="blue")

    assert claims["aud"] == AUDIENCE


async def test_the_case_system_authenticates_with_its_secret_and_asks_for_a_named_practitioner(
    provider: IdentityProvider, idp: httpx.AsyncClient
) -> None:
    response = await idp.post("/token", data={"grant_type": "client_credentials"}, auth=CASE_SYSTEM)

    claims = read(provider, response.json()["access_token"]).claims
    assert claims["sub"] == claims["client_id"] == "northshire-case-system"
    assert claims["roles"] == ["social_worker"]
    assert claims["on_behalf_of"] == {
        "sub": "northshire-council:sw-100",
        "name": "Casey Moor",
        "role": "social_worker",
        "registration": "SWE:SW900002",
    }


@pytest.mark.parametrize(
    ("auth", "form"),
    [
        pytest.param((CASE_SYSTEM_CLIENT_ID, "wrong"), {}, id="wrong-secret"),
        pytest.param(("nobody", "secret"), {}, id="unknown-client"),
        pytest.param(httpx.USE_CLIENT_DEFAULT, {"client_id": CASE_SYSTEM_CLIENT_ID}, id="no-secret"),
        pytest.param(
            httpx.USE_CLIENT_DEFAULT,
            {"client_id": CASE_SYSTEM_CLIENT_ID, "client_secret": CASE_SYSTEM_CLIENT_SECRET},
            id="secret-in-the-body",
        ),
        pytest.param(("contactpoint-cli", "anything"), {}, id="a-public-client"),
    ],
)
async def test_a_client_that_does_not_prove_itself_gets_401_with_a_challenge(
    idp: httpx.AsyncClient, auth: Any, form: dict[str, str]
) -> None:
    response = await idp.post("/token", data={"grant_type": "client_credentials", **form}, auth=auth)

    assert response.status_code == 401
    assert response.json()["error"] == "invalid_client"
    assert response.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("content", "content_type", "headers"),
    [
        pytest.param(b'{"grant_type":"x"}', "application/json", {}, id="json"),
        pytest.param(b"grant_type=%ff", "application/x-www-form-urlencoded", {}, id="not-utf-8"),
        pytest.param(b"\xff", "application/x-www-form-urlencoded", {}, id="not-ascii"),
        pytest.param(b"a=1&" * 200, "application/x-www-form-urlencoded", {}, id="many-parameters"),
        pytest.param(
            b"grant_type=client_credentials",
            "application/x-www-form-urlencoded",
            {"Authorization": "Basic /////w=="},
            id="basic-not-utf-8",
        ),
        pytest.param(b"", "application/x-www-form-urlencoded", {}, id="nothing"),
    ],
)
async def test_a_malformed_token_request_is_refused_without_echo(
    idp: httpx.AsyncClient, content: bytes, content_type: str, headers: dict[str, str]
) -> None:
    response = await idp.post("/token", content=content, headers={"Content-Type": content_type, **headers})

    assert response.status_code in {400, 401}
    assert response.json()["error"] in {"invalid_request", "invalid_client", "unsupported_grant_type"}


async def test_a_refusal_does_not_say_back_what_was_sent(idp: httpx.AsyncClient) -> None:
    marker = "canary-7781"

    answers = [
        await idp.post("/token", data={"grant_type": marker}),
        await sign_in(idp, marker),
        await sign_in(idp, "social-worker", scope=marker),
        await sign_in(idp, "social-worker", client_id=marker),
        await idp.get("/authorize", params={"client_id": marker, "response_type": marker}),
        await idp.get("/authorize", params={"client_id": "contactpoint-pages", "redirect_uri": f"https://{marker}"}),
    ]

    assert [answer.status_code for answer in answers] == [400] * 6
    assert all(marker not in answer.text for answer in answers)


async def test_a_large_body_is_refused(idp: httpx.AsyncClient) -> None:
    response = await sign_in(idp, "x" * 20_000)

    assert response.status_code == 413


async def test_no_token_secret_or_code_reaches_a_log(
    provider: IdentityProvider, idp: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    tokens = [
        (await sign_in(idp, "social-worker")).json()["access_token"],
        (await idp.post("/token", data={"grant_type": "client_credentials"}, auth=CASE_SYSTEM)).json()["access_token"],
    ]
    await idp.post("/token", data={"grant_type": "client_credentials"}, auth=(CASE_SYSTEM_CLIENT_ID, "wrong-secret"))

    # a control: Authlib does log what it issues
    assert "Issue token" in caplog.text
    for secret in (*tokens, *(part for token in tokens for part in token.split(".")[1:]), "wrong-secret"):
        assert secret not in caplog.text
    assert CASE_SYSTEM_CLIENT_SECRET not in caplog.text
    assert "Casey Moor" not in caplog.text


async def test_each_start_has_its_own_key_unless_one_is_given(idp: httpx.AsyncClient) -> None:
    one, other = identity_provider(ISSUER, AUDIENCE), identity_provider(ISSUER, AUDIENCE)
    key = signing_key()

    assert one.jwks != other.jwks
    assert identity_provider(ISSUER, AUDIENCE, key).jwks == identity_provider(ISSUER, AUDIENCE, key).jwks
    # a token of this run opens nothing in another
    token = (await sign_in(idp, "social-worker")).json()["access_token"]
    forged = {**one.jwks["keys"][0], "kid": jwt_kid(token)}
    with pytest.raises(BadSignatureError):
        jwt.decode(token, KeySet.import_key_set({"keys": [forged]}), algorithms=["ES256"])


def jwt_kid(token: str) -> str:
    kid = jws.extract_compact(token.encode()).headers()["kid"]
    assert isinstance(kid, str)
    return kid


@pytest.mark.parametrize("issuer", ["http://idp.example/idp", "https://idp.example/idp?x=1", "https://idp.example/#f"])
def test_an_issuer_without_transport_security_or_with_a_query_is_refused(issuer: str) -> None:
    with pytest.raises(ValueError, match="issuer"):
        identity_provider(issuer, AUDIENCE)


def assertion(key: ECKey, **changes: Any) -> dict[str, str]:
    now = int(time.time())
    claims = {
        "iss": CASE_SYSTEM_CLIENT_ID,
        "sub": CASE_SYSTEM_CLIENT_ID,
        "aud": f"{ISSUER}/token",
        "iat": now,
        "exp": now + 60,
        "jti": "one",
    } | changes
    signed = jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key, algorithms=["ES256"])
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed,
    }


async def test_the_case_system_can_prove_itself_with_a_key_once_per_assertion() -> None:
    key = signing_key()
    public = ECKey.import_key(key.as_dict(private=False))
    provider = identity_provider(ISSUER, AUDIENCE, case_system_key=public)
    transport = httpx.ASGITransport(app=provider.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as idp:
        form = assertion(key)
        first = await idp.post("/token", data=form)
        refused = [
            await idp.post("/token", data=form),
            await idp.post("/token", data=assertion(signing_key(), jti="two")),
            await idp.post("/token", data=assertion(key, jti="three", aud="https://elsewhere.example")),
            await idp.post("/token", data=assertion(key, jti="four", exp=int(time.time()) - 600)),
            await idp.post("/token", data=assertion(key, jti="five", exp=int(time.time()) + 3600)),
            await idp.post("/token", data=assertion(key, jti="six", iss="somebody-else")),
            await idp.post("/token", data={"grant_type": "client_credentials"}, auth=CASE_SYSTEM),
        ]

    assert first.status_code == 200
    assert [answer.json()["error"] for answer in refused] == ["invalid_client"] * 7
