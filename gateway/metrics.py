"""Metrics for Prometheus. No label names a person, a child or what was found; sources are named by connector id."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol
from weakref import ref

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from connectors.faults import FaultCode
from gateway.tallies import Answers, Counts, Distribution, Durations, Folding, Memories, Memory, Requests
from gateway.workers import METRICS_VARIABLE
from schema.vocabulary import SourceStatus

if TYPE_CHECKING:
    from gateway.federation.fanout import SourceOutcome

ALARMING: Final = (
    FaultCode.AUTH,
    FaultCode.TOKEN_ENDPOINT,
    FaultCode.TLS,
    FaultCode.MISMATCH,
    FaultCode.TOO_LARGE,
)
"""The codes of a NO_ANSWER of which one is enough: nobody mends what they say but by looking at that source."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each series began: several workers do not tell it
_FOLDING = Folding()
REGISTRY.register(_FOLDING)  # before any metric, so that it is asked first

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ANSWERED = Counter("contactpoint_requests", "Requests answered, refusals and errors among them", ["operation", "code"])
_REQUEST_SECONDS = Distribution(
    "contactpoint_request_seconds", "From the head of a request to its answer", ["operation"], buckets=_BOUNDS
)
_LOOKUPS = Counter("contactpoint_lookups", "Lookups with an OUTCOME on the log", ["outcome"])
_SECONDS = Distribution("contactpoint_lookup_seconds", "From the first ask to the OUTCOME on disk", buckets=_BOUNDS)
_AGREEMENTS = Counter("contactpoint_agreement_reloads", "Changed sets of agreements, loaded or refused", ["outcome"])
_SOURCES = Counter("contactpoint_source_answers", "What each source did", ["source", "status", "code"])
_SOURCE_SECONDS = Distribution(
    "contactpoint_source_seconds", "What each source took of a lookup", ["source"], buckets=_BOUNDS
)
_BATCHES = Histogram(
    "contactpoint_batch_size", "Subjects asked about in one call", ["source"], buckets=(1, 2, 4, 8, 16, 32, 64)
)
# Of several workers: the worst circuit, all bulkheads together, and what was read last of what they share.
_CIRCUITS = Gauge(
    "contactpoint_source_circuit", "0 closed, 1 half-open, 2 open", ["source"], multiprocess_mode="livemax"
)
_UNDER_WAY = Gauge(
    "contactpoint_source_asks_under_way",
    "How much of a source's bulkhead is in use",
    ["source"],
    multiprocess_mode="livesum",
)
_REVIEWS = Gauge("contactpoint_reviews_open", "Items that wait for review", multiprocess_mode="livemostrecent")
_OVERDUE = Gauge("contactpoint_reviews_overdue", "Items whose review is overdue", multiprocess_mode="livemostrecent")
_ALERTS = Counter("contactpoint_detection_alerts", "Items that detection opened, by each rule that spoke", ["rule"])
_DETECTED = Gauge(
    "contactpoint_detection_last_run_seconds",
    "When detection last ran, in seconds since the epoch",
    multiprocess_mode="max",
)
_SHED = Counter("contactpoint_requests_shed", "Requests refused for want of room, before any work", ["priority"])
_REQUESTS = Gauge("contactpoint_requests_under_way", "Requests that are being answered", multiprocess_mode="livesum")
_LIMIT = Gauge("contactpoint_requests_limit", "How many lookups are let in at once", multiprocess_mode="livesum")
_COMMIT_SECONDS = Histogram(
    "contactpoint_audit_commit_seconds",
    "What each commit of the log took, of however many records",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
_RECORDS = Counter("contactpoint_audit_records", "Records that the log has acknowledged")
_LOG_READY = Gauge(
    "contactpoint_audit_log_ready", "1 while a lookup would be recorded, 0 otherwise", multiprocess_mode="livemin"
)
_PLANNING = Counter(
    "contactpoint_plan_cache", "How often what a request needs had been worked out before", ["cache", "result"]
)
_SPANS = Counter("contactpoint_trace_spans", "Spans of traces", ["result"])
_MEMORIES = Memories(_PLANNING)
_FOLDING.watch(_MEMORIES)
_WORKERS = Gauge("contactpoint_workers", "Processes that serve", multiprocess_mode="livesum")
_WATCHED: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {}
_DOORS: list[tuple[Callable[[], float], Callable[[], float]]] = []
_LOGS: list[Callable[[], float]] = []
if METRICS_VARIABLE not in os.environ:
    _WORKERS.set(1)


class Watched(Protocol):
    """What the metrics read of a source when they are asked."""

    under_way: int

    @property
    def circuit(self) -> int:
        """The state of its circuit."""
        ...


def watch_source(source: str, watched: Watched) -> None:
    """Show a source's circuit and bulkhead whenever the metrics are read; costs a lookup nothing."""
    seen = ref(watched)  # a gateway that is gone is not kept for its figures

    def circuit() -> float:
        there = seen()
        return 0 if there is None else there.circuit

    def under_way() -> float:
        there = seen()
        return 0 if there is None else there.under_way

    for code in ALARMING:
        # there from the start: of a series that begins at 1 no alert sees that it grew
        _SOURCES.labels(source, SourceStatus.NO_ANSWER, code)
    if shared_metrics():
        _WATCHED[source] = circuit, under_way
    else:
        _CIRCUITS.labels(source).set_function(circuit)
        _UNDER_WAY.labels(source).set_function(under_way)


async def show_watched() -> None:
    """Put what this worker holds in memory where every worker reads it: states, and what it counted since."""
    show_now()


def show_now() -> None:
    """Do so at once: for the last time before a worker ends, so that what it counted is not lost with it."""
    if not shared_metrics():
        return
    _FOLDING.fold()
    _WORKERS.set(1)
    for source, (circuit, under_way) in _WATCHED.items():
        _CIRCUITS.labels(source).set(circuit())
        _UNDER_WAY.labels(source).set(under_way())
    for requests, limit in _DOORS:
        _REQUESTS.set(requests())
        _LIMIT.set(limit())
    for ready in _LOGS:
        _LOG_READY.set(ready())


def shared_metrics() -> bool:
    """Return whether this process is one of several workers, whose figures are read together."""
    return METRICS_VARIABLE in os.environ


def exposition() -> bytes:
    """Return the figures as Prometheus text: of all workers together, those that have ended included."""
    if not shared_metrics():
        return generate_latest()
    show_now()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class Counted(Protocol):
    """What the metrics read of the door when they are asked."""

    under_way: int

    @property
    def limit(self) -> float:
        """How many lookups are let in at once."""
        ...


def watch_requests(door: Counted, priorities: Iterable[str]) -> None:
    """Show how many requests are under way, how many may be, and that none of any priority was refused yet."""
    seen = ref(door)
    for priority in priorities:
        _SHED.labels(priority)

    def under_way() -> float:
        there = seen()
        return 0 if there is None else there.under_way

    def limit() -> float:
        there = seen()
        return 0 if there is None else there.limit

    if shared_metrics():
        _DOORS[:] = [(under_way, limit)]
    else:
        _REQUESTS.set_function(under_way)
        _LIMIT.set_function(limit)


def note_shed(priority: str) -> None:
    """Count one request that was refused for want of room."""
    _SHED.labels(priority).inc()


def note_batch(source: str, size: int) -> None:
    """Count one call to a source and the subjects asked about in it."""
    _batches(source).observe(size)


class Written(Protocol):
    """What the metrics read of the audit log when they are asked."""

    @property
    def ready(self) -> bool:
        """Whether a lookup would be recorded."""
        ...


def watch_log(log: Written) -> None:
    """Show whether a lookup would be recorded."""
    seen = ref(log)

    def ready() -> float:
        there = seen()
        return 0 if there is None else float(there.ready)

    if shared_metrics():
        _LOGS[:] = [ready]
    else:
        _LOG_READY.set_function(ready)


def note_commit(records: int, seconds: float) -> None:
    """Count one commit of the log. For its own thread."""
    _COMMIT_SECONDS.observe(seconds)
    _RECORDS.inc(records)


def watch_memory(cached: str, memory: Memory) -> None:
    """Count hits and misses of something that remembers; what it counted itself is taken from it and begun anew."""
    _MEMORIES.watch(cached, memory)


_WITNESS_LAG = Gauge(
    "contactpoint_audit_witness_lag_seconds",
    "For how long no witness has cosigned the newest of the audit log",
    multiprocess_mode="livemax",
)


def note_witness_lag(seconds: float) -> None:
    """Show for how long no witness has seen the log."""
    _WITNESS_LAG.set(seconds)


def note_reviews(waiting: float, overdue: float) -> None:
    """Show how many overrides wait for review; NaN for a number that cannot be read."""
    _REVIEWS.set(waiting)
    _OVERDUE.set(overdue)


def watch_rules(rules: Iterable[str]) -> None:
    """Show that no rule has spoken yet: of a series that begins at 1 nobody sees that it grew."""
    for rule in rules:
        _ALERTS.labels(rule)


def note_detection(rules: Iterable[str], at: float) -> None:
    """Count what a run of detection found, and say when it ran."""
    _DETECTED.set(at)
    for rule in rules:
        _ALERTS.labels(rule).inc()


def note_agreements(outcome: str) -> None:
    """Count a changed set of agreements: `loaded` or `refused`."""
    _AGREEMENTS.labels(outcome).inc()


def note_spans(result: str, count: int) -> None:
    """Count spans that were `made`, `sent`, or `lost` because they could not be sent. For any thread."""
    _SPANS.labels(result).inc(count)


def note_request(operation: str, code: str, seconds: float) -> None:
    """Count one request: `OK`, or the code of the error that it was answered with."""
    _requests(operation, code, seconds)


def note_lookup(outcome: str, sources: Iterable[SourceOutcome], seconds: float) -> None:
    """Count one lookup and what its sources did."""
    _lookups(outcome)
    _seconds(seconds)
    for source in sources:
        _source_answers(source.source, source.status, source.code or "", source.milliseconds)


def _counts(counter: Counter) -> Callable[..., None]:
    _FOLDING.watch(tally := Counts(counter))
    return tally.add


def _durations(distribution: Distribution, *, labelled: bool = True) -> Callable[..., None]:
    _FOLDING.watch(tally := Durations(distribution, _BOUNDS, labelled=labelled))
    return tally.add


for _word in ("made", "sent", "lost"):
    _SPANS.labels(_word)
for _word in ("loaded", "refused"):
    _AGREEMENTS.labels(_word)  # there from the start: of a series that begins at 1 nobody sees that it grew
_FOLDING.watch(_of_requests := Requests(_ANSWERED, _REQUEST_SECONDS, _BOUNDS))
_requests = _of_requests.add
_lookups = _counts(_LOOKUPS)
_seconds = _durations(_SECONDS, labelled=False)
_FOLDING.watch(_of_sources := Answers(_SOURCES, _SOURCE_SECONDS, _BOUNDS))
_source_answers = _of_sources.add
# To find a series by its labels costs more than to count in it. The labels are of closed lists: none is a caller's.
_batches = cache(_BATCHES.labels)
