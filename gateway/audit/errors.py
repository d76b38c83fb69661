"""What can go wrong with the log.

    AuditError
        AuditUnavailable      the record was not written; the log is whole and may work in a moment
            AuditClosed       the log has been closed
        AuditFailed           nobody knows what is on disk; nothing may be acknowledged again by this process
        BudgetSpent           the record was not written, for a count that it carries would pass its limit
        AlongsideRefused      the record was not written, for what was to be written with it is at fault
        AuditDamaged          what is stored cannot be continued: it contradicts itself
        AnotherKey            the log was begun with another audit key

Whatever is raised, the caller discloses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.audit.charging import Passed


class AuditError(Exception):
    """No record was acknowledged. Messages hold no part of any record."""


class AuditUnavailable(AuditError):
    """The database was busy for as long as a caller can wait. The record is not in the log and never will be."""


class AuditClosed(AuditUnavailable):
    """The log is closed, or closing; the record was not taken."""


class AuditFailed(AuditError):
    """Storage failed, so the fate of the last batch is unknown. The process must stop; a restart reads what is there.

    SQLite reports a failed fsync once and then acknowledges commits that are on no disk.
    """


class BudgetSpent(AuditError):
    """A count that the record carries would pass its limit; the record was not written and nothing was counted."""

    def __init__(self, passed: Passed) -> None:
        super().__init__("a budget is spent")
        self.passed = passed


class ChargesRefused(AuditError):
    """Records of a batch, by index, whose counts would pass a limit; nothing of the batch was written."""

    def __init__(self, refused: Mapping[int, Passed]) -> None:
        super().__init__("budgets are spent")
        self.refused = refused


class AlongsideRefused(AuditError):
    """A statement given with a record is at fault (a constraint, a table that is not there); neither was written."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


class AuditDamaged(AuditError):
    """The end of the stored log contradicts itself. It is not repaired and not continued: see `audit verify`."""


class AnotherKey(AuditError):
    """The key is not the one this log was begun with: pseudonyms, and with them shields, would silently not match."""
