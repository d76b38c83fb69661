"""The audit key: who may read its file, and what the subkeys do."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.keys import AuditKeys, KeyFileRefused, NotDecrypted

NHS_NUMBER = "9990000018"
KEYS = AuditKeys(b"k" * 32, "test", created=False)


def test_a_new_key_file_is_private_and_says_that_it_is_new(tmp_path: Path) -> None:
    file = tmp_path / "audit.key"

    made = AuditKeys.load_or_create(file)
    loaded = AuditKeys.load_or_create(file)

    assert (made.created, loaded.created) == (True, False)
    assert file.stat().st_mode & 0o777 == 0o600
    assert made.key_id == loaded.key_id
    assert made.pseudonym(NHS_NUMBER) == loaded.pseudonym(NHS_NUMBER)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o610])
def test_a_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "audit.key"
    AuditKeys.load_or_create(file)
    file.chmod(mode)

    with pytest.raises(KeyFileRefused, match="0600"):
        AuditKeys.load_or_create(file)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"version": 2}, id="of-another-version"),
        pytest.param({"secret": "c2hvcnQ="}, id="with-a-short-secret"),
        pytest.param({"secret": "not base64"}, id="with-a-secret-that-is-not-base64"),
        pytest.param({"secret": None}, id="without-a-secret"),
        pytest.param({"key_id": ""}, id="without-an-id"),
    ],
)
def test_refuses_a_key_file(tmp_path: Path, change: dict[str, Any]) -> None:
    file = tmp_path / "audit.key"
    AuditKeys.load_or_create(file)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))

    with pytest.raises(KeyFileRefused):
        AuditKeys.load_or_create(file)


@pytest.mark.parametrize("content", ["", "[]", "{", '"text"', "\x00"])
def test_refuses_a_file_that_holds_something_else(tmp_path: Path, content: str) -> None:
    file = tmp_path / "audit.key"
    file.touch(mode=0o600)
    file.write_text(content)

    with pytest.raises(KeyFileRefused):
        AuditKeys.load_or_create(file)


def test_refuses_a_place_where_no_file_can_be_made(tmp_path: Path) -> None:
    with pytest.raises(KeyFileRefused):
        AuditKeys.load_or_create(tmp_path / "absent" / "audit.key")


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    file = tmp_path / "audit.key"
    made: list[AuditKeys] = []
    threads = [threading.Thread(target=lambda: made.append(AuditKeys.load_or_create(file))) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({keys.key_id for keys in made}) == 1
    assert sum(keys.created for keys in made) == 1


@given(st.text(st.characters(codec="utf-8")), st.binary())
def test_what_was_encrypted_is_read_back(plaintext: str, about: bytes) -> None:
    assert KEYS.decrypt(KEYS.encrypt(plaintext, about=about), about=about) == plaintext


def test_the_same_text_is_never_encrypted_alike() -> None:
    assert KEYS.encrypt("a", about=b"") != KEYS.encrypt("a", about=b"")


def test_nothing_is_read_with_another_key_about_another_thing_or_after_a_change() -> None:
    ciphertext = KEYS.encrypt("text", about=b"record 1")
    other = AuditKeys(b"o" * 32, "other", created=False)

    for keys, text, about in (
        (other, ciphertext, b"record 1"),
        (KEYS, ciphertext, b"record 2"),
        (KEYS, ciphertext[:-4], b"record 1"),
        (KEYS, ("B" if ciphertext[0] == "A" else "A") + ciphertext[1:], b"record 1"),
        (KEYS, "", b"record 1"),
        (KEYS, "é", b"record 1"),
    ):
        with pytest.raises(NotDecrypted):
            keys.decrypt(text, about=about)


def test_a_pseudonym_depends_on_the_key_and_does_not_show_the_number() -> None:
    other = AuditKeys(b"o" * 32, "other", created=False)

    assert KEYS.pseudonym(NHS_NUMBER) == KEYS.pseudonym(NHS_NUMBER)
    assert KEYS.pseudonym(NHS_NUMBER) != other.pseudonym(NHS_NUMBER)
    assert len(KEYS.pseudonym(NHS_NUMBER)) == 64
    assert NHS_NUMBER not in KEYS.pseudonym(NHS_NUMBER)


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_an_opaque_id_tells_every_list_of_parts_apart(first: list[str], second: list[str]) -> None:
    assert (KEYS.opaque_id(*first) == KEYS.opaque_id(*second)) == (first == second)


def test_an_opaque_id_fits_in_a_url_and_holds_128_bits() -> None:
    opaque = KEYS.opaque_id("a")

    assert len(opaque) >= 22
    assert opaque.replace("-", "").replace("_", "").isalnum()


def test_the_subkeys_differ_and_none_shows_in_the_representation() -> None:
    assert KEYS.pseudonym("a") != KEYS.opaque_id("a")
    assert len(KEYS.signing_seed) == 32
    assert repr(KEYS) == "AuditKeys(key_id='test')"
