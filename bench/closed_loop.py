"""A closed loop of connections for a time: each asks again when it was answered, and waits as it is told when refused.

usage: closed_loop.py PORT CONNECTIONS SECONDS REQUESTS MARK [impatient]
  REQUESTS   a file of requests, ready made: for each, a 4-byte length and its bytes; sent in turn, again and again
  MARK       what the body of a right answer holds
  impatient  ask again at once when refused, whatever Retry-After says

An answer that tells nobody leaves at the next quarter of a second, whatever was asked: it counts in the rate, and its
latency, which is that step's, in no percentile.

All connect at once. What counts begins once each has been answered; the first answers are told apart. A latency is
reckoned from when the request was due, not from when this process got round to sending it, and includes a new
connection where the server has closed the old one. How late this process itself was is among the figures: JSON.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvloop

_LOOK_SECONDS = 0.01
_REFUSALS = frozenset({b"429", b"503"})
_NOBODY = b'"involvements":[]'


@dataclass
class Seen:
    """What came of every request that was answered in a time. Milliseconds."""

    given: list[float] = field(default_factory=list)
    nobody: int = 0
    refused: list[float] = field(default_factory=list)
    wrong: int = 0
    cut_off: int = 0


@dataclass
class Load:
    """What the connections share: what they send, what is right, and what is seen now."""

    port: int
    requests: Iterator[bytes]
    mark: bytes
    patient: bool
    seen: Seen = field(default_factory=Seen)
    given: int = 0  # in all
    ended: bool = False


def _percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else 0.0


class Client(asyncio.Protocol):
    """One asker, on one connection after the other."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._read = b""
        self._due = time.perf_counter()
        self._under_way = True
        self._connecting: asyncio.Task[None] | None = None
        self.answered = False

    async def connect(self) -> None:
        """Ask on a new connection."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self._load.port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass
        self._send()

    def _ask(self, due: float) -> None:
        if self._load.ended:
            return
        self._due = min(due, time.perf_counter())
        self._under_way = True
        if self._transport is None or self._transport.is_closing():
            self._connecting = asyncio.get_running_loop().create_task(self.connect())
        else:
            self._send()

    def _send(self) -> None:
        self._read = b""
        assert self._transport is not None
        self._transport.write(next(self._load.requests))

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end or len(body) < int(_field(head, b"content-length") or 0):
            return
        now, seen = time.perf_counter(), self._load.seen
        milliseconds = (now - self._due) * 1000
        self._under_way, self.answered = False, True
        status = head[9:12]
        if status in _REFUSALS:
            seen.refused.append(milliseconds)
            pause = int(_field(head, b"retry-after") or 1) if self._load.patient else 0
            asyncio.get_running_loop().call_later(pause, self._ask, now + pause)
            return
        if status == b"200" and self._load.mark in body:
            if _NOBODY in body:
                seen.nobody += 1
            else:
                seen.given.append(milliseconds)
            self._load.given += 1
        else:
            seen.wrong += 1
        self._ask(now)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._under_way and not self._load.ended:
            self._load.seen.cut_off += 1
            self.answered = True  # or the others would wait for it
            asyncio.get_running_loop().call_later(0.1, self._ask, time.perf_counter() + 0.1)

    def end(self) -> None:
        """Ask no more."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()


def _field(head: bytes, name: bytes) -> bytes | None:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return next((value.strip() for key, _, value in lines if key.lower() == name), None)


def requests_of(file: Path) -> list[bytes]:
    """Return the requests of a file."""
    read, at, found = file.read_bytes(), 0, []
    while at < len(read):
        (size,) = struct.unpack_from("<I", read, at)
        found.append(read[at + 4 : at + 4 + size])
        at += 4 + size
    return found


async def measured(load: Load, connections: int, seconds: float) -> dict[str, float]:
    """Return the figures. Raises TimeoutError if not every connection is answered within two minutes."""
    clients = [Client(load) for _ in range(connections)]
    await asyncio.gather(*(client.connect() for client in clients))
    async with asyncio.timeout(120):
        while not all(client.answered for client in clients):  # noqa: ASYNC110 - of a thousand, and once
            await asyncio.sleep(_LOOK_SECONDS)
    first, load.seen = load.seen, Seen()
    late: list[float] = []
    until = time.perf_counter() + seconds
    while (due := time.perf_counter() + _LOOK_SECONDS) < until + _LOOK_SECONDS:
        await asyncio.sleep(_LOOK_SECONDS)
        late.append((time.perf_counter() - due) * 1000)
    seen, load.ended = load.seen, True
    for client in clients:
        client.end()
    answered = len(seen.given) + seen.nobody
    return {
        "rate": answered / seconds,
        "nobody": seen.nobody / max(1, answered),
        "p50": _percentile(seen.given, 0.50),
        "p99": _percentile(seen.given, 0.99),
        "refused": len(seen.refused),
        "refused p50": _percentile(seen.refused, 0.50),
        "refused p99": _percentile(seen.refused, 0.99),
        "first refused": len(first.refused),
        "first refused p99": _percentile(first.refused, 0.99),
        "wrong": seen.wrong + first.wrong,
        "cut off": seen.cut_off + first.cut_off,
        "given in all": load.given,
        "late p99": _percentile(late, 0.99),
        "load cpu": time.process_time(),
    }


def main(arguments: list[str]) -> int:
    """Print the figures."""
    port, connections, seconds, file, mark, *how = arguments
    load = Load(int(port), itertools.cycle(requests_of(Path(file))), mark.encode(), how != ["impatient"])
    print(json.dumps(uvloop.run(measured(load, int(connections), float(seconds)))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
