"""Why a database cannot be used."""

from __future__ import annotations

import sqlalchemy as sa


class StorageError(Exception):
    """The database cannot be used; the message says why and never holds the URL's credentials."""


class DurabilityNotMet(StorageError, sa.exc.SQLAlchemyError):
    """A connection does not promise what the log needs: a commit that survives a power cut.

    An error of SQLAlchemy's too: a pool that must connect anew raises it, and whoever is ready for a database that
    cannot be reached is ready for one that takes its promises back.
    """


class NoDatabase(StorageError):
    """There is no database there."""


class DatabaseUnreadable(StorageError):
    """There is a file there that cannot be read as a database, or a server that cannot be reached or lets nobody in."""


class SchemaBehind(StorageError):
    """The schema is of an earlier version, and this role may not change it."""
