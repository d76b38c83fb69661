"""The account of a lookup: its parts sum to what was measured without the profiler, and each has a name."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import account as accounting
from bench.account import AREAS, LIBRARIES, LOG, LOOP, THREADS, account, account_document, account_table, area_of, whole
from schema.identifiers import NHSNumber

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"<operation>", "<string>", "nhs_number"}
"""What is compiled while it runs, as what `dataclass` generates, and a library."""
NAMES = {*AREAS, LIBRARIES, LOOP, LOG, THREADS}


@pytest.fixture
def log_thread() -> Iterator[None]:
    """A thread that is called as the log's is, and does nothing."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="audit-log")
    thread.start()
    yield
    end.set()
    thread.join()


async def lookup() -> None:
    """In place of a lookup: functions of the schema, and of libraries."""
    for _ in range(50):
        NHSNumber("9990000018")
    await asyncio.sleep(0)


@pytest.mark.usefixtures("log_thread")
def test_the_parts_sum_to_the_lookup_without_the_profiler(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[tuple[float, float, float]] = []
    cpu = accounting._cpu

    async def noted(work: Any) -> tuple[float, float, float]:
        measured.append(await cpu(work))
        return measured[-1]

    monkeypatch.setattr(accounting, "_cpu", noted)
    parts = asyncio.run(account(lookup, at_once=4, groups=3, rounds=2))

    plain = min(measured[:2], key=sum)
    assert len(measured) == 4, "two rounds without the profiler, and two with it"
    assert whole(parts) == pytest.approx(sum(plain) / 12 * 1e6)
    assert set(parts) <= NAMES
    assert {"guard, variables, input", LOOP, LOG, THREADS} <= set(parts)
    assert parts["guard, variables, input"].calls >= 50


@pytest.mark.usefixtures("log_thread")
def test_every_part_stands_in_both_tables_and_so_does_the_whole() -> None:
    parts = asyncio.run(account(lookup, at_once=1, groups=2, rounds=1))

    for table in (account_table(parts), account_document(parts)):
        assert all(name in table for name in (*parts, "the whole", f"{whole(parts):.1f}"))


@pytest.mark.parametrize("area", AREAS)
def test_the_modules_of_every_area_are_there_and_are_counted_in_it(area: str) -> None:
    for prefix in set(AREAS[area]) - ELSEWHERE:
        found = [*ROOT.glob(f"{prefix}*"), *(ROOT.glob(f"{prefix}*/*") if prefix.endswith("/") else ())]

        assert found, f"{prefix}: no module begins so"
        assert area_of(f"{ROOT}/{prefix}") == area


def test_what_is_named_nowhere_is_counted_among_the_libraries() -> None:
    assert area_of("/usr/lib/python3/json/decoder.py") == LIBRARIES
