"""Payloads that are gone, held against the records that announced it: before they went, and of what was there then."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.audit.leaves import parse_leaf
from gateway.audit.verification.reading import Reader
from gateway.audit.verification.shards import Shard
from gateway.audit.verification.stretch import Purge


def check_absent(shards: Mapping[str, Shard]) -> None:
    """Note the payloads that are absent although no record announces that they were purged."""
    purges = [purge for shard in shards.values() for purge in shard.purges]
    for shard in shards.values():
        ranges = [(purge.first, purge.last) for purge in purges if purge.shard == shard.name]
        for seq in shard.absent:
            if not any(first <= seq <= last for first, last in ranges):
                shard.findings.tamper(
                    f"shard {shard.name}: payload {seq} is missing and no record says that it was purged"
                )
            # whether it disclosed is past its retention
            shard.open_intents.discard(seq)


def check_announced(reader: Reader, shards: Mapping[str, Shard]) -> None:
    """Note every record that announces the purge of what was written after it: a licence to take away what is to come.

    Raises the driver's errors.
    """
    for shard in shards.values():
        for purge in shard.purges:
            purged = shards.get(purge.shard)
            if purged is not None and _reaches_ahead(reader, shard, purge, purged):
                shard.findings.tamper(
                    f"shard {shard.name}: leaf {purge.seq} announces the purge of payloads of shard {purge.shard} "
                    "that were not there yet"
                )


def _reaches_ahead(reader: Reader, shard: Shard, purge: Purge, purged: Shard) -> bool:
    if shard is purged:
        return purge.last >= purge.seq
    if purge.last >= purged.size:
        return True
    # shards have no order among them but that of their clocks
    at, last = _time(reader, shard.name, purge.seq), _time(reader, purged.name, purge.last)
    return at is not None and last is not None and last > at


def _time(reader: Reader, shard: str, seq: int) -> int | None:
    """Return the time of a leaf, None if it cannot be read: that is another's finding."""
    body = reader.value("SELECT body FROM audit_leaf WHERE shard = ? AND seq = ?", (shard, seq))
    try:
        return parse_leaf(body).t
    except (ValueError, TypeError, RecursionError, msgspec.MsgspecError):
        return None
