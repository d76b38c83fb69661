"""How many children one person, client or organisation may look up, and how often in vain.

Break-glass has a budget of its own in place of the person's: an emergency neither eats into the ordinary allowance nor
is stopped by it.

Charged before anything is executed. One miss is reserved with each lookup and returned when OUTCOME discloses
something. Counts live in the database, written in the transaction of the record they belong to, so that they survive a
restart; this process keeps them in memory and is the only one that writes them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from gateway.storage.tables import budget

WINDOWS: Final = {"minute": 60, "hour": 3600, "day": 86400}

Statements = list[tuple[sa.Executable, Mapping[str, Any] | Sequence[Mapping[str, Any]]]]

_ADD = sa.text(
    'INSERT INTO budget (principal, "window", starts, lookups, misses) '
    "VALUES (:principal, :window, :starts, :lookups, :misses) "
    'ON CONFLICT (principal, "window", starts) '
    "DO UPDATE SET lookups = budget.lookups + excluded.lookups, misses = budget.misses + excluded.misses"
)


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
    """What was charged: `statements` go with INTENT or DENIED, `refund` of the reserved miss with OUTCOME."""

    principals: tuple[str, ...]
    slots: tuple[tuple[str, str, int], ...]
    statements: Statements


@dataclass(frozen=True, slots=True)
class Spent:
    """A budget is spent until then; which one it was is for the log alone."""

    retry_after_seconds: int
    budget: str


class Budgets:
    """The counts of every principal of the current windows. For one event loop."""

    def __init__(
        self, engine: sa.Engine, allowances: Mapping[str, Allowance], clock: Callable[[], float] = time.time
    ) -> None:
        """`allowances`: by kind of principal, which is the part of its name before the first colon."""
        self._engine = engine
        self._allowances = allowances
        self._clock = clock
        self._counts: dict[tuple[str, str, int], list[int]] = {}
        self._known: set[str] = set()
        self._pruned = 0.0

    def charge(self, principals: Sequence[str]) -> Charge | Spent:
        """Count one lookup and one reserved miss for every principal, or none at all if a budget is spent.

        Raises sqlalchemy errors if the counts of a principal cannot be read: then nobody may look up.
        """
        now = self._clock()
        self._prune(now)
        slots = []
        for principal in principals:
            self._recall(principal, now)
            allowance = self._allowances[principal.partition(":")[0]]
            for window, seconds in WINDOWS.items():
                slot = (principal, window, int(now // seconds) * seconds)
                lookups, misses = self._counts.get(slot, (0, 0))
                over = lookups >= allowance.lookups.get(window, math.inf)
                if over or misses >= allowance.misses.get(window, math.inf):
                    kind = "lookups" if over else "misses"
                    return Spent(
                        max(1, math.ceil(slot[2] + seconds - now)), f"{allowance_name(principal)}.{kind}.{window}"
                    )
                slots.append(slot)
        for slot in slots:
            count = self._counts.setdefault(slot, [0, 0])
            count[0] += 1
            count[1] += 1
        return Charge(tuple(principals), tuple(slots), [(_ADD, _rows(slots, 1, 1))])

    def cancel(self, charge: Charge) -> None:
        """Undo a charge whose record was never written: nobody was asked, and nothing of it is in the database."""
        for slot in charge.slots:
            if slot in self._counts:
                self._counts[slot][0] -= 1
                self._counts[slot][1] -= 1

    def settling(self, charge: Charge, *, disclosed: bool) -> Statements:
        """Return what goes with OUTCOME: the reserved miss returned if something was disclosed, else left.

        The same statement either way: the write has one shape.
        """
        return [(_ADD, _rows(charge.slots, 0, -1 if disclosed else 0))]

    def settle(self, charge: Charge, *, disclosed: bool) -> None:
        """Count what `settling` wrote; once it is on disk, and not before."""
        for slot in charge.slots:
            if disclosed and slot in self._counts:
                self._counts[slot][1] -= 1

    def _recall(self, principal: str, now: float) -> None:
        if principal in self._known:
            return
        oldest = int(now // WINDOWS["day"]) * WINDOWS["day"]
        query = sa.select(budget).where(budget.c.principal == principal, budget.c.starts >= oldest)
        with self._engine.connect() as connection:
            for row in connection.execute(query).mappings():
                self._counts[principal, row["window"], row["starts"]] = [row["lookups"], row["misses"]]
        self._known.add(principal)

    def _prune(self, now: float) -> None:
        if now - self._pruned < WINDOWS["minute"]:
            return
        self._pruned = now
        self._counts = {s: c for s, c in self._counts.items() if s[2] + WINDOWS[s[1]] > now}
        live = {s[0] for s in self._counts}
        self._known &= live


def allowance_name(principal: str) -> str:
    """Return the kind of a principal: person, override, client or organisation."""
    return principal.partition(":")[0]


def _rows(slots: Sequence[tuple[str, str, int]], lookups: int, misses: int) -> list[dict[str, Any]]:
    return [{"principal": p, "window": w, "starts": s, "lookups": lookups, "misses": misses} for p, w, s in slots]
