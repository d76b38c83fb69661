"""Checks all that is stored of the log, from nothing but the storage: for an auditor who trusts none of the rest.

It recomputes: the place of every leaf, the hash of every leaf, of every payload under its salt, of every node, and the
root; nothing stored is taken on trust. It cannot see an end cut off cleanly, or a log rewritten from a point on: for
that, a checkpoint must be held by somebody else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from gateway.audit.events import AdminAction, EventKind
from gateway.audit.merkle import Frontier
from gateway.audit.records import SALT_SIZE, leaf_bytes, parse_leaf
from gateway.audit.recovery import origin_of
from gateway.audit.tables import TRIGGERS, audit_leaf, audit_node, audit_payload, audit_shard
from gateway.storage.sqlite import sqlite_of

_MOST_FINDINGS: Final = 100
_TABLES: Final = (audit_shard, audit_leaf, audit_payload, audit_node)

_RECORDS: Final = """
SELECT l.seq, l.body, l.hash, p.salt, p.body FROM audit_leaf AS l
LEFT JOIN audit_payload AS p ON p.shard = l.shard AND p.seq = l.seq
WHERE l.shard = ? ORDER BY l.seq
"""
_KINDS: Final = frozenset(kind.value for kind in EventKind)
_INTENT: Final = EventKind.INTENT.value
_LINKING: Final = frozenset({EventKind.OUTCOME.value, EventKind.ADMIN.value})
_NODES: Final = "SELECT ix, hash FROM audit_node WHERE shard = ? AND level = ? ORDER BY ix"


class Status(StrEnum):
    GOOD = "GOOD"
    """Everything stored is consistent. Open INTENTs are ordinary: a crash leaves them."""

    TAMPERED = "TAMPERED"
    """Something stored contradicts something else, or is not there although something stored says that it was."""

    INCOMPLETE = "INCOMPLETE"
    """Nothing contradicts, but something could not be read."""


class NoLog(Exception):
    """There is no log in this database."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. `root` has `SHARD:SIZE:ROOT` for each shard, the root in hex, with spaces between."""

    status: Status
    findings: list[str]
    records: int
    open_intents: int
    root: str


@dataclass(slots=True)
class _Findings:
    """Places and kinds of fault; never a content."""

    tampered: bool = False
    unreadable: bool = False
    texts: list[str] = field(default_factory=list)
    unlisted: int = 0

    def tamper(self, text: str) -> None:
        self.tampered = True
        self._add(text)

    def miss(self, text: str) -> None:
        self.unreadable = True
        self._add(text)

    def note(self, text: str) -> None:
        self._add(text)

    def _add(self, text: str) -> None:
        if len(self.texts) < _MOST_FINDINGS:
            self.texts.append(text)
        else:
            self.unlisted += 1

    @property
    def status(self) -> Status:
        if self.tampered:
            return Status.TAMPERED
        return Status.INCOMPLETE if self.unreadable else Status.GOOD


class _Payload(msgspec.Struct):
    """The keys of a payload that this module reads."""

    intent: int | None = None
    action: str | None = None
    shard: str | None = None
    first: int | None = None
    last: int | None = None


_parse_payload = msgspec.json.Decoder(_Payload).decode


@dataclass(slots=True)
class _Shard:
    """What the walk over one shard gathers."""

    name: str
    tree: Frontier = field(default_factory=Frontier)
    opened: int | None = None
    open_intents: set[int] = field(default_factory=set)
    absent: list[int] = field(default_factory=list)
    payloads: int = 0


def verify(engine: sa.Engine) -> Verification:
    """Return what a complete reading of the log finds; a running gateway may go on writing meanwhile.

    Raises NoLog when the database has no log, or an empty one.
    """
    findings = _Findings()
    shards: list[_Shard] = []
    purges: list[tuple[str, int, int]] = []
    try:
        with engine.connect() as connection, connection.begin():
            # one transaction, therefore one view of the database
            database = sqlite_of(connection)
            _check_schema(database, findings)
            for name in _shard_names(database):
                shard = _Shard(name)
                shards.append(shard)
                _walk(database, shard, purges, findings)
                _check_shard_row(database, shard, findings)
    except (sqlite3.Error, sa.exc.DBAPIError) as error:
        _judge_unreadable(error, findings)
    for shard in shards:
        _check_absent(shard, purges, findings)
        if shard.open_intents:
            places = ", ".join(map(str, sorted(shard.open_intents)[:20]))
            findings.note(
                f"shard {shard.name}: {len(shard.open_intents)} INTENT without OUTCOME, "
                f"to be treated as disclosed: seq {places}"
            )
    if findings.unlisted:
        findings.texts.append(f"and {findings.unlisted} more")
    return Verification(
        status=findings.status,
        findings=findings.texts,
        records=sum(shard.tree.size for shard in shards),
        open_intents=sum(len(shard.open_intents) for shard in shards),
        root=" ".join(f"{shard.name}:{shard.tree.size}:{shard.tree.root().hex()}" for shard in shards),
    )


def _check_schema(database: sqlite3.Connection, findings: _Findings) -> None:
    stored = {(kind, name): text for kind, name, text in database.execute("SELECT type, name, sql FROM sqlite_schema")}
    absent = [table.name for table in _TABLES if ("table", table.name) not in stored]
    if len(absent) == len(_TABLES):
        if database.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",):
            raise NoLog("there is no log in this database")
        # pages that belong to nothing: there were tables, and their list is what is damaged
        raise sqlite3.DatabaseError("the list of tables is damaged")
    if absent:
        findings.tamper(f"tables are missing: {', '.join(absent)}")
        # nothing more can be asked of them
        raise sqlite3.OperationalError("tables are missing")
    for name, text in TRIGGERS.items():
        if stored.get(("trigger", name)) != text:
            findings.tamper(f"trigger {name} is missing or changed")
    # an index that disagrees with its table would hide rows from every query below
    if database.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
        findings.tamper("the database file contradicts itself")
    on_the_log = {table.name for table in _TABLES}
    for name, table in database.execute("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger'"):
        if table in on_the_log and name not in TRIGGERS:
            findings.tamper(f"{table} has a trigger that is not one of ours")


def _shard_names(database: sqlite3.Connection) -> list[str]:
    """Return every shard that any table names, so that rows of an unlisted one are not passed over."""
    names: set[Any] = set()
    for table, column in (("audit_shard", "id"), *((each.name, "shard") for each in _TABLES[1:])):
        # the next name above the last, rather than DISTINCT, which would read every row
        last = database.execute(f"SELECT min({column}) FROM {table}").fetchone()[0]  # noqa: S608 the names are ours
        while last is not None:
            names.add(last)
            query = f"SELECT min({column}) FROM {table} WHERE {column} > ?"  # noqa: S608
            last = database.execute(query, (last,)).fetchone()[0]
    if not names:
        raise NoLog("the log in this database is empty")
    return sorted(names, key=str)


def _walk(database: sqlite3.Connection, shard: _Shard, purges: list[tuple[str, int, int]], findings: _Findings) -> None:
    name = shard.name
    append = shard.tree.append
    nodes = _StoredNodes(database, name)
    expected = 0
    for seq, body, stored_hash, salt, payload in database.execute(_RECORDS, (name,)):
        if seq != expected:
            findings.tamper(f"shard {name}: leaves {expected} to {seq - 1} are missing")
            # what follows cannot stand in the tree; the leaves are still read for their own faults
            expected = seq
        expected += 1
        if type(body) is not bytes or type(stored_hash) is not bytes:
            findings.tamper(f"shard {name}: leaf {seq} is not bytes")
            continue
        hashed = sha256(b"\x00" + body).digest()
        if hashed != stored_hash:
            findings.tamper(f"shard {name}: leaf {seq} does not have its hash")
        for level, ix, node in append(hashed):
            if nodes.next(level) != (ix, node):
                findings.tamper(f"shard {name}: node {level}/{ix} is not what its leaves give")
        try:
            leaf = parse_leaf(body)
        except (ValueError, RecursionError):
            findings.tamper(f"shard {name}: leaf {seq} cannot be read")
            continue
        kind = leaf.kind
        # written again from its parts, so that its place, its version and its form are checked in one
        if body != leaf_bytes(name, seq, leaf.t, kind, leaf.ph) or kind not in _KINDS:
            findings.tamper(f"shard {name}: leaf {seq} is not in its place or not in canonical form")
        if seq == 0:
            shard.opened = leaf.t
        if kind == _INTENT:
            shard.open_intents.add(seq)
        if payload is None:
            shard.absent.append(seq)
            continue
        shard.payloads += 1
        if type(payload) is not bytes or type(salt) is not bytes or len(salt) != SALT_SIZE:
            findings.tamper(f"shard {name}: payload {seq} is not bytes under a salt")
        elif sha256(salt + payload).hexdigest() != leaf.ph:
            findings.tamper(f"shard {name}: payload {seq} is not the one that its leaf binds")
        elif kind in _LINKING:
            _note_payload(shard, purges, payload)
    if not shard.tree.size:
        findings.tamper(f"shard {name}: no leaf is stored")
    for level in nodes.left_over():
        findings.tamper(f"shard {name}: nodes of level {level} belong to no leaf")
    payloads = database.execute("SELECT count(*) FROM audit_payload WHERE shard = ?", (name,)).fetchone()[0]
    if payloads != shard.payloads and not findings.tampered:
        findings.tamper(f"shard {name}: payloads belong to no leaf")


def _note_payload(shard: _Shard, purges: list[tuple[str, int, int]], payload: bytes) -> None:
    try:
        content = _parse_payload(payload)
    except ValueError:
        # bound by its leaf, so it is as it was written; it just closes nothing
        return
    if content.intent is not None:
        shard.open_intents.discard(content.intent)
    if content.action == AdminAction.PAYLOAD_PURGED and content.shard and content.first is not None:
        purges.append((content.shard, content.first, content.first if content.last is None else content.last))


def _check_shard_row(database: sqlite3.Connection, shard: _Shard, findings: _Findings) -> None:
    row = database.execute(
        "SELECT origin, opened, closed, state FROM audit_shard WHERE id = ?", (shard.name,)
    ).fetchone()
    if row is None:
        findings.tamper(f"shard {shard.name} is not listed")
    # nothing closes a shard in this version
    elif row != (origin_of(shard.name), shard.opened, None, "OPEN"):
        findings.tamper(f"shard {shard.name}: its entry is not what its leaves give")


def _check_absent(shard: _Shard, purges: list[tuple[str, int, int]], findings: _Findings) -> None:
    """A payload may be absent only where a record announces that it was purged."""
    ranges = [(first, last) for name, first, last in purges if name == shard.name]
    for seq in shard.absent:
        if not any(first <= seq <= last for first, last in ranges):
            findings.tamper(f"shard {shard.name}: payload {seq} is missing and no record says that it was purged")
        # whether it disclosed is past its retention
        shard.open_intents.discard(seq)


class _StoredNodes:
    """The stored nodes of a shard, level by level as the leaves complete them, without holding them in memory."""

    def __init__(self, database: sqlite3.Connection, shard: str) -> None:
        self._database = database
        self._shard = shard
        self._levels: dict[int, Iterator[Any]] = {}

    def next(self, level: int) -> Any:
        if (rows := self._levels.get(level)) is None:
            rows = self._levels[level] = self._database.execute(_NODES, (self._shard, level))
        return next(rows, None)

    def left_over(self) -> list[int]:
        stored = self._database.execute("SELECT DISTINCT level FROM audit_node WHERE shard = ?", (self._shard,))
        return [level for (level,) in stored.fetchall() if self.next(level) is not None]


def _judge_unreadable(error: Exception, findings: _Findings) -> None:
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        # the pages contradict each other, which no write of ours does
        findings.tamper("the database file contradicts itself")
    elif not findings.tampered:
        findings.miss(f"the database cannot be read to its end: {getattr(cause, 'sqlite_errorname', 'unknown')}")
