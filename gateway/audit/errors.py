"""What can go wrong with the log.

    AuditError
        AuditUnavailable      the record was not written; the log is whole and may work in a moment
            AuditClosed       the log has been closed
        AuditFailed           nobody knows what is on disk; nothing may be acknowledged again by this process
        AlongsideRefused      the record was not written, for what was to be written with it is at fault
        AuditDamaged          what is stored cannot be continued: it contradicts itself
        AnotherKey            the log was begun with another audit key

Whatever is raised, the caller discloses nothing.
"""

from __future__ import annotations


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


class AlongsideRefused(AuditError):
    """A statement given with a record is at fault (a constraint, a table that is not there); neither was written."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


class AuditDamaged(AuditError):
    """The end of the stored log contradicts itself. It is not repaired and not continued: see `audit verify`."""


class AnotherKey(AuditError):
    """The key is not the one this log was begun with: pseudonyms, and with them shields, would silently not match."""
