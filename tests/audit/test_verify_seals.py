"""Whatever is changed in seals, shards and the master log is found; and what a checkpoint kept elsewhere shows.

The log here has all there is: two shards, checkpoints, a witness's cosignatures and a master log.
"""

# ruff: noqa: S608 (the statements are put together from the names of our own tables)

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.audit.checkpointer import Checkpointer
from gateway.audit.checkpoints import Checkpoint, open_checkpoint
from gateway.audit.cosignatures import Ed25519Cosigner
from gateway.audit.events import EventKind
from gateway.audit.freezing import freeze
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.master import is_master
from gateway.audit.merkle import EMPTY_ROOT
from gateway.audit.notes import Note, NoteSigner
from gateway.audit.recovery import origin_of
from gateway.audit.sealed import store_cosignature
from gateway.audit.signing import LogSigner
from gateway.audit.tables import TRIGGERS, audit_checkpoint
from gateway.audit.verification.stretch import STRETCH
from gateway.audit.verification.trust import Trust, held
from gateway.audit.verify import Status, Verification, verify
from gateway.storage.engine import open_engine, writing
from tests.audit import second_verifier
from tests.fixtures.migrated import open_migrated

WITNESS = Ed25519Cosigner("witness.example/w", b"w" * 32)
TABLES = ("audit_shard", "audit_leaf", "audit_payload", "audit_node", "audit_checkpoint", "audit_cosignature")
SEALS = ("audit_checkpoint", "audit_cosignature")

many = settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])


def cosign(engine: sa.Engine, keys: AuditKeys) -> None:
    """Cosign every checkpoint that nobody has cosigned, as a witness's client would store it."""
    with writing(engine).begin() as connection:
        for shard, size, note in connection.execute(sa.select(audit_checkpoint)).all():
            checkpoint, _ = open_checkpoint(note, [LogSigner.of(keys).key])
            line = WITNESS.cosign(checkpoint, int(time.time())).line().encode()
            store_cosignature(connection, shard, size, WITNESS.key.label, line)


def write(engine: sa.Engine, keys: AuditKeys, rounds: int = 3) -> list[str]:
    """Write two shards side by side, checkpointed and cosigned, and close them; return their names."""
    logs = [AuditLog.open(engine, keys, on_fatal=lambda: None, witnesses=[str(WITNESS.key)]) for _ in range(2)]
    sealing = [Checkpointer(engine, log, keys.key_id, LogSigner.of(keys)) for log in logs]

    async def fill() -> None:
        for count in range(rounds):
            for log, each in zip(logs, sealing, strict=True):
                intent = await log.append(EventKind.INTENT, {"reason": f"visit {count}"})
                await log.append(EventKind.OUTCOME, {"intent": intent.seq, "disclosed": ["involvements.contact"]})
                each.checkpoint()
                cosign(engine, keys)

    asyncio.run(fill())
    for log, each in zip(logs, sealing, strict=True):
        log.close()
        each.close()
    return [log.shard for log in logs]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> AuditKeys:
    return AuditKeys.load_or_create(tmp_path_factory.mktemp("keys") / "key")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, keys: AuditKeys) -> Path:
    file = tmp_path_factory.mktemp("sound") / "log.db"
    engine = open_migrated(file)
    write(engine, keys)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return file


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Callable[[], Path]:
    def fresh() -> Path:
        for old in tmp_path.glob("log.db*"):
            old.unlink()
        return Path(shutil.copy(sound, tmp_path / "log.db"))

    return fresh


def found(file: Path, keys: AuditKeys | None, **trusted: Any) -> Verification:
    engine = open_engine(f"sqlite:///{file}", create=False)
    try:
        if keys is not None:
            trusted = {"log_keys": (LogSigner.of(keys).key,), **trusted}
        return verify(engine, Trust(**trusted))
    finally:
        engine.dispose()


def change(file: Path, *statements: str | tuple[str, tuple[Any, ...]]) -> None:
    """Do what somebody does who takes the triggers away and puts them back."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for name in TRIGGERS:
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(*((statement,) if isinstance(statement, str) else statement))
        for text in TRIGGERS.values():
            database.execute(text)


def rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(file) as database:
        found = database.execute(query).fetchall()
    database.close()
    return found


def test_a_sealed_log_is_good(copy: Callable[[], Path], keys: AuditKeys) -> None:
    result = found(copy(), keys)

    assert (result.status, result.findings, result.unsealed) == (Status.GOOD, [], 0)
    assert result.checkpoints > 8
    assert result.cosignatures > 6


def test_without_a_key_the_log_s_own_word_is_taken_and_said(copy: Callable[[], Path]) -> None:
    result = found(copy(), None)

    assert result.status is Status.INCOMPLETE
    assert result.findings == ["who signs the checkpoints was taken from the log itself: give its verifier key"]


def test_another_key_than_the_log_s_is_found(copy: Callable[[], Path]) -> None:
    assert found(copy(), None, log_keys=(NoteSigner("n", b"n" * 32).key,)).status is Status.TAMPERED


def flipped(value: Any, position: int, bit: int) -> Any:
    match value:
        case bytes():
            at = position % len(value)
            return value[:at] + bytes([value[at] ^ (1 << bit)]) + value[at + 1 :]
        case str():
            raw = value.encode()
            at = position % len(raw)
            return (raw[:at] + bytes([raw[at] ^ (1 << bit % 7)]) + raw[at + 1 :]).decode()
        case int():
            return value ^ (1 << bit)
        case _:
            return position


@many
@given(st.sampled_from(TABLES), st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_in_any_column_of_any_table_is_found(
    copy: Callable[[], Path], keys: AuditKeys, table: str, which: int, position: int, bit: int
) -> None:
    file = copy()
    columns = [name for _, name, *_ in rows(file, f"PRAGMA table_info({table})")]
    column = columns[which % len(columns)]
    stored = rows(file, f"SELECT {', '.join(columns)} FROM {table}")
    row = stored[which % len(stored)]
    where = " AND ".join(f"{name} IS ?" for name in columns)
    try:
        new = flipped(row[columns.index(column)], position, bit)
        change(file, (f"UPDATE {table} SET {column} = ? WHERE {where}", (new, *row)))
    except sqlite3.IntegrityError:
        assume(False)

    assert found(file, keys).status is Status.TAMPERED


def test_every_byte_of_a_note_and_of_a_cosignature_is_covered(copy: Callable[[], Path], keys: AuditKeys) -> None:
    file = copy()
    missed = []
    engine = open_engine(f"sqlite:///{file}", create=False)
    trust = Trust(log_keys=(LogSigner.of(keys).key,))
    database = sqlite3.connect(file, isolation_level=None)
    for name in TRIGGERS:
        database.execute(f"DROP TRIGGER {name}")
    for table, column in (("audit_checkpoint", "note"), ("audit_cosignature", "line")):
        of = "SELECT shard, size FROM audit_cosignature ORDER BY size DESC LIMIT 1"
        (value,) = database.execute(f"SELECT {column} FROM {table} WHERE (shard, size) = ({of})").fetchone()
        update = f"UPDATE {table} SET {column} = ? WHERE (shard, size) = ({of})"
        for position in range(len(value)):
            database.execute(update, (flipped(value, position, 0),))
            # more than the missing triggers
            if len(verify(engine, trust).findings) <= len(TRIGGERS):
                missed.append((table, position))
        database.execute(update, (value,))
    database.close()
    engine.dispose()

    assert missed == []


@pytest.mark.parametrize("table", TABLES)
def test_any_row_taken_out_is_found(copy: Callable[[], Path], keys: AuditKeys, table: str) -> None:
    """Of seals, those that the master log has named: the last of its own belong to the lag of a minute."""
    file = copy()
    columns = ", ".join(name for _, name, *_ in rows(file, f"PRAGMA table_info({table})"))
    for row in rows(file, f"SELECT {columns} FROM {table}"):
        if table in SEALS and (is_master(row[0]) or (table == SEALS[1] and row[1] == max_cosigned(file, row[0]))):
            continue
        change(file, (f"DELETE FROM {table} WHERE ({columns}) IS ({', '.join('?' * len(row))})", row))
        assert found(file, keys).status is Status.TAMPERED, row[:2]
        copy()


def max_cosigned(file: Path, shard: str) -> int:
    return int(rows(file, f"SELECT max(size) FROM audit_cosignature WHERE shard = '{shard}'")[0][0])


OTHER = "SELECT id FROM audit_shard WHERE id NOT LIKE 'master%' ORDER BY id LIMIT 1"
MASTERS = "shard LIKE 'master%'"
CHANGES = {
    "a checkpoint of another shard": (
        f"UPDATE audit_checkpoint SET note = (SELECT note FROM audit_checkpoint WHERE {MASTERS} AND size = 3) "
        f"WHERE shard = ({OTHER}) AND size = 3"
    ),
    "a cosignature of another checkpoint": (
        f"UPDATE audit_cosignature SET line = (SELECT line FROM audit_cosignature WHERE {MASTERS} LIMIT 1) "
        f"WHERE shard = ({OTHER})"
    ),
    "a checkpoint that is none": f"INSERT INTO audit_checkpoint VALUES (({OTHER}), 2, x'00')",
    "a checkpoint as text": "UPDATE audit_checkpoint SET note = CAST(note AS TEXT) WHERE size = 3",
    "a cosignature as text": "UPDATE audit_cosignature SET line = CAST(line AS TEXT) WHERE size = 3",
    "a cosignature of nobody": (
        "INSERT INTO audit_cosignature SELECT shard, size, 'x+00000000', line FROM audit_cosignature "
        f"WHERE shard = ({OTHER})"
    ),
    "a cosignature twice on its line": "UPDATE audit_cosignature SET line = line || line",
    "no cosignatures": "DELETE FROM audit_cosignature",
    "no checkpoints": "DELETE FROM audit_checkpoint",
    "a state of nobody's": "UPDATE audit_shard SET state = 'FROZEN'",
    "a shard closed by no record": f"UPDATE audit_shard SET state = 'CLOSED', closed = 5 WHERE id = ({OTHER})",
    "another time of opening": f"UPDATE audit_shard SET opened = opened + 1 WHERE id = ({OTHER})",
    "a closing time alone": f"UPDATE audit_shard SET closed = 5 WHERE id = ({OTHER})",
}


@pytest.mark.parametrize("name", CHANGES)
def test_finds(copy: Callable[[], Path], keys: AuditKeys, name: str) -> None:
    file = copy()
    change(file, CHANGES[name])

    assert found(file, keys).status is Status.TAMPERED


@pytest.mark.parametrize("which", ["one", "master"])
def test_a_shard_that_is_gone_is_missed(copy: Callable[[], Path], keys: AuditKeys, which: str) -> None:
    file = copy()
    names = [name for (name,) in rows(file, "SELECT id FROM audit_shard")]
    gone = next(name for name in names if is_master(name) == (which == "master"))
    change(
        file,
        *(f"DELETE FROM {table} WHERE {'id' if table == 'audit_shard' else 'shard'} = '{gone}'" for table in TABLES),
    )

    assert found(file, keys).status is Status.INCOMPLETE


def test_an_end_cut_off_cleanly_is_found_by_its_checkpoint(copy: Callable[[], Path], keys: AuditKeys) -> None:
    file = copy()
    (shard,) = rows(file, OTHER)[0]
    change(
        file,
        *(f"DELETE FROM {t} WHERE shard = '{shard}' AND seq >= 7" for t in ("audit_leaf", "audit_payload")),
        f"DELETE FROM audit_node WHERE shard = '{shard}' AND ((ix + 1) << level) > 7",
    )

    result = found(file, keys)

    assert result.status is Status.TAMPERED
    assert "shorter" in " ".join(result.findings)


def rewritten(folder: Path, keys: AuditKeys, original: Path) -> Path:
    """Write another log under the same names with the same key, as somebody can who has the database and the key."""
    file = folder / "rewritten.db"
    engine = open_migrated(file)
    names = iter(sorted(name for (name,) in rows(original, "SELECT id FROM audit_shard") if not is_master(name)))
    with pytest.MonkeyPatch.context() as patch:

        class Chosen:
            @property
            def hex(self) -> str:
                return next(names)

        patch.setattr("uuid.uuid4", Chosen)
        write(engine, keys, rounds=5)
    engine.dispose()
    return file


def test_yesterday_s_checkpoint_alone_shows_that_the_log_was_rewritten(
    sound: Path, tmp_path: Path, keys: AuditKeys
) -> None:
    """With the key, a rewritten log is consistent in itself; with one signed note kept elsewhere, it is not."""
    file = rewritten(tmp_path, keys, sound)
    (kept,) = rows(sound, f"SELECT note FROM audit_checkpoint WHERE shard = ({OTHER}) ORDER BY size LIMIT 1")[0]

    alone = found(file, keys)
    against = found(file, keys, held=(held("yesterday's checkpoint", kept),))
    control = found(sound, keys, held=(held("yesterday's checkpoint", kept),))

    assert alone.status is Status.GOOD
    assert against.status is Status.TAMPERED
    assert "yesterday's checkpoint has another root" in " ".join(against.findings)
    assert control.status is Status.GOOD


def test_a_kept_checkpoint_shows_that_the_log_was_rolled_back(sound: Path, tmp_path: Path, keys: AuditKeys) -> None:
    shutil.copy(sound, file := tmp_path / "log.db")
    engine = open_engine(f"sqlite:///{file}")
    write(engine, keys)
    engine.dispose()
    kept = [note for (note,) in rows(file, "SELECT note FROM audit_checkpoint")]

    rolled_back = found(sound, keys, held=tuple(held("kept", note) for note in kept))

    assert found(file, keys, held=tuple(held("kept", note) for note in kept)).status is Status.GOOD
    assert rolled_back.status is Status.TAMPERED


def test_a_kept_checkpoint_of_a_shard_that_is_not_there_is_found(sound: Path, keys: AuditKeys) -> None:
    text = Checkpoint(origin_of("f" * 32), 1, b"r" * 32).text()
    note = LogSigner.of(keys).sign(Checkpoint(origin_of("f" * 32), 1, b"r" * 32))

    assert note.text == text
    assert found(sound, keys, held=(held("kept", note.encode()),)).status is Status.TAMPERED


def test_a_kept_checkpoint_under_another_key_is_not_passed_over(sound: Path, keys: AuditKeys) -> None:
    """Whoever exchanged the key along with the log would else be believed."""
    (raw,) = rows(sound, f"SELECT note FROM audit_checkpoint WHERE shard = ({OTHER}) LIMIT 1")[0]
    _, note = open_checkpoint(raw, [LogSigner.of(keys).key])
    other = Note(note.text, (NoteSigner("contactpoint-gateway/audit", b"o" * 32).sign(note.text),))

    assert found(sound, keys, held=(held("kept", other.encode()),)).status is Status.TAMPERED
    assert found(sound, None, held=(held("kept", other.encode()),)).status is Status.TAMPERED


def test_silence_without_a_stop_is_a_finding_and_a_stop_explains_it(
    tmp_path: Path, keys: AuditKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_migrated(tmp_path / "log.db")
    clock = time.time_ns()
    monkeypatch.setattr("gateway.audit.writer.time.time_ns", lambda: clock)
    log = AuditLog.open(engine, keys, on_fatal=lambda: None)

    async def later(seconds: int) -> None:
        nonlocal clock
        clock += seconds * 1_000_000_000
        await log.append(EventKind.DENIED, {})

    asyncio.run(later(119))
    regular = verify(engine)
    log.close()
    clock += 3_600_000_000_000
    log = AuditLog.open(engine, keys, on_fatal=lambda: None)
    stopped = verify(engine)
    asyncio.run(later(121))
    silent = verify(engine)
    log.close()
    engine.dispose()

    assert [regular.status, stopped.status, silent.status] == [Status.GOOD, Status.GOOD, Status.INCOMPLETE]
    assert "no record for 121 s" in silent.findings[0]


def test_a_frozen_shard_that_lacks_nothing_is_good_and_one_that_lacks_what_it_should_hold_is_not(
    copy: Callable[[], Path], keys: AuditKeys
) -> None:
    statuses = []
    for expected in (None, (9, b"x" * 32), (12, b"x" * 32)):
        file = copy()
        (shard,) = rows(file, OTHER)[0]
        engine = open_engine(f"sqlite:///{file}")
        freeze(engine, shard, keys.key_id, "a drill", expected=expected)
        engine.dispose()
        statuses.append(found(file, keys).status)

    assert statuses == [Status.GOOD, Status.TAMPERED, Status.TAMPERED]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_log_of_many_stretches_is_put_together(
    tmp_path: Path, keys: AuditKeys, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """With stretches of their real length and two processes, and a change in the middle one."""
    monkeypatch.setattr("gateway.audit.verify._APART", 1)
    engine = open_migrated(tmp_path / "log.db")
    log = AuditLog.open(engine, keys, on_fatal=lambda: None)

    async def fill() -> None:
        await asyncio.gather(*(log.append(EventKind.DENIED, {}) for _ in range(2 * STRETCH + 40)))

    asyncio.run(fill())
    log.close()
    sealing = Checkpointer(engine, log, keys.key_id, LogSigner.of(keys))
    sealing.close()
    trust = Trust(log_keys=(LogSigner.of(keys).key,))
    told: list[tuple[int, int]] = []

    good = verify(engine, trust, processes=processes, progress=lambda done, of: told.append((done, of)))
    change(tmp_path / "log.db", f"UPDATE audit_payload SET body = x'5b5d' WHERE seq = {STRETCH + 7}")
    bad = verify(engine, trust, processes=processes)
    engine.dispose()

    assert (good.status, good.findings) == (Status.GOOD, [])
    assert told[-1][0] == told[-1][1]
    assert bad.status is Status.TAMPERED
    assert f"payload {STRETCH + 7} " in bad.findings[0]


def second(file: Path, keys: AuditKeys, *kept: bytes) -> list[str]:
    return second_verifier.faults(file, str(LogSigner.of(keys).key), kept)


def test_the_second_verifier_imports_nothing_of_ours() -> None:
    text = Path(second_verifier.__file__).read_text(encoding="utf-8")

    assert not re.search(r"^\s*(import|from) (gateway|auth|schema|connectors|tests)", text, re.MULTILINE)


def test_the_second_verifier_agrees_that_a_sound_log_is_good(copy: Callable[[], Path], keys: AuditKeys) -> None:
    assert second(copy(), keys) == []


@many
@given(st.sampled_from(TABLES), st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 7))
def test_the_second_verifier_agrees_on_a_flipped_bit(
    copy: Callable[[], Path], keys: AuditKeys, table: str, which: int, position: int, bit: int
) -> None:
    file = copy()
    columns = [name for _, name, *_ in rows(file, f"PRAGMA table_info({table})")]
    column = columns[which % len(columns)]
    stored = rows(file, f"SELECT {', '.join(columns)} FROM {table}")
    row = stored[which % len(stored)]
    where = " AND ".join(f"{name} IS ?" for name in columns)
    try:
        new = flipped(row[columns.index(column)], position, bit)
        change(file, (f"UPDATE {table} SET {column} = ? WHERE {where}", (new, *row)))
    except sqlite3.IntegrityError:
        assume(False)

    assert second(file, keys) != []


def test_the_second_verifier_agrees_on_a_flipped_bit_at_the_end_of_a_line(
    copy: Callable[[], Path], keys: AuditKeys
) -> None:
    """Where base64 has bits that say nothing, and where a line ends."""
    file = copy()
    shard, size, line = rows(file, "SELECT shard, size, line FROM audit_cosignature")[0]
    agreed = []
    for position in range(1, 5):
        for bit in range(7):
            new = flipped(line, len(line) - position, bit)
            change(
                file,
                (
                    "UPDATE audit_cosignature SET line = ? WHERE (shard, size, line) = (?, ?, ?)",
                    (new, shard, size, line),
                ),
            )
            agreed.append((second(file, keys) != [], found(file, keys).status is not Status.GOOD))
            change(
                file,
                (
                    "UPDATE audit_cosignature SET line = ? WHERE (shard, size, line) = (?, ?, ?)",
                    (line, shard, size, new),
                ),
            )

    assert set(agreed) == {(True, True)}


@pytest.mark.parametrize("name", CHANGES)
def test_the_second_verifier_agrees_on(copy: Callable[[], Path], keys: AuditKeys, name: str) -> None:
    file = copy()
    change(file, CHANGES[name])

    assert second(file, keys) != []


def test_the_second_verifier_agrees_on_a_rewritten_log(sound: Path, tmp_path: Path, keys: AuditKeys) -> None:
    file = rewritten(tmp_path, keys, sound)
    (kept,) = rows(sound, f"SELECT note FROM audit_checkpoint WHERE shard = ({OTHER}) ORDER BY size LIMIT 1")[0]

    assert (second(file, keys), second(sound, keys, kept)) == ([], [])
    assert second(file, keys, kept) == ["a checkpoint has another root"]


def test_an_empty_tree_has_the_root_that_rfc_6962_gives_it() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
