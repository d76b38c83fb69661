"""What a database left by a crash holds of the log, beside what the whole run wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.crash.traced import CHECKPOINT

_RECORDS = """
SELECT l.shard, l.seq, l.body, l.hash, p.salt, p.body FROM audit_leaf AS l
LEFT JOIN audit_payload AS p ON p.shard = l.shard AND p.seq = l.seq ORDER BY l.shard, l.seq
"""
_CHECKPOINTS = "SELECT shard, size, note FROM audit_checkpoint"
_NODES = "SELECT shard, level, ix, hash FROM audit_node"


class Verdict(StrEnum):
    GOOD = "good"
    LOST = "acknowledged row lost"
    GAP = "gap"
    CORRUPT = "corrupt"
    OTHER_ROOT = "another root"


@dataclass(frozen=True)
class WholeLog:
    """Everything that a run wrote, as its database has it at the end."""

    records: Mapping[str, Sequence[tuple[int, bytes, bytes, bytes, bytes]]]
    nodes: Mapping[tuple[str, int, int], bytes]
    checkpoints: Mapping[tuple[str, int], bytes]
    places: Mapping[str, tuple[str, int]]

    def judge(self, database: Path, acknowledged: Sequence[str]) -> Verdict:
        """Say what is wrong with a database that a crash left, or that nothing is."""
        try:
            found = _read(database)
        except sqlite3.DatabaseError:
            return Verdict.CORRUPT
        if found is None:
            # not even the schema: the baseline had it
            return Verdict.CORRUPT
        records, nodes, checkpoints = found
        sizes: dict[str, int] = {}
        for shard, rows in records.items():
            if [row[0] for row in rows] != list(range(len(rows))):
                return Verdict.GAP
            if rows != self.records.get(shard, [])[: len(rows)]:
                return Verdict.CORRUPT
            sizes[shard] = len(rows)
        # with the very leaves and the very nodes of the whole run, the root of each size is the one it then had
        if len(nodes) != sum(size - size.bit_count() for size in sizes.values()):
            return Verdict.OTHER_ROOT
        if any(self.nodes.get((shard, level, ix)) != stored for shard, level, ix, stored in nodes):
            return Verdict.OTHER_ROOT
        for shard, size, note in checkpoints:
            if size > sizes.get(shard, 0) or self.checkpoints.get((shard, size)) != note:
                return Verdict.OTHER_ROOT
        held = {(shard, size) for shard, size, _ in checkpoints}
        for name in acknowledged:
            if signed := _checkpoint_of(name):
                if signed not in held:
                    return Verdict.LOST
                continue
            shard, seq = self.places.get(name, ("", 0))
            if seq >= sizes.get(shard, 0):
                return Verdict.LOST
        return Verdict.GOOD

    def last_places(self, acknowledged: Sequence[str]) -> list[list[str]]:
        """Return, for each count of acknowledgements, whose presence shows that of all: the last one of each shard."""
        last: dict[str, tuple[int, str]] = {}
        lists: list[list[str]] = [[]]
        for name in acknowledged:
            if signed := _checkpoint_of(name):
                last[f"{CHECKPOINT} {signed[0]}"] = (signed[1], name)
                lists.append([name for _, name in last.values()])
                continue
            shard, seq = self.places.get(name, ("", 0))
            last[shard] = max(last.get(shard, (-1, "")), (seq, name))
            lists.append([name for _, name in last.values()])
        return lists


def _checkpoint_of(name: str) -> tuple[str, int] | None:
    """Return shard and size when the mark is that of a checkpoint."""
    kind, _, rest = name.partition(" ")
    shard, _, size = rest.partition(" ")
    return (shard, int(size)) if kind == CHECKPOINT else None


def _read(database: Path) -> tuple[dict[str, list[tuple[int, bytes, bytes, bytes, bytes]]], list, list] | None:  # type: ignore[type-arg]
    connection = sqlite3.connect(database, isolation_level=None)
    try:
        connection.execute("BEGIN")
        if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
            return None
        records: dict[str, list[tuple[int, bytes, bytes, bytes, bytes]]] = {}
        for shard, *row in connection.execute(_RECORDS):
            records.setdefault(shard, []).append(tuple(row))
        nodes = connection.execute(_NODES).fetchall()
        has = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'audit_checkpoint'").fetchone()
        return records, nodes, connection.execute(_CHECKPOINTS).fetchall() if has else []
    finally:
        connection.close()


def whole_log(database: Path, names: Sequence[str]) -> WholeLog:
    """Return what the database of a run that ended in order holds; `names` are the marks of its records."""
    found = _read(database)
    assert found is not None, "the run left a damaged database"
    records, nodes, checkpoints = found
    wanted = set(names)
    places: dict[str, tuple[str, int]] = {}
    for shard, rows in records.items():
        for seq, _, _, _, payload in rows:
            _, found_name, rest = payload.partition(b'"request":"')
            name = rest.partition(b'"')[0].decode() if found_name else ""
            if name in wanted:
                places[name] = (shard, seq)
    return WholeLog(
        records,
        {(shard, level, ix): stored for shard, level, ix, stored in nodes},
        {(shard, size): note for shard, size, note in checkpoints},
        places,
    )
