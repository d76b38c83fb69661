"""Every proof names tests that are there, and the proof of what is told again sets the sizes that its tests read."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.prove import PROOFS

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
