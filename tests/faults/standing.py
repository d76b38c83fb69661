"""What this process holds while nothing is under way, and what it came to hold more of."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from gateway.app import Gateway
from gateway.front.asgi import timers
from tests.recorded.listening import compare

MOST_GROWTH = 0.1  # of the memory of the process
MOST_PIECES = 0.02  # of memory, for each lookup
_MADE_LATE = 3_000  # pieces: what is made once and late, as a statement's compiled form or a table of a cache
_LOOK_SECONDS, _SAME, _REST_SECONDS = 0.2, 5, 15.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Standing:
    """What the process holds after so many lookups."""

    lookups: int
    megabytes: float
    pieces: int  # of memory that objects are in
    files: Counter[str]  # sockets, and what else by the file's name
    tasks: Counter[str]  # by what they run

    @classmethod
    def now(cls, lookups: int) -> Standing:
        """Return what is held at this moment."""
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        tasks = Counter(sys.intern(each.get_coro().__qualname__) for each in asyncio.all_tasks())
        return cls(lookups, pages * _PAGE / 2**20, sys.getallocatedblocks(), _files(), tasks)

    @classmethod
    async def at_rest(cls, lookups: int) -> Standing:
        """Return it once nothing is under way and what is idle was let go: two of these are like and like."""
        seen, same, until = cls.now(lookups), 0, time.monotonic() + _REST_SECONDS
        while same < _SAME and time.monotonic() < until:
            await asyncio.sleep(_LOOK_SECONDS)
            before, seen = seen, cls.now(lookups)
            same = same + 1 if (seen.files, seen.tasks) == (before.files, before.tasks) else 0
        compare()  # what holds the log against the answers keeps some of them until then
        gc.collect()
        _give_back()
        return replace(cls.now(lookups), files=seen.files, tasks=seen.tasks)

    def __str__(self) -> str:
        return f"{self.megabytes:.0f} MiB, {self.files.total()} files, {self.tasks.total()} tasks"


def _give_back() -> None:
    """Have the C library return the pages that it keeps unused: some tens of MiB, more or fewer by chance."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _files() -> Counter[str]:
    found: Counter[str] = Counter()
    for each in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            name = os.path.basename(os.readlink(f"/proc/self/fd/{each}"))
            found[sys.intern(re.sub(r"[:0-9\[\]]+$", "", name))] += 1
    return found


def kinds_of_objects() -> Counter[str]:
    """Return how many objects there are of each type."""
    return Counter(type(each).__qualname__ for each in gc.get_objects())


async def make_what_is_made_once(gateway: Gateway) -> None:
    """Do what is done now and then, and fill the pool of connections: neither is growth when it comes later."""
    for _, work in timers(gateway):
        await work()
    pool = gateway.engine.pool
    assert isinstance(pool, sa.QueuePool)
    with ExitStack() as stack:
        for _ in range(pool.size()):
            stack.enter_context(gateway.engine.connect())


def settled(standings: Sequence[Standing]) -> Sequence[Standing]:
    """Return those of when the process had warmed up."""
    return standings[len(standings) // 5 :]


def grown(standings: Sequence[Standing], *, memory: bool) -> list[str]:
    """Return what there was more of at the end, and by how much: of memory, since the process had warmed up."""
    begun, last = standings[0], standings[-1]
    found = [
        f"{count} more of {what} {name}: {before[name]} at the beginning, {after[name]} at the end"
        for what, before, after in (("task", begun.tasks, last.tasks), ("file", begun.files, last.files))
        for name, count in (after - before).items()
    ]
    if not memory:
        return found
    looks = settled(standings)
    first = looks[0]
    over = f"MiB over time: {' '.join(f'{each.megabytes:.0f}' for each in looks)}"
    if last.megabytes > first.megabytes * (1 + MOST_GROWTH):
        found.append(f"{last.megabytes - first.megabytes:.0f} MiB more: {first.megabytes:.0f} when settled; {over}")
    more, lookups = pieces_left(standings)
    if more > _MADE_LATE + MOST_PIECES * lookups:
        found.append(f"{more:,} more pieces of memory after {lookups:,} lookups; {over}")
    return found


def pieces_left(standings: Sequence[Standing]) -> tuple[int, int]:
    """Return how many more pieces of memory there were after how many lookups: late medians less early ones."""
    looks = settled(standings)
    third = max(1, len(looks) // 3)

    def between(of: Callable[[Standing], int]) -> int:
        return round(statistics.median(map(of, looks[-third:])) - statistics.median(map(of, looks[:third])))

    return between(lambda s: s.pieces), between(lambda s: s.lookups)
