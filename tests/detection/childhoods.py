"""Simulated children: families, names, where they live, who works with them; and whose own children they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from tests.detection.workplaces import DISTRICTS, Worker, district, surname


@dataclass(slots=True, eq=False)
class Child:
    """One child; `workers` are those who work with them now."""

    index: int
    number: str
    born: date
    surname: str
    place: int
    district: str
    workers: list[Worker] = field(default_factory=list)
    shielded: bool = False


def children(random: Random, workers: list[Worker], per_place: int) -> list[Child]:
    """Return the children of every place, with caseloads shared out and the workers' own families made."""
    places = max(worker.place for worker in workers) + 1
    numbers = _numbers(random, places * per_place + 2000)
    found: list[Child] = []
    for place in range(places):
        while len(found) < (place + 1) * per_place:
            _family(random, found, numbers, place)
    by_place = [found[place * per_place : (place + 1) * per_place] for place in range(places)]
    for worker in workers:
        here = by_place[worker.place]
        _own_family(random, worker, here)
        if not worker.front_door:
            _caseload(random, worker, here)
    for child in found:
        # the school or the health visitor of the district knows most children there
        child.shielded = random.random() < 0.004
    return found


def _family(random: Random, found: list[Child], numbers: list[str], place: int) -> None:
    name, lives = surname(random), district(place, random.randrange(DISTRICTS))
    for _ in range(random.choice((1, 1, 2, 2, 3, 6))):
        born = date(2026, 1, 1) - timedelta(days=random.randrange(30, 17 * 365))
        found.append(Child(len(found), numbers[len(found)], born, name, place, lives))


def _own_family(random: Random, worker: Worker, here: list[Child]) -> None:
    for _ in range(random.choice((0, 0, 1, 2))):
        child = random.choice(here)
        child.surname = worker.surname if random.random() < 0.8 else child.surname
        child.district = worker.district
        (worker.children if random.random() < 0.92 else worker.undeclared).append(child.index)
    if random.random() < 0.4:
        nephew = random.choice(here)
        nephew.surname = worker.surname if random.random() < 0.6 else nephew.surname
        (worker.relatives if random.random() < 0.6 else worker.undeclared).append(nephew.index)


def _caseload(random: Random, worker: Worker, here: list[Child]) -> None:
    held = 0
    for _ in range(400):
        child = random.choice(here)
        if child.index in worker.children or child.index in worker.relatives or child.index in worker.undeclared:
            continue
        if worker.serves is not None and child.district != worker.serves:
            continue
        take_on(worker, child)
        held += 1
        if held == 18:
            break


def take_on(worker: Worker, child: Child) -> None:
    """Let a worker work with a child."""
    if worker not in child.workers:
        child.workers.append(worker)
        worker.caseload.append(child.index)


def _numbers(random: Random, count: int) -> list[str]:
    found = []
    for middle in random.sample(range(990_000), k=min(990_000, count * 12 // 10 + 100)):
        number = with_check_digit(999_000_000 + middle)
        if number is not None:
            found.append(number)
    return found[:count]


def with_check_digit(nine: int) -> str | None:
    """Return the NHS number of nine digits, or None where modulus 11 has none. The range is never issued."""
    digits = f"{nine:09d}"
    check = 11 - sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True)) % 11
    check = 0 if check == 11 else check
    return None if check == 10 else f"{digits}{check}"
