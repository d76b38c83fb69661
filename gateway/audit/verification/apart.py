"""Processes that check stretches of a long shard. Each asks the storage itself, through a connection of its own.

What one of them cannot do, whoever asked does instead: a fault of the storage is judged in one place.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from gateway.audit.verification.reading import Reader
from gateway.audit.verification.stretch import Stretch
from gateway.audit.verification.tree import check_stretch

_LENGTH: Final = 4
_BUSY_MILLISECONDS: Final = 5_000
_MAPPED: Final = 1 << 40
"""More than SQLite maps of a file. Of a mapped page that cannot be read the process dies, which costs no finding."""


class Place(msgspec.Struct, frozen=True):
    """Where the log lies: an SQLite file, or the URL of another database."""

    file: str | None = None
    url: str | None = None


class Call(msgspec.Struct, frozen=True):
    """A stretch to be checked; with `end` at 0, whether the database file contradicts itself."""

    shard: str = ""
    first: int = 0
    end: int = 0
    sizes: Sequence[int] = ()


class Answer(msgspec.Struct, frozen=True):
    """What came of a call."""

    stretch: Stretch | None = None
    intact: bool | None = None


class Workers:
    """So many processes, started when they are first asked.

    What is appended after the caller's view began, they pass over.
    """

    def __init__(self, place: Place, processes: int) -> None:
        self._place = place
        self._pool = ThreadPoolExecutor(processes, thread_name_prefix="verification")
        self._mine = threading.local()
        self._started: list[subprocess.Popen[bytes]] = []

    def intact(self) -> Future[Answer]:
        """Ask whether the database file contradicts itself; neither yes nor no if it could not be told."""
        return self._pool.submit(self._ask, Call())

    def check(self, calls: Sequence[Call]) -> Iterator[Stretch | None]:
        """Return the stretches in their order, as they become known; None for one that could not be read."""
        return (answer.stretch for answer in self._pool.map(self._ask, calls))

    def close(self) -> None:
        """Let go of what has not been begun, and end the processes."""
        # the second time for a process that was being started during the first
        for wait in (False, True):
            self._pool.shutdown(wait=wait, cancel_futures=True)
            for process in self._started:
                process.kill()
        for process in self._started:
            process.communicate()

    def _ask(self, call: Call) -> Answer:
        process = getattr(self._mine, "process", None)
        try:
            if process is None:
                process = self._mine.process = self._start()
            _send(process.stdin, call)
            answer = _received(process.stdout)
        except OSError:
            answer = None
        return Answer() if answer is None else msgspec.msgpack.decode(answer, type=Answer)

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, a module of ours
            # no module of ours is looked for in the folder where we happen to be
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._started.append(process)
        _send(process.stdin, self._place)
        return process


def main() -> None:
    """Answer calls on standard input until it ends."""
    place = msgspec.msgpack.decode(_received(sys.stdin.buffer) or b"", type=Place)
    with _opened(place) as reader:
        while (message := _received(sys.stdin.buffer)) is not None:
            call = msgspec.msgpack.decode(message, type=Call)
            if call.end:
                answer = Answer(stretch=check_stretch(reader, call.shard, call.first, call.end, call.sizes))
            else:
                answer = Answer(intact=reader.intact())
            _send(sys.stdout.buffer, answer)


@contextmanager
def _opened(place: Place) -> Iterator[Reader]:
    """Give a reader whose transaction sees one state of the database."""
    if place.file is not None:
        driver = sqlite3.connect(f"{Path(place.file).absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        # of what `gateway.storage.sqlite` sets, what matters to somebody who writes nothing
        for setting in ("trusted_schema=OFF", f"busy_timeout={_BUSY_MILLISECONDS}", f"mmap_size={_MAPPED}"):
            driver.execute(f"PRAGMA {setting}").close()
        driver.execute("BEGIN").close()
        yield Reader(driver, "sqlite")
        return
    # imported here: with SQLite, that would take longer than many stretches
    from gateway.storage.engine import open_engine  # noqa: PLC0415

    engine = open_engine(place.url or "", create=False)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        yield Reader(connection.connection, connection.dialect.name)


def _send(stream: IO[bytes] | None, message: Any) -> None:
    if stream is None:
        raise BrokenPipeError
    content = msgspec.msgpack.encode(message)
    stream.write(len(content).to_bytes(_LENGTH) + content)
    stream.flush()


def _received(stream: IO[bytes] | None) -> bytes | None:
    """Return the next message, or None when there is none, or not the whole of it."""
    if stream is None:
        return None
    length = stream.read(_LENGTH)
    content = stream.read(int.from_bytes(length)) if len(length) == _LENGTH else b""
    return content or None


if __name__ == "__main__":
    main()
