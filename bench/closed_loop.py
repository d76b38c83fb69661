"""A closed loop of connections for a time: each asks again when it was answered, and waits as it is told when refused.

usage: closed_loop.py PORT CONNECTIONS SECONDS REQUESTS MARK
  REQUESTS  a file of requests, ready made: for each, a 4-byte length and its bytes; sent in turn, again and again
  MARK      what the body of a right answer holds

Prints JSON: answers a second, and the latencies' percentiles in ms, of those given and of those refused (503, 429).
Unlike the load of the rig it obeys Retry-After, as the clients do that the gateway is made for. The time begins once
every connection has been answered: libuv takes one new connection a turn of its loop, and that is not what is measured.
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


@dataclass
class Seen:
    """What came of every request that was answered in the time that counts."""

    given: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    wrong: int = 0
    cut_off: int = 0

    def figures(self, seconds: float) -> dict[str, float]:
        """Return the figures that are printed."""
        return {
            "rate": len(self.given) / seconds,
            "p50": _percentile(self.given, 0.50),
            "p99": _percentile(self.given, 0.99),
            "refused": len(self.refused),
            "refused p50": _percentile(self.refused, 0.50),
            "refused p99": _percentile(self.refused, 0.99),
            "wrong": self.wrong,
            "cut off": self.cut_off,
        }


def _percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else 0.0


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: Iterator[bytes], mark: bytes) -> None:
        self._requests, self._mark = requests, mark
        self._read = b""
        self._sent = 0.0
        self.answered = False
        self.seen: Seen | None = None  # while it counts

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass
        self._ask()

    def _ask(self) -> None:
        if self._transport.is_closing():
            return
        self._read = b""
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end or len(body) < int(_header(head, b"content-length") or 0):
            return
        milliseconds = (time.perf_counter() - self._sent) * 1000
        self.answered = True
        seen = self.seen or Seen()
        status = head[9:12]
        if status in {b"429", b"503"}:
            seen.refused.append(milliseconds)
            asyncio.get_running_loop().call_later(int(_header(head, b"retry-after") or 1), self._ask)
            return
        if status == b"200" and self._mark in body:
            seen.given.append(milliseconds)
        else:
            seen.wrong += 1
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.seen is not None:
            self.seen.cut_off += 1
        self.answered = True  # or the others would wait for it

    def end(self) -> None:
        """Count and ask no more."""
        self.seen = None
        self._transport.abort()


def _header(head: bytes, name: bytes) -> bytes | None:
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


async def loop(port: int, connections: int, seconds: float, requests: list[bytes], mark: bytes) -> Seen:
    """Return what came of it. Raises TimeoutError if not every connection is answered within two minutes."""
    running, seen, turn = asyncio.get_running_loop(), Seen(), itertools.cycle(requests)
    clients = []
    for _ in range(connections):
        _, client = await running.create_connection(lambda: Client(turn, mark), "127.0.0.1", port)
        clients.append(client)
    async with asyncio.timeout(120):
        while not all(client.answered for client in clients):  # noqa: ASYNC110 - of a thousand, and once
            await asyncio.sleep(0.1)
    for client in clients:
        client.seen = seen
    await asyncio.sleep(seconds)
    for client in clients:
        client.end()
    return seen


def main(arguments: list[str]) -> int:
    """Print the figures."""
    port, connections, seconds, file, mark = arguments
    asked = loop(int(port), int(connections), float(seconds), requests_of(Path(file)), mark.encode())
    print(json.dumps(uvloop.run(asked).figures(float(seconds))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
