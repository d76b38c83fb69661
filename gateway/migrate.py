"""Brings a database to the schema of this version, or says that it is there already."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.audit.index_tables import event_index
from gateway.audit.tables import announced_purge, audit_leaf, audit_node, audit_payload, audit_shard
from gateway.storage.engine import is_postgresql, writing
from gateway.storage.errors import SchemaBehind, StorageError

METADATA: Final[sa.MetaData] = event_index.metadata
"""Every table of this version: taken from the log's tables, since it is complete only with them."""

_SCRIPTS: Final = Path(__file__).parent / "migrations"
_LOG: Final = "audit_"  # what every table of the log is named with, and no other
_LOCK: Final = 0x636F6E74_61637470  # of the advisory lock that makes migrations wait for each other
_MAY_CREATE: Final = sa.text("SELECT pg_catalog.has_schema_privilege(pg_catalog.current_schema(), 'CREATE')")


def migrate(engine: sa.Engine) -> None:
    """Bring the database to the newest schema: all of it in one transaction, or none of it.

    Processes that start together wait for each other. A database already there is not written to. Raises SchemaBehind
    where the schema is older and this role may not change it.
    """
    config = Config()
    # a per cent sign would be read as an interpolation
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == newest:
            return
        if is_postgresql(engine) and not connection.scalar(_MAY_CREATE):
            raise SchemaBehind("the database is not at this version's schema: run `contactpoint migrate` as its owner")
    with writing(engine).begin() as connection:
        if is_postgresql(engine):
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


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
