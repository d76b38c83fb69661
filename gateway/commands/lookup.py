"""`contactpoint lookup`: who else is working with this child, from the terminal."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from datetime import date
from typing import Any

import click
from rich.console import Console

from gateway.commands.asking import GatewayAnswer, answered, ask, refuse, token_of
from gateway.commands.connection import DEFAULT_URL
from gateway.commands.errors import CommandError, OneLineCommand
from gateway.commands.rendering import render_lookup
from gateway.demo.personas import PERSONAS
from schema.identifiers import InvalidIdentifier, NHSNumber
from schema.vocabulary import Purpose

_PIPED_COLUMNS = 100
_WRITTEN_AS_A_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

LOOKUP_DOCUMENT = """\
query Lookup($key: ChildKey!, $access: AccessRequest!, $status: [InvolvementStatus!]!) {
  child(key: $key, access: $access) {
    outcome
    complete
    advice
    receipt
    sources { agency { id name kind safeguardingLead { phone email outOfHours } } status reason asOf }
    involvements(status: $status) {
      id
      agency { name kind area safeguardingLead { phone email outOfHours } }
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
      staleAsOf
    }
    leadPractitioner { practitioner { name } staleAsOf }
    identity { givenNames familyName dateOfBirth }
    childrensServices {
      statuses { agency { name } status since until }
      plans { agency { name } kind startedOn endedOn reviewDueOn conferenceOn coreGroupOn }
    }
    police {
      events { agency { name } kind openedOn closedOn status }
      orders { agency { name } kind startedOn endedOn unit phone outOfHours }
      notifications { agency { name } kind recipient sentOn }
    }
    probation {
      supervision { agency { name } kind since until allocated establishment }
      risk { agency { name } code description startedOn reviewDueOn }
      riskToChildren { agency { name } level assessedOn }
      mappa { agency { name } level category startedOn reviewDueOn }
    }
    health {
      registration { agency { name } practice practiceName since }
      safeguarding { agency { name } code since until authority phone outOfHours }
    }
    assessments { agency { name } kind holder completedOn }
  }
}
"""


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
    return ask(url, token, LOOKUP_DOCUMENT, variables)


def console() -> Console:
    """Return a console on standard output: colours on a terminal only, and a fixed width when piped."""
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else _PIPED_COLUMNS
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


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

    \b
    Examples:
      contactpoint lookup 9990000018 --born 2022-03-17 --family Amis --purpose SAFEGUARD_S16LA \\
        --reason "Strategy discussion" --as social-worker
      CONTACTPOINT_TOKEN=... contactpoint lookup 9990000018 --born 2022-03-17 --family Amis \\
        --purpose CIN_S17 --reason "Referral" --url https://contactpoint.northshire.example --json

    \b
    Exit codes:
      0  an answer, whatever its outcome: NOTHING_DISCLOSABLE and INCOMPLETE are answers
      1  the gateway refused (FORBIDDEN, over budget, not signed in), or no answer came
      2  something to mend first: an option, the request, the address, nothing listens there
    """
    variables = lookup_variables(
        _nhs_number(nhs),
        _date(born),
        family,
        purpose_named(purpose),
        reason,
        case_reference=case_reference,
        previous=previous,
    )
    token, asker = token_of(persona, url)
    answer = ask_gateway(url, token, variables)
    if as_json:
        click.echo(json.dumps(answer.body, indent=2, ensure_ascii=False))
    elif answered(answer, "child") is not None:
        console().print(render_lookup(answer.body, asker=asker))
    refuse(answer, "child", "the child")


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
        if _WRITTEN_AS_A_DATE.fullmatch(text):
            raise CommandError("--born: there is no such day in the calendar") from None
        raise CommandError("--born is a date such as 2015-04-09") from None


def purpose_named(text: str) -> Purpose:
    """Return the purpose, in capitals or not. Raises CommandError, with the list, if there is none."""
    try:
        return Purpose(text.strip().upper())
    except ValueError:
        raise CommandError(f"--purpose is one of {', '.join(Purpose)}") from None
