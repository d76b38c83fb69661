"""What a log sends to a witness (C2SP tlog-witness, `add-checkpoint`), written and read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.audit.checkpoints import Checkpoint, parse_checkpoint, parse_size
from gateway.audit.merkle import HASH_SIZE
from gateway.audit.notes import Note, NoteRefused, parse_note

MOST_PROOF_LINES: Final = 63
MOST_BYTES: Final = 65_536
SIZE_TYPE: Final = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint, and the proof that it continues the tree of `old` leaves."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    checkpoint: Checkpoint


def format_submission(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Return the body of a request."""
    lines = [f"old {old}\n", *(f"{base64.b64encode(each).decode()}\n" for each in proof), "\n"]
    return "".join(lines).encode() + note


def parse_submission(body: bytes) -> Submission:
    """Return the parts of a request. Raises NoteRefused for any body that is not exactly in the format."""
    if len(body) > MOST_BYTES:
        raise NoteRefused("the request is too large")
    head, blank, note = body.partition(b"\n\n")
    if not blank:
        raise NoteRefused("the request has no checkpoint")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise NoteRefused("the proof is not base64") from None
    if not first.startswith("old "):
        raise NoteRefused("the request does not begin with the old size")
    if len(lines) > MOST_PROOF_LINES:
        raise NoteRefused("the proof is too long")
    parsed = parse_note(note)
    return Submission(
        parse_size(first.removeprefix("old ")),
        tuple(_hash(line) for line in lines),
        parsed,
        parse_checkpoint(parsed.text),
    )


def _hash(line: str) -> bytes:
    try:
        raw = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise NoteRefused("the proof is not base64") from None
    if len(raw) != HASH_SIZE or base64.b64encode(raw).decode() != line:
        raise NoteRefused("a line of the proof is no hash")
    return raw
