"""A long time with faults on: no wrong answer, and nothing grows.

CONTACTPOINT_TEST_SOAK_SECONDS sets how long (5); the proof takes half an hour.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from connectors import wire
from gateway.breaker import BreakerRules
from gateway.upstream import Upstream
from tests.faults.matrix import DEEDS, WELL, Deed
from tests.faults.rig import SOURCES, Rig, running_rig

pytestmark = pytest.mark.network

SECONDS = float(os.environ.get("CONTACTPOINT_TEST_SOAK_SECONDS", "5"))
AT_ONCE = 8
ROUND = 64
TROUBLED = 0.1  # of a source's answers
_MOST_GROWTH = 0.1
_IDLE_SECONDS = 0.5  # in place of 15: after which the client of a source closes a connection that nobody uses
_POOL = 8  # connections to the database: of the pool, of the log, of the checkpointer
_LOOK_SECONDS, _SAME, _REST_SECONDS = 0.2, 5, 15.0
_PAGE = os.sysconf("SC_PAGE_SIZE")
_NEVER_LOST = {"CIRCUIT_OPEN", "TIMEOUT", "OVERLOADED"}  # what a source in order may read while its circuit is open


@dataclass(frozen=True)
class Standing:
    """What the process holds."""

    megabytes: float
    files: Counter[str]  # sockets, and what else by the file's name
    tasks: Counter[str]  # by what they run

    @classmethod
    def now(cls) -> Standing:
        """Return what is held at this moment."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        tasks = Counter(each.get_coro().__qualname__ for each in asyncio.all_tasks())
        return cls(pages * _PAGE / 2**20, _files(), tasks)

    @classmethod
    async def at_rest(cls) -> Standing:
        """Return it once nothing is under way and what is idle was let go: two of these are like and like."""
        seen, same, until = cls.now(), 0, time.monotonic() + _REST_SECONDS
        while same < _SAME and time.monotonic() < until:
            await asyncio.sleep(_LOOK_SECONDS)
            before, seen = seen, cls.now()
            same = same + 1 if (seen.files, seen.tasks) == (before.files, before.tasks) else 0
        gc.collect()
        return cls.now()


def _files() -> Counter[str]:
    found: Counter[str] = Counter()
    for each in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found[re.sub(r"[:0-9\[\]]+$", "", os.path.basename(os.readlink(f"/proc/self/fd/{each}")))] += 1
    return found


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
    rig.forget()
    return found


def soaked(seconds: float) -> tuple[int, list[str], list[Standing]]:
    """Look up so long; return how often, what was wrong, and what was held each time all was at rest."""

    async def soak() -> tuple[int, list[str], list[Standing]]:
        chance = random.Random(9990000018)
        standings, found, rounds = [], [], 0
        with patch.object(wire, "_IDLE_SECONDS", _IDLE_SECONDS):
            async with running_rig(rules=BreakerRules()) as rig:
                until = time.monotonic() + seconds
                look = 0.0
                while time.monotonic() < until or rounds < 3:
                    found += await one_round(rig, chance)
                    rounds += 1
                    if time.monotonic() >= look:
                        standings.append(await Standing.at_rest())
                        look = time.monotonic() + seconds / 50
        return rounds * ROUND, found, standings

    return asyncio.run(soak())


def grown(standings: Sequence[Standing], *, memory: bool) -> list[str]:
    """Return what there was more of at the end, once what is made once was made."""
    settled = standings[len(standings) // 5 :]
    first, last = settled[0], settled[-1]
    found = [f"{count} more of task {name}" for name, count in (last.tasks - first.tasks).items()]
    found += [
        f"{count} more of file {name}"
        for name, count in (last.files - first.files).items()
        # two threads that read at once for the first time make another connection, which the pool then keeps
        if not (name.startswith("gateway.db") and last.files[name] <= _POOL)
    ]
    if memory and last.megabytes > first.megabytes * (1 + _MOST_GROWTH):
        found.append(f"{last.megabytes - first.megabytes:.0f} MiB more")
    return found


def test_a_long_time_with_faults_tells_nothing_wrong_and_nothing_grows(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    lookups, found, standings = soaked(SECONDS)
    settled = standings[len(standings) // 5 :]
    first, last = settled[0], settled[-1]

    record_testsuite_property("seconds with faults on", SECONDS)
    record_testsuite_property("lookups", lookups)
    record_testsuite_property("wrong answers", len(found))
    record_testsuite_property("MiB: when settled, at the end", f"{first.megabytes:.0f}, {last.megabytes:.0f}")
    files = f"{first.files.total()}, {last.files.total()}"
    record_testsuite_property("open files, all at rest: when settled, at the end", files)
    tasks = f"{first.tasks.total()}, {last.tasks.total()}"
    record_testsuite_property("tasks, all at rest: when settled, at the end", tasks)
    assert found == []
    # a process takes more than seconds to have all the memory that it will work with
    assert grown(standings, memory=SECONDS >= 60) == []


_KEPT: list[Any] = []


@pytest.mark.parametrize(
    ("keep", "word"),
    [
        pytest.param(lambda: asyncio.create_task(asyncio.sleep(3600)), "task sleep", id="a-task"),
        pytest.param(lambda: Path("/dev/zero").open("rb"), "file zero", id="a-file"),  # noqa: SIM115 - the defect
        pytest.param(lambda: bytearray(os.urandom(200_000)), "MiB more", id="memory"),
    ],
)
def test_what_each_ask_leaves_behind_would_be_found(
    keep: Callable[[], Any], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Upstream._ask

    async def leaving(self: Upstream, *how: Any) -> Any:
        _KEPT.append(keep())
        return await asking(self, *how)

    monkeypatch.setattr(Upstream, "_ask", leaving)
    try:
        _, _, standings = soaked(1)
    finally:
        for each in _KEPT:
            if isinstance(each, BufferedReader):
                each.close()
        _KEPT.clear()

    assert [each for each in grown(standings, memory=True) if word in each] != []


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
