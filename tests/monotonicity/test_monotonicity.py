"""Who loses a scope, a role, a relationship, a strong sign-in or an agreement is never told more than before.

CONTACTPOINT_TEST_DROPS sets how many drops are tried on the real application; at least 20,000 for the proof.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.monotonicity.faults import FAULTS
from tests.monotonicity.trying import trial, try_drops

pytestmark = pytest.mark.anyio

DROPS = int(os.environ.get("CONTACTPOINT_TEST_DROPS", "300"))
SEED = int(os.environ.get("CONTACTPOINT_TEST_SEED", "3"))
_MOST_FOR_A_FAULT = 6_000
_OFTENER = {
    "a shield hides from those who work with the child": {"shielded": 0.5},
    "one source alone needs no proof": {"mistaken": 0.9},
}
"""What makes a fault show sooner that concerns a few children or askers only."""
_RARE = {
    "a lapsed agreement gives way to its kinds",
    "a shield hides from those who work with the child",
    "one source alone needs no proof",
    "without the scope a sensitive row is an ordinary one",
}
"""Noticed only after hundreds of drops: not tried in an ordinary run."""


async def test_who_loses_something_is_never_told_more(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    async with trial(tmp_path) as running:
        tally = await try_drops(running, SEED, DROPS)

    for kind, tried in sorted(tally.drops.items()):
        record_testsuite_property(
            f"drops of {kind}, and those after which less was told", f"{tried}, {tally.losing[kind]}"
        )
    record_testsuite_property("askers, and those who were told something", f"{tally.askers}, {tally.told_something}")
    record_testsuite_property("values told before a drop", tally.values)
    record_testsuite_property("drops that added a value", f"{len(tally.broken)} of {tally.total}")
    with capsys.disabled():
        print(f"\nmonotonicity: {len(tally.broken)} of {tally.total} drops added a value")
    assert not tally.broken, "\n".join(tally.broken[:10])
    # else the figure would be worth nothing
    assert tally.told_something > (0.4 if DROPS >= 2_000 else 0.1) * tally.askers
    assert sum(tally.losing.values()) > (0.1 if DROPS >= 2_000 else 0.02) * tally.total


@pytest.mark.records_otherwise
@pytest.mark.parametrize("name", [name for name in FAULTS if DROPS >= 5_000 or name not in _RARE])
async def test_a_fault_that_adds_for_a_loss_is_noticed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_testsuite_property: Callable[[str, object], None]
) -> None:
    FAULTS[name](monkeypatch)

    async with trial(tmp_path) as running:
        tally = await try_drops(running, SEED, _MOST_FOR_A_FAULT, stop_when_broken=True, **_OFTENER.get(name, {}))

    record_testsuite_property(
        f"fault: {name}", f"noticed within {tally.total} drops" if tally.broken else "NOT noticed"
    )
    assert tally.broken
