"""Reads events: a page of the index by key, and what the log says of each, checked against its leaf."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from gateway.audit.events import EventKind
from gateway.audit.index_tables import Flag, event_index
from gateway.audit.indexed import FORGOTTEN
from gateway.audit.leaves import parse_leaf, payload_hash
from gateway.audit.tables import audit_checkpoint, audit_leaf, audit_payload

_at = (event_index.c.at_ms, event_index.c.shard, event_index.c.seq)


class NotWhatWasWritten(Exception):
    """A payload is not the one that its leaf binds, or not what the index says of it: nothing of it is shown."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an event stands among all events, the newest first."""

    at_ms: int
    shard: str
    seq: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are wanted. None and 0: whichever. Organisations None: every one, and events of none."""

    organisations: frozenset[str] | None
    person: str | None = None
    subject: str | None = None
    receipt: str | None = None
    purposes: frozenset[str] | None = None
    outcomes: frozenset[str] | None = None  # a LookupOutcome, FAILED, DENIED, or UNKNOWN for an open INTENT
    kinds: frozenset[str] | None = None
    flags: int = 0  # of Flag, all of these
    unexplained: bool = False
    since_ms: int | None = None
    until_ms: int | None = None

    def filter(self) -> dict[str, Any]:
        """Return what a READ record says of it; nothing that names anybody in clear."""
        listed = {
            "organisations": self.organisations,
            "purposes": self.purposes,
            "outcomes": self.outcomes,
            "kinds": self.kinds,
        }
        told: dict[str, Any] = {name: sorted(words) for name, words in listed.items() if words is not None}
        told |= {name: getattr(self, name) for name in _SINGLE if getattr(self, name) is not None}
        if self.flags:
            told["flags"] = sorted(flag.name or "" for flag in Flag(self.flags))
        if self.unexplained:
            told["unexplained"] = True
        return told

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """Yield what the rows must fulfil."""
        of = event_index.c
        for column, words in (
            (of.organisation, self.organisations),
            (of.purpose, self.purposes),
            (of.kind, self.kinds),
        ):
            if words is not None:
                yield column.in_(sorted(words))
        for column, word in ((of.person, self.person), (of.subject, self.subject), (of.receipt, self.receipt)):
            if word is not None:
                yield column == word
        if self.outcomes is not None:
            known = of.outcome.in_(sorted(self.outcomes - {"UNKNOWN"}))
            yield known | _has(Flag.OPEN) if "UNKNOWN" in self.outcomes else known
        if self.flags:
            yield _has(self.flags)
        if self.unexplained:
            yield of.explained == 0
        if self.since_ms is not None:
            yield of.at_ms >= self.since_ms
        if self.until_ms is not None:
            yield of.at_ms < self.until_ms


_SINGLE: Final = ("person", "subject", "receipt", "since_ms", "until_ms")


def _has(flags: int) -> sa.ColumnElement[bool]:
    return event_index.c.flags.op("&")(int(flags)) == int(flags)


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the index, and the payloads of its records; None for one that is purged or cannot be read."""

    row: Mapping[str, Any] = field(repr=False)
    first: Mapping[str, Any] | None = field(repr=False)
    closing: Mapping[str, Any] | None = field(repr=False)
    covered: bool

    @property
    def place(self) -> Place:
        return Place(self.row["at_ms"], self.row["shard"], self.row["seq"])

    @property
    def flags(self) -> Flag:
        return Flag(self.row["flags"])


def page(connection: sa.Connection, wanted: Wanted, after: Place | None, most: int) -> tuple[list[Event], bool]:
    """Return at most so many events after a place, the newest first, and whether there are more.

    Raises NotWhatWasWritten, sqlalchemy errors.
    """
    query = sa.select(event_index).where(*wanted.conditions()).order_by(*(column.desc() for column in _at))
    if after is not None:
        query = query.where(sa.tuple_(*_at) < sa.tuple_(after.at_ms, after.shard, after.seq))
    rows = [dict(row) for row in connection.execute(query.limit(most + 1)).mappings()]
    return with_payloads(connection, rows[:most]), len(rows) > most


def with_payloads(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Return rows of the index with what the log says, each payload checked against its leaf.

    Raises NotWhatWasWritten, sqlalchemy errors.
    """
    places = {(row["shard"], row[name]) for row in rows for name in ("seq", "closing_seq") if row[name] is not None}
    payloads = _payloads(connection, places)

    def said(row: Mapping[str, Any], name: str) -> _Said | None:
        return payloads.get((row["shard"], row[name]))

    rows = [_as_the_log_has_it(row, said(row, "seq"), said(row, "closing_seq")) for row in rows]
    ends = _ends_of_checkpoints(connection, {row["shard"] for row in rows})
    return [
        Event(
            row,
            first.content if (first := said(row, "seq")) else None,
            closing.content if (closing := said(row, "closing_seq")) else None,
            max(row["seq"], row["override_seq"] or 0, row["closing_seq"] or 0) < ends.get(row["shard"], 0),
        )
        for row in rows
    ]


class _Said(NamedTuple):
    """What a leaf and its payload say."""

    at_ms: int
    kind: str
    content: Mapping[str, Any]


def _as_the_log_has_it(row: Mapping[str, Any], first: _Said | None, closing: _Said | None) -> Mapping[str, Any]:
    """Return a row, emptied if its payload is gone: it was purged a moment ago, and the index has yet to forget it.

    Raises NotWhatWasWritten if the index holds an event to be another organisation's, about another child, of another
    time, or of another outcome.
    """
    if first is None:
        # of one that cannot be read the index says so
        return row if row["flags"] & (Flag.PURGED | Flag.UNREADABLE) else {**row, **FORGOTTEN}
    if row["flags"] & Flag.PURGED:
        # announced, and about to be deleted
        return {**row, **FORGOTTEN}
    if any(row[name] != value for name, value in _expected(first, closing).items()):
        raise NotWhatWasWritten("the index says another thing than the log")
    if closing is not None and closing.content.get("intent") != row["seq"]:
        raise NotWhatWasWritten("the index joins an outcome to a lookup that is not its own")
    return row


def _expected(first: _Said, closing: _Said | None) -> dict[str, Any]:
    """Return what the records give for the columns that events tell or that filters ask for."""
    caller = first.content.get("caller")
    found = {
        "at_ms": first.at_ms,
        "kind": first.kind,
        "organisation": caller.get("organisation") if isinstance(caller, dict) else None,
        **{name: first.content.get(name) for name in ("subject", "purpose", "receipt")},
    }
    if first.kind == EventKind.DENIED:
        found |= {"outcome": "DENIED", "code": first.content.get("code")}
    elif closing is not None:
        found |= {"outcome": closing.content.get("outcome")}
    return found


def _payloads(connection: sa.Connection, places: Collection[tuple[str, int]]) -> dict[tuple[str, int], _Said]:
    by_shard: dict[str, list[int]] = {}
    for shard, seq in sorted(places):
        by_shard.setdefault(shard, []).append(seq)
    found: dict[tuple[str, int], _Said] = {}
    for shard, seqs in by_shard.items():
        query = (
            sa.select(audit_leaf.c.seq, audit_leaf.c.body, audit_payload.c.salt, audit_payload.c.body)
            .join_from(
                audit_leaf,
                audit_payload,
                sa.and_(audit_payload.c.shard == audit_leaf.c.shard, audit_payload.c.seq == audit_leaf.c.seq),
            )
            .where(audit_leaf.c.shard == shard, audit_leaf.c.seq.in_(seqs))
        )
        for seq, raw, salt, body in connection.execute(query):
            try:
                leaf = parse_leaf(raw)
                bound = payload_hash(salt, body) == leaf.ph
            except (ValueError, TypeError):
                raise NotWhatWasWritten("a record of the log cannot be read") from None
            if not bound:
                raise NotWhatWasWritten("a payload is not the one that its leaf binds")
            with suppress(msgspec.DecodeError):  # the index says that it is unreadable
                found[shard, seq] = _Said(leaf.t, leaf.kind, msgspec.json.decode(body))
    return found


def _ends_of_checkpoints(connection: sa.Connection, shards: Collection[str]) -> dict[str, int]:
    """Return how many records of each shard a checkpoint covers."""
    of = audit_checkpoint.c
    query = sa.select(of.shard, sa.func.max(of.size)).where(of.shard.in_(sorted(shards))).group_by(of.shard)
    return {shard: int(size) for shard, size in connection.execute(query)}
