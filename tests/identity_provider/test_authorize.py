"""The code flow with PKCE, end to end, and the published metadata."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwt
from joserfc.jwk import KeySet

from gateway.demo import authorization_server
from gateway.demo.identity_provider import IdentityProvider

pytestmark = pytest.mark.anyio

VERIFIER = "a" * 21 + "-._~" + "B9" * 11
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CALLBACK = "http://127.0.0.1:8000/signed-in"
REQUEST = {
    "response_type": "code",
    "client_id": "contactpoint-pages",
    "redirect_uri": CALLBACK,
    "state": 'a"<b>',
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


def answer_of(response: httpx.Response) -> dict[str, str]:
    assert response.status_code == 302
    location = urlsplit(response.headers["location"])
    assert f"{location.scheme}://{location.netloc}{location.path}" == CALLBACK
    return {name: values[0] for name, values in parse_qs(location.query).items()}


async def code_for(idp: httpx.AsyncClient, persona: str = "health-visitor", **changes: str) -> str:
    posted = await idp.post("/authorize", data={**REQUEST, "persona": persona, "acr": "strong", **changes})
    return answer_of(posted)["code"]


def exchange(code: str, /, **changes: str) -> dict[str, str]:
    form = {"grant_type": "authorization_code", "client_id": "contactpoint-pages", "redirect_uri": CALLBACK}
    return form | {"code": code, "code_verifier": VERIFIER} | changes


async def test_a_browser_signs_in_and_gets_a_token_for_whom_it_chose(
    provider: IdentityProvider, idp: httpx.AsyncClient
) -> None:
    page = await idp.get("/authorize", params=REQUEST)
    carried = {
        name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    }
    posted = await idp.post("/authorize", data={**carried, "persona": "school-lead", "acr": "standard"})
    answer = answer_of(posted)
    exchanged = await idp.post("/token", data=exchange(answer["code"]))

    assert page.status_code == 200
    assert carried == REQUEST
    assert answer["state"] == REQUEST["state"]
    assert answer["iss"] == provider.metadata["issuer"]
    key_set = KeySet.import_key_set(provider.jwks)  # type: ignore[arg-type]
    claims = jwt.decode(exchanged.json()["access_token"], key_set, algorithms=["ES256"]).claims
    assert claims["sub"] == "oak-primary:school-lead"
    assert claims["client_id"] == "contactpoint-pages"
    assert claims["acr"] == "urn:contactpoint:acr:standard"


async def test_the_page_runs_no_script_and_is_framed_by_nobody(idp: httpx.AsyncClient) -> None:
    page = await idp.get("/authorize", params=REQUEST)

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    style = re.search(r"<style>(.*?)</style>", page.text)
    assert style is not None
    assert base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode() in policy
    assert "<b>" not in page.text
    assert "case-system" not in page.text


@pytest.mark.parametrize(
    ("wanted", "chosen"), [("urn:contactpoint:acr:standard", "standard"), ("urn:contactpoint:acr:strong", "strong")]
)
async def test_the_page_preselects_the_strength_that_the_client_asks_for(
    idp: httpx.AsyncClient, wanted: str, chosen: str
) -> None:
    page = await idp.get("/authorize", params={**REQUEST, "acr_values": wanted})

    assert re.findall(r'name="acr" value="(\w+)" checked', page.text) == [chosen]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain-challenge"),
        pytest.param({"code_challenge_method": ""}, "invalid_request", id="method-left-out"),
        pytest.param({"code_challenge": ""}, "invalid_request", id="no-challenge"),
        pytest.param({"code_challenge": "short"}, "invalid_request", id="malformed-challenge"),
        pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit"),
    ],
)
async def test_the_client_is_told_by_redirect_when(idp: httpx.AsyncClient, changes: dict[str, str], error: str) -> None:
    response = await idp.get("/authorize", params={**REQUEST, **changes})

    answer = answer_of(response)
    assert answer["error"] == error
    assert answer["state"] == REQUEST["state"]
    assert "code" not in answer


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"persona": "the-minister"}, "access_denied", id="unknown-persona"),
        pytest.param({"persona": "case-system"}, "access_denied", id="a-machine"),
        pytest.param({"persona": "school-lead", "scope": "mappa:read"}, "invalid_scope", id="more-than-the-role-holds"),
    ],
)
async def test_no_code_is_given_for(idp: httpx.AsyncClient, changes: dict[str, str], error: str) -> None:
    response = await idp.post("/authorize", data={**REQUEST, **changes})

    assert answer_of(response)["error"] == error


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"redirect_uri": "https://elsewhere.example/"}, id="another-address"),
        pytest.param({"redirect_uri": CALLBACK + "/more"}, id="a-longer-address"),
        pytest.param({"redirect_uri": 'https://x"y'}, id="a-broken-address"),
        pytest.param({"client_id": "nobody"}, id="an-unknown-client"),
        pytest.param({"client_id": "contactpoint-cli"}, id="a-client-without-this-flow"),
    ],
)
async def test_nothing_is_redirected_to_or_for(idp: httpx.AsyncClient, changes: dict[str, str]) -> None:
    response = await idp.get("/authorize", params={**REQUEST, **changes})

    assert response.status_code == 400
    assert "location" not in response.headers


async def test_a_repeated_parameter_is_refused(idp: httpx.AsyncClient) -> None:
    response = await idp.get("/authorize", params=[*REQUEST.items(), ("state", "second")])

    assert response.status_code == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"code_verifier": "b" * 43}, "invalid_grant", id="another-verifier"),
        pytest.param({"code_verifier": ""}, "invalid_request", id="no-verifier"),
        pytest.param({"redirect_uri": "http://127.0.0.1:8000/other"}, "invalid_grant", id="another-address"),
        pytest.param({"client_id": "contactpoint-cli"}, "unauthorized_client", id="another-client"),
        pytest.param({"code": "guess"}, "invalid_grant", id="a-guessed-code"),
    ],
)
async def test_a_code_is_not_exchanged_with(idp: httpx.AsyncClient, changes: dict[str, str], error: str) -> None:
    code = await code_for(idp)

    response = await idp.post("/token", data=exchange(code, **changes))

    assert response.status_code == 400
    assert response.json()["error"] == error


async def test_a_code_is_spent_by_its_first_use_and_by_a_failed_one(idp: httpx.AsyncClient) -> None:
    used, guessed = await code_for(idp), await code_for(idp)

    first = await idp.post("/token", data=exchange(used))
    again = await idp.post("/token", data=exchange(used))
    wrong = await idp.post("/token", data=exchange(guessed, code_verifier="b" * 43))
    right = await idp.post("/token", data=exchange(guessed))

    assert [r.status_code for r in (first, again, wrong, right)] == [200, 400, 400, 400]


async def test_a_code_lapses_after_a_minute(idp: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    lifetime = "gateway.demo.authorization_server.CODE_LIFETIME_SECONDS"
    assert authorization_server.CODE_LIFETIME_SECONDS == 60
    monkeypatch.setattr(lifetime, -1)
    code = await code_for(idp)

    response = await idp.post("/token", data=exchange(code))

    assert response.json()["error"] == "invalid_grant"


async def test_the_published_metadata_and_keys_are_those_in_use(
    provider: IdentityProvider, idp: httpx.AsyncClient, tmp_path: Path
) -> None:
    metadata = (await idp.get("/.well-known/oauth-authorization-server")).json()
    keys = (await idp.get("/jwks.json")).json()
    provider.write_jwks(tmp_path / "jwks.json")

    AuthorizationServerMetadata(metadata).validate()
    assert metadata["issuer"] == "http://127.0.0.1:8000/idp"
    assert metadata["token_endpoint"] == "http://127.0.0.1:8000/idp/token"
    assert keys == provider.jwks == json.loads((tmp_path / "jwks.json").read_text())
    assert all("d" not in key and key["use"] == "sig" and key["alg"] == "ES256" for key in keys["keys"])
