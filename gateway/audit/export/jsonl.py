"""Lossless: leaf, payload and salt, so that whoever holds the file can recompute every hash."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.audit.export.entry import Entry


def jsonl(entry: Entry) -> dict[str, Any]:
    """Return one line; the canonical form of `payload` (sorted keys, no spaces, UTF-8) is what was hashed."""
    line = {
        "shard": entry.shard,
        "seq": entry.seq,
        "leaf": msgspec.json.decode(entry.leaf),
        "leafHash": entry.hash.hex(),
        "salt": entry.salt.hex() if entry.salt is not None and not entry.contradicted else None,
        "payload": entry.payload,
    }
    return line if entry.identified is None else line | {"identified": dict(entry.identified)}
