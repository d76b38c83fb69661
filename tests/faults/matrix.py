"""What a source may do wrong, and what a caller must be told of it: the rows of the matrix that a source can cause.

An answer that is no trouble at all (a duplicate, a second attempt that goes well) is in it too, and must be ANSWERED.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from connectors.faults import REASON_OF, FaultCode
from schema.vocabulary import SourceReason
from tests.fixtures import fault_server
from tests.fixtures.fault_server import Answer, Received, head, response, says
from tests.fixtures.sources import BORN, FAMILY

Body = dict[str, Any]


def entry(source: str, number: int = 0, **differs: Any) -> Body:
    """Return one practitioner of a source as it is written on the wire."""
    usual = {"id": f"{source}-{number}", "name": f"Worker {source} {number}", "register": None, "phone": "01632 960101"}
    return usual | differs


def envelope(source: str, child: str, **differs: Any) -> Body:
    """Return the whole answer of a source about a child."""
    rows = differs.pop("rows", [entry(source)])
    usual = {
        "complete": True,
        "count": len(rows),
        "nhsNumber": child,
        "dateOfBirth": BORN.isoformat(),
        "familyName": FAMILY,
        "involvements": rows,
    }
    return usual | differs


def _from_now(**apart: float) -> str:
    return (datetime.now(UTC) + timedelta(**apart)).isoformat()


def _bytes(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Deed:
    """What a source does about one child. `code` None: it must be ANSWERED, with `rows` practitioners."""

    row: int
    answer: Callable[[str, str, int], Answer]  # source, child, how many times it was asked about the child before
    code: FaultCode | None
    rows: int = 1
    way: str = "good"  # which address the source is reached at

    @property
    def reason(self) -> SourceReason | None:
        """The reason that a caller must be told."""
        return None if self.code is None else REASON_OF[self.code]


def _well(source: str, child: str, _: int) -> Answer:
    return says(response(_bytes(envelope(source, child))))


def _other(body: Callable[[str, str], Any]) -> Callable[[str, str, int], Answer]:
    return lambda source, child, _: says(response(_bytes(body(source, child))))


def _once(first: Answer) -> Callable[[str, str, int], Answer]:
    return lambda source, child, before: first if before == 0 else _well(source, child, 0)


def _unframed(source: str, child: str, _: int) -> Answer:
    # the worst of them: every field is right, and the connection's end alone says that this was all
    return says(head(extra="Connection: close\r\n") + _bytes(envelope(source, child, rows=[])), then_close=True)


def _same(answer: Answer) -> Callable[[str, str, int], Answer]:
    return lambda *_: answer


WELL: Final = Deed(0, _well, None)

_OF_ANSWERS: Final[Mapping[str, Deed]] = {
    "unframed-and-right-in-every-field": Deed(8, _unframed, FaultCode.UNFRAMED),
    "redirect": Deed(
        16,
        _same(says(response(b"", "302 Found", extra="Location: http://169.254.169.254/latest/meta-data\r\n"))),
        FaultCode.REDIRECT,
    ),
    "no-word-on-completeness": Deed(
        19, _other(lambda s, c: {k: v for k, v in envelope(s, c).items() if k != "complete"}), FaultCode.SCHEMA
    ),
    "says-that-it-is-not-complete": Deed(19, _other(lambda s, c: envelope(s, c, complete=False)), FaultCode.SCHEMA),
    "counts-wrong": Deed(19, _other(lambda s, c: envelope(s, c, count=2)), FaultCode.SCHEMA),
    "unknown-member": Deed(19, _other(lambda s, c: envelope(s, c, more=1)), FaultCode.SCHEMA),
    "wrong-type": Deed(19, _other(lambda s, c: envelope(s, c, complete="yes")), FaultCode.SCHEMA),
    "bare-empty-list": Deed(19, _other(lambda s, c: []), FaultCode.SCHEMA),
    "about-another-child": Deed(20, _other(lambda s, c: envelope(s, "9990000018")), FaultCode.MISMATCH),
    "503-once-that-says-at-once": Deed(
        23, _once(says(response(b"", "503 Service Unavailable", extra="Retry-After: 0\r\n"))), None
    ),
    "503-for-thirty-years": Deed(
        23,
        _same(says(response(b"", "503 Service Unavailable", extra="Retry-After: 1000000000\r\n"))),
        FaultCode.OVERLOADED,
    ),
    "500-once": Deed(24, _once(says(response(status="500 Internal Server Error"))), None),
    "one-practitioner-twice": Deed(
        27,
        _other(lambda s, c: envelope(s, c, rows=[entry(s, n, name=f"Worker {s} 0", register=s) for n in (0, 1)])),
        None,
    ),
    "two-telephones-for-one-practitioner": Deed(
        28,
        _other(
            lambda s, c: envelope(
                s, c, rows=[entry(s, n, name=f"Worker {s} 0", register=s, phone=f"01632 96010{n}") for n in (1, 2)]
            )
        ),
        None,
        rows=2,
    ),
    "ten-thousand-practitioners": Deed(
        29, _other(lambda s, c: envelope(s, c, rows=[entry(s, n) for n in range(10_000)])), FaultCode.TOO_LARGE
    ),
    "says-how-it-was-an-hour-ago": Deed(30, _other(lambda s, c: envelope(s, c, asOf=_from_now(hours=-1))), None),
    "a-clock-four-minutes-ahead": Deed(30, _other(lambda s, c: envelope(s, c, asOf=_from_now(minutes=4))), None),
    "says-how-it-will-be-in-an-hour": Deed(
        30, _other(lambda s, c: envelope(s, c, asOf=_from_now(hours=1))), FaultCode.SCHEMA
    ),
    "a-name-of-a-megabyte": Deed(
        31, _other(lambda s, c: envelope(s, c, rows=[entry(s, name="A" * 1_000_000)])), FaultCode.TOO_LARGE
    ),
}
_OF_THE_WAY: Final[Mapping[str, Deed]] = {
    "connection-refused": Deed(1, _well, FaultCode.CONNECT, way="refused"),
    "certificate-of-a-stranger": Deed(25, _well, FaultCode.TLS, way="stranger"),
    "no-such-host": Deed(26, _well, FaultCode.DNS, way="nowhere"),
    "name-that-leads-inside": Deed(26, _well, FaultCode.FORBIDDEN_ADDRESS, way="inside"),
}
DEEDS: Final[Mapping[str, Deed]] = {
    **{name: Deed(f.row, _same(f.answer), FaultCode(f.code)) for name, f in fault_server.FAULTS.items()},
    **_OF_ANSWERS,
    **_OF_THE_WAY,
}


def spread(count: int) -> Sequence[str]:
    """Return so many deeds, spread over all of them; every one if there are no more."""
    names = list(DEEDS)
    return names if count >= len(names) else [names[i * len(names) // count] for i in range(count)]


class Misbehaving:
    """What one source does, child by child; it remembers how often it was asked about each."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.deeds: dict[str, Deed] = {}
        self.delays: dict[str, float] = {}
        self.asked: dict[str, int] = {}

    async def __call__(self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request as a `FaultServer` is asked to."""
        child = request.target.rpartition("/")[2]
        before = self.asked.get(child, 0)
        self.asked[child] = before + 1
        await asyncio.sleep(self.delays.get(child, 0.0))
        await self.deeds.get(child, WELL).answer(self.source, child, before)(request, reader, writer)
