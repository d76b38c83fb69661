"""Brings a database to the schema of this version, or says that it is there already."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.audit.index_tables import event_index
from gateway.audit.tables import announced_purge, audit_leaf, audit_node, audit_payload, audit_shard
from gateway.storage.engine import is_postgresql, writing
from gateway.storage.errors import SchemaBehind, StorageError
from gateway.storage.postgresql import patient_for

METADATA: Final[sa.MetaData] = event_index.metadata
"""Every table of this version: taken from the log's tables, since it is complete only with them."""

_SCRIPTS: Final = Path(__file__).parent / "migrations"
_LOG: Final = "audit_"  # what every table of the log is named with, and no other
_LOCK: Final = 0x636F6E74_61637470  # of the advisory lock that makes migrations wait for each other
_PATIENCE_SECONDS: Final = 60.0
_REST_SECONDS: Final = 0.5
_WAIT_MILLISECONDS: Final = 50  # the log gives up a lock after 100, and refuses after 250
_MAY_CREATE: Final = sa.text("SELECT pg_catalog.has_schema_privilege(pg_catalog.current_schema(), 'CREATE')")


def migrate(engine: sa.Engine) -> None:
    """Bring the database to the newest schema: each step of it in one transaction, or none of that step.

    Processes that start together wait for each other. A database already there is not written to. Whoever uses the
    database meanwhile waits for a step at most; on PostgreSQL no step stands in the way of others while it waits for
    its own turn. Raises SchemaBehind where the schema is older and this role may not change it, and StorageError when
    somebody has used for a minute what a step changes: what was done until then stays, and the next time goes on.
    """
    if not is_behind(engine):
        return
    script = _script()
    if is_postgresql(engine):
        with engine.connect() as connection:
            if not connection.scalar(_MAY_CREATE):
                raise SchemaBehind(
                    "the database is not at this version's schema: run `contactpoint migrate` as its owner"
                )
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            if not _step(engine, script):
                return
            until = time.monotonic() + _PATIENCE_SECONDS
        except sa.exc.OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            if time.monotonic() >= until:
                raise StorageError("the database is in use, and its schema could not be changed: try again") from None
            time.sleep(_REST_SECONDS)


def is_behind(engine: sa.Engine) -> bool:
    """Return whether the schema is not that of this version. Raises sqlalchemy errors."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() != _head()


def _step(engine: sa.Engine, script: ScriptDirectory) -> bool:
    """Take the next step; return False if there was none. An index on a long log takes the server what it takes."""
    with patient_for(math.inf), writing(engine).begin() as connection:
        if is_postgresql(engine):
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            # who waits for a table lets nobody pass who comes later: lookups would wait for whoever reads it now
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_WAIT_MILLISECONDS}")
        current = MigrationContext.configure(connection).get_current_revision()
        left = list(script.iterate_revisions("head", current or "base"))
        if not left:
            return False
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, left[-1].revision)
        return True


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


@cache
def _head() -> str | None:
    # the files of this version do not change while it runs
    return _script().get_current_head()


def _config() -> Config:
    config = Config()
    # a per cent sign would be read as an interpolation
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def grant(owner: sa.Engine, role: str) -> None:
    """Give the gateway's role what it needs and no more; `owner` owns the tables. Raises sqlalchemy errors.

    INSERT and SELECT on the tables of the log, and the state of a shard; everything on the others; to read which schema
    this is. Whatever else the role had on these tables is taken away.
    """
    if not is_postgresql(owner):
        raise StorageError("SQLite has no roles")
    to = owner.dialect.identifier_preparer.quote(role)
    with owner.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        for statement in _grants(METADATA.tables, to):
            connection.exec_driver_sql(statement)


def grant_purging(owner: sa.Engine, role: str) -> None:
    """Give a role what it needs to delete payloads that a record announces. Raises sqlalchemy errors, StorageError."""
    if not is_postgresql(owner):
        raise StorageError("SQLite has no roles")
    to = owner.dialect.identifier_preparer.quote(role)
    with owner.begin() as connection:
        for statement in (
            f"GRANT SELECT ON {audit_leaf.name}, {audit_node.name} TO {to}",
            f"GRANT SELECT, DELETE ON {audit_payload.name} TO {to}",
            f"GRANT SELECT, INSERT ON {announced_purge.name} TO {to}",
        ):
            connection.exec_driver_sql(statement)


def _grants(tables: Iterable[str], to: str) -> Iterable[str]:
    for table in (*tables, "alembic_version"):
        yield f"REVOKE ALL ON {table} FROM {to}"
        if table == "alembic_version":
            granted = "SELECT"
        else:
            # purges are announced, and made, by a role of their own
            granted = (
                "SELECT"
                if table == announced_purge.name
                else "SELECT, INSERT"
                if table.startswith(_LOG)
                else "SELECT, INSERT, UPDATE, DELETE"
            )
        yield f"GRANT {granted} ON {table} TO {to}"
    yield f"GRANT UPDATE (state, closed) ON {audit_shard.name} TO {to}"
