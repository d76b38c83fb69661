"""Runs pairs of worlds through two gateways and compares everything that a viewer could observe.

    report = await run_pairs(folder, seed=7, pairs=200)
    assert not report.differences

The gateways are built inside `run_pairs`, so that whatever is patched before the call is in force.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.end_to_end.accounts import unaccounted
from tests.end_to_end.world import Exchange
from tests.noninterference.comparing import differences, entries_are_known_again, kind_of, observed, story_of, untold
from tests.noninterference.coverage import Coverage
from tests.noninterference.facts import World
from tests.noninterference.gateways import Response, Running, Tokens, body_of, two_gateways
from tests.noninterference.oracle import Low
from tests.noninterference.pairs import FAULTS, Pair, Step, pair
from tests.noninterference.table import ORGANISATIONS

ACCOUNTED_ONE_IN = 10
APPOINT = "mutation Appoint($appointment: AppointmentInput!) { registerAppointment(appointment: $appointment) { id } }"


@dataclass(frozen=True)
class Difference:
    """Something that a viewer could observe and may not know. `where`: what differs; the rest finds it again."""

    seed: int
    index: int
    reason: str
    story: str = field(repr=False, default="")

    def __str__(self) -> str:
        return f"seed {self.seed} index {self.index}: {self.reason}\n{self.story}"


@dataclass
class Report:
    """What a run found. `touched`: pairs in which a lookup was answered and its child differs between the worlds."""

    pairs: int = 0
    touched: int = 0
    lookups: int = 0
    differences: list[Difference] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)
    answers: Counter[str] = field(default_factory=Counter)

    def add(self, other: Report) -> None:
        """Take the figures of another run in."""
        self.pairs += other.pairs
        self.touched += other.touched
        self.lookups += other.lookups
        self.differences += other.differences
        self.coverage.add(other.coverage)
        self.answers.update(other.answers)


async def run_pairs(
    folder: Path,
    seed: int,
    pairs: int,
    *,
    stop_at_first: bool = False,
    first: int = 0,
    faults: tuple[str, ...] = FAULTS,
    after: Callable[[Running, Running, Tokens, frozenset[str]], Awaitable[None]] | None = None,
) -> Report:
    """Run the pairs `first` to `first + pairs` of a seed in a folder that is empty; return what was found.

    `after` is called when all pairs are through, with both gateways and the request ids of the lookups that were
    compared: those beside them were made by others, who may know more.
    """
    today = datetime.now(ZoneInfo("Europe/London")).date()
    report = Report()
    async with two_gateways(folder) as (one, two):
        run = _Run(one, two, Tokens(), report, today)
        for index in range(first, first + pairs):
            await run.through(pair(seed, index, today, faults))
            if stop_at_first and report.differences:
                break
        run.hold_the_log_against_the_answers()
        if after is not None:
            await after(one, two, run.tokens, frozenset(run.watched))
    return report


@dataclass
class _Run:
    one: Running
    two: Running
    tokens: Tokens
    report: Report
    today: date
    exchanges: list[tuple[Pair, Exchange]] = field(default_factory=list)
    watched: set[str] = field(default_factory=set)

    async def through(self, pair: Pair) -> None:
        """Take one pair through both gateways."""
        self._set(self.one, pair.number, pair.one)
        self._set(self.two, pair.number, pair.two)
        answered = False
        lows = iter(pair.low)
        for place, step in enumerate(pair.steps):
            request_id = str(uuid.UUID(int=(pair.index << 80) + (place << 70) + (pair.seed & 0xFFFF), version=4))
            if step.operation.asked.appointed:
                await self._appoint(step)
            body = body_of(step.operation.shape.document, step.operation.variables)
            headers = {
                "Authorization": self.tokens.bearer(step.viewer),
                "Accept": step.operation.accept,
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "X-Request-ID": request_id,
            }
            for world in (self.one, self.two):
                world.scene.down = step.down
                world.scene.calls = []
            first, second = await asyncio.gather(self.one.post(body, headers), self.two.post(body, headers))
            if not step.watched:
                continue
            self.watched.add(request_id)
            self.report.lookups += 1
            low = next(lows)
            answered |= self._judge(pair, place, step, low, first, second, request_id)
        self.report.pairs += 1
        self.report.touched += answered and pair.differs

    async def _appoint(self, step: Step) -> None:
        """Let the court register the viewer's appointment in both worlds: it is theirs to know."""
        asked = step.operation.asked
        stated = {
            "nhsNumber": asked.number,
            "appointeeSubject": step.viewer.subject,
            "appointeeOrganisation": step.viewer.organisation,
            "purpose": asked.purpose,
            "evidence": "an order",
            "expiresOn": (self.today + timedelta(days=30)).isoformat(),
        }
        body = body_of(APPOINT, {"appointment": stated})
        headers = {"Authorization": self.tokens.court(), "Accept": "*/*", "Content-Type": "application/json"}
        for world in (self.one, self.two):
            response = await world.post(body, headers)
            known = step.viewer.organisation in ORGANISATIONS
            assert not known or b"errors" not in response.content, response.content

    def _set(self, world: Running, number: str, held: World) -> None:
        world.scene.number, world.scene.world = number, held

    def _judge(
        self, pair: Pair, place: int, step: Step, low: Low, first: Response, second: Response, request_id: str
    ) -> bool:
        reasons = list(differences(first, second))
        reasons += observed(step, self.one.scene.calls, self.two.scene.calls)
        body = json.loads(first.content)
        data = body.get("data")
        answered = bool(data)
        kind = kind_of(step, first, body, low)
        self.report.answers[kind] += 1
        if answered:
            reasons += untold(step, data, low)
        if answered or kind == "200 FORBIDDEN":
            self.report.coverage.note(step, pair.one, low)
        if pair.index % ACCOUNTED_ONE_IN == 0 and answered and entries_are_known_again(step):
            operation = step.operation
            exchange = Exchange(
                step.viewer.subject,
                operation.shape.document,
                operation.variables,
                request_id,
                first.status,
                dict(first.headers),
                first.content,
                body,
            )
            self.exchanges.append((pair, exchange))
        for reason in reasons:
            story = story_of(pair, place, step, first, second)
            self.report.differences.append(Difference(pair.seed, pair.index, reason, story))
        return answered

    def hold_the_log_against_the_answers(self) -> None:
        """OUTCOME names exactly the fields that the body holds, in a sample of the first world's answers."""
        by_request: dict[str, Any] = {}
        for record in self.one.records():
            by_request.setdefault((record.payload or {}).get("request", ""), []).append(record)
        for of, exchange in self.exchanges:
            for fault in unaccounted([exchange], by_request.get(exchange.request_id, [])):
                self.report.differences.append(Difference(of.seed, of.index, f"the log: {fault}", exchange.document))
