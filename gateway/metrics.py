"""Metrics for Prometheus. No label names a person, a child or what was found; sources are named by connector id."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from gateway.fanout import SourceOutcome

_LOOKUPS = Counter("contactpoint_lookups", "Lookups with an OUTCOME on the log", ["outcome"])
_SECONDS = Histogram(
    "contactpoint_lookup_seconds",
    "From the first ask to the OUTCOME on disk",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
_AGREEMENTS = Counter("contactpoint_agreement_reloads", "Changed sets of agreements, loaded or refused", ["outcome"])
_SOURCES = Counter("contactpoint_source_answers", "What each source did", ["source", "status", "code"])
_REVIEWS = Gauge("contactpoint_reviews_open", "Overrides that wait for review")
_OVERDUE = Gauge("contactpoint_reviews_overdue", "Overrides whose review is overdue")


def note_reviews(waiting: float, overdue: float) -> None:
    """Show how many overrides wait for review; NaN for a number that cannot be read."""
    _REVIEWS.set(waiting)
    _OVERDUE.set(overdue)


def note_agreements(outcome: str) -> None:
    """Count a changed set of agreements: `loaded` or `refused`."""
    _AGREEMENTS.labels(outcome).inc()


def note_lookup(outcome: str, sources: Iterable[SourceOutcome], seconds: float) -> None:
    """Count one lookup and what its sources did."""
    _LOOKUPS.labels(outcome).inc()
    _SECONDS.observe(seconds)
    for source in sources:
        _SOURCES.labels(source.source, source.status, source.code or "").inc()
