"""A stretch whose every row is as it should be, which nearly all are: the checks of `faulty`, on many rows at once.

Which row fails is of no interest here. That makes each check one comparison of many values.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from operator import sub
from typing import Any, Final, NamedTuple

import msgspec

from gateway.audit.leaves import SALT_SIZE, Leaf
from gateway.audit.verification.reading import Reader
from gateway.audit.verification.stretch import INTENT, KINDS, LINKING, LONGEST_SILENCE_MS, Stretch, parse_said

AT_ONCE: Final = 512
"""Rows that are looked at together: they and what is made of them stay in a processor's own cache."""

_parse_leaves = msgspec.json.Decoder(Leaf).decode_lines
_encoder: Final = msgspec.json.Encoder()


def sound_leaves(reader: Reader, shard: str, stretch: Stretch) -> list[bytes] | None:
    """Return the leaf hashes if every row is as it should be, and note what the records say; else None.

    What has been noted by then is worth nothing.
    """
    hashes: list[bytes] = []
    times: list[int] = []
    for of_leaves, of_payloads in reader.leaves_and_payloads(shard, stretch.first, stretch.end, AT_ONCE):
        first = stretch.first + len(hashes)
        rows = sound_rows(shard, first, of_leaves, of_payloads)
        if rows is None:
            return None
        hashes += rows.hashes
        times += [leaf.t for leaf in rows.leaves]
        stretch.intents.update([leaf.seq for leaf in rows.leaves if leaf.kind == INTENT])
        _note(stretch, first, [leaf.seq for leaf in rows.leaves if leaf.kind in LINKING], rows.payloads)
    if len(hashes) != stretch.end - stretch.first:
        return None
    stretch.opened_at, stretch.closed_at, stretch.payloads = times[0], times[-1], len(times)
    gaps = list(map(sub, times[1:], times))
    if max(gaps, default=0) > LONGEST_SILENCE_MS:
        from_second = enumerate(gaps, start=stretch.first + 1)
        stretch.silences = [(seq, gap) for seq, gap in from_second if gap > LONGEST_SILENCE_MS]
    return hashes


class Rows(NamedTuple):
    """What rows give of which each is as it should be."""

    hashes: list[bytes]
    leaves: list[Leaf]
    payloads: tuple[bytes, ...]


def sound_rows(
    shard: str, first: int, of_leaves: Sequence[tuple[Any, ...]], of_payloads: Sequence[tuple[Any, ...]]
) -> Rows | None:
    """Return what rows from `first` on give, as `Reader.leaves_and_payloads` reads them; None if one is not sound."""
    count = len(of_leaves)
    if len(of_payloads) != count:
        return None
    # as `leaf_bytes` writes it, which escapes nothing
    if type(shard) is not str or _encoder.encode(shard) != f'"{shard}"'.encode():
        return None
    places = tuple(range(first, first + count))
    seqs, bodies, stored = zip(*of_leaves, strict=True)
    payload_seqs, salts, payloads = zip(*of_payloads, strict=True)
    if seqs != places or payload_seqs != places:
        return None
    if {*map(type, bodies), *map(type, salts), *map(type, payloads)} != {bytes} or {*map(len, salts)} != {SALT_SIZE}:
        return None
    hashes = [sha256(b"\x00" + body).digest() for body in bodies]
    if tuple(hashes) != stored:
        return None
    text = b"\n".join(bodies)
    try:
        leaves = _parse_leaves(text)
    except (ValueError, RecursionError):
        return None
    # Written again from its parts, so that its place, its version and its form are checked in one. As many lines as
    # bodies, and no line that is written has another line in it: so each body is a line, and that of its leaf.
    if len(leaves) != count or _encoder.encode_lines(leaves) != text + b"\n":
        return None
    if [leaf.seq for leaf in leaves] != list(places) or {leaf.shard for leaf in leaves} != {shard}:
        return None
    if {leaf.v for leaf in leaves} != {1} or not KINDS.issuperset([leaf.kind for leaf in leaves]):
        return None
    bound = [sha256(salt + payload).hexdigest() for salt, payload in zip(salts, payloads, strict=True)]
    if bound != [leaf.ph for leaf in leaves]:
        return None
    return Rows(hashes, leaves, payloads)


def _note(stretch: Stretch, first: int, linking: list[int], payloads: tuple[bytes, ...]) -> None:
    """Note what the payloads at these places say, the first of all payloads being at `first`."""
    try:
        said = [parse_said(payloads[seq - first]) for seq in linking]
    except (ValueError, RecursionError):
        for seq in linking:
            stretch.note_payload(seq, payloads[seq - first])
        return
    stretch.closes.update([each.intent for each in said if each.intent is not None])
    more = [seq for seq, each in zip(linking, said, strict=True) if each.action is not None or each.event is not None]
    for seq in more:
        stretch.note_payload(seq, payloads[seq - first])
