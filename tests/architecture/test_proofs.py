"""Every proof names tests that are there, and the proof of what is told again sets the sizes that its tests read.

And `make prove` refuses before it begins what it cannot do.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests import prove
from tests.prove import GROUPS, PROOFS

TESTS = Path(__file__).parents[1]
VARIABLE = re.compile(r"environ\S*\(?\[?\"(CONTACTPOINT_TEST_[A-Z_]+)\"")
NO_SIZES = {"CONTACTPOINT_TEST_SEED"}


@pytest.mark.parametrize("name", PROOFS)
def test_a_proof_names_tests_that_are_there(name: str) -> None:
    paths = [TESTS.parent / word for word in shlex.split(PROOFS[name].test) if word.startswith("tests/")]

    assert paths
    assert all(path.exists() for path in paths)


@pytest.mark.parametrize("file", ["noninterference/test_stale_pairs.py", "gateway/test_stale_sequences.py"])
def test_the_sizes_of_what_is_told_again_are_set_by_one_proof(file: str) -> None:
    read = set(VARIABLE.findall((TESTS / file).read_text(encoding="utf-8"))) - NO_SIZES

    assert read
    assert read <= {PROOFS["stale"].variable, *(name for name, _ in PROOFS["stale"].beside)}
    assert f"tests/{file}" in PROOFS["stale"].test.split()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "give one of"),
        (["kills", "0"], "the size is one whole number from 1"),
        (["kills", "-1"], "the size is one whole number from 1"),
        (["kills", "\N{SUPERSCRIPT TWO}"], "the size is one whole number from 1"),
        (["kills", "5", "6"], "the size is one whole number from 1"),
        *([[group, "5"], f"{group} is several proofs"] for group in GROUPS),
    ],
)
def test_what_cannot_be_proved_is_refused_in_one_line_before_anything_is_begun(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prove, "prove", lambda name, size: pytest.fail(f"{name} was begun"))

    assert prove.main(arguments) == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"prove: {said}")
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_figures_that_could_not_be_written_are_said_before_the_proof(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prove, "prove", lambda name, size: pytest.fail(f"{name} was begun"))
    monkeypatch.setattr(prove, "ROOT", tmp_path)
    monkeypatch.setattr(prove, "DOCUMENT", tmp_path / "docs" / "evidence.md")

    assert prove.main(["kills", "5"]) == 2
    assert capsys.readouterr().err.startswith("prove: the figures go to docs/evidence.md, which cannot be written")


@pytest.mark.parametrize(("code", "word"), [(0, "holds"), (1, "FAILS"), (prove.INTERRUPTED, "has not ended")])
def test_what_came_of_a_proof_is_said_and_is_the_exit_code(
    code: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prove, "prove", lambda name, size: code)
    monkeypatch.setattr(prove, "fingerprint", lambda: "code")
    monkeypatch.setattr(prove, "KEPT", tmp_path)
    monkeypatch.setattr(prove.signal, "signal", lambda *_: None)
    (tmp_path / "code").mkdir()

    assert prove.main(["kills", "5"]) == code
    assert capsys.readouterr().out.split(maxsplit=1) == ["kills", f"{word}\n"]


def test_help_names_every_proof_with_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert prove.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(re.search(rf"^  {name} +{proof.size:,}  ", told, re.MULTILINE) for name, proof in PROOFS.items())
    assert all(re.search(rf"^  {group} ", told, re.MULTILINE) for group in GROUPS)
