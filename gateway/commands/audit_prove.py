"""`contactpoint audit prove` and `check`: what a receipt stands for, shown to somebody who does not trust us."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from gateway.audit.checkpointer import Checkpointer
from gateway.audit.errors import AuditDamaged
from gateway.audit.events import EventKind, Reading
from gateway.audit.notes import NoteRefused, parse_verifier_key
from gateway.audit.proofs import Bundle, BundleRefused, NotProven, Shown, check_bundle, parse_bundle
from gateway.audit.receipts import NotYetSealed, UnknownReceipt, bundle_of
from gateway.audit.signing import LogSigner
from gateway.commands.errors import CommandError, OneLineCommand
from gateway.commands.log_reading import OpenedLog, config_option, data_option, opened_log

_PATIENCE_SECONDS = 3.0
_PAUSE_SECONDS = 0.25


@click.command("prove", cls=OneLineCommand)
@click.argument("receipt", metavar="RECEIPT")
@config_option
@data_option
def prove(receipt: str, file: Path | None, data: Path | None) -> None:
    """Print the proof that the lookup of a receipt is on the log: JSON that needs nothing of ours to be checked.

    For its INTENT and OUTCOME: the leaf, its payload with its salt, the proof of inclusion in a signed checkpoint (C2SP
    tlog-proof) and the cosignatures of witnesses. Whoever has it may read the payload: hand it to nobody else. That it
    was made is itself on the log. Exit 2: no such receipt. 3: the lookup is not under a checkpoint yet; a running
    gateway makes one each second.

    \b
    Example:
      contactpoint audit prove Zm9vYmFyYmF6cXV1eA --config gateway.toml > bundle.json
    """
    with opened_log(file, data) as opened:
        try:
            bundle = _bundle(opened, receipt)
        except UnknownReceipt:
            raise CommandError("there is no such receipt") from None
        except NotYetSealed:
            click.echo("contactpoint: the lookup is not under a checkpoint yet; try again", err=True)
            raise SystemExit(3) from None
        except AuditDamaged as damage:
            click.echo(f"contactpoint: {damage}; run `contactpoint audit verify`", err=True)
            raise SystemExit(4) from None
        asked = {"filter": {"receipt": receipt}, "count": len(bundle.records)}
        opened.record(Reading.PROOF, "contactpoint audit prove", asked)
        click.echo(json.dumps(msgspec.to_builtins(bundle), indent=1, ensure_ascii=False))


def _bundle(opened: OpenedLog, receipt: str) -> Bundle:
    """Return the bundle; wait for the next checkpoint, or make it where the shard is this command's own."""
    give_up = time.monotonic() + _PATIENCE_SECONDS
    signer = LogSigner.of(opened.keys, opened.settings.audit.signing_key_file)
    Checkpointer(opened.engine, opened.log, opened.keys.key_id, signer).checkpoint()
    while True:
        try:
            with opened.engine.connect() as connection:
                return bundle_of(connection, receipt)
        except NotYetSealed:
            if time.monotonic() >= give_up:
                raise
        time.sleep(_PAUSE_SECONDS)


@click.command("check", cls=OneLineCommand)
@click.argument("file", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option("--log-key", "log_keys", metavar="VKEY", multiple=True, required=True, help="Who signs the log.")
@click.option("--witness", "witnesses", metavar="VKEY", multiple=True, help="Who must have cosigned; one of them does.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def check(file: Path, log_keys: tuple[str, ...], witnesses: tuple[str, ...], as_json: bool) -> None:
    """Check a bundle from `audit prove`, without a database and without a secret.

    Exit 0: every record is in the log that the key signs. 4: something does not fit. 2: this is no bundle.

    \b
    Example:
      contactpoint audit check bundle.json --log-key "$VKEY" --witness "$WITNESS"
    """
    try:
        keys = [parse_verifier_key(text.strip()) for text in log_keys]
        cosigners = [parse_verifier_key(text.strip()) for text in witnesses]
        bundle = parse_bundle(file.read_bytes())
        shown = check_bundle(bundle, keys, cosigners)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
    except (NoteRefused, BundleRefused) as refused:
        raise CommandError(str(refused)) from None
    except NotProven as fault:
        click.echo(f"NOT PROVEN: {fault}")
        raise SystemExit(4) from None
    if as_json:
        click.echo(json.dumps({"receipt": bundle.receipt, "records": [_machine(each) for each in shown]}))
        return
    click.echo(f"PROVEN: {len(shown)} records of receipt {bundle.receipt}")
    for each in shown:
        click.echo(f"  {each.kind:<9}{_moment(each.time_ms)}, record {each.seq} of {each.checkpoint.origin}")
        for name, at in each.cosigned:
            click.echo(f"           seen by {name} at {_moment(at * 1000)}")
        if each.payload is None:
            click.echo(
                "           its payload is not there (a purge is on the log): that it was written is shown, no more"
            )
    if EventKind.INTENT in {each.kind for each in shown} and EventKind.OUTCOME not in {each.kind for each in shown}:
        click.echo("  No OUTCOME: a lookup of unknown outcome; treat it as disclosed.")


def _machine(shown: Shown) -> dict[str, object]:
    return {
        "kind": shown.kind,
        "seq": shown.seq,
        "at": _moment(shown.time_ms),
        "origin": shown.checkpoint.origin,
        "size": shown.checkpoint.size,
        "payload": shown.payload,
        "cosigned": [{"witness": name, "at": _moment(at * 1000)} for name, at in shown.cosigned],
    }


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
