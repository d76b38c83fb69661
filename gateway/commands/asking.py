"""One GraphQL request from a command to the gateway, as whom, and what to make of a refusal."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authlib.common.security import is_secure_transport

from gateway.commands.connection import json_object, post
from gateway.commands.errors import CommandError, CommandRefused
from gateway.commands.rendering import plain
from gateway.commands.token import fetch_token, persona_named
from gateway.demo.personas import Persona

TOKEN_VARIABLE = "CONTACTPOINT_TOKEN"  # noqa: S105 - the name of a variable

# Codes for which the caller has something to mend; every other code is an answer, and the answer is no.
_MISTAKES = frozenset({"BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "LIMIT_EXCEEDED"})
# the same for every refusal, and nothing of the request in it
_WHAT_IS_OPEN = " (see `contactpoint viewer --as PERSONA --purpose P` for what is open)"


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """What the gateway sent back; `retry_after_seconds` where it said when to ask again."""

    status: int
    body: dict[str, Any]
    retry_after_seconds: int | None


def ask(url: str, token: str, document: str, variables: Mapping[str, Any]) -> GatewayAnswer:
    """Return the gateway's answer to one operation, refusals included.

    Raises CommandError or CommandRefused if none came.
    """
    headers = {"Accept": "application/graphql-response+json", "Authorization": f"Bearer {token}"}
    response = post(url, "/graphql", headers=headers, json={"query": document, "variables": dict(variables)})
    wait = response.headers.get("retry-after", "")
    return GatewayAnswer(response.status_code, json_object(response), int(wait) if wait.isdecimal() else None)


def answered(answer: GatewayAnswer, name: str) -> dict[str, Any] | None:
    """Return the object that the field `name` of the operation gave, or None if it gave none."""
    data = answer.body.get("data")
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, dict) else None


def refuse(answer: GatewayAnswer, name: str, about: str) -> None:
    """Raise CommandError or CommandRefused, `CODE: sentence`, if the answer is an error; return None if it is not."""
    errors = answer.body.get("errors")
    error = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else None
    if error is None:
        if answered(answer, name) is None:
            raise CommandRefused(f"what listens at --url answered {answer.status} without an answer about {about}")
        return
    extensions = error.get("extensions")
    code = str(extensions.get("code", "ERROR")) if isinstance(extensions, dict) else "ERROR"
    sentence = plain(f"{code}: {error.get('message', 'the request was refused')}")
    if answer.retry_after_seconds is not None:
        sentence += f" (ask again in {answer.retry_after_seconds} s)"
    if code == "FORBIDDEN":
        sentence += _WHAT_IS_OPEN
    raise (CommandError if code in _MISTAKES else CommandRefused)(sentence)


def described(persona: Persona) -> str:
    """Return who asks, for people."""
    named = persona.on_behalf_of
    name = f"{persona.name} for {named.name}" if named else persona.name
    return f"{name}, {persona.works_as}, {persona.organisation}"


def token_of(persona: str | None, url: str) -> tuple[str, str | None]:
    """Return an access token and who asks: of the persona, or of the environment, where nobody is described.

    Raises CommandError or CommandRefused with one sentence.
    """
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
