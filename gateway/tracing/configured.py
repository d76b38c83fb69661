"""The traces of a configuration."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib.util import find_spec

from gateway.errors import GatewayError
from gateway.graphql.query import GRAPHQL_SCHEMA
from gateway.graphql.root_fields import OTHER_OPERATIONS
from gateway.settings import Fault, Settings, SettingsFault
from gateway.tracing.spans import Vocabulary
from gateway.tracing.tracing import Tracing

_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def check_tracing(settings: Settings) -> None:
    """Raise SettingsFault if traces are asked for and what sends them is not installed."""
    if settings.telemetry.traces_endpoint is not None and not all(map(_is_there, _NEEDED)):
        what = "needs the packages of the extra `telemetry`, which are not installed"
        raise SettingsFault([Fault.of("telemetry.traces_endpoint", what)])


def tracing_of(settings: Settings, sources: Collection[str]) -> Tracing | None:
    """Return the traces of `[telemetry]`, or None when they are off. Raises SettingsFault."""
    telemetry = settings.telemetry
    if telemetry.traces_endpoint is None:
        return None
    check_tracing(settings)
    # only here: what is off is not even imported
    from gateway.tracing.exporting import SDKSpans, otlp_exporter  # noqa: PLC0415

    return Tracing(
        SDKSpans(otlp_exporter(telemetry.traces_endpoint)),
        vocabulary(sources),
        ratio=telemetry.traces_ratio,
        from_callers=telemetry.traces_from_callers,
    )


def vocabulary(sources: Collection[str]) -> Vocabulary:
    """Return every word that a span may hold, of a gateway with these sources."""
    roots = (GRAPHQL_SCHEMA.query_type, GRAPHQL_SCHEMA.mutation_type)
    fields = {name for root in roots if root is not None for name in root.fields}
    return Vocabulary(operations=fields | OTHER_OPERATIONS, codes=frozenset(_codes(GatewayError)), sources=sources)


def _codes(kind: type[GatewayError]) -> Iterator[str]:
    if kind.code:
        yield kind.code
    for inner in kind.__subclasses__():
        yield from _codes(inner)


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
