"""Hands spans to OpenTelemetry's SDK, which sends them as OTLP over HTTP from a thread of its own.

The only module that imports OpenTelemetry, and it is imported only where traces are on. Everything is said here: the
SDK reads neither an endpoint nor a header nor an attribute from the environment.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from importlib.metadata import version
from random import getrandbits
from typing import Final

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from gateway.metrics import note_spans
from gateway.tracing.spans import OF_A_LOOKUP, Attributes, Key, Parent, Step, Taken

SEND_SECONDS: Final = 2.0
QUEUE: Final = 4096
_BATCH: Final = 512
_DELAY_MILLISECONDS: Final = 1000
CLOSE_SECONDS: Final = 3.0
_REMIND_SECONDS: Final = 60.0
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SCOPE: Final = InstrumentationScope("contactpoint")
_UNSET: Final = Status(StatusCode.UNSET)
_ERROR: Final = Status(StatusCode.ERROR)

log = structlog.get_logger("gateway.tracing")


def otlp_exporter(endpoint: str) -> SpanExporter:
    """Return what sends spans to an endpoint: no proxy, no redirect, no credentials from the environment."""
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    return OTLPSpanExporter(
        endpoint=endpoint,
        headers={"user-agent": "contactpoint-gateway"},
        timeout=SEND_SECONDS,
        compression=Compression.Gzip,
        session=session,
    )


class _Counted(SpanExporter):
    """An exporter whose failures are a figure and now and then a line: traces may be lost, nothing else with them."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._told_at = -_REMIND_SECONDS

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception as fault:
            log.debug("export_failed", exception=type(fault).__qualname__)
            result = SpanExportResult.FAILURE
        sent = result is SpanExportResult.SUCCESS
        note_spans("sent" if sent else "lost", len(spans))
        if not sent and time.monotonic() - self._told_at >= _REMIND_SECONDS:
            self._told_at = time.monotonic()
            log.warning("traces_not_sent", spans=len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class SDKSpans:
    """Spans on their way out."""

    def __init__(self, exporter: SpanExporter) -> None:
        # they would say for each span that a collector is gone, with its address
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._exporter = _Counted(exporter)
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=QUEUE,
            schedule_delay_millis=_DELAY_MILLISECONDS,
            max_export_batch_size=_BATCH,
        )
        # nothing of the machine: no host name, no process, no command line
        resource = Resource(
            {
                "service.name": "contactpoint-gateway",
                "service.version": version("contactpoint-gateway"),
                "service.instance.id": str(uuid.uuid4()),
            }
        )
        self._resource = resource

    def take(
        self, parent: Parent | None, request: Taken, steps: Sequence[Taken], told: Callable[..., Attributes]
    ) -> None:
        """Queue the spans of one request; when the queue is full the oldest are lost.

        They are made as they are, without a tracer: it would cost eight times as much to begin and end each.
        """
        above = None
        trace = getrandbits(128) or 1
        if parent is not None:
            trace = parent.trace_id
            above = SpanContext(trace, parent.span_id, is_remote=True, trace_flags=_SAMPLED)
        attributes = told(request.attributes)
        failed = (status := attributes.get(Key.STATUS)) is not None and int(status) >= 500
        top = self._queued(trace, above, request, SpanKind.SERVER, attributes, _ERROR if failed else _UNSET)
        lookup = next((step for step in steps if step.step is Step.LOOKUP), None)
        below = top if lookup is None else self._queued(trace, top, lookup, SpanKind.INTERNAL, {})
        for step in steps:
            if step is not lookup:
                kind = SpanKind.CLIENT if step.step is Step.ASK else SpanKind.INTERNAL
                self._queued(trace, below if step.step in OF_A_LOOKUP else top, step, kind, told(step.attributes))
        note_spans("made", 1 + len(steps))

    def _queued(
        self,
        trace: int,
        above: SpanContext | None,
        step: Taken,
        kind: SpanKind,
        attributes: Attributes,
        status: Status = _UNSET,
    ) -> SpanContext:
        context = SpanContext(trace, getrandbits(64) or 1, is_remote=False, trace_flags=_SAMPLED)
        self._processor.on_end(
            ReadableSpan(
                step.step.value,
                context,
                above,
                self._resource,
                attributes,
                kind=kind,
                status=status,
                start_time=step.begun,
                end_time=step.ended,
                instrumentation_scope=_SCOPE,
            )
        )
        return context

    def close(self) -> None:
        """Send what waits, for `CLOSE_SECONDS` at most; a collector that does not answer holds nobody longer."""
        # a daemon: the process does not wait for it, either
        thread = threading.Thread(target=self._processor.shutdown, name="traces-closing", daemon=True)
        thread.start()
        thread.join(CLOSE_SECONDS)
