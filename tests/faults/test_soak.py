"""A long time with faults on: no wrong answer, and nothing grows.

CONTACTPOINT_TEST_SOAK_SECONDS sets how long (5); the proof takes half an hour.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.breaker import BreakerRules
from tests.faults.matrix import DEEDS, WELL, Deed
from tests.faults.rig import SOURCES, Rig, running_rig

pytestmark = pytest.mark.network

SECONDS = float(os.environ.get("CONTACTPOINT_TEST_SOAK_SECONDS", "5"))
AT_ONCE = 8
ROUND = 64
TROUBLED = 0.1  # of a source's answers
_MOST_GROWTH = 0.1
_PAGE = os.sysconf("SC_PAGE_SIZE")
_NEVER_LOST = {"CIRCUIT_OPEN", "TIMEOUT", "OVERLOADED"}  # what a source in order may read while its circuit is open


@dataclass(frozen=True)
class Standing:
    """What the process holds between two rounds."""

    megabytes: float
    files: int
    tasks: int

    @classmethod
    def now(cls) -> Standing:
        """Return it once everything that can be let go is."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(pages * _PAGE / 2**20, len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()))


def wrong(data: Mapping[str, Any], deeds: Mapping[str, Deed]) -> list[str]:
    """Return what is wrong with an answer whose sources did this, whatever their circuits were."""
    found = []
    answered = set()
    for line in data["sources"]:
        source, reason = line["agency"]["id"], line["reason"]
        deed = deeds.get(source, WELL)
        if line["status"] == "ANSWERED":
            answered.add(source)
            if deed.code is not None:
                found.append(f"{source} is ANSWERED after {deed.code}")
        elif reason != deed.reason and reason not in _NEVER_LOST:
            found.append(f"{source} is {reason}, not {deed.reason}")
    told = Counter(entry["agency"]["id"] for entry in data["involvements"])
    wanted = {source: deeds.get(source, WELL).rows for source in answered}
    if told != wanted:
        found.append(f"practitioners are {dict(told)}, not {wanted}")
    if data["complete"] != (len(answered) == len(SOURCES)):
        found.append(f"complete is {data['complete']} with {sorted(answered)} answered")
    return found


async def one_round(rig: Rig, chance: random.Random) -> list[str]:
    free = asyncio.Semaphore(AT_ONCE)

    async def one() -> list[str]:
        deeds = {s: DEEDS[chance.choice(list(DEEDS))] for s in SOURCES if chance.random() < TROUBLED}
        async with free:
            return wrong(await rig.told(deeds, {}), deeds)

    found = [each for some in await asyncio.gather(*(one() for _ in range(ROUND))) for each in some]
    for doing in rig.doing.values():
        doing.deeds.clear()
        doing.delays.clear()
        doing.asked.clear()
    return found


def test_a_long_time_with_faults_tells_nothing_wrong_and_nothing_grows(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    async def soak() -> tuple[int, list[str], list[Standing]]:
        chance = random.Random(9990000018)
        standings, found, rounds = [], [], 0
        async with running_rig(rules=BreakerRules()) as rig:
            until = time.monotonic() + SECONDS
            look = 0.0
            while time.monotonic() < until or rounds < 3:
                found += await one_round(rig, chance)
                rounds += 1
                if time.monotonic() >= look:
                    await asyncio.sleep(0.2)  # connections that were closed are gone by then
                    standings.append(Standing.now())
                    look = time.monotonic() + SECONDS / 50
        return rounds * ROUND, found, standings

    lookups, found, standings = asyncio.run(soak())
    settled = standings[len(standings) // 5 :]  # what is made once is made by then
    first, last = settled[0], settled[-1]

    record_testsuite_property("seconds with faults on", SECONDS)
    record_testsuite_property("lookups", lookups)
    record_testsuite_property("wrong answers", len(found))
    record_testsuite_property("MiB: when settled, at the end", f"{first.megabytes:.0f}, {last.megabytes:.0f}")
    record_testsuite_property("open files: when settled, at the end", f"{first.files}, {last.files}")
    record_testsuite_property("tasks: when settled, at the end", f"{first.tasks}, {last.tasks}")
    assert found == []
    # in a run of seconds, what is under way at two moments differs by more than what could have grown
    more = AT_ONCE if SECONDS >= 60 else 4 * AT_ONCE
    assert last.tasks <= max(s.tasks for s in settled[: len(settled) // 2 + 1]) + more
    assert last.files <= max(s.files for s in settled[: len(settled) // 2 + 1]) + 4 * AT_ONCE
    if SECONDS >= 60:
        assert last.megabytes <= first.megabytes * (1 + _MOST_GROWTH)


def test_an_answer_that_loses_a_practitioner_or_calls_a_fault_an_answer_would_be_found() -> None:
    line = {"status": "ANSWERED", "reason": None}
    data: dict[str, Any] = {
        "complete": True,
        "sources": [{"agency": {"id": source}, **line} for source in SOURCES],
        "involvements": [{"agency": {"id": source}} for source in SOURCES],
    }
    assert wrong(data, {}) == []
    assert wrong({**data, "complete": False}, {}) != []
    assert wrong({**data, "involvements": data["involvements"][1:]}, {}) != []

    assert wrong(data, {"police": DEEDS["500"]}) != []
