"""`contactpoint token`: an access token of the demo identity provider."""

from __future__ import annotations

import click

from gateway.commands.connection import DEFAULT_URL, json_object, post
from gateway.commands.errors import CommandError, CommandRefused, OneLineCommand
from gateway.demo.clients import CLI_CLIENT_ID, PERSONA_GRANT
from gateway.demo.personas import CASE_SYSTEM_CLIENT_SECRET, PERSONAS, Persona

_ADVICE = {
    "invalid_scope": "the scope is unknown, or more than the role of this persona may hold",
    "invalid_client": "the identity provider does not know this client: is it this demo's?",
    "unsupported_grant_type": "this identity provider has no demo personas",
}


def persona_named(name: str) -> Persona:
    """Return the persona. Raises CommandError, with the names that there are, if there is none."""
    persona = PERSONAS.get(name)
    if persona is None:
        raise CommandError(f"no such persona; there are: {', '.join(PERSONAS)}")
    return persona


def fetch_token(url: str, persona: Persona, scope: str | None) -> str:
    """Return an access token for the persona from the demo identity provider under `url`.

    A machine persona authenticates as its client (RFC 6749 section 4.4); people use the demo's own grant.
    Raises CommandError or CommandRefused with one sentence.
    """
    form = {"scope": scope} if scope else {}
    if persona.client_id is None:
        form |= {"grant_type": PERSONA_GRANT, "persona": persona.key, "client_id": CLI_CLIENT_ID}
        response = post(url, "/idp/token", headers={}, data=form)
    else:
        form |= {"grant_type": "client_credentials"}
        credentials = (persona.client_id, CASE_SYSTEM_CLIENT_SECRET)
        response = post(url, "/idp/token", headers={}, data=form, auth=credentials)
    if response.status_code == 404:
        raise CommandError("there is no demo identity provider at --url")
    body = json_object(response)
    token = body.get("access_token")
    if response.status_code == 200 and isinstance(token, str):
        return token
    if response.status_code >= 500:
        raise CommandRefused(f"the identity provider failed with status {response.status_code}")
    raise CommandError(_ADVICE.get(str(body.get("error")), "the identity provider refused the request"))


@click.command(name="token", cls=OneLineCommand)
@click.option("--as", "persona", required=True, metavar="PERSONA", help="Who asks: " + ", ".join(PERSONAS) + ".")
@click.option("--scope", metavar='"A B"', help="Ask for less than everything that the persona's role may hold.")
@click.option("--url", default=DEFAULT_URL, show_default=True, help="Where `contactpoint demo` listens.")
def token(persona: str, scope: str | None, url: str) -> None:
    """Print an access token from the demo identity provider, and nothing else.

    \b
    Examples:
      contactpoint token --as social-worker
      contactpoint token --as integrator --url http://127.0.0.1:8080
      contactpoint token --as police-officer --scope "involvement:read"
    """
    click.echo(fetch_token(url, persona_named(persona), scope))
