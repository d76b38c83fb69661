"""What the supervisor of several workers does when it is told to stop, and when it cannot start one."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from gateway.workers import EX_SOFTWARE, Supervisor

pytestmark = pytest.mark.network

_started = BaseProcess.start


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def leaving(folder: Path, sockets: Sequence[socket.socket]) -> int:
    """A worker that shuts its door when it is told to stop, and has an answer under way for a while after that."""
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    (folder / f"serves-{os.getpid()}").touch()
    until(lambda: bool(told))
    for each in sockets:
        each.close()
    (folder / "shut").touch()
    until((folder / "answered").exists)
    return 0


def supervising(folder: Path, port: int, workers: int, refused: Sequence[int]) -> None:
    """Supervise; `refused` are the starts for which the machine has no process left."""
    starts = 0

    def start(self: Any) -> None:
        nonlocal starts
        if not self.name.startswith("contactpoint-worker-"):
            return _started(self)
        starts += 1
        (folder / f"start-{starts}").touch()
        if starts in refused:
            raise BlockingIOError(errno.EAGAIN, "no process left")
        return _started(self)

    BaseProcess.start = start  # type: ignore[method-assign]
    listening = [socket.create_server(("127.0.0.1", port), reuse_port=False)]
    raise SystemExit(Supervisor(workers, leaving, folder, listening).run())


@contextmanager
def supervised(
    folder: Path, *, workers: int = 1, refused: Sequence[int] = ()
) -> Iterator[tuple[multiprocessing.process.BaseProcess, int]]:
    """Give the supervisor's process, and the port of its workers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    process = multiprocessing.get_context("spawn").Process(target=supervising, args=(folder, port, workers, refused))
    process.start()
    try:
        yield process, port
    finally:
        (folder / "answered").touch()
        process.terminate()
        process.join(30)
        stays = process.exitcode is None
        process.kill()
        process.join()
        process.close()
        assert not stays, "the supervisor does not end"


def serving(folder: Path) -> int:
    return len(list(folder.glob("serves-*")))


def test_who_comes_when_the_last_worker_has_shut_its_door_is_refused_and_does_not_wait(tmp_path: Path) -> None:
    with supervised(tmp_path, workers=2) as (supervisor, port):
        until(lambda: serving(tmp_path) == 2)
        socket.create_connection(("127.0.0.1", port)).close()
        supervisor.terminate()
        until((tmp_path / "shut").exists)
        time.sleep(0.2)  # that of the other worker

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()


def test_a_worker_for_which_there_is_no_process_left_is_started_when_there_is_one(tmp_path: Path) -> None:
    with supervised(tmp_path, workers=2, refused=(2, 3)) as (supervisor, _):
        until(lambda: serving(tmp_path) == 2)
        (tmp_path / "answered").touch()
        supervisor.terminate()
        supervisor.join(30)

        assert supervisor.exitcode == 0


def test_a_supervisor_that_can_start_nobody_ends_and_says_so(tmp_path: Path) -> None:
    with supervised(tmp_path, refused=range(1, 100)) as (supervisor, _):
        supervisor.join(30)

        assert supervisor.exitcode == EX_SOFTWARE
