"""How a fault of the gateway's surroundings is told from one that was borne: ask, look, and note what differs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from tests.fixtures.sources import CHILD, known, row, source
from tests.fixtures.world import World

HOUR = 3600.0
MINUTE = 60.0
LOG_REFUSES = "503 AUDIT_UNAVAILABLE"
NO_KEYS = "503 OVERLOADED"
NO_TOKEN = "401 UNAUTHENTICATED"


@dataclass
class Findings:
    """What was not as it must be."""

    found: list[str] = field(default_factory=list)

    def expect(self, what: str, is_so: object, must_be: object) -> None:
        """Note a difference."""
        if is_so != must_be:
            self.found.append(f"{what}: {is_so}, not {must_be}")


async def told(world: World, **how: Any) -> str:
    """Ask who works with the child; return the outcome, or status and code of a refusal."""
    answer = await world.ask(**how)
    if answer.code is None:
        return answer.outcome
    return f"{answer.status} {answer.code}{' with data' if answer.body.get('data') else ''}"


async def not_ready(world: World) -> list[str]:
    """Return which checks of readiness fail."""
    answer = await world.client.get("/readyz")
    failing = [name for name, holds in answer.json()["checks"].items() if not holds]
    assert (answer.status_code == 200) == (not failing)
    return failing


async def until(condition: Callable[[], Awaitable[bool]]) -> bool:
    """Wait until it comes about; return false when it does not within a minute."""
    end = time.monotonic() + MINUTE
    while not await condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.05)
    return True


def one_source(*, asked_alone: bool = False, **said: Any) -> Any:
    return source("cs-amber", known(CHILD, row(), **said), depends_on_asker=asked_alone)


@dataclass
class Clock:
    """A clock that can be set; of the whole process while it is in `of_the_process`."""

    read: Callable[[], float] = time.time
    apart: float = 0.0

    def __call__(self) -> float:
        return self.read() + self.apart

    def of_the_process(self) -> Any:
        """Return a context in which what reads the time of day reads this."""
        return patch.multiple("time", time=self, time_ns=lambda: int(self() * 1e9))
