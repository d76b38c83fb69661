"""Who writes to an SQLite file next: within a process the log before all others, among processes whoever waits.

SQLite lets one connection write at a time and keeps no queue: who finds it busy sleeps and asks again, and a process
that has just written is back before the others have asked. So whoever writes takes a turn in its process, and is then
the next of all processes until it has begun. Both are manners: what keeps writers apart is SQLite's own lock, and who
cannot be next in time asks for it all the same, for the next process may stand still.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from gateway.storage.urls import file_of

_MOST_IN_A_ROW: Final = 8
_ASK_SECONDS: Final = 0.0005  # half of what a process needs between two commits: who waits comes before it
_MOST_SECONDS: Final = 0.1

_known: Final[dict[Path, Turns]] = {}
_knowing: Final = threading.Lock()


class Turns:
    """The turns of one file. Each is taken and given back by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._taken = False
        self._writing = False
        self._first_waiting = 0
        self._others_waiting = 0
        self._in_a_row = 0

    def take_first(self, seconds: float) -> bool:
        """Wait for the end of the turn that is being had, and for no other; return False if it took longer.

        Who waits otherwise is not forgotten: after eight of these turns in a row one of the others has one.
        """
        with self._lock:
            if self._first_may():
                self._taken = True
                self._in_a_row += 1
                return True
            self._first_waiting += 1
            try:
                taken = self._changed.wait_for(self._first_may, seconds)
            finally:
                self._first_waiting -= 1
            if taken:
                self._taken = True
                self._in_a_row += 1
            return taken

    def take(self, seconds: float) -> bool:
        """Wait until nobody who goes first wants a turn; return False if there was none in this time."""
        with self._lock:
            self._others_waiting += 1
            try:
                taken = self._changed.wait_for(self._others_may, seconds)
            finally:
                self._others_waiting -= 1
            if taken:
                self._taken = True
                self._in_a_row = 0
            return taken

    @property
    def writing(self) -> bool:
        """Whether who has the turn has SQLite's lock as well: what it still waits for is the disk."""
        return self._writing

    def note_writing(self) -> None:
        """Say so of the turn that was taken."""
        self._writing = True

    def give_back(self) -> None:
        """End the turn."""
        with self._lock:
            self._taken = self._writing = False
            if self._first_waiting or self._others_waiting:
                self._changed.notify_all()

    def _first_may(self) -> bool:
        return not self._taken and (self._in_a_row < _MOST_IN_A_ROW or not self._others_waiting)

    def _others_may(self) -> bool:
        return not self._taken and (self._in_a_row >= _MOST_IN_A_ROW or not self._first_waiting)


class Next:
    """The right to be the next process that writes: held while asking for SQLite's lock, given up once it is had."""

    def __init__(self, engine: sa.Engine) -> None:
        """Raises OSError."""
        file = file_of(engine)
        self._descriptor = os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._held = False
        self._asking_since: float | None = None

    def may_ask(self) -> bool:
        """Return whether to ask for SQLite's lock now: this process is the next, or has waited for that too long."""
        if self._held:
            return True
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            now = time.monotonic()
            self._asking_since = self._asking_since or now
            return now - self._asking_since >= _MOST_SECONDS
        except OSError:
            # a file system without locks of files has none of SQLite's either; who says so is SQLite
            return True
        self._held = True
        return True

    def done(self) -> None:
        """Let another be the next."""
        self._asking_since = None
        if self._held:
            self._held = False
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give it up for good."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def turn(engine: sa.Engine, seconds: float) -> Iterator[Callable[[], None]]:
    """Have a turn that is not the log's, as the next process; what is given is to be called once a lock is had.

    After this time without a turn, or a tenth of a second without being the next, go on all the same.
    """
    turns = turns_of(engine)
    taken = turns.take(seconds)
    try:
        mine = Next(engine)
        try:
            while not mine.may_ask():
                time.sleep(_ASK_SECONDS)

            def begun() -> None:
                mine.done()
                if taken:
                    turns.note_writing()

            yield begun
        finally:
            mine.close()
    finally:
        if taken:
            turns.give_back()


def turns_of(engine: sa.Engine) -> Turns:
    """Return the turns of an SQLite engine's file: the same for every engine of this process on that file."""
    with _knowing:
        return _known.setdefault(file_of(engine), Turns())
