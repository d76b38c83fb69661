"""Checkpoints: the size and root of a log, as the text of a signed note (C2SP tlog-checkpoint v1.0.0).

Extension lines are refused, our own and others': nobody could audit them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.audit.merkle import EMPTY_ROOT, HASH_SIZE
from gateway.audit.notes import Note, NoteRefused, VerifierKey, parse_note, verify_note

_LARGEST_SIZE: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Which log, how many leaves, and the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the text of the note: origin, size and root, each on its line."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint of a note's text. Raises NoteRefused for any other text, and for extension lines."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise NoteRefused("a checkpoint has three lines: origin, size and root")
    origin, written, encoded, _ = lines
    size = parse_size(written)
    try:
        root = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise NoteRefused("the root is not base64") from None
    if len(root) != HASH_SIZE or base64.b64encode(root).decode() != encoded:
        raise NoteRefused("the root is not a SHA-256 in base64")
    return Checkpoint(origin, size, root)


def parse_size(written: str) -> int:
    """Return a size written in decimal without leading zeroes. Raises NoteRefused."""
    # isdigit alone admits digits of other scripts, and int() admits underscores and spaces
    if not (written.isascii() and written.isdigit()) or (written[0] == "0" and written != "0") or len(written) > 19:
        raise NoteRefused("a size is not a decimal number in its one form")
    if (size := int(written)) > _LARGEST_SIZE:
        raise NoteRefused("a size is too large")
    return size


def open_checkpoint(raw: bytes, keys: Iterable[VerifierKey]) -> tuple[Checkpoint, Note]:
    """Return the checkpoint of a signed note that one of the keys has signed, with the note.

    Raises NoteRefused when it is none, and SignatureRefused when none of the keys has signed, or one wrongly.
    """
    note = parse_note(raw)
    checkpoint = parse_checkpoint(note.text)
    verify_note(note, keys)
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise NoteRefused("an empty log has the root of the empty tree")
    return checkpoint, note
