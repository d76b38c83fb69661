"""`kill -9` of the gateway under load: no practitioner reached a client without a durable OUTCOME that names them.

CONTACTPOINT_TEST_KILLS sets how often (20); the longer proof takes more.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.audit.events import AdminAction, EventKind
from gateway.audit.records import Record, read_records
from gateway.audit.verify import Status, verify
from gateway.settings import Settings
from gateway.storage import open_engine
from tests.end_to_end.documents import EVERYTHING
from tests.end_to_end.world import REASON, S16LA, DemoWorld

pytestmark = pytest.mark.network

KILLS = int(os.environ.get("CONTACTPOINT_TEST_KILLS", "20"))
CLIENTS = 4
STORIES = ("ordinary", "three-authorities", "twins", "former-surname", "linked-adult-probation")
REPOSITORY = Path(__file__).parents[2]


def toml(value: Any) -> str:
    """Return a value as TOML writes it in a line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def write_config(settings: Settings, folder: Path) -> Path:
    """Write the demo's settings as a configuration file, with a database of its own."""
    values = settings.model_dump(mode="json", exclude_none=True)
    values["database"] = {"url": f"sqlite:///{folder}/contactpoint.db"}
    values["telemetry"] = {"log_format": "json", "log_level": "debug"}
    file = folder / "gateway.toml"
    file.write_text("\n".join(f"{name} = {toml(value)}" for name, value in values.items()), encoding="utf-8")
    return file


@dataclass(frozen=True)
class Received:
    """One answer of which a client had every byte."""

    request_id: str
    names: frozenset[str]
    sha256: str


@dataclass
class Load:
    """Clients that look children up without end; what they received whole is kept."""

    world: DemoWorld
    url: str
    received: list[Received] = field(default_factory=list)
    answered: threading.Event = field(default_factory=threading.Event)
    odd: list[str] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def client(self, number: int) -> None:
        persona = ("social-worker", "health-visitor", "school-lead")[number % 3]
        token = self.world.token(persona)
        with httpx.Client(trust_env=False, verify=False, timeout=10) as client:  # noqa: S501 - plain HTTP
            for story in itertools.cycle(STORIES[number % 2 :] + STORIES[: number % 2]):
                if self._ended.is_set():
                    return
                try:
                    self.look_up(client, token, story)
                except httpx.TransportError:
                    # killed: what came of the answer is not a whole one
                    time.sleep(0.05)

    def look_up(self, client: httpx.Client, token: str, story: str) -> None:
        request_id = str(uuid.uuid4())
        access = {"purpose": S16LA, "reason": REASON}
        response = client.post(
            f"{self.url}/graphql",
            json={"query": EVERYTHING, "variables": {"key": self.world.key(story).variables(), "access": access}},
            headers={"Authorization": f"Bearer {token}", "X-Request-ID": request_id},
        )
        data = response.json().get("data")
        if response.status_code != 200 or not data:
            self.odd.append(f"{response.status_code} {response.content[:200]!r}")
            return
        named = frozenset(e["practitioner"]["name"] for e in data["child"]["involvements"] if e["practitioner"])
        self.received.append(Received(request_id, named, hashlib.sha256(response.content).hexdigest()))
        self.answered.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.client, args=(number,), daemon=True) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join(15)


def wait_until_ready(url: str) -> None:
    """Return when the gateway says that it is ready; fails the test after half a minute."""
    until = time.monotonic() + 30
    with httpx.Client(trust_env=False, verify=False, timeout=5) as client:  # noqa: S501 - plain HTTP
        while time.monotonic() < until:
            try:
                if client.get(f"{url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
    pytest.fail("the gateway was not ready")


def killed_lives(world: DemoWorld, folder: Path, kills: int, *flags: str) -> Load:
    """Run the gateway under load and kill it so often, then stop it in order; return what the clients received."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = write_config(world.settings, folder)
    load = Load(world, f"http://127.0.0.1:{port}")
    moments = random.Random(7)
    with (
        (folder / "log.jsonl").open("w") as log,
        subprocess.Popen(
            [sys.executable, str(REPOSITORY / "tests" / "end_to_end" / "lives.py"), str(config), str(port), *flags],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        with load.running():
            for life in range(kills + 1):
                process.stdin.write("live\n")
                process.stdin.flush()
                pid = int(process.stdout.readline())
                wait_until_ready(load.url)
                load.answered.clear()
                assert load.answered.wait(20), "nobody was answered"
                time.sleep(moments.uniform(0.0, 0.25))
                os.kill(pid, signal.SIGTERM if life == kills else signal.SIGKILL)
                status = int(process.stdout.readline())
                assert os.waitstatus_to_exitcode(status) == (0 if life == kills else -signal.SIGKILL)
        process.stdin.close()
    return load


def log_of(folder: Path) -> list[Record]:
    engine = open_engine(f"sqlite:///{folder}/contactpoint.db", create=False)
    try:
        return list(read_records(engine))
    finally:
        engine.dispose()


def unrecorded(received: list[Received], records: list[Record]) -> list[str]:
    """Return the request ids of answers that reached a client and that no OUTCOME accounts for."""
    outcomes = {r.payload["request"]: r.payload for r in records if r.kind is EventKind.OUTCOME and r.payload}
    missing = []
    for each in received:
        told = outcomes.get(each.request_id)
        entries = told["disclosed"]["entries"] if told else []
        named = {entry["practitioner"]["name"] for entry in entries if entry["practitioner"]}
        if told is None or told["response"] != each.sha256 or not each.names <= named:
            missing.append(each.request_id)
    return missing


def test_whenever_it_is_killed_no_practitioner_reached_a_client_without_a_durable_outcome(
    everything: DemoWorld, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """One test, so that what takes the time is done once."""
    load = killed_lives(everything, tmp_path, KILLS)

    records = log_of(tmp_path)
    # the figures of `make prove`
    record_testsuite_property("kills of the gateway under load", KILLS)
    record_testsuite_property("answers received whole", len(load.received))
    record_testsuite_property("practitioners in them", sum(len(each.names) for each in load.received))
    record_testsuite_property("of these without a durable OUTCOME", len(unrecorded(load.received, records)))
    assert unrecorded(load.received, records) == []
    assert sum(len(each.names) for each in load.received) > KILLS
    assert load.odd == []
    every_life_reported_the_intents_that_the_one_before_left_open(records)
    the_log_verifies(tmp_path)
    the_logs_hold_nothing_of_anybody((tmp_path / "log.jsonl").read_text(encoding="utf-8"), load)


def every_life_reported_the_intents_that_the_one_before_left_open(records: list[Record]) -> None:
    admin = [r.payload for r in records if r.kind is EventKind.ADMIN and r.payload]
    reported = {seq for p in admin if p["action"] == AdminAction.OPEN_INTENTS_FOUND for seq in p["intents"]}
    intents = {r.seq for r in records if r.kind is EventKind.INTENT}
    closed = {r.payload["intent"] for r in records if r.kind is EventKind.OUTCOME and r.payload}
    assert reported == intents - closed
    assert sum(p["action"] == AdminAction.STARTED for p in admin) == KILLS + 1
    assert len({r.shard for r in records}) == 1
    # the control of the moments: some lookups were under way when the process was killed
    assert reported


def the_log_verifies(folder: Path) -> None:
    engine = open_engine(f"sqlite:///{folder}/contactpoint.db", create=False)
    try:
        found = verify(engine)
    finally:
        engine.dispose()
    assert found.status is Status.GOOD
    assert found.open_intents > 0


def the_logs_hold_nothing_of_anybody(kept: str, load: Load) -> None:
    names = {name for each in load.received for name in each.names}
    numbers = {child.nhs_number for child in load.world.families.children}
    assert "Application startup complete" in kept
    assert [each for each in (*names, *numbers, REASON, *load.world.tokens()) if each in kept] == []
    assert "Traceback" not in kept


def test_a_gateway_that_answers_before_its_outcome_is_durable_is_caught(
    everything: DemoWorld, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """The control of this file."""
    load = killed_lives(everything, tmp_path, 2, "--answers-early")

    caught = unrecorded(load.received, log_of(tmp_path))
    record_testsuite_property("control: unrecorded when answering early, in 2 kills", len(caught))
    assert caught != []
