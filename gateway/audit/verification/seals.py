"""What was signed, by us and by witnesses, held against the roots that the leaves give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.audit.checkpoints import Checkpoint, parse_checkpoint
from gateway.audit.cosignatures import verify_cosignature
from gateway.audit.events import ShardEvent
from gateway.audit.notes import (
    NoteRefused,
    Signature,
    SignatureRefused,
    SignatureType,
    VerifierKey,
    parse_note,
    parse_signatures,
    parse_verifier_key,
    verify_note,
)
from gateway.audit.recovery import origin_of
from gateway.audit.verification.findings import Findings
from gateway.audit.verification.reading import Reader
from gateway.audit.verification.shards import Shard
from gateway.audit.verification.stretch import Start, Told
from gateway.audit.verification.trust import Held, Trust


@dataclass(slots=True)
class Seals:
    """The seals of one shard as they are stored, and which of them hold."""

    notes: list[tuple[Any, ...]]
    lines: list[tuple[Any, ...]]
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)
    cosigned: dict[tuple[str, int], int] = field(default_factory=dict)
    """Which witness has cosigned which size, and the POSIX time that it says it did so at."""

    @property
    def sizes(self) -> frozenset[int]:
        """The sizes at which the root is wanted."""
        return frozenset(size for size, _ in self.notes if type(size) is int)


def stored_seals(reader: Reader, shard: str) -> Seals:
    """Return the rows of checkpoints and cosignatures of a shard, rising."""
    return Seals(
        reader.rows("SELECT size, note FROM audit_checkpoint WHERE shard = ? ORDER BY size", (shard,)),
        reader.rows(
            "SELECT size, witness, line FROM audit_cosignature WHERE shard = ? ORDER BY size, witness", (shard,)
        ),
    )


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that seals are verified with."""

    log: tuple[VerifierKey, ...]
    cosigners: tuple[VerifierKey, ...]
    witnesses: dict[str, VerifierKey]
    on_its_word: bool
    """Whether nobody but the log itself says that these are its keys."""


def keys_for(trust: Trust, starts: Iterable[Start]) -> Keys:
    """Return the trusted keys and, beside them or in their absence, those that STARTED and OPENED records name."""
    starts = list(starts)
    named = _parsed(start.signer for start in starts)
    cosigners = {*trust.cosigners, *_parsed(start.cosigner for start in starts)}
    witnesses = {*trust.witnesses, *_parsed(key for start in starts for key in start.witnesses)}
    return Keys(
        log=trust.log_keys or tuple(key for key in named if key.kind is SignatureType.ED25519),
        cosigners=tuple(cosigners),
        witnesses={key.label: key for key in witnesses},
        on_its_word=not trust.log_keys,
    )


def _parsed(texts: Iterable[str | None]) -> list[VerifierKey]:
    found: dict[str, VerifierKey] = {}
    for text in texts:
        if text is not None and text not in found:
            try:
                found[text] = parse_verifier_key(text)
            except NoteRefused:
                continue  # what it signs will be signed by nobody known
    return list(found.values())


def check_checkpoints(shard: Shard, seals: Seals, keys: Keys) -> None:
    """Note every stored checkpoint that its leaves or its signatures contradict."""
    findings, name = shard.findings, shard.name
    if seals.notes and not keys.log:
        findings.miss(f"shard {name}: nobody says who signs its checkpoints")  # their records may have been purged
    for size, raw in seals.notes:
        try:
            note = parse_note(_bytes(raw))
            checkpoint = parse_checkpoint(note.text)
        except NoteRefused:
            findings.tamper(f"shard {name}: checkpoint {size} cannot be read")
            continue
        if checkpoint.origin != origin_of(name) or checkpoint.size != size:
            findings.tamper(f"shard {name}: checkpoint {size} is of another log or size")
            continue
        seals.checkpoints[size] = checkpoint
        check_root(shard, size, checkpoint.root, f"checkpoint {size}")
        try:
            if keys.log:
                verify_note(note, keys.log)
                for signature in note.signatures:
                    if not any(key.made(signature) for key in keys.log):
                        verify_cosignature(_of(signature, keys.cosigners), checkpoint, signature)
        except (SignatureRefused, NoteRefused) as refused:
            findings.tamper(f"shard {name}: checkpoint {size}: {refused}")


def _of(signature: Signature, keys: Iterable[VerifierKey]) -> VerifierKey:
    """Return the key that a signature says it is of. Raises SignatureRefused."""
    for key in keys:
        if key.made(signature):
            return key
    raise SignatureRefused("a signature is of nobody known")


def _bytes(stored: Any) -> bytes:
    if type(stored) is not bytes:
        raise NoteRefused("it is not bytes")
    return stored


def check_cosignatures(shard: Shard, seals: Seals, keys: Keys) -> None:
    """Note every stored cosignature that does not fit its checkpoint and its witness."""
    for size, witness, line in seals.lines:
        what = f"shard {shard.name}: a cosignature of checkpoint {size}"
        checkpoint = seals.checkpoints.get(size)
        key = keys.witnesses.get(witness)
        if checkpoint is None:
            shard.findings.tamper(f"{what} belongs to no checkpoint")
            continue
        if key is None:
            shard.findings.tamper(f"{what} is of no witness that the log or the caller names")
            continue
        try:
            (signature,) = parse_signatures(_bytes(line).decode("utf-8"))
            seals.cosigned[witness, size] = verify_cosignature(key, checkpoint, signature)
        # a ValueError: not UTF-8, not in form, or not one line
        except (ValueError, SignatureRefused):
            shard.findings.tamper(f"{what} does not verify")


def check_root(shard: Shard, size: int, root: bytes, what: str) -> None:
    """Note if the shard is shorter than `size`, or has another root there."""
    if size > shard.size:
        shard.findings.tamper(f"shard {shard.name}: it is shorter than {what} says: {shard.size} leaves")
    elif shard.whole and shard.roots.get(size) != root:
        shard.findings.tamper(f"shard {shard.name}: {what} has another root than its leaves give")


def check_told(shard: Shard, seals: Seals, told: Sequence[Told]) -> None:
    """Note where a shard is not what the master log says of it."""
    for each in told:
        what = f"the master log's {each.event} at its leaf {each.seq}"
        try:
            root = bytes.fromhex(each.root)
        except ValueError:
            root = b""
        check_root(shard, each.size, root, what)
        if each.event == ShardEvent.CLOSED and shard.size > each.size:
            shard.findings.tamper(f"shard {shard.name}: records were added after it was closed")
        for size in each.sizes:
            if size not in seals.checkpoints:
                shard.findings.tamper(f"shard {shard.name}: checkpoint {size}, which {what} names, is missing")
        for witness, sizes in each.cosigned:
            for size in sizes:
                if (witness, size) not in seals.cosigned:
                    shard.findings.tamper(f"shard {shard.name}: a cosignature of {size} that {what} names is missing")


def ending(told: Iterable[Told]) -> str | None:
    """Return how the master log says that a shard has ended: FROZEN, CLOSED or None."""
    events = {each.event for each in told}
    if ShardEvent.FROZEN in events:
        return ShardEvent.FROZEN.value
    return ShardEvent.CLOSED.value if ShardEvent.CLOSED in events else None


def check_held(held: Held, shards: dict[str, Shard], keys: Keys, findings: Findings) -> bool:
    """Note if the log does not contain a checkpoint that somebody else has kept; return whether it is of this log."""
    shard = next((each for each in shards.values() if origin_of(each.name) == held.checkpoint.origin), None)
    try:
        verify_note(held.note, keys.log)
    except SignatureRefused as refused:
        if shard is None and held.of_store:
            return False  # a witness may have other logs, each with a key of its own
        where = "its shard is not in this database" if shard is None else f"shard {shard.name}"
        findings.tamper(f"{held.what}: {where}: {refused}: the log has another key, or this is of another log")
        return True
    if shard is None:
        findings.tamper(f"{held.what}: its shard is not in this database")
    else:
        check_root(shard, held.checkpoint.size, held.checkpoint.root, held.what)
    return True


def check_all_held(kept: Iterable[Held], shards: dict[str, Shard], keys: Keys, findings: Findings) -> None:
    """Note what the log does not contain of what others have kept, and a witness's store without anything of it."""
    stores: dict[str, bool] = {}
    for held in kept:
        of_this_log = check_held(held, shards, keys, findings)
        if held.of_store:
            stores[held.what] = stores.get(held.what, False) or of_this_log
    for what, of_this_log in stores.items():
        if not of_this_log:
            findings.miss(f"{what}: nothing of it is of this log, or signed by its key: it shows nothing")
