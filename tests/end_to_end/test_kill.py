"""`kill -9` of the gateway under load: no practitioner reached a client without a durable OUTCOME that names them.

CONTACTPOINT_TEST_KILLS sets how often (20); the longer proof takes more.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.events import AdminAction, EventKind
from gateway.audit.records import Record
from tests.end_to_end.load import Lives, Load, audit_verify, log_of, unrecorded
from tests.end_to_end.world import REASON, DemoWorld
from tests.progress import Progress

pytestmark = pytest.mark.network

KILLS = int(os.environ.get("CONTACTPOINT_TEST_KILLS", "20"))
OF_A_LOG = 25
"""How often one log is killed: what takes the time of a kill must not grow with those before."""
VERIFIED_EACH = 5


def killed_lives(world: DemoWorld, folder: Path, kills: int, *flags: str, seed: int = 7) -> tuple[Load, list[int]]:
    """Run the gateway under load and kill it so often, then stop it in order.

    Return what the clients received, and the exit codes of `audit verify` after every few of the kills and at the end.
    """
    moments = random.Random(seed)
    verified: list[int] = []
    with Lives(world.settings, folder, *flags) as lives:
        load = Load(world, lives.url)
        with load.running():
            for life in range(kills + 1):
                pid = lives.start()
                load.answered.clear()
                assert load.answered.wait(20), "nobody was answered"
                time.sleep(moments.uniform(0.0, 0.25))
                last = life == kills
                assert lives.end(pid, signal.SIGTERM if last else signal.SIGKILL) == (0 if last else -signal.SIGKILL)
                if last or life % VERIFIED_EACH == 0:
                    verified.append(audit_verify(folder))
    return load, verified


def test_whenever_it_is_killed_no_practitioner_reached_a_client_without_a_durable_outcome(
    everything: DemoWorld, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """One test, so that what takes the time is done once."""
    logs = [min(OF_A_LOG, KILLS - first) for first in range(0, KILLS, OF_A_LOG)]

    def work(step: str) -> Mapping[str, Any]:
        number = int(step)
        folder = tmp_path / step
        folder.mkdir()
        load, verified = killed_lives(everything, folder, logs[number], seed=number)
        return what_came_of(load, folder, verified)

    found = Progress.of_this_proof().run([str(number) for number in range(len(logs))], work)

    # the figures of `make prove`
    left_open = [count for each in found for count in each["left open"]]
    record_testsuite_property("kills of the gateway under load", KILLS)
    record_testsuite_property("answers received whole", sum(each["answers"] for each in found))
    practitioners = sum(each["practitioners"] for each in found)
    record_testsuite_property("practitioners in them", practitioners)
    record_testsuite_property("of these without a durable OUTCOME", sum(len(each["unrecorded"]) for each in found))
    record_testsuite_property("refused, since the log was busy", sum(each["refused"] for each in found))
    mean = f"{sum(left_open)} in all, {sum(left_open) / KILLS:.2f} a kill, {max(left_open, default=0)} at most"
    record_testsuite_property("INTENTs that a kill left open, told by the next life", mean)
    verified = [code for each in found for code in each["verified"]]
    record_testsuite_property("audit verify, run after a kill or at the end: exit 0", verified.count(0))
    for each in found:
        assert each["unrecorded"] == []
        assert each["odd"] == []
        assert each["untold intents"] == []
        assert each["shards"] == 1
        assert each["held in the gateway's own logs"] == 0
    assert set(verified) == {0}
    assert practitioners > KILLS
    assert sum(each["refused"] for each in found) < KILLS
    assert sum(each["starts"] for each in found) == KILLS + len(logs)
    # the control of the moments: some lookups were under way when the process was killed
    assert sum(left_open) > 0


def what_came_of(load: Load, folder: Path, verified: list[int]) -> Mapping[str, Any]:
    records = log_of(folder)
    admin = [r.payload for r in records if r.kind is EventKind.ADMIN and r.payload]
    found = [p for p in admin if p["action"] == AdminAction.OPEN_INTENTS_FOUND]
    return {
        "answers": len(load.received),
        "practitioners": sum(len(each.names) for each in load.received),
        "unrecorded": unrecorded(load.received, records),
        # nothing was written and nothing told: on a busy machine the log may not be had within a quarter of a second
        "refused": sum("AUDIT_UNAVAILABLE" in each for each in load.odd),
        "odd": [each for each in load.odd if "AUDIT_UNAVAILABLE" not in each],
        "left open": [p["count"] for p in found],
        "untold intents": sorted(open_intents(records) ^ {seq for p in found for seq in p["intents"]}),
        "starts": sum(p["action"] == AdminAction.STARTED for p in admin),
        "shards": len({r.shard for r in records if r.kind is EventKind.INTENT}),
        "verified": verified,
        "held in the gateway's own logs": held((folder / "log.jsonl").read_text(encoding="utf-8"), load),
    }


def open_intents(records: list[Record]) -> set[int]:
    intents = {r.seq for r in records if r.kind is EventKind.INTENT}
    return intents - {r.payload["intent"] for r in records if r.kind is EventKind.OUTCOME and r.payload}


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
    load, _ = killed_lives(everything, tmp_path, 2, "--answers-early")

    caught = unrecorded(load.received, log_of(tmp_path))
    record_testsuite_property("control: unrecorded when answering early, in 2 kills", len(caught))
    assert caught != []
