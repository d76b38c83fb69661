"""Every row of the fault matrix has tests, each of them exists, and all of a row hold together.

CONTACTPOINT_TEST_FAULT_ROWS sets for how many of the rows their tests are run from here (1, the last: in `make test`
they all run where they stand); the proof runs them all.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.faults.matrix import DEEDS
from tests.faults.rows import MATRIX, ROWS
from tests.progress import VARIABLE, Progress

ROOT = Path(__file__).resolve().parents[2]
WANTED = int(os.environ.get("CONTACTPOINT_TEST_FAULT_ROWS", "1"))
_SIZES = ("CONTACTPOINT_TEST_FAULT_ROWS", VARIABLE)


@cache
def functions(file: str) -> frozenset[str]:
    """Return the names of the tests of a file."""
    path = ROOT / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(each.name for each in tree.body if isinstance(each, kinds) and each.name.startswith("test_"))


def missing(tests: Iterable[str]) -> list[str]:
    """Return those that do not exist."""
    return [
        each for each in tests if each.partition("::")[2].partition("[")[0] not in functions(each.partition("::")[0])
    ]


def test_each_of_the_43_rows_names_tests_and_controls_that_exist(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    sound = [number for number, row in ROWS.items() if row.tests and row.controls]
    named = {each for row in ROWS.values() for each in (*row.tests, *row.controls)}

    record_testsuite_property("rows of the fault matrix with tests and controls", f"{len(sound)} of 43")
    assert sorted(sound) == list(range(1, 44))
    assert missing(named) == []


def test_a_test_that_does_not_exist_would_be_noticed() -> None:
    there = "tests/faults/test_rows.py::test_a_test_that_does_not_exist_would_be_noticed"

    assert missing([there]) == []
    assert missing([f"{there}_at_all", "tests/no_such_file.py::test_it"]) != []


def test_a_row_names_the_matrix_of_sources_when_there_is_a_deed_of_it_and_only_then() -> None:
    assert {number for number, row in ROWS.items() if MATRIX in row.tests} == {deed.row for deed in DEEDS.values()}


def outcomes(tests: Iterable[str], root: Path = ROOT) -> dict[str, bool]:
    """Run tests in a process of their own; return for each whether it ran and all its cases passed."""
    environment = {name: value for name, value in os.environ.items() if name not in _SIZES}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "0",
            "-o",
            "junit_family=xunit1",
            f"--junit-xml={report}",
        ]
        subprocess.run([*command, *tests], cwd=root, env=environment, check=False, stdout=subprocess.DEVNULL)
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))  # noqa: S314 - our own file

    def holds(test: str) -> bool:
        file, _, name = test.partition("::")
        of_it = [
            case
            for case in cases
            if case.get("file") == file and name in (case.get("name"), str(case.get("name")).partition("[")[0])
        ]
        return bool(of_it) and all(case.find(bad) is None for case in of_it for bad in ("failure", "error", "skipped"))

    return {test: holds(test) for test in tests}


def test_every_row_of_the_fault_matrix_holds(record_testsuite_property: Callable[[str, object], None]) -> None:
    rows = {number: row for number, row in ROWS.items() if number > 43 - WANTED}
    of_file: dict[str, set[str]] = {}
    for row in rows.values():
        for each in (*row.tests, *row.controls):
            of_file.setdefault(each.partition("::")[0], set()).add(each)

    def work(file: str) -> Mapping[str, Any]:
        return outcomes(sorted(of_file[file]))

    done: dict[str, bool] = {}
    for of_one in Progress.of_this_proof("rows").run(sorted(of_file), work):
        done |= of_one
    failing = {number: [t for t in (*row.tests, *row.controls) if not done[t]] for number, row in rows.items()}
    wrong = {number: tests for number, tests in failing.items() if tests}

    record_testsuite_property("tests and controls of them that were run, each with all its cases", len(done))
    record_testsuite_property("rows of which all of them hold", f"{len(rows) - len(wrong)} of {len(rows)} rows")
    assert wrong == {}


def test_a_row_of_which_a_test_fails_or_does_not_run_would_be_noticed(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False\n"
        "def test_skipped(): pytest.skip('no')\n"
        "@pytest.mark.parametrize('n', [0, 1])\n"
        "def test_half(n): assert n\n",
        encoding="utf-8",
    )
    names = ("good", "bad", "skipped", "half", "half[1]")

    found = outcomes([f"{file.name}::test_{name}" for name in names], tmp_path)

    assert [name for name, holds in zip(names, found.values(), strict=True) if holds] == ["good", "half[1]"]
