"""Whom a verification trusts, and what others have kept of the log: none of it comes from the log itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.audit.checkpoints import Checkpoint, parse_checkpoint
from gateway.audit.notes import Note, VerifierKey, parse_note

PATIENCE_MS: Final = 300_000
"""After so long without a cosignature a gateway raises an alarm, unless its configuration says otherwise."""


@dataclass(frozen=True, slots=True)
class Held:
    """A signed checkpoint that somebody else has kept, and who: `what` is for findings."""

    what: str
    note: Note
    checkpoint: Checkpoint
    of_store: bool = False
    """Whether it is one of many that a witness keeps, who may be the witness of other logs too."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys to verify with, and the checkpoints that the log must still contain."""

    log_keys: tuple[VerifierKey, ...] = ()
    """Who signs checkpoints; without one, the log's own word is taken for it, which is a finding."""

    cosigners: tuple[VerifierKey, ...] = ()
    """The post-quantum keys beside them; those that the log names are known as well."""

    witnesses: tuple[VerifierKey, ...] = ()
    """The witnesses; those that the log names are known as well."""

    held: tuple[Held, ...] = ()

    relied_on: tuple[VerifierKey, ...] = ()
    """The witnesses of whom one must have seen every shard, but for the records of its last `patience_ms`."""

    patience_ms: int = PATIENCE_MS


def held(what: str, raw: bytes, *, of_store: bool = False) -> Held:
    """Return what somebody kept. Raises NoteRefused when it is no signed checkpoint."""
    note = parse_note(raw)
    return Held(what, note, parse_checkpoint(note.text), of_store)
