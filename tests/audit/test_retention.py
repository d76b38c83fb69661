"""Payloads whose retention has ended go, announced; nothing else does, and the log still verifies."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from gateway.__main__ import main as contactpoint
from gateway.audit.events import EventKind
from gateway.audit.log import AuditLog
from gateway.audit.records import read_records
from gateway.audit.recovery import keys_of_log
from gateway.audit.retention import KINDS, Range, RetentionClass, announce, delete, doomed, unfinished
from gateway.audit.verify import Status, verify
from gateway.migrate import grant_purging
from gateway.storage.engine import is_postgresql, open_engine
from tests.audit.rewriting import rewrite
from tests.fixtures.postgresql import GATEWAY, OWNER, PostgreSQLServer

LATER = {kind: 2**60 for kinds in KINDS.values() for kind in kinds}
LOOKUPS = dict.fromkeys(KINDS[RetentionClass.LOOKUPS], 2**60)
REFUSED = (sa.exc.DBAPIError,)

Opened = Callable[..., AuditLog]


def written(log: AuditLog, *records: tuple[EventKind, dict[str, Any]]) -> list[int]:
    async def write() -> list[int]:
        return [(await log.append(kind, payload)).seq for kind, payload in records]

    return asyncio.run(write())


def lookup(log: AuditLog, receipt: str = "r", subject: str = "child") -> tuple[int, int]:
    (intent,) = written(log, (EventKind.INTENT, {"receipt": receipt, "subject": subject}))
    (outcome,) = written(log, (EventKind.OUTCOME, {"intent": intent, "receipt": receipt, "subject": subject}))
    return intent, outcome


def queued(engine: sa.Engine, shard: str, **differs: Any) -> None:
    """Put an item into the queue of reviews."""
    row: dict[str, Any] = dict.fromkeys(("organisation", "person", "purpose", "opened_at", "due_at", "kind"), "x")
    row |= {"id": "an-item", "shard": shard, "seq": 1, "receipt": "r", "child": "child", "state": "OPEN"} | differs
    with engine.begin() as connection:
        connection.execute(sa.insert(sa.table("review", *map(sa.column, row))), row)


def going(engine: sa.Engine, shard: str, before: Any = LATER, holds: tuple[str, ...] = ()) -> set[int]:
    with engine.connect() as connection:
        found = doomed(connection, shard, before, holds)
        return {seq for each in found for seq in range(each.first, each.last + 1)}


def announced(log: AuditLog, purge: Range) -> int:
    said = {"action": "PAYLOAD_PURGED", "shard": purge.shard, "first": purge.first, "last": purge.last, "by": "t"}
    return written(log, (EventKind.ADMIN, said))[0]


@pytest.fixture
def purger(engine: sa.Engine, owner: sa.Engine, request: pytest.FixtureRequest) -> Any:
    """The engine of the role that purges: on SQLite there is one role for all."""
    if not is_postgresql(engine):
        yield engine
        return
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    with owner.begin() as connection:
        if not connection.scalar(sa.text("SELECT count(*) FROM pg_roles WHERE rolname = 'contactpoint_purger'")):
            server.make_role("contactpoint_purger")
    grant_purging(owner, "contactpoint_purger")
    found = open_engine(server.url(str(engine.url.database), "contactpoint_purger"))
    yield found
    found.dispose()


@pytest.mark.parametrize("named", ["by the option", "by purge_url"])
def test_migrate_gives_the_purging_role_its_rights_and_no_other(
    postgresql_server: PostgreSQLServer, tmp_path: Path, named: str
) -> None:
    name, role = postgresql_server.database(), f"purger_{len(named)}"
    postgresql_server.make_role(role)
    urls = {"url": postgresql_server.url(name), "migrate_url": postgresql_server.url(name, OWNER)}
    options = ["--purging-role", role]
    if named == "by purge_url":
        urls["purge_url"], options = postgresql_server.url(name, role), []
    file = tmp_path / "gateway.toml"
    told = "".join(f'{key} = "{url}"\n' for key, url in urls.items())
    file.write_text(f'[resource]\nidentifier = "https://gateway.example/graphql"\n[database]\n{told}')
    purger = open_engine(postgresql_server.url(name, role))

    def may(statement: str) -> bool:
        with purger.connect() as connection, suppress(sa.exc.ProgrammingError):
            connection.exec_driver_sql(statement)
            return True
        return False

    wanted = ["SELECT * FROM audit_leaf", "DELETE FROM audit_payload", "SELECT * FROM announced_purge"]
    never = ["DELETE FROM audit_leaf", "INSERT INTO audit_payload DEFAULT VALUES", "SELECT * FROM review"]
    before = [may(statement) for statement in wanted]
    done = CliRunner().invoke(contactpoint, ["migrate", "--config", str(file), *options])
    again = CliRunner().invoke(contactpoint, ["migrate", "--config", str(file), "--purging-role", GATEWAY])

    assert (done.exit_code, done.stderr) == (0, "")
    assert before == [False] * 3
    assert [may(statement) for statement in wanted] == [True] * 3
    assert [may(statement) for statement in never] == [False] * 3
    assert (again.exit_code, again.stderr.count("\n")) == (2, 1)
    purger.dispose()
    postgresql_server.drop(name)


def test_lookups_go_whole_and_the_log_keeps_what_it_says_of_itself(engine: sa.Engine, open_log: Opened) -> None:
    log = open_log()
    first, second = lookup(log), lookup(log)
    (denied,) = written(log, (EventKind.DENIED, {"code": "X"}))

    assert going(engine, log.shard) == {*first, *second, denied}
    assert going(engine, log.shard, LOOKUPS) == {*first, *second}
    assert going(engine, log.shard, dict.fromkeys(LATER, 0)) == set()


def test_a_lookup_without_an_outcome_stays(engine: sa.Engine, open_log: Opened) -> None:
    log = open_log()
    written(log, (EventKind.INTENT, {"receipt": "open"}))
    closed = lookup(log)

    assert going(engine, log.shard) == set(closed)


def test_what_a_review_waits_for_stays_whole_until_it_is_decided(engine: sa.Engine, open_log: Opened) -> None:
    log = open_log()
    waits, other = lookup(log, "waits"), lookup(log, "other")
    queued(engine, log.shard, receipt="waits", child="another", state="ESCALATED")

    assert going(engine, log.shard) == set(other)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE review SET state = 'UPHELD'"))
    assert going(engine, log.shard) == {*waits, *other}


@pytest.mark.parametrize("hold", ["held-receipt", "held-child"])
def test_what_is_held_for_a_court_stays_whole(engine: sa.Engine, open_log: Opened, hold: str) -> None:
    log = open_log()
    lookup(log, "held-receipt", "held-child")
    other = lookup(log)

    assert going(engine, log.shard, holds=(hold,)) == set(other)


@pytest.mark.parametrize("hold", ["held-receipt", "held-child"])
def test_what_was_read_and_decided_of_what_is_held_stays_with_it(
    engine: sa.Engine, open_log: Opened, hold: str
) -> None:
    log = open_log()
    *_, verdict = written(
        log,
        (EventKind.READ, {"reading": "AUDIT_EVENTS", "filter": {"subject": "held-child", "receipt": "held-receipt"}}),
        (EventKind.READ, {"reading": "AUDIT_EVENTS", "filter": {"subject": "another-child"}}),
        (EventKind.REVIEW, {"of": 1, "shard": "another", "review": "an-item", "verdict": "UPHELD", "note": "n"}),
    )
    queued(engine, log.shard, receipt="held-receipt", child="held-child", state="UPHELD")

    assert going(engine, log.shard, holds=(hold,)) == {verdict - 1}
    assert going(engine, log.shard) == {verdict - 2, verdict - 1, verdict}


def test_a_review_of_what_detection_found_waits_for_every_lookup_in_it(engine: sa.Engine, open_log: Opened) -> None:
    log = open_log()
    lookup(log, "first")
    lookup(log, "second")
    other = lookup(log, "other")
    queued(engine, log.shard, receipt="first", found=json.dumps({"receipts": ["first", "second"]}))

    assert going(engine, log.shard) == set(other)


@pytest.mark.parametrize("of_age", [EventKind.INTENT, EventKind.OUTCOME])
def test_a_lookup_of_which_one_record_alone_is_of_age_stays_whole(
    engine: sa.Engine, open_log: Opened, of_age: EventKind
) -> None:
    """Its INTENT before the day and its OUTCOME after it; or the other way round, when the clock was set back."""
    log = open_log()
    lookup(log)

    assert (
        going(engine, log.shard, LOOKUPS | dict.fromkeys({EventKind.INTENT, EventKind.OUTCOME} - {of_age}, 0)) == set()
    )


def test_after_a_purge_leaves_and_proofs_verify_and_the_payloads_are_gone(
    engine: sa.Engine, open_log: Opened, purger: sa.Engine
) -> None:
    log = open_log()
    intent, outcome = lookup(log)
    kept = lookup(log)
    purge = Range(log.shard, intent, outcome)
    announce(purger, purge, log.shard, announced(log, purge))
    with engine.connect() as connection:
        assert [(each.first, each.last) for each in unfinished(connection)] == [(intent, outcome)]

    assert delete(purger, purge) == 2

    with engine.connect() as connection:
        assert unfinished(connection) == []
    records = {record.seq: record.payload for record in read_records(engine, log.shard)}
    assert (records[intent], records[outcome]) == (None, None)
    assert None not in [records[seq] for seq in kept]
    found = verify(engine)
    assert found.status is not Status.TAMPERED, found.findings
    assert found.purged == 2
    assert not [finding for finding in found.findings if "payload" in finding or "INTENT" in finding]


def test_a_purge_tells_of_every_slice(
    engine: sa.Engine, purger: sa.Engine, open_log: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.audit.retention._SLICE", 3)
    log = open_log()
    written(log, *[(EventKind.DENIED, {"code": "X"})] * 8)
    with engine.connect() as connection:
        (purge,) = doomed(connection, log.shard, LATER)
    announce(purger, purge, log.shard, announced(log, purge))
    slices: list[int] = []

    assert delete(purger, purge, slices.append) == 8
    assert slices == [3, 3, 2]
    assert purge.length == 8


def test_no_payload_can_be_deleted_that_no_committed_record_announces(
    engine: sa.Engine, open_log: Opened, purger: sa.Engine
) -> None:
    log = open_log()
    intent, outcome = lookup(log)
    purge = Range(log.shard, intent, intent)
    with pytest.raises(REFUSED):
        delete(purger, purge)
    with pytest.raises(REFUSED):
        announce(purger, purge, log.shard, intent)
    seq = announced(log, purge)
    with pytest.raises(REFUSED):
        announce(purger, Range(log.shard, intent, outcome), log.shard, seq)
    announce(purger, purge, log.shard, seq)
    with pytest.raises(REFUSED):
        delete(purger, Range(log.shard, outcome, outcome))

    assert delete(purger, purge) == 1


@pytest.mark.parametrize("of", ["its own shard", "another shard", "what another shard does not hold"])
def test_a_record_that_announces_the_purge_of_what_is_yet_to_come_is_no_licence(
    engine: sa.Engine, open_log: Opened, purger: sa.Engine, of: str
) -> None:
    """An insider would write it once, and take away any record afterwards."""
    log, other = open_log(), open_log()
    shard = log.shard if of == "its own shard" else other.shard
    last = 2**40 if of == "what another shard does not hold" else 6
    licence = Range(shard, 2, last)
    announce(purger, licence, log.shard, announced(log, licence))
    time.sleep(0.002)  # the clock of the log counts milliseconds
    victim = log if shard == log.shard else other
    for _ in range(3):
        lookup(victim)
    assert delete(purger, Range(shard, 3, 4)) == 2

    found = verify(engine)
    assert found.status is Status.TAMPERED
    assert [text for text in found.findings if "that were not there yet" in text]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)  # SQLite has no roles
def test_the_gateways_own_role_deletes_nothing_even_if_announced(
    engine: sa.Engine, open_log: Opened, purger: sa.Engine
) -> None:
    log = open_log()
    intent, outcome = lookup(log)
    purge = Range(log.shard, intent, outcome)
    seq = announced(log, purge)
    with pytest.raises(REFUSED):
        announce(engine, purge, log.shard, seq)
    announce(purger, purge, log.shard, seq)

    with pytest.raises(REFUSED):
        delete(engine, purge)


def test_a_payload_that_went_behind_the_triggers_is_noticed(
    engine: sa.Engine, owner: sa.Engine, open_log: Opened
) -> None:
    log = open_log()
    intent, _ = lookup(log)
    rewrite(owner, f"DELETE FROM audit_payload WHERE seq = {intent}")  # noqa: S608

    assert verify(engine).status is Status.TAMPERED


# ----------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def config(tmp_path: Path) -> Path:
    log = tmp_path / "gateway.toml"
    log.write_text(
        f'[resource]\nidentifier = "https://gateway.example/graphql"\n[database]\nurl = "sqlite:///{tmp_path}/a.db"\n'
    )
    assert CliRunner().invoke(contactpoint, ["migrate", "--config", str(log)]).exit_code == 0
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    opened = AuditLog.open(engine, keys_of_log(engine, tmp_path / "a.audit-key.json"), on_fatal=lambda: None)
    lookup(opened)
    written(opened, (EventKind.DENIED, {"code": "X"}))
    opened.close()
    engine.dispose()
    return log


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(contactpoint, ["audit", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_says_first_what_would_go_and_then_takes_it_away_and_verify_is_content(config: Path) -> None:
    late = ("--before", "2999-01-01", "--earlier-than-allowed", "--config", str(config), "--json")
    code, would, _ = run("purge", "--dry-run", *late)
    assert (code, json.loads(would)["kinds"]) == (0, {"DENIED": 1, "INTENT": 1, "OUTCOME": 1})
    code, gone, errors = run("purge", "--authority", "Schedule 4", *late)
    assert (code, json.loads(gone)["payloads"]) == (0, 3), errors
    code, again, _ = run("purge", "--authority", "Schedule 4", *late)
    assert (code, json.loads(again)["payloads"]) == (0, 0)

    engine = open_engine(f"sqlite:///{config.parent}/a.db")
    purged = [r.payload for r in read_records(engine) if r.payload and r.payload.get("action") == "PAYLOAD_PURGED"]
    engine.dispose()
    assert [(each["count"], each["authority"]) for each in purged] == [(3, "Schedule 4")]
    assert purged[0]["by"]
    assert verify_exit(config) == 0


def verify_exit(config: Path) -> int:
    code, out, _ = run("verify", "--config", str(config), "--json")
    found = json.loads(out)
    if any("payload" in finding for finding in found["findings"]):
        return 4
    return 0 if found["status"] != "TAMPERED" else code


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--before", "2999-01-01"), "authority"),
        (("--before", "2999-01-01", "--authority", "a"), "--earlier-than-allowed"),
        (("--authority", "a"), "retention_days"),
        (("--before", "yesterday", "--authority", "a"), "a time is a day"),
        (("--before", "2001-01-01", "--authority", "a", "--shard", "x"), "no shard of that name"),
    ],
)
def test_a_purge_that_may_not_be_made_is_one_line_and_exit_2(
    config: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    code, out, errors = run("purge", "--config", str(config), *arguments)

    assert (code, out) == (2, "")
    assert sentence in errors
    assert len(errors.strip().splitlines()) == 1
