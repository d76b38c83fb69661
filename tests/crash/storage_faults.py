"""One lookup through a served gateway while one call on the database's files fails, and what came of it."""

from __future__ import annotations

import errno
import mmap
import shutil
import signal
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gateway.audit.keys import AuditKeys
from gateway.audit.records import read_records
from gateway.audit.verify import Status, verify
from gateway.storage.engine import open_engine
from tests.crash import tracing
from tests.crash.disk import Disk
from tests.crash.power_cut import trust_of
from tests.end_to_end.load import Lives, Load, unrecorded
from tests.end_to_end.world import DemoWorld

_ONCE, _FROM_NOW_ON, _SHORT, _SHORT_THEN_FULL = 1, 2, 3, 4
_FAULT = struct.Struct("<8I")
_SECONDS_TO_STOP = 10.0
DATABASE = "contactpoint.db"


@dataclass(frozen=True)
class Kind:
    """A way in which a call fails: with which error, and whether those after it do; `only` of one operation."""

    mode: int
    error: int
    only: str = ""


KINDS: Mapping[str, Kind] = {
    "EIO": Kind(_ONCE, errno.EIO),
    "EIO from then on": Kind(_FROM_NOW_ON, errno.EIO),
    "ENOSPC": Kind(_FROM_NOW_ON, errno.ENOSPC),
    "EDQUOT": Kind(_FROM_NOW_ON, errno.EDQUOT),
    "EROFS": Kind(_FROM_NOW_ON, errno.EROFS),
    "short write": Kind(_SHORT, 0),
    "short write, then ENOSPC": Kind(_SHORT_THEN_FULL, errno.ENOSPC),
    "EIO of a write": Kind(_ONCE, errno.EIO, "W"),
    "EIO of a sync": Kind(_ONCE, errno.EIO, "S"),
    "EIO of the directory": Kind(_FROM_NOW_ON, errno.EIO, "D"),
}


class Switch:
    """The memory that is shared with the preloaded library."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(_FAULT.size))
        with file.open("r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), _FAULT.size)

    def arm(self, kind: Kind, at: int) -> None:
        """Let call `at` fail, from one, of those that may; at 0 they are only counted."""
        self._memory[:] = _FAULT.pack(0, 0, at, kind.error, kind.mode, 0, 0, ord(kind.only or "\0"))
        self._memory[:4] = (1).to_bytes(4, "little")

    def disarm(self) -> tuple[int, str]:
        """Return how many calls were made, and the first operation that failed, or nothing."""
        self._memory[:4] = bytes(4)
        _, calls, _, _, _, fired, first, _ = _FAULT.unpack(self._memory[:])
        return calls, chr(first) if fired else ""


class Stand:
    """A gateway under the library, put back to the same database before each lookup."""

    def __init__(self, world: DemoWorld, folder: Path, library: Path, *flags: str) -> None:
        self._world = world
        self._folder = folder.resolve()
        self._switch = Switch(self._folder / "fault")
        self._trace = self._folder / "trace"
        database = self._folder / DATABASE
        environment = tracing.environment(library, database, self._trace, fault=self._folder / "fault")
        self._lives = Lives(world.settings, self._folder, *flags, environment=environment)
        # a log that has been begun, with its write-ahead log copied and gone
        assert self._lives.end(self._lives.start(), signal.SIGTERM) == 0
        self._baseline = database.read_bytes()

    def close(self) -> None:
        self._lives.close()

    def look_up_while(self, kind: str, at: int) -> Mapping[str, Any]:
        """Return what a lookup with this fault gave, and three after it, and what a power cut then leaves."""
        self._put_back()
        pid = self._lives.start()
        before, during, after = (Load(self._world, self._lives.url) for _ in range(3))
        codes: list[int] = []
        with httpx.Client(trust_env=False, verify=False, timeout=10) as client:  # noqa: S501 - plain HTTP
            token = self._world.token("social-worker")
            # the write-ahead log is there, and its file open, as nearly always
            before.look_up(client, token, "ordinary")
            self._switch.arm(KINDS[kind], max(at, 0))
            codes.append(_status(during, client, token))
            calls, failed = self._switch.disarm()
            codes += [_status(after, client, token) for _ in range(3)]
        # the call may have been another thread's: it stops the process too, though this lookup was answered
        exit_code = self._end(pid, 200 not in codes[1:] or (bool(failed) and not kind.startswith("short write")))
        received = [*before.received, *during.received, *after.received]
        return {
            "calls": calls,
            "failed": failed,
            "codes": codes,
            "told": bool(during.received),
            "told later": len(after.received),
            "exit": exit_code,
            "bodies": [text for load in (during, after) for text in load.odd if '"data"' in text],
        } | self._after_the_power_cut(pid, received)

    def start_while(self, kind: str) -> tuple[str, int]:
        """Return which operation failed under a gateway that starts with this fault, and how the gateway ended."""
        self._put_back()
        self._switch.arm(KINDS[kind], 1)
        pid = self._lives.begin()
        exit_code = self._end(pid, True)
        _, failed = self._switch.disarm()
        Path(f"{self._trace}.{pid}").unlink()
        return failed, exit_code

    def _put_back(self) -> None:
        for old in self._folder.glob(f"{DATABASE}-*"):
            old.unlink()
        (self._folder / DATABASE).write_bytes(self._baseline)

    def _end(self, pid: int, failed: bool) -> int:
        """Return the exit code of a process that ends by itself, or that of a kill if it is still there."""
        if self._lives.ends_within(pid, _SECONDS_TO_STOP if failed else 0.0):
            return self._lives.ended()
        return self._lives.end(pid, signal.SIGKILL)

    def _after_the_power_cut(self, pid: int, received: list[Any]) -> Mapping[str, Any]:
        """Judge what is certain to be on the disk; pages of a sync that failed are not."""
        disk = Disk({DATABASE: self._baseline})
        trace = Path(f"{self._trace}.{pid}")
        for call in tracing.read_trace(trace):
            disk.follow(call)
        trace.unlink()
        place = self._folder / "certain"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for name, content in disk.files([]).items():
            (place / name).write_bytes(content)
        engine = open_engine(f"sqlite:///{place}/{DATABASE}", create=False)
        try:
            trust = trust_of(AuditKeys.load_or_create(self._folder / "audit.key", create=False))
            good = verify(engine, trust).status is Status.GOOD
            return {"verified": good, "unrecorded": len(unrecorded(received, list(read_records(engine))))}
        finally:
            engine.dispose()


def _status(load: Load, client: httpx.Client, token: str) -> int:
    """Look a child up; return the status, or 0 when the connection ended without an answer."""
    try:
        return load.look_up(client, token, "ordinary")
    except httpx.TransportError:
        return 0
