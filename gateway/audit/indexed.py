"""What the event index keeps of a record: pure functions from leaf and payload to a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from gateway.audit.events import AdminAction, EventKind
from gateway.audit.index_tables import Flag
from gateway.audit.keys import AuditKeys
from gateway.audit.leaves import Leaf, parse_leaf

NOT_EVENTS: Final = frozenset({EventKind.HEARTBEAT.value, "SHARD"})
"""Records about the log itself, of which nobody asks when they look for what somebody did."""

_FAILED: Final = "FAILED"


class _Acting(msgspec.Struct):
    subject: str


class _Caller(msgspec.Struct):
    issuer: str | None = None
    subject: str | None = None
    organisation: str | None = None
    onBehalfOf: _Acting | None = None  # noqa: N815 - the payload's own key
    roles: Sequence[str] = ()


class _Disclosed(msgspec.Struct):
    entries: Sequence[msgspec.Raw] = ()
    sections: Sequence[msgspec.Raw] = ()


class _Shields(msgspec.Struct):
    by: Sequence[str] = ()


class _Content(msgspec.Struct):
    """The keys of a payload that the index reads."""

    caller: _Caller | None = None
    subject: str | None = None
    purpose: str | None = None
    receipt: str | None = None
    outcome: str | None = None
    relationship: str | None = None
    complete: bool | None = None
    identity: str | None = None
    disclosed: _Disclosed | None = None
    shields: _Shields | None = None
    silent: Sequence[str] = ()
    override: Any = None
    intent: int | None = None
    of: int | None = None
    code: str | None = None
    action: str | None = None
    count: int | None = None
    shard: str | None = None
    first: int | None = None
    last: int | None = None


_content = msgspec.json.Decoder(_Content).decode


@dataclass(frozen=True, slots=True)
class Closing:
    """What an OUTCOME adds to the row of its INTENT."""

    shard: str
    intent: int
    closing_seq: int
    outcome: str | None
    relationship: str | None
    entries: int
    flags: int


@dataclass(frozen=True, slots=True)
class Overriding:
    """What an OVERRIDE adds to the row of its INTENT."""

    shard: str
    intent: int
    override_seq: int


@dataclass(frozen=True, slots=True)
class Purge:
    """The payloads of these seqs are gone, both ends included."""

    shard: str
    first: int
    last: int


@dataclass(slots=True)
class Changes:
    """What some records, in their order, do to the index."""

    events: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    closings: list[Closing] = field(default_factory=list)
    overridings: list[Overriding] = field(default_factory=list)
    purges: list[Purge] = field(default_factory=list)

    def purged(self) -> int:
        """Return how many seqs the purges name."""
        return sum(max(0, purge.last - purge.first + 1) for purge in self.purges)

    def keep_to(self, ends: Mapping[str, int]) -> None:
        """Cut the purges down to what is on the log: before the seq after the last of each shard.

        A record may announce any range at all; what was never written has no row to empty.
        """
        cut = (Purge(p.shard, max(0, p.first), min(p.last, ends.get(p.shard, 0) - 1)) for p in self.purges)
        self.purges = [purge for purge in cut if purge.first <= purge.last]

    def add(self, keys: AuditKeys, leaf_body: bytes, payload: bytes | None) -> None:
        """Add one record. Raises ValueError for a leaf that cannot be read: then the log is damaged."""
        leaf = parse_leaf(leaf_body)
        if leaf.kind in NOT_EVENTS:
            return
        if payload is None:
            self._keep(_row(leaf, Flag.PURGED))
            return
        try:
            content = _content(payload)
        except msgspec.DecodeError:
            self._keep(_row(leaf, Flag.UNREADABLE))
            return
        self._add_content(keys, leaf, content)

    def _add_content(self, keys: AuditKeys, leaf: Leaf, content: _Content) -> None:
        if leaf.kind == EventKind.OUTCOME and content.intent is not None:
            self._close(_closing(leaf, content, content.intent))
        elif leaf.kind == EventKind.OVERRIDE and content.of is not None:
            self._override(Overriding(leaf.shard, content.of, leaf.seq))
        else:
            self._keep(_event(keys, leaf, content))
        if leaf.kind == EventKind.ADMIN and content.action == AdminAction.PAYLOAD_PURGED:
            self._purge(leaf, content)

    def _keep(self, row: dict[str, Any]) -> None:
        self.events[row["shard"], row["seq"]] = row

    def _close(self, closing: Closing) -> None:
        row = self.events.get((closing.shard, closing.intent))
        if row is None:
            self.closings.append(closing)
        elif not row["flags"] & Flag.PURGED:
            row |= {
                "closing_seq": closing.closing_seq,
                "outcome": closing.outcome,
                "relationship": closing.relationship,
                "entries": closing.entries,
                "flags": row["flags"] & ~Flag.OPEN | closing.flags,
            }

    def _override(self, overriding: Overriding) -> None:
        row = self.events.get((overriding.shard, overriding.intent))
        if row is None:
            self.overridings.append(overriding)
        elif not row["flags"] & Flag.PURGED:
            row |= {"override_seq": overriding.override_seq, "flags": row["flags"] | Flag.OVERRIDE}

    def _purge(self, leaf: Leaf, content: _Content) -> None:
        if content.shard is None or content.first is None or content.last is None:
            return
        # what comes later, and the announcement itself, it cannot take away; `audit verify` reports that it says so
        last = min(content.last, leaf.seq - 1) if content.shard == leaf.shard else content.last
        purge = Purge(content.shard, content.first, last)
        self.purges.append(purge)
        for (shard, seq), row in self.events.items():
            if shard == purge.shard and purge.first <= seq <= purge.last:
                row.update(FORGOTTEN)


FORGOTTEN: Final[dict[str, Any]] = {
    "organisation": None,
    "person": None,
    "role": None,
    "subject": None,
    "purpose": None,
    "outcome": None,
    "code": None,
    "relationship": None,
    "receipt": None,
    "entries": 0,
    "times": 1,
    "flags": int(Flag.PURGED),
    "explained": None,
}
"""What a row holds once its payload is purged: what the leaf says, and that it was purged."""


def _row(leaf: Leaf, flags: int) -> dict[str, Any]:
    return {
        "shard": leaf.shard,
        "seq": leaf.seq,
        "at_ms": leaf.t,
        "kind": leaf.kind,
        "closing_seq": None,
        "override_seq": None,
        **FORGOTTEN,
        "flags": int(flags),
    }


def _event(keys: AuditKeys, leaf: Leaf, content: _Content) -> dict[str, Any]:
    caller = content.caller or _Caller()
    row = _row(leaf, _flags(leaf.kind, content))
    row |= {
        "organisation": caller.organisation,
        "person": person_of(keys, caller.issuer, _person(caller)),
        "role": " ".join(sorted(caller.roles)) or None,
        "subject": content.subject,
        "purpose": content.purpose,
        "receipt": content.receipt,
    }
    if leaf.kind == EventKind.DENIED:
        row |= {"outcome": "DENIED", "code": content.code, "times": content.count or 1}
    elif leaf.kind == EventKind.ADMIN:
        row |= {"code": content.action}
    return row


def person_of(keys: AuditKeys, issuer: str | None, subject: str | None) -> str | None:
    """Return the pseudonym of somebody who asks, the same as in budgets and reviews; None if nobody is named."""
    return None if issuer is None or subject is None else keys.opaque_id("person", issuer, subject)


def _person(caller: _Caller) -> str | None:
    return caller.subject if caller.onBehalfOf is None else caller.onBehalfOf.subject


def _flags(kind: str, content: _Content) -> int:
    flags = Flag(0)
    if content.override:
        flags |= Flag.OVERRIDE
    if kind == EventKind.INTENT:
        flags |= Flag.OPEN
        if content.silent:
            flags |= Flag.SILENT
    if kind == EventKind.DENIED:
        flags |= Flag.DENIED
        cause = (content.code or "").partition(" ")[0]
        if cause == "BUDGET":
            flags |= Flag.BUDGET
        elif cause == "TOKEN":
            flags |= Flag.TOKEN
    return int(flags)


def _closing(leaf: Leaf, content: _Content, intent: int) -> Closing:
    told = content.disclosed or _Disclosed()
    flags = Flag(0)
    if content.outcome == _FAILED:
        flags |= Flag.FAILED
    elif content.complete is False:
        flags |= Flag.INCOMPLETE
    if not told.entries and not told.sections:
        flags |= Flag.NOTHING
    if content.shields is not None and content.shields.by:
        flags |= Flag.SHIELDED
    if content.identity == "UNCORROBORATED":
        flags |= Flag.UNCORROBORATED
    return Closing(leaf.shard, intent, leaf.seq, content.outcome, content.relationship, len(told.entries), int(flags))
