"""`contactpoint audit verify`: whether what is stored is what was written."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gateway.audit.verify import NoLog, Status, Verification, verify
from gateway.commands.errors import CommandError, OneLineCommand, OneLineGroup
from gateway.commands.serve import loaded
from gateway.storage.engine import open_engine
from gateway.storage.errors import DatabaseUnreadable, DurabilityNotMet, NoDatabase, StorageError

_EXIT = {Status.GOOD: 0, Status.TAMPERED: 4, Status.INCOMPLETE: 3}


@click.group(cls=OneLineGroup)
def audit() -> None:
    """The audit log."""


@audit.command("verify", cls=OneLineCommand)
@click.option("--config", "file", metavar="FILE", type=click.Path(path_type=Path), help="TOML configuration.")
@click.option("--data", metavar="DIR", type=click.Path(path_type=Path), help="A demo's data folder instead.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def verify_log(file: Path | None, data: Path | None, as_json: bool) -> None:
    """Check every record, payload and tree node of the log against each other.

    \b
    Exit 0: consistent (open INTENTs are reported). 4: tampered. 3: something needed cannot be read. 2: no log there.
    The running server is not needed. What this version cannot see: an end that was cut off cleanly.

    \b
    Examples:
      contactpoint audit verify --config gateway.toml
      contactpoint audit verify --data ./demo-data --json
    """
    if (file is None) == (data is None):
        raise CommandError("give one of --config and --data")
    url = loaded(file).database.url if file is not None else f"sqlite:///{data}/contactpoint.db"
    try:
        found = verify(open_engine(url, create=False))
    except (NoDatabase, NoLog):
        raise CommandError("there is no log there") from None
    except (DatabaseUnreadable, DurabilityNotMet) as fault:
        # something is there: to an auditor that is another thing than nothing
        found = Verification(Status.INCOMPLETE, [str(fault)], records=0, open_intents=0, root="")
    except StorageError as fault:
        raise CommandError(str(fault)) from None
    if as_json:
        report = {
            "status": found.status,
            "records": found.records,
            "openIntents": found.open_intents,
            "root": found.root,
            "findings": list(found.findings),
        }
        click.echo(json.dumps(report))
    else:
        click.echo(f"{found.status}: {found.records} records, {found.open_intents} open INTENTs")
        for finding in found.findings:
            click.echo(f"  {finding}")
        if found.open_intents:
            click.echo("  An open INTENT is a lookup of unknown outcome: treat it as disclosed.")
    raise SystemExit(_EXIT[found.status])
