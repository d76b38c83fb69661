"""Several worker processes on one set of sockets: started, watched, started again, and told to stop.

Each worker is a whole gateway with a shard of its own. What they must share is in the database; the supervisor knows
nothing of lookups and serves none.
"""

from __future__ import annotations

import errno
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

import structlog

log = structlog.get_logger("gateway.workers")

EX_CONFIG: Final = 78
"""How a worker ends that could not begin to serve: the settings, the database or its key are at fault."""

EX_SOFTWARE: Final = 70
"""How a worker ends whose storage failed, and the supervisor when workers keep ending at once."""

METRICS_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Set before a worker imports prometheus_client, it keeps its figures where every other worker reads them."""

DRAIN_SECONDS: Final = 25.0
# before the drain up to 4 s in which others learn that it leaves; after it, the last answers, checkpoint and witness
_KILL_AFTER_SECONDS: Final = DRAIN_SECONDS + 20
_LOOK_SECONDS: Final = 0.2
_SOUND_SECONDS: Final = 10.0
_MOST_FAILURES: Final = 3
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 5.0

Work = Callable[[Any, Sequence[socket.socket]], int]
"""What a worker runs: given the settings and the listening sockets, it returns its exit code. Found by its name."""


@dataclass
class _Worker:
    number: int
    process: BaseProcess | None = None
    lifeline: Connection | None = None
    started: float = 0.0
    failures: int = 0
    next_start: float = field(default=0.0)


class Supervisor:
    """Keeps a number of workers running until it is told to stop."""

    def __init__(self, count: int, work: Work, settings: Any, sockets: Sequence[socket.socket]) -> None:
        self._work = work
        self._settings = settings
        self._sockets = list(sockets)
        self._workers = [_Worker(number) for number in range(count)]
        self._stopping = False
        self._hung_up = False
        # a fresh interpreter for each: no thread, lock or connection of this process is in it
        self._context = multiprocessing.get_context("spawn")

    def run(self) -> int:
        """Return the exit code: 0 once all workers have drained, 70 if they cannot be kept running."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._hang_up)
        with tempfile.TemporaryDirectory(prefix="contactpoint-metrics-") as metrics:
            os.environ[METRICS_VARIABLE] = metrics
            try:
                while not self._stopping:
                    if not self._keep_running():
                        log.critical("workers_keep_ending", advice="the log of the workers says why")
                        self._end_all()
                        return EX_SOFTWARE
                    self._pass_hangup()
                    self._wait()
            except BaseException:
                # nobody would watch the workers, and this process would wait for them for ever
                self._end_all()
                raise
            return self._end_all()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _hang_up(self, *_: object) -> None:
        self._hung_up = True

    def _keep_running(self) -> bool:
        """Start every worker that is not running and may be; return whether there is any sense in going on."""
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is not None and worker.process.exitcode is not None:
                self._note_end(worker, now)
            if worker.failures > _MOST_FAILURES:
                return False
            if worker.process is None and now >= worker.next_start:
                self._start(worker, now)
        return True

    def _start(self, worker: _Worker, now: float) -> None:
        try:
            worker.process, worker.lifeline = self._started(worker.number)
        except OSError as fault:
            # no memory, process or file handle is left; the others may go on meanwhile
            log.error("worker_not_started", worker=worker.number, why=errno.errorcode.get(fault.errno or 0, "OSError"))
            alone = all(each.process is None for each in self._workers)
            failures = worker.failures + 1
            self._put_off(worker, failures if alone else min(failures, _MOST_FAILURES), now)
            return
        worker.started = now
        log.info("worker_started", worker=worker.number, process=worker.process.pid)

    def _started(self, number: int) -> tuple[BaseProcess, Connection]:
        """Return a worker's process, and what it ends with if that is closed. Raises OSError."""
        theirs, ours = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_run_worker,
            args=(self._work, self._settings, self._sockets, theirs),
            name=f"contactpoint-worker-{number}",
        )
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return process, ours

    def _note_end(self, worker: _Worker, now: float) -> None:
        process, worker.process = worker.process, None
        if process is None:
            return
        lived = now - worker.started
        log.error("worker_ended", worker=worker.number, process=process.pid, code=process.exitcode)
        served = lived > _SOUND_SECONDS and process.exitcode != EX_CONFIG
        self._forget(worker, process)
        self._put_off(worker, 1 if served else worker.failures + 1, now)

    def _put_off(self, worker: _Worker, failures: int, now: float) -> None:
        worker.failures = failures
        worker.next_start = now + min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (failures - 1))

    def _forget(self, worker: _Worker, process: BaseProcess) -> None:
        process.join()
        if worker.lifeline is not None:
            worker.lifeline.close()
            worker.lifeline = None
        if process.pid is not None:
            _forget_gauges(process.pid)
        process.close()

    def _pass_hangup(self) -> None:
        if self._hung_up:
            self._hung_up = False
            self._signal(signal.SIGHUP)

    def _wait(self) -> None:
        sentinels = [worker.process.sentinel for worker in self._workers if worker.process is not None]
        if sentinels:
            multiprocessing.connection.wait(sentinels, timeout=_LOOK_SECONDS)
        else:
            time.sleep(_LOOK_SECONDS)

    def _end_all(self) -> int:
        """Let every worker drain; return 0, or 1 if one of them had to be killed."""
        self._signal(signal.SIGTERM)
        for each in self._sockets:
            # Else who comes when all workers have shut theirs would be taken for a connection that nobody reads, and
            # would wait for an answer until this process ends; one that is refused is sent elsewhere at once.
            each.close()
        until = time.monotonic() + _KILL_AFTER_SECONDS
        killed = False
        for worker in self._workers:
            process, worker.process = worker.process, None
            if process is None:
                continue
            process.join(max(0.0, until - time.monotonic()))
            if process.exitcode is None:
                killed = True
                log.error("worker_killed", worker=worker.number, advice="it did not drain in time")
                process.kill()
            self._forget(worker, process)
        return 1 if killed else 0

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process is not None and worker.process.pid is not None and worker.process.exitcode is None:
                with suppress(ProcessLookupError):
                    os.kill(worker.process.pid, number)


def _run_worker(work: Work, settings: Any, sockets: Sequence[socket.socket], lifeline: Connection) -> None:
    # until there is a set of agreements to read again, a hangup must not end what is starting
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_supervisor, args=(lifeline,), name="lifeline", daemon=True).start()
    raise SystemExit(work(settings, sockets))


def _end_with_the_supervisor(lifeline: Connection) -> None:
    """Drain and end when the supervisor is gone, however it went: nobody would watch or stop this process."""
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os.kill(os.getpid(), signal.SIGTERM)


def _forget_gauges(pid: int) -> None:
    """Take the gauges of a process that is gone out of the metrics; its counters stay, so that totals never fall."""
    folder = os.environ.get(METRICS_VARIABLE)
    if folder:
        for name in os.listdir(folder):
            if name.startswith("gauge_live") and name.endswith(f"_{pid}.db"):
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(folder, name))
