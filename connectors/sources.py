"""From the settings of a source reached over HTTP to the client that calls it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import httpx

from connectors.http import DEFAULT_BYTE_CAP, ApiKey, Credentials, SourceClient
from connectors.oauth import ClientCredentials, ClientSecretBasic
from connectors.settings import ApiKeySettings, AuthSettings, ConnectorMisconfigured, HTTPSettings


def source_client(
    settings: HTTPSettings,
    *,
    scope: str | None = None,
    headers: Mapping[str, str] | None = None,
    byte_cap: int = DEFAULT_BYTE_CAP,
    ssl_context: ssl.SSLContext | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> SourceClient:
    """Return the client of the source; `scope` is asked for where the entry names none.

    Raises ConnectorMisconfigured for a URL that may not be used or a secret that cannot be read.
    """
    auth = _credentials(settings.auth, settings, scope=scope, ssl_context=ssl_context, transport=transport)
    try:
        return SourceClient(
            settings.base_url,
            auth=auth,
            max_connections=settings.max_connections,
            byte_cap=byte_cap,
            headers=headers,
            ssl_context=ssl_context,
            transport=transport,
            allow_private=settings.allow_private,
        )
    except ValueError as refused:
        raise ConnectorMisconfigured("base_url", str(refused)) from None


def _credentials(
    auth: AuthSettings | None,
    settings: HTTPSettings,
    *,
    scope: str | None,
    ssl_context: ssl.SSLContext | None,
    transport: httpx.AsyncBaseTransport | None,
) -> Credentials | None:
    if auth is None:
        return None
    if isinstance(auth, ApiKeySettings):
        return ApiKey(auth.header, auth.secret())
    secret = auth.secret()
    try:
        return ClientCredentials(
            auth.token_url,
            ClientSecretBasic(auth.client_id, secret),
            allow_private=settings.allow_private,
            scope=auth.scope or scope,
            ssl_context=ssl_context,
            transport=transport,
        )
    except ValueError as refused:
        raise ConnectorMisconfigured("auth.token_url", str(refused)) from None
