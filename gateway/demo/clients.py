"""The clients that the demo identity provider knows; what is not listed of one is refused."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from authlib.oauth2.rfc6749 import ClientMixin
from joserfc.jwk import ECKey

from gateway.demo.personas import CASE_SYSTEM_CLIENT_ID, CASE_SYSTEM_CLIENT_SECRET, PERSONAS, Persona

PERSONA_GRANT = "urn:contactpoint:demo:persona"
CLI_CLIENT_ID = "contactpoint-cli"
PAGES_CLIENT_ID = "contactpoint-pages"


@dataclass(frozen=True, slots=True)
class Client(ClientMixin):  # type: ignore[misc]
    """One registered client (RFC 6749 section 2)."""

    client_id: str
    grant_types: frozenset[str]
    auth_methods: frozenset[str]
    redirect_uris: tuple[str, ...]
    persona: Persona | None = field(repr=False)  # Authlib logs the client that it issues to
    secret: str | None = field(repr=False)
    public_key: ECKey | None = field(repr=False)

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        return self.redirect_uris[0] if len(self.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str:
        # the persona decides, once known
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return self.secret is not None and hmac.compare_digest(self.secret.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return endpoint == "token" and method in self.auth_methods

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and "authorization_code" in self.grant_types

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_types


def demo_clients(redirect_uris: tuple[str, ...], case_system_key: ECKey | None) -> dict[str, Client]:
    """Return the three clients: the command line, the browser pages, and Northshire's case system.

    Given its public key, the case system authenticates with that key and no longer with its secret.
    """
    how = "client_secret_basic" if case_system_key is None else "private_key_jwt"
    secret = CASE_SYSTEM_CLIENT_SECRET if case_system_key is None else None
    public = frozenset({"none"})
    clients = (
        Client(CLI_CLIENT_ID, frozenset({PERSONA_GRANT}), public, (), None, None, None),
        Client(PAGES_CLIENT_ID, frozenset({"authorization_code"}), public, redirect_uris, None, None, None),
        Client(
            CASE_SYSTEM_CLIENT_ID,
            frozenset({"client_credentials"}),
            frozenset({how}),
            (),
            PERSONAS["case-system"],
            secret,
            case_system_key,
        ),
    )
    return {client.client_id: client for client in clients}
