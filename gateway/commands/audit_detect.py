"""`contactpoint audit detect`: looks for misuse, and puts what it finds into the queue of reviews."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from gateway.audit.checkpointer import Checkpointer
from gateway.audit.errors import AuditError
from gateway.audit.keys import KeyFileRefused
from gateway.audit.log import AuditLog
from gateway.audit.recovery import keys_of_log, signer_of_log
from gateway.audit.verification.trust import Trust
from gateway.audit.verify import NoLog, Status, verify
from gateway.commands.audit_verify import place
from gateway.commands.errors import CommandError, OneLineCommand
from gateway.commands.progress_bar import progress_bar
from gateway.commands.rendering import plain
from gateway.commands.settings_file import loaded
from gateway.detection.detector import Alert
from gateway.detection.feeds import FeedFault
from gateway.detection.lookups import LogFault, Place
from gateway.detection.settings import DetectionSection
from gateway.detection.watch import Ran, Watch
from gateway.migrate import migrate
from gateway.progress import Progress, untold
from gateway.settings import audit_key_file
from gateway.storage.engine import open_engine
from gateway.storage.errors import StorageError

_MOST_UNEXPLAINED = 50


@dataclass(frozen=True)
class _Source:
    """Whose log it is."""

    url: str
    key_file: Path
    signing_key_file: Path | None
    detection: DetectionSection


@click.command("detect", cls=OneLineCommand)
@click.option("--config", "file", metavar="FILE", type=click.Path(path_type=Path), help="TOML configuration.")
@click.option("--data", metavar="DIR", type=click.Path(path_type=Path), help="A demo's data folder instead.")
@click.option("--workforce", metavar="FILE", type=click.Path(path_type=Path), help="Workforce feed, CSV.")
@click.option("--canaries", metavar="FILE", type=click.Path(path_type=Path), help="Fictitious children, one a line.")
@click.option("--since", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), help="Look again at all from that day on.")
@click.option("--verify", "verifying", is_flag=True, help="Verify the log first; what is wrong with it is a finding.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def detect(
    file: Path | None,
    data: Path | None,
    workforce: Path | None,
    canaries: Path | None,
    since: datetime | None,
    verifying: bool,
    as_json: bool,
) -> None:
    """Read the log from where the last run stopped, and open a review for what rules find and nothing explains.

    The run is itself on the log. The running server is not needed. Exit 0 whatever is found, 2 for a mistake.

    \b
    Examples:
      contactpoint audit detect --config gateway.toml
      contactpoint audit detect --config gateway.toml --since 2026-03-01 --verify --json
      contactpoint audit detect --data ./demo-data --workforce workforce.csv
    """
    source = _source(file, data)
    given = {"workforce_file": workforce, "canaries_file": canaries}
    section = source.detection.model_copy(update={k: v for k, v in given.items() if v is not None})
    try:
        trust = _trust(file, data) if verifying else None
        with progress_bar("records", shown=not as_json) as progress:
            ran = asyncio.run(_run(source, section, since, trust, progress))
    except FeedFault as fault:
        raise CommandError("\n".join(fault.faults)) from None
    except NoLog:
        raise CommandError("there is no log there") from None
    except (StorageError, AuditError, KeyFileRefused) as fault:
        raise CommandError(str(fault)) from None
    except sa.exc.SQLAlchemyError:
        raise CommandError("the log cannot be read") from None
    click.echo(json.dumps(_formatted(ran)) if as_json else _text(ran))


def _trust(file: Path | None, data: Path | None) -> Trust:
    return place(file, data).trust()


def _source(file: Path | None, data: Path | None) -> _Source:
    if (file is None) == (data is None):
        raise CommandError("give one of --config and --data")
    if file is not None:
        settings = loaded(file)
        signing = settings.audit.signing_key_file
        return _Source(settings.database.url, audit_key_file(settings), signing, settings.detection)
    database = Path(f"{data}/contactpoint.db")
    return _Source(f"sqlite:///{database}", database.with_suffix(".audit-key.json"), None, DetectionSection())


async def _run(
    source: _Source, section: DetectionSection, since: datetime | None, trust: Trust | None, progress: Progress
) -> Ran:
    engine = open_engine(source.url, create=False)
    try:
        migrate(engine)
        keys = keys_of_log(engine, source.key_file)
        # before this process adds its own records
        faults = faults_of(engine, trust, progress) if trust is not None else []
        signer = signer_of_log(engine, keys, source.signing_key_file)
        log = AuditLog.open(engine, keys, on_fatal=lambda: None, signer=signer)
        try:
            started = None if since is None else since.replace(tzinfo=UTC)
            return await Watch(engine, keys, log, section).run(since=started, faults=faults, progress=progress)
        finally:
            log.close()
            # what this command recorded is not left for the next gateway to sign
            Checkpointer(engine, log, keys.key_id, signer).close()
    finally:
        engine.dispose()


def faults_of(engine: sa.Engine, trust: Trust | None = None, progress: Progress = untold) -> list[LogFault]:
    """Return what verification finds as one fault: the same findings, another day, are the same item."""
    found = verify(engine, trust, progress=progress)
    if found.status is Status.GOOD:
        return []
    known_by = sha256("\n".join(found.findings).encode()).hexdigest()[:24]
    what = f"Verification of the log says {found.status}: run `contactpoint audit verify`."
    return [LogFault(Place(f"verify-{known_by}", 0), 0, "VERIFY", what)]


def _formatted(ran: Ran) -> dict[str, Any]:
    return {
        "lookups": ran.looked_up,
        "explained": dict(ran.explained),
        "members": ran.members,
        "opened": [_alert(alert) for alert in ran.opened],
        "escalated": ran.escalated,
        "unexplained": [{"receipt": receipt, "score": score} for _, receipt, score in _most(ran)],
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "severity": alert.severity.value,
        "rules": list(alert.rules),
        "findings": list(alert.words),
        "score": alert.score,
        "explainedBy": alert.explained.value if alert.explained else None,
        "organisation": alert.organisation,
        "person": alert.person,
        "child": alert.subject,
        "receipt": alert.receipt,
        "relatedReceipts": list(alert.receipts),
    }


def _most(ran: Ran) -> Sequence[tuple[int, str, float]]:
    return sorted(ran.unexplained, key=lambda each: (-each[2], each[0]))[:_MOST_UNEXPLAINED]


def _text(ran: Ran) -> str:
    explained = sum(ran.explained.values())
    share = f"{explained / ran.looked_up:.1%}" if ran.looked_up else "none"
    lines = [f"{ran.looked_up} lookups, {share} explained; {len(ran.opened)} opened, {ran.escalated} escalated"]
    if not ran.members:
        lines.append("Without a workforce feed D1, D2, D7 and D12 see nothing, and fewer lookups are explained.")
    for alert in sorted(ran.opened, key=lambda each: (each.explained is not None, each.raised_ms)):
        lines.append(f"{alert.severity.value:<10}{' '.join(alert.rules):<12}{alert.organisation or 'the log'}")
        lines += [f"  {words}" for words in alert.words]
    if ran.opened:
        lines.append("See `contactpoint reviews`.")
    return "\n".join(plain(line) for line in lines)
