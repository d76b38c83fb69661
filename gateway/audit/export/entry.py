"""One record on its way out: its leaf, its payload with the salt that binds it, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.audit.leaves import parse_leaf, payload_hash
from gateway.audit.records import MASTER
from gateway.audit.tables import audit_leaf, audit_payload


@dataclass(frozen=True, slots=True)
class Entry:
    """A record. `identified` is the child in clear, where an approved export asks for it."""

    shard: str
    seq: int
    time_ms: int
    kind: str
    leaf: bytes
    hash: bytes
    salt: bytes | None
    payload: Mapping[str, Any] | None  # None: purged, or not the one that the leaf binds
    identified: Mapping[str, str] | None = None
    contradicted: bool = False
    """Whether a payload is stored that its leaf does not bind, and that nobody should be told for what was written."""

    @property
    def id(self) -> str:
        """A name for the record in any system."""
        return f"{self.shard}-{self.seq}"

    @property
    def said(self) -> Mapping[str, Any]:
        return self.payload or {}

    @property
    def caller(self) -> Mapping[str, Any]:
        return self.said.get("caller") or {}

    @property
    def person(self) -> str | None:
        """The person who asked: who is named by a system, else the token's subject, or the operator of a command."""
        acting = self.caller.get("onBehalfOf") or {}
        return acting.get("subject") or self.caller.get("subject") or self.caller.get("user")

    @property
    def recorded(self) -> str:
        """When it was written, as RFC 3339 has it."""
        return datetime.fromtimestamp(self.time_ms / 1000, UTC).isoformat(timespec="milliseconds")

    @property
    def failed(self) -> bool:
        """Whether what was asked for was refused or ended in an error."""
        return self.kind == "DENIED" or self.said.get("outcome") == "FAILED"

    @property
    def discloses(self) -> bool:
        """Whether something left about a child."""
        told = self.said.get("disclosed") or {}
        return bool(told.get("entries") or told.get("sections"))


def entries(
    connection: sa.Connection, shard: str | None = None, since_ms: int | None = None, until_ms: int | None = None
) -> Iterator[Entry]:
    """Yield records as they were written, shard by shard, but for the master log's unless it is named.

    Raises msgspec.DecodeError for a leaf that cannot be read, sqlalchemy errors.
    """
    query = (
        sa.select(audit_leaf.c.shard, audit_leaf.c.seq, audit_leaf.c.body, audit_leaf.c.hash)
        .add_columns(audit_payload.c.salt, audit_payload.c.body.label("payload"))
        .outerjoin_from(
            audit_leaf,
            audit_payload,
            sa.and_(audit_payload.c.shard == audit_leaf.c.shard, audit_payload.c.seq == audit_leaf.c.seq),
        )
        .order_by(audit_leaf.c.shard, audit_leaf.c.seq)
        .execution_options(yield_per=500)
    )
    query = query.where(audit_leaf.c.shard == shard if shard else ~audit_leaf.c.shard.startswith(MASTER))
    for of, seq, body, hashed, salt, payload in connection.execute(query):
        leaf = parse_leaf(body)
        if (since_ms is None or leaf.t >= since_ms) and (until_ms is None or leaf.t < until_ms):
            bound = payload is None or _binds(leaf.ph, salt, payload)
            content = msgspec.json.decode(payload) if payload is not None and bound else None
            yield Entry(of, seq, leaf.t, leaf.kind, body, hashed, salt, content, contradicted=not bound)


def _binds(wanted: str, salt: Any, payload: Any) -> bool:
    return type(salt) is bytes and type(payload) is bytes and payload_hash(salt, payload) == wanted
