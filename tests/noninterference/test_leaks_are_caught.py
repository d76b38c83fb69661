"""A leak that somebody puts into the product is seen: every mutant of every channel, and nothing where there is none.

    CONTACTPOINT_TEST_LEAK_SEEDS=10 python -m pytest tests/noninterference/test_leaks_are_caught.py

Without this, no difference in 20,000 pairs would say as little as a smoke detector that was never held to a flame.
"""

from __future__ import annotations

import math
import os
import statistics
from collections import Counter
from collections.abc import Callable

import pytest

from tests.noninterference.mutants.judging import Verdict, judge, judge_all, what_is_seen
from tests.noninterference.mutants.mutant import CHANNELS, Mutant, SeenBy
from tests.noninterference.mutants.registry import MUTANTS

# mutants change what is sent after it was recorded
pytestmark = pytest.mark.records_otherwise

SEEDS = int(os.environ.get("CONTACTPOINT_TEST_LEAK_SEEDS", "1"))
TURN = int(os.environ.get("CONTACTPOINT_TEST_SEED", "7"))
BUDGET = 2_000
"""Pairs within which a leak must be seen."""
CLEAN = 60 if SEEDS == 1 else 150
"""Pairs in which the product as it is must show nothing, for each seed."""
_FIRST_SEED = 101


def _in_turn() -> tuple[Mutant, ...]:
    """Return all mutants; with one seed a quarter of each channel's, and at least one: which, the suite's seed says."""
    if SEEDS > 1:
        return MUTANTS
    chosen: list[Mutant] = []
    for channel in CHANNELS:
        own = [mutant for mutant in MUTANTS if mutant.channel == channel]
        first = TURN % len(own)
        chosen += [*own[first:], *own[:first]][: math.ceil(len(own) / 4)]
    return tuple(chosen)


JUDGED = _in_turn()
Property = Callable[[str, object], None]


class Verdicts:
    """The verdicts on all mutants: one by one as they are asked for, or, for several seeds, all at once."""

    def __init__(self) -> None:
        self.known: dict[str, list[Verdict]] = {}

    def on(self, mutant: Mutant) -> list[Verdict]:
        """Return the verdicts on one mutant, one for each seed; a story has no seed."""
        if SEEDS > 1 and not self.known:
            jobs = [(m.name, seed, BUDGET) for m in JUDGED for seed in _seeds(m)]
            for verdict in judge_all(jobs):
                self.known.setdefault(verdict.name, []).append(verdict)
        if mutant.name not in self.known:
            self.known[mutant.name] = [judge(mutant.name, seed, BUDGET) for seed in _seeds(mutant)]
        return self.known[mutant.name]


@pytest.fixture(scope="module")
def verdicts() -> Verdicts:
    return Verdicts()


def _seeds(mutant: Mutant) -> range:
    return range(_FIRST_SEED, _FIRST_SEED + (SEEDS if mutant.seen_by is SeenBy.PAIRS else 1))


def test_every_channel_has_a_mutant() -> None:
    assert {mutant.channel for mutant in MUTANTS} == set(CHANNELS)
    assert len(MUTANTS) >= 50
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", JUDGED, ids=str)
def test_a_leak_is_caught(mutant: Mutant, verdicts: Verdicts) -> None:
    survived = [verdict.seed for verdict in verdicts.on(mutant) if not verdict.killed]

    assert not survived, f"{mutant.what} Not seen with seeds {survived}."


def test_nothing_is_caught_where_nothing_leaks() -> None:
    """The control of the control: the same pairs and the same stories over the product as it is."""
    jobs = [(None, seed, CLEAN) for seed in range(_FIRST_SEED, _FIRST_SEED + SEEDS)]
    found = list(judge_all(jobs)) if SEEDS > 1 else [judge(*job) for job in jobs]

    assert [verdict.seen for verdict in found if verdict.killed] == []
    assert sum(verdict.pairs for verdict in found) == SEEDS * CLEAN


@pytest.mark.parametrize("kind", [kind for kind in SeenBy if kind is not SeenBy.PAIRS])
def test_no_story_tells_a_leak_where_nothing_leaks(kind: SeenBy) -> None:
    assert what_is_seen(kind) == []


def test_the_figures(verdicts: Verdicts, record_testsuite_property: Property) -> None:
    """Last, so that the figures are those of this run: of all mutants in a proof, of some otherwise."""
    judged = [m for m in JUDGED if SEEDS > 1 or m.name in verdicts.known]
    if not judged:
        pytest.skip("no mutant was judged in this process")
    found = [verdict for mutant in judged for verdict in verdicts.on(mutant)]
    killed = [m for m in judged if all(verdict.killed for verdict in verdicts.on(m))]
    kinds = Counter(m.seen_by.value for m in judged)
    record_testsuite_property("leak mutants", len(judged))
    record_testsuite_property("channels with a mutant", f"{len({m.channel for m in judged})} of {len(CHANNELS)}")
    record_testsuite_property("seeds", SEEDS)
    record_testsuite_property("killed in every seed", len(killed))
    record_testsuite_property("seen by", ", ".join(f"{kind} {count}" for kind, count in kinds.items()))
    record_testsuite_property("differences of the product as it is, in pairs", f"0 in {SEEDS * CLEAN}")
    pairs = sorted(verdict.pairs for verdict in found if verdict.pairs)
    if pairs:
        middle, most = round(statistics.median(pairs)), pairs[-1]
        late = pairs[min(len(pairs) - 1, round(0.95 * len(pairs)))]
        record_testsuite_property("pairs to the first difference", f"median {middle}, p95 {late}, most {most}")
    print(f"{len(killed)} of {len(judged)} leak mutants killed with {SEEDS} seeds")
    assert len(killed) == len(judged)
