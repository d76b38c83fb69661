"""A small OAuth server for the demo: fictional people, real signatures; no part of a production server.

Mounted at `/idp`: `/token`, `/authorize`, `/jwks.json`, `/.well-known/oauth-authorization-server` (RFC 8414).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from authlib.common.security import is_secure_transport
from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gateway.demo.access_tokens import ALGORITHM, Minter, SignIn, signing_key
from gateway.demo.authorization_server import DemoAuthorizationServer, Parameters
from gateway.demo.clients import PERSONA_GRANT, demo_clients
from gateway.demo.personas import ACR_VALUES, PERSONAS
from gateway.demo.sign_in_page import CONTENT_SECURITY_POLICY, sign_in_page

_MAXIMUM_BODY_BYTES = 16_384
_MAXIMUM_PARAMETERS = 50


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """What the demo mounts and hands to the gateway as its one issuer."""

    app: Starlette
    jwks: dict[str, Any]
    metadata: dict[str, Any]

    def write_jwks(self, path: Path) -> None:
        """Write the public keys to a file that `[[issuers]] jwks_file` can name."""
        path.write_text(json.dumps(self.jwks, indent=2) + "\n", encoding="utf-8")


def identity_provider(
    issuer: str,
    audience: str,
    key: ECKey | None = None,
    *,
    redirect_uris: Sequence[str] | None = None,
    case_system_key: ECKey | None = None,
) -> IdentityProvider:
    """Return an identity provider that signs with `key`, or with a key pair made now.

    `redirect_uris` are where the browser pages take their codes (default: `/signed-in` on the issuer's origin). Given
    `case_system_key`, the case system authenticates with private_key_jwt in place of its secret.

    Raises ValueError if the issuer is neither https nor on the loopback address (RFC 6749 section 3.1).
    """
    if not is_secure_transport(issuer) or urlsplit(issuer).query or urlsplit(issuer).fragment:
        raise ValueError("the issuer must be an https or loopback URL without query or fragment")
    key = key or signing_key()
    if redirect_uris is None:
        parts = urlsplit(issuer)
        redirect_uris = [f"{parts.scheme}://{parts.netloc}/signed-in"]
    token_endpoint = f"{issuer}/token"
    clients = demo_clients(tuple(redirect_uris), case_system_key)
    server = DemoAuthorizationServer(Minter(issuer, audience, key), clients, token_endpoint)
    jwks = {"keys": [key.as_dict(private=False)]}
    metadata = _metadata(issuer)
    return IdentityProvider(_app(server, jwks, metadata), jwks, metadata)


def _metadata(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/jwks.json",
        "scopes_supported": sorted(frozenset().union(*(persona.scopes for persona in PERSONAS.values()))),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials", PERSONA_GRANT],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": [ALGORITHM],
        "code_challenge_methods_supported": ["S256"],
        "acr_values_supported": sorted(ACR_VALUES.values()),
        "authorization_response_iss_parameter_supported": True,
    }


def _app(server: DemoAuthorizationServer, jwks: dict[str, Any], metadata: dict[str, Any]) -> Starlette:
    async def token(request: Request) -> Response:
        try:
            parameters = await _form(request, metadata["token_endpoint"])
            response: Response = server.create_token_response(parameters)
        except OAuth2Error as error:
            return server.handle_error_response(None, error)
        except ValueError:
            # what Authlib raises for text that its own messages cannot carry
            return server.handle_error_response(None, InvalidRequestError())
        return response

    async def authorize(request: Request) -> Response:
        endpoint = metadata["authorization_endpoint"]
        try:
            parameters = await _form(request, endpoint) if request.method == "POST" else _query(request, endpoint)
            grant = server.get_consent_grant(parameters)
            asked = dict(parameters.pairs)
            if request.method == "GET":
                return HTMLResponse(
                    sign_in_page(asked), headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY, **_PRIVATE}
                )
            persona = PERSONAS.get(asked.get("persona", ""))
            # a machine signs in with its own credentials, never in a browser
            person = None if persona is None or persona.client_id else SignIn.now(persona, asked.get("acr"))
            response: Response = server.create_authorization_response(grant.request, person, grant)
        except OAuth2Error as error:
            return server.handle_error_response(None, error)
        except (ValueError, KeyError):
            return server.handle_error_response(None, InvalidRequestError())
        return response

    async def keys(request: Request) -> Response:
        return JSONResponse(jwks, media_type="application/jwk-set+json")

    async def describe(request: Request) -> Response:
        return JSONResponse(metadata)

    routes = [
        Route("/token", token, methods=["POST"]),
        Route("/authorize", authorize, methods=["GET", "POST"]),
        Route("/jwks.json", keys),
        Route("/.well-known/oauth-authorization-server", describe),
    ]
    return Starlette(routes=routes, max_body_size=_MAXIMUM_BODY_BYTES)


_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}


def _query(request: Request, endpoint: str) -> Parameters:
    return _parameters(request, endpoint, request.scope["query_string"])


async def _form(request: Request, endpoint: str) -> Parameters:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise InvalidRequestError
    return _parameters(request, endpoint, await request.body())


def _parameters(request: Request, endpoint: str, encoded: bytes) -> Parameters:
    """Return the parameters; those without a value count as left out (RFC 6749 sections 3.1 and 3.2).

    Raises ValueError if the text is not UTF-8 or holds too many.
    """
    pairs = parse_qsl(encoded.decode("ascii"), errors="strict", max_num_fields=_MAXIMUM_PARAMETERS)
    authorization = request.headers.get("authorization")
    headers = {} if authorization is None else {"Authorization": authorization}
    return Parameters(request.method, endpoint, headers, tuple(pairs))
