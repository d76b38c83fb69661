"""Whoever reads a log through tells how far it is, to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import sqlalchemy as sa

from gateway.audit.events import EventKind
from gateway.audit.index import EventIndex
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.retention import doomed
from gateway.audit.verify import verify
from gateway.detection.log_reader import LogReader
from gateway.progress import in_steps

Told = list[tuple[int, int]]


def test_what_a_log_grows_by_meanwhile_is_not_told() -> None:
    told: Told = []
    step = in_steps(lambda done, of: told.append((done, of)), 5)

    for size in (2, 2, 2):
        step(size)

    assert told == [(2, 5), (4, 5), (5, 5)]


def test_every_reading_of_a_log_is_told_to_its_end(engine: sa.Engine, keys: AuditKeys) -> None:
    log = AuditLog.open(engine, keys, on_fatal=lambda: None)
    for _ in range(20):
        asyncio.run(log.append(EventKind.DENIED, {"code": "X"}))
    log.close()
    told: dict[str, Told] = {}

    def into(name: str) -> Callable[[int, int], None]:
        return lambda done, of: told.setdefault(name, []).append((done, of))

    index = EventIndex(engine, keys, step=4)
    assert index.catch_up(seconds=30, progress=into("index"))
    records = index.rebuild(progress=into("rebuild"))
    index.differences(progress=into("differences"))
    list(LogReader(engine, keys).read(2**53, into("detection")))
    with engine.connect() as connection:
        (purge,) = doomed(connection, log.shard, {EventKind.DENIED: 2**53}, progress=into("retention"))
    verify(engine, progress=into("verification"))

    assert {name: steps[-1] for name, steps in told.items()} == {
        "index": (records, records),
        "rebuild": (records, records),
        "differences": (records, records),
        "detection": (records, records),
        "retention": (2 * records, 2 * records),
        "verification": (records, records),
    }
    assert len(told["index"]) == -(-records // 4), "at every step, and not once at the end"
    assert purge.length == 20
