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
ANOTHER_CHILD: Final = "9990000018"  # of whom nobody asks


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


_OF_THE_SOURCE = frozenset(
    {SourceReason.CONNECT, SourceReason.TIMEOUT, SourceReason.REFUSED, SourceReason.RATE_LIMITED}
)


@dataclass(frozen=True)
class Deed:
    """What a source does about one child. `code` None: it must be ANSWERED, with `rows` practitioners."""

    row: int
    answer: Callable[[str, str, int], Answer]  # source, child, how many times it was asked about the child before
    code: FaultCode | None
    rows: int = 1
    way: str = "good"  # which address the source is reached at
    body: Callable[[str, str], Any] | None = None  # what it says of the child, where the reply around it is in order
    unreadable: bool = False  # what it says spoils the whole body for who reads it
    once: bool = False  # the second time all is well
    comes_back: bool = False  # it says when to ask again

    @property
    def speaks_for_all(self) -> bool:
        """Whether it cannot be about one child: the others of one call are told the same, and nobody is asked alone."""
        return self.reason in _OF_THE_SOURCE or self.comes_back or self.code is FaultCode.MISMATCH

    @property
    def reason(self) -> SourceReason | None:
        """The reason that a caller must be told."""
        return None if self.code is None else REASON_OF[self.code]


def _well(source: str, child: str, _: int) -> Answer:
    return says(response(_bytes(envelope(source, child))))


def _says(
    row: int,
    body: Callable[[str, str], Any],
    code: FaultCode | None = None,
    *,
    rows: int = 1,
    unreadable: bool = False,
) -> Deed:
    """Return the deed of a reply that is in order, but for what it says of the child."""

    def answer(source: str, child: str, _: int) -> Answer:
        return says(response(_bytes(body(source, child))))

    return Deed(row, answer, code, rows, body=body, unreadable=unreadable)


def _once(first: Answer) -> Callable[[str, str, int], Answer]:
    return lambda source, child, before: first if before == 0 else _well(source, child, 0)


def _unframed(source: str, child: str, _: int) -> Answer:
    # the worst of them: every field is right, and the connection's end alone says that this was all
    return says(head(extra="Connection: close\r\n") + _bytes(envelope(source, child, rows=[])), then_close=True)


def _same(answer: Answer) -> Callable[[str, str, int], Answer]:
    return lambda *_: answer


WELL: Final = Deed(0, _well, None, body=envelope)

_OF_ANSWERS: Final[Mapping[str, Deed]] = {
    "unframed-and-right-in-every-field": Deed(8, _unframed, FaultCode.UNFRAMED),
    "redirect": Deed(
        16,
        _same(says(response(b"", "302 Found", extra="Location: http://169.254.169.254/latest/meta-data\r\n"))),
        FaultCode.REDIRECT,
    ),
    "no-word-on-completeness": _says(
        19,
        lambda s, c: {k: v for k, v in envelope(s, c).items() if k != "complete"},
        FaultCode.SCHEMA,
        unreadable=True,
    ),
    "says-that-it-is-not-complete": _says(19, lambda s, c: envelope(s, c, complete=False), FaultCode.SCHEMA),
    "counts-wrong": _says(19, lambda s, c: envelope(s, c, count=2), FaultCode.SCHEMA),
    "unknown-member": _says(19, lambda s, c: envelope(s, c, more=1), FaultCode.SCHEMA, unreadable=True),
    "wrong-type": _says(19, lambda s, c: envelope(s, c, complete="yes"), FaultCode.SCHEMA, unreadable=True),
    "bare-empty-list": _says(19, lambda s, c: [], FaultCode.SCHEMA, unreadable=True),
    "about-another-child": _says(20, lambda s, c: envelope(s, ANOTHER_CHILD), FaultCode.MISMATCH),
    "503-once-that-says-at-once": Deed(
        23,
        _once(says(response(b"", "503 Service Unavailable", extra="Retry-After: 0\r\n"))),
        None,
        once=True,
        comes_back=True,
    ),
    "503-for-thirty-years": Deed(
        23,
        _same(says(response(b"", "503 Service Unavailable", extra="Retry-After: 1000000000\r\n"))),
        FaultCode.OVERLOADED,
        comes_back=True,
    ),
    "500-once": Deed(24, _once(says(response(status="500 Internal Server Error"))), None, once=True),
    "one-practitioner-twice": _says(
        27,
        lambda s, c: envelope(s, c, rows=[entry(s, n, name=f"Worker {s} 0", register=s) for n in (0, 1)]),
    ),
    "two-telephones-for-one-practitioner": _says(
        28,
        lambda s, c: envelope(
            s, c, rows=[entry(s, n, name=f"Worker {s} 0", register=s, phone=f"01632 96010{n}") for n in (1, 2)]
        ),
        rows=2,
    ),
    "ten-thousand-practitioners": _says(
        29,
        lambda s, c: envelope(s, c, rows=[entry(s, n) for n in range(10_000)]),
        FaultCode.TOO_LARGE,
        unreadable=True,
    ),
    "says-how-it-was-an-hour-ago": _says(30, lambda s, c: envelope(s, c, asOf=_from_now(hours=-1))),
    "a-clock-four-minutes-ahead": _says(30, lambda s, c: envelope(s, c, asOf=_from_now(minutes=4))),
    "says-how-it-will-be-in-an-hour": _says(30, lambda s, c: envelope(s, c, asOf=_from_now(hours=1)), FaultCode.SCHEMA),
    "a-name-of-a-megabyte": _says(
        31,
        lambda s, c: envelope(s, c, rows=[entry(s, name="A" * 1_000_000)]),
        FaultCode.TOO_LARGE,
        unreadable=True,
    ),
}
_OF_THE_WAY: Final[Mapping[str, Deed]] = {
    "connection-refused": Deed(1, _well, FaultCode.CONNECT, way="refused"),
    "certificate-of-a-stranger": Deed(25, _well, FaultCode.TLS, way="stranger"),
    "no-such-host": Deed(26, _well, FaultCode.DNS, way="nowhere"),
    "name-that-leads-inside": Deed(26, _well, FaultCode.FORBIDDEN_ADDRESS, way="inside"),
}
DEEDS: Final[Mapping[str, Deed]] = {
    **{
        name: Deed(f.row, _same(f.answer), FaultCode(f.code), comes_back=name in {"429", "503"})
        for name, f in fault_server.FAULTS.items()
    },
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
