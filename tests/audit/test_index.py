"""The event index: one row for each event, kept up with the log, and no more in it than the log still says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.audit import index as module
from gateway.audit import index_writing
from gateway.audit.events import EventKind
from gateway.audit.index import EventIndex
from gateway.audit.index_tables import Flag, event_index, event_index_position
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.resting import Resting

pytestmark = pytest.mark.anyio

WHO: dict[str, Any] = {
    "caller": {
        "issuer": "https://idp.example",
        "subject": "worker-1",
        "organisation": "amber-council",
        "onBehalfOf": None,
        "roles": ["social_worker"],
    }
}
CHILD = {"subject": "ab" * 32}
MOST = 2**53 - 1
"""The largest number that a record may hold."""
ENTRY = {"entry": "e1", "agency": "a1", "sources": ["a1"], "practitioner": None, "fields": ["role"]}


@pytest.fixture
def index(engine: sa.Engine, keys: AuditKeys) -> EventIndex:
    return EventIndex(engine, keys, step=3)


def rows(engine: sa.Engine, kind: str = "INTENT") -> list[dict[str, Any]]:
    """Return the rows of a kind, in the order of the log."""
    query = sa.select(event_index).where(event_index.c.kind == kind).order_by(event_index.c.shard, event_index.c.seq)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


async def look_up(log: AuditLog, receipt: str = "r1", *, override: bool = False, **outcome: Any) -> int:
    """Write the records of a lookup that told one entry, or what is told instead; return the place of its INTENT."""
    why = {"purpose": "CP_S47", "reason": "A referral", "override": {"justification": "x"} if override else None}
    intent = (await log.append(EventKind.INTENT, {**WHO, **CHILD, **why, "receipt": receipt, "silent": ["a1"]})).seq
    if override:
        await log.append(EventKind.OVERRIDE, {**WHO, **CHILD, **why, "receipt": receipt, "of": intent})
    told = {"outcome": "DISCLOSED", "complete": True, "disclosed": {"entries": [ENTRY], "sections": []}} | outcome
    await log.append(EventKind.OUTCOME, {**WHO, **CHILD, "receipt": receipt, "intent": intent, **told})
    return intent


async def test_a_lookup_is_one_row_with_its_outcome_and_override(
    engine: sa.Engine, open_log: Callable[..., AuditLog], index: EventIndex, keys: AuditKeys
) -> None:
    log = open_log()
    intent = await look_up(log, override=True, relationship="OVERRIDE")

    assert index.catch_up(seconds=5)
    (row,) = rows(engine)

    assert (row["seq"], row["override_seq"], row["closing_seq"]) == (intent, intent + 1, intent + 2)
    assert row["person"] == keys.opaque_id("person", "https://idp.example", "worker-1")
    assert (row["organisation"], row["role"], row["subject"]) == ("amber-council", "social_worker", CHILD["subject"])
    assert (row["purpose"], row["outcome"], row["relationship"]) == ("CP_S47", "DISCLOSED", "OVERRIDE")
    assert (row["receipt"], row["entries"], row["explained"]) == ("r1", 1, None)
    assert Flag(row["flags"]) == Flag.OVERRIDE | Flag.SILENT


@pytest.mark.parametrize(
    ("outcome", "flags"),
    [
        ({"outcome": "FAILED", "complete": False, "disclosed": {}}, Flag.FAILED | Flag.NOTHING),
        ({"outcome": "INCOMPLETE", "complete": False}, Flag.INCOMPLETE),
        ({"outcome": "NOTHING_DISCLOSABLE", "disclosed": {}}, Flag.NOTHING),
        ({"outcome": "NOTHING_DISCLOSABLE", "disclosed": {}, "shields": {"by": ["a1"]}}, Flag.NOTHING | Flag.SHIELDED),
        ({"identity": "UNCORROBORATED", "disclosed": {}}, Flag.NOTHING | Flag.UNCORROBORATED),
    ],
)
async def test_what_an_outcome_says_can_be_filtered_for(
    engine: sa.Engine, open_log: Callable[..., AuditLog], index: EventIndex, outcome: dict[str, Any], flags: Flag
) -> None:
    await look_up(open_log(), **outcome)

    index.catch_up(seconds=5)

    assert Flag(rows(engine)[0]["flags"]) == flags | Flag.SILENT


async def test_a_lookup_without_an_outcome_is_open(
    engine: sa.Engine, open_log: Callable[..., AuditLog], index: EventIndex
) -> None:
    await open_log().append(EventKind.INTENT, {**WHO, **CHILD, "receipt": "r1"})

    index.catch_up(seconds=5)

    assert (rows(engine)[0]["outcome"], Flag(rows(engine)[0]["flags"])) == (None, Flag.OPEN)


async def test_an_outcome_that_comes_in_a_later_step_closes_its_row(
    engine: sa.Engine, open_log: Callable[..., AuditLog], index: EventIndex
) -> None:
    log = open_log()
    intent = (await log.append(EventKind.INTENT, {**WHO, **CHILD, "receipt": "r1"})).seq
    index.catch_up(seconds=5)
    await log.append(EventKind.OVERRIDE, {**WHO, "of": intent})
    await log.append(EventKind.OUTCOME, {**WHO, "intent": intent, "outcome": "FAILED", "disclosed": {}})
    index.catch_up(seconds=5)

    (row,) = rows(engine)

    assert (row["override_seq"], row["closing_seq"], row["outcome"]) == (intent + 1, intent + 2, "FAILED")
    assert Flag(row["flags"]) == Flag.OVERRIDE | Flag.FAILED | Flag.NOTHING


async def test_refusals_say_why_and_how_many_they_stand_for(
    engine: sa.Engine, open_log: Callable[..., AuditLog], index: EventIndex
) -> None:
    log = open_log()
    await log.append(EventKind.DENIED, {**WHO, "code": "BUDGET person.lookups.day", "count": 7})
    await log.append(EventKind.DENIED, {"caller": {"token": "t"}, "code": "TOKEN expired"})
    index.catch_up(seconds=5)

    spent, bad = rows(engine, "DENIED")

    assert (spent["outcome"], spent["code"], spent["times"]) == ("DENIED", "BUDGET person.lookups.day", 7)
    assert Flag(spent["flags"]) == Flag.DENIED | Flag.BUDGET
    assert (bad["person"], bad["organisation"], Flag(bad["flags"])) == (None, None, Flag.DENIED | Flag.TOKEN)


async def test_heartbeats_are_no_events_and_other_records_are(
    engine: sa.Engine, open_log: Callable[..., AuditLog], index: EventIndex
) -> None:
    log = open_log()
    await log.append(EventKind.HEARTBEAT, {})
    await log.append(EventKind.READ, {**WHO, "reading": "EVENTS"})
    index.catch_up(seconds=5)

    assert rows(engine, "HEARTBEAT") == []
    assert [row["organisation"] for row in rows(engine, "READ")] == ["amber-council"]
    assert [row["code"] for row in rows(engine, "ADMIN")] == ["STARTED"]


async def test_without_time_it_says_that_it_is_not_up_with_the_log(
    open_log: Callable[..., AuditLog], index: EventIndex
) -> None:
    await look_up(open_log())

    assert not index.catch_up(seconds=0)
    assert index.catch_up(seconds=5)


async def test_who_has_time_rests_between_small_steps_and_comes_as_far(
    engine: sa.Engine, open_log: Callable[..., AuditLog], keys: AuditKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[None] = []
    monkeypatch.setattr(Resting, "rest", lambda _: rests.append(None))
    monkeypatch.setattr(module, "_ASIDE_RECORDS", 4)
    log, index = open_log(), EventIndex(engine, keys)
    for number in range(6):
        await look_up(log, f"r{number}")

    assert index.catch_up(seconds=30, aside=True)
    steps = len(rests)
    await look_up(log, "r6")
    assert index.catch_up(seconds=30)

    assert steps >= 3
    assert len(rests) == steps
    assert [row["receipt"] for row in rows(engine)] == [f"r{number}" for number in range(7)]
    assert index.differences() == 0


async def test_many_who_index_at_once_write_each_event_once(
    engine: sa.Engine, keys: AuditKeys, open_log: Callable[..., AuditLog]
) -> None:
    log = open_log()
    for number in range(30):
        await look_up(log, f"r{number}", override=number % 3 == 0)
    faults: list[BaseException] = []

    def run() -> None:
        try:
            assert EventIndex(engine, keys, step=4).catch_up(seconds=30)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert [row["receipt"] for row in rows(engine)] == [f"r{number}" for number in range(30)]
    assert all(row["outcome"] == "DISCLOSED" for row in rows(engine))
    assert EventIndex(engine, keys).differences() == 0


async def test_what_is_purged_is_forgotten_but_for_what_the_leaf_says(
    engine: sa.Engine, open_log: Callable[..., AuditLog], index: EventIndex
) -> None:
    log = open_log()
    intent = await look_up(log, "old")
    await look_up(log, "new")
    index.catch_up(seconds=5)
    purged = {"action": "PAYLOAD_PURGED", "shard": log.shard, "first": 0, "last": intent + 1}
    await log.append(EventKind.ADMIN, purged)
    index.catch_up(seconds=5)

    old, new = rows(engine)

    assert (old["kind"], Flag(old["flags"])) == ("INTENT", Flag.PURGED)
    assert [old[name] for name in ("person", "organisation", "subject", "purpose", "receipt")] == [None] * 5
    assert new["receipt"] == "new"


@pytest.mark.parametrize("again", [False, True], ids=["brought-up", "rebuilt"])
async def test_a_purge_of_more_than_one_transaction_takes_is_forgotten_whole(
    engine: sa.Engine,
    open_log: Callable[..., AuditLog],
    index: EventIndex,
    monkeypatch: pytest.MonkeyPatch,
    again: bool,
) -> None:
    monkeypatch.setattr(index_writing, "MOST_ROWS", 2)
    log = open_log()
    for number in range(4):
        last = await look_up(log, f"old-{number}", override=True)
    kept = await look_up(log, "new")
    index.catch_up(seconds=5)
    purged = {"action": "PAYLOAD_PURGED", "shard": log.shard, "first": 0, "last": last + 2}
    await log.append(EventKind.ADMIN, purged)
    if again:
        with engine.begin() as connection:
            connection.execute(sa.update(event_index).values(subject="left"))
        index.rebuild()
    else:
        index.catch_up(seconds=5)

    *old, new = rows(engine)

    assert [(row["receipt"], row["subject"], Flag(row["flags"])) for row in old] == [(None, None, Flag.PURGED)] * 4
    assert [row["closing_seq"] for row in old] == [row["seq"] + 2 for row in old]
    assert (new["seq"], new["receipt"]) == (kept, "new")
    assert index.differences() == 0
    with engine.connect() as connection:
        assert connection.scalar(sa.select(event_index_position.c.next_seq)) == log.committed.size


@pytest.mark.parametrize("again", [False, True], ids=["brought-up", "rebuilt"])
@pytest.mark.parametrize(
    ("of", "first", "last"),
    [(None, 0, MOST), (None, -MOST, MOST), (None, MOST - 1, MOST), ("another", 0, MOST), ("another", -MOST, MOST)],
)
async def test_a_purge_of_more_than_was_ever_written_takes_no_longer_than_what_was(
    engine: sa.Engine,
    open_log: Callable[..., AuditLog],
    index: EventIndex,
    of: str | None,
    first: int,
    last: int,
    again: bool,
) -> None:
    log = open_log()
    await look_up(log, "old")
    await log.append(
        EventKind.ADMIN, {"action": "PAYLOAD_PURGED", "shard": of or log.shard, "first": first, "last": last}
    )
    await look_up(log, "new")
    written = 0

    def count(_: Any, __: Any, statement: str, *___: Any) -> None:
        nonlocal written
        written += statement.startswith("UPDATE event_index SET")
        assert written < 200, "it goes on and on"

    sa.event.listen(engine, "before_cursor_execute", count)
    try:
        assert index.catch_up(seconds=60)
        if again:
            index.rebuild()
    finally:
        sa.event.remove(engine, "before_cursor_execute", count)

    gone = None if of is None and first <= 0 else "old"
    assert [row["receipt"] for row in rows(engine)] == [gone, "new"]
    assert index.differences() == 0


async def test_a_rebuilt_index_keeps_a_purge_and_the_verdict_of_detection(
    engine: sa.Engine, open_log: Callable[..., AuditLog], index: EventIndex
) -> None:
    log = open_log()
    intent = await look_up(log, "old")
    await look_up(log, "new")
    await log.append(EventKind.ADMIN, {"action": "PAYLOAD_PURGED", "shard": log.shard, "first": 0, "last": intent + 1})
    index.catch_up(seconds=5)
    with engine.begin() as connection:
        connection.execute(sa.update(event_index).where(event_index.c.receipt == "new").values(explained=1))
    before = rows(engine)

    index.rebuild()

    assert rows(engine) == before
    assert [Flag.PURGED in Flag(row["flags"]) for row in before] == [True, False]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM event_index WHERE kind = 'INTENT'",
        "UPDATE event_index SET organisation = 'brook-council' WHERE kind = 'INTENT'",
        "UPDATE event_index SET outcome = 'FAILED' WHERE kind = 'INTENT'",
        "UPDATE event_index SET closing_seq = 1, flags = flags & -5 WHERE receipt = 'open'",
        "UPDATE event_index SET flags = 512 WHERE kind = 'INTENT'",
        "INSERT INTO event_index (shard, seq, at_ms, kind, entries, times, flags) VALUES ('x', 1, 1, 'READ', 0, 1, 0)",
    ],
)
async def test_an_index_that_says_another_thing_than_the_log_is_found_and_mended(
    engine: sa.Engine, open_log: Callable[..., AuditLog], index: EventIndex, damage: str
) -> None:
    log = open_log()
    await look_up(log, "r1")
    await log.append(EventKind.INTENT, {**WHO, **CHILD, "receipt": "open"})
    index.catch_up(seconds=5)
    sound = rows(engine)
    assert index.differences() == 0
    with engine.begin() as connection:
        connection.execute(sa.text(damage))

    assert index.differences() > 0
    index.rebuild()

    assert rows(engine) == sound
    assert index.differences() == 0


async def test_a_lost_index_comes_back_from_the_log_alone(
    engine: sa.Engine, open_log: Callable[..., AuditLog], index: EventIndex
) -> None:
    await look_up(open_log())
    index.catch_up(seconds=5)
    sound = rows(engine)
    with engine.begin() as connection:
        connection.execute(sa.delete(event_index))
        connection.execute(sa.delete(event_index_position))

    assert index.catch_up(seconds=5)

    assert rows(engine) == sound


async def test_what_the_detection_found_no_reason_for_is_marked_and_stays_so(
    engine: sa.Engine, open_log: Callable[..., AuditLog], index: EventIndex
) -> None:
    log = open_log()
    for receipt in ("r1", "r2"):
        await look_up(log, receipt)
    index.catch_up(seconds=5)
    index.mark_unexplained({"r2", "of-another-log"})
    index.rebuild()

    assert [row["explained"] for row in rows(engine)] == [None, 0]
    assert index.differences() == 0


async def test_nothing_of_a_person_or_child_stands_in_it_in_clear(
    engine: sa.Engine, open_log: Callable[..., AuditLog], index: EventIndex
) -> None:
    await look_up(open_log())
    index.catch_up(seconds=5)

    assert "worker-1" not in str(rows(engine))
    assert "A referral" not in str(rows(engine))
