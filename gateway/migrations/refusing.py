"""Triggers that refuse to rewrite a table of the log, in the words of either database. For migrations alone.

Frozen: a released migration must go on making what it made. Another kind of trigger is another function.

On PostgreSQL a trigger calls the function `contactpoint_refuse`, which raises `integrity_constraint_violation`, so that
both databases refuse with the same error; TRUNCATE is refused as well; and each trigger fires ALWAYS, also in a session
that says it is a replica.
"""

from __future__ import annotations

from typing import Final

from alembic import op

ONLY_ADDED_TO: Final = "the log is only added to"

_FUNCTION: Final = (
    "CREATE OR REPLACE FUNCTION contactpoint_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE integrity_constraint_violation USING MESSAGE = TG_ARGV[0]; END $$"
)


def only_added_to(table: str, kept: str = ONLY_ADDED_TO) -> None:
    """Refuse UPDATE, DELETE and TRUNCATE of a table, by triggers `TABLE_fixed`, `TABLE_keep` and `TABLE_whole`."""
    refuse(f"{table}_keep", "DELETE", table, kept)
    refuse(f"{table}_fixed", "UPDATE", table, ONLY_ADDED_TO)
    refuse_truncation(table)


def refuse(name: str, when: str, table: str, why: str, where: str | None = None) -> None:
    """Make a trigger that refuses a change of a row: `when` is DELETE, UPDATE or UPDATE OF columns.

    `where` is a condition on OLD and NEW, in words that both databases have; without one, every row is refused.
    """
    if not on_postgresql():
        rows = "" if where is None else f" WHERE {where}"
        op.execute(f"CREATE TRIGGER {name} BEFORE {when} ON {table} BEGIN SELECT RAISE(ABORT, '{why}'){rows}; END")
        return
    op.execute(_FUNCTION)
    rows = "" if where is None else f" WHEN ({where})"
    op.execute(f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH ROW{rows} EXECUTE FUNCTION {_refusal(why)}")
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def refuse_truncation(table: str) -> None:
    """Make a trigger `TABLE_whole` that refuses TRUNCATE; SQLite has none."""
    if on_postgresql():
        op.execute(_FUNCTION)
        call = f"FOR EACH STATEMENT EXECUTE FUNCTION {_refusal(ONLY_ADDED_TO)}"
        op.execute(f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} {call}")
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_whole")


def on_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _refusal(why: str) -> str:
    return f"contactpoint_refuse('{why}')"
