"""Run by Alembic. `gateway.migrate` gives the connection, in a transaction already begun; no ini file is read."""

from __future__ import annotations

from alembic import context

from gateway.migrate import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite can roll DDL back; Alembic assumes it cannot
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
