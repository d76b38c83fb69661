"""Asks a gateway in another process and times every answer: `python -m tests.timing.client FILE`.

Reads what the server told, and how many lookups of each class are wanted, from standard input; writes to the file
each class's times in seconds and what the answers were, apart from their receipts. Plain sockets and no library,
so that the client's own work is small and the same for every class.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import uvloop

from tests.fixtures.sources import BORN, FAMILY

WARM_UP: Final = 3  # lookups of each connection that are not counted
_RECEIPT = re.compile(rb'"receipt":"[^"]*"')
_CHANGES = re.compile(rb"^(date|x-request-id): .*$", re.IGNORECASE | re.MULTILINE)
_QUERY = """query Who($key: ChildKey!, $access: AccessRequest!) {
  child(key: $key, access: $access) {
    outcome complete advice receipt sources { agency { id } status reason }
    involvements { id role practitioner { name } contact { phone } }
  }
}"""


def request_of(number: str, told: dict[str, Any]) -> bytes:
    """Return a lookup as it goes over the wire; every child's takes as many bytes."""
    variables = {
        "key": {"nhsNumber": number, "dateOfBirth": BORN.isoformat(), "familyName": FAMILY},
        "access": {"purpose": "CP_S47", "reason": "A referral"},
    }
    body = json.dumps({"query": _QUERY, "variables": variables}).encode()
    head = {"Host": "gateway", "Content-Type": "application/json", "Content-Length": len(body), **told["headers"]}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return b"POST /graphql HTTP/1.1\r\n" + lines.encode() + b"\r\n" + body


async def measure(told: dict[str, Any], of_each: int, connections: int, seed: int) -> dict[str, Any]:
    """Return times and distinct answers of every class; classes alternate at random on every connection."""
    random = Random(seed)
    requests = {name: [request_of(n, told) for n in children] for name, children in told["classes"].items()}
    times: dict[str, list[float]] = defaultdict(list)
    answers: dict[str, set[str]] = defaultdict(set)
    order = interleaved(list(requests), of_each, random)

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> tuple[float, str]:
        request = random.choice(requests[name])
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        spent = time.perf_counter() - started
        return spent, (_CHANGES.sub(b"", head) + _RECEIPT.sub(b"", body)).decode()

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", told["port"])
        await asyncio.sleep(random.random() * 0.3)
        for _ in range(WARM_UP):
            await ask(reader, writer, random.choice(list(requests)))
        for name in order:
            # connections drift apart, as askers do
            await asyncio.sleep(random.random() * (0.03 if told["orders"]["quiet_seconds"] else 0.002))
            spent, answer = await ask(reader, writer, name)
            times[name].append(spent)
            answers[name].add(answer)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections)))
    seconds = time.perf_counter() - started
    return {"times": times, "answers": {name: sorted(found) for name, found in answers.items()}, "seconds": seconds}


def interleaved(names: list[str], of_each: int, random: Random) -> Iterator[str]:
    """Yield every class so many times, in blocks that hold each of them once, in another order each time."""
    for _ in range(of_each):
        yield from random.sample(names, len(names))


def main() -> None:
    """Measure and write."""
    asked = json.loads(sys.stdin.read())
    gc.disable()
    found = uvloop.run(measure(asked["told"], asked["of_each"], asked["connections"], asked["seed"]))
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
