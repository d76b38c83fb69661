"""What a detector finds of what was planted, and what it costs those who review."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from gateway.detection.detector import Alert, Detector
from gateway.detection.lookups import Seen, SeenLookup
from gateway.detection.rules.base import Severity
from gateway.detection.thresholds import Thresholds
from gateway.detection.workforce import read_workforce
from tests.detection.acts import pseudonym_of_child, pseudonym_of_person
from tests.detection.misuses import Misuse, Planted
from tests.detection.simulated import Simulation, seen_in

# minutes that a reviewer needs, by how pressing it is: an assumption, stated in docs/detection.md
MINUTES = {Severity.QUEUE: 4, Severity.REVIEW: 6, Severity.ALERT: 10, Severity.IMMEDIATE: 8, Severity.PAGE: 15}


@dataclass
class Evaluation:
    """The figures of one run."""

    planted: Sequence[Planted]
    lookups: int = 0
    explained: int = 0
    alerts: int = 0
    true_alerts: int = 0
    minutes: int = 0
    seconds: float = 0.0
    most_remembered: int = 0
    found: set[int] = field(default_factory=set)
    grounds: Counter[str] = field(default_factory=Counter)
    by_rule: Counter[str] = field(default_factory=Counter)
    false_by_rules: Counter[str] = field(default_factory=Counter)

    def recall(self, *kinds: Misuse) -> float:
        """Return the share of the planted misuses of these classes that some alert names."""
        numbers = {p.number for p in self.planted if p.kind in kinds}
        return len(numbers & self.found) / len(numbers)

    def overall(self) -> float:
        """Return the share of all planted misuses."""
        return len(self.found) / len(self.planted)

    def alerts_per_thousand(self) -> float:
        return 1000 * self.alerts / self.lookups

    def explained_share(self) -> float:
        return self.explained / self.lookups


def evaluate(simulated: Simulation, *, off: Collection[str] = (), thresholds: Thresholds | None = None) -> Evaluation:
    """Return what a detector finds in a simulation."""
    detector = detector_for(simulated, off=off, thresholds=thresholds)
    return run(detector, simulated.planted, seen_in(simulated))


def detector_for(simulated: Simulation, *, off: Collection[str] = (), thresholds: Thresholds | None = None) -> Detector:
    """Return a detector with the simulation's feed and canaries."""
    workforce = read_workforce(simulated.feed, pseudonym_of_person, pseudonym_of_child)
    canaries = frozenset(pseudonym_of_child(number) for number in simulated.canaries)
    return Detector(workforce, thresholds or Thresholds(), canaries, off=off)


def run(detector: Detector, planted: Sequence[Planted], stream: Iterable[tuple[Seen, int | None]]) -> Evaluation:
    """Return the figures of one stream; the time is that of the detector and the simulation together."""
    result = Evaluation(planted)
    belongs: dict[str, int] = {}
    of_fault: dict[int, int] = {}
    began = time.perf_counter()
    last = 0
    for count, (seen, misuse) in enumerate(stream):
        last = seen.at_ms
        if misuse is not None:
            if isinstance(seen, SeenLookup):
                belongs[seen.receipt] = misuse
            else:
                of_fault[seen.place.seq] = misuse
        for alert in detector.see(seen):
            _take(result, alert, belongs, of_fault)
        if count % 50_000 == 0:
            result.most_remembered = max(result.most_remembered, detector.remembered())
    for alert in detector.advance(last + 8 * 86_400_000):
        _take(result, alert, belongs, of_fault)
    result.seconds = time.perf_counter() - began
    result.lookups = detector.looked_up
    result.grounds = Counter({ground.value: n for ground, n in detector.grounds.items()})
    result.explained = sum(result.grounds.values())
    return result


def _take(result: Evaluation, alert: Alert, belongs: dict[str, int], of_fault: dict[int, int]) -> None:
    result.alerts += 1
    result.minutes += MINUTES[alert.severity]
    result.by_rule.update(set(alert.rules))
    named = {belongs[r] for r in (alert.receipt, *alert.receipts) if r in belongs}
    if not alert.receipt and alert.place.seq in of_fault:
        named.add(of_fault[alert.place.seq])
    if named:
        result.true_alerts += 1
    else:
        result.false_by_rules[
            " + ".join(sorted(f"{r} {w}" for r, w in zip(alert.rules, alert.words, strict=True)))
        ] += 1
    result.found |= named
