"""Two worlds that are equal as far as a viewer may know give that viewer the same bytes, whatever is hidden in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.noninterference.runner import run_pairs

pytestmark = pytest.mark.anyio

PAIRS = int(os.environ.get("CONTACTPOINT_TEST_PAIRS", "200"))
SEED = int(os.environ.get("CONTACTPOINT_TEST_SEED", "7"))


async def test_no_viewer_can_tell_two_worlds_apart(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    report = await run_pairs(tmp_path / "pairs", SEED, PAIRS)

    assert not report.differences, str(report.differences[0])
    assert report.pairs == PAIRS
    record_testsuite_property("pairs", report.pairs)
    record_testsuite_property("differences", len(report.differences))
