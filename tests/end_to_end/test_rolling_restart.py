"""Two gateways behind whatever asks them whether they are ready are restarted in turn, and no request fails."""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.load import Load, log_of, unrecorded, write_config
from tests.end_to_end.test_serve import process
from tests.end_to_end.test_several_processes import SERVE, until
from tests.end_to_end.world import DemoWorld
from tests.fixtures.ports import free_port

pytestmark = pytest.mark.network

LEAVE_SECONDS = "1.5"
LOOK_SECONDS = 0.1


@dataclass
class Balanced(Load):
    """Clients who are sent to one gateway after another of those that said last that they are ready."""

    urls: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    ready: list[str] = field(default_factory=list)
    _turn: Iterator[int] = field(default_factory=itertools.count)

    def look_up(self, client: httpx.Client, token: str, story: str) -> int:
        ready = self.ready
        self.url = ready[next(self._turn) % len(ready)]
        try:
            return super().look_up(client, token, story)
        except httpx.TransportError as problem:
            self.failed.append(type(problem).__name__)
            raise

    def look(self, stop: threading.Event) -> None:
        """Ask every gateway, ten times a second, whether it is ready, as a load balancer does."""
        with httpx.Client(trust_env=False, timeout=5) as client:
            while not stop.wait(LOOK_SECONDS):
                self.ready = [url for url in self.urls if self._is_ready(client, url)] or self.ready

    @staticmethod
    def _is_ready(client: httpx.Client, url: str) -> bool:
        try:
            return client.get(f"{url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    @contextmanager
    def balanced(self) -> Iterator[None]:
        stop = threading.Event()
        looking = threading.Thread(target=self.look, args=(stop,), daemon=True)
        looking.start()
        try:
            with self.running():
                yield
        finally:
            stop.set()
            looking.join(15)


def test_a_rolling_restart_of_two_gateways_fails_no_request(
    world: DemoWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTACTPOINT_SERVER__LEAVE_SECONDS", LEAVE_SECONDS)
    config = write_config(world.settings, tmp_path)
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    load = Balanced(world, "", urls=urls, ready=list(urls))
    with ExitStack() as stack:

        def started(number: int, life: int) -> object:
            log = tmp_path / f"{number}-{life}.log"
            return stack.enter_context(
                process(*SERVE, str(config), "--port", str(ports[number]), port=ports[number], log=log)
            )

        running = [started(0, 0), started(1, 0)]
        with load.balanced():
            until(lambda: len(load.received) > 20)
            for number in (0, 1):
                running[number].send_signal(signal.SIGTERM)  # type: ignore[attr-defined]
                assert running[number].wait(60) == 0  # type: ignore[attr-defined]
                running[number] = started(number, 1)
                until(lambda url=urls[number]: url in load.ready)  # type: ignore[misc]
                before = len(load.received)
                until(lambda before=before: len(load.received) > before + 20)  # type: ignore[misc]

    assert (load.failed, load.odd) == ([], [])
    assert unrecorded(load.received, log_of(tmp_path)) == []


def test_a_gateway_that_closes_its_door_at_once_would_be_noticed(
    world: DemoWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTACTPOINT_SERVER__LEAVE_SECONDS", "0")
    config = write_config(world.settings, tmp_path)
    port = free_port()
    load = Balanced(world, "", urls=[f"http://127.0.0.1:{port}"], ready=[f"http://127.0.0.1:{port}"])
    with process(*SERVE, str(config), "--port", str(port), port=port, log=tmp_path / "log") as only, load.balanced():
        until(lambda: len(load.received) > 5)
        only.send_signal(signal.SIGTERM)
        assert only.wait(60) == 0
        until(lambda: bool(load.failed))

    assert load.failed
