"""A stretch whose every row is as it should be, which nearly all are: the checks of `faulty`, on many rows at once.

Which row fails is of no interest here. That makes each check one comparison of many values.
"""

from __future__ import annotations

from hashlib import sha256
from operator import sub
from typing import Any, Final

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
    # as `leaf_bytes` writes it, which escapes nothing
    if type(shard) is not str or _encoder.encode(shard) != f'"{shard}"'.encode():
        return None
    hashes: list[bytes] = []
    times: list[int] = []
    for leaves, payloads in reader.leaves_and_payloads(shard, stretch.first, stretch.end, AT_ONCE):
        try:
            more = _checked(shard, stretch, stretch.first + len(hashes), leaves, payloads)
        except (ValueError, RecursionError):
            return None
        if more is None:
            return None
        hashes += more[0]
        times += more[1]
    if len(hashes) != stretch.end - stretch.first:
        return None
    stretch.opened_at, stretch.closed_at, stretch.payloads = times[0], times[-1], len(times)
    gaps = list(map(sub, times[1:], times))
    if max(gaps, default=0) > LONGEST_SILENCE_MS:
        from_second = enumerate(gaps, start=stretch.first + 1)
        stretch.silences = [(seq, gap) for seq, gap in from_second if gap > LONGEST_SILENCE_MS]
    return hashes


def _checked(
    shard: str, stretch: Stretch, first: int, of_leaves: list[tuple[Any, ...]], of_payloads: list[tuple[Any, ...]]
) -> tuple[list[bytes], list[int]] | None:
    """Return the leaf hashes and times of rows from `first` on. Raises ValueError for what is no leaf."""
    count = len(of_leaves)
    if len(of_payloads) != count:
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
    leaves = _parse_leaves(text)
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
    stretch.intents.update([leaf.seq for leaf in leaves if leaf.kind == INTENT])
    _note(stretch, first, [leaf.seq for leaf in leaves if leaf.kind in LINKING], payloads)
    return hashes, [leaf.t for leaf in leaves]


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
