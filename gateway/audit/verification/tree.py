"""One stretch of a shard: its leaves, payloads and nodes recomputed.

A stretch begins and ends where a complete subtree does, so that stretches can be checked apart, by several processes,
and their roots put together afterwards.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from gateway.audit.leaves import SALT_SIZE, leaf_bytes, parse_leaf
from gateway.audit.merkle import peak_positions
from gateway.audit.verification.findings import Findings
from gateway.audit.verification.reading import Reader
from gateway.audit.verification.sound import sound_leaves
from gateway.audit.verification.stretch import INTENT, KINDS, LINKING, LONGEST_SILENCE_MS, STRETCH_LEVEL, Stretch


def check_stretch(reader: Reader, shard: str, first: int, end: int, sizes: Sequence[int]) -> Stretch:
    """Return what leaves [first, end) of a shard give, and the subtrees of every size in (first, end] of `sizes`."""
    collecting = gc.isenabled()
    # rows by the ten thousand and no cycle among them: the collector would walk through them again and again
    gc.disable()
    try:
        stretch = Stretch(first, end)
        hashes = sound_leaves(reader, shard, stretch)
        if hashes is None:
            stretch = Stretch(first, end)
            hashes = _faulty_leaves(reader.records(shard, first, end), shard, stretch)
        stretch.settle()
        if len(hashes) == end - first:
            levels = _nodes(reader, shard, stretch, hashes)
            stretch.peaks = _peaks(levels, end - first)
            stretch.cuts = {size: _peaks(levels, size - first) for size in sizes if first < size <= end}
    finally:
        if collecting:
            gc.enable()
    return stretch


def _faulty_leaves(rows: list[tuple[Any, ...]], shard: str, stretch: Stretch) -> list[bytes]:
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
        if body != leaf_bytes(shard, seq, at, kind, leaf.ph) or kind not in KINDS:
            findings.tamper(f"shard {shard}: leaf {seq} is not in its place or not in canonical form")
        if previous is None:
            stretch.opened_at = at
        elif at - previous > LONGEST_SILENCE_MS:
            stretch.silences.append((seq, at - previous))
        previous = at
        if kind == INTENT:
            stretch.intents.add(seq)
        if payload is None:
            stretch.absent.append(seq)
        else:
            stretch.payloads += 1
            if type(payload) is not bytes or type(salt) is not bytes or len(salt) != SALT_SIZE:
                findings.tamper(f"shard {shard}: payload {seq} is not bytes under a salt")
            elif sha256(salt + payload).hexdigest() != leaf.ph:
                findings.tamper(f"shard {shard}: payload {seq} is not the one that its leaf binds")
            elif kind in LINKING:
                stretch.note_payload(seq, payload)
    stretch.closed_at = previous
    return hashes


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
