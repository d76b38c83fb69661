"""`contactpoint audit index` and `contactpoint audit events`: the index of the log's events, and what stands in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from gateway.audit.events import EventKind, Reading
from gateway.audit.events_query import Event, Wanted, page
from gateway.audit.index_tables import Flag
from gateway.audit.reports.rendering import text
from gateway.audit.reports.report import Report, Table, moment
from gateway.auditing import ends_of
from gateway.commands.errors import CommandError, OneLineCommand
from gateway.commands.log_reading import config_option, data_option, opened_log, period_of, period_options
from gateway.commands.progress_bar import progress_bar
from schema.vocabulary import LookupOutcome, Purpose

_KINDS: Final = [kind.value for kind in EventKind if kind not in {EventKind.HEARTBEAT, EventKind.OUTCOME}]
_OUTCOMES: Final = [*(outcome.value for outcome in LookupOutcome), "FAILED", "DENIED", "UNKNOWN"]


@click.command("index", cls=OneLineCommand)
@config_option
@data_option
@click.option("--rebuild", is_flag=True, help="Write every row anew from the log.")
@click.option("--check", is_flag=True, help="Compare every row with the log; exit 4 if one differs.")
def index(file: Path | None, data: Path | None, rebuild: bool, check: bool) -> None:
    """Bring the index of events up with the log, make it anew, or compare it with the log.

    The index is no evidence: it is made from the log and can be thrown away. The gateway may run meanwhile.

    \b
    Examples:
      contactpoint audit index --config gateway.toml
      contactpoint audit index --config gateway.toml --rebuild
    """
    if rebuild and check:
        raise CommandError("give one of --rebuild and --check")
    with opened_log(file, data, shown=True) as opened:
        if check:
            with progress_bar("records", shown=True) as progress:
                found = opened.index.differences(progress)
            click.echo(f"{found} rows differ from the log" if found else "the index is what the log says")
            if found:
                raise SystemExit(4)
        elif rebuild:
            with progress_bar("records", shown=True) as progress:
                read = opened.index.rebuild(progress)
            click.echo(f"{read} records indexed anew")
        else:
            click.echo("the index is up with the log")


@click.command("events", cls=OneLineCommand)
@config_option
@data_option
@click.option("--organisation", metavar="ID", help="Of the one who asked.")
@click.option("--person", metavar="ID", help="Who asked: the pseudonym that reviews and events show.")
@click.option("--subject", metavar="ID", help="The child's pseudonym in the log; never a number.")
@click.option("--receipt", metavar="ID", help="Of one lookup.")
@click.option("--purpose", type=click.Choice([p.value for p in Purpose]), multiple=True, help="One of these.")
@click.option("--outcome", type=click.Choice(_OUTCOMES), multiple=True, help="One of these.")
@click.option("--kind", type=click.Choice(_KINDS), multiple=True, help="One of these.")
@click.option("--flag", type=click.Choice([f.name or "" for f in Flag]), multiple=True, help="All of these.")
@click.option("--unexplained", is_flag=True, help="Only what the detection found no reason for.")
@period_options
@click.option("--most", metavar="N", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="For machines: one event a line, with its payloads.")
def events(file: Path | None, data: Path | None, as_json: bool, most: int, **wanted: Any) -> None:
    """List the newest events of the log: who asked what, and what came of it.

    Children and people stand there as pseudonyms. That somebody read them is put on the log first.

    \b
    Examples:
      contactpoint audit events --config gateway.toml --flag OVERRIDE --since 2026-11-01
      contactpoint audit events --config gateway.toml --kind READ --json
    """
    chosen = _wanted(wanted)
    with opened_log(file, data, shown=not as_json) as opened:
        opened.require_known(wanted["organisation"])
        with opened.engine.connect() as connection:
            found, more = page(connection, chosen, None, most)
        payload = {"filter": chosen.filter() | {"first": most}, "count": len(found), **ends_of(found)}
        opened.record(Reading.EVENTS, "contactpoint audit events", payload)
        if as_json:
            for event in found:
                click.echo(json.dumps(_machine(event)))
        else:
            click.echo(text(_table(found, more)), nl=False)


def _wanted(given: Mapping[str, Any]) -> Wanted:
    since_ms, until_ms = period_of(given)
    flags = Flag(0)
    for name in given["flag"]:
        flags |= Flag[name]
    return Wanted(
        organisations=None if given["organisation"] is None else frozenset({given["organisation"]}),
        person=given["person"],
        subject=given["subject"],
        receipt=given["receipt"],
        purposes=frozenset(given["purpose"]) or None,
        outcomes=frozenset(given["outcome"]) or None,
        kinds=frozenset(given["kind"]) or None,
        flags=int(flags),
        unexplained=given["unexplained"],
        since_ms=since_ms,
        until_ms=until_ms,
    )


def _machine(event: Event) -> dict[str, Any]:
    """Return an event without the encrypted key of the child, which only whoever holds the audit key could read."""
    told = {name: value for name, value in event.row.items() if name != "flags"}
    told["flags"] = [flag.name for flag in event.flags]
    told["at"] = datetime.fromtimestamp(event.row["at_ms"] / 1000, UTC).isoformat(timespec="milliseconds")
    told["covered"] = event.covered
    for name, payload in (("record", event.first), ("outcomeRecord", event.closing)):
        told[name] = None if payload is None else {key: value for key, value in payload.items() if key != "key"}
    return told


def _table(found: list[Event], more: bool) -> Report:
    columns = ("When (UTC)", "Kind", "Organisation", "Who", "Purpose", "Outcome", "Told", "Flags", "Receipt")
    rows = [
        (
            moment(event.row["at_ms"]),
            event.row["kind"],
            event.row["organisation"],
            _who(event),
            event.row["purpose"],
            "UNKNOWN" if Flag.OPEN in event.flags else event.row["outcome"] or event.row["code"],
            event.row["entries"],
            ", ".join(flag.name or "" for flag in event.flags),
            event.row["receipt"],
        )
        for event in found
    ]
    facts = [("Shown", len(found)), ("More", "yes" if more else "no")]
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    return Report("events", "Events of the log", made_at, facts, (), [Table("The newest first", columns, rows)])


def _who(event: Event) -> str:
    caller: Mapping[str, Any] = (event.first or {}).get("caller") or {}
    return str(caller.get("name") or caller.get("subject") or caller.get("user") or event.row["person"] or "")
