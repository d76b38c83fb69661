"""Counts that a record carries: they are taken in its transaction, against what all processes have taken before.

A lookup's INTENT carries what it charges, and its OUTCOME what it gives back. One statement for a batch adds all of
them; a record whose count would pass its limit is not written, and nothing of it is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

Slot = tuple[str, str, int]
"""A row of the budgets: principal, window, and when that window starts (seconds since 1970)."""

Counts = Mapping[Slot, tuple[int, int]]
"""Lookups and misses by slot."""

COLUMNS: Final = 'principal, "window", starts, lookups, misses'
ON_CONFLICT: Final = (
    'ON CONFLICT (principal, "window", starts) '
    "DO UPDATE SET lookups = budget.lookups + excluded.lookups, misses = budget.misses + excluded.misses "
    f"RETURNING {COLUMNS}"
)
"""How both databases add to what is there and say what is there now."""


@dataclass(frozen=True, slots=True)
class Count:
    """What is added to a slot, and the most that may stand there afterwards; None is no limit."""

    slot: Slot
    lookups: int
    misses: int
    most_lookups: int | None
    most_misses: int | None


@dataclass(frozen=True, slots=True)
class Passed:
    """Which limit a count would have passed: of `lookups`, or else of misses."""

    count: Count
    lookups: bool


class Charging(Protocol):
    """A record that may carry counts."""

    charges: Sequence[Count]


@dataclass(frozen=True, slots=True)
class Total:
    """What a batch adds."""

    added: Counts
    """By slot, sorted: two processes then take the rows in one order."""
    counts: Sequence[Count]
    """Each count that stands in the batch, once."""


def total(batch: Sequence[Charging]) -> Total:
    """Return what a batch adds to each slot."""
    times = _times(batch)
    added: dict[Slot, tuple[int, int]] = {}
    for count, often in times:
        lookups, misses = added.get(count.slot, (0, 0))
        added[count.slot] = lookups + often * count.lookups, misses + often * count.misses
    return Total(dict(sorted(added.items())), [count for count, _ in times])


def passed_limits(batch: Sequence[Charging], charged: Total, after: Counts) -> dict[int, Passed]:
    """Return which records of a batch may not be written, by index, if `after` stands when all of it is added.

    In the order of the batch: a record that is refused takes nothing from those behind it.
    """
    if all(_within(count, *after[count.slot]) for count in charged.counts):
        return {}
    added = charged.added
    standing = {slot: (lookups - added[slot][0], misses - added[slot][1]) for slot, (lookups, misses) in after.items()}
    refused: dict[int, Passed] = {}
    for index, record in enumerate(batch):
        taken = dict(standing)
        for count in record.charges:
            lookups, misses = taken[count.slot]
            taken[count.slot] = lookups + count.lookups, misses + count.misses
            if not _within(count, *taken[count.slot]):
                most = count.most_lookups
                refused[index] = Passed(count, most is not None and taken[count.slot][0] > most)
                break
        else:
            standing = taken
    return refused


def counts_of(rows: Sequence[Sequence[Any]]) -> dict[Slot, tuple[int, int]]:
    """Return the counts in rows of `COLUMNS`."""
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows}


def _times(batch: Sequence[Charging]) -> list[tuple[Count, int]]:
    """Return each count that stands in a batch, and how often.

    Lookups of one person carry the same sequence, and those of one client the same objects for all of its users.
    """
    carried = [record.charges for record in batch]
    often = Counter(map(id, carried))
    times: dict[int, int] = {}
    counts: dict[int, Count] = {}
    for key, charges in dict(zip(map(id, carried), carried, strict=True)).items():
        here = often[key]
        for count in charges:
            known = id(count)
            times[known] = times.get(known, 0) + here
            counts[known] = count
    return [(counts[known], here) for known, here in times.items()]


def _within(count: Count, lookups: int, misses: int) -> bool:
    return (count.most_lookups is None or lookups <= count.most_lookups) and (
        count.most_misses is None or misses <= count.most_misses
    )
