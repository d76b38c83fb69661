"""Whether the witnesses that somebody relies on have seen each shard to its end, themselves or through the master log.

A log that was rewritten by whoever has its key is consistent in itself; what it lacks is the cosignatures. To one who
names no witness, that reads like a log that never had any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.audit.master import is_master
from gateway.audit.notes import VerifierKey
from gateway.audit.verification.seals import Seals
from gateway.audit.verification.shards import Shard


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """How far a shard was seen, and when (POSIX seconds)."""

    size: int
    at: int


def check_witnessed(
    shards: Mapping[str, Shard], seals: Mapping[str, Seals], witnesses: Sequence[VerifierKey], patience_ms: int
) -> None:
    """Note every shard that went on for longer than `patience_ms` after the last that one of `witnesses` saw of it."""
    labels = {witness.label for witness in witnesses}
    seen = {name: _cosigned(seals[name], labels) for name in shards}
    for name, master in shards.items():
        told_by = seen[name]
        if not is_master(name) or told_by is None:
            continue
        for told in master.told:
            # a leaf of a master log that was cosigned binds size and root of the shard that it names
            if told.seq < told_by.size and told.size and told.shard in shards:
                here = Seen(told.size, told_by.at)
                seen[told.shard] = max(here, seen[told.shard] or here)
    for name, shard in shards.items():
        newest = seen[name]
        if newest is None:
            shard.findings.miss(f"shard {name}: no witness that is relied on has cosigned anything of it")
        elif newest.size < shard.size and (shard.closed_at or 0) - newest.at * 1000 > patience_ms:
            since = datetime.fromtimestamp(newest.at, UTC).isoformat(timespec="seconds")
            shard.findings.miss(
                f"shard {name}: no witness that is relied on has seen the {shard.size - newest.size} records after "
                f"the first {newest.size}; the last that one saw was at {since}"
            )


def _cosigned(seals: Seals, labels: set[str]) -> Seen | None:
    return max((Seen(size, at) for (label, size), at in seals.cosigned.items() if label in labels), default=None)
