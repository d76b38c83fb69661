"""`contactpoint viewer`: what is open to whoever asks, before any child is looked up."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from gateway.commands.asking import answered, ask, refuse, token_of
from gateway.commands.connection import DEFAULT_URL
from gateway.commands.errors import OneLineCommand
from gateway.commands.lookup import purpose_named
from gateway.commands.rendering import plain
from gateway.demo.personas import PERSONAS
from schema.vocabulary import Purpose

_WHO = "subject organisation onBehalfOf roles scopes"
_FIELDS = "agency { name } field open relationship code requiredScopes"
_ALIASES = 10  # what one document may hold

_DEFAULT_ANSWER = "involvements"


def viewer_documents(purpose: Purpose | None) -> Iterator[str]:
    """Yield the documents to send: one for a purpose; for all purposes several, each an alias."""
    if purpose is not None:
        yield f"query Viewer {{ viewer {{ {_WHO} access(purpose: {purpose.value}) {{ {_FIELDS} }} }} }}"
        return
    purposes = [p.value for p in Purpose]
    for start in range(0, len(purposes), _ALIASES):
        asked = " ".join(f"{p}: access(purpose: {p}) {{ field open }}" for p in purposes[start : start + _ALIASES])
        yield f"query Viewer {{ viewer {{ {_WHO} {asked} }} }}"


@click.command(name="viewer", cls=OneLineCommand)
@click.option("--as", "persona", metavar="PERSONA", help=f"A demo persona: {', '.join(PERSONAS)}.")
@click.option("--purpose", metavar="PURPOSE", help=f"One of {', '.join(Purpose)}. Default: each, in one line.")
@click.option("--url", default=DEFAULT_URL, show_default=True, help="Where the gateway listens.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def viewer(persona: str | None, purpose: str | None, url: str, as_json: bool) -> None:
    """Say what is open to you at each agency, whatever the child.

    The token comes from the demo identity provider (--as), or from the environment variable CONTACTPOINT_TOKEN.

    \b
    Examples:
      contactpoint viewer --as health-visitor
      contactpoint viewer --as health-visitor --purpose CP_S47
    """
    chosen = None if purpose is None else purpose_named(purpose)
    token, _ = token_of(persona, url)
    found: dict[str, Any] = {}
    for document in viewer_documents(chosen):
        answer = ask(url, token, document, {})
        refuse(answer, "viewer", "who asks")
        found |= answered(answer, "viewer") or {}
    if as_json:
        click.echo(json.dumps({"data": {"viewer": found}}, indent=2, ensure_ascii=False))
        return
    for line in _caller(found):
        click.echo(line)
    rows = _purposes(found) if chosen is None else _fields(found)
    for line in _aligned(rows):
        click.echo(line)


def _caller(found: Mapping[str, Any]) -> Iterator[str]:
    # not the subject: a terminal's log outlives the question
    for label, text in (
        ("Organisation", found.get("organisation") or "not stated"),
        ("Roles", " ".join(found.get("roles") or ()) or "no role"),
        ("Scopes", " ".join(found.get("scopes") or ()) or "no scope"),
    ):
        yield from textwrap.wrap(plain(text), 100, initial_indent=f"{label:<14}", subsequent_indent=" " * 14)
    yield ""


def _entries(found: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    return [entry for entry in found.get(name) or () if isinstance(entry, Mapping)]


def _purposes(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    yield "purpose", "who is involved"
    for purpose in Purpose:
        entries = [e for e in _entries(found, purpose.value) if e.get("field") == _DEFAULT_ANSWER]
        count = sum(e.get("open") is True for e in entries)
        yield purpose.value, f"open at {count} of {len(entries)} agencies" if count else "closed"


def _fields(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    yield "agency", "field", "open", "from relationship", "why not", "scopes"
    for entry in _entries(found, "access"):
        yield (
            str((entry.get("agency") or {}).get("name", "")),
            str(entry.get("field", "")),
            "open" if entry.get("open") is True else "closed",
            str(entry.get("relationship") or ""),
            str(entry.get("code") or ""),
            " ".join(map(str, entry.get("requiredScopes") or ())),
        )


def _aligned(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
