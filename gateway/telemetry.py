"""Logs: structured, on standard error, without identifiers, query text or values."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, Final

import structlog

from gateway.settings import TelemetrySection

_OF_AN_OBJECT: Final = re.compile(r"[\n(<]")


def configure_logs(telemetry: TelemetrySection) -> None:
    """Send structlog's and the libraries' records to standard error, one line each."""
    level = getattr(logging, telemetry.log_level.upper())
    last: Any = (
        structlog.processors.JSONRenderer()
        if telemetry.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LibraryLine(shared, last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    # these print what is asked, every request line, or a line for each span while a collector is gone
    for name in ("uvicorn.access", "httpx", "httpcore", "strawberry.execution", "alembic", "opentelemetry"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _LibraryLine(logging.Formatter):
    """A library's record as one of ours; an exception is named by its type, its text and values left out."""

    def __init__(self, shared: list[Any], last: Any) -> None:
        super().__init__()
        self._shared = shared
        self._last = last

    def format(self, record: logging.LogRecord) -> str:
        said = record.getMessage()
        if record.name == "asyncio":
            # what follows are the representations of tasks, calls and exceptions, with all that they hold
            said = _OF_AN_OBJECT.split(said, 1)[0].rstrip()
        event: Any = {"event": said, "logger": record.name}
        if record.exc_info and record.exc_info[0]:
            event["exception"] = record.exc_info[0].__qualname__
        for processor in self._shared:
            event = processor(None, record.levelname.lower(), event)
        return str(self._last(None, record.levelname.lower(), event))
