"""What is hidden, and who a child is, comes out nowhere: logs, metrics, traces, errors, headers, files, the database.

CONTACTPOINT_TEST_CANARIES sets for how many marked children everything is asked; 60 for the proof.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.canaries.faults import FAULTS
from tests.canaries.inside import may_stand, run
from tests.canaries.sinks import summary

pytestmark = pytest.mark.anyio

ROUNDS: Final = int(os.environ.get("CONTACTPOINT_TEST_CANARIES", "2"))
_FULL: Final = ROUNDS >= 20
_MUST_BE_MET: Final = ("200 -", "200 FORBIDDEN", "400 BAD_USER_INPUT", "401 UNAUTHENTICATED", "500 ", "503 ")


async def test_no_canary_comes_out_anywhere(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None], capfd: pytest.CaptureFixture[str]
) -> None:
    canaries, sinks, asker = await run(tmp_path, ROUNDS, 1, capfd)
    leaks = sinks.leaks(canaries, may_stand(canaries))
    sizes = sinks.sizes()

    record_testsuite_property("canaries, and kinds of them", f"{canaries.count}, {len(canaries.kinds)}")
    record_testsuite_property("requests", sum(asker.answers.values()))
    for place, size in summary(sizes).items():
        record_testsuite_property(f"bytes searched: {place}", size)
    record_testsuite_property("canaries that came out", len(leaks))
    with capfd.disabled():
        print(
            f"\ncanaries: {len(leaks)} of {canaries.count} came out; {sum(sizes.values())} bytes of {len(sizes)} places"
        )
    assert not leaks, "\n".join(leaks)
    # else the figure would be worth nothing: every kind of answer was met, and there was something to find
    assert [met for met in _MUST_BE_MET if not any(each.startswith(met) for each in asker.answers)] == []
    assert {"told.practitioner", "child.number", "token", "reason", "justification"} <= set(canaries.kinds)
    assert all(
        sizes[place]
        for place in ("metrics", "traces", "response headers", "answers", "events", "database audit_payload.body")
    )


_QUICK: Final = (
    "logs",
    "standard error",
    "metrics",
    "traces",
    "columns, by a digest",
    "payloads, of the hidden",
    "answers",
)


@pytest.mark.records_otherwise
@pytest.mark.parametrize("place", [name for name in FAULTS if _FULL or name in _QUICK])
async def test_a_seeded_fault_is_found_where_it_comes_out(
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_testsuite_property: Callable[[str, object], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    fault, sink = FAULTS[place]
    fault(monkeypatch)

    canaries, sinks, _ = await run(tmp_path, 1, 1, capfd)
    found = [leak for leak in sinks.leaks(canaries, may_stand(canaries)) if f" in {sink}" in leak]

    record_testsuite_property(
        f"fault in {place}: {fault.__name__.replace('_', ' ')}", "found" if found else "NOT found"
    )
    assert found
