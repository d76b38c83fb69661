"""`contactpoint audit report`: reports over the log, as text, JSON or a page, each reading of it on record first."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from gateway.audit.events import Reading
from gateway.audit.reports import counting, integrity, ledger
from gateway.audit.reports.counting import Period
from gateway.audit.reports.rendering import FORMS
from gateway.audit.reports.report import Report
from gateway.audit.signing import LogSigner
from gateway.audit.verification.trust import Trust
from gateway.audit.verify import verify
from gateway.audit.witnessing.configured import configured_keys
from gateway.commands.audit_report_about_somebody import practitioner, subject
from gateway.commands.errors import OneLineCommand, OneLineGroup
from gateway.commands.log_reading import (
    OpenedLog,
    opened_log,
    period_of,
    period_options,
)
from gateway.commands.report_output import for_people, now, put, reading, report_options
from gateway.progress import Progress

_MOST_OPEN: Final = 100
_UNDER_WAY_MS: Final = 60_000  # a look-up that began within a minute may still be under way


@click.group(cls=OneLineGroup)
def report() -> None:
    """Reports over the log. Each is put on record before it is shown.

    \b
    Examples:
      contactpoint audit report rates --config gateway.toml --since 2026-11-01
      contactpoint audit report break-glass --config gateway.toml --format html --out ledger.html
      contactpoint audit report subject --config gateway.toml --for-approver \\
        --requested-by "A. Clerk" --approved-by "B. Officer" --authority SAR-2026-014
    """


report.add_command(subject)
report.add_command(practitioner)


def _counted(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--organisation", metavar="ID", help="Only of this organisation's people.")(command)
    return report_options(period_options(command))


@report.command("rates", cls=OneLineCommand)
@_counted
def rates(file: Path | None, data: Path | None, form: str, out: Path | None, **given: Any) -> None:
    """Count look-ups, refusals, overrides and misses of each organisation, role and purpose.

    \b
    Example:
      contactpoint audit report rates --config gateway.toml --since 2026-11-01 --format json
    """
    period = _period(given)
    with opened_log(file, data, shown=for_people(form)) as opened:
        opened.require_known(period.organisation)
        with reading(form), opened.engine.connect() as connection:
            found = {by: counting.rates(connection, period, by) for by in ("organisation", "role", "purpose")}
        count = sum(rate.lookups for rate in found["organisation"])
        _show(opened, Reading.RATES, counting.rates_report(found, period, now()), form, out, period, count)


@report.command("peers", cls=OneLineCommand)
@_counted
def peers(file: Path | None, data: Path | None, form: str, out: Path | None, **given: Any) -> None:
    """Set each person's look-ups beside those of the same role in the same organisation.

    \b
    Example:
      contactpoint audit report peers --config gateway.toml --organisation northshire-council --since 2026-11-01
    """
    period = _period(given)
    with opened_log(file, data, shown=for_people(form)) as opened:
        opened.require_known(period.organisation)
        with reading(form), opened.engine.connect() as connection:
            found = counting.people(connection, period)
        made = counting.peers_report(found, period, now())
        _show(opened, Reading.PEERS, made, form, out, period, len(found))


@report.command("break-glass", cls=OneLineCommand)
@_counted
def break_glass(file: Path | None, data: Path | None, form: str, out: Path | None, **given: Any) -> None:
    """List every override with the state of its review, what is overdue first.

    \b
    Example:
      contactpoint audit report break-glass --config gateway.toml --format html --out ledger.html
    """
    period = _period(given)
    with opened_log(file, data, shown=for_people(form)) as opened:
        opened.require_known(period.organisation)
        with reading(form), opened.engine.connect() as connection:
            found = ledger.overrides(connection, period)
        made = ledger.ledger_report(found, period, datetime.now(UTC), now())
        _show(opened, Reading.BREAK_GLASS, made, form, out, period, len(found))


@report.command("integrity", cls=OneLineCommand)
@report_options
def integrity_(file: Path | None, data: Path | None, form: str, out: Path | None) -> None:
    """Verify the log and say what is open in it, and how far checkpoints and witnesses are.

    \b
    Example:
      contactpoint audit report integrity --config gateway.toml --format json
    """
    with opened_log(file, data, catch_up=False) as opened:
        with reading(form) as progress:
            verified = verify(opened.engine, _trust(opened), progress=progress)
            differences = _differences(opened, progress)
        with opened.engine.connect() as connection:
            shards = integrity.shards(connection)
            before = int(time.time() * 1000) - _UNDER_WAY_MS
            opened_intents, count = integrity.open_intents(connection, before_ms=before, most=_MOST_OPEN)
            witnesses = integrity.witnesses(connection)
        verdict = integrity.Verdict(str(verified.status), list(verified.findings), differences, witnesses)
        made = integrity.integrity_report(verdict, shards, opened_intents, count, now())
        _show(opened, Reading.INTEGRITY, made, form, out, Period(None, None, None), sum(s.records for s in shards))


def _differences(opened: OpenedLog, progress: Progress) -> int | None:
    try:
        opened.bring_index_up(progress)
        return opened.index.differences(progress)
    except msgspec.MsgspecError:
        return None  # the verdict beside it says what cannot be read


def _trust(opened: OpenedLog) -> Trust:
    signer = LogSigner.of(opened.keys, opened.settings.audit.signing_key_file)
    section = opened.settings.audit
    witnesses = configured_keys(section)
    return Trust(
        log_keys=(signer.key,),
        cosigners=() if signer.cosigner is None else (signer.cosigner,),
        witnesses=witnesses,
        relied_on=witnesses,
        patience_ms=int(section.alarm_after_seconds * 1000),
    )


def _show(
    opened: OpenedLog, reading: Reading, made: Report, form: str, out: Path | None, period: Period, count: int
) -> None:
    printed = FORMS[form](made)
    said = {"since_ms": period.since_ms, "until_ms": period.until_ms, "organisation": period.organisation}
    payload = {
        "filter": {name: value for name, value in said.items() if value is not None},
        "count": count,
        "digest": hashlib.sha256(printed.encode()).hexdigest(),
    }
    opened.record(reading, f"contactpoint audit report {made.kind}", payload)
    put(printed, out)


def _period(given: Mapping[str, Any]) -> Period:
    return Period(*period_of(given), given["organisation"])
