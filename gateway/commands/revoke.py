"""`contactpoint revoke`: a token, or all tokens of a person or a client, refused before they end."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Final

import click
import sqlalchemy as sa

from gateway.audit.checkpointer import Checkpointer
from gateway.audit.errors import AuditError
from gateway.audit.keys import KeyFileRefused
from gateway.audit.log import AuditLog
from gateway.audit.recovery import keys_of_log, signer_of_log
from gateway.commands.errors import CommandError, OneLineCommand
from gateway.commands.log_reading import operator
from gateway.commands.settings_file import loaded
from gateway.migrate import migrate
from gateway.revocations import MOST_SECONDS, READ_SECONDS, Revocable, Revocation, moment
from gateway.revocations import revoke as put_on_the_list
from gateway.settings import Settings, audit_key_file
from gateway.storage.engine import open_engine
from gateway.storage.errors import StorageError

_LONGEST: Final = 255  # of a claim that is accepted in a token
_FROM_INPUT: Final = "-"


# an ID may begin with a hyphen, and what is no option must not be repeated in an error
@click.command(name="revoke", cls=OneLineCommand, context_settings={"ignore_unknown_options": True})
@click.argument("what", type=click.Choice([what.value for what in Revocable]))
@click.argument("named", metavar="ID", nargs=-1)
@click.option("--config", "file", metavar="FILE", type=click.Path(path_type=Path), help="TOML configuration.")
@click.option("--issuer", metavar="URL", help="Whose tokens; needed where several issuers are configured.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def revoke(what: str, named: tuple[str, ...], file: Path | None, issuer: str | None, as_json: bool) -> None:
    """Refuse a token (ID is its jti), or every token of a person (sub) or a client (client_id) issued up to now.

    Every gateway and every worker on the database follows within seconds. End the account or the session at the issuer
    first: a token that is issued half a minute later is accepted. ID may be -, to be read from standard input, for
    arguments are seen by others on this machine. What was done is put on the log, with a pseudonym in place of ID. The
    running server is not needed.

    \b
    Examples:
      contactpoint revoke person 7f3c-sub --config gateway.toml
      contactpoint revoke token - --config gateway.toml < jti.txt
    """
    if file is None:
        raise CommandError("give --config")
    settings = loaded(file)
    name, kind = _issuer(settings, issuer), Revocable(what)
    try:
        revoked = asyncio.run(_revoke(settings, kind, name, _identifier(named)))
    except (StorageError, AuditError, KeyFileRefused) as fault:
        raise CommandError(str(fault)) from None
    except sa.exc.SQLAlchemyError:
        raise CommandError("the list of revocations cannot be written") from None
    issued_until, kept_until = moment(revoked.issued_until), moment(revoked.kept_until)
    if as_json:
        told = {
            "revoked": kind.value,
            "issuedUntil": None if kind is Revocable.TOKEN else issued_until,
            "keptUntil": kept_until,
            "readEverySeconds": READ_SECONDS,
            "withinSeconds": MOST_SECONDS,
        }
        click.echo(json.dumps(told))
        return
    which = "this token is" if kind is Revocable.TOKEN else f"tokens of this {kind} issued until {issued_until} are"
    click.echo(f"{which} refused everywhere within {MOST_SECONDS:.0f} seconds")


def _issuer(settings: Settings, named: str | None) -> str:
    """Return the issuer meant: revoking for one that is not configured would refuse nobody. Raises CommandError."""
    configured = [issuer.issuer for issuer in settings.issuers]
    if named is None and len(configured) == 1:
        return configured[0]
    if named is None:
        raise CommandError(f"give --issuer: {len(configured)} issuers are configured")
    if named not in configured:
        raise CommandError("--issuer is none of the configured issuers")
    return named


def _identifier(named: tuple[str, ...]) -> str:
    """Return the ID given, or the one line of standard input. Raises CommandError, which does not repeat it."""
    if len(named) != 1:
        raise CommandError("give one ID, in quotation marks if it has spaces, and options as --help shows them")
    identifier = named[0]
    if identifier == _FROM_INPUT:
        try:
            identifier = sys.stdin.buffer.read(4096).decode()
        except UnicodeDecodeError:
            raise CommandError("standard input is not UTF-8 text") from None
        identifier = identifier.removesuffix("\n").removesuffix("\r")
    if not 0 < len(identifier) <= _LONGEST or not identifier.isprintable() or not identifier.strip():
        raise CommandError(f"an ID is one line of 1 to {_LONGEST} printable characters, as in the token")
    return identifier


async def _revoke(settings: Settings, what: Revocable, issuer: str, identifier: str) -> Revocation:
    engine = open_engine(settings.database.url, create=False)
    try:
        migrate(engine)
        keys = keys_of_log(engine, audit_key_file(settings))
        signer = signer_of_log(engine, keys, settings.audit.signing_key_file)
        audit = AuditLog.open(engine, keys, on_fatal=lambda: None, signer=signer)
        try:
            revoked = Revocation.of(keys, what, issuer, identifier, time.time())
            await put_on_the_list(audit, revoked, issuer, operator())
            return revoked
        finally:
            audit.close()
            # what this command recorded is not left for the next gateway to sign
            Checkpointer(engine, audit, keys.key_id, signer).close()
    finally:
        engine.dispose()
