"""D13: what must not happen to the log."""

from __future__ import annotations

from gateway.detection.lookups import LogFault
from gateway.detection.rules.base import NOTHING, Severity, Signal


class LogIntegrity:
    """D13: an INTENT without OUTCOME, a gap, a missing heartbeat, or anything that `audit verify` finds."""

    id = "D13"
    severity = Severity.PAGE

    def judge_fault(self, fault: LogFault) -> Signal:
        """Return the signal: every fault is one."""
        return Signal(self.id, 1.0, self.severity, fault.what, NOTHING)
