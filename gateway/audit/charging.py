"""Counts that a record carries: they are taken in its transaction, against what all processes have taken before.

A lookup's INTENT carries what it charges, and its OUTCOME what it gives back. One statement for a batch adds all of
them; a record whose count would pass its limit is not written, and nothing of it is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Final, Protocol

from schema.made_quickly import made_quickly

Slot = tuple[str, str, int]
"""A row of the budgets: principal, window, and when that window starts (seconds since 1970)."""

Counts = Mapping[Slot, tuple[int, int]]
"""Lookups and misses by slot."""

COLUMNS: Final = 'principal, "window", starts, lookups, misses'
ON_CONFLICT: Final = (
    'ON CONFLICT (principal, "window", starts) '
    "DO UPDATE SET lookups = budget.lookups + excluded.lookups, misses = budget.misses + excluded.misses"
)
"""How both databases add to what is there."""


@dataclass(frozen=True, slots=True, eq=False)
class Count:
    """What is added to a slot, and the most that may stand there afterwards; None is no limit.

    Each is told from others by which object it is: those of a principal are the same whoever is charged with them, and
    a batch's are counted without comparing what they hold.
    """

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


@made_quickly
@dataclass(frozen=True, slots=True)
class Total:
    """What a batch adds."""

    added: Counts
    """By slot."""
    limited: Sequence[Count]
    """Each count that stands in the batch and has a limit, once: without any, what stands after decides nothing."""


def total(batch: Sequence[Charging]) -> Total:
    """Return what a batch adds to each slot."""
    if len(batch) == 1:
        return _of_one(tuple(batch[0].charges))
    return _of_all(Counter(chain.from_iterable([record.charges for record in batch])))


@lru_cache(maxsize=256)
def _of_one(charges: tuple[Count, ...]) -> Total:
    """Return what a record adds that is alone: the same counts come again with whoever is charged within the minute."""
    return _of_all(Counter(charges))


def _of_all(counts: Mapping[Count, int]) -> Total:
    added: dict[Slot, tuple[int, int]] = {}
    limited: list[Count] = []
    for count, often in counts.items():
        slot = count.slot
        if (before := added.get(slot)) is None:
            added[slot] = often * count.lookups, often * count.misses
        else:
            added[slot] = before[0] + often * count.lookups, before[1] + often * count.misses
        if count.most_lookups is not None or count.most_misses is not None:
            limited.append(count)
    return Total(added, limited)


def passed_limits(batch: Sequence[Charging], charged: Total, after: Counts) -> dict[int, Passed]:
    """Return which records of a batch may not be written, by index, if `after` stands when all of it is added.

    In the order of the batch: a record that is refused takes nothing from those behind it.
    """
    for count in charged.limited:
        lookups, misses = after[count.slot]
        if not _within(count, lookups, misses):
            break
    else:
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


def _within(count: Count, lookups: int, misses: int) -> bool:
    return (count.most_lookups is None or lookups <= count.most_lookups) and (
        count.most_misses is None or misses <= count.most_misses
    )
