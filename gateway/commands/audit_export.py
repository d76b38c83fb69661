"""`contactpoint audit export`: the log in the formats of others, itself a reading on record."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TextIO

import click
import msgspec
import sqlalchemy as sa

from gateway.audit.events import Reading
from gateway.audit.export.ecs import ecs
from gateway.audit.export.entry import Entry, entries
from gateway.audit.export.fhir import fhir
from gateway.audit.export.jsonl import jsonl
from gateway.audit.export.ocsf import ocsf
from gateway.audit.export.tiles import NoCheckpoint, write_tiles
from gateway.audit.keys import AuditKeys, NotDecrypted
from gateway.audit.records import MASTER
from gateway.audit.tables import audit_shard
from gateway.commands.errors import CommandError, LogContradicted, OneLineCommand
from gateway.commands.leaving import approval, new_file
from gateway.commands.log_reading import OpenedLog, config_option, data_option, opened_log, period_of, period_options
from gateway.lookup_record import KEY

_FORMATS: Final[Mapping[str, Callable[[Entry], dict[str, Any]]]] = {
    "fhir": fhir,
    "ocsf": ocsf,
    "ecs": ecs,
    "jsonl": jsonl,
}
_PROGRESS: Final = 50_000


@click.command("export", cls=OneLineCommand)
@config_option
@data_option
@click.option("--format", "form", required=True, type=click.Choice([*_FORMATS, "tiles"]), help="See docs/exports.md.")
@period_options
@click.option("--shard", metavar="ID", help="Of this shard alone.")
@click.option(
    "--out",
    metavar="FILE|DIR",
    type=click.Path(path_type=Path),
    help="A new file, mode 0600, instead of standard output.",
)
@click.option("--identify", is_flag=True, help="Name children by their NHS numbers; needs the three that follow.")
@click.option("--requested-by", metavar="NAME", help="Who asks for the export.")
@click.option("--approved-by", metavar="NAME", help="Who approves it: another person.")
@click.option("--authority", metavar="REF", help="On what authority.")
def export(
    file: Path | None,
    data: Path | None,
    form: str,
    since: str | None,
    until: str | None,
    shard: str | None,
    out: Path | None,
    identify: bool,
    requested_by: str | None,
    approved_by: str | None,
    authority: str | None,
) -> None:
    """Write records in another format, one JSON document a line; or the tiles of each shard (--out DIR).

    \b
    The export is on record before anything leaves. Children stay pseudonyms unless somebody approves otherwise.
    Exit 4: a payload is not the one that was written, and was left out, or a record cannot be read.

    \b
    Examples:
      contactpoint audit export --format ecs --config gateway.toml --since 2026-11-01 --out november.jsonl
      contactpoint audit export --format tiles --data ./demo-data --out ./tiles
    """
    if identify:
        if not (requested_by and approved_by and authority):
            raise CommandError("--identify needs --requested-by, --approved-by and --authority")
        approval(requested_by, approved_by, authority)
    if form == "tiles" and (out is None or identify or since or until):
        raise CommandError("tiles are whole logs without names: give --out DIR, and no --identify, --since or --until")
    period = period_of({"since": since, "until": until})
    with opened_log(file, data, catch_up=False) as opened:
        shards = _shards(opened.engine, shard, tiles=form == "tiles")
        said = {
            "filter": {"format": form, "since": period[0], "until": period[1], "shard": shard, "identify": identify},
            "requestedBy": requested_by,
            "approvedBy": approved_by,
            "authority": authority,
        }
        opened.record(Reading.EXPORT, "contactpoint audit export", said)
        if form == "tiles" and out is not None:
            _write_tiles(opened.engine, shards, out)
        else:
            _write_lines(opened, form, shards, period, out, identify=identify)


def _shards(engine: sa.Engine, shard: str | None, *, tiles: bool) -> list[str]:
    query = sa.select(audit_shard.c.id).order_by(audit_shard.c.id)
    with engine.connect() as connection:
        known = list(connection.scalars(query))
    if shard is not None and shard not in known:
        raise CommandError("there is no shard of that name")
    # the master log is part of what others check, and of nobody's events
    return [shard] if shard is not None else [name for name in known if tiles or not name.startswith(MASTER)]


def _write_tiles(engine: sa.Engine, shards: list[str], folder: Path) -> None:
    try:
        with engine.connect() as connection:
            for shard in shards:
                try:
                    size = write_tiles(connection, shard, folder / shard)
                except NoCheckpoint:
                    click.echo(f"{shard}: no checkpoint, left out", err=True)
                else:
                    click.echo(f"{shard}: {size} records")
    except OSError as error:
        raise CommandError(f"{folder}: {error.strerror}") from None


def _write_lines(
    opened: OpenedLog,
    form: str,
    shards: list[str],
    period: tuple[int | None, int | None],
    out: Path | None,
    *,
    identify: bool,
) -> None:
    view, encode = _FORMATS[form], msgspec.json.Encoder(order="sorted" if form == "jsonl" else None).encode
    count = contradicted = 0
    with _output(out) as lines, opened.engine.connect() as connection:
        for shard in shards:
            for entry in entries(connection, shard, *period):
                named = identified(entry, opened.keys) if identify else entry
                lines.write(encode(view(named)).decode() + "\n")
                count += 1
                contradicted += entry.contradicted
                if count % _PROGRESS == 0 and sys.stderr.isatty():
                    click.echo(f"{count} records", err=True)
    click.echo(f"{count} records", err=True)
    if contradicted:
        raise LogContradicted(
            f"{contradicted} payloads are not what was written and were left out; run `contactpoint audit verify`"
        )


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    with new_file(out) as opened:
        yield opened


def identified(entry: Entry, keys: AuditKeys) -> Entry:
    """Return the record with the child in clear, if it is about one and was made under these keys."""
    key, receipt = entry.said.get("key"), entry.said.get("receipt")
    if not isinstance(key, str) or not isinstance(receipt, str):
        return entry
    try:
        number, born, family = keys.decrypt(key, about=KEY + receipt.encode()).split("\n")
    except (NotDecrypted, ValueError):
        return entry
    return replace(entry, identified={"nhsNumber": number, "dateOfBirth": born, "familyName": family})
