"""The leaf of a record: how it is written, how it is read back, and how it binds the payload."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

SALT_SIZE: Final = 16


class Leaf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The fields of a leaf, version 1, in their order. `kind` is checked by whoever reads it: as text it costs half."""

    kind: str
    ph: str
    seq: int
    shard: str
    t: int
    v: int


def leaf_bytes(shard: str, seq: int, time_ms: int, kind: str, payload_hash: str) -> bytes:
    """Return the canonical leaf. Its strings need no escaping: a shard and a hash are hex, a kind is a word."""
    return f'{{"kind":"{kind}","ph":"{payload_hash}","seq":{seq},"shard":"{shard}","t":{time_ms},"v":1}}'.encode()


def payload_hash(salt: bytes, body: bytes) -> str:
    """Return SHA-256(salt || payload) in hex. Without the salt, an NHS number in a payload could be found by trying."""
    return sha256(salt + body).hexdigest()


parse_leaf = msgspec.json.Decoder(Leaf).decode
"""Return the Leaf of a body. Raises msgspec.ValidationError or msgspec.DecodeError (both ValueError)."""
