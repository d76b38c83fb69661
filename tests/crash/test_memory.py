"""Memory runs out under load: allocations fail in the middle of anything, or the kernel kills. It is as any other kill.

The limit is set on the running process; many large bodies press on it.
"""

from __future__ import annotations

import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.load import Lives, Load, audit_verify, log_of, unrecorded
from tests.end_to_end.world import DemoWorld

pytestmark = pytest.mark.network

MEBIBYTE = 2**20
PRESSING = 16
_BODY = {"query": f"query {{ viewer {{ subject }} }} #{'x' * 15_000}"}


def held(pid: int, what: str) -> int:
    """Return how much a process holds, in bytes: VmSize or VmRSS."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


@contextmanager
def pressed(world: DemoWorld, url: str) -> Iterator[None]:
    """Send the largest bodies that are taken, from many clients at once."""
    ended = threading.Event()
    token = world.token("social-worker")

    def press() -> None:
        with httpx.Client(trust_env=False, timeout=3) as client:
            while not ended.is_set():
                try:
                    client.post(f"{url}/graphql", json=_BODY, headers={"Authorization": f"Bearer {token}"})
                except httpx.TransportError:
                    ended.wait(0.02)

    threads = [threading.Thread(target=press, daemon=True) for _ in range(PRESSING)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join(15)


def allocations_fail(lives: Lives, pid: int) -> bool:
    """Let it have one mebibyte more than it has; return whether it ended by itself."""
    most = held(pid, "VmSize") + MEBIBYTE
    resource.prlimit(pid, resource.RLIMIT_AS, (most, most))
    return lives.ends_within(pid, 3.0)


def the_kernel_kills(lives: Lives, pid: int) -> bool:
    """Wait until it holds more than it may, as who enforces a limit does; the kill is the caller's. Return false."""
    most, until = held(pid, "VmRSS") + MEBIBYTE, time.monotonic() + 5.0
    while held(pid, "VmRSS") <= most and time.monotonic() < until:
        time.sleep(0.001)
    return False


def out_of_memory(world: DemoWorld, folder: Path, limit: object, *flags: str) -> tuple[Load, int, int]:
    """Run a gateway under load until memory has run out; return what clients received, and how both lives ended."""
    assert callable(limit)
    with Lives(world.settings, folder, *flags) as lives:
        load = Load(world, lives.url)
        with load.running():
            pid = lives.start()
            assert load.answered.wait(20), "nobody was answered"
            with pressed(world, lives.url):
                ended = lives.ended() if limit(lives, pid) else lives.end(pid, signal.SIGKILL)
            pid = lives.start()
            load.answered.clear()
            assert load.answered.wait(20), "nobody was answered afterwards"
            return load, ended, lives.end(pid, signal.SIGTERM)


@pytest.mark.parametrize("limit", [allocations_fail, the_kernel_kills])
def test_when_memory_runs_out_no_practitioner_reached_a_client_without_a_durable_outcome(
    everything: DemoWorld, tmp_path: Path, limit: object
) -> None:
    load, ended, ended_in_order = out_of_memory(everything, tmp_path, limit)

    assert ended != 0
    assert ended_in_order == 0
    assert unrecorded(load.received, log_of(tmp_path)) == []
    assert audit_verify(tmp_path) == 0
    # what was refused for want of memory holds nothing of anybody
    assert [each for each in load.odd if '"data":{' in each] == []


def test_a_gateway_that_answers_before_its_outcome_is_durable_is_caught(everything: DemoWorld, tmp_path: Path) -> None:
    """The control."""

    def caught(number: int) -> bool:
        folder = tmp_path / str(number)
        folder.mkdir()
        load, _, _ = out_of_memory(everything, folder, the_kernel_kills, "--answers-early")
        return unrecorded(load.received, log_of(folder)) != []

    # a kill may come when nobody has just been answered
    assert any(caught(number) for number in range(4))
