"""Planted misuses: what people do who abuse their access, in fourteen classes.

Written from published cases of what insiders do, and not from how they are found: each class has easy cases and cases
that leave little trace. What makes a look-up a misuse here is that it was planted, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum

from tests.detection.acts import Act
from tests.detection.childhoods import Child, with_check_digit
from tests.detection.working_days import Town, act, standing, time_at_work
from tests.detection.workplaces import DAYS, Worker


class Misuse(StrEnum):
    """What was done."""

    FAMILY = "own family"
    COLLEAGUE_OR_NEIGHBOUR = "a colleague's or neighbour's child"
    PROMINENT = "a child in the news"
    PRETEXT = "children on a pretext, time and again"
    BREAK_GLASS = "break-glass without an emergency"
    HARVEST = "harvesting"
    AT_NIGHT = "off duty"
    FISHING = "fishing with guessed keys"
    STALKING = "one child again and again"
    BORROWED = "a borrowed account"
    EMPTY_WORDS = "empty or wrong reasons"
    LEAVER = "taking data along when leaving"
    LOG = "the log interfered with"
    CANARY = "a child that does not exist"


@dataclass(frozen=True, slots=True)
class Planted:
    """One misuse: which class, on which day it begins, and which number its look-ups carry."""

    number: int
    kind: Misuse
    day: int
    hard: bool  # one that leaves little trace


PROMINENT_GROUP = 6
CANARIES = tuple(number for nine in range(999_999_000, 999_999_060) if (number := with_check_digit(nine)))[:20]


def plan(town: Town, per_class: int) -> list[Planted]:
    """Return so many misuses of every class, spread over the last weeks, when there is a past to compare with."""
    random = town.random
    found: list[Planted] = []
    for kind in Misuse:
        shared = -1
        for index in range(per_class):
            if kind is not Misuse.PROMINENT or index % PROMINENT_GROUP == 0:
                shared = random.randrange(31, DAYS - 8)
            hard = random.random() < _HARD.get(kind, 0.0)
            found.append(Planted(len(found), kind, shared, hard))
    return found


_HARD = {
    Misuse.FAMILY: 0.03,
    Misuse.COLLEAGUE_OR_NEIGHBOUR: 0.5,  # neighbours
    Misuse.PRETEXT: 0.25,
    Misuse.HARVEST: 0.25,
    Misuse.AT_NIGHT: 0.25,
    Misuse.FISHING: 0.03,
    Misuse.STALKING: 0.25,
    Misuse.BORROWED: 0.25,
    Misuse.EMPTY_WORDS: 0.25,
    Misuse.LEAVER: 0.25,
}


def committed(town: Town, planted: Planted) -> Iterator[Act]:
    """Yield the look-ups of one misuse (none for one of the log)."""
    if planted.kind is Misuse.LOG:
        return
    worker = _somebody(town, planted)
    for each in _KINDS[planted.kind](town, planted, worker):
        each.misuse = planted.number
        yield each


def in_the_news(town: Town, group: list[Planted]) -> Iterator[Act]:
    """Yield one look-up for each of a group: the curious of many places look at one child within a day."""
    random = town.random
    child = town.children[random.randrange(len(town.children))]
    begins = group[0].day * 24 + random.uniform(8, 10)
    seen: set[tuple[str, str]] = set()
    for planted in group:
        worker = _somebody(town, planted)
        while worker in child.workers or (worker.organisation, worker.team) in seen or worker.front_door:
            worker = _somebody(town, planted)
        seen.add((worker.organisation, worker.team))
        one = act(town, worker, child, begins + random.uniform(0, 20), standing(worker, child))
        one.misuse = planted.number
        yield one


def _somebody(town: Town, planted: Planted) -> Worker:
    random = town.random
    while True:
        worker = random.choice(town.workers)
        leaving = planted.kind is Misuse.LEAVER
        if worker.starts > planted.day or (worker.leaves < planted.day + 8 and not leaving):
            continue
        if planted.kind is Misuse.FAMILY and not (worker.undeclared if planted.hard else worker.children):
            continue
        if planted.kind in _NOT_AT_A_DESK and worker.front_door:
            continue
        return worker


_NOT_AT_A_DESK = {Misuse.PRETEXT, Misuse.HARVEST, Misuse.STALKING, Misuse.EMPTY_WORDS, Misuse.BORROWED, Misuse.LEAVER}


def _hour(town: Town, worker: Worker, day: int) -> float:
    """Return an hour at work on that day or the next on which there is one."""
    kept, at = town.day, None
    for offset in range(12):
        town.day = day + offset
        if (at := time_at_work(town, worker)) is not None:
            break
    town.day = kept
    return at if at is not None else day * 24 + 12.0


def _stranger(town: Town, worker: Worker) -> Child:
    while True:
        child = town.anybody(worker.place)
        if worker not in child.workers:
            return child


def _family(town: Town, planted: Planted, worker: Worker) -> Iterator[Act]:
    random = town.random
    kin = worker.undeclared if planted.hard else worker.children + worker.relatives
    child = town.children[random.choice(kin)]
    for _ in range(random.choice((1, 1, 2))):
        yield act(town, worker, child, _hour(town, worker, planted.day), standing(worker, child))


def _colleague_or_neighbour(town: Town, planted: Planted, worker: Worker) -> Iterator[Act]:
    random = town.random
    child = _stranger(town, worker)
    if planted.hard:
        for _ in range(200):
            if child.district == worker.district and worker not in child.workers:
                break
            child = _stranger(town, worker)
    else:
        others = [w for w in town.of_place(worker.place) if w.organisation == worker.organisation and w is not worker]
        parents = [w for w in others if w.children]
        child = town.children[random.choice(random.choice(parents).children)] if parents else child
    for _ in range(random.choice((1, 1, 2))):
        yield act(town, worker, child, _hour(town, worker, planted.day), standing(worker, child))


def _pretext(town: Town, planted: Planted, worker: Worker) -> Iterator[Act]:
    random = town.random
    times = random.randint(4, 6) if planted.hard else random.randint(8, 16)
    for _ in range(times):
        day = max(28, planted.day - random.randrange(14))
        yield act(town, worker, _stranger(town, worker), _hour(town, worker, day), "NONE")


def _break_glass(town: Town, planted: Planted, worker: Worker) -> Iterator[Act]:
    child = _stranger(town, worker)
    yield act(town, worker, child, _hour(town, worker, planted.day), "OVERRIDE", override=True)


def _harvest(town: Town, planted: Planted, worker: Worker) -> Iterator[Act]:
    random = town.random
    days, each = (4, (5, 8)) if planted.hard else (random.choice((1, 2)), (25, 60))
    for day in range(days):
        at = _hour(town, worker, planted.day + day)
        for step in range(random.randint(*each)):
            yield act(town, worker, _stranger(town, worker), at + step * random.uniform(0.02, 0.06), "NONE")


def _at_night(town: Town, planted: Planted, worker: Worker) -> Iterator[Act]:
    random = town.random
    # the easy ones in the small hours, when neither day people nor a given desk worker is on; the hard ones at tea time
    at = _hour(town, worker, planted.day)
    at = at // 24 * 24 + (random.uniform(17.6, 19.2) if planted.hard else random.uniform(0.5, 4.5))
    child = _stranger(town, worker)
    for step in range(random.choice((1, 2))):
        yield act(town, worker, child, at + step * 0.05, standing(worker, child))


def _fishing(town: Town, planted: Planted, worker: Worker) -> Iterator[Act]:
    random = town.random
    at = _hour(town, worker, planted.day)
    way = random.randrange(3)
    base = town.children[random.randrange(len(town.children))]
    tries = random.randint(3, 4) if planted.hard else random.randint(8, 20)
    nine = random.randrange(999_000_000, 999_990_000)
    for step in range(tries):
        nine += random.randrange(1, 6) if way == 0 else random.randrange(3_000, 60_000)
        number = with_check_digit(nine % 1_000_000 + 999_000_000)
        if number is None:
            continue
        born = base.born if way == 1 else date(2012, 1, 1) + timedelta(days=random.randrange(4000))
        guessed = replace(base, number=number, born=born, workers=[], shielded=False)
        pace = random.uniform(0.01, 0.05) if way != 1 else random.uniform(0.1, 0.3)
        yield act(town, worker, guessed, at + step * pace, "NONE", outcome="NOTHING_DISCLOSABLE")


def _stalking(town: Town, planted: Planted, worker: Worker) -> Iterator[Act]:
    random = town.random
    child = _stranger(town, worker)
    times = 2 if planted.hard else random.randint(4, 8)
    day = planted.day - 3
    for _ in range(times):
        yield act(town, worker, child, _hour(town, worker, day), "NONE", reason=None)
        day += random.choice((1, 1, 2))


def _borrowed(town: Town, planted: Planted, worker: Worker) -> Iterator[Act]:
    """Somebody else uses the account at another client, while its owner works or has gone home."""
    random = town.random
    at = _hour(town, worker, planted.day)
    other = f"{worker.organisation}-{'other' if random.random() < 0.5 else 'page'}"
    if not planted.hard:
        for step in range(3):
            own = town.children[random.choice(worker.caseload)] if worker.caseload else _stranger(town, worker)
            yield act(town, worker, own, at + step * 0.08, standing(worker, own), client=f"{worker.organisation}-cases")
    for step in range(random.randint(2, 5)):
        yield act(town, worker, _stranger(town, worker), at + 0.03 + step * 0.08, "NONE", client=other)


def _empty_words(town: Town, planted: Planted, worker: Worker) -> Iterator[Act]:
    random = town.random
    if random.random() < 0.3:
        odd = {"HOMELESSNESS_S213B", "CAFCASS_S42", "OMA_S14", "COURT_ORDER"}
        purpose = random.choice(sorted(odd))
        child = _stranger(town, worker)
        yield act(town, worker, child, _hour(town, worker, planted.day), "NONE", purpose=purpose)
        return
    times = random.randint(3, 5) if planted.hard else random.randint(7, 11)
    for _ in range(times):
        day = planted.day + random.randrange(5)
        yield act(town, worker, _stranger(town, worker), _hour(town, worker, day), "NONE", reason="check")


def _leaver(town: Town, planted: Planted, worker: Worker) -> Iterator[Act]:
    random = town.random
    if worker.leaves > DAYS:
        worker.leaves = max(worker.starts + 10, min(DAYS - 2, planted.day + random.randrange(1, 10)))
    times = 2 if planted.hard else random.randint(4, 9)
    for _ in range(times):
        day = max(worker.starts, worker.leaves - random.randrange(9))
        yield act(town, worker, _stranger(town, worker), _hour(town, worker, day), "NONE")


def _canary(town: Town, planted: Planted, worker: Worker) -> Iterator[Act]:
    random = town.random
    placed = replace(_stranger(town, worker), number=random.choice(CANARIES), workers=[], shielded=False)
    outcome = random.choice(("DISCLOSED", "NOTHING_DISCLOSABLE"))
    yield act(town, worker, placed, _hour(town, worker, planted.day), "NONE", outcome=outcome)


_KINDS = {
    Misuse.FAMILY: _family,
    Misuse.COLLEAGUE_OR_NEIGHBOUR: _colleague_or_neighbour,
    Misuse.PRETEXT: _pretext,
    Misuse.BREAK_GLASS: _break_glass,
    Misuse.HARVEST: _harvest,
    Misuse.AT_NIGHT: _at_night,
    Misuse.FISHING: _fishing,
    Misuse.STALKING: _stalking,
    Misuse.BORROWED: _borrowed,
    Misuse.EMPTY_WORDS: _empty_words,
    Misuse.LEAVER: _leaver,
    Misuse.CANARY: _canary,
}
