"""Offline proofs that a record is in the log: C2SP tlog-proof for a leaf, and a bundle of a lookup's records.

Pure. Whoever has a bundle and the log's verifier key needs nothing else to check it: no database, no secret.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec

from gateway.audit.checkpoints import Checkpoint, open_checkpoint, parse_size
from gateway.audit.cosignatures import verify_cosignature
from gateway.audit.leaves import leaf_bytes, parse_leaf
from gateway.audit.merkle import HASH_SIZE, ProofRefused, leaf_hash, verify_inclusion
from gateway.audit.notes import NoteRefused, SignatureRefused, VerifierKey
from gateway.audit.recovery import origin_of

FORMAT: Final = "contactpoint-proof/v1"
_HEAD: Final = "c2sp.org/tlog-proof@v1"
_MOST_HASHES: Final = 63


class BundleRefused(ValueError):
    """This is no bundle: it cannot be read."""


class NotProven(Exception):
    """A bundle does not show what it was given to show; the message says what does not fit, and no content."""


class ProvenRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record of a lookup with its proof. Without `payload` and `salt` the payload has been purged."""

    leaf: str
    proof: str
    salt: str | None = None
    payload: str | None = None


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `contactpoint audit prove` prints."""

    format: str
    receipt: str
    records: list[ProvenRecord]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a record of a bundle has been shown to be, and who has cosigned its checkpoint at which POSIX time."""

    kind: str
    seq: int
    time_ms: int
    checkpoint: Checkpoint
    payload: Any
    cosigned: tuple[tuple[str, int], ...]


def format_proof(index: int, hashes: Sequence[bytes], note: bytes) -> str:
    """Return the proof that a leaf is in the tree of a signed checkpoint."""
    lines = [_HEAD, f"index {index}", *(base64.b64encode(each).decode() for each in hashes), ""]
    return "\n".join(lines) + "\n" + note.decode()


def parse_proof(text: str) -> tuple[int, list[bytes], bytes]:
    """Return index, hashes and signed checkpoint of a proof. Raises BundleRefused, also for `extra`: we write none."""
    head, blank, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if not blank or first != _HEAD or not lines or not lines[0].startswith("index ") or len(lines) > _MOST_HASHES + 1:
        raise BundleRefused("a proof is not in the format")
    try:
        index = parse_size(lines[0].removeprefix("index "))
        hashes = [base64.b64decode(line, validate=True) for line in lines[1:]]
    except (NoteRefused, binascii.Error, ValueError):
        raise BundleRefused("a proof is not in the format") from None
    if any(len(each) != HASH_SIZE for each in hashes) or format_proof(index, hashes, note.encode()) != text:
        raise BundleRefused("a proof is not in the format")
    return index, hashes, note.encode()


def parse_bundle(raw: bytes) -> Bundle:
    """Return a bundle. Raises BundleRefused."""
    try:
        bundle = msgspec.json.decode(raw, type=Bundle)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BundleRefused("this is no bundle of proofs") from None
    if bundle.format != FORMAT or not bundle.records:
        raise BundleRefused("this is no bundle of proofs")
    return bundle


def check_bundle(bundle: Bundle, log_keys: Sequence[VerifierKey], witnesses: Sequence[VerifierKey] = ()) -> list[Shown]:
    """Return what each record is, all of it shown to be in the log that one of the keys signs.

    With witnesses, one of them at least must have cosigned each checkpoint. Raises NotProven and BundleRefused.
    """
    return [_shown(record, bundle.receipt, log_keys, witnesses) for record in bundle.records]


def _shown(
    record: ProvenRecord, receipt: str, log_keys: Sequence[VerifierKey], witnesses: Sequence[VerifierKey]
) -> Shown:
    body = record.leaf.encode()
    index, hashes, note = parse_proof(record.proof)
    try:
        leaf = parse_leaf(body)
        checkpoint, opened = open_checkpoint(note, log_keys)
        verify_inclusion(index, checkpoint.size, leaf_hash(body), hashes, checkpoint.root)
        cosigned = tuple(
            (key.name, verify_cosignature(key, checkpoint, signature))
            for key in witnesses
            for signature in opened.signatures
            if key.made(signature)
        )
    except SignatureRefused as refused:
        raise NotProven(str(refused)) from None
    except ProofRefused as refused:
        raise NotProven(f"a record is not in its checkpoint: {refused}") from None
    except ValueError:
        raise BundleRefused("a record or its checkpoint cannot be read") from None
    written = leaf_bytes(leaf.shard, index, leaf.t, leaf.kind, leaf.ph)
    if body != written or checkpoint.origin != origin_of(leaf.shard):
        raise NotProven("a record is of another place in the log")
    if witnesses and not cosigned:
        raise NotProven("no witness that was named has cosigned a checkpoint")
    return Shown(leaf.kind, index, leaf.t, checkpoint, _payload(record, leaf.ph, receipt), cosigned)


def _payload(record: ProvenRecord, bound: str, receipt: str) -> Any:
    if record.payload is None or record.salt is None:
        return None
    try:
        salt = base64.b64decode(record.salt, validate=True)
        content = msgspec.json.decode(record.payload)
    except (ValueError, RecursionError):
        raise BundleRefused("a payload cannot be read") from None
    if base64.b64encode(salt).decode() != record.salt:
        # the last character of a salt holds bits that decoding drops
        raise BundleRefused("a salt is not in the format")
    if sha256(salt + record.payload.encode()).hexdigest() != bound:
        raise NotProven("a payload is not the one that its record binds")
    if not isinstance(content, dict) or content.get("receipt") != receipt:
        raise NotProven("a payload is of another receipt")
    return content
