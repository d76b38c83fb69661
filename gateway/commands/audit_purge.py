"""`contactpoint audit purge`: take away what old records tell, once their retention has ended; the records stay."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
import sqlalchemy as sa

from gateway.audit.events import AdminAction, EventKind
from gateway.audit.pending import Receipt
from gateway.audit.retention import (
    KINDS,
    LEAST_DAYS,
    Range,
    RetentionClass,
    announce,
    delete,
    doomed,
    unfinished,
    wipe,
)
from gateway.audit.tables import audit_shard
from gateway.commands.errors import CommandError, OneLineCommand
from gateway.commands.log_reading import OpenedLog, config_option, data_option, moment_of, opened_log, operator
from gateway.commands.progress_bar import progress_bar
from gateway.progress import Progress, in_steps
from gateway.settings import Settings
from gateway.storage.engine import open_engine

_DAY_MS: Final = 86_400_000
_STILL_THERE: Final = (
    "the payloads are gone, but not yet from the write-ahead log: somebody reads the database without end. "
    "Run the command again when that has ended"
)


@click.command("purge", cls=OneLineCommand)
@config_option
@data_option
@click.option(
    "--before", metavar="DATE", help="Only what is older than this; left out: as [audit] *_retention_days say."
)
@click.option(
    "--what", multiple=True, type=click.Choice(list(RetentionClass)), help="Of which records; may be repeated."
)
@click.option("--shard", metavar="ID", help="Of this shard alone.")
@click.option("--authority", metavar="TEXT", help="The retention schedule or order, for the record. Required to purge.")
@click.option("--earlier-than-allowed", is_flag=True, help="Also what is younger than 30 days, or than the schedule.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def purge(
    file: Path | None,
    data: Path | None,
    before: str | None,
    what: tuple[str, ...],
    shard: str | None,
    authority: str | None,
    earlier_than_allowed: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take away what old records tell: who, whom, why and what. That something happened, when, and its proof, stays.

    \b
    A record says first what goes, by whose hand and on what authority. Kept in any case: lookups without an outcome,
    what a review still waits for, what [audit] legal_holds names, and what the log says of itself.
    The gateway may go on serving. A purge that is cut off is finished by the next.

    \b
    Examples:
      contactpoint audit purge --config gateway.toml --dry-run
      contactpoint audit purge --config gateway.toml --authority "Retention schedule 4.2, approved 2026-10-01"
      contactpoint audit purge --data ./demo-data --before 2026-01-01 --what refusals --authority "Board minute 12"
    """
    if not (dry_run or (authority and authority.strip())):
        raise CommandError("give --authority: the record of a purge says on whose authority it was made")
    with opened_log(file, data, catch_up=False) as opened:
        cutoffs = _cutoffs(opened.settings, before, what, allowed=earlier_than_allowed)
        shards = _shards(opened.engine, shard)
        purging = opened.engine
        if opened.settings.database.purge_url is not None:
            purging = open_engine(opened.settings.database.purge_url, create=False)
        try:
            wiped = True
            with progress_bar("records", shown=not as_json) as progress:
                finished = 0 if dry_run else _finish(purging, _unfinished(opened.engine), progress)
                ranges = _chosen(opened, shards, cutoffs, progress)
                if not dry_run:
                    asyncio.run(_purge(opened, purging, ranges, cutoffs, str(authority), progress))
                    opened.index.catch_up(seconds=60.0, progress=progress)
                    wiped = wipe(purging)
            if not wiped:
                click.echo(_STILL_THERE, err=True)
        finally:
            if purging is not opened.engine:
                purging.dispose()
    _tell(ranges, finished, dry_run=dry_run, as_json=as_json)


def _cutoffs(settings: Settings, before: str | None, what: Sequence[str], *, allowed: bool) -> dict[EventKind, int]:
    """Return by kind what is old enough, in milliseconds. Raises CommandError."""
    now = datetime.now(UTC)
    asked = moment_of(before)
    scheduled = {each: getattr(settings.audit, f"{each}_retention_days") for each in RetentionClass}
    found: dict[EventKind, int] = {}
    for each in [RetentionClass(name) for name in what] or list(RetentionClass):
        days = scheduled[each]
        if asked is None and days is None:
            continue
        latest = int((now - timedelta(days=max(LEAST_DAYS, days or 0))).timestamp() * 1000)
        cutoff = latest if asked is None else asked
        if cutoff > latest and not allowed:
            kept = f"audit.{each}_retention_days keeps them for {days} days" if days else f"{LEAST_DAYS} days are kept"
            raise CommandError(
                f"--before is too late for {each}: {kept}; --earlier-than-allowed takes them all the same"
            )
        found |= dict.fromkeys(KINDS[each], cutoff)
    if not found:
        raise CommandError("give --before, or set [audit] lookups_retention_days or another *_retention_days")
    return found


def _shards(engine: sa.Engine, shard: str | None) -> list[str]:
    with engine.connect() as connection:
        known = list(connection.scalars(sa.select(audit_shard.c.id).order_by(audit_shard.c.opened, audit_shard.c.id)))
    if shard is None:
        return known
    if shard not in known:
        raise CommandError("there is no shard of that name")
    return [shard]


def _unfinished(engine: sa.Engine) -> list[Range]:
    with engine.connect() as connection:
        return unfinished(connection)


def _finish(purging: sa.Engine, ranges: Sequence[Range], progress: Progress) -> int:
    told = in_steps(progress, sum(each.length for each in ranges))
    return sum(delete(purging, each, told) for each in ranges)


def _chosen(
    opened: OpenedLog, shards: Sequence[str], cutoffs: Mapping[EventKind, int], progress: Progress
) -> list[Range]:
    holds = opened.settings.audit.legal_holds
    with opened.engine.connect() as connection:
        try:
            return [each for name in shards for each in doomed(connection, name, cutoffs, holds, progress)]
        except ValueError:
            raise CommandError("a record cannot be read; run `contactpoint audit verify`") from None


async def _purge(
    opened: OpenedLog,
    purging: sa.Engine,
    ranges: Sequence[Range],
    cutoffs: Mapping[EventKind, int],
    authority: str,
    progress: Progress,
) -> None:
    told = in_steps(progress, sum(each.length for each in ranges))
    until = datetime.fromtimestamp(max(cutoffs.values()) / 1000, UTC).isoformat(timespec="seconds")
    for each in ranges:
        said = {
            "action": AdminAction.PAYLOAD_PURGED,
            "shard": each.shard,
            "first": each.first,
            "last": each.last,
            "count": sum(each.kinds.values()),
            "by": operator(),
            "authority": authority.strip()[:500],
            "before": until,
        }
        receipt: Receipt = await opened.log.append(EventKind.ADMIN, said)
        announce(purging, each, receipt.shard, receipt.seq)
        delete(purging, each, told)


def _tell(ranges: Sequence[Range], finished: int, *, dry_run: bool, as_json: bool) -> None:
    kinds: Counter[str] = Counter()
    for each in ranges:
        kinds.update(each.kinds)
    if as_json:
        told: dict[str, Any] = {
            "dryRun": dry_run,
            "payloads": kinds.total(),
            "kinds": dict(sorted(kinds.items())),
            "ranges": [{"shard": each.shard, "first": each.first, "last": each.last} for each in ranges],
            "finishedOfAnEarlierPurge": finished,
        }
        click.echo(json.dumps(told))
        return
    if finished:
        click.echo(f"finished an earlier purge: {finished} payloads")
    for kind, count in sorted(kinds.items()):
        click.echo(f"{kind:<10} {count:>10}")
    click.echo(f"{kinds.total()} payloads {'would go' if dry_run else 'are gone'}; their records and proofs stay")
