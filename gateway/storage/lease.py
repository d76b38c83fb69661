"""A name that one process at a time holds, and loses when it is gone or has not renewed its hold for too long.

The hold itself is a `Holding`, which ends with its process. A process that hangs keeps that: so who holds the name
counts up in the table `lease` whenever it asks, and who wants it watches the count. Once the count has stood still for
too long, by the watcher's own clock, the watcher moves the name on to its next generation, whose hold is another. No
two clocks are ever compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
import structlog

from gateway.storage.engine import writing
from gateway.storage.holding import Holding
from gateway.storage.tables import lease

log = structlog.get_logger("gateway.storage")

_BEGIN: Final = sa.text(
    "INSERT INTO lease (name, generation, beats) VALUES (:name, 0, 0) ON CONFLICT (name) DO NOTHING"
)
_BEAT: Final = sa.text("UPDATE lease SET beats = beats + 1 WHERE name = :name AND generation = :generation")
_MOVE_ON: Final = sa.text(
    "UPDATE lease SET generation = generation + 1, beats = 0 "
    "WHERE name = :name AND generation = :generation AND beats = :beats"
)


class Lease:
    """One process's hold on one name, for as long as it asks again within `seconds`. For one thread at a time."""

    def __init__(
        self, engine: sa.Engine, name: str, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._name = name
        self._seconds = seconds
        self._clock = clock
        self._held: tuple[int, Holding] | None = None
        self._seen = (-1, -1)  # generation and beats as they last were
        self._since = 0.0  # since when

    def take(self) -> bool:
        """Take or renew the name; return whether this process holds it now. Blocks.

        Who is told False has lost what it had. Raises OSError, sqlalchemy errors.
        """
        generation, beats = self._read()
        if (generation, beats) != self._seen:
            self._seen, self._since = (generation, beats), self._clock()
        if self._take(generation):
            return True
        if self._clock() - self._since < self._seconds:
            return False
        if not self._changed(_MOVE_ON, generation=generation, beats=beats):
            return False
        log.error("lease_taken_over", name=self._name, advice="the process that held it hangs: look at it")
        return self._take(generation + 1)

    def release(self) -> None:
        """Let the next process have it. May be called again."""
        held, self._held = self._held, None
        if held is not None:
            held[1].release()

    def _take(self, generation: int) -> bool:
        """Hold this generation and say so; what is held of another is let go."""
        if self._held is None or self._held[0] != generation:
            self.release()
            # the first is named as before there were generations, so that versions side by side exclude one another
            name = self._name if generation == 0 else f"{self._name}-{generation}"
            self._held = generation, Holding.of(self._engine, name)
        if self._held[1].take() and self._changed(_BEAT, generation=generation):
            return True
        self.release()
        return False

    def _read(self) -> tuple[int, int]:
        query = sa.select(lease.c.generation, lease.c.beats).where(lease.c.name == self._name)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is not None:
            return int(row.generation), int(row.beats)
        with writing(self._engine).begin() as connection:
            connection.execute(_BEGIN, {"name": self._name})
        return 0, 0

    def _changed(self, statement: sa.TextClause, **given: int) -> bool:
        with writing(self._engine).begin() as connection:
            return connection.execute(statement, {"name": self._name, **given}).rowcount == 1
