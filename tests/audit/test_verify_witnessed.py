"""Who relies on a witness is told when none has seen the log, and what a witness's store says of other logs is let be.

A log that was rewritten with its own key lacks nothing but the cosignatures of the witnesses that it had.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.__main__ import main as contactpoint
from gateway.audit.checkpoints import Checkpoint, parse_checkpoint
from gateway.audit.merkle import EMPTY_ROOT
from gateway.audit.notes import NoteSigner, parse_note
from gateway.audit.verification.trust import Held, held
from gateway.audit.verify import Status, Verification, verify
from gateway.audit.witnessing.keys import WitnessKeys
from gateway.audit.witnessing.store import WitnessStore
from gateway.storage.engine import open_engine
from tests.tampering.attacks import Target, edit
from tests.tampering.contents import Contents, store, stored
from tests.tampering.flips import Attacker
from tests.tampering.specimen import Specimen, make_specimen

ANOTHER = NoteSigner("another.example/audit", b"a" * 32)


@pytest.fixture
def specimen(tmp_path: Path) -> Specimen:
    """Return a log of two shards whose checkpoints a witness has cosigned, but for the last few."""
    return make_specimen(tmp_path, 12, 6)


@pytest.fixture
def judged(specimen: Specimen) -> Callable[..., Verification]:
    def judge(**trusted: Any) -> Verification:
        engine = open_engine(f"sqlite:///{specimen.file}", create=False)
        try:
            return verify(engine, replace(specimen.trust, **trusted))
        finally:
            engine.dispose()

    return judge


def rewrite(specimen: Specimen) -> None:
    """Change a record early on, make all of the rest fit, and sign it."""
    forge(specimen, lambda log: edit(log, Target(log.victims[0], 1), random.Random(1)))


def end_later(specimen: Specimen, milliseconds: int) -> None:
    def later(log: Contents) -> None:
        for records in log.records.values():
            records[-1] = replace(records[-1], time=records[-1].time + milliseconds)

    forge(specimen, later)


def forge(specimen: Specimen, change: Callable[[Contents], None]) -> None:
    attacker = Attacker(specimen.file)
    log = Contents.of(stored(attacker))
    change(log)
    for _ in range(2):
        log.sign_anew(specimen.signer, int(time.time()))
        log.tell_the_master()
    log.sign_anew(specimen.signer, int(time.time()))
    store(attacker, log.rows())
    attacker.close()


def vkey(specimen: Specimen) -> str:
    return str(specimen.witness.key)


def told(specimen: Specimen, *options: str) -> tuple[int, list[str]]:
    """Return what `contactpoint audit verify` ends with and finds."""
    base = ["audit", "verify", "--log-key", str(specimen.signer.key), "--json"]
    found = CliRunner().invoke(contactpoint, [*base, *options])
    return found.exit_code, json.loads(found.stdout)["findings"] if found.stdout else [found.stderr]


def test_a_log_that_its_witness_has_seen_is_good(specimen: Specimen, judged: Callable[..., Verification]) -> None:
    result = judged(relied_on=(specimen.witness.key,))

    assert (result.status, result.findings) == (Status.GOOD, [])


def test_a_log_that_was_rewritten_with_its_key_lacks_what_the_witness_has_signed(
    specimen: Specimen, judged: Callable[..., Verification]
) -> None:
    rewrite(specimen)

    # the control: to whoever relies on nobody, nothing is amiss
    assert judged().status is Status.GOOD
    result = judged(relied_on=(specimen.witness.key,))
    assert result.status is Status.INCOMPLETE
    assert [text for text in result.findings if "no witness that is relied on has cosigned anything of it" in text]


def test_what_follows_the_last_cosignature_by_more_than_the_alarm_s_time_is_said_with_the_time(
    specimen: Specimen, judged: Callable[..., Verification]
) -> None:
    # the last record of each shard is of ten minutes later, and was never seen
    end_later(specimen, 600_000)

    late = judged(relied_on=(specimen.witness.key,))
    patient = judged(relied_on=(specimen.witness.key,), patience_ms=900_000)

    assert late.status is Status.INCOMPLETE
    assert [text for text in late.findings if "has seen the" in text and "the last that one saw was at" in text]
    assert not [text for text in patient.findings if "relied on" in text]


def test_another_s_cosignature_is_not_that_of_the_witness_that_is_relied_on(
    judged: Callable[..., Verification],
) -> None:
    result = judged(relied_on=(WitnessKeys("else.example", b"e" * 32).cosigners[0].key,))

    assert result.status is Status.INCOMPLETE


def test_one_of_several_is_enough(specimen: Specimen, judged: Callable[..., Verification]) -> None:
    away = WitnessKeys("else.example", b"e" * 32).cosigners[0].key

    assert judged(relied_on=(away, specimen.witness.key)).status is Status.GOOD


@pytest.mark.parametrize("says", ["option", "configuration"])
def test_the_command_relies_on_the_witness_of_its_option_or_of_the_configuration(
    specimen: Specimen, tmp_path: Path, says: str
) -> None:
    file = tmp_path / "gateway.toml"
    witnesses = f'[[audit.witnesses]]\nurl = "https://witness.example"\nvkey = "{vkey(specimen)}"\n'
    file.write_text(
        f'[resource]\nidentifier = "https://gateway.example/graphql"\n[database]\nurl = "sqlite:///{specimen.file}"\n'
        + (witnesses if says == "configuration" else ""),
        encoding="utf-8",
    )
    options = ["--config", str(file), *(["--witness", vkey(specimen)] if says == "option" else [])]
    before = told(specimen, *options)
    rewrite(specimen)
    after = told(specimen, *options)

    assert before == (0, [])
    assert after[0] == 3
    assert "relied on" in " ".join(after[1])


def test_a_verdict_says_whom_it_believes_and_when_nothing_from_outside_bears_it_out(specimen: Specimen) -> None:
    def said(*options: str) -> str:
        asked = ["audit", "verify", "--config", configured(specimen), "--log-key", str(specimen.signer.key), *options]
        return CliRunner().invoke(contactpoint, asked).stdout

    alone, relying = said(), said("--witness", vkey(specimen))

    assert f"  signed by {specimen.signer.key}\n" in alone
    assert "whoever has the signing key could have written all of it" in alone
    assert f"  cosigned by {specimen.witness.key.name}\n" in relying
    assert "whoever has the signing key" not in relying


# A witness's store


@pytest.fixture
def store_of_two(specimen: Specimen, tmp_path: Path) -> Path:
    """Return the store of a witness that another log has as well."""
    folder = tmp_path / "shared"
    kept = WitnessStore(folder)
    for raw in [*specimen.witness.notes().values(), another_s_note()]:
        kept.advance(0, parse_checkpoint(parse_note(raw).text), lambda _newest, raw=raw: raw)
    kept.close()
    return folder


def another_s_note() -> bytes:
    text = Checkpoint("another.example/audit/1", 0, EMPTY_ROOT).text()
    return f"{text}\n{ANOTHER.sign(text).line()}".encode()


def test_a_store_with_another_log_s_checkpoints_beside_ours_accuses_nobody(
    specimen: Specimen, store_of_two: Path
) -> None:
    assert told(specimen, "--config", configured(specimen), "--from-witness", str(store_of_two)) == (0, [])


def test_a_store_with_another_log_s_checkpoints_still_finds_a_rewritten_log(
    specimen: Specimen, store_of_two: Path
) -> None:
    rewrite(specimen)

    code, findings = told(specimen, "--config", configured(specimen), "--from-witness", str(store_of_two))
    assert code == 4
    assert "another root" in " ".join(findings)


def test_a_store_that_has_nothing_of_the_log_shows_nothing_and_that_is_said(specimen: Specimen, tmp_path: Path) -> None:
    kept = WitnessStore(tmp_path / "other")
    empty = told(specimen, "--config", configured(specimen), "--from-witness", str(tmp_path / "other"))
    kept.advance(0, parse_checkpoint(parse_note(another_s_note()).text), lambda _newest: another_s_note())
    kept.close()
    other = told(specimen, "--config", configured(specimen), "--from-witness", str(tmp_path / "other"))

    assert empty == (2, [f"contactpoint: {tmp_path / 'other'}: this witness has not seen any log yet\n"])
    assert other[0] == 3
    assert "nothing of it is of this log" in other[1][0]


def test_a_single_note_of_another_log_is_not_taken_for_one_of_ours(
    judged: Callable[..., Verification],
) -> None:
    given: Held = held("what somebody kept", another_s_note())

    assert judged(held=(given,)).status is Status.TAMPERED


def test_a_store_is_read_whatever_its_folder_is_called(specimen: Specimen, store_of_two: Path) -> None:
    odd = store_of_two.rename(store_of_two.with_name("what? a #1 store"))

    assert told(specimen, "--config", configured(specimen), "--from-witness", str(odd))[0] == 0


def configured(specimen: Specimen) -> str:
    file = specimen.file.with_suffix(".toml")
    file.write_text(
        f'[resource]\nidentifier = "https://gateway.example/graphql"\n[database]\nurl = "sqlite:///{specimen.file}"\n',
        encoding="utf-8",
    )
    return str(file)
