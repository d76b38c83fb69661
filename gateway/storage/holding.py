"""A name on a database that one process at a time holds, and that is free again once that process is gone.

On SQLite it is a lock on a file beside the database; on PostgreSQL an advisory lock of a session, and who lost the
session has lost the name.
"""

from __future__ import annotations

import fcntl
import os
from abc import ABC, abstractmethod
from contextlib import suppress
from hashlib import sha256
from typing import Final

import psycopg
import sqlalchemy as sa

from gateway.storage.engine import is_postgresql
from gateway.storage.postgresql import psycopg_of
from gateway.storage.urls import file_of

_NAMESPACE: Final = "contactpoint/"


class Holding(ABC):
    """One process's hold on one name. Used by one thread at a time."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    @staticmethod
    def of(engine: sa.Engine, name: str) -> Holding:
        """Return a hold that is still to be taken."""
        return SessionHolding(engine, name) if is_postgresql(engine) else FileHolding(engine, name)

    @abstractmethod
    def take(self) -> bool:
        """Take the name if nobody has it; return whether it is held now. Blocks. Raises OSError, sqlalchemy errors."""

    @abstractmethod
    def release(self) -> None:
        """Let the next process have it. May be called again."""


class FileHolding(Holding):
    """A lock on a file: `DATABASE-LAST_PART_OF_NAME.lock`."""

    _descriptor = -1

    def take(self) -> bool:
        if self._descriptor >= 0:
            return True
        database = file_of(self._engine)
        file = database.with_name(f"{database.name}-{self._name.rpartition('/')[2]}.lock")
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class SessionHolding(Holding):
    """An advisory lock of a session; the connection is for who holds the name, and for nobody else."""

    connection: sa.Connection | None = None

    def take(self) -> bool:
        if self.connection is not None:
            driver = psycopg_of(self.connection)
            try:
                # not through SQLAlchemy, which lets go of a lost connection without closing it
                driver.execute("SELECT 1")
                return True
            except psycopg.Error:
                # and somebody else may have the name by now
                driver.close()
                self.release()
        # neither SQLAlchemy nor the driver begins a transaction on it
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            # before the lock, which a pool would else keep alive behind our back
            connection.detach()
            if self._locked(connection):
                self.connection = connection
                return True
        except BaseException:
            _end(connection)
            raise
        _end(connection)
        return False

    def release(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            _end(connection)

    def _locked(self, connection: sa.Connection) -> bool:
        digest = sha256((_NAMESPACE + self._name).encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        return bool(connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({key})").scalar())


def _end(connection: sa.Connection) -> None:
    with suppress(sa.exc.SQLAlchemyError):
        # detached: this ends the session, and with it the lock
        connection.close()
