"""The time of an answer that discloses nothing does not tell why: end to end, on a port, as shipped.

CONTACTPOINT_TEST_TIMING sets how many lookups of each class are timed; 10,000 for the proof. Below 500 nothing is
judged by its time: only that the answers are the same bytes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from tests.timing.auc import auc, null_bound
from tests.timing.server import CLASSES, Orders

pytestmark = pytest.mark.network

LOOKUPS: Final = int(os.environ.get("CONTACTPOINT_TEST_TIMING", "4"))
JUDGED: Final = LOOKUPS >= 500
OF_A_CONTROL: Final = min(LOOKUPS, 1_000)
GATE: Final = 0.02
ROOT: Final = Path(__file__).parents[2]
PAIRS: Final = (*combinations(CLASSES[:4], 2), CLASSES[4:])


@contextmanager
def serving(folder: Path, orders: Orders) -> Iterator[dict[str, Any]]:
    """Start a gateway in its own process; yield what it told."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.timing.server", str(folder)]
    with (
        (folder / "errors").open("w") as errors,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(asdict(orders)) + "\n")
        server.stdin.flush()
        try:
            yield _told(server)
        finally:
            server.stdin.close()
            server.wait(40)


def _told(server: subprocess.Popen[str]) -> dict[str, Any]:
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith('{"port"'):
            found: dict[str, Any] = json.loads(line)
            return found
    raise AssertionError("the gateway did not start")


def measured(folder: Path, orders: Orders, of_each: int, classes: Sequence[str] = CLASSES) -> dict[str, Any]:
    """Return what a client in a third process measured.

    Without the beat few ask at once: answers that wait for each other would hide what is looked for.
    """
    connections = min(of_each, 80 if orders.quiet_seconds else 2)
    with serving(folder, orders) as told:
        told["classes"] = {name: told["classes"][name] for name in classes}
        asked = json.dumps({"told": told, "of_each": of_each, "connections": connections, "seed": 1})
        command = [sys.executable, "-m", "tests.timing.client", str(folder / "times.json")]
        subprocess.run(command, check=True, cwd=ROOT, input=asked, text=True)
    found: dict[str, Any] = json.loads((folder / "times.json").read_text())
    return found


def areas(found: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Return the area for every pair of classes that must not be told apart."""
    return {pair: auc(found["times"][pair[0]], found["times"][pair[1]]) for pair in PAIRS}


def middle(times: list[float]) -> float:
    """Return the median in milliseconds."""
    return 1000 * sorted(times)[len(times) // 2]


def test_what_is_not_told_cannot_be_told_by_the_time(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None], capfd: pytest.CaptureFixture[str]
) -> None:
    found = measured(tmp_path / "shipped", Orders(agency_ms=8), LOOKUPS)

    answers = {answer for each in found["answers"].values() for answer in each}
    assert len(answers) == 1, answers
    assert '"outcome":"NOTHING_DISCLOSABLE"' in answers.pop()
    assert {len(times) for times in found["times"].values()} == {LOOKUPS}
    if not JUDGED:
        return
    bound = null_bound(LOOKUPS, LOOKUPS)
    worst = 0.0
    for pair, area in areas(found).items():
        record_testsuite_property(f"AUC, {pair[0]} against {pair[1]}", f"{area:.4f}")
        worst = max(worst, abs(area - 0.5))
    for name in CLASSES:
        record_testsuite_property(f"median, {name}", f"{middle(found['times'][name]):.1f} ms")
    record_testsuite_property("lookups of each class, in", f"{LOOKUPS}, {found['seconds']:.0f} s")
    record_testsuite_property("what chance alone reaches, 99.9 %", f"0.5 ± {bound:.4f}")
    record_testsuite_property("largest |AUC - 0.5|", f"{worst:.4f}")
    noticed(tmp_path, record_testsuite_property)
    with capfd.disabled():
        for pair, area in areas(found).items():
            print(f"\n{pair[0]:>16} | {pair[1]:<16} AUC {area:.4f}", end="")
        print(f"\ntiming: largest |AUC - 0.5| {worst:.4f}, by chance up to {bound:.4f}, n = {LOOKUPS} of each class")
    assert worst <= (GATE if LOOKUPS >= 10_000 else max(GATE, bound))


CONTROLS: Final = {
    "no beat, 2 ms more for a shielded child": Orders(quiet_seconds=0, shielded_ms=2),
    "no beat, agencies that need longer for whom they know": Orders(quiet_seconds=0, agency_ms=8),
    "5 ms more after the beat for a shielded child": Orders(agency_ms=8, late_ms=5),
}
"""What must be seen, else the measure is blind; the last under the same load as the run that is judged."""


def noticed(folder: Path, record: Callable[[str, object], None]) -> None:
    """Hold that the same measure sees what the beat hides; report what the gateway's own work shows without it."""
    for i, (name, orders) in enumerate(CONTROLS.items()):
        times = measured(folder / f"control-{i}", orders, OF_A_CONTROL, ("shielded", "unknown"))["times"]
        area = auc(times["shielded"], times["unknown"])
        record(f"control, {name}: AUC, shielded against unknown", f"{area:.4f}")
        assert abs(area - 0.5) > max(GATE, null_bound(OF_A_CONTROL, OF_A_CONTROL)), name
    for pair, area in areas(measured(folder / "bare", Orders(quiet_seconds=0), OF_A_CONTROL)).items():
        record(f"for information, no beat: AUC, {pair[0]} against {pair[1]}", f"{area:.4f}")


def test_the_measure_sees_a_shift_and_nothing_where_there_is_none() -> None:
    times = [0.25 + Random(1).random() / 100 + i / 100_000 for i in range(500)]
    assert auc(times, list(times)) == 0.5
    assert auc(times, [t + 0.002 for t in times]) - 0.5 > GATE
    assert round(null_bound(10_000, 10_000), 3) == 0.013
    assert round(null_bound(500, 500), 2) == 0.06
