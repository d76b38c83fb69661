"""One pair: two worlds that are equal to a viewer, and what is asked in both. Made of seed and index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from random import Random

from tests.noninterference.facts import CHILD, Asked, Held, Row, Viewer, World
from tests.noninterference.operations import Operation, operation
from tests.noninterference.oracle import Low, low
from tests.noninterference.table import SOURCES
from tests.noninterference.viewers import asked, nhs_number, viewer
from tests.noninterference.worlds import Maker, rewritten

FAULTS = ("TIMEOUT", "OVERLOADED", "SCHEMA", "REFUSED", "CONNECT")


@dataclass(frozen=True, slots=True)
class Step:
    """One lookup. `watched`: it is the viewer's own, and compared; else it is another's, before theirs."""

    viewer: Viewer
    operation: Operation
    down: Mapping[str, str]
    watched: bool


@dataclass(frozen=True)
class Pair:
    """Two worlds and the steps in both."""

    seed: int
    index: int
    number: str
    one: World
    two: World
    steps: tuple[Step, ...]
    low: tuple[Low, ...]  # of each watched step; the same in both worlds

    @property
    def differs(self) -> bool:
        return self.one != self.two


def pair(seed: int, index: int, today: date, faults: tuple[str, ...] = FAULTS) -> Pair:
    """Return the pair of this seed and index; the same whatever was made before."""
    rng = Random(f"{seed}:{index}")
    number = nhs_number(index)
    who = viewer(rng, f"viewer-{seed}-{index}")
    question = asked(rng, who, number, today)
    mine = [Step(who, operation(rng, seed, question, today), _down(rng, faults), watched=True)]
    chance = rng.random()
    if not mine[0].operation.runs:
        chance = 1.0  # one that may be refused stands alone: what it leaves on record is not certain
    if chance < 0.1:
        mine += mine
    elif chance < 0.16:
        mine += [Step(who, _certain(rng, seed, question, today), _down(rng, faults), watched=True)]
    elif chance < 0.22:
        mine *= 4
    before: list[Step] = []
    if rng.random() < 0.2 and mine[0].operation.runs:
        other = viewer(rng, f"other-{seed}-{index}")
        theirs = _certain(rng, seed, asked(rng, other, number, today), today)
        before = [Step(other, theirs, _down(rng, faults), watched=False)]
    steps = tuple(before + mine)
    maker = Maker(rng, number, today)
    one = maker.world()
    known = lows(one, steps, today)
    two = rewritten(maker, one, lambda tried: lows(tried, steps, today) == known)
    return Pair(seed, index, number, one, two, steps, known)


def _certain(rng: Random, seed: int, question: Asked, today: date) -> Operation:
    while not (drawn := operation(rng, seed, question, today)).runs:
        pass
    return drawn


def lows(world: World, steps: tuple[Step, ...], today: date) -> tuple[Low, ...]:
    """What the viewer may know after each of their lookups; shields that any lookup met stay on record."""
    on_record: frozenset[str] = frozenset()
    found = []
    for step in steps:
        told, on_record = low(world, step.viewer, step.operation.asked, frozenset(step.down), on_record, today)
        if step.watched:
            found.append(told)
    return tuple(found)


def _down(rng: Random, faults: tuple[str, ...]) -> dict[str, str]:
    """Which sources give no answer, and why: told to everybody, and so the same in both worlds."""
    if rng.random() < 0.82:
        return {}
    return {source.id: rng.choice(faults) for source in SOURCES if rng.random() < 0.25}


def differing(one: World, two: World) -> list[str]:
    """In words, what is held in one world and not in the other."""
    found = []
    for place in sorted({*one, *two}):
        a, b = one.get(place), two.get(place)
        if a != b:
            source, subject = place
            about = "the child" if subject == CHILD else f"adult {subject}"
            found += [f"{source} about {about}, {line}" for line in _apart(a or Held(), b or Held())]
    return found


def _apart(one: Held, two: Held) -> Iterator[str]:
    for name in ("trace", "shielded", "adults"):
        if getattr(one, name) != getattr(two, name):
            yield f"{name}: {getattr(one, name)} | {getattr(two, name)}"
    for path in sorted({*one.sections, *two.sections}):
        if one.sections.get(path) != two.sections.get(path):
            yield f"{path}: {one.sections.get(path)} | {two.sections.get(path)}"
    rows = [{row.local_id: row for row in held.rows} for held in (one, two)]
    for local_id in sorted({*rows[0], *rows[1]}):
        a, b = (each.get(local_id) for each in rows)
        if a is None or b is None:
            yield f"{local_id} only in the {'second' if a is None else 'first'} world: {a or b}"
        elif a != b:
            changed = [
                f"{n} {getattr(a, n)} | {getattr(b, n)}" for n in Row.__slots__ if getattr(a, n) != getattr(b, n)
            ]
            yield f"{local_id}: {'; '.join(changed)}"
    if [row.local_id for row in one.rows if row in two.rows] != [row.local_id for row in two.rows if row in one.rows]:
        yield "the order of its entries"
