"""The log that everything waits for: a record is acknowledged when it is on disk, and not before.

Callers queue; one thread commits. While a commit is being flushed the next callers queue, and they are the next batch:
the slower the disk, the larger the batch. Where many wait for each batch, it is left open for a moment more.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final

import sqlalchemy as sa

from gateway.audit.canonical import canonical
from gateway.audit.charging import Count
from gateway.audit.claims import ShardClaim
from gateway.audit.errors import (
    AlongsideRefused,
    AuditClosed,
    AuditDamaged,
    AuditError,
    AuditFailed,
    AuditUnavailable,
    BudgetSpent,
    ChargesRefused,
)
from gateway.audit.events import AdminAction, EventKind
from gateway.audit.freezing import freeze
from gateway.audit.keys import AuditKeys
from gateway.audit.merkle import Frontier
from gateway.audit.pending import Entry, Receipt, answer, refusal_of
from gateway.audit.recovery import origin_of, recover
from gateway.audit.rotation import SETTLED_SECONDS, EndedShard, Rotation, ShardLimits
from gateway.audit.signing import LogSigner
from gateway.audit.writer import RETRY_SECONDS, Alongside, ShardWriter, name_of_error

_LARGEST_BATCH: Final = 512

_SIBLINGS: Final = 5
_GATHER_SECONDS: Final = 0.001
"""While batches are of so many records, each first waits so long for more: a commit costs as much as dozens of records.

As PostgreSQL's `commit_siblings` and `commit_delay`: whoever is alone waits for nobody.
"""

_PROBE_SECONDS: Final = 1.0
HEARTBEAT_SECONDS: Final = 60.0
"""After this long without a record one is written that says only that the log could be written."""

_START_SECONDS: Final = 5.0
_MOST_INTENTS_NAMED: Final = 512

WITHOUT_END: Final = ShardLimits()
"""A shard for as long as the database: what commands and tests open, unless they say otherwise."""

_logger = logging.getLogger(__name__)


class AuditLog:
    """One shard of the log, with its only writer."""

    def __init__(
        self,
        writer: ShardWriter,
        claim: ShardClaim,
        on_fatal: Callable[[], None],
        note_commit: Callable[[int, float], None] = lambda records, seconds: None,
        rotation: Rotation | None = None,
    ) -> None:
        """Use `AuditLog.open`."""
        self._rotation = rotation
        self._ended: list[EndedShard] = []
        self._note_commit = note_commit
        self._writer = writer
        self._claim = claim
        self._on_fatal = on_fatal
        self._queue: SimpleQueue[Entry | None] = SimpleQueue()
        # held from the look at `_refusal` to the put, so that nothing is queued that nobody will answer
        self._gate = threading.Lock()
        self._refusal: type[AuditError] | None = None
        self._writable = True
        self._withheld = False
        self._together = 0  # how many records were in the last batch
        self._open_intents: dict[int, float] = {}
        self._free_since = 0.0
        self._thread = threading.Thread(target=self._run, name="audit-log", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls,
        engine: sa.Engine,
        keys: AuditKeys,
        *,
        on_fatal: Callable[[], None],
        signer: LogSigner | None = None,
        witnesses: Sequence[str] = (),
        note_commit: Callable[[int, float], None] = lambda records, seconds: None,
        limits: ShardLimits = WITHOUT_END,
    ) -> AuditLog:
        """Take up the oldest shard that no process holds, or begin one; the log is then open, and its start recorded.

        A shard whose end contradicts itself is frozen, and the next taken up. `signer` is who signs its checkpoints
        (the audit key, unless given) and `witnesses` are the verifier keys of who cosigns them: its start names them.
        `on_fatal` is called once, from the log's own thread, when storage has failed: the process must then stop.
        `note_commit` is told, there too, of how many records each commit was and how many seconds it took.
        After `limits` another shard is begun, at a moment at which no lookup is under way.
        Blocks. Raises AnotherKey, AuditUnavailable, and DurabilityNotMet or another StorageError.
        """
        started: dict[str, Any] = {
            "action": AdminAction.STARTED,
            "key": keys.key_id,
            **(signer or LogSigner.of(keys)).announced(),
        }
        if witnesses:
            started["witnesses"] = list(witnesses)
        frozen: list[Entry] = []
        while True:
            claim = ShardClaim.first_free(engine)
            try:
                with engine.connect() as connection:
                    tail = recover(connection, claim.shard, keys.key_id)
                writer = claim.writer(tail.tree, keys.key_id)
            except AuditDamaged as damage:
                claim.release()
                freeze(engine, claim.shard, keys.key_id, str(damage))
                found = {"action": AdminAction.SHARD_FROZEN, "shard": claim.shard, "detail": str(damage)}
                frozen.append(Entry(EventKind.ADMIN, canonical(found), ()))
                continue
            except BaseException:
                claim.release()
                raise
            try:
                begun = canonical(started | {"origin": origin_of(claim.shard)})
                records = [Entry(EventKind.ADMIN, begun, ()), *frozen]
                if tail.open_intents:
                    open_intents = {"action": AdminAction.OPEN_INTENTS_FOUND} | _naming(tail.open_intents)
                    records.append(Entry(EventKind.ADMIN, canonical(open_intents), ()))
                writer.write(records, until=time.monotonic() + _START_SECONDS)
            except BaseException:
                writer.close()
                claim.release()
                raise
            return cls(writer, claim, on_fatal, note_commit, Rotation(engine, keys.key_id, started, limits))

    @property
    def shard(self) -> str:
        return self._claim.shard

    @property
    def ready(self) -> bool:
        """Whether a lookup would be recorded: records are taken, the last was written, and nothing is withheld."""
        return self._refusal is None and self._writable and not self._withheld

    @property
    def committed(self) -> Frontier:
        """The tree of all that is on disk of this shard, as the writer has it in memory."""
        return self._writer.tree

    @property
    def tip(self) -> tuple[str, Frontier]:
        """The shard that is written to, and its tree, of one moment."""
        writer = self._writer
        return writer.shard, writer.tree

    def ended(self) -> list[EndedShard]:
        """Return the shards that this log has ended and that nobody has closed yet: one that `tip` named is in it."""
        return list(self._ended)

    def let_go(self, ended: EndedShard) -> None:
        """Give up a shard that is closed now. Call it from the one thread that closes them."""
        self._ended.remove(ended)
        ended.let_go()

    @property
    def failed(self) -> bool:
        """Whether storage has failed. It stays so: only a new process may try again."""
        return self._refusal is AuditFailed

    async def append(
        self,
        kind: EventKind,
        payload: Mapping[str, Any],
        *,
        alongside: Alongside = (),
        charges: Sequence[Count] = (),
    ) -> Receipt:
        """Return when the record, and all of `alongside`, is on disk; the statements run in the record's transaction.

        So do the counts of `charges`. Cancelling the wait does not cancel the write. Raises NotCanonical for a payload
        that has no canonical form, AuditUnavailable, AuditFailed, BudgetSpent, or AlongsideRefused; in no case was
        anything acknowledged, and but for AuditFailed nothing was written either.
        """
        if type(kind) is not EventKind:
            raise TypeError("the kind of a record is an EventKind")
        entry = Entry(kind, canonical(payload if type(payload) is dict else dict(payload)), alongside, charges)
        entry.closes = payload.get("intent")
        loop = entry.loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        entry.future = future
        with self._gate:
            if self._refusal is not None:
                raise refusal_of(self._refusal)
            if self._withheld and kind is EventKind.INTENT:
                raise AuditUnavailable("no witness has seen the log for too long")
            self._queue.put(entry)
        return await future

    def withhold(self, withheld: bool) -> None:
        """Take no INTENT, and therefore let nothing be disclosed, until called with false. Other records are taken."""
        with self._gate:
            self._withheld = withheld

    def fail(self) -> None:
        """Fail as when storage fails: nothing is acknowledged after this, and the process must stop. Does not block."""
        with self._gate:
            if self._refusal is None:
                self._refusal = AuditFailed
                self._queue.put(None)

    def close(self) -> None:
        """Write what is queued, record the stop, end the thread. Blocks. May be called again, and after a failure."""
        with self._gate:
            if self._refusal is None:
                self._refusal = AuditClosed
                self._queue.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # What follows runs in the log's own thread.

    def _run(self) -> None:
        batch: list[Entry] = []
        try:
            stopping = False
            while not stopping:
                stopping = self._collect(batch)
                if self._refusal is AuditFailed:
                    raise AuditFailed("the log was told to fail")  # noqa: TRY301 - to the one place that fails it
                self._together = len(batch)
                self._commit(batch)
                batch.clear()
                self._writer.tidy()
                self._turn_over()
                if self._writable:
                    self._free_since = time.monotonic()
            with suppress(AuditUnavailable):
                stopped = canonical({"action": AdminAction.STOPPED} | _naming(sorted(self._open_intents)))
                self._writer.write([Entry(EventKind.ADMIN, stopped, ())], until=time.monotonic() + RETRY_SECONDS)
            self._writer.close()
            self._claim.release()
        except BaseException as error:
            # whatever it was, nobody knows what is on disk: no acknowledgement after this
            self._fail(batch, error)

    def _collect(self, batch: list[Entry]) -> bool:
        """Wait for a record; add it, and all that queued meanwhile, to the batch. Return whether to stop after it."""
        try:
            entry = self._queue.get(timeout=HEARTBEAT_SECONDS if self._writable else _PROBE_SECONDS)
            if entry is not None and self._together >= _SIBLINGS:
                time.sleep(_GATHER_SECONDS)
            while entry is not None:
                batch.append(entry)
                if len(batch) == _LARGEST_BATCH:
                    return False
                entry = self._queue.get_nowait()
            return True
        except Empty:
            if not batch:
                # silence is to be told from a stop; and without callers, who would find out that it is ready again?
                batch.append(Entry(EventKind.HEARTBEAT, canonical({}), ()))
            return False

    def _commit(self, batch: list[Entry]) -> None:
        while batch:
            try:
                begun = time.monotonic()
                # what queued while the log wrote others' records waited for the log, and not yet for the database
                first = self._writer.write(batch, until=max(batch[0].since, self._free_since) + RETRY_SECONDS)
            except ChargesRefused as refused:
                for index, passed in sorted(refused.refused.items(), reverse=True):
                    answer([batch.pop(index)], [BudgetSpent(passed)])
                continue
            except AlongsideRefused as refused:
                # one caller's mistake is not everybody's: the others go on without that record
                answer([batch.pop(refused.index)], AlongsideRefused)
                continue
            except AuditUnavailable:
                self._writable = False
                answer(batch, AuditUnavailable)
                return
            self._writable = True
            taken = time.monotonic() - begun
            self._follow_intents(batch, first)
            self._note_commit(len(batch), taken)
            # last: whoever is woken by it waits for the interpreter, which this thread lets go of when it collects
            answer(batch, [Receipt(self.shard, seq) for seq in range(first, first + len(batch))])
            return

    def _turn_over(self) -> None:
        """Go on in another shard if this one has had its time and no lookup is between its two records."""
        rotation, old = self._rotation, self._writer
        if rotation is None or not self._writable or not rotation.due(old.shard, old.size):
            return
        now = time.monotonic()
        if any(now - since < SETTLED_SECONDS for since in self._open_intents.values()):
            return
        if (begun := rotation.begin()) is None:
            return
        claim, writer = begun
        try:
            stopped = canonical({"action": AdminAction.STOPPED} | _naming(sorted(self._open_intents)))
            old.write([Entry(EventKind.ADMIN, stopped, ())], until=time.monotonic() + RETRY_SECONDS)
        except AuditUnavailable:
            # what was begun stays, for the next process that looks for a shard
            rotation.later()
            writer.close()
            claim.release()
            return
        self._ended.append(EndedShard(old, self._claim))
        self._open_intents = {}
        self._claim, self._writer = claim, writer
        _logger.info("a shard of the audit log has had its time: %s follows %s", writer.shard, old.shard)

    def _follow_intents(self, batch: Sequence[Entry], first: int) -> None:
        """Keep which INTENTs no OUTCOME has closed: a clean stop names them, and the next start need not look."""
        for seq, entry in enumerate(batch, start=first):
            if entry.kind is EventKind.INTENT:
                self._open_intents[seq] = time.monotonic()
            elif entry.kind is EventKind.OUTCOME and entry.closes is not None:
                self._open_intents.pop(entry.closes, None)

    def _fail(self, batch: list[Entry], error: BaseException) -> None:
        with self._gate:
            self._refusal = AuditFailed
        with suppress(Empty):
            while True:
                if (entry := self._queue.get_nowait()) is not None:
                    batch.append(entry)
        answer(batch, AuditFailed)
        # not the text of the error: SQLAlchemy puts parameters into it
        _logger.critical("the audit log has failed: %s", name_of_error(error))
        with suppress(Exception):
            self._writer.abandon()
        self._on_fatal()


def _naming(intents: Sequence[int]) -> dict[str, Any]:
    return {"count": len(intents), "intents": list(intents[:_MOST_INTENTS_NAMED])} if intents else {}
