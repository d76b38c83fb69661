"""Faults of the gateway's own machine, done for real to a whole gateway: clocks, a locked database, too many askers.

Each returns what was not as it must be, nothing if all was. What takes a process of its own (a full disk, a killed
database, signals, memory) is tried in `tests/crash`, `tests/end_to_end` and `test_memory.py`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from connectors.base import Ask, FieldMask
from gateway.audit.signing import LogSigner
from gateway.audit.verify import Status, Trust, verify
from gateway.audit.writer import RETRY_SECONDS
from gateway.storage.engine import open_engine
from schema.records import Answer, SubjectRef
from tests.faults.findings import LOG_REFUSES, MINUTE, NO_TOKEN, Clock, Findings, not_ready, one_source, told, until
from tests.fixtures.sources import LookingSource, Remembering
from tests.fixtures.world import running_world

PATIENCE = RETRY_SECONDS
"""Of the log, as shipped; a control sets another."""


async def a_sources_clock_is_wrong(folder: Path) -> list[str]:
    """Row 30: an answer of an hour ago says so; one of the future is no answer."""
    seen = Findings()
    then = datetime.now(UTC) - timedelta(hours=1)
    for name, as_of, wanted in (
        ("behind", then, ("DISCLOSED", "ANSWERED", then.isoformat())),
        ("ahead", then + timedelta(hours=2), ("INCOMPLETE", "NO_ANSWER INVALID_ANSWER", None)),
    ):
        (folder / name).mkdir()
        async with running_world(folder / name, one_source(as_of=as_of)) as world:
            answer = await world.ask()
        shown = answer.child["sources"][0]["asOf"]
        seen.expect(name, (answer.outcome, answer.sources["cs-amber"], shown), wanted)
        seen.expect(f"{name}: entries", len(answer.entries), 1 if wanted[0] == "DISCLOSED" else 0)
    return seen.found


async def the_clock_jumps(folder: Path) -> list[str]:
    """Row 34: not ready until it is set right, tokens of before are refused, and the log goes on in order."""
    seen, clock = Findings(), Clock()
    with clock.of_the_process():
        async with running_world(folder, one_source(), clock=clock) as world:
            seen.expect("before", (await told(world), await not_ready(world)), ("DISCLOSED", []))
            for apart in (10 * MINUTE, -10 * MINUTE):
                clock.apart = 0.0
                of_before = world.headers()
                clock.apart = apart
                seen.expect(f"{apart:+.0f} s: not ready", await not_ready(world), ["clock"])
                seen.expect(f"{apart:+.0f} s: a token of before", await told(world, headers=of_before), NO_TOKEN)
                await told(world)
                clock.apart = 0.0
                seen.expect("set right", (await told(world), await not_ready(world)), ("DISCLOSED", []))
            numbers = [record.seq for record in world.records()]
            trust = Trust(log_keys=(LogSigner.of(world.gateway.keys).key,))
    engine = open_engine(f"sqlite:///{folder}/gateway.db", create=False)
    found = await asyncio.to_thread(verify, engine, trust)
    engine.dispose()
    seen.expect("the numbers of records", numbers, sorted(set(numbers)))
    # a gap in time is told, as it would be if somebody had stopped the log for so long; and nothing else is
    seen.expect("the log", (found.status, len(found.findings)), (Status.INCOMPLETE, 2))
    seen.expect("gaps", [each for each in found.findings if "no record for 600 s" not in each], [])
    return seen.found


async def somebody_locks_the_database(folder: Path) -> list[str]:
    """Row 35: before INTENT or before OUTCOME, who asks is refused while it is locked, and is not kept waiting."""
    seen = Findings()
    other = sqlite3.connect(folder / "gateway.db", isolation_level=None, check_same_thread=False)
    at_the_ask: list[str] = []
    agency = LookingSource(one_source(), lambda: [other.execute(each) for each in at_the_ask])
    async with running_world(folder, agency) as world:

        async def ready() -> bool:
            return await not_ready(world) == []

        answers = [await told(world)]
        for name, before, during, asked in (
            ("before INTENT", ["BEGIN IMMEDIATE"], [], 0),
            ("before OUTCOME", [], ["BEGIN IMMEDIATE"], 1),
        ):
            for each in before:
                other.execute(each)
            at_the_ask[:], calls = during, len(agency.asked)
            with patch("gateway.audit.log.RETRY_SECONDS", PATIENCE):
                answers.append(await told(world))
            at_the_ask.clear()
            seen.expect(f"{name}: refused while it is locked", (answers[-1], other.in_transaction), (LOG_REFUSES, True))
            seen.expect(f"{name}: asks", len(agency.asked) - calls, asked)
            seen.expect(f"{name}: not ready", await not_ready(world), ["audit"])
            other.execute("ROLLBACK")
            seen.expect(f"{name}: ready again", await until(ready), True)
            answers.append(await told(world))
        kinds = world.kinds()
    other.close()
    seen.expect("in all", answers, ["DISCLOSED", LOG_REFUSES, "DISCLOSED", LOG_REFUSES, "DISCLOSED"])
    seen.expect("OUTCOMEs", kinds.count("OUTCOME"), answers.count("DISCLOSED"))
    return seen.found


class _Held(Remembering):
    """Answers when it is let."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.let = asyncio.Event()

    async def _answers(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Mapping[SubjectRef, Answer]:
        await self.let.wait()
        return await super()._answers(subjects, mask, ask)


IN_FLIGHT = 8


async def ten_times_as_many_ask_as_may(folder: Path) -> list[str]:
    """Row 43: as many as may are answered, the others refused at once, before any work and without a record."""
    seen = Findings()
    agency = _Held(one_source(asked_alone=True))
    limits = {"in_flight": IN_FLIGHT, "total_seconds": 30, "source_seconds": 29}
    async with running_world(folder, agency, limits=limits) as world:
        asking = [asyncio.create_task(world.ask()) for _ in range(10 * IN_FLIGHT)]

        async def all_are_in_or_out() -> bool:
            return len(agency.asked) + sum(each.done() for each in asking) == len(asking)

        seen.expect("those who may not wait do not", await until(all_are_in_or_out), True)
        refused = [each.result() for each in asking if each.done()]
        kinds = world.kinds()
        agency.let.set()
        answers = await asyncio.gather(*asking)
        after = await told(world)
    seen.expect("asked", len(agency.asked), IN_FLIGHT + 1)
    seen.expect("refused", {(r.status, r.code, "data" in r.body) for r in refused}, {(503, "OVERLOADED", False)})
    seen.expect("told when to come back", {r.response.headers.get("retry-after") for r in refused}, {"1"})
    seen.expect("records before the answers", kinds, ["INTENT"] * IN_FLIGHT)
    seen.expect("answered", sum(a.status == 200 and a.outcome == "DISCLOSED" for a in answers), IN_FLIGHT)
    seen.expect("afterwards", after, "DISCLOSED")
    return seen.found
