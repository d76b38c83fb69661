"""A simulated log: so many look-ups by honest people, with misuses planted among them, in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from gateway.detection.lookups import LogFault, Place, Seen
from tests.detection.acts import (
    Act,
    ChildOf,
    PersonOf,
    at_ms,
    pseudonym_of_child,
    pseudonym_of_person,
    seen_of,
)
from tests.detection.childhoods import children
from tests.detection.misuses import CANARIES, PROMINENT_GROUP, Misuse, Planted, committed, in_the_news, plan
from tests.detection.working_days import Town, working_day
from tests.detection.workplaces import DAYS, feed, workforce

_LOOKUPS_OF_A_PLACE = 20_600
_CHILDREN_OF_A_PLACE = 8_000
_FAULTS = (
    ("OPEN_INTENT", "a look-up has no OUTCOME"),
    ("GAP", "the sequence of records has a gap"),
    ("SILENCE", "no heartbeat while the gateway ran"),
)


@dataclass(frozen=True)
class Simulation:
    """One run of the world. `acts` may be gone through once."""

    planted: list[Planted]
    feed: str
    canaries: tuple[str, ...]
    acts: Iterator[Act | tuple[float, Planted, int]]


def simulation(seed: int, places: int, per_class: int, *, quiet: float = 1.0) -> Simulation:
    """Return a world of so many places, with so many misuses of each class; `quiet` scales what honest people do."""
    random = Random(seed)
    workers = workforce(random, places)
    for worker in workers:
        worker.rate *= quiet
    everybody = children(random, workers, _CHILDREN_OF_A_PLACE)
    town = Town(random, workers, everybody, _CHILDREN_OF_A_PLACE)
    planted = plan(town, per_class)
    wrong: dict[int, list[Act]] = {}
    for kind in Misuse:
        of_kind = [p for p in planted if p.kind is kind]
        if kind is Misuse.PROMINENT:
            for first in range(0, len(of_kind), PROMINENT_GROUP):
                _file(wrong, in_the_news(town, of_kind[first : first + PROMINENT_GROUP]))
        else:
            for each in of_kind:
                _file(wrong, committed(town, each))
    # after the leavers among the planted have been given their last day
    written = feed(random, workers, [child.number for child in everybody])
    return Simulation(planted, written, CANARIES, _acts(town, planted, wrong))


def places_for(lookups: int) -> int:
    """Return how many places make about so many look-ups."""
    return max(1, round(lookups / _LOOKUPS_OF_A_PLACE))


def seen_in(
    simulated: Simulation,
    person_of: PersonOf = pseudonym_of_person,
    child_of: ChildOf = pseudonym_of_child,
) -> Iterator[tuple[Seen, int | None]]:
    """Yield what the reader of a log would give, each with the number of the misuse that it belongs to."""
    for seq, each in enumerate(simulated.acts):
        if isinstance(each, Act):
            yield seen_of(each, seq, person_of, child_of), each.misuse
        else:
            hours, planted, which = each
            code, what = _FAULTS[which]
            yield LogFault(Place("simulated", seq), at_ms(hours), code, what), planted.number


def _file(wrong: dict[int, list[Act]], acts: Iterator[Act]) -> None:
    for each in acts:
        wrong.setdefault(int(each.hours // 24), []).append(each)


def _acts(
    town: Town, planted: list[Planted], wrong: dict[int, list[Act]]
) -> Iterator[Act | tuple[float, Planted, int]]:
    carried: list[Act] = []
    count = 0
    for day in range(DAYS + 2):
        town.day = day
        today: list[Act | tuple[float, Planted, int]] = [*carried, *wrong.get(day, ())]
        if day < DAYS:
            today.extend(working_day(town))
        today.extend(
            (day * 24 + town.random.uniform(0, 24), p, p.number % 3)
            for p in planted
            if p.kind is Misuse.LOG and p.day == day
        )
        today.sort(key=_when)
        # a night shift ends tomorrow
        carried = [each for each in today if isinstance(each, Act) and each.hours >= (day + 1) * 24]
        for each in today:
            if isinstance(each, Act):
                if each.hours >= (day + 1) * 24:
                    continue
                count += 1
                each.receipt = f"r{count}"
            yield each


def _when(each: Act | tuple[float, Planted, int]) -> float:
    return each.hours if isinstance(each, Act) else each[0]
