"""What one source told people a few minutes ago: the memory behind stale answers, and all that it will hold.

`stale-if-error` of RFC 5861, for entries about people who can be reached and for nothing else. An answer without an
entry is never kept, and what the source no longer says is forgotten, whoever heard it. Each source has a memory of its
own, and with it one credential; it is this process's alone, bounded in number, size and age, and what lies in it is
encrypted under a key that is nowhere else.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.clock import steady
from gateway.randomness import RANDOM
from schema.records import Involvement
from schema.vocabulary import InvolvementRelationship, InvolvementStatus, Sensitivity

MOST: Final = 1024
"""Questions of which something is kept, for each source; the oldest goes first."""

_MOST_BYTES: Final = 16_384
_NONCE_SIZE: Final = 12
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Involvement, ...]).decode


class Question(NamedTuple):
    """Who was told about whom: a pseudonym of the child, and a digest of everything else that decided the answer."""

    child: str
    circumstances: str


class Stale(NamedTuple):
    """Entries that a source gave, and as of when."""

    rows: tuple[Involvement, ...]
    as_of: datetime


class _Kept(NamedTuple):
    until: float
    as_of: datetime
    sealed: bytes


def may_stand_in(row: Involvement) -> bool:
    """Return whether an entry may be told once more: an ordinary, current one about the child, and no other.

    What hangs on a consent that may have been withdrawn since, or on a linked adult, is told by its source only.
    """
    return (
        row.relationship is InvolvementRelationship.CHILD
        and row.status is InvolvementStatus.CURRENT
        and row.sensitivity is Sensitivity.STANDARD
        and row.refusal is None
    )


class StaleAnswers:
    """The memory of one source. Not for threads."""

    def __init__(self, seconds: float, *, most: int = MOST, clock: Callable[[], float] = steady) -> None:
        """`seconds`: how old, counted from when the source was asked, what is kept may become; a machine that sleeps
        grows it older."""
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._aead = AESGCM(secrets.token_bytes(32))
        self._kept: OrderedDict[Question, _Kept] = OrderedDict()
        self._of_child: dict[str, set[Question]] = {}
        self._sweeping: asyncio.Handle | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def now(self) -> float:
        """Return the moment, as `keep` takes it."""
        return self._clock()

    def keep(self, question: Question, rows: Sequence[Involvement], as_of: datetime, asked: float) -> None:
        """Keep what has been told, in place of whatever was kept of this question; nothing if there is no entry.

        `asked`: the moment, by `now`, at which the source was asked. Needs a running event loop.
        """
        self._drop(question)
        self._sweep()
        rows = tuple(row for row in rows if may_stand_in(row))
        until = asked + self._seconds
        if not rows or until <= self._clock():
            return
        sealed = self._seal(question, rows)
        if len(sealed) > _MOST_BYTES:
            return
        self._kept[question] = _Kept(until, as_of, sealed)
        self._of_child.setdefault(question.child, set()).add(question)
        while len(self._kept) > self._most:
            self._drop(next(iter(self._kept)))
        self._sweep_later()

    def find(self, question: Question) -> Stale | None:
        """Return what is kept of this very question, or None if that is nothing or has become too old."""
        kept = self._kept.get(question)
        if kept is None:
            return None
        if kept.until <= self._clock():
            self._drop(question)
            return None
        return Stale(self._open(question, kept.sealed), kept.as_of)

    def hear(self, child: str, said: Collection[Involvement]) -> None:
        """Forget of this child what the source, which has just answered somebody, no longer says word for word."""
        for question in tuple(self._of_child.get(child, ())):
            kept = self._kept[question]
            rows = self._open(question, kept.sealed)
            left = tuple(row for row in rows if row in said)
            if not left:
                self._drop(question)
            elif len(left) < len(rows):
                self._kept[question] = kept._replace(sealed=self._seal(question, left))

    def forget(self, child: str) -> None:
        """Forget everything about a child."""
        for question in tuple(self._of_child.get(child, ())):
            self._drop(question)

    def _seal(self, question: Question, rows: Sequence[Involvement]) -> bytes:
        nonce = RANDOM.take(_NONCE_SIZE)
        return nonce + self._aead.encrypt(nonce, _encode(tuple(rows)), _about(question))

    def _open(self, question: Question, sealed: bytes) -> tuple[Involvement, ...]:
        return _decode(self._aead.decrypt(sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], _about(question)))

    def _drop(self, question: Question) -> None:
        if self._kept.pop(question, None) is not None:
            of_child = self._of_child[question.child]
            of_child.discard(question)
            if not of_child:
                del self._of_child[question.child]

    def _sweep(self) -> None:
        now = self._clock()
        for question in [question for question, kept in self._kept.items() if kept.until <= now]:
            self._drop(question)

    def _sweep_later(self) -> None:
        """Let nothing lie here longer than it may be told, also when nobody asks any more."""
        if self._sweeping is None and self._kept:
            wait = max(1.0, min(kept.until for kept in self._kept.values()) - self._clock())
            self._sweeping = asyncio.get_running_loop().call_later(wait, self._swept)

    def _swept(self) -> None:
        self._sweeping = None
        self._sweep()
        self._sweep_later()


def _about(question: Question) -> bytes:
    return f"{question.child} {question.circumstances}".encode()
