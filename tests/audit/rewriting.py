"""What somebody does who may change the schema: take the triggers away, change the log, put them back."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from gateway.audit.tables import TRIGGERS
from gateway.storage.engine import is_postgresql

_IN_SQLITE: Final = {
    "other_kind": "replace(body, 'DENIED', 'INTENT')",
    "list": "x'5b5d'",
    "object": "x'7b7d'",
    "byte": "x'00'",
    "zeros": "zeroblob(32)",
}
_IN_POSTGRESQL: Final = {
    "other_kind": "convert_to(replace(convert_from(body, 'UTF8'), 'DENIED', 'INTENT'), 'UTF8')",
    "list": "'[]'::bytea",
    "object": "'{}'::bytea",
    "byte": r"'\x00'::bytea",
    "zeros": "decode(repeat('00', 32), 'hex')",
}
_TRIGGERS_OF_POSTGRESQL: Final = (
    "SELECT tgrelid::regclass::text, tgname FROM pg_trigger "
    "WHERE NOT tgisinternal AND starts_with(tgrelid::regclass::text, 'audit_')"
)


def rewrite(owner: sa.Engine, *statements: str) -> None:
    """Execute statements, in which {zeros} and the like stand for values, as the database's owner."""
    with owner.begin() as connection:
        if not is_postgresql(owner):
            for name in TRIGGERS:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
            for statement in statements:
                connection.exec_driver_sql(statement.format_map(_IN_SQLITE))
            for text in TRIGGERS.values():
                connection.exec_driver_sql(text)
            return
        triggers = connection.exec_driver_sql(_TRIGGERS_OF_POSTGRESQL).all()
        for table, name in triggers:
            connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
        for statement in statements:
            connection.exec_driver_sql(statement.format_map(_IN_POSTGRESQL))
        for table, name in triggers:
            connection.exec_driver_sql(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
