"""Checks all that is stored of the log, from nothing but the storage: for an auditor who trusts none of the rest.

It recomputes: the place of every leaf, the hash of every leaf, of every payload under its salt, of every node, and the
root at every checkpoint; it verifies every signature, and holds every shard against the master log. Nothing stored is
taken on trust. A log rewritten from some point on by somebody who has the signing key is consistent in itself: what
shows it is a checkpoint that somebody else has kept, given as `Trust.held`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

import psycopg
import sqlalchemy as sa

from gateway.audit.master import is_master
from gateway.audit.recovery import origin_of
from gateway.audit.verification.apart import Call, Place, Workers
from gateway.audit.verification.findings import Findings, Status
from gateway.audit.verification.purges import check_absent, check_announced
from gateway.audit.verification.reading import Reader
from gateway.audit.verification.schema import NoTables, TablesMissing, check_schema
from gateway.audit.verification.seals import (
    Seals,
    check_all_held,
    check_checkpoints,
    check_cosignatures,
    check_told,
    ending,
    keys_for,
    stored_seals,
)
from gateway.audit.verification.shards import (
    Shard,
    by_shard,
    check_entry,
    check_silences,
    join,
    stretches_of,
)
from gateway.audit.verification.stretch import Stretch, Told
from gateway.audit.verification.tree import check_stretch
from gateway.audit.verification.trust import Trust
from gateway.audit.verification.witnessed import check_witnessed
from gateway.progress import Progress, in_steps, untold
from gateway.storage.engine import is_postgresql
from gateway.storage.urls import sqlite_file

__all__ = ["NoLog", "Status", "Verification", "verify"]

_APART: Final = 65_536
"""From so many leaves on, other processes take part: below, starting them costs more than they save."""

_APART_BYTES: Final = 1 << 26
"""The same for the question whether the database file contradicts itself."""

_DAMAGED: Final = "the database file contradicts itself"


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
    checkpoints: int = 0
    cosignatures: int = 0
    unsealed: int = 0
    """Leaves at the ends of shards that no checkpoint covers yet."""
    purged: int = 0
    """Payloads that are gone: who, whom and why they said cannot be verified any more."""


@dataclass(slots=True)
class _Log:
    """The shards so far, and what stands beside them."""

    findings: Findings = field(default_factory=Findings)
    shards: dict[str, Shard] = field(default_factory=dict)
    seals: dict[str, Seals] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)


def verify(
    engine: sa.Engine, trust: Trust | None = None, *, processes: int = 1, progress: Progress = untold
) -> Verification:
    """Return what a complete reading of the log finds; a running gateway may go on writing meanwhile.

    With `processes` above one, a long shard is read by as many, each with a connection of its own. `progress` is told
    of each shard by itself, in leaves.
    Raises NoLog when the database has no log, or an empty one.
    """
    trust = trust or Trust()
    log = _Log()
    try:
        with ExitStack() as stack:
            # one transaction, therefore one view of the database
            connection = stack.enter_context(_snapshot(engine))
            reader = Reader(connection.connection, connection.dialect.name)
            check_schema(reader, log.findings)
            workers = stack.enter_context(_workers(engine, processes)) if processes > 1 else None
            stack.enter_context(_intact(reader, log.findings, workers))
            names = reader.shard_names()
            if not names:
                raise NoLog("the log in this database is empty")
            # the master logs first: they say at which sizes the others' roots are wanted
            for name in sorted(names, key=lambda name: (not is_master(str(name)), str(name))):
                _check_shard(reader, log, trust, name, workers, progress)
            _check_entries(reader, log)
            check_announced(reader, log.shards)
    except NoTables:
        raise NoLog("there is no log in this database") from None
    except TablesMissing:
        pass
    except (sqlite3.Error, psycopg.Error, sa.exc.DBAPIError) as error:
        _judge_unreadable(error, log.findings)
    _check_between(log, trust)
    return _result(log)


def _check_shard(
    reader: Reader, log: _Log, trust: Trust, name: str, workers: Workers | None, progress: Progress
) -> None:
    seals = log.seals[name] = stored_seals(reader, name)
    wanted = {size for told in log.told if told.shard == name for size in (told.size, *told.sizes)}
    wanted |= {each.checkpoint.size for each in trust.held if each.checkpoint.origin == origin_of(name)}
    shard = log.shards[name] = Shard(name, sizes=seals.sizes | frozenset(wanted))
    places = stretches_of(reader, shard)
    told = in_steps(progress, shard.size)

    def counted(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
        for stretch in stretches:
            told(stretch.end - stretch.first)
            yield stretch

    calls = [Call(name, first, end, _within(shard, first, end)) for first, end in places]
    if workers is not None and shard.size >= _APART:
        stretches = _apart(reader, calls, workers.check(calls))
    else:
        stretches = (check_stretch(reader, call.shard, call.first, call.end, call.sizes) for call in calls)
    join(reader, shard, counted(stretches))
    if is_master(name):
        log.told += shard.told
    if not is_master(name):
        check_silences(shard)


def _apart(reader: Reader, calls: list[Call], answers: Iterator[Stretch | None]) -> Iterator[Stretch]:
    for call, stretch in zip(calls, answers, strict=True):
        # what could not be read there is tried here, where the fault is judged
        yield stretch or check_stretch(reader, call.shard, call.first, call.end, call.sizes)


def _within(shard: Shard, first: int, end: int) -> list[int]:
    return [size for size in shard.sizes if first < size <= end]


def _check_entries(reader: Reader, log: _Log) -> None:
    told = dict(by_shard(log.told))
    for shard in log.shards.values():
        check_entry(reader, shard, origin_of(shard.name), ending(told.get(shard.name, ())))


def _check_between(log: _Log, trust: Trust) -> None:
    """Hold the shards against each other, and against what others have kept."""
    check_absent(log.shards)
    keys = keys_for(trust, [start for shard in log.shards.values() for start in shard.starts])
    for name, seals in log.seals.items():
        check_checkpoints(log.shards[name], seals, keys)
        check_cosignatures(log.shards[name], seals, keys)
    if trust.relied_on:
        check_witnessed(log.shards, log.seals, trust.relied_on, trust.patience_ms)
    told = dict(by_shard(log.told))
    for name, events in told.items():
        if name in log.shards:
            check_told(log.shards[name], log.seals[name], events)
        else:
            log.findings.miss(f"shard {name}, which the master log names, is not in this database")
    for name, seals in log.seals.items():
        if seals.notes and not is_master(name) and name not in told:
            if log.told:
                log.findings.tamper(f"shard {name}: it has checkpoints, and the master log does not name it")
            else:
                log.findings.miss(f"shard {name}: it has checkpoints, and there is no master log")
    check_all_held(trust.held, log.shards, keys, log.findings)
    if keys.on_its_word and any(seals.notes for seals in log.seals.values()):
        log.findings.miss("who signs the checkpoints was taken from the log itself: give its verifier key")


def _result(log: _Log) -> Verification:
    findings = log.findings
    for shard in log.shards.values():
        findings.take(shard.findings)
    for shard in log.shards.values():
        if shard.open_intents:
            places = ", ".join(map(str, sorted(shard.open_intents)[:20]))
            findings.note(
                f"shard {shard.name}: {len(shard.open_intents)} INTENT without OUTCOME, "
                f"to be treated as disclosed: seq {places}"
            )
    if findings.unlisted:
        findings.texts.append(f"and {findings.unlisted} more")
    shards = [log.shards[name] for name in sorted(log.shards, key=str)]
    return Verification(
        status=findings.status,
        findings=findings.texts,
        records=sum(shard.size for shard in shards),
        open_intents=sum(len(shard.open_intents) for shard in shards),
        root=" ".join(f"{shard.name}:{shard.size}:{shard.root.hex()}" for shard in shards),
        checkpoints=sum(len(seals.checkpoints) for seals in log.seals.values()),
        cosignatures=sum(len(seals.cosigned) for seals in log.seals.values()),
        purged=sum(len(shard.absent) for shard in shards),
        unsealed=sum(_unsealed(shard, log.seals[shard.name]) for shard in shards),
    )


def _unsealed(shard: Shard, seals: Seals) -> int:
    return max(0, shard.size - max(seals.checkpoints, default=0))


def _judge_unreadable(error: Exception, findings: Findings) -> None:
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        # the pages contradict each other, which no write of ours does
        findings.tamper(_DAMAGED)
    elif isinstance(cause, sqlite3.OperationalError) and not hasattr(cause, "sqlite_errorcode"):
        # the driver's own: it could not decode a text, and every text of ours can be
        findings.tamper("a text of the log is not UTF-8")
    elif not findings.tampered:
        name = getattr(cause, "sqlite_errorname", None) or type(cause).__name__
        findings.miss(f"the database cannot be read to its end: {name}")


@contextmanager
def _snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Give a connection in a transaction that sees one state of the database from its first statement to its last."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
        with connection.begin():
            yield connection


@contextmanager
def _workers(engine: sa.Engine, processes: int) -> Iterator[Workers]:
    url = engine.url
    file = None if is_postgresql(engine) else str(sqlite_file(url))
    workers = Workers(Place(file, None if file else url.render_as_string(hide_password=False)), processes)
    try:
        yield workers
    finally:
        workers.close()


@contextmanager
def _intact(reader: Reader, findings: Findings, workers: Workers | None) -> Iterator[None]:
    """Note whether the file contradicts itself: an index that disagrees with its table would hide rows from a query.

    Of a large file, another process says so while the rest is read.
    """
    if workers is None or reader.size() < _APART_BYTES:
        if not reader.intact():
            findings.tamper(_DAMAGED)
        yield
        return
    answer = workers.intact()

    def judge() -> None:
        found = answer.result().intact
        if not (reader.intact() if found is None else found):
            findings.tamper(_DAMAGED)

    try:
        yield
    except Exception:
        # what cannot be read may be so for this; somebody who interrupts us waits for nothing
        judge()
        raise
    judge()
