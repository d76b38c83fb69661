"""Which payloads may go when their retention has ended, and how they go: announced, then deleted, never a leaf.

What stays: the payload of a lookup without an OUTCOME, of one that a review waits for, of whatever names what a legal
hold names, and the verdicts on it, of anything that the log needs of itself (ADMIN, SHARD). A lookup's records go
together, when the last of them is of age: without its OUTCOME an INTENT would look open.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec
import sqlalchemy as sa

from gateway.audit.events import EventKind
from gateway.audit.leaves import parse_leaf
from gateway.audit.tables import announced_purge, audit_leaf, audit_payload
from gateway.progress import Progress, in_steps, untold
from gateway.storage.engine import is_postgresql, writing
from gateway.storage.sqlite import BUSY_MILLISECONDS
from gateway.storage.tables import review
from gateway.storage.turns import turn
from schema.vocabulary import ReviewState

LEAST_DAYS: Final = 30
"""Nothing younger goes unless somebody says so in as many words: detection, reviews and complaints need it."""

_SLICE: Final = 200  # rows in a transaction, which lookups wait for
_REST_SECONDS: Final = 0.02
_WIPE_MILLISECONDS: Final = 50  # so long may a reader keep waiting what keeps the log waiting
# whatever else a review may be, it waits
_DECIDED: Final = (ReviewState.UPHELD.value, ReviewState.NOT_UPHELD.value)


class RetentionClass(StrEnum):
    """What has a retention of its own."""

    LOOKUPS = "lookups"
    REFUSALS = "refusals"
    REVIEWS = "reviews"
    READINGS = "readings"


KINDS: Final[Mapping[RetentionClass, frozenset[EventKind]]] = {
    RetentionClass.LOOKUPS: frozenset({EventKind.INTENT, EventKind.OVERRIDE, EventKind.OUTCOME, EventKind.HEARTBEAT}),
    RetentionClass.REFUSALS: frozenset({EventKind.DENIED}),
    RetentionClass.REVIEWS: frozenset({EventKind.REVIEW}),
    RetentionClass.READINGS: frozenset({EventKind.READ}),
}


@dataclass(slots=True)
class Range:
    """Payloads of one shard that stand one after the other."""

    shard: str
    first: int
    last: int
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def length(self) -> int:
        """How many records it spans."""
        return self.last - self.first + 1


class _Payload(msgspec.Struct):
    """The keys of a payload that this module reads."""

    intent: int | None = None
    of: int | None = None
    receipt: str | None = None
    subject: str | None = None


_content = msgspec.json.Decoder(_Payload).decode


def doomed(
    connection: sa.Connection,
    shard: str,
    before: Mapping[EventKind, int],
    holds: Collection[str] = (),
    progress: Progress = untold,
) -> Iterator[Range]:
    """Yield the payloads of a shard that may go: of which kinds, older than which time in milliseconds.

    `holds` are receipts and pseudonyms that must stay. `progress` is told in records, each of which is read twice.
    Raises ValueError for a leaf that cannot be read.
    """
    kept = frozenset(holds) | _under_review(connection)
    held = [word.encode() for word in (*holds, *_reviews_of(connection, holds))]
    read_so_far = in_steps(progress, 2 * _size(connection, shard))
    open_intents = _open_intents(connection, shard, before.get(EventKind.OUTCOME, 0), read_so_far)
    staying: set[int] = set()  # INTENTs that stay, and with them what belongs to them
    current: Range | None = None
    for seq, leaf, payload in _rows(connection, shard, read_so_far):
        read = parse_leaf(leaf)
        kind = EventKind(read.kind)
        goes = False
        if payload is not None and kind in before:
            content = _content(payload)
            of = content.intent if kind is EventKind.OUTCOME else content.of
            goes = not (
                read.t >= before[kind]
                or seq in open_intents
                or of in staying
                or content.receipt in kept
                or content.subject in kept
                # as in a reading that asked for the child, or in the verdict of a review
                or any(word in payload for word in held)
            )
            if kind is EventKind.INTENT and not goes:
                staying.add(seq)
            elif kind is EventKind.OUTCOME and of is not None:
                staying.discard(of)
        if not goes:
            if current is not None:
                yield current
            current = None
            continue
        if current is None:
            current = Range(shard, seq, seq)
        current.last = seq
        current.kinds[kind.value] += 1
    if current is not None:
        yield current


def unfinished(connection: sa.Connection) -> list[Range]:
    """Return what was announced and is not all gone: of a purge that was cut off."""
    there = sa.exists().where(
        audit_payload.c.shard == announced_purge.c.shard,
        audit_payload.c.seq >= announced_purge.c.from_seq,
        audit_payload.c.seq <= announced_purge.c.to_seq,
    )
    of = announced_purge.c
    rows = connection.execute(sa.select(of.shard, of.from_seq, of.to_seq).where(there))
    return [Range(*row) for row in rows]


def announce(engine: sa.Engine, purge: Range, by_shard: str, by_seq: int) -> None:
    """Admit the deletion of what a committed record announces. Raises sqlalchemy errors where none does."""
    row = {
        "shard": purge.shard,
        "from_seq": purge.first,
        "to_seq": purge.last,
        "by_shard": by_shard,
        "by_seq": by_seq,
    }
    with writing(engine).begin() as connection:
        connection.execute(sa.insert(announced_purge), row)


def delete(engine: sa.Engine, purge: Range, told: Callable[[int], None] = lambda _: None) -> int:
    """Delete what was announced, a slice at a time, so that no lookup waits long; return how many payloads went.

    `told` hears how many records each slice spanned.
    """
    gone = 0
    of = audit_payload.c
    for first in range(purge.first, purge.last + 1, _SLICE):
        last = min(first + _SLICE - 1, purge.last)
        with writing(engine).begin() as connection:
            gone += connection.execute(
                sa.delete(audit_payload).where(of.shard == purge.shard, of.seq >= first, of.seq <= last)
            ).rowcount
        told(last - first + 1)
        time.sleep(_REST_SECONDS)
    return gone


def wipe(engine: sa.Engine, *, seconds: float = 60.0) -> bool:
    """Take out of SQLite's write-ahead log what was deleted; PostgreSQL does so when it vacuums.

    Return whether it is out: who reads all this time what stood there before keeps it in. Raises sqlalchemy errors.
    """
    if is_postgresql(engine):
        return True
    until = time.monotonic() + seconds
    with engine.connect().execution_options(sqlite_begin=None) as connection:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={_WIPE_MILLISECONDS}")
        try:
            while not (wiped := _wiped(connection)) and time.monotonic() < until:
                time.sleep(_REST_SECONDS)
            return wiped
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")


def _wiped(connection: sa.Connection) -> bool:
    # nobody waits for this; it leaves next to nothing to the other, which holds up whoever writes
    connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
    with turn(connection.engine, BUSY_MILLISECONDS / 1000):
        busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    return not busy


def _size(connection: sa.Connection, shard: str) -> int:
    last = connection.scalar(sa.select(sa.func.max(audit_leaf.c.seq)).where(audit_leaf.c.shard == shard))
    return 0 if last is None else int(last) + 1


def _rows(
    connection: sa.Connection, shard: str, told: Callable[[int], None]
) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Yield seq, leaf and payload of every record, a batch at a time; `told` hears how many a batch had."""
    query = (
        sa.select(audit_leaf.c.seq, audit_leaf.c.body, audit_payload.c.body)
        .outerjoin_from(
            audit_leaf,
            audit_payload,
            sa.and_(audit_payload.c.shard == audit_leaf.c.shard, audit_payload.c.seq == audit_leaf.c.seq),
        )
        .where(audit_leaf.c.shard == shard)
        .order_by(audit_leaf.c.seq)
        .execution_options(yield_per=1000)
    )
    for rows in connection.execute(query).partitions():
        for row in rows:
            yield row[0], row[1], row[2]
        told(len(rows))


def _open_intents(connection: sa.Connection, shard: str, before: int, read_so_far: Callable[[int], None]) -> set[int]:
    """Return the INTENTs that no OUTCOME of before closes."""
    found: set[int] = set()
    for seq, leaf, payload in _rows(connection, shard, read_so_far):
        read = parse_leaf(leaf)
        if payload is None:
            continue
        if read.kind == EventKind.INTENT:
            found.add(seq)
        elif read.kind == EventKind.OUTCOME and read.t < before and (intent := _content(payload).intent) is not None:
            found.discard(intent)
    return found


def _under_review(connection: sa.Connection) -> frozenset[str]:
    """Return the receipts that a review waits for, with those that belong to what detection found."""
    query = sa.select(review.c.receipt, review.c.found).where(review.c.state.not_in(_DECIDED))
    return frozenset(receipt for row in connection.execute(query) for receipt in _receipts(*row))


def _reviews_of(connection: sa.Connection, holds: Collection[str]) -> list[str]:
    """Return the ids of the reviews, decided or not, of what a hold names: their verdicts name nothing else."""
    if not holds:
        return []
    rows = connection.execute(sa.select(review.c.id, review.c.child, review.c.receipt, review.c.found))
    return [row.id for row in rows if not {row.child, *_receipts(row.receipt, row.found)}.isdisjoint(holds)]


def _receipts(receipt: str, found: str | None) -> list[str]:
    return [receipt, *(msgspec.json.decode(found)["receipts"] if found else ())]
