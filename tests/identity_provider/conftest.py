"""The demo identity provider in this process, and a client that speaks to it without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.demo.access_tokens import signing_key
from gateway.demo.identity_provider import IdentityProvider, identity_provider

ISSUER = "http://127.0.0.1:8000/idp"
AUDIENCE = "http://127.0.0.1:8000/graphql"


@pytest.fixture(scope="module")
def provider() -> IdentityProvider:
    return identity_provider(ISSUER, AUDIENCE, signing_key(), redirect_uris=["http://127.0.0.1:8000/signed-in"])


@pytest.fixture
async def idp(provider: IdentityProvider) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=provider.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client
