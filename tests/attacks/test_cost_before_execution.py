"""No body costs much before anything is executed, whoever sends it.

CONTACTPOINT_TEST_WORST sets how many bodies are tried. The proof (2,000 and more) measures CPU time; an ordinary run
counts the work that the time is made of, for a busy machine proves nothing about time.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
from graphql import FragmentDefinitionNode, OperationDefinitionNode, parse

from gateway.graphql import documents
from gateway.graphql.guard import DocumentLimits
from gateway.graphql.merging import check_comparisons
from tests.attacks.costly_bodies import FAMILIES, MOST_BYTES, Body, climbs, drawn, mutated, posted, repeats
from tests.attacks.costs import Meter, counting_validations, slowness

BODIES = int(os.environ.get("CONTACTPOINT_TEST_WORST", "300"))
SEED = int(os.environ.get("CONTACTPOINT_TEST_SEED", "3"))
MILLISECONDS = 10.0
MEASURED = BODIES >= 2_000
NODES = 2_000
_CLIMBS, _MUTATIONS = 0.35, 0.3
"""Which part of the bodies goes to climbing, and which to mutating the worst."""


@pytest.fixture
def meter() -> Iterator[Meter]:
    made = Meter()
    made.cost(posted("{ viewer { subject } }"), times=5)
    yield made
    made.close()


def searched(rng: random.Random, bodies: int, weigh: Callable[[Body], float]) -> tuple[Body, float, int]:
    """Return the worst of so many bodies by `weigh`, its weight, and how many were tried."""
    by_family: dict[str, tuple[float, Body]] = {}
    tried = 0

    def take(body: Body, family: str) -> bool:
        nonlocal tried
        tried += 1
        weight = weigh(body)
        better = family not in by_family or weight > by_family[family][0]
        if better:
            by_family[family] = (weight, body)
        return better

    for n in range(int(bodies * (1 - _CLIMBS - _MUTATIONS))):
        family = list(FAMILIES)[n % len(FAMILIES)]
        take(drawn(rng, family), family)
    each = int(bodies * _CLIMBS) // len(FAMILIES)
    for family in FAMILIES:
        left = each
        while left > 0:
            start = by_family[family][1]
            for body in islice(climbs(rng, start), left):
                left -= 1
                if take(body, family):
                    break
    worst = sorted(by_family.values(), key=lambda found: -found[0])[:3]
    for n in range(int(bodies * _MUTATIONS)):
        at = n % len(worst)
        body = mutated(rng, worst[at][1])
        weight = weigh(body)
        tried += 1
        if weight > worst[at][0]:
            worst[at] = (weight, body)
    weight, body = max(worst, key=lambda found: found[0])
    return body, weight, tried


def test_no_body_makes_more_work_than_its_limits_allow(meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "validate", counting_validations(meter))
    most = 0

    def work(body: Body) -> float:
        nonlocal most
        assert len(body.content) <= MOST_BYTES
        done = meter.cost(body.content).work
        assert done.parses <= 1, body
        assert done.validations <= 1, body
        assert done.nodes_validated <= NODES, body
        most = max(most, done.nodes_validated)
        return done.nodes_validated + 1

    _, _, tried = searched(random.Random(SEED), min(BODIES, 300), work)

    assert tried >= 0.9 * min(BODIES, 300)
    # else the bodies never get as far as validation
    assert most > 300


def test_no_body_costs_more_cpu_than_the_limit(
    meter: Meter, record_testsuite_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    factor = slowness()
    typical = meter.cost(
        posted(
            "query($key: ChildKey!, $access: AccessRequest!) { child(key: $key, access: $access) "
            "{ outcome involvements { id practitioner { name } contact { phone } } } }"
        ),
        times=9,
    )

    body, _, tried = searched(
        random.Random(SEED), BODIES if MEASURED else 60, lambda body: meter.cost(body.content, times=3).milliseconds
    )
    worst = meter.cost(body.content, times=15)

    record_testsuite_property("bodies of at most 16 KiB tried, in families", f"{tried}, {len(FAMILIES)}")
    record_testsuite_property("CPU before execution, the worst body: milliseconds here", round(worst.milliseconds, 2))
    record_testsuite_property(
        "its family, and what it is answered", f"{body.family}, {worst.answer.code or 'executed'}"
    )
    record_testsuite_property("an ordinary lookup's: milliseconds here", round(typical.milliseconds, 2))
    record_testsuite_property("this machine against that of the limit", f"{factor:.2f} times as slow")
    record_testsuite_property("the worst body on that machine, by this factor", round(worst.milliseconds / factor, 2))
    with capsys.disabled():
        print(f"\nCPU before execution: at most {worst.milliseconds:.2f} ms here ({body.family}), of {tried} bodies")
    assert not MEASURED or worst.milliseconds <= MILLISECONDS * max(1.0, factor)


@pytest.mark.parametrize("numbers", [(9, 9, 2, 0), (11, 11, 0, 0), (9, 5, 3, 1)])
def test_without_the_count_of_comparisons_a_small_body_makes_thousands(
    numbers: tuple[int, ...], record_testsuite_property: Callable[[str, object], None]
) -> None:
    """The control: what the search looks for is there to be found when the limit is not."""
    text = _document(repeats(*numbers))
    document = parse(text)
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    counted = check_comparisons(operations, fragments, 10**9)

    assert counted > 20 * DocumentLimits().max_comparisons
    assert len(text) < MOST_BYTES
    record_testsuite_property(f"control: comparisons of repeats {numbers}, of 100 allowed", counted)


def test_an_unlimited_door_is_found_to_be_costly(
    meter: Meter, monkeypatch: pytest.MonkeyPatch, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """The control of the search itself: with the comparisons uncounted it finds more work than the limits allow."""
    made = 0

    def uncounted(*given: object) -> int:
        nonlocal made
        made = check_comparisons(given[0], given[1], 10**9)  # type: ignore[arg-type]
        return made

    monkeypatch.setattr(documents, "check_comparisons", uncounted)

    def comparisons(body: Body) -> float:
        nonlocal made
        made = 0
        meter.cost(body.content)
        return made

    body, found, _ = searched(random.Random(SEED), 200, comparisons)

    assert found > 10 * DocumentLimits().max_comparisons
    record_testsuite_property(
        "control: comparisons found by the search without their limit", f"{found} ({body.family})"
    )


def _document(content: bytes) -> str:
    text: str = json.loads(content)["query"]
    return text
