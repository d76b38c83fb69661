"""What honest people do all day: casework, cover, referrals, meetings, duty desks, spikes, outages, mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from tests.detection.acts import Act
from tests.detection.childhoods import Child, take_on
from tests.detection.workplaces import Worker

_PURPOSES = {
    "mash_practitioner": ("SAFEGUARD_S16LA", "CP_S47", "CIN_S17"),
    "social_worker": ("CP_S47", "CIN_S17"),
    "police_safeguarding_officer": ("CP_S47", "SAFEGUARD_S16LA"),
    "cafcass_guardian": ("CAFCASS_S42",),
    "probation_practitioner": ("OMA_S14", "SAFEGUARD_S16LA"),
    "housing_officer": ("HOMELESSNESS_S213B",),
}
_REASONS = (
    "Home visit planned",
    "Strategy discussion",
    "Review due",
    "Call from the school",
    "Missed appointment",
    "New information from the family",
    "Supervision",
    "Child protection conference",
    "Safeguarding check",
    "Checking who else is involved",
)


@dataclass
class Town:
    """The simulated world while it runs."""

    random: Random
    workers: list[Worker]
    children: list[Child]
    per_place: int
    day: int = 0
    referrals: list[tuple[int, Worker, Child, str]] = field(default_factory=list)
    follow_ups: list[tuple[int, Worker, Child]] = field(default_factory=list)
    references: int = 0

    def colleagues(self, worker: Worker) -> list[Worker]:
        """Return the others of the same team."""
        key = (worker.organisation, worker.team)
        return [w for w in self._by_team()[key] if w is not worker]

    def _by_team(self) -> dict[tuple[str, str], list[Worker]]:
        if not hasattr(self, "_teams"):
            self._teams: dict[tuple[str, str], list[Worker]] = {}
            for worker in self.workers:
                self._teams.setdefault((worker.organisation, worker.team), []).append(worker)
        return self._teams

    def anybody(self, place: int) -> Child:
        """Return a child of the place."""
        return self.children[place * self.per_place + self.random.randrange(self.per_place)]

    def of_place(self, place: int) -> list[Worker]:
        """Return everybody who works in the place."""
        if not hasattr(self, "_places"):
            self._places: dict[int, list[Worker]] = {}
            for worker in self.workers:
                self._places.setdefault(worker.place, []).append(worker)
        return self._places[place]

    def reference(self) -> str:
        """Return a case reference that nothing else has."""
        self.references += 1
        return f"REF-{self.references}"


def act(
    town: Town,
    worker: Worker,
    child: Child,
    hours: float,
    relationship: str,
    *,
    reference: str | None = None,
    outcome: str = "DISCLOSED",
    purpose: str | None = None,
    client: str | None = None,
    reason: str | None = None,
    override: bool = False,
    misuse: int | None = None,
) -> Act:
    """Return one look-up as this worker makes it at that hour."""
    random = town.random
    usual = _PURPOSES.get(worker.role, ("SAFEGUARD_S16LA", "CIN_S17"))
    if purpose is None:
        purpose = usual[0] if random.random() < 0.7 else random.choice(usual)
    if client is None:
        second = worker.two_clients and random.random() < 0.3
        client = f"{worker.organisation}-{'page' if second else 'cases'}"
    involved = tuple(w.registration for w in child.workers if w.registration) if outcome == "DISCLOSED" else ()
    return Act(
        hours=hours,
        worker=worker,
        child=child,
        relationship=relationship,
        outcome=outcome,
        purpose=purpose,
        reason=reason or _reason(random, worker),
        case_reference=reference,
        client=client,
        token=f"{worker.id}.{client}.{int(hours) // 4}",
        involved=involved,
        override=override,
        misuse=misuse,
    )


def _reason(random: Random, worker: Worker) -> str:
    if worker.phrases:
        return _REASONS[(int(worker.id[-1]) + random.randrange(worker.phrases)) % len(_REASONS)]
    return f"{random.choice(_REASONS)} {random.randrange(1000)}"


def time_at_work(town: Town, worker: Worker) -> float | None:
    """Return an hour of today at which this worker works, now and then a little or far outside; None if not today."""
    random, day = town.random, town.day
    shift = worker.shifts.get(day)
    if shift is None or day < worker.starts or day > worker.leaves:
        return None
    if day in worker.leave and not worker.works_though_on_leave:
        return None
    begins, ends = shift
    at = random.uniform(begins, ends)
    strayed = random.random()
    if strayed < 0.03:
        at = ends + random.uniform(0, 1.5)
    elif strayed < 0.034:
        at = ends + random.uniform(2.2, 6)  # a swapped shift, an evening on call
    return day * 24 + at


def standing(worker: Worker, child: Child) -> str:
    """Return how a source would say that the worker stands to the child."""
    if worker in child.workers:
        return "PRACTITIONER"
    return "ORGANISATION" if any(w.organisation == worker.organisation for w in child.workers) else "NONE"


def working_day(town: Town) -> Iterator[Act]:
    """Yield what honest people look up today, in no order."""
    random = town.random
    outage = random.randrange(24) if random.random() < 0.1 else None
    yield from _due(town)
    for worker in town.workers:
        if worker.shifts.get(town.day) is None:
            if random.random() < 0.002 and worker.caseload and worker.starts <= town.day <= worker.leaves:
                # an emergency with a child on the own caseload, on a day off
                child = town.children[random.choice(worker.caseload)]
                yield act(town, worker, child, town.day * 24 + random.uniform(9, 22), "PRACTITIONER")
            continue
        if worker.starts > town.day or worker.leaves < town.day:
            continue
        rate = worker.rate
        spike = random.random()
        if spike < 0.01:
            rate *= 4  # the first day of term, a backlog, a new-birth list
        elif worker.leaves - town.day < 10:
            rate *= 1.8  # handing over
        for _ in range(_poisson(random, rate)):
            at = time_at_work(town, worker)
            if at is None:
                break
            one = _at_the_desk(town, worker, at) if worker.front_door else _casework(town, worker, at)
            if outage is not None and int(at) % 24 == outage and one.outcome == "DISCLOSED":
                one.outcome, one.involved, one.relationship = "INCOMPLETE", (), "NONE"
            yield one
    for place in range(max(w.place for w in town.workers) + 1):
        yield from _meetings(town, place)


def _due(town: Town) -> Iterator[Act]:
    later = []
    for due in town.referrals:
        day, worker, child, reference = due
        if day > town.day:
            later.append(due)
            continue
        at = time_at_work(town, worker)
        if at is None:
            if town.day - day < 10:
                later.append((day, worker, child, reference))
            continue
        typed = reference if town.random.random() < 0.93 else None
        yield act(town, worker, child, at, standing(worker, child), reference=typed)
        take_on(worker, child)
        town.follow_ups.append((town.day + town.random.choice((1, 1, 2, 4)), worker, child))
    town.referrals = later
    later_still = []
    for follow in town.follow_ups:
        day, worker, child = follow
        at = time_at_work(town, worker) if day <= town.day else None
        if at is None:
            if town.day - day < 10:
                later_still.append(follow)
            continue
        take_on(worker, child)
        yield act(town, worker, child, at, "PRACTITIONER")
    town.follow_ups = later_still


def _at_the_desk(town: Town, worker: Worker, at: float) -> Act:
    """A front door: an enquiry about any child, some of whom nobody knows; some are referred on."""
    random = town.random
    child = town.anybody(worker.place)
    if random.random() < 0.0006:
        return act(town, worker, child, at, "OVERRIDE", override=True, reference=town.reference())
    if (not child.workers and random.random() < 0.3) or random.random() < 0.1:
        return act(town, worker, child, at, "NONE", outcome="NOTHING_DISCLOSABLE")
    reference = town.reference() if random.random() < 0.8 else None
    if reference is not None and random.random() < 0.12:
        chosen = random.choice(town.of_place(worker.place))
        if not chosen.front_door:
            town.referrals.append((town.day + random.choice((0, 1, 1, 2)), chosen, child, reference))
    return act(town, worker, child, at, standing(worker, child), reference=reference)


def _casework(town: Town, worker: Worker, at: float) -> Act:
    random = town.random
    drawn = random.random()
    if drawn < 0.72 and worker.caseload:
        child = town.children[random.choice(worker.caseload)]
        return act(town, worker, child, at, "PRACTITIONER", reference=_own(child) if random.random() < 0.3 else None)
    if drawn < 0.88:
        colleague = random.choice(town.colleagues(worker) or [worker])
        if colleague.caseload:
            child = town.children[random.choice(colleague.caseload)]
            return act(town, worker, child, at, standing(worker, child))
    if drawn < 0.92:
        # newly taken on; the source hears of it a day or two later
        child = town.anybody(worker.place)
        town.follow_ups.append((town.day + random.choice((1, 1, 2)), worker, child))
        return act(town, worker, child, at, standing(worker, child))
    if drawn < 0.96:
        # known to another part of the organisation
        others = [w for w in town.of_place(worker.place) if w.organisation == worker.organisation and w.caseload]
        if others:
            child = town.children[random.choice(random.choice(others).caseload)]
            return act(town, worker, child, at, standing(worker, child))
    if drawn < 0.985 and worker.caseload:
        # a slip of the name, or of the number, which is then somebody else's
        meant = town.children[random.choice(worker.caseload)]
        child = meant if random.random() < 0.5 else town.anybody(worker.place)
        return act(town, worker, child, at, "NONE", outcome="NOTHING_DISCLOSABLE")
    # a call from outside, a sibling, the wrong child, advice to another agency: honest, and nothing shows it
    child = town.anybody(worker.place)
    return act(town, worker, child, at, standing(worker, child))


def _own(child: Child) -> str:
    return f"CASE-{child.index}"


def _meetings(town: Town, place: int) -> Iterator[Act]:
    random = town.random
    if town.day % 7 >= 5:
        return
    here = town.of_place(place)
    if random.random() < 0.5:
        yield from _meeting(town, here, random.randint(3, 6), None)
    if random.random() < 0.03:
        yield from _meeting(town, here, random.randint(12, 20), "CHILD_DEATH_REVIEW")
    if random.random() < 0.02:
        yield from _meeting(town, here, random.randint(8, 14), None)  # an incident that everybody hears of


def _meeting(town: Town, here: list[Worker], people: int, purpose: str | None) -> Iterator[Act]:
    """Several agencies about one child, under one reference that one in ten forgets to type."""
    random = town.random
    chair = random.choice(here)
    known = [w for w in here if w.caseload]
    child = town.children[random.choice(random.choice(known).caseload)]
    reference = town.reference()
    attending = [chair, *random.sample(here, k=people), *child.workers[:2]]
    for worker in dict.fromkeys(attending):
        at = time_at_work(town, worker)
        if at is not None:
            typed = reference if random.random() < 0.92 else None
            yield act(town, worker, child, at, standing(worker, child), reference=typed, purpose=purpose)


def _poisson(random: Random, mean: float) -> int:
    # by exponential gaps; means here are small
    count, total = -1, 0.0
    while total < mean:
        total += random.expovariate(1.0)
        count += 1
    return count
