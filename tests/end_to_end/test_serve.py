"""`contactpoint serve` as a supervisor sees it: how it starts, and with which exit code it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.__main__ import main as contactpoint
from tests.end_to_end.load import wait_until_ready, write_config
from tests.end_to_end.world import DemoWorld, RunningGateway
from tests.fixtures.ports import free_port

pytestmark = pytest.mark.network

REPOSITORY = Path(__file__).parents[2]

# A log whose storage fails: every commit after the first OUTCOME raises what a full or broken disk raises.
FAILING = """
import sqlite3, sys
from gateway.audit.writer import ShardWriter
from gateway.commands.serve import serve
write = ShardWriter.write
def broken(self, batch, *, until):
    if any(entry.kind == "INTENT" for entry in batch):
        raise sqlite3.OperationalError("disk I/O error")
    return write(self, batch, until=until)
ShardWriter.write = broken
serve.main(sys.argv[1:])
"""

# A gateway that is told to stop after it has begun to heed that, and before its event loop runs.
TOLD_EARLY = """
import os, signal, sys
from gateway.commands import serve
def told():
    os.kill(os.getpid(), signal.SIGTERM)
serve.spare_what_stays = told
serve.serve.main(sys.argv[1:])
"""


@contextmanager
def process(*command: str, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, *command],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stderr=stderr,
        ) as running,
    ):
        try:
            # each of several workers imports everything for itself
            wait_until_ready(f"http://127.0.0.1:{port}", 120)
            yield running
        finally:
            if running.poll() is None:
                running.kill()


@pytest.fixture
def port() -> int:
    return free_port()


def test_a_port_that_is_taken_is_one_line_before_anything_is_made(world: DemoWorld, tmp_path: Path) -> None:
    config = write_config(world.settings, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = subprocess.run(
            [sys.executable, "-m", "gateway", "serve", "--config", str(config), "--port", str(port)],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.count("\n") == 1
    assert str(port) in told.stderr
    assert [file.name for file in tmp_path.iterdir()] == [config.name]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_gateway_that_is_told_to_stop_ends_with_exit_code_0_and_a_sound_log(
    world: DemoWorld, tmp_path: Path, port: int, number: int
) -> None:
    config = write_config(world.settings, tmp_path)
    command = ("-m", "gateway", "serve", "--config", str(config), "--port", str(port))

    with process(*command, port=port, log=tmp_path / "log") as running:
        gateway = RunningGateway(world.gateway, f"http://127.0.0.1:{port}")
        answered = world.ask("social-worker", "ordinary", at=gateway)
        running.send_signal(number)
        ended = running.wait(30)

    assert answered.child["outcome"] == "DISCLOSED"
    assert ended == 0
    told = CliRunner().invoke(contactpoint, ["audit", "verify", "--config", str(config), "--json"])
    found = json.loads(told.stdout)
    assert (told.exit_code, found["openIntents"]) == (0, 0)


def test_a_gateway_that_is_told_to_stop_before_it_serves_does_not_forget_it(
    world: DemoWorld, tmp_path: Path, port: int
) -> None:
    """Nobody would stop it: a supervisor says it once, and a worker whose supervisor was killed tells itself once."""
    config = write_config(world.settings, tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", TOLD_EARLY, "--config", str(config), "--port", str(port)],
        cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, timeout=120, check=False,
    )  # fmt: skip

    assert ended.returncode == 0
    told = CliRunner().invoke(contactpoint, ["audit", "verify", "--config", str(config), "--json"])
    assert (told.exit_code, json.loads(told.stdout)["openIntents"]) == (0, 0)


def test_a_gateway_whose_log_fails_discloses_nothing_and_ends_with_a_failure(
    world: DemoWorld, tmp_path: Path, port: int
) -> None:
    """A supervisor must see a failure, not an orderly stop, or it would not start the gateway again."""
    config = write_config(world.settings, tmp_path)
    before = world.calls()

    with process(
        "-c", FAILING, "--config", str(config), "--port", str(port), port=port, log=tmp_path / "log"
    ) as running:
        gateway = RunningGateway(world.gateway, f"http://127.0.0.1:{port}")
        calls = world.calls()
        refused = world.ask("social-worker", "ordinary", at=gateway)
        ended = running.wait(30)

    assert (refused.status, refused.code) == (503, "AUDIT_UNAVAILABLE")
    assert "data" not in refused.body
    assert "retry-after" in refused.headers
    assert world.calls() == calls
    assert calls["health"] >= before["health"]
    assert ended == 70
