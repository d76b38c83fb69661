"""An agency that answers every request with one answer: what `bench/micro.py` asks, in a process of its own.

usage: agency.py   (prints its port, then serves until its input ends)
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

CHILD = (
    b'{"nhsNumber":"9990000018","id":"c1","dateOfBirth":"2015-03-14","familyName":"Archer","complete":true,"count":2,'
    b'"involvements":['
    b'{"id":"p1","name":"Robin Vale","role":"Officer","organisation":"Northshire","team":"East","phone":"01632 960001",'
    b'"email":"robin@agency.example","since":"2024-05-01","active":true},'
    b'{"id":"p2","name":"Sam Reed","role":"Officer","organisation":"Northshire","team":"West","phone":"01632 960002",'
    b'"email":"sam@agency.example","since":"2023-02-11","active":false}]}'
)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(CHILD), CHILD)


class _Agency(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass
        self._read = b""

    def data_received(self, data: bytes) -> None:
        *whole, self._read = (self._read + data).split(b"\r\n\r\n")  # a GET has no body
        self._transport.write(_ANSWER * len(whole))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Agency, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve())
