"""A receipt redeemed: the records of its lookup, each with the proof that it is in the log."""

from __future__ import annotations

import base64

import sqlalchemy as sa

from gateway.audit.errors import AuditDamaged
from gateway.audit.index_tables import event_index
from gateway.audit.merkle import inclusion_proof
from gateway.audit.notes import Note, parse_note, parse_signatures
from gateway.audit.proofs import FORMAT, Bundle, ProvenRecord, format_proof
from gateway.audit.sealed import stored_nodes
from gateway.audit.tables import audit_checkpoint, audit_cosignature, audit_leaf, audit_payload


class UnknownReceipt(Exception):
    """No record has this receipt, or its payloads have been purged."""


class NotYetSealed(Exception):
    """A record is not under a checkpoint yet."""


def bundle_of(connection: sa.Connection, receipt: str) -> Bundle:
    """Return the proofs of a receipt's INTENT, OVERRIDE and OUTCOME, or of its DENIED, found by the index of events.

    The index is no evidence: it says where to look, and what is found there has its proof. Raises UnknownReceipt,
    NotYetSealed, and AuditDamaged where the stored tree has no proof to give.
    """
    at = event_index.c
    rows = connection.execute(
        sa.select(at.shard, at.seq, at.override_seq, at.closing_seq).where(at.receipt == receipt).limit(2)
    ).all()
    if len(rows) != 1:
        raise UnknownReceipt
    shard, *places = rows[0]
    try:
        records = [_proven(connection, shard, seq) for seq in sorted(seq for seq in places if seq is not None)]
    except (ValueError, TypeError):
        # not bytes, not UTF-8, or no signed note: nothing that was written there
        raise AuditDamaged("what is stored of the lookup cannot be read") from None
    return Bundle(FORMAT, receipt, records)


def _proven(connection: sa.Connection, shard: str, seq: int) -> ProvenRecord:
    leaf = connection.scalar(sa.select(audit_leaf.c.body).where(audit_leaf.c.shard == shard, audit_leaf.c.seq == seq))
    if leaf is None:
        raise UnknownReceipt
    content = connection.execute(
        sa.select(audit_payload.c.salt, audit_payload.c.body).where(
            audit_payload.c.shard == shard, audit_payload.c.seq == seq
        )
    ).first()
    size, note = _sealed(connection, shard, seq)
    hashes = inclusion_proof(seq, size, stored_nodes(connection, shard))
    return ProvenRecord(
        leaf=bytes(leaf).decode(),
        proof=format_proof(seq, hashes, note),
        salt=None if content is None else base64.b64encode(content.salt).decode(),
        payload=None if content is None else bytes(content.body).decode(),
    )


def _sealed(connection: sa.Connection, shard: str, seq: int) -> tuple[int, bytes]:
    """Return size and note of a checkpoint over a leaf: the first that a witness has cosigned, else the first."""
    table, lines = audit_checkpoint.c, audit_cosignature.c
    over = sa.select(table.size, table.note).where(table.shard == shard, table.size > seq).order_by(table.size).limit(1)
    cosigned = over.where(
        sa.exists().where(lines.shard == table.shard, lines.size == table.size).correlate(audit_checkpoint)
    )
    row = connection.execute(cosigned).first() or connection.execute(over).first()
    if row is None:
        raise NotYetSealed
    note = parse_note(bytes(row.note))
    stored = connection.scalars(
        sa.select(lines.line).where(lines.shard == shard, lines.size == row.size).order_by(lines.witness)
    )
    more = [signature for line in stored for signature in parse_signatures(bytes(line).decode())]
    return row.size, Note(note.text, (*note.signatures, *more)).encode()
