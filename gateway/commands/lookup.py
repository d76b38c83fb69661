"""`contactpoint lookup`: who else is working with this child, from the terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import click
from authlib.common.security import is_secure_transport
from rich.console import Console

from gateway.commands.connection import DEFAULT_URL, json_object, post
from gateway.commands.errors import CommandError, CommandRefused, OneLineCommand
from gateway.commands.rendering import plain, render_lookup
from gateway.commands.token import fetch_token, persona_named
from gateway.demo.personas import PERSONAS, Persona
from schema.identifiers import InvalidIdentifier, NHSNumber
from schema.vocabulary import Purpose

TOKEN_VARIABLE = "CONTACTPOINT_TOKEN"  # noqa: S105 - the name of a variable
_PIPED_COLUMNS = 100

# Codes for which the caller has something to mend; every other code is an answer, and the answer is no.
_MISTAKES = frozenset({"BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "LIMIT_EXCEEDED"})

LOOKUP_DOCUMENT = """\
query Lookup($key: ChildKey!, $access: AccessRequest!, $status: [InvolvementStatus!]!) {
  child(key: $key, access: $access) {
    outcome
    complete
    advice
    receipt
    sources { agency { id name kind } status reason asOf }
    involvements(status: $status) {
      id
      agency { name kind area }
      service { name }
      practitioner { name role registration { body number } }
      role
      team { name }
      contact { mode phone email outOfHours expectedResponse }
      status
      startedOn
      endedOn
      lead
      relationship
      lastConfirmedAt
    }
    leadPractitioner { practitioner { name } }
    identity { givenNames familyName dateOfBirth }
    childrensServices {
      statuses { agency { name } status since }
      plans { agency { name } kind startedOn }
    }
    police {
      events { agency { name } kind openedOn status }
      orders { agency { name } kind startedOn }
    }
    probation {
      supervision { agency { name } kind since }
      risk { agency { name } code description }
      mappa { agency { name } level category }
    }
    health {
      registration { agency { name } practice since }
      safeguarding { agency { name } code since }
    }
    assessments { agency { name } kind holder completedOn }
  }
}
"""


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """What the gateway sent back; `retry_after_seconds` where it said when to ask again."""

    status: int
    body: dict[str, Any]
    retry_after_seconds: int | None


def lookup_variables(
    nhs_number: NHSNumber,
    born: date,
    family_name: str,
    purpose: Purpose,
    reason: str,
    *,
    case_reference: str | None = None,
    previous: bool = False,
) -> dict[str, Any]:
    """Return the variables of LOOKUP_DOCUMENT: identifiers never stand in the document itself."""
    access: dict[str, Any] = {"purpose": purpose.value, "reason": reason}
    if case_reference is not None:
        access["caseReference"] = case_reference
    return {
        "key": {"nhsNumber": str(nhs_number), "dateOfBirth": born.isoformat(), "familyName": family_name},
        "access": access,
        "status": ["CURRENT", "PREVIOUS"] if previous else ["CURRENT"],
    }


def ask_gateway(url: str, token: str, variables: Mapping[str, Any]) -> GatewayAnswer:
    """Return the gateway's answer to one lookup, refusals included.

    Raises CommandError or CommandRefused if none came.
    """
    headers = {"Accept": "application/graphql-response+json", "Authorization": f"Bearer {token}"}
    request = {"query": LOOKUP_DOCUMENT, "operationName": "Lookup", "variables": dict(variables)}
    response = post(url, "/graphql", headers=headers, json=request)
    wait = response.headers.get("retry-after", "")
    return GatewayAnswer(response.status_code, json_object(response), int(wait) if wait.isdecimal() else None)


def console() -> Console:
    """Return a console on standard output: colours on a terminal only, and a fixed width when piped."""
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else _PIPED_COLUMNS
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def described(persona: Persona) -> str:
    """Return who asks, for people."""
    named = persona.on_behalf_of
    role = (named.role if named else persona.roles[0]).replace("_", " ")
    name = f"{persona.name} for {named.name}" if named else persona.name
    return f"{name}, {role}, {persona.organisation}"


@click.command(name="lookup", cls=OneLineCommand)
@click.argument("nhs", metavar="NHS")
@click.option("--born", required=True, metavar="YYYY-MM-DD", help="The child's date of birth.")
@click.option("--family", required=True, metavar="NAME", help="The child's family name, now or formerly.")
@click.option("--purpose", required=True, metavar="PURPOSE", help=f"One of {', '.join(Purpose)}.")
@click.option("--reason", required=True, metavar="TEXT", help="Why you ask, for the record.")
@click.option("--as", "persona", metavar="PERSONA", help=f"A demo persona: {', '.join(PERSONAS)}.")
@click.option("--url", default=DEFAULT_URL, show_default=True, help="Where the gateway listens.")
@click.option("--case-reference", metavar="X", help="Your own reference of the case, for the record.")
@click.option("--previous", is_flag=True, help="Ask for involvements that have ended, too.")
@click.option("--json", "as_json", is_flag=True, help="Print the body of the response as it is.")
def lookup(
    nhs: str,
    born: str,
    family: str,
    purpose: str,
    reason: str,
    persona: str | None,
    url: str,
    case_reference: str | None,
    previous: bool,
    as_json: bool,
) -> None:
    """Ask who else is working with a child, and how to reach them.

    The token comes from the demo identity provider (--as), or from the environment variable CONTACTPOINT_TOKEN.
    """
    variables = lookup_variables(
        _nhs_number(nhs),
        _date(born),
        family,
        _purpose(purpose),
        reason,
        case_reference=case_reference,
        previous=previous,
    )
    token, asker = _token(persona, url)
    answer = ask_gateway(url, token, variables)
    if as_json:
        click.echo(json.dumps(answer.body, indent=2, ensure_ascii=False))
    elif child_of(answer.body) is not None:
        console().print(render_lookup(answer.body, asker=asker))
    refuse(answer)


def child_of(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what was answered about the child, or None if the request was refused."""
    data = body.get("data")
    child = data.get("child") if isinstance(data, dict) else None
    return child if isinstance(child, dict) else None


def refuse(answer: GatewayAnswer) -> None:
    """Raise CommandError or CommandRefused, `CODE: sentence`, if the answer is an error; return None if it is not."""
    errors = answer.body.get("errors")
    error = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else None
    if error is None:
        if child_of(answer.body) is None:
            raise CommandRefused(f"what listens at --url answered {answer.status} without an answer about the child")
        return
    extensions = error.get("extensions")
    code = str(extensions.get("code", "ERROR")) if isinstance(extensions, dict) else "ERROR"
    sentence = plain(f"{code}: {error.get('message', 'the request was refused')}")
    if answer.retry_after_seconds is not None:
        sentence += f" (ask again in {answer.retry_after_seconds} s)"
    raise (CommandError if code in _MISTAKES else CommandRefused)(sentence)


def _token(persona: str | None, url: str) -> tuple[str, str | None]:
    if persona is not None:
        chosen = persona_named(persona)
        return fetch_token(url, chosen, None), described(chosen)
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise CommandError(f"say who asks: --as PERSONA, or an access token in {TOKEN_VARIABLE}")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise CommandError(f"{TOKEN_VARIABLE} holds no access token")
    if not is_secure_transport(url):
        # RFC 6750 section 5.3: whoever overhears a bearer token may use it
        raise CommandError(f"{TOKEN_VARIABLE} is sent over https only, or on this machine")
    return token, None


# The values are never said back: a terminal's log outlives the lookup.


def _nhs_number(text: str) -> NHSNumber:
    try:
        return NHSNumber(text)
    except InvalidIdentifier as error:
        raise CommandError(str(error)) from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError("--born is a date such as 2015-04-09") from None


def _purpose(text: str) -> Purpose:
    try:
        return Purpose(text)
    except ValueError:
        raise CommandError(f"--purpose is one of {', '.join(Purpose)}") from None
