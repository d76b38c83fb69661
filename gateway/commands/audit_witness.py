"""`contactpoint audit witness`: another organisation's process that cosigns the log's checkpoints."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.audit.notes import NoteRefused, parse_verifier_key
from gateway.audit.witnessing.keys import WitnessKeyRefused, WitnessKeys
from gateway.audit.witnessing.server import Witness, witness_application
from gateway.audit.witnessing.store import WitnessStore, WitnessStoreRefused
from gateway.commands.errors import CommandError, OneLineCommand
from gateway.commands.listening import listening_on, server_for


@click.command("witness", cls=OneLineCommand)
@click.option("--store", metavar="DIR", required=True, type=click.Path(path_type=Path), help="Its memory; made if new.")
@click.option("--key", "key_file", metavar="FILE", required=True, type=click.Path(path_type=Path), help="Made if new.")
@click.option("--name", metavar="NAME", help="Under which a new key cosigns, such as witness.example/audit.")
@click.option("--log", "logs", metavar="VKEY", multiple=True, required=True, help="A log's signer; may be repeated.")
@click.option(
    "--origin-prefix", "prefixes", metavar="TEXT", multiple=True, help="Of the logs' names; one for each --log."
)
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:8100", show_default=True)
def witness(
    store: Path, key_file: Path, name: str | None, logs: tuple[str, ...], prefixes: tuple[str, ...], listen: str
) -> None:
    """Run a witness: cosign each checkpoint of a log that continues what was cosigned before, and no other.

    It is meant for another organisation than the gateway's, with its own machine, key and store. Prints its verifier
    keys, of which the gateway's configuration needs one.

    \b
    Example:
      contactpoint audit witness --store ./witness --key witness.json --log "$VKEY" --listen 0.0.0.0:8100
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise CommandError("--listen is HOST:PORT")
    if prefixes and len(prefixes) != len(logs):
        raise CommandError("give one --origin-prefix for each --log, or none")
    try:
        keys = [parse_verifier_key(text.strip()) for text in logs]
    except NoteRefused as refused:
        raise CommandError(str(refused)) from None
    try:
        own = WitnessKeys.load_or_create(key_file, name)
        memory = WitnessStore(store)
    except (WitnessKeyRefused, WitnessStoreRefused) as refused:
        raise CommandError(str(refused)) from None
    known = tuple(zip(prefixes or [f"{key.name}/" for key in keys], keys, strict=True))
    host = host.strip("[]")
    sockets = listening_on(host, int(port))
    for each in own.cosigners:
        click.echo(str(each.key))
    for opened in sockets:
        click.echo(f"listening on {opened.getsockname()[0]} port {opened.getsockname()[1]}", err=True)
    server_for(witness_application(Witness(own, memory, known)), host, int(port)).run(sockets)
    memory.close()
