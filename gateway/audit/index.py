"""Keeps the event index up with the log: forward from where it stands, a bounded step at a time.

A step reads outside any write, and writes in one short transaction that also moves the shard's position from where the
step began. Of processes that take the same step at once, one moves it; the others write nothing and go on from there.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from gateway.audit.events import AdminAction
from gateway.audit.index_tables import Flag, event_index, event_index_position
from gateway.audit.index_writing import KEPT, MOST_ROWS, at_once, forget, mark_unexplained, write
from gateway.audit.indexed import FORGOTTEN, Changes, Closing, Purge
from gateway.audit.keys import AuditKeys
from gateway.audit.tables import audit_leaf, audit_payload, audit_shard
from gateway.progress import Progress, in_steps, untold
from gateway.resting import Resting
from gateway.storage.engine import writing

_REST_SECONDS: Final = 0.002
_ASIDE_RECORDS: Final = 100

_RECORDS: Final = (
    sa.select(audit_leaf.c.seq, audit_leaf.c.body, audit_payload.c.body)
    .outerjoin_from(
        audit_leaf,
        audit_payload,
        sa.and_(audit_payload.c.shard == audit_leaf.c.shard, audit_payload.c.seq == audit_leaf.c.seq),
    )
    .where(audit_leaf.c.shard == sa.bindparam("of"), audit_leaf.c.seq >= sa.bindparam("since"))
    .order_by(audit_leaf.c.seq)
    .limit(sa.bindparam("most"))
)
_BEGIN: Final = sa.text(
    "INSERT INTO event_index_position (shard, next_seq) VALUES (:shard, 0) ON CONFLICT (shard) DO NOTHING"
)
_MOVE: Final = sa.text("UPDATE event_index_position SET next_seq = :to WHERE shard = :shard AND next_seq = :from")


class EventIndex:
    """The index of one database. Its methods block; each may be called from any thread or process at any time."""

    def __init__(self, engine: sa.Engine, keys: AuditKeys, *, step: int = MOST_ROWS) -> None:
        self._engine = engine
        self._keys = keys
        self._step = step

    def catch_up(self, *, seconds: float, aside: bool = False, progress: Progress = untold) -> bool:
        """Take up what the log held when this was called; return False if the time was over before that.

        `aside` is for who has time, beside lookups that have none: steps are small, and after each it rests.
        `progress` is told in records. Raises sqlalchemy errors, and ValueError if a leaf cannot be read.
        """
        until, resting = time.monotonic() + seconds, Resting()
        most = min(self._step, _ASIDE_RECORDS) if aside else self._step
        ends = self._ends()
        positions = {shard: self._position(shard) for shard in ends}
        told = in_steps(progress, sum(max(0, end - positions[shard]) for shard, end in ends.items()))
        for shard, end in ends.items():
            position = positions[shard]
            while position < end:
                if time.monotonic() >= until:
                    return False
                before, position = position, self._advance(shard, position, most)
                told(position - before)
                if aside:
                    resting.rest()
                else:
                    time.sleep(_REST_SECONDS)
        return True

    def mark_unexplained(self, receipts: Collection[str]) -> None:
        """Say of the look-ups with these receipts that the detection found no reason for them; for `UNEXPLAINED`."""
        mark_unexplained(self._engine, receipts)

    def rebuild(self, progress: Progress = untold) -> int:
        """Write every row anew from the log, take away what the log does not have, and return how many records it read.

        Queries go on meanwhile, and see each row as it was or as it will be. `progress` is told in records.
        """
        read, ends = 0, self._ends()
        told = in_steps(progress, sum(ends.values()))
        for shard in ends:
            self.catch_up(seconds=float("inf"))
            since = 0
            # as far as anybody has come: a purge that they have taken up is then taken up again here
            while since < self._position(shard):
                changes, count, since = self._changes(shard, since, self._step)
                with writing(self._engine).begin() as connection:
                    write(connection, changes)
                forget(self._engine, changes)
                read += count
                told(count)
                time.sleep(_REST_SECONDS)
        self._drop_strays()
        return read

    def differences(self, progress: Progress = untold) -> int:
        """Return how many rows are not what the log gives; 0 for an index that can be relied on.

        What was purged after it was indexed differs in nothing that counts: neither says more than the leaf.
        `progress` is told in records.
        """
        self.catch_up(seconds=float("inf"))
        found = self._strays()
        announced, ends = self._announced(), self._ends()
        told = in_steps(progress, sum(ends.values()))
        for shard in ends:
            since, closed = 0, 0
            while since < self._position(shard):
                changes, count, after = self._changes(shard, since, self._step)
                stored = self._stored(shard, {seq for _, seq in changes.events} | {c.intent for c in changes.closings})
                found += sum(_differ(row, stored.get(seq), announced) for (_, seq), row in changes.events.items())
                found += sum(_closed_otherwise(closing, stored.get(closing.intent)) for closing in changes.closings)
                closed += len(changes.closings) + sum(r["closing_seq"] is not None for r in changes.events.values())
                since = after
                told(count)
            # a row that is closed without an OUTCOME is the one difference that no record shows
            found += abs(closed - self._closed(shard))
        return found

    def _announced(self) -> list[Purge]:
        """Return every purge on record: a row is emptied for it before its payload is deleted."""
        found = Changes()
        at, of, leaf = event_index.c, audit_payload.c, audit_leaf.c
        query = (
            sa.select(leaf.body, of.body)
            .where(at.code == AdminAction.PAYLOAD_PURGED, of.shard == at.shard, of.seq == at.seq)
            .where(leaf.shard == at.shard, leaf.seq == at.seq)
        )
        with self._engine.connect() as connection:
            for body, payload in connection.execute(query).all():
                found.add(self._keys, body, payload)
        return found.purges

    def _advance(self, shard: str, position: int, most: int) -> int:
        changes, _, after = self._changes(shard, position, most)
        if not at_once(changes):
            # what came before the purge, then the purge, and only then go on
            if not self._take_up(shard, position, position, changes):
                return self._position(shard)
            forget(self._engine, changes)
            changes = Changes()
        # another process was faster: what it wrote is what this one would have written
        return after if self._take_up(shard, position, after, changes) else self._position(shard)

    def _take_up(self, shard: str, position: int, after: int, changes: Changes) -> bool:
        """Write changes and move the shard's position; return False, with nothing written, if it has been moved."""
        with writing(self._engine).begin() as connection:
            if position == 0:
                connection.execute(_BEGIN, {"shard": shard})
            moved = bool(connection.execute(_MOVE, {"shard": shard, "from": position, "to": after}).rowcount)
            if moved:
                write(connection, changes)
        return moved

    def _changes(self, shard: str, since: int, most: int) -> tuple[Changes, int, int]:
        """Return what the next records do, how many they are, and the seq after the last of them."""
        changes = Changes()
        count, after = 0, since
        for seq, leaf, payload in self._read(shard, since, most):
            changes.add(self._keys, leaf, payload)
            count, after = count + 1, seq + 1
        if changes.purges:
            changes.keep_to(self._ends())
        return changes, count, after

    def _read(self, shard: str, since: int, most: int) -> list[tuple[int, bytes, bytes | None]]:
        with self._engine.connect() as connection:
            found = connection.execute(_RECORDS, {"of": shard, "since": since, "most": most})
            return [(seq, leaf, payload) for seq, leaf, payload in found]

    def _ends(self) -> dict[str, int]:
        """Return the seq after the last leaf of every shard that has one."""
        found = {}
        with self._engine.connect() as connection:
            for shard in connection.scalars(sa.select(audit_shard.c.id)).all():
                last = connection.scalar(sa.select(sa.func.max(audit_leaf.c.seq)).where(audit_leaf.c.shard == shard))
                if last is not None:
                    found[shard] = int(last) + 1
        return found

    def _position(self, shard: str) -> int:
        query = sa.select(event_index_position.c.next_seq).where(event_index_position.c.shard == shard)
        with self._engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    def _stored(self, shard: str, seqs: Iterable[int]) -> dict[int, dict[str, Any]]:
        wanted = list(seqs)
        query = sa.select(event_index).where(event_index.c.shard == shard, event_index.c.seq.in_(wanted))
        with self._engine.connect() as connection:
            return {row["seq"]: dict(row) for row in connection.execute(query).mappings()}

    def _closed(self, shard: str) -> int:
        query = sa.select(sa.func.count(event_index.c.closing_seq)).where(event_index.c.shard == shard)
        with self._engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    def _strays(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(event_index).where(_STRAY)) or 0)

    def _drop_strays(self) -> None:
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(event_index.c.shard, event_index.c.seq).where(_STRAY)).all()
        for shard in {shard for shard, _ in found}:
            seqs = [seq for of, seq in found if of == shard]
            for first in range(0, len(seqs), MOST_ROWS):
                these = event_index.c.seq.in_(seqs[first : first + MOST_ROWS])
                with writing(self._engine).begin() as connection:
                    # looked at again: the log may have come as far meanwhile
                    connection.execute(sa.delete(event_index).where(event_index.c.shard == shard, these, _STRAY))


_STRAY: Final = event_index.c.shard.not_in(sa.select(audit_shard.c.id)) | ~sa.exists(
    sa.select(audit_leaf.c.seq).where(audit_leaf.c.shard == event_index.c.shard, audit_leaf.c.seq == event_index.c.seq)
)


def _differ(expected: Mapping[str, Any], stored: Mapping[str, Any] | None, announced: Sequence[Purge]) -> bool:
    if stored is None:
        return True
    if stored["flags"] & Flag.PURGED:
        if not expected["flags"] & Flag.PURGED and not any(
            purge.shard == expected["shard"] and purge.first <= expected["seq"] <= purge.last for purge in announced
        ):
            return True  # nobody said that it would go: it was taken out of sight
        return any(stored[name] != value for name, value in FORGOTTEN.items())
    apart = KEPT
    if expected["flags"] & Flag.OPEN and stored["closing_seq"] is not None:
        # closed by a later record, which is compared when its turn comes
        apart = KEPT | {"closing_seq", "outcome", "relationship", "entries", "flags", "override_seq"}
    return any(stored[name] != value for name, value in expected.items() if name not in apart)


def _closed_otherwise(closing: Closing, stored: Mapping[str, Any] | None) -> bool:
    if stored is None:
        return True
    if stored["flags"] & Flag.PURGED:
        return False
    told = ("closing_seq", "outcome", "relationship", "entries")
    return any(stored[name] != getattr(closing, name) for name in told) or (
        stored["flags"] & closing.flags != closing.flags or bool(stored["flags"] & Flag.OPEN)
    )
