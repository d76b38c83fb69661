"""`kill -9` of the gateway under load: no practitioner reached a client without a durable OUTCOME that names them.

Of one process, and of `--workers 2`: one of the workers, their supervisor, or all of them.

CONTACTPOINT_TEST_KILLS sets how often (20); the longer proof takes more.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.events import AdminAction, EventKind
from gateway.audit.records import Record
from tests.end_to_end.load import Lives, Load, audit_verify, log_of, unrecorded
from tests.end_to_end.test_several_processes import runs, until
from tests.end_to_end.world import REASON, DemoWorld
from tests.progress import Progress

pytestmark = pytest.mark.network

KILLS = int(os.environ.get("CONTACTPOINT_TEST_KILLS", "20"))
OF_A_LOG = 25
"""How often one log is killed: what takes the time of a kill must not grow with those before."""
VERIFIED_EACH = 5
WORKERS_EACH = 10
"""Each tenth life is of two workers, no more: a worker imports everything anew, which takes as long as many a life."""
STARTED_UP = "Application startup complete."


@dataclass
class Killed:
    """What the clients of some lives received, and what else is to be known of them."""

    load: Load
    verified: list[int] = field(default_factory=list)
    """The exit codes of `audit verify` after every few of the kills and at the end."""
    of_several: list[str] = field(default_factory=list)
    """Who was killed of each life of two workers."""
    started_up: int = 0
    """How many processes said that they could serve."""


def killed_lives(
    world: DemoWorld, folder: Path, kills: int, *flags: str, seed: int = 7, workers_each: int = WORKERS_EACH
) -> Killed:
    """Run the gateway under load and kill it so often, then stop it in order.

    Each `workers_each`-th life is of two workers, and so is the last one if any was: what a kill left open in a shard
    is told by who takes that shard up.
    """
    moments = random.Random(seed)
    several = range(workers_each - 1, kills, workers_each)
    environment = {**os.environ, "TMPDIR": str(folder)}
    with Lives(world.settings, folder, *flags, environment=environment) as lives:
        load = Load(world, lives.url, connections_kept=0 if several else None)
        killed = Killed(load)
        with load.running():
            for life in range(kills + 1):
                last = life == kills
                workers = 2 if life in several or (last and several) else 1
                before = len(lives.logged(STARTED_UP))
                pid = lives.start(workers)
                until(lambda: len(lives.logged(STARTED_UP)) == before + workers)  # noqa: B023 - called at once
                load.answered.clear()
                assert load.answered.wait(20), "nobody was answered"
                time.sleep(moments.uniform(0.0, 0.25))
                if last:
                    assert lives.end(pid, signal.SIGTERM) == 0
                elif workers == 1:
                    assert lives.end(pid, signal.SIGKILL) == -signal.SIGKILL
                else:
                    whom = list(OF_SEVERAL)[(seed + life // workers_each) % len(OF_SEVERAL)]
                    OF_SEVERAL[whom](lives, load, pid, moments)
                    killed.of_several.append(whom)
                if last or life % VERIFIED_EACH == 0 or life in several:
                    killed.verified.append(audit_verify(folder))
        killed.started_up = len(lives.logged(STARTED_UP))
    return killed


def _workers(lives: Lives) -> list[int]:
    """Return the processes of the two workers that were started last."""
    return [each["process"] for each in lives.logged("worker_started")[-2:]]


def _a_worker(lives: Lives, load: Load, pid: int, moments: random.Random) -> None:
    """One of two is killed; the other goes on, and a third takes up the shard. Then all stop in order."""
    before = len(lives.logged(STARTED_UP))
    os.kill(moments.choice(_workers(lives)), signal.SIGKILL)
    load.answered.clear()
    assert load.answered.wait(20), "the other worker answered nobody"
    until(lambda: len(lives.logged(STARTED_UP)) == before + 1)
    assert lives.end(pid, signal.SIGTERM) == 0


def _the_supervisor(lives: Lives, load: Load, pid: int, moments: random.Random) -> None:
    """The workers end by themselves: what they had begun they end."""
    workers = _workers(lives)
    assert lives.end(pid, signal.SIGKILL) == -signal.SIGKILL
    until(lambda: not any(map(runs, workers)))


def _all(lives: Lives, load: Load, pid: int, moments: random.Random) -> None:
    """As when memory runs out, or the machine is reset."""
    workers = _workers(lives)
    # at once: nobody sees another die. On a busy machine a supervisor that did was killed while it handed a new worker
    # its settings, and Python's own start of a process ends in a traceback when they break off
    os.kill(pid, signal.SIGSTOP)
    for each in moments.sample([pid, *workers], 3):
        os.kill(each, signal.SIGKILL)
    assert lives.ended() == -signal.SIGKILL
    until(lambda: not any(map(runs, workers)))


A_WORKER = "one of the workers"
OF_SEVERAL: Mapping[str, Callable[[Lives, Load, int, random.Random], None]] = {
    A_WORKER: _a_worker,
    "their supervisor": _the_supervisor,
    "all at once": _all,
}


def test_whenever_it_is_killed_no_practitioner_reached_a_client_without_a_durable_outcome(
    everything: DemoWorld, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """One test, so that what takes the time is done once."""
    logs = [min(OF_A_LOG, KILLS - first) for first in range(0, KILLS, OF_A_LOG)]

    def work(step: str) -> Mapping[str, Any]:
        number = int(step)
        folder = tmp_path / step
        folder.mkdir()
        return what_came_of(killed_lives(everything, folder, logs[number], seed=number), folder)

    found = Progress.of_this_proof().run([str(number) for number in range(len(logs))], work)

    # the figures of `make prove`
    left_open = [count for each in found for count in each["left open"]]
    record_testsuite_property("kills of the gateway under load", KILLS)
    of_several = Counter(whom for each in found for whom in each["of several"])
    whom = ", ".join(f"{of_several[kind]} of {kind}" for kind in OF_SEVERAL)
    record_testsuite_property("of these where two workers served", f"{of_several.total()}: {whom}")
    record_testsuite_property("answers received whole", sum(each["answers"] for each in found))
    practitioners = sum(each["practitioners"] for each in found)
    record_testsuite_property("practitioners in them", practitioners)
    record_testsuite_property("of these without a durable OUTCOME", sum(len(each["unrecorded"]) for each in found))
    mean = f"{sum(left_open)} in all, {sum(left_open) / KILLS:.2f} a kill, {max(left_open, default=0)} at most"
    record_testsuite_property("INTENTs that a kill left open, told by the next life", mean)
    verified = [code for each in found for code in each["verified"]]
    record_testsuite_property("audit verify, run after a kill or at the end: exit 0", verified.count(0))
    for each in found:
        assert each["unrecorded"] == []
        assert each["odd"] == []
        assert each["untold intents"] == []
        assert each["shards"] == (2 if each["of several"] else 1)
        assert each["held in the gateway's own logs"] == 0
    assert set(verified) == {0}
    assert practitioners > KILLS
    # a life of two workers is two starts, and a worker that was killed is started again
    lives_of_two = of_several.total() + sum(bool(each["of several"]) for each in found)
    starts = KILLS + len(logs) + lives_of_two + of_several[A_WORKER]
    assert sum(each["starts"] for each in found) == starts
    assert all(each["starts"] == each["started up"] for each in found)
    # the control of the moments: some lookups were under way when the process was killed
    assert sum(left_open) > 0


def what_came_of(killed: Killed, folder: Path) -> Mapping[str, Any]:
    load, records = killed.load, log_of(folder)
    admin = [(r.shard, r.payload) for r in records if r.kind is EventKind.ADMIN and r.payload]
    found = [(shard, p) for shard, p in admin if p["action"] == AdminAction.OPEN_INTENTS_FOUND]
    told = {(shard, seq) for shard, p in found for seq in p["intents"]}
    return {
        "answers": len(load.received),
        "practitioners": sum(len(each.names) for each in load.received),
        "unrecorded": unrecorded(load.received, records),
        "odd": load.odd,
        "left open": [p["count"] for _, p in found],
        "untold intents": sorted(open_intents(records) ^ told),
        "starts": sum(p["action"] == AdminAction.STARTED for _, p in admin),
        "shards": len({r.shard for r in records if r.kind is EventKind.INTENT}),
        "of several": killed.of_several,
        "started up": killed.started_up,
        "verified": killed.verified,
        "held in the gateway's own logs": held((folder / "log.jsonl").read_text(encoding="utf-8"), load),
    }


def open_intents(records: list[Record]) -> set[tuple[str, int]]:
    intents = {(r.shard, r.seq) for r in records if r.kind is EventKind.INTENT}
    return intents - {(r.shard, r.payload["intent"]) for r in records if r.kind is EventKind.OUTCOME and r.payload}


def held(kept: str, load: Load) -> int:
    """Return how many names, numbers, reasons and tokens the gateway's own logs hold."""
    names = {name for each in load.received for name in each.names}
    numbers = {child.nhs_number for child in load.world.families.children}
    assert "Application startup complete" in kept
    assert "Traceback" not in kept
    return len([each for each in (*names, *numbers, REASON, *load.world.tokens()) if each in kept])


def test_a_gateway_that_answers_before_its_outcome_is_durable_is_caught(
    everything: DemoWorld, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """The control of this file."""
    load = killed_lives(everything, tmp_path, 2, "--answers-early").load

    caught = unrecorded(load.received, log_of(tmp_path))
    record_testsuite_property("control: unrecorded when answering early, in 2 kills", len(caught))
    assert caught != []
