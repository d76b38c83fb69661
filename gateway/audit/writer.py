"""One transaction of the log: a batch of records, their tree nodes, and what belongs with them: all or nothing."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar, Final, Protocol

import sqlalchemy as sa

from gateway.audit.charging import Count, Counts, Total, passed_limits, total
from gateway.audit.errors import AlongsideRefused, AuditUnavailable, ChargesRefused
from gateway.audit.events import EventKind
from gateway.audit.leaves import SALT_SIZE, leaf_bytes
from gateway.audit.merkle import Frontier
from schema.made_quickly import made_quickly

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]

Alongside = Sequence[tuple[sa.Executable, Parameters | Callable[[int], Parameters]]]
"""Statements that are committed with a record or not at all, with their parameters.

Or with what gives the parameters once the record has its seq: the place of the record cannot be known before.
"""

RETRY_SECONDS: Final = 0.25


class Recordable(Protocol):
    """What the writer needs of a queued record; `body` is its canonical payload."""

    kind: EventKind
    body: bytes
    alongside: Alongside
    charges: Sequence[Count]


@made_quickly
@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of a batch, in the order of their columns, and the tree once they are committed."""

    opened: int | None  # the time of the shard's first leaf, if this batch begins it
    tree: Frontier
    payloads: Sequence[tuple[str, int, bytes, bytes]]
    leaves: Sequence[tuple[str, int, bytes, bytes]]
    nodes: Sequence[tuple[str, int, int, bytes]]


class ShardWriter(ABC):
    """The only writer of a shard, on a connection of its own, used by one thread at a time."""

    LEAST_TRIES: ClassVar[int] = 1
    """How often a database that is busy is tried, however much time has gone by."""

    PAUSE_SECONDS: ClassVar[float] = 0.002

    OURS_SECONDS: ClassVar[float] = 2.0
    """So much longer a try may last while this process itself is writing something else: its disk is slow, and would
    be so for the log, which then waits as well. A lookup has little more time than that."""

    def __init__(self, shard: str, tree: Frontier) -> None:
        self._shard = shard
        self._tree = tree

    @property
    def shard(self) -> str:
        return self._shard

    @property
    def size(self) -> int:
        """How many leaves have been committed."""
        return self._tree.size

    @property
    def tree(self) -> Frontier:
        """The tree of what has been committed. It is never changed: each batch puts another in its place."""
        return self._tree

    def write(self, batch: Sequence[Recordable], *, until: float) -> int:
        """Commit the batch, in order; return the seq of its first record, which is durable when this returns.

        A database that is busy, or not to be reached, is tried again until the monotonic time `until`, or for the
        `OURS_SECONDS` after it while another writer of this process is at it, and at least so often as `LEAST_TRIES`
        says. Raises AuditUnavailable, ChargesRefused and AlongsideRefused with nothing
        written. After any other exception the state of the disk is unknown, and the writer must not be used again.
        """
        first = self._tree.size
        rows = self._rows(batch, time.time_ns() // 1_000_000)
        charges = total(batch)
        tries = 0
        while True:
            try:
                self._begin()
                if charges.added:
                    self._charge(batch, charges)
                self._insert(rows)
                self._write_alongside(batch)
                break
            except Exception as error:
                if isinstance(error, ChargesRefused | AlongsideRefused) or not self._is_busy(error):
                    raise
                self._roll_back()
                tries += 1
                patience = self.OURS_SECONDS if self._is_ours_at_it() else 0.0
                if tries >= self.LEAST_TRIES and time.monotonic() >= until + patience:
                    raise AuditUnavailable("the log could not be written in time") from None
            time.sleep(self.PAUSE_SECONDS)
        # From here nothing is tried again: an error does not say whether the commit happened. It is an error, too, if a
        # statement alongside has ended the transaction.
        self._commit()
        self._tree = rows.tree
        return first

    @abstractmethod
    def close(self) -> None:
        """Give the connection up."""

    def tidy(self) -> None:  # noqa: B027 - most storage needs nothing
        """Do what the storage needs now and then, between batches. After any exception the writer is not used again."""

    @abstractmethod
    def abandon(self) -> None:
        """Leave a connection whose state is unknown, without another word to the database."""

    @abstractmethod
    def _begin(self) -> None:
        """Begin a transaction."""

    @abstractmethod
    def _count(self, charges: Counts, *, limited: bool) -> Counts:
        """Add to the budgets, and return what stands there now; nothing if nothing is `limited`."""

    @abstractmethod
    def _insert(self, rows: Batch) -> None:
        """Write the rows."""

    @abstractmethod
    def _commit(self) -> None:
        """Commit; return only if the database says that it has."""

    @abstractmethod
    def _roll_back(self) -> None:
        """Undo what was begun."""

    @abstractmethod
    def _execute(self, statement: sa.Executable, parameters: Parameters) -> None:
        """Execute a statement alongside, in the transaction."""

    @abstractmethod
    def _is_busy(self, error: Exception) -> bool:
        """Say whether an error before COMMIT passes by itself: then nothing was written, and it may be tried again."""

    def _is_ours_at_it(self) -> bool:
        """Say whether what keeps the database busy is a transaction of this process, begun and not yet on disk."""
        return False

    @abstractmethod
    def _is_fault_of_a_statement(self, error: Exception) -> bool:
        """Say whether an error comes from the statement rather than from storage. In doubt it comes from storage."""

    def _charge(self, batch: Sequence[Recordable], charges: Total) -> None:
        limited = bool(charges.limited)
        try:
            counted = self._count(charges.added, limited=limited)
        except Exception as error:
            if self._is_busy(error) or not self._is_fault_of_a_statement(error):
                raise
            self._roll_back()
            # their table is no part of the log: nobody may look up, and the log is as sound as before
            raise AuditUnavailable("the budgets cannot be counted") from None
        if limited and (refused := passed_limits(batch, charges, counted)):
            self._roll_back()
            raise ChargesRefused(refused)

    def _write_alongside(self, batch: Sequence[Recordable]) -> None:
        for index, record in enumerate(batch):
            for statement, given in record.alongside:
                parameters = given(self._tree.size + index) if callable(given) else given
                try:
                    self._execute(statement, parameters)
                except Exception as error:
                    if self._is_busy(error) or not self._is_fault_of_a_statement(error):
                        raise
                    self._roll_back()
                    # without its cause, whose text holds the parameters
                    raise AlongsideRefused("what was to be written with the record is at fault", index) from None

    def _rows(self, batch: Sequence[Recordable], now: int) -> Batch:
        shard, first = self._shard, self._tree.size
        tree = self._tree.copy()
        leaves: list[tuple[str, int, bytes, bytes]] = []
        payloads: list[tuple[str, int, bytes, bytes]] = []
        hashes: list[bytes] = []
        salts = os.urandom(SALT_SIZE * len(batch))
        offset = 0
        for seq, record in enumerate(batch, start=first):
            salt = salts[offset : (offset := offset + SALT_SIZE)]
            body = record.body
            leaf = leaf_bytes(shard, seq, now, record.kind.value, sha256(salt + body).hexdigest())
            hashed = sha256(b"\x00" + leaf).digest()
            payloads.append((shard, seq, salt, body))
            leaves.append((shard, seq, leaf, hashed))
            hashes.append(hashed)
        nodes = [
            (shard, level, ix, node)
            for level, from_ix, completed in tree.extend(hashes)
            for ix, node in enumerate(completed, start=from_ix)
        ]
        return Batch(now if first == 0 else None, tree, payloads, leaves, nodes)


def driver_error_of(error: BaseException) -> BaseException | None:
    """Return the driver's error inside one of SQLAlchemy's, or the error itself."""
    return error.orig if isinstance(error, sa.exc.DBAPIError) else error


def name_of_error(error: BaseException) -> str:
    """Return what kind of error it is, for a log line: never its text, which may hold parameters."""
    cause = driver_error_of(error)
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    return f"{type(cause).__name__} {code or ''}".rstrip()
