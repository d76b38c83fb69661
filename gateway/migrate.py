"""Brings a database to the schema of this version, or says that it is there already."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.audit.index_tables import event_index
from gateway.storage import writing

METADATA: Final[sa.MetaData] = event_index.metadata
"""Every table of this version: taken from the log's tables, since it is complete only with them."""

_SCRIPTS: Final = Path(__file__).parent / "migrations"


def migrate(engine: sa.Engine) -> None:
    """Bring the database to the newest schema: all of it in one transaction, or none of it.

    Processes that start together wait for each other. A database already there is not written to.
    """
    config = Config()
    # a per cent sign would be read as an interpolation
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == newest:
            return
    with writing(engine).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
