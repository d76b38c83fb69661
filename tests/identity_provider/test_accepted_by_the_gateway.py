"""The gateway's own validator accepts the demo's tokens, knows who bears them, and accepts no other demo's."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from auth.keys import KeySets, KeySource
from auth.refusals import Unauthenticated
from auth.tokens import IssuerSettings, TokenValidator
from gateway.demo.clients import PERSONA_GRANT
from gateway.demo.identity_provider import IdentityProvider, identity_provider
from gateway.demo.personas import PERSONAS
from schema.vocabulary import Assurance

pytestmark = pytest.mark.anyio

ISSUER = "http://127.0.0.1:8000/idp"
AUDIENCE = "http://127.0.0.1:8000/graphql"
CLIENTS = frozenset({"contactpoint-cli", "contactpoint-pages", "northshire-case-system"})


async def gateway_trusting(provider: IdentityProvider, folder: Path, audience: str = AUDIENCE) -> TokenValidator:
    provider.write_jwks(folder / "jwks.json")
    keys = KeySets([KeySource(ISSUER, ("ES256",), None, folder / "jwks.json")], fetch=None)
    await keys.load()
    return TokenValidator([IssuerSettings(ISSUER, ("ES256",), CLIENTS, None)], audience, keys, revoked=lambda _: False)


async def bearer(idp: httpx.AsyncClient, persona: str) -> list[str]:
    response = await idp.post("/token", data={"grant_type": PERSONA_GRANT, "persona": persona})
    return [f"Bearer {response.json()['access_token']}"]


@pytest.mark.parametrize("name", PERSONAS)
async def test_the_gateway_knows_every_persona(
    provider: IdentityProvider, idp: httpx.AsyncClient, tmp_path: Path, name: str
) -> None:
    persona = PERSONAS[name]

    caller = await (await gateway_trusting(provider, tmp_path)).authenticate(await bearer(idp, name))

    named = persona.on_behalf_of
    assert caller.organisation == persona.organisation
    assert caller.effective_roles == frozenset(persona.roles)
    assert caller.scopes == persona.scopes
    assert caller.assurance is persona.assurance
    assert caller.person == (named.subject if named else persona.subject)
    assert caller.practitioner_registration == (named.registration if named else persona.registration)
    assert caller.practitioner_name == (named.name if named else persona.name)
    assert not caller.is_machine
    assert caller.expires_at - caller.issued_at == 900


async def test_a_weaker_sign_in_is_known_as_one(
    provider: IdentityProvider, idp: httpx.AsyncClient, tmp_path: Path
) -> None:
    form = {"grant_type": PERSONA_GRANT, "persona": "social-worker", "acr": "standard"}
    token = (await idp.post("/token", data=form)).json()["access_token"]

    caller = await (await gateway_trusting(provider, tmp_path)).authenticate([f"Bearer {token}"])

    assert caller.assurance is Assurance.STANDARD


async def test_a_token_of_another_demo_run_is_refused(idp: httpx.AsyncClient, tmp_path: Path) -> None:
    another_run = await gateway_trusting(identity_provider(ISSUER, AUDIENCE), tmp_path)

    with pytest.raises(Unauthenticated):
        await another_run.authenticate(await bearer(idp, "social-worker"))


async def test_a_token_for_this_gateway_opens_no_other(
    provider: IdentityProvider, idp: httpx.AsyncClient, tmp_path: Path
) -> None:
    another = await gateway_trusting(provider, tmp_path, "https://elsewhere.example/graphql")

    with pytest.raises(Unauthenticated):
        await another.authenticate(await bearer(idp, "social-worker"))
