"""A long time with faults on: no wrong answer, and nothing grows.

CONTACTPOINT_TEST_SOAK_SECONDS sets how long (5); the proof takes half an hour, and says each minute where it is. It is
about one process: one that was interrupted begins anew. Detection is left out, to which lookups of the last month are
known by design (docs/detection.md): it would hold each of these.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Callable, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any

import pytest

from connectors.faults import Bearing
from gateway.errors import Overloaded
from gateway.federation import gathering
from gateway.federation.breaker import Breaker, Circuit
from gateway.federation.gathering import Gathering
from gateway.federation.upstream import Upstream
from tests.faults import soak as soak_of_faults
from tests.faults.matrix import DEEDS
from tests.faults.rig import SOURCES
from tests.faults.soak import SAID_SECONDS, faults_of, soaked, wrong
from tests.faults.standing import Standing, pieces_left, settled
from tests.faults.test_seeded_defects import swallowed_timeout, unframed_accepted

pytestmark = pytest.mark.network

SECONDS = float(os.environ.get("CONTACTPOINT_TEST_SOAK_SECONDS", "5"))


def test_a_long_time_with_faults_tells_nothing_wrong_and_nothing_grows(
    record_testsuite_property: Callable[[str, object], None], capfd: pytest.CaptureFixture[str]
) -> None:
    def say(line: str) -> None:
        if SECONDS >= SAID_SECONDS:
            with capfd.disabled():
                print(f"soak, {line}", flush=True)

    soak = soaked(SECONDS, say)
    looks = settled(soak.standings)

    def both(of: Callable[[Standing], float]) -> str:
        return f"{of(soak.standings[0]):.0f}, {of(soak.standings[-1]):.0f}"

    record_testsuite_property("seconds with faults on", SECONDS)
    record_testsuite_property("lookups", soak.lookups)
    record_testsuite_property("of those, complete", soak.complete)
    record_testsuite_property("wrong answers", soak.wrong.total())
    record_testsuite_property("faults injected", soak.injected.total())
    record_testsuite_property("different ones", f"{len(soak.deeds)} of {len(DEEDS)}")
    for code, count in sorted(soak.injected.items()):
        record_testsuite_property(f"faults injected, {code}", count)
    for reason, count in sorted(soak.read.items()):
        record_testsuite_property(f"sources in order that read {reason}", count)
    record_testsuite_property("looks, all at rest, once settled", len(looks))
    record_testsuite_property("MiB: when settled, at the most, at the end", _memory(looks))
    pieces, lookups = pieces_left(soak.standings)
    record_testsuite_property("pieces of memory more, early to late, and lookups between", f"{pieces}, {lookups}")
    record_testsuite_property("open files: at the beginning, at the end", both(lambda s: s.files.total()))
    record_testsuite_property("tasks: at the beginning, at the end", both(lambda s: s.tasks.total()))
    # a process takes more than seconds to have all the memory that it will work with
    if faults := faults_of(soak, memory=SECONDS >= 60):
        pytest.fail("\n".join(faults), pytrace=False)


def _memory(looks: Sequence[Standing]) -> str:
    return f"{looks[0].megabytes:.0f}, {max(s.megabytes for s in looks):.0f}, {looks[-1].megabytes:.0f}"


_KEPT: list[Any] = []


def much_memory() -> bytearray:
    """Return a thousandth of what this process has: what is much depends on which tests ran in it before."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return bytearray(b"\1" * (pages * os.sysconf("SC_PAGE_SIZE") // 1_000))


@pytest.mark.parametrize(
    ("keep", "word"),
    [
        pytest.param(lambda: asyncio.create_task(asyncio.sleep(3600)), "more of task sleep", id="a-task"),
        pytest.param(lambda: Path("/dev/zero").open("rb"), "more of file zero", id="a-file"),  # noqa: SIM115 - the defect
        pytest.param(much_memory, "MiB more", id="much-memory"),
        pytest.param(lambda: [object() for _ in range(50)], "more pieces of memory", id="small-objects"),
    ],
)
def test_what_each_ask_leaves_behind_would_be_found(
    keep: Callable[[], Any], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Upstream._ask

    async def leaving(self: Upstream, *how: Any) -> Any:
        _KEPT.append(keep())
        return await asking(self, *how)

    monkeypatch.setattr(Upstream, "_ask", leaving)
    monkeypatch.setattr(soak_of_faults, "_AFTERWARDS_SECONDS", 0.0)
    try:
        found = faults_of(soaked(1), memory=True)
    finally:
        for each in _KEPT:
            if isinstance(each, BufferedReader):
                each.close()
        _KEPT.clear()

    assert [each for each in found if word in each] != []


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_soak_whose_lines_would_stay_in_this_process_does_not_begin(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, name, io.StringIO())

    with pytest.raises(RuntimeError, match="stays in this process"):
        soaked(1)


def false_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer says that it is complete."""
    merged = Gathering._merged

    def completed(self: Gathering, *given: Any) -> Any:
        tree = merged(self, *given)
        tree.complete = True
        return tree

    monkeypatch.setattr(Gathering, "_merged", completed)


def lost_practitioner(monkeypatch: pytest.MonkeyPatch) -> None:
    """One source's practitioners are not told."""
    monkeypatch.setattr(gathering, "merge", lambda rows: [r for r in rows if r.sources[0].id != "police"])


def late_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup ends without an answer."""

    async def tree(*_: Any) -> Any:
        raise Overloaded(1)

    monkeypatch.setattr(Gathering, "tree", tree)


def stuck_circuit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A circuit that has opened stays open."""
    admit = Breaker.admit
    monkeypatch.setattr(Breaker, "admit", lambda self, now: None if self.state is Circuit.OPEN else admit(self, now))
    noting = Breaker.note

    def note(self: Breaker, ticket: int, bearing: Any, now: float) -> None:
        noting(self, ticket, bearing, now)
        if bearing is Bearing.FAILING:
            self._open(now)

    monkeypatch.setattr(Breaker, "note", note)


@pytest.mark.parametrize(
    ("defect", "word"),
    [
        pytest.param(false_complete, "complete is True with", id="false-complete"),
        pytest.param(swallowed_timeout, "is ANSWERED after DEADLINE", id="swallowed-timeout"),
        pytest.param(unframed_accepted, "is ANSWERED after UNFRAMED", id="unframed-accepted"),
        pytest.param(lost_practitioner, "practitioners are", id="lost-practitioner"),
        pytest.param(stuck_circuit, "answers in a row are complete", id="stuck-circuit"),
        pytest.param(late_refusal, "refused with 503 OVERLOADED", id="refused"),
    ],
)
@pytest.mark.records_otherwise
def test_a_wrong_answer_among_many_would_be_found(
    defect: Callable[[pytest.MonkeyPatch], None], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soak_of_faults, "_AFTERWARDS_SECONDS", 1.0)
    defect(monkeypatch)

    found = faults_of(soaked(1), memory=False)

    assert [each for each in found if word in each] != []


def test_an_answer_that_loses_a_practitioner_or_calls_a_fault_an_answer_would_be_found() -> None:
    line = {"status": "ANSWERED", "reason": None}
    data: dict[str, Any] = {
        "complete": True,
        "outcome": "DISCLOSED",
        "sources": [{"agency": {"id": source}, **line} for source in SOURCES],
        "involvements": [{"agency": {"id": s}, "practitioner": {"name": f"Worker {s} 0"}} for s in SOURCES],
    }
    assert wrong(data, {}) == []
    assert wrong({**data, "complete": False}, {}) != []
    assert wrong({**data, "outcome": "INCOMPLETE"}, {}) != []
    assert wrong({**data, "involvements": data["involvements"][1:]}, {}) != []

    assert wrong(data, {"police": DEEDS["500"]}) != []
