"""Puts a mutant in, asks its oracle, and says whether and how soon the leak was seen."""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import structlog

from gateway.errors import InternalServerError
from tests.noninterference import runner
from tests.noninterference.mutants import seen_by_probes, seen_by_work, seen_in_sequence, seen_in_sinks
from tests.noninterference.mutants.mutant import Mutant, SeenBy
from tests.noninterference.mutants.registry import MUTANTS
from tests.noninterference.mutants.situations import situated

Story = Callable[[], Awaitable[list[str]]]

STORIES: dict[SeenBy, Sequence[Story]] = {
    SeenBy.SEQUENCE: seen_in_sequence.STORIES,
    SeenBy.PROBE: seen_by_probes.STORIES,
    SeenBy.SINKS: seen_in_sinks.STORIES,
    SeenBy.WORK: seen_by_work.STORIES,
}
PROCESSES = 2
_MISCALLED = re.compile(r"\(\) (takes|got an unexpected|missing) ")
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


@dataclass(frozen=True)
class Verdict:
    """What became of one mutant with one seed. `seen`: what gave it away, None if nothing did."""

    name: str
    seed: int
    pairs: int  # up to the first difference; 0 where another oracle judged
    seen: str | None

    @property
    def killed(self) -> bool:
        return self.seen is not None


def judge(name: str | None, seed: int, budget: int) -> Verdict:
    """Return the verdict on one mutant, or on the product as it is (None), within so many pairs.

    Raises TypeError if the mutant's own call does not fit what it replaces.
    """
    mutant = BY_NAME[name] if name is not None else None
    with _quietly(), _whole(), mutant.apply() if mutant else nullcontext():
        if mutant is None or mutant.seen_by is SeenBy.PAIRS:
            return asyncio.run(_by_pairs(name or "nothing", seed, budget))
        return asyncio.run(_by_stories(mutant, seed))


def judge_all(jobs: Sequence[tuple[str | None, int, int]]) -> Iterator[Verdict]:
    """Return the verdicts on many, from two processes; each builds gateways of its own for every one."""
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(judge, *zip(*jobs, strict=True))


def what_is_seen(kind: SeenBy) -> list[str]:
    """Return what the stories of one oracle see in the product as it is."""

    async def every() -> list[str]:
        return [each for story in STORIES[kind] for each in await story()]

    with _quietly():
        return asyncio.run(every())


async def _by_pairs(name: str, seed: int, budget: int) -> Verdict:
    with TemporaryDirectory() as folder, patch.object(runner, "pair", situated):
        report = await runner.run_pairs(Path(folder), seed, budget, stop_at_first=True)
    seen = report.differences[0].reason if report.differences else None
    return Verdict(name, seed, report.pairs, seen)


async def _by_stories(mutant: Mutant, seed: int) -> Verdict:
    for story in STORIES[mutant.seen_by]:
        if seen := await story():
            return Verdict(mutant.name, seed, 0, seen[0])
    return Verdict(mutant.name, seed, 0, None)


@contextmanager
def _quietly() -> Iterator[None]:
    # what the gateways log of sources that are wrong on purpose is read by the oracle of sinks alone
    before = structlog.get_config()
    structlog.configure(processors=[_dropped])
    try:
        yield
    finally:
        structlog.configure(**before)


@contextmanager
def _whole() -> Iterator[None]:
    """Raise TypeError at the end where a mutant does not fit the product any more: its crash would pass for a leak."""
    misfits: list[str] = []
    honest = InternalServerError.__init__

    def noted(self: InternalServerError, request_id: str) -> None:
        fault = sys.exception()
        if isinstance(fault, AttributeError | NameError) or _MISCALLED.search(str(fault)):
            misfits.append(str(fault))
        honest(self, request_id)

    with patch.object(InternalServerError, "__init__", noted):
        yield
    if misfits:
        raise TypeError(misfits[0])


def _dropped(_logger: object, _method: str, _event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    raise structlog.DropEvent
