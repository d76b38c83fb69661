"""What a database URL may be. No message repeats it: it may hold a password."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from gateway.storage.errors import StorageError

_EXPECTED: Final = "sqlite:///FILE or postgresql://USER@HOST/NAME is expected"
_DRIVERS: Final = {"sqlite": "pysqlite", "postgresql": "psycopg"}


def parsed_url(url: str) -> sa.URL:
    """Return the URL of an SQLite file or a PostgreSQL database. Raises StorageError for any other."""
    try:
        parsed = sa.make_url(url)
        known = _DRIVERS.get(parsed.get_backend_name()) == parsed.get_driver_name()
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ValueError):
        # the text may hold a password
        raise StorageError(f"the database URL cannot be read; {_EXPECTED}") from None
    if not known:
        raise StorageError(f"this database or driver is not supported: {_EXPECTED}")
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or parsed.query:
            raise StorageError("the database must be a file: sqlite:///FILE")
    elif not parsed.database:
        raise StorageError("the database URL names no database: postgresql://USER@HOST/NAME")
    return parsed


def is_sqlite(url: str) -> bool:
    """Return whether a URL is meant to name an SQLite file, readable or not."""
    return url.startswith("sqlite")


def file_of(engine: sa.Engine) -> Path:
    """Return the file of an SQLite engine itself, by whatever link it was named."""
    return Path(engine.url.database or "").resolve()


def sqlite_file(parsed: sa.URL) -> Path:
    """Return the file of an SQLite URL. Raises StorageError for a database that is no file."""
    if parsed.get_backend_name() != "sqlite":
        raise StorageError("this database is not a file")
    return Path(parsed.database or "")
