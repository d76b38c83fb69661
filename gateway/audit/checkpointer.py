"""Signs what is stored: each second while the log grows, and once more when it stops.

A thread of its own, on a connection of its own. It reads the new leaves back from storage, recomputes them, and
compares its tree with the writer's; only then does it sign. If the two differ, nobody knows what was written: the shard
is frozen, and the process fails as when storage fails.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from gateway.audit.checkpoints import Checkpoint
from gateway.audit.closing import close_shard
from gateway.audit.errors import AuditDamaged
from gateway.audit.events import ShardEvent
from gateway.audit.freezing import freeze
from gateway.audit.log import AuditLog
from gateway.audit.master import append_to_master, current_master, event_of, lock_master
from gateway.audit.merkle import Frontier
from gateway.audit.passing import passes
from gateway.audit.recovery import origin_of
from gateway.audit.replica import Replica
from gateway.audit.rotation import EndedShard
from gateway.audit.sealed import checkpoint_sizes, store_note, verified_frontier
from gateway.audit.signing import LogSigner
from gateway.audit.tables import audit_cosignature, audit_leaf
from gateway.audit.writer import name_of_error
from gateway.storage.engine import writing

CHECKPOINT_SECONDS: Final = 1.0
CHECKPOINT_LEAVES: Final = 256
MINUTE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.1
_MOST_SIZES: Final = 512
_MASTERS_TRIED: Final = 2
_STOP_SECONDS: Final = 5.0

_logger = logging.getLogger(__name__)


class Checkpointer:
    """Checkpoints the shard of a log, and the master log with it."""

    def __init__(self, engine: sa.Engine, log: AuditLog, key_id: str, signer: LogSigner) -> None:
        """`key_id` is the audit key's, which names the master log."""
        self._engine = engine
        self._log = log
        self._key_id = key_id
        self._signer = signer
        self._replica: Replica | None = None
        self._unsigned = False  # the replica was read further than it could be signed
        self._sealing: tuple[str, Frontier] = log.tip
        self._master: Replica | None = None
        self._sizes: list[int] = []
        self._told_cosigned: dict[str, int] = {}
        self._post_quantum_at: dict[str, float] = {}
        self._told_at = 0.0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()

    def start(self) -> None:
        """Begin to checkpoint, in a thread."""
        self._thread = threading.Thread(target=self._run, name="audit-checkpoints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and sign what the log holds: call it when the log is closed. Blocks, 5 seconds at most."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
            if self._thread.is_alive():
                _logger.error("the audit log's checkpoints are held up; the last one is missing")
                return
        if not self._log.failed:
            self._attempt(last=True)

    def checkpoint(self) -> None:
        """Sign now what the log holds, and tell the master log. Blocks. Raises AuditDamaged and sqlalchemy errors."""
        self._seal(last=True)

    # What follows runs in the thread, or where there is none any more.

    def _run(self) -> None:
        sealed_at = -CHECKPOINT_SECONDS
        while not self._stopping.wait(_LOOK_SECONDS):
            if self._log.failed:
                return
            now = time.monotonic()
            shard, tree = self._log.tip
            grown = tree.size - (self._replica.size if self._replica and self._replica.shard == shard else 0)
            due = now - sealed_at >= CHECKPOINT_SECONDS
            if (due and (grown or self._unsigned)) or grown >= CHECKPOINT_LEAVES:
                sealed_at = now
                self._attempt(last=False)

    def _attempt(self, *, last: bool) -> None:
        try:
            self._seal(last=last)
        except AuditDamaged as damage:
            self._fail(str(damage))
        except Exception as error:
            # not its text, which may hold parameters
            if passes(error):
                # the writer, whom callers wait for, decides what that means
                _logger.warning("no checkpoint could be made: %s", name_of_error(error))
            elif isinstance(error, sa.exc.OperationalError):
                # the disk fails under this thread: the next to acknowledge something on it would be the writer
                _logger.critical("storage failed under a checkpoint: %s", name_of_error(error))
                self._log.fail()
            else:
                self._fail(f"a checkpoint failed: {type(error).__name__}")

    def _seal(self, *, last: bool) -> None:
        with self._turn:
            # in this order: what the tip has left behind by now is among those that have ended
            shard, tree = self._log.tip
            ended = self._log.ended()
            for each in ended:
                self._tell_master(self._sealed(each.shard, each.tree))
                self._close(each)
            if shard in [each.shard for each in ended]:
                return
            replica = self._sealed(shard, tree)
            if last or time.monotonic() - self._told_at >= MINUTE_SECONDS or len(self._sizes) >= _MOST_SIZES:
                self._tell_master(replica)

    def _sealed(self, shard: str, tree: Frontier) -> Replica:
        """Return the replica of a shard, read as far as its tree, and signed there."""
        self._sealing = (shard, tree)
        if self._replica is None or self._replica.shard != shard:
            self._replica = self._resumed(shard)
            self._unsigned = False
        replica = self._replica
        if tree.size > replica.size or self._unsigned:
            self._unsigned = True
            with self._engine.connect() as connection:
                replica.advance(connection, tree.size)
            if replica.root() != tree.root():
                raise AuditDamaged("what is stored is not what was written")
            self._sign(replica)
            self._unsigned = False
            self._sizes.append(replica.size)
        return replica

    def _close(self, ended: EndedShard) -> None:
        self._append((), also=lambda connection: close_shard(connection, self._key_id, ended.shard, ended.tree))
        self._log.let_go(ended)
        _logger.info("a shard of the audit log is closed: shard %s, %d records", ended.shard, ended.tree.size)

    def _resumed(self, shard: str) -> Replica:
        self._told_cosigned = {}
        with self._engine.connect() as connection:
            tree = verified_frontier(connection, shard)
            # a run that was cut off has not told the master of its last ones
            self._sizes = checkpoint_sizes(connection, shard, _MOST_SIZES)
        if tree.size == 0:
            opened = event_of(ShardEvent.OPENED, shard, 0, tree.root(), more=self._signer.announced())
            self._append([opened])
        return Replica(shard, tree)

    def _sign(self, replica: Replica) -> None:
        checkpoint = Checkpoint(origin_of(replica.shard), replica.size, replica.root())
        at = time.time()
        due = at - self._post_quantum_at.get(replica.shard, 0.0) >= MINUTE_SECONDS
        note = self._signer.sign(checkpoint, cosigned_at=int(at) if due else None)
        with writing(self._engine).begin() as connection:
            store_note(connection, replica.shard, replica.size, note.encode())
        if due:
            self._post_quantum_at[replica.shard] = at

    def _tell_master(self, replica: Replica) -> None:
        if not self._sizes:
            return
        with self._engine.connect() as connection:
            cosigned = self._cosigned(connection, replica.shard)
        more: dict[str, Any] = {"sizes": self._sizes}
        if cosigned:
            more["cosigned"] = cosigned
        self._append([event_of(ShardEvent.CHECKPOINT, replica.shard, replica.size, replica.root(), more=more)])
        self._sizes = []
        self._told_cosigned.update({witness: sizes[-1] for witness, sizes in cosigned.items()})
        self._told_at = time.monotonic()

    def _cosigned(self, connection: sa.Connection, shard: str) -> dict[str, list[int]]:
        """Return what each witness has cosigned since the last record of this shard."""
        table = audit_cosignature
        found: dict[str, list[int]] = {}
        query = (
            sa.select(table.c.witness, table.c.size)
            .where(table.c.shard == shard)
            .order_by(table.c.size.desc())
            .limit(_MOST_SIZES)
        )
        for witness, size in connection.execute(query):
            if size > self._told_cosigned.get(witness, 0):
                found.setdefault(witness, []).insert(0, size)
        return found

    def _append(
        self, payloads: Sequence[Mapping[str, Any]], also: Callable[[sa.Connection], None] = lambda connection: None
    ) -> None:
        """Append to the master log, and checkpoint it; a master that cannot be continued is frozen first.

        `also` is called in the same transaction. Raises AuditDamaged if the next master cannot be continued either:
        somebody is at the database.
        """
        for _ in range(_MASTERS_TRIED):
            try:
                with writing(self._engine).begin() as connection:
                    lock_master(connection)
                    also(connection)
                    if payloads:
                        append_to_master(connection, self._key_id, payloads)
                self._seal_master()
                return
            except AuditDamaged as damage:
                self._freeze_master(str(damage))
                self._master = None
        raise AuditDamaged("the master log is damaged again as soon as it is begun")

    def _seal_master(self) -> None:
        with self._engine.connect() as connection:
            name = current_master(connection, self._key_id)
            if name is None:
                return
            if self._master is None or self._master.shard != name:
                self._master = Replica(name, verified_frontier(connection, name))
            last = connection.scalar(sa.select(sa.func.max(audit_leaf.c.seq)).where(audit_leaf.c.shard == name))
            self._master.advance(connection, int(last) + 1)
        self._sign(self._master)

    def _freeze_master(self, detail: str) -> None:
        with self._engine.connect() as connection:
            name = current_master(connection, self._key_id)
        if name is not None:
            freeze(self._engine, name, self._key_id, detail)

    def _fail(self, detail: str) -> None:
        shard, tree = self._sealing
        try:
            freeze(self._engine, shard, self._key_id, detail, expected=(tree.size, tree.root()))
        except Exception as error:
            _logger.critical("a shard of the audit log could not be frozen: %s", type(error).__name__)
        self._log.fail()
