"""The OAuth rules of the demo identity provider, on Authlib's framework-free core: grants and refusals.

Grants: client credentials (RFC 6749 section 4.4), authorization code with PKCE S256 (RFC 7636), and one extension grant
(RFC 6749 section 4.5) that signs a persona in without a password. That one is for the demo only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749.errors import (
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    UnauthorizedClientError,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, BaseGrant, ClientCredentialsGrant
from authlib.oauth2.rfc6749.grants.base import TokenEndpointMixin
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge
from starlette.responses import JSONResponse, Response

from gateway.demo.access_tokens import Minter, SignIn, TokenResponse
from gateway.demo.client_assertions import PrivateKeyJWT
from gateway.demo.clients import CLI_CLIENT_ID, PERSONA_GRANT, Client
from gateway.demo.personas import PERSONAS, Persona

CODE_LIFETIME_SECONDS = 60

# Fixed sentences: Authlib's own say back what was sent.
_SENTENCES = {
    "access_denied": "The sign-in was refused.",
    "invalid_client": "Client authentication failed.",
    "invalid_grant": "The grant is unknown, expired, used, or was issued to another client.",
    "invalid_request": "A parameter is missing, malformed or repeated.",
    "invalid_scope": "The scope is unknown, or more than the role of the persona may hold.",
    "invalid_target": "Tokens are issued for one resource only, and this is not it.",
    "unauthorized_client": "This client may not use this grant.",
    "unsupported_grant_type": "This grant type is not supported.",
    "unsupported_response_type": "This response type is not supported.",
}


class InvalidTargetError(OAuth2Error):  # type: ignore[misc]
    """A `resource` that this server issues no tokens for (RFC 8707 section 2)."""

    error = "invalid_target"


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one request, in order; `uri` is the endpoint's own, never what a Host header says."""

    method: str
    uri: str
    headers: dict[str, str] = field(repr=False)
    pairs: tuple[tuple[str, str], ...] = field(repr=False)


class _Payload(BasicOAuth2Payload):  # type: ignore[misc]
    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        super().__init__(dict(pairs))
        self._datalist = {name: [value for other, value in pairs if other == name] for name, _ in pairs}


class _Request(OAuth2Request):  # type: ignore[misc]
    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters.method, parameters.uri, headers=parameters.headers)
        self.payload = _Payload(parameters.pairs)

    @property
    def args(self) -> dict[str, str]:
        return dict(self.payload.data)

    @property
    def form(self) -> dict[str, str]:
        return dict(self.payload.data)


def granted_scope(persona: Persona, requested: str | None) -> str:
    """Return the scope to grant: what was requested, or everything that the persona's roles may hold.

    Raises InvalidScopeError if more is requested (RFC 6749 section 3.3).
    """
    if not requested:
        return " ".join(sorted(persona.scopes))
    words = requested.split(" ")
    if not set(words) <= persona.scopes:
        raise InvalidScopeError
    return " ".join(sorted(set(words)))


@dataclass(frozen=True, slots=True)
class _Code:
    client_id: str
    redirect_uri: str | None
    scope: str
    sign_in: SignIn
    code_challenge: str
    code_challenge_method: str
    expires_at: float

    def get_redirect_uri(self) -> str | None:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


class PersonaGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """DEMO ONLY. Signs in the named persona, no questions asked; no real server may ever offer this grant."""

    GRANT_TYPE = PERSONA_GRANT
    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def validate_token_request(self) -> None:
        data = self.request.payload.data
        # so that a curl needs to name the persona only
        data.setdefault("client_id", CLI_CLIENT_ID)
        self.request.client = self.authenticate_token_endpoint_client()
        if not self.request.client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError
        if "persona" not in data:
            raise InvalidRequestError
        persona = PERSONAS.get(data["persona"])
        if persona is None:
            raise InvalidGrantError
        try:
            self.request.user = SignIn.now(persona, data.get("acr"))
        except KeyError:
            raise InvalidRequestError from None

    def create_token_response(self) -> tuple[int, TokenResponse, list[tuple[str, str]]]:
        token = self.generate_token(user=self.request.user, scope=self.request.payload.scope)
        return 200, token, self.TOKEN_RESPONSE_HEADER


class CaseSystemGrant(ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "private_key_jwt")


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    """Codes live in memory for a minute and are spent by the first attempt, right or wrong."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        data = request.payload.data
        self.server.codes[code] = _Code(
            client_id=request.client.client_id,
            redirect_uri=request.payload.redirect_uri,
            scope=self.scope_of(request),
            sign_in=request.user,
            code_challenge=data["code_challenge"],
            code_challenge_method=data["code_challenge_method"],
            expires_at=time.monotonic() + CODE_LIFETIME_SECONDS,
        )

    @staticmethod
    def scope_of(request: OAuth2Request) -> str:
        try:
            return granted_scope(request.user.persona, request.payload.scope)
        except InvalidScopeError as error:
            error.redirect_uri = request.payload.redirect_uri or request.client.get_default_redirect_uri()
            raise

    def query_authorization_code(self, code: str, client: Client) -> _Code | None:
        found: _Code | None = self.server.codes.pop(code, None)
        if found is None or found.client_id != client.client_id or found.expires_at < time.monotonic():
            return None
        return found

    def delete_authorization_code(self, authorization_code: _Code) -> None:
        """Nothing is left to delete: the attempt spent the code."""

    def authenticate_user(self, authorization_code: _Code) -> SignIn:
        return authorization_code.sign_in


class S256Only(CodeChallenge):  # type: ignore[misc]
    """PKCE with S256, always: no challenge, or the method `plain`, is refused (RFC 9700 section 2.1.1)."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: CodeGrant, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if "code_challenge" not in data or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError
        super().validate_code_challenge(grant, redirect_uri)


class DemoAuthorizationServer(AuthorizationServer):  # type: ignore[misc]
    """Authlib's core with this demo's clients and grants; it keeps no token and logs none."""

    def __init__(self, minter: Minter, clients: dict[str, Client], token_endpoint: str) -> None:
        super().__init__()
        self.minter = minter
        self.clients = clients
        self.codes: dict[str, _Code] = {}
        self.register_client_auth_method("private_key_jwt", PrivateKeyJWT([minter.issuer, token_endpoint]))
        self.register_grant(CaseSystemGrant)
        self.register_grant(PersonaGrant)
        self.register_grant(CodeGrant, [S256Only(required=True)])

    def query_client(self, client_id: str) -> Client | None:
        return self.clients.get(client_id)

    def save_token(self, token: TokenResponse, request: OAuth2Request) -> None:
        """Keep nothing: a token proves itself."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def generate_token(
        self,
        grant_type: str,
        client: Client,
        user: SignIn | None = None,
        scope: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> TokenResponse:
        if user is None:
            if client.persona is None:
                raise UnauthorizedClientError
            user = SignIn.now(client.persona, None)
        granted = granted_scope(user.persona, scope)
        return self.minter.token_response(user, user.persona.client_id or client.client_id, granted)

    def create_oauth2_request(self, request: Parameters) -> OAuth2Request:
        counts = [name for name, _ in request.pairs if name != "resource"]
        # RFC 6749 sections 3.1 and 3.2; RFC 8707 lets `resource` alone repeat
        if len(counts) != len(set(counts)):
            raise InvalidRequestError
        if any(name == "resource" and value != self.minter.audience for name, value in request.pairs):
            raise InvalidTargetError
        now = time.monotonic()
        self.codes = {code: kept for code, kept in self.codes.items() if kept.expires_at >= now}
        return _Request(request)

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Response:
        kept = {name: value for name, value in headers if name != "Content-Type"} | {"Cache-Control": "no-store"}
        if "Location" in kept:
            # RFC 9207: the answer says whose it is
            kept["Location"] = add_params_to_uri(kept["Location"], [("iss", self.minter.issuer)])
            return Response(status_code=status, headers=kept)
        return JSONResponse(body, status_code=status, headers=kept)

    def handle_error_response(self, request: OAuth2Request | None, error: OAuth2Error) -> Response:
        """Return the refusal with a fixed sentence, by redirect where one is safe (RFC 6749 sections 4.1.2.1, 5.2)."""
        body = {"error": error.error, "error_description": _SENTENCES.get(error.error, "The request was refused.")}
        if error.redirect_uri:
            params = [*body.items(), *([("state", error.state)] if error.state else [])]
            return self.handle_response(302, "", [("Location", add_params_to_uri(error.redirect_uri, params))])
        headers = [("WWW-Authenticate", 'Basic realm="demo"')] if error.status_code == 401 else []
        return self.handle_response(error.status_code, body, headers)
