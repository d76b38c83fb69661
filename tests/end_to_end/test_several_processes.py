"""Several processes on one database: workers of one gateway, and two gateways, one of which is killed under load."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from gateway.__main__ import main as contactpoint
from gateway.audit.events import EventKind
from gateway.audit.records import Record
from gateway.demo.personas import PERSONAS
from tests.end_to_end.load import Load, log_of, records_at, unrecorded, write_config
from tests.end_to_end.test_serve import REPOSITORY, process
from tests.end_to_end.world import DemoWorld, RunningGateway
from tests.fixtures.ports import free_port
from tests.fixtures.postgresql import PostgreSQLServer

pytestmark = pytest.mark.network

REVOKED = "probation-officer"
SERVE = ("-m", "gateway", "serve", "--config")


@dataclass
class Alternating(Load):
    """Clients before whom stands what sends them to each gateway in turn, whether it lives or not."""

    urls: Iterator[str] = field(default_factory=lambda: itertools.cycle(()))

    def look_up(self, client: httpx.Client, token: str, story: str) -> int:
        self.url = next(self.urls)
        return super().look_up(client, token, story)


def verified(config: Path) -> dict[str, Any]:
    """Return what `contactpoint audit verify` says, with its exit code."""
    told = subprocess.run(
        [sys.executable, "-m", "gateway", "audit", "verify", "--config", str(config), "--json"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return json.loads(told.stdout) | {"exit": told.returncode}


def lines(log: Path, event: str) -> list[dict[str, Any]]:
    written = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    return [each for each in written if each.get("event") == event]


def open_intents(records: list[Record]) -> int:
    intents = {(r.shard, r.seq) for r in records if r.kind is EventKind.INTENT}
    closed = {(r.shard, r.payload["intent"]) for r in records if r.kind is EventKind.OUTCOME and r.payload}
    return len(intents - closed)


def runs(process: int) -> bool:
    """Return whether a process runs. One that has ended and whom nobody waits for is still listed, as a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def looked_up(port: int) -> float:
    """Return how many lookups the metrics count, of all workers together."""
    metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    counted = [line for line in metrics.splitlines() if line.startswith("contactpoint_lookups_total")]
    return sum(float(line.rpartition(" ")[2]) for line in counted)


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


def test_two_workers_on_one_file_share_the_load_and_one_that_is_killed_is_started_again(
    world: DemoWorld, tmp_path: Path
) -> None:
    port = free_port()
    config = write_config(world.settings, tmp_path)
    log = tmp_path / "log"
    with process(*SERVE, str(config), "--port", str(port), "--workers", "2", port=port, log=log) as running:
        load = Load(world, f"http://127.0.0.1:{port}", connections_kept=0)
        with load.running():
            until(lambda: len(load.received) > 40)
            # a worker puts what it counted where the others read it once a second; what it did not, a kill takes away
            until(lambda: looked_up(port) > 40)
            known = looked_up(port)
            os.kill(lines(log, "worker_started")[0]["process"], signal.SIGKILL)
            until(lambda: len(lines(log, "worker_started")) == 3)
            of_what_was_killed = looked_up(port)
            before = len(load.received)
            until(lambda: len(load.received) > before + 20)
            until(lambda: looked_up(port) > known + 20)
        running.send_signal(signal.SIGTERM)
        ended = running.wait(40)

    assert ended == 0
    records = log_of(tmp_path)
    assert len({record.shard for record in records if record.kind is EventKind.INTENT}) == 2
    assert unrecorded(load.received, records) == []
    found = verified(config)
    assert (found["exit"], found["openIntents"]) == (0, open_intents(records))
    assert of_what_was_killed >= known


def test_who_is_revoked_is_refused_by_both_workers_within_seconds_and_nobody_else_is(
    world: DemoWorld, tmp_path: Path
) -> None:
    port = free_port()
    config = write_config(world.settings, tmp_path)
    load = Load(world, f"http://127.0.0.1:{port}", connections_kept=0)

    def asked(persona: str) -> int:
        # on a connection of its own, which either worker may take
        with httpx.Client(trust_env=False, timeout=30) as client:
            return load.look_up(client, world.token(persona), "ordinary")

    def workers(kind: EventKind, code: str | None) -> int:
        of_kind = [r for r in log_of(tmp_path) if r.kind is kind and r.payload and r.payload.get("code") == code]
        return len({record.shard for record in of_kind})

    def both(kind: EventKind, persona: str, status: int, code: str | None = None) -> None:
        until(lambda: asked(persona) == status and workers(kind, code) == 2)

    with process(*SERVE, str(config), "--port", str(port), "--workers", "2", port=port, log=tmp_path / "log"):
        both(EventKind.INTENT, REVOKED, 200)
        revoke = ["revoke", "person", "-", "--config", str(config)]
        told = CliRunner().invoke(contactpoint, revoke, input=PERSONAS[REVOKED].subject)
        assert told.exit_code == 0, told.output
        both(EventKind.DENIED, REVOKED, 401, "TOKEN REVOKED")
        refused = {asked(REVOKED) for _ in range(12)}
        others = {asked("social-worker") for _ in range(12)}

    assert (refused, others) == ({401}, {200})


def test_workers_that_cannot_go_on_end_the_whole_with_a_failure(world: DemoWorld, tmp_path: Path) -> None:
    """A supervisor that started a broken gateway again without end would look like one that works."""
    port = free_port()
    config = write_config(world.settings, tmp_path)
    log = tmp_path / "log"
    with process(*SERVE, str(config), "--port", str(port), "--workers", "2", port=port, log=log) as running:
        (tmp_path / "audit.key").write_text("no key")
        for started in lines(log, "worker_started"):
            os.kill(started["process"], signal.SIGKILL)
        ended = running.wait(180)

    assert ended == 70
    assert lines(log, "workers_keep_ending")


def test_workers_end_with_a_supervisor_that_was_killed(world: DemoWorld, tmp_path: Path) -> None:
    port = free_port()
    config = write_config(world.settings, tmp_path)
    log = tmp_path / "log"
    with process(*SERVE, str(config), "--port", str(port), "--workers", "2", port=port, log=log) as running:
        workers = [started["process"] for started in lines(log, "worker_started")]
        running.kill()
        running.wait(10)

        until(lambda: not any(map(runs, workers)))

    assert verified(config)["exit"] == 0


def test_two_gateways_on_one_postgresql_go_on_as_one_when_the_other_is_killed_under_load(
    world: DemoWorld, tmp_path: Path, postgresql_server: PostgreSQLServer, postgresql_database: str
) -> None:
    url = postgresql_server.url(postgresql_database)
    config = write_config(world.settings, tmp_path, url=url)
    ports = [free_port(), free_port()]
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    with ExitStack() as both:
        first, second = (
            both.enter_context(process(*SERVE, str(config), "--port", str(port), port=port, log=log))
            for port, log in zip(ports, logs, strict=True)
        )
        load = Alternating(world, "", urls=itertools.cycle([f"http://127.0.0.1:{port}" for port in ports]))
        with load.running():
            until(lambda: len(load.received) > 20)
            first.kill()
            first.wait(10)
            before = len(load.received)
            until(lambda: len(load.received) > before + 20)
            while_it_goes_on = verified(config)
        alone = world.ask("social-worker", "ordinary", at=RunningGateway(world.gateway, f"http://127.0.0.1:{ports[1]}"))
        second.send_signal(signal.SIGTERM)
        assert second.wait(40) == 0

    records = records_at(url)
    assert alone.child["outcome"] == "DISCLOSED"
    assert load.odd == []
    assert unrecorded(load.received, records) == []
    assert len({record.shard for record in records if record.kind is EventKind.INTENT}) == 2
    found = verified(config)
    assert (while_it_goes_on["exit"], found["exit"]) == (0, 0)
    assert found["openIntents"] == open_intents(records)
