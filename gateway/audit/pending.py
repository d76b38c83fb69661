"""Records on their way to the disk, and how whoever waits for them is answered: each once, in its own event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from gateway.audit.charging import Count
from gateway.audit.errors import AlongsideRefused, AuditClosed, AuditError, AuditUnavailable
from gateway.audit.events import EventKind
from gateway.audit.writer import Alongside
from schema.made_quickly import made_quickly


@made_quickly
@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a durable record is. Not for callers of the gateway: a seq tells them how many lookups there are."""

    shard: str
    seq: int


class Entry:
    """A record on its way to the disk, and who waits for it."""

    __slots__ = ("alongside", "body", "charges", "closes", "future", "kind", "loop", "since")

    def __init__(self, kind: EventKind, body: bytes, alongside: Alongside, charges: Sequence[Count] = ()) -> None:
        self.kind = kind
        self.body = body
        self.alongside = alongside
        self.charges = charges
        self.closes: int | None = None
        self.since = time.monotonic()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.future: asyncio.Future[Receipt] | None = None


def refusal_of(kind: type[AuditError]) -> AuditError:
    """Return what is raised to a caller whose record was not taken."""
    if kind is AuditUnavailable:
        return AuditUnavailable("the log could not be written in time")
    if kind is AlongsideRefused:
        return AlongsideRefused("what was to be written with the record is at fault", 0)
    return kind("the log is closed" if kind is AuditClosed else "the log has failed; this process must stop")


_Answer = Receipt | AuditError | type[AuditError]


def answer(batch: Sequence[Entry], answers: Sequence[Receipt | AuditError] | type[AuditError]) -> None:
    """Wake every waiter of the batch: one call into its event loop, of which there is nearly always just one."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Receipt], _Answer]]] = {}
    for index, entry in enumerate(batch):
        if entry.loop is not None and entry.future is not None:
            told = answers if isinstance(answers, type) else answers[index]
            by_loop.setdefault(entry.loop, []).append((entry.future, told))
    for loop, answered in by_loop.items():
        # a closed loop has nobody waiting
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, answered)


def _settle(answered: Sequence[tuple[asyncio.Future[Receipt], _Answer]]) -> None:
    for future, told in answered:
        # a waiter that was cancelled no longer asks; its record stands
        if not future.done():
            if isinstance(told, Receipt):
                future.set_result(told)
            else:
                future.set_exception(told if isinstance(told, AuditError) else refusal_of(told))
