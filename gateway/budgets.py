"""How many children one person, client or organisation may look up, and how often in vain.

Break-glass has a budget of its own in place of the person's: an emergency neither eats into the ordinary allowance nor
is stopped by it.

A lookup is charged in the transaction of its INTENT or DENIED record, before any agency is asked: the counts are those
of the database, which every process on it adds to, so that an allowance holds however many processes there are. One
miss is reserved with each lookup and returned when OUTCOME discloses something.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from gateway.audit.charging import Count, Passed, Slot
from gateway.remembered import Remembered
from gateway.storage.engine import writing
from gateway.storage.tables import budget

WINDOWS: Final = {"minute": 60, "hour": 3600, "day": 86400}

_KEPT_SECONDS: Final = 2 * WINDOWS["day"]
_FORGOTTEN_AT_ONCE: Final = 20
_REST_SECONDS: Final = 0.002


@dataclass(frozen=True, slots=True)
class Allowance:
    """The most lookups and misses in each window; a window that is not named is not limited."""

    lookups: Mapping[str, int]
    misses: Mapping[str, int]


PERSON = Allowance({"minute": 10, "hour": 60, "day": 200}, {"hour": 5, "day": 20})
CLIENT = Allowance({"minute": 600, "hour": 12_000, "day": 100_000}, {"hour": 600, "day": 4_000})
ORGANISATION = Allowance({"minute": 600, "hour": 12_000, "day": 100_000}, {"hour": 600, "day": 4_000})
OVERRIDE = Allowance({"hour": 10, "day": 20}, {})


@dataclass(frozen=True, slots=True)
class Charge:
    """What is charged in one minute: the counts that go with INTENT or DENIED, and those that go with OUTCOME."""

    minute: int  # in which the slots are the current ones
    counts: tuple[Count, ...]
    returned: tuple[Count, ...]
    left: tuple[Count, ...]

    def settled(self, *, disclosed: bool) -> tuple[Count, ...]:
        """Return what goes with OUTCOME: the reserved miss returned if something was disclosed, else left.

        The same counts either way: the write has one shape.
        """
        return self.returned if disclosed else self.left


@dataclass(frozen=True, slots=True)
class Spent:
    """A budget is spent until then; which one it was is for the log alone."""

    retry_after_seconds: int
    budget: str


class Budgets:
    """What is charged to whom. The counts are in the database; here is only what is known to be spent."""

    def __init__(self, allowances: Mapping[str, Allowance], clock: Callable[[], float] = time.time) -> None:
        """`allowances`: by kind of principal, which is the part of its name before the first colon."""
        self._allowances = allowances
        self._clock = clock
        self._spent: dict[Slot, Spent] = {}
        # the same person again within the minute: the same slots
        self._charges: Remembered[tuple[str, ...], Charge] = Remembered(4096)
        self._parts: Remembered[str, Charge] = Remembered(4096)

    def charge(self, principals: Sequence[str]) -> Charge | Spent:
        """Return what to count for every principal: one lookup and one reserved miss in each window.

        Or what is known to be spent, which saves a transaction; only the log's transaction says that it is not.
        """
        now = self._clock()
        minute = int(now // WINDOWS["minute"])
        key = tuple(principals)
        if not self._spent and (known := self._charges.get(key)) is not None and known.minute == minute:
            return known
        parts = [self._part(principal, now, minute) for principal in principals]
        for part in parts if self._spent else ():
            for count in part.counts:
                if count.slot in self._spent:
                    return self._told(Passed(count, lookups=True), now)
        charge = Charge(
            minute,
            tuple(count for part in parts for count in part.counts),
            tuple(count for part in parts for count in part.returned),
            tuple(count for part in parts for count in part.left),
        )
        self._charges.keep(key, charge)
        return charge

    def _part(self, principal: str, now: float, minute: int) -> Charge:
        """Return what is charged to one principal: the same objects whoever is charged with it."""
        known = self._parts.get(principal)
        if known is not None and known.minute == minute:
            return known
        allowance = self._allowances[principal.partition(":")[0]]
        slots = [(principal, window, int(now // seconds) * seconds) for window, seconds in WINDOWS.items()]
        part = Charge(
            minute,
            tuple(Count(slot, 1, 1, allowance.lookups.get(slot[1]), allowance.misses.get(slot[1])) for slot in slots),
            tuple(Count(slot, 0, -1, None, None) for slot in slots),
            tuple(Count(slot, 0, 0, None, None) for slot in slots),
        )
        self._parts.keep(principal, part)
        return part

    def refused(self, passed: Passed) -> Spent:
        """Return what is spent, when the log has refused a record for it."""
        now = self._clock()
        told = self._told(passed, now)
        if passed.lookups:
            # lookups are never given back: spent until the window ends. A miss may be.
            self._spent = {slot: spent for slot, spent in self._spent.items() if _end(slot) > now}
            self._spent[passed.count.slot] = told
        return told

    def _told(self, passed: Passed, now: float) -> Spent:
        slot = passed.count.slot
        kind = "lookups" if passed.lookups else "misses"
        return Spent(max(1, math.ceil(_end(slot) - now)), f"{allowance_name(slot[0])}.{kind}.{slot[1]}")


def forget_counts(engine: sa.Engine, now: float) -> None:
    """Delete the counts of windows that ended long ago, a few at a time. Blocks. Raises sqlalchemy errors."""
    ended = budget.c.starts < int(now) - _KEPT_SECONDS
    # looked for outside of the transaction, which lookups wait for
    with engine.connect() as connection:
        principals = connection.scalars(sa.select(budget.c.principal).where(ended).distinct()).all()
    for first in range(0, len(principals), _FORGOTTEN_AT_ONCE):
        some = budget.c.principal.in_(principals[first : first + _FORGOTTEN_AT_ONCE])
        with writing(engine).begin() as connection:
            # every column of the key, by which the rows are found without reading the table
            connection.execute(sa.delete(budget).where(some, budget.c.window.in_(WINDOWS), ended))
        time.sleep(_REST_SECONDS)


def allowance_name(principal: str) -> str:
    """Return the kind of a principal: person, override, client or organisation."""
    return principal.partition(":")[0]


def _end(slot: Slot) -> int:
    return slot[2] + WINDOWS[slot[1]]
