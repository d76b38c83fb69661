"""One line in the log for each request: its id, what it asked for, how it was answered and how long it took.

Nothing else of it: no path, no address, nobody's name and nothing that a client wrote, but for a request id that is a
well-formed UUID. The lines wait for one another, a fifth of a second at most, and leave in one write: a line of its own
through the logger costs ten times as much.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

from gateway.metrics import note_request
from gateway.settings import TelemetrySection

_WAIT_SECONDS: Final = 0.2
_MOST: Final = 512
_PROBES: Final = frozenset({"livez", "readyz", "metrics"})
_LEVELS: Final = {"debug": 0, "info": 1, "warning": 2, "error": 3}

_JSON: Final = (
    '{"request_id": "%s", "operation": "%s", "status": %d, "code": "%s", "milliseconds": %.1f,'
    ' "event": "request", "level": "%s", "timestamp": "%s.%06dZ"}\n'
)
_TEXT: Final = "%s [%s] request request_id=%s operation=%s status=%d code=%s milliseconds=%.1f\n"

_Line = tuple[float, str, str, int, str, float]


class RequestLines:
    """The lines that wait. For one event loop."""

    def __init__(self, telemetry: TelemetrySection) -> None:
        least = _LEVELS[telemetry.log_level]
        self._wanted = telemetry.request_log and least <= _LEVELS["info"]
        self._probes = self._wanted and least <= _LEVELS["debug"]
        self._json = telemetry.log_format == "json"
        self._waiting: list[_Line] = []
        self._timer: asyncio.Handle | None = None
        self._second = (0, "")  # most lines are of the second of the line before

    def note(self, request_id: str, operation: str, status: int, code: str, seconds: float) -> None:
        """Let a line follow for this request; probes have one at the level `debug` alone."""
        if not self._wanted or (operation in _PROBES and not self._probes):
            return
        self._waiting.append((time.time(), request_id, operation, status, code, seconds * 1000))
        if len(self._waiting) >= _MOST:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WAIT_SECONDS, self.flush)

    def counted(self, request_id: str, operation: str, status: int, code: str, seconds: float) -> None:
        """Do so, and count it in the metrics."""
        note_request(operation, code, seconds)
        self.note(request_id, operation, status, code, seconds)

    def flush(self) -> None:
        """Write what waits to standard error."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        if waiting:
            sys.stderr.write("".join(map(self._line, waiting)))
            sys.stderr.flush()

    def _line(self, line: _Line) -> str:
        at, request_id, operation, status, code, milliseconds = line
        level = "debug" if operation in _PROBES else "info"
        second, rest = int(at), at % 1
        if second != self._second[0]:
            self._second = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        stamp = self._second[1]
        if self._json:
            return _JSON % (request_id, operation, status, code, milliseconds, level, stamp, rest * 1_000_000)
        return _TEXT % (
            f"{stamp}.{int(rest * 1_000_000):06d}Z",
            level,
            request_id,
            operation,
            status,
            code,
            milliseconds,
        )
