"""What a witness must show before its word against the log is believed.

An answer to a submission is not signed: 409 carries a size, 422 nothing at all, and a fault of the witness, or whatever
stands before it, could give either. What stops a gateway is a note that the log itself has signed and the witness has
cosigned, and that the log no longer bears out.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from gateway.audit.checkpoints import Checkpoint, open_checkpoint
from gateway.audit.cosignatures import verify_cosignature
from gateway.audit.merkle import HASH_SIZE
from gateway.audit.notes import SignatureRefused, VerifierKey
from gateway.audit.sealed import frontier_at
from gateway.audit.tables import audit_leaf

NOT_KNOWN: Final = bytes(HASH_SIZE)
"""In place of a root that nobody has any more."""


class WitnessContradicts(Exception):
    """A witness has cosigned what this log does not hold, with that size and root: it was rolled back or rewritten."""

    def __init__(self, message: str, size: int, root: bytes = NOT_KNOWN) -> None:
        super().__init__(message)
        self.size = size
        self.root = root


def shown(raw: bytes, origin: str, log_key: VerifierKey, witness_key: VerifierKey) -> Checkpoint:
    """Return the checkpoint of a log that both the log and the witness have signed in a note.

    Raises NoteRefused and SignatureRefused for anything else.
    """
    checkpoint, note = open_checkpoint(raw, [log_key])
    made = [each for each in note.signatures if witness_key.made(each)]
    if not made or checkpoint.origin != origin:
        raise SignatureRefused("the witness has not cosigned it of this log")
    verify_cosignature(witness_key, checkpoint, made[0])
    return checkpoint


def held_size(connection: sa.Connection, shard: str) -> int:
    """Return how many leaves the log holds."""
    last = connection.scalar(sa.select(sa.func.max(audit_leaf.c.seq)).where(audit_leaf.c.shard == shard))
    return 0 if last is None else int(last) + 1


def check_held(connection: sa.Connection, shard: str, cosigned: Checkpoint) -> None:
    """Raise WitnessContradicts unless the stored tree bears out what was cosigned. Raises AuditDamaged."""
    if cosigned.size > held_size(connection, shard):
        raise WitnessContradicts(
            "a witness has cosigned more than this log holds: it was rolled back", cosigned.size, cosigned.root
        )
    if frontier_at(connection, shard, cosigned.size).root() != cosigned.root:
        raise WitnessContradicts(
            "a witness has cosigned another log under this name: it was rewritten", cosigned.size, cosigned.root
        )
