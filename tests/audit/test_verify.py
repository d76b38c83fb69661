"""Any single thing changed, removed, added or swapped in the stored log is found."""

# ruff: noqa: S608 (the statements are put together from the names of our own tables)

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.audit.events import PAYLOAD_KEYS, AdminAction, EventKind, unlisted_keys
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.tables import TRIGGERS, audit_leaf, audit_node, audit_payload, audit_shard
from gateway.audit.verify import NoLog, Status, Verification, verify
from gateway.migrate import migrate
from gateway.storage.engine import open_engine
from gateway.storage.errors import DatabaseUnreadable
from tests.fixtures.migrated import open_migrated

TABLES = (audit_shard, audit_leaf, audit_payload, audit_node)
CELLS = [(table.name, column.name) for table in TABLES for column in table.columns]
LEAVES = 21


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound log in a file of its own: 21 leaves, so that the tree has several peaks."""
    folder = tmp_path_factory.mktemp("sound")
    engine = open_migrated(folder / "log.db")
    log = AuditLog.open(engine, AuditKeys.load_or_create(folder / "key"), on_fatal=lambda: None)

    async def fill() -> None:
        for count in range((LEAVES - 3) // 2):
            intent = await log.append(EventKind.INTENT, {"reason": f"visit {count}", "subject": "a" * 64})
            await log.append(EventKind.OUTCOME, {"intent": intent.seq, "disclosed": ["involvements.contact"]})
        await log.append(EventKind.DENIED, {"code": "FORBIDDEN"})

    asyncio.run(fill())
    log.close()
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return folder / "log.db"


@contextmanager
def without_triggers(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody who takes the triggers away, and puts them back when done."""
    database = sqlite3.connect(file, isolation_level=None)
    try:
        for name in TRIGGERS:
            database.execute(f"DROP TRIGGER {name}")
        yield database
        for text in TRIGGERS.values():
            database.execute(text)
    finally:
        database.close()


def found(file: Path) -> Verification:
    engine = open_engine(f"sqlite:///{file}", create=False)
    try:
        return verify(engine)
    finally:
        engine.dispose()


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Callable[[], Path]:
    def fresh() -> Path:
        for old in tmp_path.glob("log.db*"):
            old.unlink()
        return Path(shutil.copy(sound, tmp_path / "log.db"))

    return fresh


many = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_a_sound_log_is_good(copy: Callable[[], Path]) -> None:
    result = found(copy())

    assert (result.status, result.findings, result.records, result.open_intents) == (Status.GOOD, [], LEAVES, 0)
    assert f":{LEAVES}:" in result.root


def test_taking_the_triggers_away_and_putting_them_back_alone_is_good(copy: Callable[[], Path]) -> None:
    """The control of every test below: it is not the handling of triggers that is found."""
    file = copy()
    with without_triggers(file):
        pass

    assert found(file).status is Status.GOOD


def changed(value: Any, position: int, bit: int) -> Any:
    """Return the value with one bit flipped, of its text, bytes or number."""
    match value:
        case bytes():
            at = position % len(value)
            return value[:at] + bytes([value[at] ^ (1 << bit)]) + value[at + 1 :]
        case str():
            raw = value.encode()
            at = position % len(raw)
            # within ASCII, or SQLite could not read it back as text
            return (raw[:at] + bytes([raw[at] ^ (1 << bit % 7)]) + raw[at + 1 :]).decode()
        case int():
            return value ^ (1 << bit)
        case _:
            return position


@many
@given(st.sampled_from(CELLS), st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_found(
    copy: Callable[[], Path], cell: tuple[str, str], row: int, position: int, bit: int
) -> None:
    table, column = cell
    file = copy()
    with without_triggers(file) as database:
        keys = {"audit_shard": "id", "audit_node": "shard, level, ix"}.get(table, "shard, seq")
        rows = database.execute(f"SELECT {keys}, {column} FROM {table}").fetchall()
        *key, value = rows[row % len(rows)]
        where = " AND ".join(f"{name} = ?" for name in keys.split(", "))
        try:
            database.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (changed(value, position, bit), *key))
        except sqlite3.IntegrityError:
            assume(False)

    assert found(file).status is Status.TAMPERED


def test_every_byte_of_a_record_is_covered(copy: Callable[[], Path]) -> None:
    """Exhaustive for one record in the middle: each byte of its leaf, hash, payload and salt, and of two nodes."""
    file = copy()
    with without_triggers(file):
        pass
    targets = [
        (table, column, where)
        for table, columns, where in (
            ("audit_leaf", ("body", "hash"), "seq = 9"),
            ("audit_payload", ("body", "salt"), "seq = 9"),
            ("audit_node", ("hash",), "level = 1 AND ix = 4"),
            ("audit_node", ("hash",), "level = 4 AND ix = 0"),
        )
        for column in columns
    ]
    missed = []
    for table, column, where in targets:
        engine = open_engine(f"sqlite:///{file}", create=False)
        with sqlite3.connect(file, isolation_level=None) as database:
            database.execute(f"DROP TRIGGER {table}_fixed")
            (value,) = database.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()
            for position in range(len(value)):
                database.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (changed(value, position, 0),))
                # more than the missing trigger is found
                if len(verify(engine).findings) < 2:
                    missed.append((table, column, position))
            database.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
            database.execute(TRIGGERS[f"{table}_fixed"])
        database.close()
        engine.dispose()

    assert missed == []
    assert found(file).status is Status.GOOD


@many
@given(st.sampled_from([table.name for table in TABLES]), st.integers(0, 10_000))
def test_a_row_taken_out_is_found(copy: Callable[[], Path], table: str, row: int) -> None:
    file = copy()
    keys = {"audit_shard": "id", "audit_node": "shard, level, ix"}.get(table, "shard, seq")
    with without_triggers(file) as database:
        rows = database.execute(f"SELECT {keys} FROM {table}").fetchall()
        database.execute(f"DELETE FROM {table} WHERE ({keys}) = ({keys.count(',') * '?, '}?)", rows[row % len(rows)])

    assert found(file).status is Status.TAMPERED


@many
@given(
    st.sampled_from([("audit_leaf", "body, hash"), ("audit_leaf", "body"), ("audit_payload", "salt, body")]),
    st.integers(0, LEAVES - 1),
    st.integers(0, LEAVES - 1),
)
def test_two_rows_swapped_are_found(copy: Callable[[], Path], what: tuple[str, str], first: int, second: int) -> None:
    assume(first != second)
    table, columns = what
    file = copy()
    with without_triggers(file) as database:
        contents = [
            database.execute(f"SELECT {columns} FROM {table} WHERE seq = ?", (seq,)).fetchone()
            for seq in (first, second)
        ]
        for content, seq in zip(reversed(contents), (first, second), strict=True):
            database.execute(
                f"UPDATE {table} SET ({columns}) = (SELECT {', '.join('?' * len(content))}) WHERE seq = ?",
                (*content, seq),
            )

    assert found(file).status is Status.TAMPERED


ALTERATIONS = {
    "leaf": "INSERT INTO audit_leaf SELECT shard, seq + 1, body, hash FROM audit_leaf WHERE seq = 20",
    "leaf-before": "INSERT INTO audit_leaf SELECT shard, -1, body, hash FROM audit_leaf WHERE seq = 0",
    "shard-not-listed": "INSERT INTO audit_leaf SELECT 'other', seq, body, hash FROM audit_leaf",
    "payload": "INSERT INTO audit_payload SELECT shard, 99, salt, body FROM audit_payload WHERE seq = 1",
    "payload-of-no-shard": "INSERT INTO audit_payload SELECT 'other', 0, salt, body FROM audit_payload WHERE seq = 1",
    "node": "INSERT INTO audit_node SELECT shard, level, 99, hash FROM audit_node WHERE level = 4",
    "node-above": "INSERT INTO audit_node SELECT shard, 9, 0, hash FROM audit_node WHERE level = 4",
    "node-below": "INSERT INTO audit_node SELECT shard, 0, 0, hash FROM audit_node WHERE level = 4",
    "shard-of-nothing": "INSERT INTO audit_shard VALUES ('other', 'contactpoint-gateway/audit/other', 1, NULL, 'OPEN')",
    "shard-closed-by-no-record": "UPDATE audit_shard SET closed = 5, state = 'CLOSED'",
    "leaf-of-another-type": "UPDATE audit_leaf SET body = CAST(body AS TEXT) WHERE seq = 3",
    "payload-of-another-type": "UPDATE audit_payload SET body = CAST(body AS TEXT) WHERE seq = 3",
    "salt-blanked": "UPDATE audit_payload SET salt = x'' WHERE seq = 3",
    "hashes-blanked": "UPDATE audit_leaf SET hash = x''",
    "last-leaf-taken-off": "DELETE FROM audit_leaf WHERE seq = 20",
    "no-nodes": "DELETE FROM audit_node",
    "no-payloads": "DELETE FROM audit_payload",
    "no-leaves": "DELETE FROM audit_leaf",
    "no-shards": "DELETE FROM audit_shard",
    "no-table-of-nodes": "ALTER TABLE audit_node RENAME TO audit_nodes",
}


@pytest.mark.parametrize("statement", [pytest.param(text, id=name) for name, text in ALTERATIONS.items()])
def test_finds_an_added_or_altered(copy: Callable[[], Path], statement: str) -> None:
    file = copy()
    database = sqlite3.connect(file, isolation_level=None)
    texts = TRIGGERS if "RENAME" not in statement else {}
    for name in texts:
        database.execute(f"DROP TRIGGER {name}")
    database.execute(statement)
    for text in texts.values():
        database.execute(text)
    database.close()

    assert found(file).status is Status.TAMPERED


def test_a_leaf_recomputed_with_its_hash_is_found_by_the_nodes(copy: Callable[[], Path]) -> None:
    file = copy()
    with without_triggers(file) as database:
        (body,) = database.execute("SELECT body FROM audit_leaf WHERE seq = 4").fetchone()
        forged = body.replace(b"OUTCOME", b"HEARTBEAT")
        assert forged != body
        database.execute(
            "UPDATE audit_leaf SET body = ?, hash = ? WHERE seq = 4", (forged, sha256(b"\x00" + forged).digest())
        )

    assert "node 1/2" in " ".join(found(file).findings)


def test_an_end_cut_off_cleanly_is_not_seen_without_a_witness(copy: Callable[[], Path]) -> None:
    """The limit of a log that nobody else has seen, kept here so that nobody claims more."""
    file = copy()
    with without_triggers(file) as database:
        for table in ("audit_leaf", "audit_payload"):
            database.execute(f"DELETE FROM {table} WHERE seq >= 20")

    assert found(file).status is Status.GOOD


@pytest.mark.parametrize("trigger", list(TRIGGERS))
def test_a_trigger_taken_away_or_weakened_is_found(copy: Callable[[], Path], trigger: str) -> None:
    file = copy()
    database = sqlite3.connect(file, isolation_level=None)
    database.execute(f"DROP TRIGGER {trigger}")
    without = found(file)
    database.execute(TRIGGERS[trigger].replace(" BEGIN ", " WHEN 0 BEGIN "))
    weakened = found(file)
    database.close()

    assert [result.status for result in (without, weakened)] == [Status.TAMPERED] * 2
    assert trigger in " ".join(without.findings)


def test_a_foreign_trigger_on_the_log_is_found(copy: Callable[[], Path]) -> None:
    file = copy()
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("CREATE TRIGGER quiet AFTER INSERT ON audit_leaf BEGIN SELECT 1; END")
    database.close()

    assert found(file).status is Status.TAMPERED


def test_a_page_overwritten_in_the_file_is_found(copy: Callable[[], Path]) -> None:
    file = copy()
    content = bytearray(file.read_bytes())
    # from the third page on: the first two hold the header and the schema's own rows
    for page in range(2, len(content) // 4096):
        damaged = bytearray(content)
        damaged[page * 4096 : page * 4096 + 64] = b"\xff" * 64
        file.write_bytes(damaged)
        try:
            status = found(file).status
        except (NoLog, DatabaseUnreadable):
            # the schema's own rows fill more than one page: without them there is no table to read
            status = Status.TAMPERED
        # a page of a table that is not the log's may be whatever it is
        assert status is Status.TAMPERED or page_is_not_the_log_s(file, page + 1)


def page_is_not_the_log_s(file: Path, page: int) -> bool:
    database = sqlite3.connect(file)
    roots = dict(database.execute("SELECT rootpage, tbl_name FROM sqlite_schema"))
    database.close()
    return not str(roots.get(page, "audit_")).startswith("audit_")


def test_a_payload_that_a_record_says_was_purged_may_be_absent(tmp_path: Path) -> None:
    engine = open_migrated(tmp_path / "log.db")
    log = AuditLog.open(engine, AuditKeys.load_or_create(tmp_path / "key"), on_fatal=lambda: None)

    async def fill() -> None:
        for _ in range(4):
            await log.append(EventKind.INTENT, {})
        purged = {"action": AdminAction.PAYLOAD_PURGED, "shard": log.shard, "first": 1, "last": 2}
        await log.append(EventKind.ADMIN, purged)

    asyncio.run(fill())
    log.close()
    with without_triggers(tmp_path / "log.db") as database:
        database.execute("DELETE FROM audit_payload WHERE seq IN (1, 2)")
        announced = verify(engine)
        database.execute("DELETE FROM audit_payload WHERE seq = 3")
        beyond = verify(engine)

    engine.dispose()
    missing = "no record says that it was purged"
    assert not any(missing in finding for finding in announced.findings)
    assert announced.open_intents == 2
    assert any(missing in finding for finding in beyond.findings)


def test_a_log_is_verified_while_it_is_written(tmp_path: Path) -> None:
    engine = open_migrated(tmp_path / "log.db")
    log = AuditLog.open(engine, AuditKeys.load_or_create(tmp_path / "key"), on_fatal=lambda: None)

    async def both() -> list[Status]:
        writing = asyncio.gather(*(log.append(EventKind.DENIED, {}) for _ in range(3000)))
        statuses = [(await asyncio.to_thread(verify, engine)).status for _ in range(10)]
        await writing
        return statuses

    assert set(asyncio.run(both())) == {Status.GOOD}
    log.close()
    engine.dispose()


def test_there_is_no_log_in_an_empty_database(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/log.db")
    with pytest.raises(NoLog):
        verify(engine)
    migrate(engine)
    with pytest.raises(NoLog):
        verify(engine)
    engine.dispose()


def test_findings_are_places_and_never_contents(copy: Callable[[], Path]) -> None:
    file = copy()
    with without_triggers(file) as database:
        database.execute("UPDATE audit_payload SET body = x'7b7d' WHERE seq > 0")

    text = " ".join(found(file).findings)

    assert "payload 3" in text
    assert "visit" not in text


def test_every_kind_of_record_has_its_list_of_keys() -> None:
    assert set(PAYLOAD_KEYS) == set(EventKind)
    assert unlisted_keys(EventKind.HEARTBEAT, {"child": 1}) == {"child"}
    assert unlisted_keys(EventKind.OUTCOME, {"intent": 1}) == frozenset()


def test_the_engine_is_left_usable(copy: Callable[[], Path]) -> None:
    engine = open_engine(f"sqlite:///{copy()}", create=False)
    verify(engine)
    with engine.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(audit_leaf)) == LEAVES
    engine.dispose()
