"""`contactpoint audit report subject` and `practitioner`: who looked at somebody, once another person approves."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from gateway.audit.events import Reading
from gateway.audit.reports import about_somebody, looks
from gateway.audit.reports.about_somebody import Copies, Judged, Order
from gateway.audit.reports.decisions import Decisions, DecisionsUnreadable
from gateway.audit.reports.decisions import read as read_decisions
from gateway.audit.reports.rendering import FORMS
from gateway.auditing import ends_of
from gateway.commands.errors import CommandError, OneLineCommand
from gateway.commands.leaving import approval
from gateway.commands.log_reading import (
    OpenedLog,
    opened_log,
    period_of,
    period_options,
)
from gateway.commands.report_output import for_people, now, put, reading, report_options
from schema.identifiers import NHSNumber

_LONGEST: Final = 200
_LIVE_DAYS: Final = 365


def _about_somebody(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--live-days",
            metavar="N",
            type=click.IntRange(1, 3650),
            default=_LIVE_DAYS,
            show_default=True,
            help="How long after its last look-up an enquiry counts as live.",
        ),
        click.option("--for-approver", is_flag=True, help="The copy that says what is kept out, and why."),
        click.option(
            "--decisions", "decided", metavar="FILE", type=click.Path(path_type=Path), help="What the approver decided."
        ),
        click.option("--authority", required=True, metavar="REF", help="Reference of the request."),
        click.option("--approved-by", required=True, metavar="NAME", help="Who approves it: another person."),
        click.option("--requested-by", required=True, metavar="NAME", help="The member of staff who asks for it."),
    ):
        command = option(command)
    return report_options(period_options(command))


@click.command("subject", cls=OneLineCommand)
@_about_somebody
@click.option(
    "--nhs-number-file", "number_file", metavar="FILE", type=click.Path(path_type=Path), help="Read the number there."
)
def subject(
    file: Path | None, data: Path | None, form: str, out: Path | None, number_file: Path | None, **given: Any
) -> None:
    """Say who looked at one child's record and why: the copy for the person concerned, or the approver's.

    The NHS number is asked for, or read from a file or standard input; it is never an argument. What could tip off a
    person who is a danger to the child is kept out unless the approver's decisions release it, and the copy that
    leaves says neither that nor how much.

    \b
    Example:
      contactpoint audit report subject --config gateway.toml --requested-by "A. Clerk" \\
        --approved-by "B. Officer" --authority SAR-2026-014 --nhs-number-file number.txt
    """
    order, decisions = _order(given), _decisions(given)
    number = _number(number_file)
    with opened_log(file, data, shown=for_people(form)) as opened:
        pseudonym = opened.keys.pseudonym(number)
        with reading(form), opened.engine.connect() as connection:
            found = looks.of_subject(connection, pseudonym, order.since_ms, order.until_ms)
            looks.check_complete(connection, pseudonym, found, lambda at_ms: _within(at_ms, order))
        judged = _judged(opened, found, decisions, given["live_days"], [pseudonym])
        copies = about_somebody.of_a_child(judged, order, now())
        _tell(
            opened, Reading.SUBJECT, copies, order, decisions, given["for_approver"], {"subject": pseudonym}, form, out
        )


@click.command("practitioner", cls=OneLineCommand)
@_about_somebody
@click.option(
    "--by",
    type=click.Choice(["registration", "name", "entry"]),
    default="registration",
    show_default=True,
    help="What is asked for: BODY:NUMBER, a full name, or the id of an entry.",
)
@click.option("--who-file", "who_file", metavar="FILE", type=click.Path(path_type=Path), help="Read it there.")
def practitioner(
    file: Path | None,
    data: Path | None,
    form: str,
    out: Path | None,
    by: str,
    who_file: Path | None,
    **given: Any,
) -> None:
    """Say who was told of one practitioner: the copy for that practitioner, or the approver's. No child is named.

    Who it is is asked for, or read from a file or standard input; it is never an argument.

    \b
    Example:
      contactpoint audit report practitioner --config gateway.toml --requested-by "A. Clerk" \\
        --approved-by "B. Officer" --authority SAR-2026-015 --for-approver
    """
    order, decisions = _order(given), _decisions(given)
    who = _asked_for("Practitioner", who_file)
    with opened_log(file, data, shown=for_people(form)) as opened:
        needle, matches = _sought(by, who)
        with reading(form), opened.engine.connect() as connection:
            found, fields = looks.of_practitioner(connection, needle, matches)
        found = [e for e in found if _within(e.row["at_ms"], order)]
        judged = _judged(opened, found, decisions, given["live_days"], [e.row["subject"] or "" for e in found])
        copies = about_somebody.of_a_practitioner(judged, fields, order, now())
        said = {"practitioner": opened.keys.opaque_id("practitioner", by, who)}
        _tell(opened, Reading.PRACTITIONER, copies, order, decisions, given["for_approver"], said, form, out)


def _judged(
    opened: OpenedLog, found: list[Any], decisions: Decisions, live_days: int, subjects: list[str]
) -> list[Judged]:
    agreements = opened.agreements()
    if unknown := decisions.receipts - {event.row["receipt"] for event in found}:
        raise CommandError(f"the decisions name {len(unknown)} receipts that are not in this report")
    now_ms = int(time.time() * 1000)
    # as a lookup does: who may be on a list that nobody has read is taken to be on it
    if unread := opened.shields_unread():
        names_of = ", ".join(sorted(unread))
        click.echo(f"the shields of {names_of} were never read: every child is taken to be shielded", err=True)
    with opened.engine.connect() as connection:
        around = looks.circumstances(
            connection, subjects, agreements, now_ms, live_days, presumed_shielded=bool(unread)
        )
    names = about_somebody.named_kinds(agreements, opened.kinds())
    return about_somebody.judge(found, agreements, around, decisions, names)


def _tell(
    opened: OpenedLog,
    reading: Reading,
    copies: Copies,
    order: Order,
    decisions: Decisions,
    for_approver: bool,
    said: Mapping[str, Any],
    form: str,
    out: Path | None,
) -> None:
    shown = copies.judged if for_approver else copies.told
    printed = FORMS[form](copies.approvers if for_approver else copies.leaving)
    payload = {
        "filter": {**said, "since_ms": order.since_ms, "until_ms": order.until_ms},
        "count": len(shown),
        **ends_of([judged.event for judged in shown]),
        "requestedBy": order.requested_by,
        "approvedBy": order.approved_by,
        "authority": order.authority,
        "copy": "APPROVER" if for_approver else "LEAVING",
        "withheld": copies.withheld(),
        "released": sorted(decisions.released),
        "digest": hashlib.sha256(printed.encode()).hexdigest(),
    }
    opened.record(reading, f"contactpoint audit report {reading.value.lower()}", payload)
    put(printed, out)


def _order(given: Mapping[str, Any]) -> Order:
    by = approval(given["requested_by"], given["approved_by"], given["authority"])
    return Order(by.requested_by, by.approved_by, by.authority, *period_of(given))


def _decisions(given: Mapping[str, Any]) -> Decisions:
    if given["decided"] is None:
        return Decisions()
    try:
        return read_decisions(given["decided"])
    except DecisionsUnreadable as fault:
        raise CommandError(str(fault)) from None


def _within(at_ms: int, order: Order) -> bool:
    after = order.since_ms is None or at_ms >= order.since_ms
    return after and (order.until_ms is None or at_ms < order.until_ms)


def _number(file: Path | None) -> NHSNumber:
    try:
        return NHSNumber(_asked_for("NHS number", file))
    except ValueError:
        raise CommandError("that is not an NHS number") from None


def _asked_for(what: str, file: Path | None) -> str:
    """Return a line from a file, from standard input, or from a terminal that does not show it."""
    if file is not None:
        try:
            found = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise CommandError(f"the file of the {what} cannot be read") from None
    elif sys.stdin.isatty():
        found = click.prompt(what, hide_input=True, err=True)
    else:
        found = sys.stdin.readline()
    if not 1 <= len(found.strip()) <= _LONGEST:
        raise CommandError(f"no {what} was given")
    return found.strip()


def _sought(by: str, who: str) -> tuple[bytes, Callable[[Mapping[str, Any]], bool]]:
    """Return what stands in the payload of whoever was told of the practitioner, and whether an entry is theirs."""
    written = json.dumps(who, ensure_ascii=False).encode()
    if by == "entry":
        return written, lambda entry: entry["entry"] == who
    return written, lambda entry: (entry["practitioner"] or {}).get(by) == who
