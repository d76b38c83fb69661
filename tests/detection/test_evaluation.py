"""The detector against planted misuse: what it finds, what it costs, and that each of its rules matters.

The simulation does not know how misuse is looked for, which `test_the_simulation_knows_no_rule` holds. Thresholds were
chosen on the seed TUNED_ON; what is reported is of the seed REPORTED, which nobody had run before.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from gateway.detection.detector import Alert, Detector
from gateway.detection.lookups import Seen, SeenLookup
from gateway.detection.rules.base import Severity
from tests.detection.evaluating import Evaluation, detector_for, evaluate, run
from tests.detection.misuses import Misuse
from tests.detection.simulated import Simulation, places_for, seen_in, simulation

TUNED_ON: Final = "1, once seen on 2"
REPORTED: Final = 3
SIZE: Final = int(os.environ.get("CONTACTPOINT_TEST_DETECTION", "0"))
FULL: Final = SIZE >= 500_000
PER_CLASS: Final = 36 if FULL else 12

RULE_OF: Final = {
    Misuse.FAMILY: "D1",
    Misuse.COLLEAGUE_OR_NEIGHBOUR: "D2",
    Misuse.PROMINENT: "D3",
    Misuse.PRETEXT: "D4",
    Misuse.BREAK_GLASS: "D5",
    Misuse.HARVEST: "D6",
    Misuse.AT_NIGHT: "D7",
    Misuse.FISHING: "D8",
    Misuse.STALKING: "D9",
    Misuse.BORROWED: "D10",
    Misuse.EMPTY_WORDS: "D11",
    Misuse.LEAVER: "D12",
    Misuse.LOG: "D13",
    Misuse.CANARY: "D14",
}
DEFINABLE: Final = (Misuse.FAMILY, Misuse.PROMINENT, Misuse.BREAK_GLASS, Misuse.FISHING, Misuse.LOG, Misuse.CANARY)
CERTAIN: Final = (Misuse.BREAK_GLASS, Misuse.LOG, Misuse.CANARY)
SIMULATION: Final = ("acts", "childhoods", "misuses", "simulated", "working_days", "workplaces")
MAY_KNOW: Final = {"gateway.detection.lookups", "gateway.audit.keys"}


def fresh() -> Simulation:
    return simulation(REPORTED, places_for(SIZE), PER_CLASS)


@dataclass(frozen=True)
class Small:
    """A small world whose stream is kept, for tests that go through it more than once."""

    simulated: Simulation
    stream: list[tuple[Seen, int | None]]

    def evaluated(self, *off: str) -> Evaluation:
        return run(detector_for(self.simulated, off=off), self.simulated.planted, self.stream)


@pytest.fixture(scope="module")
def small() -> Small:
    simulated = simulation(REPORTED, 1, 12, quiet=0.45)
    return Small(simulated, list(seen_in(simulated)))


@pytest.fixture(scope="module")
def beside(small: Small) -> Evaluation:
    return small.evaluated()


@pytest.fixture(scope="module")
def found(beside: Evaluation) -> Evaluation:
    return evaluate(fresh()) if FULL else beside


@pytest.mark.parametrize("module", SIMULATION)
def test_the_simulation_knows_no_rule(module: str) -> None:
    text = (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")
    imported = {
        name
        for node in ast.walk(ast.parse(text))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }

    ours = {name for name in imported if name.split(".")[0] in {"gateway", "auth", "connectors", "schema"}}
    assert ours <= MAY_KNOW
    of_tests = {name.rpartition(".")[2] for name in imported if name.startswith("tests.")}
    assert of_tests <= set(SIMULATION)


@pytest.mark.parametrize("kind", CERTAIN)
def test_break_glass_log_faults_and_canaries_are_all_found(found: Evaluation, kind: Misuse) -> None:
    assert found.recall(kind) == 1.0


def test_what_a_rule_can_define_is_found_nearly_always(found: Evaluation) -> None:
    assert found.recall(*DEFINABLE) >= 0.95


@pytest.mark.parametrize("kind", DEFINABLE)
def test_no_class_that_a_rule_can_define_is_missed_often(found: Evaluation, kind: Misuse) -> None:
    # of 36 planted, a feed without the person and an undeclared relative take two or three
    assert found.recall(kind) >= 0.85


def test_most_of_all_that_was_planted_is_found(found: Evaluation) -> None:
    assert found.overall() >= 0.75


def test_most_accesses_are_explained(found: Evaluation) -> None:
    # in a small world much of what nothing explains was planted
    assert found.explained_share() >= (0.9 if FULL else 0.8)


def test_alerts_are_few(found: Evaluation, record_testsuite_property: Callable[[str, object], None]) -> None:
    # a small world has the same misuses among fewer look-ups: there, what is not of a misuse counts
    false = found.alerts - found.true_alerts
    assert (found.alerts_per_thousand() if FULL else 1000 * false / found.lookups) <= (2.0 if FULL else 6.0)
    report(found, record_testsuite_property)


@pytest.mark.parametrize("kind", list(Misuse))
def test_without_its_rule_less_of_a_class_is_found(small: Small, beside: Evaluation, kind: Misuse) -> None:
    assert small.evaluated(RULE_OF[kind]).recall(kind) < beside.recall(kind)


class AlertsAlways:
    """A detector that misses nothing, for it says so of every look-up."""

    def __init__(self, inner: Detector) -> None:
        self.inner = inner
        self.looked_up, self.grounds = 0, inner.grounds

    def see(self, seen: Seen) -> list[Alert]:
        if not isinstance(seen, SeenLookup):
            return self.inner.see(seen)
        self.looked_up += 1
        return [
            Alert(
                place=seen.place,
                raised_ms=seen.at_ms,
                caused_by_time=False,
                rules=("D0",),
                severity=Severity.QUEUE,
                score=1.0,
                words=("A look-up.",),
                receipt=seen.receipt,
                receipts=(),
                person=seen.person,
                organisation=seen.organisation,
                subject=seen.subject,
                purpose=seen.purpose,
                explained=None,
            )
        ]

    def advance(self, now_ms: int) -> list[Alert]:
        return []

    def remembered(self) -> int:
        return 0


def test_a_detector_that_always_alerts_finds_everything_and_fails_by_its_alerts(small: Small) -> None:
    always = AlertsAlways(detector_for(small.simulated))
    told = run(always, small.simulated.planted, small.stream)  # type: ignore[arg-type]

    assert told.overall() == 1.0
    assert told.alerts_per_thousand() > 900


def test_the_same_look_ups_give_the_same_alerts(small: Small) -> None:
    def alerts() -> list[Alert]:
        detector = detector_for(small.simulated)
        return [alert for seen, _ in small.stream for alert in detector.see(seen)]

    first = alerts()

    assert first
    assert first == alerts()


def test_memory_holds_no_more_than_a_month(small: Small) -> None:
    detector = detector_for(small.simulated)
    for seen, _ in small.stream:
        detector.see(seen)
    last = small.stream[-1][0].at_ms
    within = [seen for seen, _ in small.stream if seen.at_ms >= last - 33 * 86_400_000]

    assert detector.remembered() <= len(within) < len(small.stream)


def report(found: Evaluation, record_testsuite_property: Callable[[str, object], None]) -> None:
    record_testsuite_property("look-ups", f"{found.lookups:,}")
    record_testsuite_property("planted misuses", f"{len(found.planted)}, in {len(Misuse)} classes")
    record_testsuite_property(
        "seed", f"{REPORTED}; thresholds were chosen on seed {TUNED_ON}, where alerts were just above the aim"
    )
    for kind in Misuse:
        hard = sum(p.hard for p in found.planted if p.kind is kind)
        note = f" ({hard} of {PER_CLASS} planted so as to leave little trace)" if hard else ""
        record_testsuite_property(f"found of {kind.value} ({RULE_OF[kind]})", f"{found.recall(kind):.1%}{note}")
    record_testsuite_property(
        "found of what rules define (D1, D3, D5, D8, D13, D14)", f"{found.recall(*DEFINABLE):.1%}"
    )
    record_testsuite_property("found of all", f"{found.overall():.1%}")
    record_testsuite_property("alerts per 1,000 look-ups", f"{found.alerts_per_thousand():.2f}")
    record_testsuite_property("of those, about a planted misuse", f"{found.true_alerts / found.alerts:.1%}")
    record_testsuite_property("explained", f"{found.explained_share():.1%}")
    for ground, count in found.grounds.most_common():
        record_testsuite_property(f"explained by {ground}", f"{count / found.lookups:.1%}")
    record_testsuite_property("minutes of review, as docs/detection.md counts them", f"{found.minutes:,}")
    record_testsuite_property("most look-ups in memory", f"{found.most_remembered:,}")
    record_testsuite_property("time, with the simulation", f"{found.seconds:.0f} s")
