"""The tables and triggers of the log, as its database lists them."""

from __future__ import annotations

import re
from typing import Final

from gateway.audit.tables import POSTGRESQL_CONDITIONS, POSTGRESQL_FUNCTIONS, TRIGGERS
from gateway.audit.verification.findings import Findings
from gateway.audit.verification.reading import TABLES, Reader

_NAMES: Final = frozenset(TABLES)
_FUNCTION: Final = "contactpoint_refuse"
_SQLITE_TRIGGER: Final = re.compile(
    r"CREATE TRIGGER \w+ BEFORE (.+) ON (\w+) BEGIN SELECT RAISE\(ABORT, '([^']+)'\)(?: WHERE (.+))?; END"
)


class TablesMissing(Exception):
    """Some tables of the log are not there: nothing more can be asked of them."""


class NoTables(Exception):
    """There is no table of the log at all."""


def check_schema(reader: Reader, findings: Findings) -> None:
    """Note what is missing or changed of tables and triggers. Raises NoTables and TablesMissing.

    Whether the file that holds them is whole is another question: `Reader.intact`.
    """
    if reader.dialect == "postgresql":
        _check_postgresql(reader, findings)
    else:
        _check_sqlite(reader, findings)


def _check_sqlite(reader: Reader, findings: Findings) -> None:
    stored = {(kind, name): text for kind, name, text in reader.rows("SELECT type, name, sql FROM sqlite_schema")}
    _check_tables({name for kind, name in stored if kind == "table"}, findings, reader)
    for name, text in TRIGGERS.items():
        if stored.get(("trigger", name)) != text:
            findings.tamper(f"trigger {name} is missing or changed")
    for name, table in reader.rows("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger'"):
        if table in _NAMES and name not in TRIGGERS:
            findings.tamper(f"{table} has a trigger that is not one of ours")


def _check_tables(present: set[str], findings: Findings, reader: Reader) -> None:
    absent = sorted(_NAMES - present)
    if len(absent) == len(_NAMES):
        if reader.intact():
            raise NoTables
        # pages that belong to nothing: there were tables, and their list is what is damaged
        findings.tamper("the database file contradicts itself")
        raise TablesMissing
    if absent:
        findings.tamper(f"tables are missing: {', '.join(absent)}")
        raise TablesMissing


def _check_postgresql(reader: Reader, findings: Findings) -> None:
    present = reader.rows(
        "SELECT relname FROM pg_catalog.pg_class WHERE relkind = 'r' AND pg_catalog.pg_table_is_visible(oid)"
    )
    _check_tables({name for (name,) in present}, findings, reader)
    stored = {
        name: (table, enabled, " ".join(definition.split()))
        for name, table, enabled, definition in reader.rows(
            "SELECT t.tgname, c.relname, t.tgenabled::text, pg_catalog.pg_get_triggerdef(t.oid, true) "
            "FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid "
            "WHERE NOT t.tgisinternal AND pg_catalog.pg_table_is_visible(c.oid)"
        )
    }
    for name, definition in _postgresql_triggers().items():
        # A: it fires also in a session that says it is a replica
        if name not in stored or stored[name][1] != "A" or stored[name][2] != definition:
            findings.tamper(f"trigger {name} is missing or changed")
    for name, (table, _, _) in stored.items():
        if table in _NAMES and name not in _postgresql_triggers():
            findings.tamper(f"{table} has a trigger that is not one of ours")
    for function, body in POSTGRESQL_FUNCTIONS.items():
        bodies = reader.rows(
            "SELECT prosrc FROM pg_catalog.pg_proc WHERE proname = ? AND pg_catalog.pg_function_is_visible(oid)",
            (function,),
        )
        if bodies != [(body,)]:
            findings.tamper(f"the function {function}, by which the log refuses to be rewritten, is missing or changed")


def _postgresql_triggers() -> dict[str, str]:
    """Return name and text of every trigger as PostgreSQL gives it: made from the texts of SQLite, and of TRUNCATE."""
    found = {}
    for name, text in TRIGGERS.items():
        parts = _SQLITE_TRIGGER.fullmatch(text)
        if parts is None:
            raise ValueError(f"trigger {name} is not one that refuses")
        when, table, why, where = parts.groups()
        if (called := POSTGRESQL_CONDITIONS.get(name)) is not None:
            rows = f" WHEN ({called.replace('OLD', 'old').replace('NEW', 'new')})"
        else:
            rows = "" if where is None else f" WHEN ({where.replace('OLD', 'old')}::text)"
        found[name] = (
            f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH ROW{rows} EXECUTE FUNCTION {_FUNCTION}('{why}')"
        )
    for table in _NAMES:
        found[f"{table}_whole"] = (
            f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT "
            f"EXECUTE FUNCTION {_FUNCTION}('the log is only added to')"
        )
    return found
