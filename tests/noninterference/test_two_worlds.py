"""Two worlds that are equal as far as a viewer may know give that viewer the same bytes, whatever is hidden in them.

    CONTACTPOINT_TEST_PAIRS=20000 python -m pytest tests/noninterference/test_two_worlds.py

A failure names seed and index, which make the same pair again: `run_pairs(folder, seed, 1, first=index)`.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.noninterference.coverage import FIELDS, impossible_cells, possible_cells
from tests.noninterference.proving import prove
from tests.noninterference.runner import Report
from tests.noninterference.table import HOMES

PAIRS = int(os.environ.get("CONTACTPOINT_TEST_PAIRS", "200"))
SEED = int(os.environ.get("CONTACTPOINT_TEST_SEED", "7"))
FULL = 20_000
HITS = 100
"""How often each cell of the coverage table is hit in a run of full size."""

Property = Callable[[str, object], None]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return prove(tmp_path_factory.mktemp("two-worlds"), SEED, PAIRS)


def test_no_viewer_can_tell_two_worlds_apart(report: Report, record_testsuite_property: Property) -> None:
    record_testsuite_property("pairs of worlds", report.pairs)
    record_testsuite_property("lookups compared", report.lookups)
    record_testsuite_property("differences", len(report.differences))
    differences = len(report.differences)
    assert differences == 0, f"{differences} differences, the first of them:\n{report.differences[0]}"
    assert report.pairs == PAIRS


def test_most_pairs_are_answered_and_differ(report: Report, record_testsuite_property: Property) -> None:
    """A pair in which nothing hidden differs, or nobody is asked, proves nothing."""
    share = report.touched / report.pairs
    record_testsuite_property("share of pairs that touch a differing child", f"{share:.1%}")
    assert share >= 0.6
    for kind in ("told something", "told nothing", "200 FORBIDDEN", "429 RATE_LIMITED", "400 BAD_USER_INPUT"):
        assert report.answers[kind], kind


def test_every_field_is_told_and_withheld_for_every_role(report: Report, record_testsuite_property: Property) -> None:
    cells = possible_cells()
    least, cell = report.coverage.least()
    record_testsuite_property("cells (field, role, granted or withheld) that the table makes possible", len(cells))
    record_testsuite_property("least hits of a cell", f"{least}: {', '.join(cell)}")
    record_testsuite_property("cells that no agreement of the table opens", _impossible())
    missed = report.coverage.below(HITS if PAIRS >= FULL else 1)
    # a small run cannot hit every cell; that it hits most shows that the table is read as it is meant
    assert len(missed) <= (0 if PAIRS >= FULL else 0.3 * len(cells)), dict(list(missed.items())[:20])


def _impossible() -> str:
    never = impossible_cells()
    whole = sorted(role for role, fields in never.items() if len(fields) == len(FIELDS))
    others = {role: len(fields) for role, fields in never.items() if role not in whole}
    return f"all {len(FIELDS)} fields for {', '.join(whole)}; " + ", ".join(f"{n} for {r}" for r, n in others.items())


def test_the_table_knows_every_role() -> None:
    assert {role for _, role, _ in possible_cells()} == set(HOMES)
