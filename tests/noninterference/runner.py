"""Runs pairs of worlds through two gateways and compares everything that a viewer could observe.

    report = await run_pairs(folder, seed=7, pairs=200)
    assert not report.differences

The gateways are built inside `run_pairs`, so that whatever is patched before the call is in force.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.end_to_end.accounts import unaccounted
from tests.end_to_end.world import Exchange
from tests.noninterference.coverage import Coverage
from tests.noninterference.facts import World
from tests.noninterference.gateways import Response, Running, Tokens, body_of, two_gateways
from tests.noninterference.operations import ENTRIES, FRAME
from tests.noninterference.oracle import Low, rights
from tests.noninterference.pairs import FAULTS, Pair, Step, differing, pair
from tests.noninterference.staging import AS_OF, Call
from tests.noninterference.table import BY_ID, ORGANISATIONS, SECTION_FIELDS, SOURCES

_RECEIPT = re.compile(rb'"receipt":"[A-Za-z0-9_-]{22}"')
_PER_REQUEST = {"date"}
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
) -> Report:
    """Run the pairs `first` to `first + pairs` of a seed in a folder that is empty; return what was found."""
    today = datetime.now(ZoneInfo("Europe/London")).date()
    report = Report()
    async with two_gateways(folder) as (one, two):
        run = _Run(one, two, Tokens(), report, today)
        for index in range(first, first + pairs):
            await run.through(pair(seed, index, today, faults))
            if stop_at_first and report.differences:
                break
        run.hold_the_log_against_the_answers()
    return report


@dataclass
class _Run:
    one: Running
    two: Running
    tokens: Tokens
    report: Report
    today: date
    exchanges: list[tuple[Pair, Exchange]] = field(default_factory=list)

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
        reasons = list(_differences(first, second))
        reasons += _observed(step, self.one.scene.calls, self.two.scene.calls)
        body = json.loads(first.content)
        data = body.get("data")
        answered = bool(data)
        kind = _kind_of(step, first, body, low)
        self.report.answers[kind] += 1
        if answered:
            reasons += _untold(step, data, low)
        if answered or kind == "200 FORBIDDEN":
            self.report.coverage.note(step, pair.one, low)
        if pair.index % ACCOUNTED_ONE_IN == 0 and answered and _each_entry_is_known_again(step):
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


def _each_entry_is_known_again(step: Step) -> bool:
    """Whether entries that stand in several places of the body can be joined by their ids, or stand in one place."""
    child = next(selected for selected in step.operation.shape.root if selected.name == "child")
    lists = [selected for selected in child.children or () if selected.read and selected.name in ENTRIES]
    with_id = [any(c.name == "id" and c.read for c in selected.children or ()) for selected in lists]
    return len(lists) < 2 or all(with_id)


def comparable(response: Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return everything of a response but its receipt, which is random by design and always of one length."""
    headers = sorted((name, value) for name, value in response.headers if name.lower() not in _PER_REQUEST)
    return response.status, headers, _RECEIPT.sub(b'"receipt":""', response.content)


def _differences(first: Response, second: Response) -> Iterator[str]:
    one, two = comparable(first), comparable(second)
    if one[0] != two[0]:
        yield f"status {one[0]} and {two[0]}"
    if one[1] != two[1]:
        yield f"headers {sorted(set(one[1]) ^ set(two[1]))}"
    if one[2] != two[2]:
        yield "body"
    elif len(first.content) != len(second.content):
        yield "length"


def _observed(step: Step, one: list[Call], two: list[Call]) -> Iterator[str]:
    """What the agencies see: the first call of each source in the same words, and all calls of the viewer's own."""
    if _first_wave(one) != _first_wave(two):
        yield "the first asks of the sources"
    # Declared: a source about adults is asked of whom children's services name before anything is decided of the child,
    # so its own people can see in its own logs that an adult was asked about.
    about_child = [source for source in SOURCES if not source.about_adults]
    mine = {source.id for source in about_child if source.organisation == step.viewer.organisation}
    if [c for c in one if c.source in mine] != [c for c in two if c.source in mine]:
        yield "the calls of the viewer's own organisation"


def _first_wave(calls: list[Call]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for call in calls:
        # of a source about adults one can only say that it was called: with an adult, or for its health
        what = () if BY_ID[call.source].about_adults else (call.about, call.mask)
        found.setdefault(call.source, (*what, call.asker, call.purpose_class, call.silent))
    return found


def _untold(step: Step, data: Mapping[str, Any], low: Low) -> Iterator[str]:
    """Values in the body that the oracle does not let this viewer know."""
    allowed = _allowed(low)
    for read, value in step.operation.shape.leaves(data):
        path = read.replace("leadPractitioner.", "involvements.")
        if path.partition(".")[0] in FRAME or path.endswith("__typename"):
            continue
        if path in {"involvements.id", "involvements.agency.area"}:
            if not low.rows:
                yield f"a value of {path} that may not be known"
        elif _plain(value) not in allowed.get(path, ()):
            yield f"a value of {path} that may not be known: {value}"


def _allowed(low: Low) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}

    def add(path: str, value: Any) -> None:
        found.setdefault(path, set()).add(_plain(value))

    def add_agency(path: str, source: str) -> None:
        add(f"{path}.id", source)
        add(f"{path}.name", "Amber Safeguarding Hub" if source == "broker" else source.upper())
        add(f"{path}.kind", "CHILDRENS_SERVICES" if source == "broker" else BY_ID[source].kind)

    for _, _, fields in low.rows:
        for name, value in fields:
            if name == "agency":
                add_agency("involvements.agency", value)
                add_agency("involvements.sources", value)
            else:
                add(f"involvements.{name}", value)
    for path, source, value in low.sections:
        if path in SECTION_FIELDS:
            add_agency(f"{path}.agency", source)
            for item in value:
                for name, field_value in item:
                    add(f"{path}.{name}", field_value)
        else:
            add(path, list(value) if isinstance(value, tuple) else value)
    return found


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.isoformat() if isinstance(value, date) else json.dumps(value) if not isinstance(value, str) else value


def _kind_of(step: Step, response: Response, body: Mapping[str, Any], low: Low) -> str:
    if (
        (errors := body.get("errors"))
        and errors[0]["extensions"]["code"] == "FORBIDDEN"
        and rights(step.viewer, step.operation.asked)
    ):
        return "forbidden where the oracle opens"
    if errors := body.get("errors"):
        return f"{response.status} {errors[0]['extensions']['code']}"
    return "told something" if low.rows or low.sections else "told nothing"


def story_of(pair: Pair, place: int, step: Step, first: Response, second: Response) -> str:
    """Return, for somebody who reads a failure, who asked what, what is held where, and both answers."""
    return "\n".join(
        (
            f"  step {place} of {len(pair.steps)}; no answer from {dict(step.down) or 'nobody'}",
            f"  viewer {step.viewer}",
            f"  asked {step.operation.asked}",
            f"  operation {step.operation.shape.document}",
            f"  variables {json.dumps(step.operation.variables, ensure_ascii=False)}",
            *(f"  differs: {each}" for each in differing(pair.one, pair.two)),
            f"  first  {first.status} {first.content.decode()}",
            f"  second {second.status} {second.content.decode()}",
        )
    )


__all__ = ["AS_OF", "Difference", "Report", "comparable", "run_pairs"]
