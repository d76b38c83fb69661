"""A receipt is redeemed for proofs that stand on their own, and a bundle that was changed anywhere is refused."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from gateway.__main__ import main
from gateway.audit.checkpointer import Checkpointer
from gateway.audit.checkpoints import open_checkpoint
from gateway.audit.cosignatures import Ed25519Cosigner
from gateway.audit.events import EventKind, Reading
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.notes import NoteSigner, parse_verifier_key
from gateway.audit.proofs import BundleRefused, NotProven, check_bundle, parse_bundle
from gateway.audit.records import read_records
from gateway.audit.sealed import last_note, store_cosignature
from gateway.audit.signing import LogSigner
from gateway.audit.tables import TRIGGERS
from gateway.migrate import migrate
from gateway.storage.engine import open_engine, writing

RECEIPT = "c2hvcnQtcmVjZWlwdC0xMg"
WITNESS = Ed25519Cosigner("witness.example/w", b"w" * 32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo's data folder with one lookup among others, cosigned; the last records are not under a checkpoint."""
    folder = tmp_path_factory.mktemp("data")
    engine = open_engine(f"sqlite:///{folder}/contactpoint.db")
    migrate(engine)
    keys = AuditKeys.load_or_create(folder / "contactpoint.audit-key.json")
    log = AuditLog.open(engine, keys, on_fatal=lambda: None, witnesses=[str(WITNESS.key)])
    sealing = Checkpointer(engine, log, keys.key_id, LogSigner.of(keys))

    async def lookup(receipt: str, *, answered: bool = True) -> None:
        intent = await log.append(EventKind.INTENT, {"receipt": receipt, "reason": "a visit"})
        if answered:
            await log.append(EventKind.OUTCOME, {"receipt": receipt, "intent": intent.seq, "outcome": "DISCLOSED"})

    async def fill() -> None:
        for count in range(5):
            await lookup(f"another-receipt-{count:06}")
        await lookup(RECEIPT)
        await lookup("unanswered-receipt-000", answered=False)
        sealing.checkpoint()
        with writing(engine).begin() as connection:
            note = last_note(connection, log.shard)
            assert note is not None
            checkpoint, _ = open_checkpoint(note, [LogSigner.of(keys).key])
            line = WITNESS.cosign(checkpoint, int(time.time())).line().encode()
            store_cosignature(connection, log.shard, checkpoint.size, WITNESS.key.label, line)
        await lookup("not-sealed-receipt-000")

    asyncio.run(fill())
    log.close()
    engine.dispose()
    return folder


@pytest.fixture(scope="module")
def vkey(folder: Path) -> str:
    return str(LogSigner.of(AuditKeys.load_or_create(folder / "contactpoint.audit-key.json")).key)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.fixture(scope="module")
def proven(folder: Path) -> str:
    result = run("audit", "prove", RECEIPT, "--data", folder)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_bundle_shows_both_records_with_the_key_alone(proven: str, vkey: str, tmp_path: Path) -> None:
    (file := tmp_path / "bundle.json").write_text(proven)

    told = run("audit", "check", file, "--log-key", vkey, "--witness", str(WITNESS.key), "--json")

    assert told.exit_code == 0
    records = json.loads(told.stdout)["records"]
    assert [record["kind"] for record in records] == ["INTENT", "OUTCOME"]
    assert {record["payload"]["receipt"] for record in records} == {RECEIPT}
    assert [c["witness"] for record in records for c in record["cosigned"]] == [WITNESS.key.name] * 2
    assert "PROVEN: 2 records" in run("audit", "check", file, "--log-key", vkey).stdout


def test_each_proof_is_a_tlog_proof(proven: str) -> None:
    for record in json.loads(proven)["records"]:
        lines = record["proof"].split("\n")
        assert lines[0] == "c2sp.org/tlog-proof@v1"
        assert lines[1] == f"index {json.loads(record['leaf'])['seq']}"
        assert lines[lines.index("") + 1].startswith("contactpoint-gateway/audit/")


def test_making_a_proof_is_on_the_log(proven: str, folder: Path) -> None:
    engine = open_engine(f"sqlite:///{folder}/contactpoint.db")
    readings = [record.payload or {} for record in read_records(engine) if record.kind is EventKind.READ]
    engine.dispose()

    assert proven
    assert (Reading.PROOF, {"receipt": RECEIPT}) in [(each["reading"], each["filter"]) for each in readings]


def test_another_key_and_a_witness_that_has_not_cosigned_show_nothing(proven: str, vkey: str, tmp_path: Path) -> None:
    (file := tmp_path / "bundle.json").write_text(proven)
    other = str(NoteSigner("contactpoint-gateway/audit", b"o" * 32).key)
    stranger = str(Ed25519Cosigner("stranger.example/w", b"s" * 32).key)

    assert run("audit", "check", file, "--log-key", other).exit_code == 4
    assert run("audit", "check", file, "--log-key", vkey, "--witness", stranger).exit_code == 4


def test_a_bundle_with_any_character_changed_is_refused(proven: str, vkey: str) -> None:
    """Every character of every value but of base64's own slack, which the parser refuses by itself."""
    key = [parse_verifier_key(vkey)]
    whole = json.loads(proven)
    missed = []
    for index, record in enumerate(whole["records"]):
        for name, value in record.items():
            for position, character in enumerate(value):
                changed: dict[str, Any] = json.loads(proven)
                other = "B" if character == "A" else "A"
                changed["records"][index][name] = value[:position] + other + value[position + 1 :]
                try:
                    check_bundle(parse_bundle(msgspec.json.encode(changed)), key)
                except (NotProven, BundleRefused):
                    continue
                missed.append((name, position, value[max(0, position - 30) : position + 1]))
    # lines of keys that were not given, ours of ML-DSA-44 and the witness's, are no part of what the key shows
    assert [each for each in missed if not (each[0] == "proof" and after_our_line(whole, each[1]))] == []


def after_our_line(whole: dict[str, Any], position: int) -> bool:
    return all(position > record["proof"].index("\n— ") for record in whole["records"])


def test_without_its_payload_a_record_is_still_shown(proven: str, vkey: str, tmp_path: Path) -> None:
    purged = json.loads(proven)
    for record in purged["records"]:
        record["payload"] = record["salt"] = None
    (file := tmp_path / "bundle.json").write_text(json.dumps(purged))

    told = run("audit", "check", file, "--log-key", vkey)

    assert told.exit_code == 0
    assert "its payload is not there" in told.stdout


@pytest.mark.parametrize(
    "spoilt",
    ["audit_checkpoint SET note = x'00'", "audit_payload SET body = CAST(body AS TEXT)", "audit_leaf SET body = x'ff'"],
)
def test_a_lookup_that_cannot_be_read_is_one_line_and_exit_4(folder: Path, tmp_path: Path, spoilt: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert run("audit", "prove", RECEIPT, "--data", copy).exit_code == 0
    with sqlite3.connect(copy / "contactpoint.db") as database:
        for trigger in TRIGGERS:
            database.execute(f"DROP TRIGGER {trigger}")
        database.execute(f"UPDATE {spoilt}")
    database.close()

    told = run("audit", "prove", RECEIPT, "--data", copy)

    assert (told.exit_code, told.stdout) == (4, "")
    assert told.stderr.splitlines()[-1].startswith("contactpoint: ")
    assert "`contactpoint audit verify`" in told.stderr


def test_a_payload_of_another_receipt_is_refused(proven: str, vkey: str, tmp_path: Path) -> None:
    other = json.loads(proven) | {"receipt": "another-receipt-000000"}
    (file := tmp_path / "bundle.json").write_text(json.dumps(other))

    assert run("audit", "check", file, "--log-key", vkey).exit_code == 4


@pytest.mark.parametrize("receipt", ["unknown-receipt-000000", "", "' OR 1=1 --", "%"])
def test_an_unknown_receipt_is_one_line_and_exit_2(folder: Path, receipt: str) -> None:
    result = run("audit", "prove", receipt, "--data", folder)

    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr


def test_a_lookup_without_an_outcome_is_said_to_be_one(folder: Path, vkey: str, tmp_path: Path) -> None:
    (file := tmp_path / "bundle.json").write_text(
        run("audit", "prove", "unanswered-receipt-000", "--data", folder).stdout
    )

    assert "treat it as disclosed" in run("audit", "check", file, "--log-key", vkey).stdout


def test_what_is_not_under_a_checkpoint_yet_is_sealed_where_no_gateway_runs(
    folder: Path, vkey: str, tmp_path: Path
) -> None:
    (file := tmp_path / "bundle.json").write_text(
        run("audit", "prove", "not-sealed-receipt-000", "--data", folder).stdout
    )

    assert run("audit", "check", file, "--log-key", vkey).exit_code == 0


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": "x", "receipt": "r", "records": []}'])
def test_what_is_no_bundle_is_one_line_and_exit_2(tmp_path: Path, vkey: str, content: str) -> None:
    (file := tmp_path / "bundle.json").write_text(content)

    result = run("audit", "check", file, "--log-key", vkey)

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
