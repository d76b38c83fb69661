"""One bit of one stored value is flipped, at a time, and the real verifier is asked.

python -m tests.tampering.flips SEED COUNT      prints what was found as JSON
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gateway.audit.verify import Status, verify
from gateway.storage.engine import open_engine
from tests.crash.power_cut import scratch
from tests.tampering.specimen import Specimen, make_specimen

COLUMNS = {
    "audit_shard": ("id", "origin", "opened", "state"),
    "audit_leaf": ("shard", "seq", "body", "hash"),
    "audit_payload": ("shard", "seq", "salt", "body"),
    "audit_node": ("shard", "level", "ix", "hash"),
    "audit_checkpoint": ("shard", "size", "note"),
    "audit_cosignature": ("shard", "size", "witness", "line"),
}
KEYS = {
    "audit_shard": ("id",),
    "audit_leaf": ("shard", "seq"),
    "audit_payload": ("shard", "seq"),
    "audit_node": ("shard", "level", "ix"),
    "audit_checkpoint": ("shard", "size"),
    "audit_cosignature": ("shard", "size", "witness"),
}


@dataclass
class Found:
    """How many flips, by the column that was hit, and those that the verifier did not call tampered."""

    flips: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    incomplete: int = 0
    records: int = 0


@dataclass(frozen=True)
class Flip:
    table: str
    column: str
    row: tuple[Any, ...]
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


class Attacker:
    """Somebody who may change the schema: drops a trigger, changes a row, and puts the trigger back as it was."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute("PRAGMA trusted_schema=OFF")

    @contextmanager
    def rewriting(self, tables: tuple[str, ...]) -> Iterator[sqlite3.Connection]:
        """Give a transaction in which the rows of these tables may be changed; it leaves every trigger in place."""
        on_them = {
            name: text
            for name, table, text in self._connection.execute(
                "SELECT name, tbl_name, sql FROM sqlite_schema WHERE type = 'trigger'"
            )
            if table in tables
        }
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for name in on_them:
                self._connection.execute(f"DROP TRIGGER {name}")
            yield self._connection
            for text in on_them.values():
                self._connection.execute(text)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(f"SELECT {', '.join(COLUMNS[table])} FROM {table}").fetchall()  # noqa: S608

    def put(self, flip: Flip, *, back: bool = False) -> bool:
        """Change the value; return false when another row has that key."""
        old, new = (flip.after, flip.before) if back else (flip.before, flip.after)
        keys = KEYS[flip.table]
        values = dict(zip(COLUMNS[flip.table], flip.row, strict=True)) | {flip.column: old}
        # text is bound as bytes: a flipped byte may leave it no text at all
        where = " AND ".join(f"{key} = CAST(? AS TEXT)" if _is_text(values[key]) else f"{key} = ?" for key in keys)
        value = "CAST(? AS TEXT)" if _is_text(new) else "?"
        try:
            with self.rewriting((flip.table,)) as connection:
                changed = connection.execute(
                    f"UPDATE {flip.table} SET {flip.column} = {value} WHERE {where}",  # noqa: S608
                    (_bound(new), *(_bound(values[key]) for key in keys)),
                )
                assert changed.rowcount == 1
        except sqlite3.IntegrityError:
            return False
        return True

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Text:
    """Text as its bytes, which need not be text any more."""

    bytes: bytes


def _is_text(value: Any) -> bool:
    return isinstance(value, str | Text)


def _bound(value: Any) -> Any:
    if isinstance(value, Text):
        return value.bytes
    return value.encode() if isinstance(value, str) else value


def flips_of(attacker: Attacker, chance: random.Random) -> Iterator[Flip]:
    """Yield flips without end: half of them at any byte that is stored, half at any column."""
    rows = {table: attacker.rows(table) for table in COLUMNS}
    places = [(table, number, row) for table in COLUMNS for row in rows[table] for number in range(len(row))]
    weights = [_size(row[number]) for _, number, row in places]
    by_column: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
    for table, number, row in places:
        by_column.setdefault((table, number), []).append(row)
    while True:
        if chance.random() < 0.5:
            table, number, row = chance.choices(places, weights)[0]
        else:
            table, number = chance.choice(list(by_column))
            row = chance.choice(by_column[table, number])
        before = row[number]
        if before is not None and _size(before):
            yield Flip(table, COLUMNS[table][number], row, before, _flipped(before, chance))


def _size(value: Any) -> int:
    return 8 if isinstance(value, int) else 0 if value is None else len(value)


def _flipped(value: Any, chance: random.Random) -> Any:
    if isinstance(value, int):
        flipped = value ^ (1 << chance.randrange(64))
        return flipped - (1 << 64) if flipped >= 1 << 63 else flipped
    content = bytearray(value.encode() if isinstance(value, str) else value)
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return Text(bytes(content)) if isinstance(value, str) else bytes(content)


def run(seed: int, count: int) -> Found:
    """Flip so often, each time from the whole log, and judge."""
    with tempfile.TemporaryDirectory(prefix="tampering-", dir=scratch()) as folder:
        return _flip(make_specimen(Path(folder), 12, 3, lag=1), random.Random(seed), count)


def _flip(specimen: Specimen, chance: random.Random, count: int) -> Found:
    engine = open_engine(f"sqlite:///{specimen.file}", create=False)
    attacker = Attacker(specimen.file)
    found, columns = Found(), Counter[str]()
    try:
        whole = verify(engine, specimen.trust)
        assert whole.status is Status.GOOD, whole.findings
        found.records = whole.records
        for flip in flips_of(attacker, chance):
            if not attacker.put(flip):
                continue
            columns[str(flip)] += 1
            status = verify(engine, specimen.trust).status
            if status is Status.INCOMPLETE:
                found.incomplete += 1
            if status is not Status.TAMPERED:
                found.missed.append(f"{flip}: {status}")
            attacker.put(flip, back=True)
            if columns.total() == count:
                break
        # the control: what was put back is whole again
        assert verify(engine, specimen.trust).status is Status.GOOD
    finally:
        attacker.close()
        engine.dispose()
    found.flips = dict(columns)
    return found


if __name__ == "__main__":
    print(json.dumps(asdict(run(int(sys.argv[1]), int(sys.argv[2])))))
