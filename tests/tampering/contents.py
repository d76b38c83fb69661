"""The whole of a stored log in memory, so that it can be written anew, every hash with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.audit.canonical import canonical
from gateway.audit.checkpoints import Checkpoint, parse_checkpoint
from gateway.audit.leaves import leaf_bytes, parse_leaf, payload_hash
from gateway.audit.master import is_master
from gateway.audit.merkle import Frontier, leaf_hash
from gateway.audit.notes import parse_note
from gateway.audit.recovery import origin_of
from gateway.audit.signing import LogSigner
from tests.tampering.flips import COLUMNS, Attacker

Rows = dict[str, list[tuple[Any, ...]]]
"""The rows of each table of the log, columns as in `COLUMNS`."""


@dataclass(frozen=True, slots=True)
class Written:
    """A record: what its leaf binds, without its place."""

    time: int
    kind: str
    salt: bytes
    payload: bytes

    def saying(self, content: Mapping[str, Any]) -> Written:
        return replace(self, payload=canonical(dict(content)))

    @property
    def content(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.payload)
        return found


@dataclass
class Contents:
    """What is stored: records by shard, signed notes by shard and size, witnesses' lines beside them."""

    records: dict[str, list[Written]]
    shards: dict[str, tuple[Any, ...]]
    notes: dict[tuple[str, int], bytes]
    lines: dict[tuple[str, int, str], bytes]
    roots: dict[str, list[bytes]] = field(default_factory=dict)
    """Of each shard, the root at every size; filled by `rows`."""

    @classmethod
    def of(cls, rows: Rows) -> Contents:
        payloads = {(shard, seq): (salt, body) for shard, seq, salt, body in rows["audit_payload"]}
        records: dict[str, list[Written]] = {}
        for shard, seq, body, _ in sorted(rows["audit_leaf"], key=lambda row: (row[0], row[1])):
            leaf = parse_leaf(body)
            records.setdefault(shard, []).append(Written(leaf.t, leaf.kind, *payloads[shard, seq]))
        return cls(
            records,
            {row[0]: row for row in rows["audit_shard"]},
            {(shard, size): note for shard, size, note in rows["audit_checkpoint"]},
            {(shard, size, witness): line for shard, size, witness, line in rows["audit_cosignature"]},
        )

    def copy(self) -> Contents:
        return Contents(
            {shard: list(records) for shard, records in self.records.items()},
            dict(self.shards),
            dict(self.notes),
            dict(self.lines),
        )

    @property
    def master(self) -> str:
        return next(shard for shard in self.records if is_master(shard))

    @property
    def victims(self) -> list[str]:
        """The shards of lookups."""
        return sorted(shard for shard in self.records if not is_master(shard))

    def rows(self) -> Rows:
        """Return every row, with every leaf, hash and node computed anew."""
        rows: Rows = {table: [] for table in COLUMNS}
        for shard, records in self.records.items():
            tree = Frontier()
            roots = self.roots[shard] = [tree.root()]
            for seq, each in enumerate(records):
                leaf = leaf_bytes(shard, seq, each.time, each.kind, payload_hash(each.salt, each.payload))
                rows["audit_leaf"].append((shard, seq, leaf, leaf_hash(leaf)))
                rows["audit_payload"].append((shard, seq, each.salt, each.payload))
                completed = tree.append(leaf_hash(leaf))
                rows["audit_node"] += [(shard, level, ix, node) for level, ix, node in completed]
                roots.append(tree.root())
            row = self.shards[shard]
            rows["audit_shard"].append((row[0], row[1], records[0].time, row[3]))
        rows["audit_checkpoint"] = [(*key, note) for key, note in self.notes.items()]
        rows["audit_cosignature"] = [(*key, line) for key, line in self.lines.items()]
        return rows

    def only_what_fits(self) -> None:
        """Drop the notes that the leaves do not bear out any more, and what hangs on them."""
        self.rows()
        for shard, size in list(self.notes):
            checkpoint = parse_checkpoint(parse_note(self.notes[shard, size]).text)
            roots = self.roots.get(shard, [])
            if size >= len(roots) or roots[size] != checkpoint.root:
                self._drop(shard, size)

    def sign_anew(self, signer: LogSigner, at: int) -> None:
        """Sign every note whose root has changed, as the owner of the key can; witnesses' lines on them are lost."""
        self.rows()
        for shard, size in list(self.notes):
            roots = self.roots.get(shard, [])
            note = parse_note(self.notes[shard, size])
            if size >= len(roots):
                self._drop(shard, size)
            elif roots[size] != parse_checkpoint(note.text).root:
                self._drop(shard, size)
                again = signer.sign(
                    Checkpoint(origin_of(shard), size, roots[size]),
                    cosigned_at=at if len(note.signatures) > 1 else None,
                )
                self.notes[shard, size] = again.encode()

    def _drop(self, shard: str, size: int) -> None:
        self.notes.pop((shard, size), None)
        for key in [key for key in self.lines if key[:2] == (shard, size)]:
            del self.lines[key]

    def tell_the_master(self) -> None:
        """Make the master log say what the shards now are, as if it had never said anything else."""
        self.rows()
        told: list[Written] = []
        for each in self.records[self.master]:
            content = each.content
            shard = content["shard"]
            if shard not in self.records:
                continue
            roots = self.roots[shard]
            content["size"] = min(content["size"], len(roots) - 1)
            content["root"] = roots[content["size"]].hex()
            if "sizes" in content:
                content["sizes"] = [size for size in content["sizes"] if (shard, size) in self.notes]
            if "cosigned" in content:
                content["cosigned"] = {
                    witness: [size for size in sizes if (shard, size, witness) in self.lines]
                    for witness, sizes in content["cosigned"].items()
                }
            told.append(each.saying(content))
        self.records[self.master] = told

    def without_seals(self) -> Contents:
        """Return the same log as if it had only hashes: no checkpoint, no cosignature, no master log."""
        bare = self.copy()
        for shard in [shard for shard in bare.records if is_master(shard)]:
            del bare.records[shard]
            del bare.shards[shard]
        bare.notes, bare.lines = {}, {}
        return bare


def store(attacker: Attacker, rows: Rows) -> None:
    """Make the database hold these rows and no others."""
    with attacker.rewriting(tuple(COLUMNS)) as connection:
        for table, columns in COLUMNS.items():
            connection.execute(f"DELETE FROM {table}")  # noqa: S608
            marks = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows[table])  # noqa: S608


def stored(attacker: Attacker) -> Rows:
    return {table: attacker.rows(table) for table in COLUMNS}


def renumbered(records: Sequence[Written], at: int, by: int) -> list[Written]:
    """Return the records with every reference to a place at or above `at` moved, as a careful forger would."""
    moved: list[Written] = []
    for each in records:
        content = each.content
        if isinstance(content.get("intent"), int) and content["intent"] >= at:
            moved.append(each.saying(content | {"intent": content["intent"] + by}))
        else:
            moved.append(each)
    return moved
