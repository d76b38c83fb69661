"""The oracle of sinks: what logs, request lines, traces and /metrics hold after the same lookups in two worlds."""

from __future__ import annotations

import io
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import redirect_stderr
from typing import Any

import structlog
from opentelemetry.sdk.trace import ReadableSpan
from prometheus_client.parser import text_string_to_metric_families

from gateway.audit.records import read_records
from tests.fixtures.sources import BORN, CHILD, FAMILY, OTHER_CHILD, RaisingSource
from tests.fixtures.traces import telemetry, traces_kept
from tests.fixtures.world import World
from tests.noninterference.mutants.staged_lookups import (
    CANARY,
    PLAIN,
    RICH,
    SHIELDED,
    UNKNOWN,
    Staging,
    ask,
    ask_other,
    sources,
    world_of,
)

PLANTED = (CANARY, str(CHILD), str(OTHER_CHILD), FAMILY, str(BORN), "Worker", "01632 960")
_OF_THE_MOMENT = {"request_id", "timestamp", "milliseconds"}
_UNSTABLE = ("_seconds", "_created", "process_", "python_", "contactpoint_audit_records")
"""Times; and what counts the records of all logs of this process: those of other worlds have their heartbeats."""


class _Kept(logging.Handler):
    """Keeps every record of the libraries' logging as the line that it would be."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name} {record.levelname} {record.getMessage()}")


async def _sunk(staging: Staging, *, raising: bool = False) -> tuple[list[str], dict[str, float], str]:
    """Return the log lines, the growth of every metric, and all the text, of a few lookups in one world."""
    kept, root = _Kept(), logging.getLogger()
    connectors = sources(staging)
    if raising:
        connectors[1] = RaisingSource(connectors[1], RuntimeError(f"no answer about {CHILD}, {FAMILY}"))
    with traces_kept() as traces:
        async with world_of(connectors, sections=telemetry()) as world:
            before = _metrics(await _text(world))
            root.addHandler(kept)
            try:
                with structlog.testing.capture_logs() as events, redirect_stderr(io.StringIO()) as written:
                    await ask(world)
                    await ask_other(world)
                    await world.ask(CHILD, family=f"Not{FAMILY}")
                    spans = _spans(traces.spans(world.gateway))
                    text = await _text(world)
                    world.gateway.lines.flush()
                    records = Counter(record.kind.value for record in read_records(world.gateway.engine))
            finally:
                root.removeHandler(kept)
    # the name of a request is drawn anew for each
    lines = [str({k: v for k, v in e.items() if k not in {"request_id", "frames"}}) for e in events] + kept.lines
    requests = [json.loads(line) for line in written.getvalue().splitlines()]
    # a time is not compared here: tests/timing does
    lines += [str({k: v for k, v in r.items() if k not in _OF_THE_MOMENT}) for r in requests]
    lines += spans
    after = _metrics(text)
    growth = {name: value - before.get(name, 0.0) for name, value in after.items()}
    growth |= {f"records {kind}": float(count) for kind, count in records.items()}
    return lines, {name: value for name, value in growth.items() if value}, "\n".join([*lines, text])


async def _text(world: World) -> str:
    return (await world.client.get("/metrics")).text


def _spans(spans: Iterable[ReadableSpan]) -> list[str]:
    """Return the spans but for their times and ids, in an order that does not hang on which source was the faster."""
    return sorted(f"{span.name} {sorted((span.attributes or {}).items())} {len(span.events)}" for span in spans)


def _metrics(text: str) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not any(part in sample.name for part in _UNSTABLE)
    }


async def _compared(name: str, one: Staging, two: Staging, **how: Any) -> list[str]:
    first, second = await _sunk(one, **how), await _sunk(two, **how)
    found = []
    for text in (first[2], second[2]):
        found += [f"{name}: {word} is in a sink" for word in PLANTED if word in text]
    if first[0] != second[0]:
        found.append(f"{name}: the log of one world is not that of the other: {first[0]!r:.200} {second[0]!r:.200}")
    if first[1] != second[1]:
        found.append(f"{name}: metrics {set(first[1].items()) ^ set(second[1].items())}")
    return found


async def hidden_entries() -> list[str]:
    """Entries that are held back leave nothing in a sink."""
    return await _compared("hidden entries", RICH, PLAIN)


async def shield() -> list[str]:
    """A shielded child leaves in the sinks what an unknown one does."""
    return await _compared("shield", SHIELDED, UNKNOWN)


async def failing() -> list[str]:
    """A connector that raises with what it was asked leaves its type alone."""
    return await _compared("failing", RICH, PLAIN, raising=True)


STORIES: tuple[Callable[[], Awaitable[list[str]]], ...] = (hidden_entries, shield, failing)
