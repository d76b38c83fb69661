"""A gateway in a process of its own that can be killed, clients that never stop asking it, and what they received."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from gateway.__main__ import main as contactpoint
from gateway.audit.events import EventKind
from gateway.audit.records import Record, read_records
from gateway.settings import Settings
from gateway.storage.engine import open_engine
from tests.end_to_end.documents import EVERYTHING
from tests.end_to_end.world import REASON, S16LA, DemoWorld
from tests.fixtures.ports import free_port

CLIENTS = 4
STORIES = ("ordinary", "three-authorities", "twins", "former-surname", "linked-adult-probation")
REPOSITORY = Path(__file__).parents[2]


def toml(value: Any) -> str:
    """Return a value as TOML writes it in a line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def write_config(
    settings: Settings, folder: Path, url: str | None = None, audit: Mapping[str, Any] | None = None
) -> Path:
    """Write the demo's settings as a configuration file, with a database of its own or the one at `url`.

    `audit` is what `[audit]` holds beside the key file.
    """
    values = settings.model_dump(mode="json", exclude_none=True)
    values["database"] = {"url": url or f"sqlite:///{folder}/contactpoint.db"}
    values["audit"] = {"key_file": str(folder / "audit.key"), **(audit or {})}
    values["telemetry"] = {"log_format": "json", "log_level": "debug"}
    file = folder / "gateway.toml"
    file.write_text("\n".join(f"{name} = {toml(value)}" for name, value in values.items()), encoding="utf-8")
    return file


@dataclass(frozen=True)
class Received:
    """One answer of which a client had every byte."""

    request_id: str
    names: frozenset[str]
    sha256: str


@dataclass
class Load:
    """Clients that look children up without end; what they received whole is kept."""

    world: DemoWorld
    url: str
    received: list[Received] = field(default_factory=list)
    answered: threading.Event = field(default_factory=threading.Event)
    odd: list[str] = field(default_factory=list)
    connections_kept: int | None = None  # nought: a connection for each request, so that every worker gets some
    _ended: threading.Event = field(default_factory=threading.Event)

    def client(self, number: int) -> None:
        persona = ("social-worker", "health-visitor", "school-lead")[number % 3]
        limits = httpx.Limits(max_keepalive_connections=self.connections_kept)
        with httpx.Client(trust_env=False, verify=False, timeout=10, limits=limits) as client:  # noqa: S501 - plain HTTP
            for story in itertools.cycle(STORIES[number % 2 :] + STORIES[: number % 2]):
                if self._ended.is_set():
                    return
                try:
                    # a long proof takes longer than a token holds
                    self.look_up(client, self.world.token(persona), story)
                except httpx.TransportError:
                    # killed: what came of the answer is not a whole one
                    time.sleep(0.05)

    def look_up(self, client: httpx.Client, token: str, story: str) -> int:
        """Ask once, and keep a whole answer; return its status."""
        request_id = str(uuid.uuid4())
        access = {"purpose": S16LA, "reason": REASON}
        response = client.post(
            f"{self.url}/graphql",
            json={"query": EVERYTHING, "variables": {"key": self.world.key(story).variables(), "access": access}},
            headers={"Authorization": f"Bearer {token}", "X-Request-ID": request_id},
        )
        try:
            data = response.json().get("data")
        except ValueError:
            data = None  # the server's own words, where the gateway had none left
        if response.status_code != 200 or not data:
            self.odd.append(f"{response.status_code} {response.content[:200]!r}")
            return response.status_code
        named = frozenset(e["practitioner"]["name"] for e in data["child"]["involvements"] if e["practitioner"])
        self.received.append(Received(request_id, named, hashlib.sha256(response.content).hexdigest()))
        self.answered.set()
        return 200

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.client, args=(number,), daemon=True) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join(15)


def wait_until_ready(url: str, seconds: float = 30) -> None:
    """Return when the gateway says that it is ready; fails the test after this long."""
    until = time.monotonic() + seconds
    with httpx.Client(trust_env=False, verify=False, timeout=5) as client:  # noqa: S501 - plain HTTP
        while time.monotonic() < until:
            try:
                if client.get(f"{url}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
    pytest.fail("the gateway was not ready")


class Lives:
    """A gateway that is started again and again: `contactpoint serve` over a configuration, a process each time."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        *flags: str,
        environment: Mapping[str, str] | None = None,
        url: str | None = None,
        audit: Mapping[str, Any] | None = None,
    ) -> None:
        """`flags` break it on purpose: see `lives.py`. `url` is a database other than one of its own.

        `audit` is what `[audit]` holds beside the key file.
        """
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "log.jsonl"
        self._command = [
            *(sys.executable, str(REPOSITORY / "tests" / "end_to_end" / "lives.py")),
            *(str(write_config(settings, folder, url, audit)), str(port), *flags),
        ]
        self._environment = {**(environment or os.environ), "PYTHONPATH": str(REPOSITORY)}
        self._process: subprocess.Popen[str] | None = None

    def start(self, workers: int = 1) -> int:
        """Begin a life; return its process id when it says that it is ready: with several workers, one of them."""
        pid = self.begin(workers)
        wait_until_ready(self.url)
        return pid

    def begin(self, workers: int = 1) -> int:
        """Begin a life, ready or not; return its process id."""
        process = self.prepare()
        assert process.stdin is not None
        process.stdin.write(f"{workers}\n")
        process.stdin.flush()
        return int(self._line())

    def prepare(self) -> subprocess.Popen[str]:
        """Let what all lives need be imported; a test may do something else meanwhile."""
        if self._process is None:
            with self.log.open("w") as log:
                self._process = subprocess.Popen(
                    self._command,
                    cwd=REPOSITORY,
                    env=self._environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )
        return self._process

    def ended(self) -> int:
        """Wait for the end of the life; return its exit code, negative for a signal."""
        return os.waitstatus_to_exitcode(int(self._line()))

    def end(self, pid: int, by: signal.Signals) -> int:
        os.kill(pid, by)
        return self.ended()

    def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def ends_within(self, pid: int, seconds: float) -> bool:
        """Say whether the life ends by itself in this time."""
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([process], [], [], seconds)[0])
        finally:
            os.close(process)

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return every line of the gateway's own log, of all lives, that tells of an event."""
        if not self.log.exists():
            return []
        # the last line may not be whole yet
        lines = self.log.read_text(encoding="utf-8").split("\n")[:-1]
        told = [json.loads(line) for line in lines if line.startswith("{") and event in line]
        return [each for each in told if each.get("event") == event]

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            # a life that is still there is that of a test that failed
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.stdout.close()
            self._process.wait(30)

    def __enter__(self) -> Lives:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def log_of(folder: Path) -> list[Record]:
    """Return every record of the log in a folder."""
    return records_at(f"sqlite:///{folder}/contactpoint.db")


def records_at(url: str) -> list[Record]:
    engine = open_engine(url, create=False)
    try:
        return list(read_records(engine))
    finally:
        engine.dispose()


def unrecorded(received: list[Received], records: list[Record]) -> list[str]:
    """Return the request ids of answers that reached a client and that no OUTCOME accounts for."""
    outcomes = {r.payload["request"]: r.payload for r in records if r.kind is EventKind.OUTCOME and r.payload}
    missing = []
    for each in received:
        told = outcomes.get(each.request_id)
        entries = told["disclosed"]["entries"] if told else []
        named = {entry["practitioner"]["name"] for entry in entries if entry["practitioner"]}
        if told is None or told["response"] != each.sha256 or not each.names <= named:
            missing.append(each.request_id)
    return missing


def audit_verify(folder: Path) -> int:
    """Return the exit code of `contactpoint audit verify`."""
    return CliRunner().invoke(contactpoint, ["audit", "verify", "--config", str(folder / "gateway.toml")]).exit_code
