"""Events and reports read the same from either database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest
import sqlalchemy as sa

from gateway.audit.events import EventKind
from gateway.audit.events_query import NotWhatWasWritten, Place, Wanted, page
from gateway.audit.index import EventIndex
from gateway.audit.index_tables import Flag
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.reports import counting, integrity, ledger, looks
from gateway.audit.reports.counting import Period
from gateway.storage.tables import review

pytestmark = pytest.mark.anyio

EVER: Final = Period(None, None, None)
SUBJECT: Final = "ab" * 32
TOLD: Final = {
    "entry": "e1",
    "agency": "a1",
    "sources": ["a1"],
    "practitioner": {"name": "Zoë Brook", "registration": "SWE:SW900001"},
    "fields": ["practitioner.name"],
}


def who(subject: str = "worker-1", organisation: str = "amber-council") -> dict[str, Any]:
    caller = {"issuer": "i", "subject": subject, "organisation": organisation, "roles": ["social_worker"]}
    return {"caller": caller, "subject": SUBJECT}


async def look_up(log: AuditLog, receipt: str, *, entries: Any = (TOLD,), override: bool = False, **asker: str) -> None:
    whose, why = who(**asker), {"purpose": "CP_S47", "override": {"justification": "x"} if override else None}
    intent = (await log.append(EventKind.INTENT, {**whose, **why, "receipt": receipt})).seq
    if override:
        await log.append(EventKind.OVERRIDE, {**whose, "of": intent, "receipt": receipt})
    told = {"entries": list(entries), "sections": []}
    outcome = {"intent": intent, "receipt": receipt, "outcome": "DISCLOSED", "complete": True, "disclosed": told}
    await log.append(EventKind.OUTCOME, {**whose, **outcome})


@pytest.fixture
def indexed(engine: sa.Engine, keys: AuditKeys) -> Callable[[], sa.Connection]:
    """Bring the index up, and give a connection that is closed with the engine."""

    def up() -> sa.Connection:
        assert EventIndex(engine, keys).catch_up(seconds=30)
        return engine.connect()

    return up


async def test_pages_are_the_same_events_in_the_same_order(
    open_log: Callable[..., AuditLog], indexed: Callable[[], sa.Connection]
) -> None:
    log = open_log()
    for number in range(7):
        await look_up(log, f"r{number}")
    wanted = Wanted(frozenset({"amber-council"}), kinds=frozenset({"INTENT"}))
    seen: list[str] = []
    after: Place | None = None
    with indexed() as connection:
        more = True
        while more:
            found, more = page(connection, wanted, after, 3)
            seen += [event.row["receipt"] for event in found]
            after = found[-1].place

    assert seen == [f"r{number}" for number in range(6, -1, -1)]


async def test_every_filter_is_understood(
    open_log: Callable[..., AuditLog], indexed: Callable[[], sa.Connection], keys: AuditKeys
) -> None:
    log = open_log()
    await look_up(log, "r1", override=True)
    await log.append(EventKind.INTENT, {**who(), "receipt": "open"})
    wanted = {
        "person": keys.opaque_id("person", "i", "worker-1"),
        "subject": SUBJECT,
        "receipt": "r1",
        "purposes": frozenset({"CP_S47"}),
        "outcomes": frozenset({"DISCLOSED", "UNKNOWN"}),
        "kinds": frozenset({"INTENT"}),
        "flags": int(Flag.OVERRIDE),
        "since_ms": 0,
        "until_ms": 2**45,
    }
    with indexed() as connection:
        for more in ({}, {"unexplained": True}):
            found, _ = page(connection, Wanted(None, **wanted, **more), None, 10)  # type: ignore[arg-type]
            assert [event.row["receipt"] for event in found] == ([] if more else ["r1"])
        unknown, _ = page(connection, Wanted(None, outcomes=frozenset({"UNKNOWN"})), None, 10)

    assert [event.row["receipt"] for event in unknown] == ["open"]


async def test_a_payload_that_is_not_what_its_leaf_binds_is_not_shown(
    owner: sa.Engine, open_log: Callable[..., AuditLog], indexed: Callable[[], sa.Connection]
) -> None:
    log = open_log()
    await look_up(log, "r1")
    indexed().close()
    changed = msgspec.json.encode({**who(), "purpose": "CIN_S17", "receipt": "r1"})
    with owner.begin() as connection:
        if owner.dialect.name == "sqlite":
            connection.execute(sa.text("DROP TRIGGER audit_payload_fixed"))
        else:
            connection.execute(sa.text("ALTER TABLE audit_payload DISABLE TRIGGER ALL"))
        query = "UPDATE audit_payload SET body = :body WHERE seq = 1"
        connection.execute(sa.text(query), {"body": changed})

    with indexed() as connection, pytest.raises(NotWhatWasWritten):
        page(connection, Wanted(None, kinds=frozenset({"INTENT"})), None, 10)


async def test_what_was_purged_a_moment_ago_is_shown_as_no_more_than_its_leaf(
    owner: sa.Engine, open_log: Callable[..., AuditLog], indexed: Callable[[], sa.Connection]
) -> None:
    await look_up(open_log(), "r1")
    indexed().close()
    with owner.begin() as connection:
        if owner.dialect.name == "sqlite":
            for (name,) in connection.execute(sa.text("SELECT name FROM sqlite_schema WHERE type = 'trigger'")).all():
                connection.execute(sa.text(f"DROP TRIGGER {name}"))
        else:
            connection.execute(sa.text("ALTER TABLE audit_payload DISABLE TRIGGER ALL"))
        connection.execute(sa.text("DELETE FROM audit_payload WHERE seq = 1"))

    with indexed() as connection:
        (event,), _ = page(connection, Wanted(None, kinds=frozenset({"INTENT"})), None, 10)

    assert (event.row["kind"], event.flags, event.first) == ("INTENT", Flag.PURGED, None)
    assert event.row["subject"] is event.row["organisation"] is event.row["receipt"] is None


@pytest.mark.parametrize(
    ("by", "value"), [("registration", "SWE:SW900001"), ("name", "Zoë Brook"), ("entry", "e1"), ("name", "Brook")]
)
async def test_who_was_told_of_a_practitioner_is_found_in_the_log(
    open_log: Callable[..., AuditLog], indexed: Callable[[], sa.Connection], by: str, value: str
) -> None:
    log = open_log()
    await look_up(log, "r1")
    await look_up(log, "r2", entries=())
    await log.append(EventKind.DENIED, {**who(), "reason": f'"{value}"'})

    def theirs(entry: Any) -> bool:
        return value == (entry["entry"] if by == "entry" else entry["practitioner"][by])

    with indexed() as connection:
        found, fields = looks.of_practitioner(connection, msgspec.json.encode(value), theirs)

    expected = [] if value == "Brook" else ["r1"]
    assert [event.row["receipt"] for event in found] == expected
    assert fields == {receipt: ["practitioner.name"] for receipt in expected}


async def test_the_look_ups_of_a_child_come_in_order_with_what_the_log_says(
    open_log: Callable[..., AuditLog], indexed: Callable[[], sa.Connection]
) -> None:
    log = open_log()
    await look_up(log, "r1")
    await log.append(EventKind.DENIED, {**who(), "code": "NOTHING_GRANTED", "receipt": "r2"})
    with indexed() as connection:
        found = looks.of_subject(connection, SUBJECT)
        none = looks.of_subject(connection, SUBJECT, until_ms=1)

    assert [(event.row["receipt"], event.row["outcome"]) for event in found] == [("r1", "DISCLOSED"), ("r2", "DENIED")]
    assert found[0].first is not None
    assert found[0].first["purpose"] == "CP_S47"
    assert none == []


async def test_counts_are_those_of_the_log(
    open_log: Callable[..., AuditLog], indexed: Callable[[], sa.Connection]
) -> None:
    log = open_log()
    await look_up(log, "r1", override=True)
    await look_up(log, "r2", entries=(), organisation="brook-council")
    await log.append(EventKind.DENIED, {**who(), "code": "BUDGET person.lookups.day", "count": 9})
    with indexed() as connection:
        by = {rate.group: rate for rate in counting.rates(connection, EVER, "organisation")}
        people = counting.people(connection, EVER)
        assert counting.rates(connection, Period(2**45, None, None), "role") == []

    assert by["amber-council"] == counting.Rate("amber-council", 1, 9, 1, 0, 0, 0)
    assert by["brook-council"] == counting.Rate("brook-council", 1, 0, 0, 1, 0, 0)
    assert sorted((p.organisation, p.lookups, p.misses) for p in people) == [
        ("amber-council", 1, 0),
        ("brook-council", 1, 1),
    ]


async def test_the_ledger_joins_overrides_and_their_reviews(
    engine: sa.Engine, open_log: Callable[..., AuditLog], indexed: Callable[[], sa.Connection]
) -> None:
    log = open_log()
    await look_up(log, "r1", override=True)
    await look_up(log, "r2", override=True)
    row = {
        "id": "v1",
        "kind": "BREAK_GLASS",
        "shard": log.shard,
        "seq": 2,
        "receipt": "r1",
        "organisation": "amber-council",
        "person": "p",
        "child": SUBJECT,
        "purpose": "CP_S47",
        "opened_at": "2026-11-26T09:00:00+00:00",
        "due_at": "2026-11-27T09:00:00+00:00",
        "state": "OPEN",
    }
    with engine.begin() as connection:
        connection.execute(sa.insert(review), row)
    with indexed() as connection:
        found = ledger.overrides(connection, EVER)

    assert [(o.receipt, o.state) for o in found] == [("r1", "OPEN"), ("r2", ledger.NO_REVIEW)]


async def test_integrity_reads_every_shard_and_what_is_open(
    open_log: Callable[..., AuditLog], indexed: Callable[[], sa.Connection]
) -> None:
    log = open_log()
    await log.append(EventKind.INTENT, {**who(), "receipt": "open"})
    with indexed() as connection:
        shards = {shard.id: shard for shard in integrity.shards(connection)}
        opened, count = integrity.open_intents(connection, before_ms=2**45, most=10)
        witnesses = integrity.witnesses(connection)

    assert (shards[log.shard].state, shards[log.shard].signed) == ("OPEN", 0)
    assert shards[log.shard].records >= 2
    assert ([o.receipt for o in opened], count, witnesses) == (["open"], 1, 0)
