"""Tokens that are refused before they end: one, or all that a person or a client was issued up to a moment.

`contactpoint revoke` puts what is revoked into the database, and every process reads it there every two seconds: the
check of a request asks what is held in memory. A list that is too old is not believed. What is revoked stands there
as a keyed digest, for as long as a token that it refuses could be accepted, and is then forgotten.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

import sqlalchemy as sa
import structlog

from auth.caller import Caller
from auth.revocations import RevocationsUnread
from auth.tokens import LEEWAY_SECONDS, MAX_LIFETIME_SECONDS
from gateway.audit.events import AdminAction, EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.clock import steady
from gateway.storage.engine import reading, writing
from gateway.storage.tables import revocation

log = structlog.get_logger("gateway.revocations")

READ_SECONDS: Final = 2.0
"""How often each process reads the list."""

OVERDUE_SECONDS: Final = 4.0
"""A request that comes when the list is older than this has it read first."""

MOST_SECONDS: Final = 10.0
"""With a list that is older than this, no token is accepted."""

KEPT_SECONDS: Final = MAX_LIFETIME_SECONDS + 4 * LEEWAY_SECONDS
"""A token issued at most LEEWAY after the revocation is accepted for its life and LEEWAY; twice that for clocks."""

_WAIT_SECONDS: Final = 0.25
_FORGOTTEN_AFTER: Final = 3600
_REMEMBERED: Final = 4096

# clocks of two who revoke the same may differ, and the later word must not shorten the earlier
_REVOKE = sa.text(
    "INSERT INTO revocation (digest, issued_until, kept_until) VALUES (:digest, :issued_until, :kept_until) "
    "ON CONFLICT (digest) DO UPDATE SET "
    "issued_until = CASE WHEN excluded.issued_until > revocation.issued_until "
    "THEN excluded.issued_until ELSE revocation.issued_until END, "
    "kept_until = CASE WHEN excluded.kept_until > revocation.kept_until "
    "THEN excluded.kept_until ELSE revocation.kept_until END"
)


class Revocable(StrEnum):
    """What can be revoked: one token by its `jti`, or every token of a `sub` or of a `client_id`, of one issuer."""

    TOKEN = "token"  # noqa: S105 - a kind of thing, not a secret
    PERSON = "person"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Revocation:
    """What is refused: tokens with this digest that were issued until then. Times are seconds since the epoch."""

    what: Revocable
    digest: str
    issued_until: int
    kept_until: int

    @classmethod
    def of(cls, keys: AuditKeys, what: Revocable, issuer: str, identifier: str, now: float) -> Revocation:
        """Return the revocation at this time of day; an issuer's clock may be ahead as far as a token's leeway."""
        digest = keys.opaque_id(what.value, issuer, identifier)
        kept_until = int(now) + KEPT_SECONDS
        # one token is refused whenever it says that it was issued
        issued_until = kept_until if what is Revocable.TOKEN else int(now) + LEEWAY_SECONDS
        return cls(what, digest, issued_until, kept_until)


async def revoke(audit: AuditLog, revoked: Revocation, issuer: str, by: str) -> None:
    """Put it on the list with one ADMIN record, in one transaction. Raises AuditError, sqlalchemy errors."""
    row = {"digest": revoked.digest, "issued_until": revoked.issued_until, "kept_until": revoked.kept_until}
    said = {
        "what": revoked.what.name,
        "issuer": issuer,
        "id": revoked.digest,
        "issuedUntil": moment(revoked.issued_until),
    }
    payload = {"action": AdminAction.TOKENS_REVOKED, "by": by, "revoked": said}
    await audit.append(EventKind.ADMIN, payload, alongside=[(_REVOKE, row)])


def moment(seconds: int) -> str:
    """Return a time of day as the log writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def forget_revocations(engine: sa.Engine, now: float) -> None:
    """Delete what refuses no token any more, whatever the clock of another process says. Blocks."""
    with writing(engine).begin() as connection:
        connection.execute(sa.delete(revocation).where(revocation.c.kept_until < int(now) - _FORGOTTEN_AFTER))


class Revocations:
    """The list as this process knows it. Not for two event loops."""

    def __init__(
        self,
        engine: sa.Engine,
        keys: AuditKeys,
        clock: Callable[[], float] = steady,
        time_of_day: Callable[[], float] = time.time,
    ) -> None:
        """Read the list; blocks. `clock` only goes forward, also while the machine sleeps. Raises sqlalchemy errors."""
        self._engine = engine
        self._keys = keys
        self._clock = clock
        self._time_of_day = time_of_day
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        # a digest costs microseconds, and a token is sent again and again
        self._digests = lru_cache(_REMEMBERED)(self._digests_of)
        self._read_at = clock()
        with engine.connect() as connection:
            self._held = self._listed(connection)

    @property
    def overdue(self) -> bool:
        """Whether the list is so old that a request should have it read: the timer is late."""
        return self._clock() - self._read_at > OVERDUE_SECONDS

    def revoked(self, caller: Caller) -> bool:
        """Return whether the caller's token is refused. Raises RevocationsUnread if that is not known."""
        if self._clock() - self._read_at > MOST_SECONDS:
            raise RevocationsUnread
        held = self._held
        if not held:
            return False
        digests = self._digests(caller.issuer, caller.token_id, caller.client_id, caller.subject, caller.person)
        return any(held[digest] >= caller.issued_at for digest in digests & held.keys())

    async def read(self) -> None:
        """Read the list, or wait for a reading that is under way; one that fails leaves the list as it is."""
        await asyncio.shield(self._reading())

    async def read_soon(self) -> None:
        """As `read`, and go on after a moment: a database that stands still holds nobody up here."""
        await asyncio.wait({self._reading()}, timeout=_WAIT_SECONDS)

    def add(self, revoked: Revocation) -> None:
        """Refuse in this process alone, until the list is read again."""
        self._held = {**self._held, revoked.digest: revoked.issued_until}

    def _digests_of(self, issuer: str, token_id: str, client_id: str, subject: str, person: str) -> frozenset[str]:
        of = self._keys.opaque_id
        return frozenset(
            {
                of(Revocable.TOKEN.value, issuer, token_id),
                of(Revocable.CLIENT.value, issuer, client_id),
                # with client credentials the subject is the client, and the person somebody else
                of(Revocable.PERSON.value, issuer, subject),
                of(Revocable.PERSON.value, issuer, person),
            }
        )

    def _reading(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._read())
        return self._task

    async def _read(self) -> None:
        began = self._clock()
        try:
            held = await reading(self._engine, self._listed)
        except Exception as fault:
            if not self._failing:
                log.error("revocations_unread", exception=type(fault).__qualname__)
            self._failing = True
            return
        # the age counts from the question: the answer may have been on its way for a while
        self._held, self._read_at, self._failing = held, began, False

    def _listed(self, connection: sa.Connection) -> Mapping[str, int]:
        wanted = sa.select(revocation.c.digest, revocation.c.issued_until)
        rows = connection.execute(wanted.where(revocation.c.kept_until > int(self._time_of_day())))
        return {row.digest: row.issued_until for row in rows}
