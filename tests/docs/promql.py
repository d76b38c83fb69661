"""What a PromQL expression asks for: every series that it selects, with what must be there for it to say anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser
from prometheus_client.metrics import MetricWrapperBase

from gateway import metrics

#: what a dashboard puts in place before it asks, and what Prometheus itself adds to every series
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*", "$source": ".*"}
ADDED = frozenset({"instance", "job"})
OF_PROMETHEUS = frozenset({"up"})
_COUNTING = frozenset({"rate", "irate", "increase"})
_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "gauge": ("",),
}
#: the closed list of words of a metric's label
Words = Mapping[tuple[str, str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Series:
    """One series that the gateway shows: as it is named there, its metric, and its labels."""

    metric: str
    counts: bool  # it only grows: to be asked for its rate
    labels: frozenset[str]


def shown() -> dict[str, Series]:
    """Return every series of the code, by the name under which Prometheus has it."""
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            for suffix in _SUFFIXES[metric._type]:
                labels = set(metric._labelnames) | ({"le"} if suffix == "_bucket" else set())
                found[metric._name + suffix] = Series(metric._name, bool(suffix), frozenset(labels))
    return found


def with_variables(expression: str) -> str:
    """Return the expression as it is once a dashboard has filled in its variables."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def faults(expression: str, words: Words) -> list[str]:
    """Return what is wrong with an expression: it does not parse, or asks for what nobody shows."""
    try:
        tree = promql_parser.parse(with_variables(expression))
    except ValueError as fault:
        return [f"does not parse: {fault}"]
    series = shown()
    found: list[str] = []
    labels = set(ADDED)
    for selector, counting in _selectors(tree):
        name = selector.name
        if name in OF_PROMETHEUS:
            continue
        if name not in series:
            found.append(f"{name} is shown by nobody")
            continue
        if series[name].counts and not counting:
            found.append(f"{name} only grows: its rate tells something")
        if counting and not series[name].counts:
            found.append(f"{name} is no counter and has no rate")
        labels |= series[name].labels
        for matcher in selector.matchers.matchers:
            found += _of_matcher(name, matcher, series[name], words)
    return found + [f"groups by {label}, which nothing in it has" for label in sorted(_labels_kept(tree) - labels)]


def asked_for(expression: str) -> set[str]:
    """Return the metrics that an expression asks for."""
    series = shown()
    tree = promql_parser.parse(with_variables(expression))
    return {series[selector.name].metric for selector, _ in _selectors(tree) if selector.name in series}


def _of_matcher(name: str, matcher: Any, series: Series, words: Words) -> list[str]:
    if matcher.name not in series.labels | ADDED:
        return [f"{name} has no label {matcher.name}"]
    closed = words.get((series.metric, matcher.name))
    if closed is None or matcher.value == ".*":
        return []
    return [f"{name}: {matcher.name} is never {word}" for word in re.split(r"\|", matcher.value) if word not in closed]


def _parts(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every expression in a tree, each with the function around it, if one is."""
    waiting: list[tuple[Any, Any]] = [(tree, None)]
    while waiting:
        node, around = waiting.pop()
        yield node, around
        if isinstance(node, promql_parser.Call):
            waiting += [(argument, node.func.name) for argument in node.args]
        elif isinstance(node, promql_parser.BinaryExpr):
            waiting += [(node.lhs, None), (node.rhs, None)]
        elif isinstance(node, promql_parser.AggregateExpr | promql_parser.ParenExpr | promql_parser.UnaryExpr):
            waiting.append((node.expr, None))
        elif isinstance(node, promql_parser.SubqueryExpr):
            raise TypeError("subqueries are not looked into")


def _selectors(tree: Any) -> Iterator[tuple[Any, bool]]:
    """Yield every selector, with whether its growth is what is asked."""
    for node, around in _parts(tree):
        if isinstance(node, promql_parser.MatrixSelector):
            yield node.vector_selector, around in _COUNTING
        elif isinstance(node, promql_parser.VectorSelector):
            yield node, False


def _labels_kept(tree: Any) -> set[str]:
    grouping = [
        node.modifier.labels
        for node, _ in _parts(tree)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None
    ]
    return {label for labels in grouping for label in labels}


def labels_kept(expression: str) -> set[str]:
    """Return the labels by which an expression groups: those that its answer may have."""
    return _labels_kept(promql_parser.parse(with_variables(expression)))
