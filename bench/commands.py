"""What the commands that measure have in common: what they refuse before they begin, and how they stop.

A run that is stopped, or whose answers were wrong, writes no document. Exit codes: 0 the run ended and every answer was
right, whether or not each aim was reached; 1 an answer was wrong, or the run failed; 2 something to mend first; 130
stopped.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

STOPPED = 130  # 128 and SIGINT, as a shell has it


class CannotRun(Exception):
    """Something to mend before anything can be measured; the message is the line to print."""


class RunFailed(Exception):
    """The run did not come to an end, or an answer was wrong; the message is the line to print."""


class _Stop:
    """Ends the command with KeyboardInterrupt, at once or when what is being started can be ended."""

    def __init__(self) -> None:
        self.put_off = self.asked = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        if not self.put_off:
            raise KeyboardInterrupt
        self.asked = True


_STOP = _Stop()


@contextmanager
def not_stopped() -> Iterator[None]:
    """Start something: a stop comes after it, for what is half started nobody ends. Raises KeyboardInterrupt then."""
    _STOP.put_off = True
    try:
        yield
    finally:
        _STOP.put_off = False
    if _STOP.asked:
        _STOP.asked = False
        raise KeyboardInterrupt


def output_of(arguments: Sequence[str], *, stopping_seconds: float = 0.0) -> tuple[int, str]:
    """Return the exit code and the output of a program; it ends with this command, and all that it has started.

    `stopping_seconds`: for as long it may end what it has started itself.
    """
    started: subprocess.Popen[str] | None = None
    try:
        with not_stopped():
            # a session of its own: Ctrl-C is for this process, which ends the other
            started = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True)
        told, _ = started.communicate()
    except BaseException:
        if started is not None:
            if stopping_seconds:
                started.terminate()
                with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                    started.wait(stopping_seconds)
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.communicate()
        raise
    return started.returncode, told


def command(main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Return the exit code of a command. When it is stopped, by Ctrl-C or SIGTERM, it takes along what it runs."""
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, _STOP)
    try:
        return main(arguments)
    except (CannotRun, RunFailed) as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 2 if isinstance(fault, CannotRun) else 1
    except KeyboardInterrupt:
        print("bench: stopped; no document was written", file=sys.stderr)
        return STOPPED


def factor(text: str) -> float:
    """Return a number above 0 that counts or times can be multiplied by. Raises ArgumentTypeError."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (0 < number < math.inf):
        raise argparse.ArgumentTypeError("a number above 0 is needed")
    return number


def times(text: str) -> int:
    """Return a whole number from 1. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError("a whole number from 1 is needed")
    return int(text)


def must_be_writable(document: Path) -> None:
    """Raise CannotRun where the document could not be written in the end; nothing of it is changed now."""
    if document.is_dir() or not os.access(document if document.exists() else document.parent, os.W_OK):
        raise CannotRun(f"{document} cannot be written")


def must_be_free(ports: Iterable[int]) -> None:
    """Raise CannotRun where something listens already: its answers would be taken for those that are measured."""
    for port in ports:
        try:
            with socket.socket() as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            raise CannotRun(f"port {port} cannot be had; does another run use it? --port names others") from None


def short_of_their_aims(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """Return a line for each figure that is not what its aim says: `0.90 or more`, `20.0 at most`, or `0`."""
    short = []
    for name, measured, aim in rows:
        if not aim:
            continue
        bound = float(aim.split()[0])
        try:
            figure = float(measured.replace(",", ""))
        except ValueError:
            figure = math.nan  # there was nothing to measure: no aim is reached by that
        reached = figure >= bound if aim.endswith("or more") else figure <= bound
        if not reached:
            short.append(f"{name}: {measured}, and the aim is {aim}")
    return short
