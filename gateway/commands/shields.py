"""`contactpoint shields load`: a source's list of shielded children, put into the register by somebody's decision."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path

import click

from gateway.audit.checkpointer import Checkpointer
from gateway.audit.errors import AuditError
from gateway.audit.keys import KeyFileRefused
from gateway.audit.log import AuditLog
from gateway.audit.recovery import keys_of_log, signer_of_log
from gateway.commands.errors import CommandError, OneLineCommand, OneLineGroup
from gateway.commands.settings_file import loaded
from gateway.migrate import migrate
from gateway.settings import Settings, audit_key_file
from gateway.shields import DatabaseShields
from gateway.storage.engine import open_engine
from gateway.storage.errors import StorageError
from schema.identifiers import InvalidIdentifier, NHSNumber

_HEADER = ["source", "nhsNumber"]


@click.group(cls=OneLineGroup)
def shields() -> None:
    """The shield register.

    \b
    Example:
      contactpoint shields load shields.csv --config gateway.toml
    """


@shields.command("load", cls=OneLineCommand)
@click.argument("listed", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--config", "file", required=True, metavar="FILE", type=click.Path(path_type=Path))
def load(listed: Path, file: Path) -> None:
    """Replace the shields of every source that FILE names by its rows.

    FILE is CSV with the header source,nhsNumber: one row for each source and child. A source that FILE does not name
    keeps its shields. One ADMIN record for each source says how many there are now.

    \b
    Example:
      contactpoint shields load shields.csv --config gateway.toml
    """
    settings = loaded(file)
    by_source = read(listed, {str(entry.get("id")) for entry in settings.connectors})
    try:
        counts = asyncio.run(_load(settings, by_source))
    except (StorageError, AuditError, KeyFileRefused) as fault:
        raise CommandError(str(fault)) from None
    for source, count in counts.items():
        click.echo(f"{source}: {count} shielded")


def read(listed: Path, sources: set[str]) -> dict[str, set[NHSNumber]]:
    """Return the rows by source. Raises CommandError naming the line, never what stands on it; loads all or nothing."""
    found: dict[str, set[NHSNumber]] = {}
    try:
        with listed.open(newline="", encoding="utf-8") as opened:
            rows = list(csv.reader(opened))
    except FileNotFoundError:
        raise CommandError(f"{listed}: no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error):
        raise CommandError(f"{listed}: cannot be read as CSV in UTF-8") from None
    if not rows or rows[0] != _HEADER:
        raise CommandError(f"{listed}:1: the header is {','.join(_HEADER)}")
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(_HEADER) or row[0] not in sources:
            raise CommandError(f"{listed}:{line}: a configured connector's id and an NHS number are needed")
        try:
            found.setdefault(row[0], set()).add(NHSNumber(row[1]))
        except InvalidIdentifier as fault:
            raise CommandError(f"{listed}:{line}: {fault}") from None
    return found


async def _load(settings: Settings, by_source: dict[str, set[NHSNumber]]) -> dict[str, int]:
    engine = open_engine(settings.database.url)
    migrate(engine)
    keys = keys_of_log(engine, audit_key_file(settings))
    signer = signer_of_log(engine, keys, settings.audit.signing_key_file)
    log = AuditLog.open(engine, keys, on_fatal=lambda: None, signer=signer)
    try:
        register = DatabaseShields(engine, keys)
        return {
            source: await register.load(log, source, children, replace=True) for source, children in by_source.items()
        }
    finally:
        log.close()
        # what this command recorded is not left for the next gateway to sign
        Checkpointer(engine, log, keys.key_id, signer).close()
        engine.dispose()
