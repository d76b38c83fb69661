"""The oracle of work: what is done for a shielded child is what is done for an unknown one, counted and not timed.

Counted are the beats to which an answer is held, the records with the statements beside them, every call of every
source, and the random bytes that are drawn; these are fixed here, so that receipts can be compared.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from gateway.audit.log import AuditLog
from gateway.lookup import asyncio as waited
from gateway.randomness import Randomness
from tests.fixtures.sources import Remembering
from tests.fixtures.world import World
from tests.noninterference.mutants.staged_lookups import (
    SHIELDED,
    UNKNOWN,
    Staging,
    ask,
    ask_other,
    sources,
    world_of,
)

_BEAT = 0.02


async def _measured(staging: Staging) -> list[Any]:
    """Return the work of some lookups in one world: of each, what is counted, and its receipt."""
    connectors = [Remembering(each) for each in sources(staging)]
    async with world_of(connectors, limits={"quiet_seconds": _BEAT}) as world:
        return [await _work(world, connectors, asking) for asking in (ask, ask_other, ask)]


async def _work(world: World, connectors: list[Remembering], asking: Callable[[World], Awaitable[Any]]) -> Any:
    beats: list[float] = []
    records: list[tuple[str, list[int]]] = []
    drawn: list[int] = []
    counter = itertools.count(1)
    sleep, append = asyncio.sleep, AuditLog.append

    async def slept(seconds: float, *given: Any) -> None:
        if seconds > _BEAT:  # a timer of the gateway's own
            await sleep(seconds, *given)
            return
        beats.append(seconds)
        await sleep(0)

    async def appended(self: AuditLog, kind: Any, payload: Any, *, alongside: Any = (), charges: Any = ()) -> Any:
        rows = [len(given) if isinstance(given, list) else 1 for _, given in alongside]
        records.append((str(kind), [*rows, len(charges)]))
        return await append(self, kind, payload, alongside=alongside, charges=charges)

    def taken(self: Randomness, count: int) -> bytes:
        drawn.append(count)
        return next(counter).to_bytes(count, "big")

    for connector in connectors:
        connector.asked.clear()
    with ExitStack() as patches:
        patches.enter_context(patch.object(waited, "sleep", slept))
        patches.enter_context(patch.object(AuditLog, "append", appended))
        patches.enter_context(patch.object(Randomness, "take", taken))
        told = await asking(world)
    calls = {c.manifest.agency.id: [(each.subjects, sorted(each.mask.paths)) for each in c.asked] for c in connectors}
    # how long a beat lasts depends on the clock; that there is one does not
    return {"beats": len(beats), "records": records, "drawn": drawn, "calls": calls, "receipt": told.child["receipt"]}


async def shielded_as_unknown() -> list[str]:
    """Return where the work for a shielded child is not that for an unknown one."""
    first, second = await _measured(SHIELDED), await _measured(UNKNOWN)
    return [
        f"{what} of lookup {place}: {one[what]} and {two[what]}"
        for place, (one, two) in enumerate(zip(first, second, strict=True))
        for what in one
        if one[what] != two[what]
    ]


STORIES = (shielded_as_unknown,)
