"""Whom a verification trusts, and what others have kept of the log: none of it comes from the log itself."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.audit.checkpoints import Checkpoint, parse_checkpoint
from gateway.audit.notes import Note, VerifierKey, parse_note


@dataclass(frozen=True, slots=True)
class Held:
    """A signed checkpoint that somebody else has kept, and who: `what` is for findings."""

    what: str
    note: Note
    checkpoint: Checkpoint


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


def held(what: str, raw: bytes) -> Held:
    """Return what somebody kept. Raises NoteRefused when it is no signed checkpoint."""
    note = parse_note(raw)
    return Held(what, note, parse_checkpoint(note.text))
