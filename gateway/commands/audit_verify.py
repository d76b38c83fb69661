"""`contactpoint audit verify`: whether what is stored is what was written, and what others can hold us to."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import click

from gateway.audit.keys import AuditKeys, KeyFileRefused
from gateway.audit.notes import NoteRefused, VerifierKey, parse_verifier_key
from gateway.audit.signing import LogSigner
from gateway.audit.verification.trust import PATIENCE_MS, Held, Trust, held
from gateway.audit.verify import NoLog, Status, Verification, verify
from gateway.audit.witnessing.configured import configured_keys
from gateway.audit.witnessing.store import WitnessStoreRefused, is_store, witnessed_notes
from gateway.commands.errors import CommandError, OneLineCommand
from gateway.commands.progress_bar import progress_bar
from gateway.commands.settings_file import loaded
from gateway.settings import audit_key_file
from gateway.storage.engine import open_engine
from gateway.storage.errors import DatabaseUnreadable, DurabilityNotMet, NoDatabase, StorageError

_EXIT = {Status.GOOD: 0, Status.TAMPERED: 4, Status.INCOMPLETE: 3}

_CONFIG = click.option("--config", "file", metavar="FILE", type=click.Path(path_type=Path), help="TOML configuration.")
_DATA = click.option("--data", metavar="DIR", type=click.Path(path_type=Path), help="A demo's data folder instead.")
_JSON = click.option("--json", "as_json", is_flag=True, help="For machines.")


@click.command("verify", cls=OneLineCommand)
@_CONFIG
@_DATA
@click.option("--log-key", "log_keys", metavar="VKEY", multiple=True, help="Who signs checkpoints; may be repeated.")
@click.option("--witness", "witnesses", metavar="VKEY", multiple=True, help="Who cosigns them: one of these must have.")
@click.option(
    "--checkpoint",
    "kept",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A signed checkpoint that somebody kept: the log must still contain it. May be repeated.",
)
@click.option(
    "--from-witness",
    "witnessed",
    metavar="FILE|DIR",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A witness's folder, its witness.db, or a note that it serves: the log must still contain it.",
)
@click.option("--processes", metavar="N", type=click.IntRange(1, 64), help="Instead of one for each processor.")
@_JSON
def verify_log(
    file: Path | None,
    data: Path | None,
    log_keys: tuple[str, ...],
    witnesses: tuple[str, ...],
    kept: tuple[Path, ...],
    witnessed: tuple[Path, ...],
    processes: int | None,
    as_json: bool,
) -> None:
    """Check every record, payload, tree node, checkpoint and cosignature of the log against each other.

    \b
    Exit 0: consistent (open INTENTs are reported). 4: tampered. 3: something needed cannot be read. 2: no log there.
    The running server is not needed. Whoever has the signing key can write another log that is consistent in itself:
    a checkpoint that somebody else has kept, or a witness's store, is what shows it.

    \b
    Examples:
      contactpoint audit verify --config gateway.toml
      contactpoint audit verify --data ./demo-data --json
      contactpoint audit verify --config gateway.toml --checkpoint yesterday.txt --log-key "$VKEY"
    """
    known = place(file, data)
    trust = known.trust(tuple(map(verifier_key, log_keys)), tuple(map(verifier_key, witnesses)))
    trust = replace(trust, held=(*map(_held, kept), *(each for place in witnessed for each in _witnessed(place))))
    try:
        with ExitStack() as opened:
            engine = open_engine(known.url, create=False)
            opened.callback(engine.dispose)
            progress = opened.enter_context(progress_bar("records", shown=not as_json))
            found = verify(engine, trust, processes=processes or os.cpu_count() or 1, progress=progress)
    except (NoDatabase, NoLog):
        raise CommandError("there is no log there") from None
    except (DatabaseUnreadable, DurabilityNotMet) as fault:
        # something is there: to an auditor that is another thing than nothing
        found = Verification(Status.INCOMPLETE, [str(fault)], records=0, open_intents=0, root="")
    except StorageError as fault:
        raise CommandError(str(fault)) from None
    _print(found, trust, as_json=as_json)
    raise SystemExit(_EXIT[found.status])


def _print(found: Verification, trust: Trust, *, as_json: bool) -> None:
    if as_json:
        report = {
            "status": found.status,
            "records": found.records,
            "openIntents": found.open_intents,
            "checkpoints": found.checkpoints,
            "cosignatures": found.cosignatures,
            "unsealed": found.unsealed,
            "purged": found.purged,
            "root": found.root,
            "signers": list(map(str, trust.log_keys)),
            "reliedOn": list(map(str, trust.relied_on)),
            "heldAgainst": len(trust.held),
            "findings": list(found.findings),
        }
        click.echo(json.dumps(report))
        return
    click.echo(f"{found.status}: {found.records} records, {found.open_intents} open INTENTs")
    click.echo(
        f"  {found.checkpoints} checkpoints, {found.cosignatures} cosignatures, "
        f"{found.unsealed} records not yet under a checkpoint"
    )
    for key in trust.log_keys:
        click.echo(f"  signed by {key}")
    if found.status is Status.GOOD and trust.relied_on:
        click.echo(f"  cosigned by {' or '.join(key.name for key in trust.relied_on)}")
    if found.status is Status.GOOD and not (trust.relied_on or trust.held):
        click.echo("  Nothing from outside bears it out: whoever has the signing key could have written all of it.")
    if found.purged:
        click.echo(f"  {found.purged} payloads are gone: that they were there is verified, and not what they said")
    for finding in found.findings:
        click.echo(f"  {finding}")
    if found.open_intents:
        click.echo("  An open INTENT is a lookup of unknown outcome: treat it as disclosed.")


@dataclass(frozen=True, slots=True)
class KnownLog:
    """Where a log is, and whom a configuration or a demo's folder says that its checkpoints are signed by."""

    url: str
    signers: tuple[VerifierKey, ...]
    """The signer, and the cosigner of the same owner; none where the key file is not there."""
    witnesses: tuple[VerifierKey, ...] = ()
    patience_ms: int = PATIENCE_MS

    def trust(self, log_keys: tuple[VerifierKey, ...] = (), witnesses: tuple[VerifierKey, ...] = ()) -> Trust:
        """Return whom to trust: the caller's own keys, else those of the configuration."""
        relied_on = witnesses or self.witnesses
        return Trust(
            log_keys=log_keys or self.signers[:1],
            cosigners=self.signers[1:],
            witnesses=relied_on,
            relied_on=relied_on,
            patience_ms=self.patience_ms,
        )


def place(file: Path | None, data: Path | None) -> KnownLog:
    """Return what is known of a log from outside it. Raises CommandError unless one of the two is given."""
    if (file is None) == (data is None):
        raise CommandError("give one of --config and --data")
    if file is not None:
        settings = loaded(file)
        section = settings.audit
        return KnownLog(
            settings.database.url,
            signer_keys(section.signing_key_file or audit_key_file(settings)),
            configured_keys(section),
            int(section.alarm_after_seconds * 1000),
        )
    return KnownLog(f"sqlite:///{data}/contactpoint.db", signer_keys(Path(f"{data}/contactpoint.audit-key.json")))


def signer_keys(file: Path) -> tuple[VerifierKey, ...]:
    """Return the verifier keys of whoever signs with a key file; none if the file is not there or cannot be used."""
    if not file.exists():
        return ()
    try:
        signer = LogSigner.of(AuditKeys.load_or_create(file, create=False))
    except KeyFileRefused:
        return ()
    return (signer.key,) if signer.cosigner is None else (signer.key, signer.cosigner)


def verifier_key(text: str) -> VerifierKey:
    """Return the key of a vkey. Raises CommandError."""
    try:
        return parse_verifier_key(text.strip())
    except NoteRefused as refused:
        raise CommandError(str(refused)) from None


def _held(file: Path) -> Held:
    try:
        return held(f"the checkpoint in {file.name}", file.read_bytes())
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
    except NoteRefused as refused:
        raise CommandError(f"{file}: this is no signed checkpoint: {refused}") from None


def _witnessed(place: Path) -> list[Held]:
    try:
        what, several = f"what the witness of {place.name} has seen", is_store(place)
        return [held(what, note, of_store=several) for note in witnessed_notes(place)]
    except WitnessStoreRefused as refused:
        raise CommandError(str(refused)) from None
    except NoteRefused as refused:
        raise CommandError(f"{place}: this is no signed checkpoint: {refused}") from None
