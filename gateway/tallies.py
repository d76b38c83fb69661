"""Counts and durations as plain numbers in memory, folded into Prometheus metrics when those are read.

To count in a metric costs about ten times as much as to add to a number: a lookup with four sources counts in ten. One
thread adds and folds, that of the event loop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final, Protocol
from weakref import WeakSet

from prometheus_client import Counter, Histogram
from prometheus_client.metrics_core import Metric

_MOST_ANSWERS: Final = 4096  # that differ, until they are put together: nobody may ever read the metrics


class Tally(Protocol):
    """Something that is held back from a metric until it is read."""

    def fold(self) -> None:
        """Put into the metric what was added since the last time."""
        ...


class Counts:
    """What a counter will hold."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._held: dict[tuple[str, ...], int] = {}

    def add(self, *labels: str, count: int = 1) -> None:
        """Count so many under these labels."""
        self._held[labels] = self._held.get(labels, 0) + count

    def fold(self) -> None:
        """Put into the counter what was added since the last time."""
        held, self._held = self._held, {}
        for labels, count in held.items():
            self._counter.labels(*labels).inc(count)


class Distribution(Histogram):
    """A histogram that takes many observations at once."""

    def take(self, counts: Sequence[int], total: float) -> None:
        """Add so many observations to each bucket, the last being that above all bounds, and their sum."""
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(total)


class Durations:
    """What a distribution will hold."""

    def __init__(self, distribution: Distribution, bounds: Sequence[float], *, labelled: bool = True) -> None:
        """`bounds` are those of its buckets."""
        self._distribution = distribution
        self._bounds = tuple(bounds)
        self._labelled = labelled
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._totals: dict[tuple[str, ...], float] = {}

    def add(self, seconds: float, *labels: str, count: int = 1) -> None:
        """Observe a duration so many times under these labels."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
            self._totals[labels] = 0.0
        counts[bisect_left(self._bounds, seconds)] += count
        self._totals[labels] += seconds * count

    def fold(self) -> None:
        """Put into the distribution what was added since the last time."""
        counts, self._counts = self._counts, {}
        totals, self._totals = self._totals, {}
        for labels, held in counts.items():
            series = self._distribution.labels(*labels) if self._labelled else self._distribution
            series.take(held, totals[labels])


class Requests:
    """What a counter and a distribution will hold of requests: one series for both, by operation and code."""

    def __init__(self, counter: Counter, distribution: Distribution, bounds: Sequence[float]) -> None:
        """`counter` has the labels of operation and code, `distribution` that of operation; `bounds` are its own."""
        self._counter = counter
        self._distribution = distribution
        self._bounds = tuple(bounds)
        self._counts: dict[tuple[str, str], list[int]] = {}
        self._totals: dict[tuple[str, str], float] = {}

    def add(self, operation: str, code: str, seconds: float) -> None:
        """Count one request that took so long."""
        key = (operation, code)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = [0] * (len(self._bounds) + 1)
            self._totals[key] = 0.0
        counts[bisect_left(self._bounds, seconds)] += 1
        self._totals[key] += seconds

    def fold(self) -> None:
        """Put into both what was added since the last time."""
        counts, self._counts = self._counts, {}
        totals, self._totals = self._totals, {}
        for (operation, code), held in counts.items():
            self._counter.labels(operation, code).inc(sum(held))
            self._distribution.labels(operation).take(held, totals[operation, code])


class Answers:
    """What a counter and a distribution will hold of what sources did: one number for both, whatever the source."""

    def __init__(self, counter: Counter, distribution: Distribution, bounds: Sequence[float]) -> None:
        """`counter` has the labels of source, status and code, `distribution` that of source; `bounds` are its own."""
        self._counter = Counts(counter)
        self._durations = Durations(distribution, bounds)
        self._held: dict[tuple[str, str, str, int], int] = {}

    def add(self, source: str, status: str, code: str, milliseconds: int) -> None:
        """Count one answer that took so long."""
        key = (source, status, code, milliseconds)
        known = self._held.get(key)
        if known is None and len(self._held) >= _MOST_ANSWERS:
            self._take()
        self._held[key] = (known or 0) + 1

    def fold(self) -> None:
        """Put into both what was added since the last time."""
        self._take()
        self._counter.fold()
        self._durations.fold()

    def _take(self) -> None:
        held, self._held = self._held, {}
        for (source, status, code, milliseconds), count in held.items():
            self._counter.add(source, status, code, count=count)
            self._durations.add(milliseconds / 1000, source, count=count)


class Memory(Protocol):
    """Something that remembers what was worked out before, and counts how often it did."""

    hits: int
    misses: int


class Memories:
    """What a counter will hold of all that remember, by the name under which they are counted."""

    def __init__(self, counter: Counter) -> None:
        """`counter` has the labels of that name and of `hit` or `miss`."""
        self._counter = counter
        self._of: dict[str, WeakSet[Memory]] = {}  # what is gone is not kept for its figures

    def watch(self, name: str, memory: Memory) -> None:
        """Count for this one, too."""
        self._of.setdefault(name, WeakSet()).add(memory)

    def fold(self) -> None:
        """Take from each what it counted since the last time."""
        for name, memories in self._of.items():
            for memory in memories:
                hits, misses, memory.hits, memory.misses = memory.hits, memory.misses, 0, 0
                self._counter.labels(name, "hit").inc(hits)
                self._counter.labels(name, "miss").inc(misses)


class Folding:
    """A collector without metrics: registered before all others, it folds when any of them is read."""

    def __init__(self) -> None:
        self._tallies: list[Tally] = []

    def watch(self, tally: Tally) -> None:
        """Fold this one, too."""
        self._tallies.append(tally)

    def fold(self) -> None:
        """Fold everything now."""
        for tally in self._tallies:
            tally.fold()

    def collect(self) -> Iterator[Metric]:
        """Yield nothing."""
        self.fold()
        return iter(())
