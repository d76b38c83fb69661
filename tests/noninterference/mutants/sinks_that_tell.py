"""Channel 23: what logs, metrics and traces say of a child."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from prometheus_client import REGISTRY, Counter

from gateway.federation import fanout, gathering
from gateway.federation.gathering import Gathering
from gateway.lookup import Lookups
from gateway.tracing.spans import CURRENT, Step
from tests.noninterference.mutants.mutant import Mutant, SeenBy
from tests.noninterference.mutants.tampering import Apply, in_tree, kept_back, unfiltered, wrapping

_log = structlog.get_logger("gateway.federation.gathering")


def _counting(name: str, labels: list[str], count: Callable[[Counter, Gathering], Any]) -> Apply:
    """Return what adds a metric to /metrics for as long as it lasts, and counts in it after each lookup."""

    @contextmanager
    def apply() -> Iterator[None]:
        counter = Counter(f"contactpoint_mutant_{name}", "Of a leak mutant", labels)
        try:
            with in_tree(lambda run, told: count(counter, run))():
                yield
        finally:
            REGISTRY.unregister(counter)

    return apply


def _number_logged(run: Gathering, told: Any) -> None:
    _log.info("lookup", child=str(run.key.nhs_number))


def _rows_logged(run: Gathering, told: Any) -> None:
    for row in unfiltered(run):
        if row.refusal is not None:
            _log.warning("entry_refused", team=row.team.name if row.team else None, reason=row.refusal.value)


def _key_logged(honest: Any) -> Any:
    def corroborated(*given: Any) -> bool:
        found: bool = honest(*given)
        if not found:
            _log.warning("uncorroborated", born=str(given[2]), family=given[3])
        return found

    return corroborated


def _document_logged(honest: Any) -> Any:
    async def answer(self: Lookups, caller: Any, operation: Any, variables: Any, *rest: Any, **more: Any) -> Any:
        _log.info("operation", variables=str(variables))
        return await honest(self, caller, operation, variables, *rest, **more)

    return answer


def _text_logged(honest: Any) -> Any:
    def ours(source: str, fault: Exception, started: float) -> Any:
        _log.error("connector_fault", source=source, exception=str(fault))
        return honest(source, fault, started)

    return ours


def _child_counted(counter: Counter, run: Gathering) -> None:
    counter.labels(str(run.key.nhs_number)).inc()


def _held_back_counted(counter: Counter, run: Gathering) -> None:
    for (source, why), count in run.held_back.items():
        counter.labels(source, why.value).inc(count)


def _shield_counted(counter: Counter, run: Gathering) -> None:
    counter.labels(str(bool(run.shielded_by)).lower()).inc()


def _names_counted(counter: Counter, run: Gathering) -> None:
    for row in unfiltered(run):
        if row.practitioner is not None:
            counter.labels(row.practitioner.name).inc()


def _shield_logged(run: Gathering, told: Any) -> None:
    if run.shielded_by or kept_back(run):
        _log.info("lookup_restricted")


def _restriction_traced(run: Gathering, told: Any) -> None:
    trace = CURRENT.get()
    if trace is not None and (run.shielded_by or kept_back(run)):
        trace.took(Step.DECIDE, trace.now())


MUTANTS = (
    Mutant("number-in-the-log", 23, "The log names the child by number.", in_tree(_number_logged), SeenBy.SINKS),
    Mutant(
        "refused-entry-in-the-log",
        23,
        "The log names the team of a refused entry.",
        in_tree(_rows_logged),
        SeenBy.SINKS,
    ),
    Mutant(
        "key-in-the-log",
        23,
        "The log repeats a key that proved nothing.",
        wrapping(gathering, "corroborated", _key_logged),
        SeenBy.SINKS,
    ),
    Mutant(
        "variables-in-the-log",
        23,
        "The log repeats the variables of an operation.",
        wrapping(Lookups, "answer", _document_logged),
        SeenBy.SINKS,
    ),
    Mutant(
        "exception's-text-in-the-log",
        23,
        "The log repeats the text of a connector's exception.",
        wrapping(fanout, "_ours", _text_logged),
        SeenBy.SINKS,
    ),
    Mutant(
        "restriction-in-the-log",
        23,
        "The log says of a lookup that something was held back.",
        in_tree(_shield_logged),
        SeenBy.SINKS,
    ),
    Mutant(
        "restriction-in-a-trace",
        23,
        "A lookup in which something was held back has one span more.",
        in_tree(_restriction_traced),
        SeenBy.SINKS,
    ),
    Mutant(
        "child-in-a-metric",
        23,
        "A metric has the child's number as a label.",
        _counting("children", ["child"], _child_counted),
        SeenBy.SINKS,
    ),
    Mutant(
        "held-back-in-a-metric",
        23,
        "A metric counts what was held back, by source and reason.",
        _counting("held_back", ["source", "why"], _held_back_counted),
        SeenBy.SINKS,
    ),
    Mutant(
        "shield-in-a-metric",
        23,
        "A metric counts lookups of shielded children.",
        _counting("shielded", ["shielded"], _shield_counted),
        SeenBy.SINKS,
    ),
    Mutant(
        "practitioner-in-a-metric",
        23,
        "A metric has practitioners' names as a label.",
        _counting("practitioners", ["name"], _names_counted),
        SeenBy.SINKS,
    ),
)
