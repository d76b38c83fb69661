"""docs/metrics.md names every metric with its type, labels and the way of several workers, and every operation."""

from __future__ import annotations

import pytest
from prometheus_client import Gauge
from prometheus_client.metrics import MetricWrapperBase

from gateway import metrics
from gateway.front import operations
from gateway.graphql.query import GRAPHQL_SCHEMA
from tests.docs.markdown import codes, rows, text_of

TEXT = text_of("docs/metrics.md")
Row = tuple[str, tuple[str, ...], str]


def of_the_code() -> dict[str, Row]:
    """Return type, labels and the way of several workers for every metric, by name."""
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            several = metric._multiprocess_mode if isinstance(metric, Gauge) else "sum"
            found[metric._name] = (metric._type, tuple(metric._labelnames), several)
    return found


def of_the_document(text: str) -> dict[str, Row]:
    told = text.partition("## The metrics")[2].partition("\n## ")[0]
    return {
        codes(cells[0])[0]: (cells[1], tuple(codes(cells[2])), cells[3])
        for cells in rows(told)
        if len(cells) == 5 and codes(cells[0])
    }


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    assert of_the_document(TEXT) == of_the_code()
    assert len(of_the_code()) > 20


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ("| `contactpoint_workers` |", "| contactpoint_workers |"),
        ("| `operation`, `code` |", "| `operation` |"),
        ("| livemin |", "| livemax |"),
    ],
)
def test_a_row_that_is_not_so_would_be_found(there: str, instead: str) -> None:
    assert there in TEXT
    assert of_the_document(TEXT.replace(there, instead)) != of_the_code()


def test_no_gauge_of_several_workers_is_told_by_process() -> None:
    """Told by process, a gauge has a label that changes with every restart, and stays when its process is gone."""
    modes = {name: several for name, (kind, _, several) in of_the_code().items() if kind == "gauge"}

    assert [name for name, several in modes.items() if several in {"all", "liveall"}] == []


def test_every_operation_is_told_and_no_other() -> None:
    told = {
        code
        for cells in rows(TEXT.partition("## What operations are called")[2].partition("\n## ")[0])
        for code in codes(cells[0])
    }
    roots = [GRAPHQL_SCHEMA.query_type, GRAPHQL_SCHEMA.mutation_type]
    fields = {name for root in roots if root for name in root.fields}
    paths = set(operations.COUNTED_AS.values()) | {operations.PAGE}

    assert told == fields | paths | {"introspection", "several", "typename", "unread"}
