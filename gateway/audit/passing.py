"""Which errors of a database pass by themselves: whoever need not write now tries again later."""

from __future__ import annotations

import sqlite3
from typing import Final

import sqlalchemy as sa

from gateway.audit.sqlite_writer import is_busy
from gateway.storage.errors import DurabilityNotMet

_TRANSACTION_STATE: Final = "25"
"""PostgreSQL's class of what a session says that stood still in a transaction, or that may only read from now on."""


def passes(error: BaseException) -> bool:
    """Return whether it is a busy database, a server that went away or is a standby now, or no connection to be had.

    None of them says anything of what is stored.
    """
    if isinstance(error, sa.exc.TimeoutError | DurabilityNotMet):
        return True
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return isinstance(error, sa.exc.OperationalError) and is_busy(error)
    state = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, sa.exc.OperationalError) or state.startswith(_TRANSACTION_STATE)
