"""Reads the log forward for the detector: look-ups joined from their records, and what must not happen to a log."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from gateway.audit.events import AdminAction, EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.leaves import Leaf, parse_leaf
from gateway.audit.tables import audit_leaf, audit_payload, audit_shard
from gateway.detection.lookups import LogFault, Place, Seen, names_the_asker, seen_from
from gateway.progress import Progress, in_steps, untold

_AT_ONCE: Final = 2_000
_SHARDS: Final = sa.select(
    audit_shard.c.id,
    audit_shard.c.state,
    sa.select(sa.func.max(audit_leaf.c.seq)).where(audit_leaf.c.shard == audit_shard.c.id).scalar_subquery(),
).order_by(audit_shard.c.id)
OPEN_MS: Final = 15 * 60_000
"""An answer takes seconds: an INTENT that is still open after this will not be closed."""
SILENCE_MS: Final = 120_000
"""Twice the minute in which a running log writes at least a heartbeat."""


class Read(NamedTuple):
    """What was read, and when it was known: at which record of the shard, or None for what only time showed."""

    seen: Seen
    known_seq: int | None
    known_ms: int


@dataclass(slots=True)
class _Shard:
    """Where the reading of one shard is."""

    next_seq: int
    running: bool = False  # after STARTED and before STOPPED, by a writer that beats every minute
    last_ms: int = 0
    intents: dict[int, tuple[int, Mapping[str, Any]]] = field(default_factory=dict)


class LogReader:
    """Reads every shard from where it stopped. For one thread at a time.

    Purged payloads are passed over: of them only the leaf is left, and it names nobody.
    """

    def __init__(self, engine: sa.Engine, keys: AuditKeys) -> None:
        self._engine = engine
        self._keys = keys
        self._shards: dict[str, _Shard] = {}
        self._frozen: set[str] = set()
        self.begun = False

    def begin(self, since_ms: int) -> None:
        """Start each shard at its first record of that time or later."""
        with self._engine.connect() as connection:
            for shard in self._known(connection):
                self._shards[shard] = _Shard(_first_since(connection, shard, since_ms))
        self.begun = True

    def positions(self) -> dict[str, int]:
        """Return by shard the seq of the last record that was read."""
        return {shard: at.next_seq - 1 for shard, at in self._shards.items() if at.next_seq}

    def read(self, until_ms: int, progress: Progress = untold) -> Iterator[Read]:
        """Yield what was written since the last time, in the order of time; `until_ms` is now.

        `progress` is told in records. Raises sqlalchemy errors.
        """
        with self._engine.connect() as connection:
            shards = connection.execute(_SHARDS).all()
        new = 0
        for shard, _, last in shards:
            at = self._shards.setdefault(shard, _Shard(0))
            new += 0 if last is None else max(0, int(last) + 1 - at.next_seq)
        told = in_steps(progress, new)
        yield from heapq.merge(
            *(self._shard(shard, until_ms, told) for shard in sorted(self._shards)), key=lambda read: read.known_ms
        )
        for shard, state, _ in shards:
            if state == "FROZEN" and shard not in self._frozen:
                self._frozen.add(shard)
                at = self._shards[shard]
                place = Place(shard, max(0, at.next_seq - 1))
                yield Read(LogFault(place, until_ms, "FROZEN", "A shard of the log is frozen."), None, until_ms)

    def _known(self, connection: sa.Connection) -> list[str]:
        return list(connection.scalars(sa.select(audit_shard.c.id).order_by(audit_shard.c.id)))

    def _shard(self, shard: str, until_ms: int, told: Callable[[int], None]) -> Iterator[Read]:
        at = self._shards[shard]
        while rows := self._rows(shard, at.next_seq):
            for seq, leaf_body, payload in rows:
                leaf = _leaf(leaf_body)
                if leaf is None:
                    yield self._unreadable(shard, at, seq)
                    continue
                if seq != at.next_seq:
                    gap = LogFault(Place(shard, seq), leaf.t, "GAP", "The sequence of records has a gap.")
                    yield Read(gap, seq, leaf.t)
                at.next_seq = seq + 1
                at.last_ms, before_ms = max(at.last_ms, leaf.t), at.last_ms
                content = {} if payload is None else _content(payload)
                if content is None:
                    yield self._unreadable(shard, at, seq)
                    continue
                yield from self._record(shard, at, seq, leaf.t, before_ms, leaf.kind, content)
            told(len(rows))
            if len(rows) < _AT_ONCE:
                break
        for seq, (asked_ms, _) in list(at.intents.items()):
            if asked_ms <= until_ms - OPEN_MS:
                yield from self._never_closed(shard, at, seq, None, asked_ms + OPEN_MS)

    def _unreadable(self, shard: str, at: _Shard, seq: int) -> Read:
        """Return the fault of a record that no writer of ours wrote so, and go on after it."""
        at.next_seq = seq + 1
        return Read(LogFault(Place(shard, seq), at.last_ms, "UNREADABLE", "A record cannot be read."), seq, at.last_ms)

    def _rows(self, shard: str, first: int) -> list[tuple[int, bytes, bytes | None]]:
        query = (
            sa.select(audit_leaf.c.seq, audit_leaf.c.body, audit_payload.c.body)
            .outerjoin_from(
                audit_leaf,
                audit_payload,
                sa.and_(audit_payload.c.shard == audit_leaf.c.shard, audit_payload.c.seq == audit_leaf.c.seq),
            )
            .where(audit_leaf.c.shard == shard, audit_leaf.c.seq >= first)
            .order_by(audit_leaf.c.seq)
            .limit(_AT_ONCE)
        )
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def _record(
        self, shard: str, at: _Shard, seq: int, time_ms: int, before_ms: int, kind: str, content: Mapping[str, Any]
    ) -> Iterator[Read]:
        started = kind == EventKind.ADMIN and content.get("action") == AdminAction.STARTED
        if at.running and not started and time_ms - before_ms > SILENCE_MS:
            silent = LogFault(Place(shard, seq), time_ms, "SILENCE", "The log was silent while the gateway ran.")
            yield Read(silent, seq, time_ms)
        if kind == EventKind.INTENT and content:
            at.intents[seq] = (time_ms, content)
        elif kind == EventKind.OUTCOME and content:
            asked = at.intents.pop(int(content.get("intent", -1)), None)
            if asked is not None:
                place = Place(shard, int(content["intent"]))
                yield Read(seen_from(place, asked[0], asked[1], content, self._keys), seq, time_ms)
        elif kind == EventKind.DENIED and names_the_asker(content):
            # without one they would all be one person's, whose day grows with whatever is sent without a token
            yield Read(seen_from(Place(shard, seq), time_ms, content, None, self._keys, denied=True), seq, time_ms)
        elif started:
            for intent in list(at.intents):
                yield from self._never_closed(shard, at, intent, seq, time_ms)
            # a writer that names its signer writes at least a heartbeat a minute
            at.running = "signer" in content
        elif kind == EventKind.ADMIN and content.get("action") == AdminAction.STOPPED:
            at.running = False
        elif kind == EventKind.HEARTBEAT and before_ms == 0:
            # taken up in the midst of a run
            at.running = True

    def _never_closed(
        self, shard: str, at: _Shard, intent: int, known_seq: int | None, known_ms: int
    ) -> Iterator[Read]:
        asked_ms, asked = at.intents.pop(intent)
        place = Place(shard, intent)
        yield Read(seen_from(place, asked_ms, asked, None, self._keys), known_seq, known_ms)
        what = "A look-up has no OUTCOME: treat it as disclosed, and find out why."
        yield Read(LogFault(place, known_ms, "OPEN_INTENT", what), known_seq, known_ms)


def _first_since(connection: sa.Connection, shard: str, since_ms: int) -> int:
    """Return the seq of the first record of that time or later, by halving: times in a shard only grow."""
    last = connection.scalar(sa.select(sa.func.max(audit_leaf.c.seq)).where(audit_leaf.c.shard == shard))
    low, high = 0, -1 if last is None else int(last)
    while low <= high:
        middle = (low + high) // 2
        found = _time_from(connection, shard, middle)
        if found is None or found >= since_ms:
            high = middle - 1
        else:
            low = middle + 1
    return low


def _time_from(connection: sa.Connection, shard: str, seq: int) -> int | None:
    """Return the time of the first leaf from `seq` on that can be read."""
    bodies = connection.scalars(
        sa.select(audit_leaf.c.body)
        .where(audit_leaf.c.shard == shard, audit_leaf.c.seq >= seq)
        .order_by(audit_leaf.c.seq)
        .limit(_AT_ONCE)
        .execution_options(yield_per=1)
    )
    with bodies:
        return next((leaf.t for leaf in map(_leaf, bodies) if leaf is not None), None)


def _leaf(body: Any) -> Leaf | None:
    try:
        return parse_leaf(body)
    except (ValueError, TypeError):
        return None


def _content(payload: Any) -> Mapping[str, Any] | None:
    try:
        found = msgspec.json.decode(payload)
    except (ValueError, TypeError):
        return None
    return found if isinstance(found, dict) else None
