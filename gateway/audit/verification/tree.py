"""One stretch of a shard: its leaves, payloads and nodes recomputed, and what its records say that others must fit.

A stretch begins and ends where a complete subtree does, so that stretches can be checked apart, by several processes,
and their roots put together afterwards.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

import msgspec

from gateway.audit.events import AdminAction, EventKind, ShardEvent
from gateway.audit.leaves import SALT_SIZE, leaf_bytes, parse_leaf
from gateway.audit.merkle import peak_positions
from gateway.audit.verification.findings import Findings
from gateway.audit.verification.reading import Reader

STRETCH_LEVEL: Final = 13
STRETCH: Final = 1 << STRETCH_LEVEL
LONGEST_SILENCE_MS: Final = 120_000

_KINDS: Final = frozenset(kind.value for kind in EventKind)
_INTENT: Final = EventKind.INTENT.value
_LINKING: Final = frozenset({EventKind.OUTCOME.value, EventKind.ADMIN.value, EventKind.SHARD.value})


class Said(msgspec.Struct):
    """The keys of a payload that verification reads."""

    intent: int | None = None
    action: str | None = None
    shard: str | None = None
    first: int | None = None
    last: int | None = None
    signer: str | None = None
    cosigner: str | None = None
    witnesses: list[str] = []
    event: str | None = None
    size: int | None = None
    root: str | None = None
    sizes: list[int] = []
    cosigned: dict[str, list[int]] = {}


_said = msgspec.json.Decoder(Said).decode


@dataclass(frozen=True, slots=True)
class Start:
    """A STARTED record: from where on somebody promised checkpoints and heartbeats, and whose keys are named."""

    seq: int
    signer: str | None
    cosigner: str | None
    witnesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """A record of the master log."""

    seq: int
    event: str
    shard: str
    size: int
    root: str
    sizes: tuple[int, ...]
    cosigned: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(slots=True)
class Stretch:
    """What the leaves of [first, end) give."""

    first: int
    end: int
    peaks: tuple[bytes, ...] = ()
    """The roots of the complete subtrees that make it up, largest first; empty if they cannot be known."""
    cuts: dict[int, tuple[bytes, ...]] = field(default_factory=dict)
    """The same for a stretch that ended at each of the sizes that were asked for."""
    findings: Findings = field(default_factory=Findings)
    opened_at: int | None = None
    closed_at: int | None = None
    intents: set[int] = field(default_factory=set)
    closes: set[int] = field(default_factory=set)
    absent: list[int] = field(default_factory=list)
    payloads: int = 0
    purges: list[tuple[str, int, int]] = field(default_factory=list)
    silences: list[tuple[int, int]] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)


def check_stretch(reader: Reader, shard: str, first: int, end: int, sizes: Sequence[int]) -> Stretch:
    """Return what leaves [first, end) of a shard give, and the subtrees of every size in (first, end] of `sizes`."""
    stretch = Stretch(first, end)
    collecting = gc.isenabled()
    # rows by the ten thousand and no cycle among them: the collector would walk through them again and again
    gc.disable()
    try:
        hashes = _leaves(reader, shard, stretch)
        if len(hashes) == end - first:
            levels = _nodes(reader, shard, stretch, hashes)
            stretch.peaks = _peaks(levels, end - first)
            stretch.cuts = {size: _peaks(levels, size - first) for size in sizes if first < size <= end}
    finally:
        if collecting:
            gc.enable()
    return stretch


def _leaves(reader: Reader, shard: str, stretch: Stretch) -> list[bytes]:
    """Return the recomputed leaf hashes, as many as there are leaves in their places without a gap."""
    rows = reader.records(shard, stretch.first, stretch.end)
    hashes = _sound(rows, shard, stretch)
    return _faulty(rows, shard, stretch) if hashes is None else hashes


def _sound(rows: list[tuple[Any, ...]], shard: str, stretch: Stretch) -> list[bytes] | None:
    """Return the leaf hashes if every row is as it should be, and note what the records say; else None.

    The same checks as in `_faulty`, on all rows at once: which of them fails is of no interest here, and it is half the
    time.
    """
    if len(rows) != stretch.end - stretch.first:
        return None
    seqs, bodies, stored, salts, payloads = zip(*rows, strict=True)
    if seqs != tuple(range(stretch.first, stretch.end)) or {*map(type, bodies), *map(type, payloads)} != {bytes}:
        return None
    if {*map(type, salts)} != {bytes} or {*map(len, salts)} != {SALT_SIZE}:
        return None
    hashes = [sha256(b"\x00" + body).digest() for body in bodies]
    if tuple(hashes) != stored:
        return None
    try:
        leaves = [parse_leaf(body) for body in bodies]
    except (ValueError, RecursionError):
        return None
    # as `leaf_bytes` writes them
    tail = f',"shard":"{shard}","t":'
    written = [
        f'{{"kind":"{leaf.kind}","ph":"{leaf.ph}","seq":{seq}{tail}{leaf.t},"v":1}}'.encode()
        for seq, leaf in enumerate(leaves, start=stretch.first)
    ]
    bound = [sha256(salt + payload).hexdigest() for salt, payload in zip(salts, payloads, strict=True)]
    if (
        tuple(written) != bodies
        or bound != [leaf.ph for leaf in leaves]
        or not {leaf.kind for leaf in leaves} <= _KINDS
    ):
        return None
    for seq, (leaf, payload) in enumerate(zip(leaves, payloads, strict=True), start=stretch.first):
        if leaf.kind == _INTENT:
            stretch.intents.add(seq)
        elif leaf.kind in _LINKING:
            _note(stretch, seq, payload)
    times = [leaf.t for leaf in leaves]
    stretch.opened_at, stretch.closed_at, stretch.payloads = times[0], times[-1], len(rows)
    gaps = enumerate((later - earlier for earlier, later in pairwise(times)), start=stretch.first + 1)
    stretch.silences = [(seq, gap) for seq, gap in gaps if gap > LONGEST_SILENCE_MS]
    return hashes


def _faulty(rows: list[tuple[Any, ...]], shard: str, stretch: Stretch) -> list[bytes]:
    """Return the leaf hashes as far as leaves stand in their places, naming every fault."""
    findings = stretch.findings
    hashes: list[bytes] = []
    expected = stretch.first
    previous: int | None = None
    for seq, body, stored, salt, payload in rows:
        if seq != expected:
            findings.tamper(f"shard {shard}: leaves {expected} to {seq - 1} are missing")
            # what follows cannot stand in the tree; the leaves are still read for their own faults
            expected = seq
        expected += 1
        if type(body) is not bytes or type(stored) is not bytes:
            findings.tamper(f"shard {shard}: leaf {seq} is not bytes")
            continue
        hashed = sha256(b"\x00" + body).digest()
        hashes.append(hashed)
        if hashed != stored:
            findings.tamper(f"shard {shard}: leaf {seq} does not have its hash")
        try:
            leaf = parse_leaf(body)
        except (ValueError, RecursionError):
            findings.tamper(f"shard {shard}: leaf {seq} cannot be read")
            continue
        kind, at = leaf.kind, leaf.t
        # written again from its parts, so that its place, its version and its form are checked in one
        if body != leaf_bytes(shard, seq, at, kind, leaf.ph) or kind not in _KINDS:
            findings.tamper(f"shard {shard}: leaf {seq} is not in its place or not in canonical form")
        if previous is None:
            stretch.opened_at = at
        elif at - previous > LONGEST_SILENCE_MS:
            stretch.silences.append((seq, at - previous))
        previous = at
        if kind == _INTENT:
            stretch.intents.add(seq)
        if payload is None:
            stretch.absent.append(seq)
        else:
            stretch.payloads += 1
            if type(payload) is not bytes or type(salt) is not bytes or len(salt) != SALT_SIZE:
                findings.tamper(f"shard {shard}: payload {seq} is not bytes under a salt")
            elif sha256(salt + payload).hexdigest() != leaf.ph:
                findings.tamper(f"shard {shard}: payload {seq} is not the one that its leaf binds")
            elif kind in _LINKING:
                _note(stretch, seq, payload)
    stretch.closed_at = previous
    return hashes


def _note(stretch: Stretch, seq: int, payload: bytes) -> None:
    try:
        said = _said(payload)
    except ValueError:
        # bound by its leaf, so it is as it was written; it just closes nothing
        return
    if said.intent is not None:
        stretch.closes.add(said.intent)
    if said.action == AdminAction.STARTED:
        stretch.starts.append(Start(seq, said.signer, said.cosigner, tuple(said.witnesses)))
    elif said.action == AdminAction.PAYLOAD_PURGED and said.shard and said.first is not None:
        stretch.purges.append((said.shard, said.first, said.first if said.last is None else said.last))
    elif said.event is not None and said.shard and said.size is not None and said.root is not None:
        cosigned = tuple((witness, tuple(sizes)) for witness, sizes in said.cosigned.items())
        told = Told(seq, said.event, said.shard, said.size, said.root, tuple(said.sizes), cosigned)
        stretch.told.append(told)
        if said.event == ShardEvent.OPENED:
            stretch.starts.append(Start(seq, said.signer, said.cosigner, ()))


def _nodes(reader: Reader, shard: str, stretch: Stretch, hashes: list[bytes]) -> list[list[bytes]]:
    """Return every level of the stretch's own tree, having compared each with what is stored."""
    levels = [hashes]
    level = 0
    while len(levels[-1]) > 1 and level < STRETCH_LEVEL:
        below = levels[-1]
        level += 1
        pairs = iter(below)
        computed = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
        levels.append(computed)
        from_ix = stretch.first >> level
        stored = reader.nodes(shard, level, from_ix, from_ix + len(computed))
        compare_nodes(stretch.findings, shard, level, from_ix, computed, stored)
    return levels


def compare_nodes(
    findings: Findings, shard: str, level: int, from_ix: int, computed: Sequence[bytes], stored: Sequence[Any]
) -> None:
    """Note every node of a level that is not stored as computed."""
    wanted = list(enumerate(computed, start=from_ix))
    if wanted == stored:
        return
    # PostgreSQL's rows are tuples as well; whatever differs is named one by one
    found = dict(stored)
    for ix, node in wanted:
        if found.get(ix) != node:
            findings.tamper(f"shard {shard}: node {level}/{ix} is not what its leaves give")


def _peaks(levels: list[list[bytes]], count: int) -> tuple[bytes, ...]:
    """Return the complete subtrees of the first `count` leaves of the stretch."""
    return tuple(levels[level][ix] for level, ix in peak_positions(count))
