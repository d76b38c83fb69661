"""Keeps a gateway's log witnessed: a thread for each witness, and one that watches how long none has seen the log.

After `alarm_after` seconds without a cosignature from at least one of them there is an alarm; after `refuse_after`
nothing is disclosed until there is one again. Both are held against the oldest checkpoint that nobody has cosigned, by
the time in its last leaf, so that a restart does not begin anew.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from gateway.audit.freezing import freeze
from gateway.audit.leaves import parse_leaf
from gateway.audit.log import AuditLog
from gateway.audit.master import current_master
from gateway.audit.sealed import cosigned_size
from gateway.audit.sqlite_writer import is_failure_of_storage
from gateway.audit.tables import audit_checkpoint, audit_leaf, audit_shard
from gateway.audit.witnessing.client import WitnessClaims, WitnessClient, WitnessUnavailable
from gateway.audit.witnessing.evidence import WitnessContradicts

_TURN_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_REMIND_SECONDS: Final = 60.0
_LAST_SECONDS: Final = 2.0

_LATELY_CLOSED: Final = (
    sa.select(audit_shard.c.id)
    .where(audit_shard.c.state == "CLOSED")
    .order_by(audit_shard.c.closed.desc(), audit_shard.c.id)
    .limit(4)
)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a log may go unseen, in seconds."""

    alarm_after: float
    refuse_after: float


class WitnessWatch:
    """The witnesses of one log. Without any, it does nothing."""

    def __init__(
        self,
        engine: sa.Engine,
        log: AuditLog,
        key_id: str,
        clients: Sequence[WitnessClient],
        patience: Patience,
        note_lag: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._engine = engine
        self._log = log
        self._key_id = key_id
        self._clients = clients
        self._patience = patience
        self._note_lag = note_lag
        self._labels = [client.key.label for client in clients]
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._alarmed_at = 0.0
        self._withheld = False

    def start(self) -> None:
        """Look how long nobody has seen the log, and begin. Blocks for the look."""
        if not self._clients:
            return
        self._attempt_look()
        works: list[Callable[[], None]] = [self._watch, *(self._bringing(client) for client in self._clients)]
        for number, work in enumerate(works):
            thread = threading.Thread(target=work, name=f"audit-witness-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """End the threads, and bring the last checkpoint to each witness that answers at once. Blocks, briefly."""
        self._stopping.set()
        give_up = time.monotonic() + _LAST_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, give_up - time.monotonic()))
        if not self._log.failed and not any(thread.is_alive() for thread in self._threads):
            for client in self._clients:
                if time.monotonic() < give_up:
                    self.bring(client)

    def bring(self, client: WitnessClient) -> bool:
        """Bring the newest checkpoints to a witness; return whether it answered. Freezes what it contradicts."""
        answered = True
        for shard in self._shards():
            try:
                client.submit(shard)
            except WitnessClaims as cause:
                _logger.error("a witness did not cosign: %s: %s", client.key.name, cause)
                answered = False
            except WitnessUnavailable as cause:
                _logger.warning("a witness did not cosign: %s: %s", client.key.name, cause)
                answered = False
            except WitnessContradicts as contradiction:
                self._contradicted(shard, contradiction)
                return False
        return answered

    def look(self) -> float:
        """Return for how many seconds no witness has seen the log; alarm and withhold as configured."""
        lag = max(self._lag(shard) for shard in self._shards())
        self._note_lag(lag)
        if lag >= self._patience.alarm_after and time.monotonic() - self._alarmed_at >= _REMIND_SECONDS:
            self._alarmed_at = time.monotonic()
            _logger.error("no witness has cosigned the audit log for %d seconds", int(lag))
        withheld = lag >= self._patience.refuse_after
        if withheld != self._withheld:
            self._withheld = withheld
            _logger.critical(
                "nothing is disclosed until a witness cosigns the audit log again"
                if withheld
                else "a witness has cosigned the audit log again: lookups are answered"
            )
        self._log.withhold(withheld)
        return lag

    def _shards(self) -> list[str]:
        with self._engine.connect() as connection:
            master = current_master(connection, self._key_id)
            closed = connection.scalars(_LATELY_CLOSED).all()
        # the end of a shard that was closed is to be cosigned too
        return [self._log.shard, *([] if master is None else [master]), *closed]

    def _lag(self, shard: str) -> float:
        table = audit_checkpoint
        with self._engine.connect() as connection:
            seen = cosigned_size(connection, shard, self._labels)
            oldest = connection.scalar(
                sa.select(sa.func.min(table.c.size)).where(table.c.shard == shard, table.c.size > seen)
            )
            if oldest is None:
                return 0.0
            body = connection.scalar(
                sa.select(audit_leaf.c.body).where(audit_leaf.c.shard == shard, audit_leaf.c.seq == oldest - 1)
            )
        return max(0.0, time.time() - parse_leaf(body).t / 1000) if body is not None else float("inf")

    def _contradicted(self, shard: str, contradiction: WitnessContradicts) -> None:
        try:
            expected = (contradiction.size, contradiction.root)
            freeze(self._engine, shard, self._key_id, str(contradiction), expected=expected)
        except Exception as error:
            _logger.critical("a shard of the audit log could not be frozen: %s", type(error).__name__)
        self._log.fail()

    # What follows runs in threads.

    def _watch(self) -> None:
        while not self._stopping.wait(_TURN_SECONDS):
            self._attempt_look()

    def _attempt_look(self) -> None:
        try:
            self.look()
        except sa.exc.SQLAlchemyError as error:
            _logger.warning("the witness lag could not be read: %s", type(error).__name__)
            if is_failure_of_storage(error):
                self._log.fail()
        except Exception as error:
            _logger.critical("the witnesses cannot be watched: %s", type(error).__name__)
            self._log.fail()

    def _bringing(self, client: WitnessClient) -> Callable[[], None]:
        def work() -> None:
            pause = _TURN_SECONDS
            while not self._stopping.wait(pause):
                try:
                    answered = self.bring(client)
                except Exception as error:
                    _logger.error("a witness could not be asked: %s", type(error).__name__)
                    answered = False
                pause = _TURN_SECONDS if answered else min(2 * pause, _LONGEST_PAUSE_SECONDS)

        return work
