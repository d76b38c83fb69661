"""Payloads whose retention has ended may be deleted, once a record announces it.

It imports no table of the program, since those go on changing and this may not.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from gateway.migrations.refusing import on_postgresql, only_added_to, refuse

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_UNANNOUNCED: Final = (
    "coalesce((SELECT to_seq FROM announced_purge WHERE shard = OLD.shard AND from_seq <= OLD.seq "
    "ORDER BY from_seq DESC LIMIT 1), -1) < OLD.seq"
)
_UNTRUE: Final = (
    "NOT EXISTS (SELECT 1 FROM audit_payload AS p WHERE p.shard = NEW.by_shard AND p.seq = NEW.by_seq "
    """AND substr(p.body, 1, 27) = CAST('{"action":"PAYLOAD_PURGED",' AS BLOB) AND """
    """instr(p.body, CAST('"first":' || NEW.from_seq || ',"last":' || NEW.to_seq """
    """|| ',"shard":"' || NEW.shard || '"}' AS BLOB)) > 0)"""
)
# A condition of a PostgreSQL trigger may hold no query, but call a function that makes one. The place of the tables is
# fixed: else whoever makes a temporary table of that name would announce what they like.
_FUNCTIONS: Final = (
    (
        "contactpoint_announced(text, bigint)",
        " SELECT coalesce((SELECT a.to_seq FROM announced_purge AS a WHERE a.shard = $1 AND a.from_seq <= $2 "
        "ORDER BY a.from_seq DESC LIMIT 1), -1) >= $2 ",
    ),
    (
        "contactpoint_announces(text, bigint, text, bigint, bigint)",
        " SELECT EXISTS (SELECT FROM audit_payload AS p, LATERAL (SELECT convert_from(p.body, 'UTF8')::jsonb AS b) "
        "AS c WHERE p.shard = $1 AND p.seq = $2 AND b ->> 'action' = 'PAYLOAD_PURGED' AND b ->> 'shard' = $3 "
        "AND (b ->> 'first')::bigint = $4 AND (b ->> 'last')::bigint = $5) ",
    ),
)


def upgrade() -> None:
    op.create_table(
        "announced_purge",
        sa.Column("shard", sa.Text, primary_key=True),
        sa.Column("from_seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("to_seq", sa.BigInteger, nullable=False),
        sa.Column("by_shard", sa.Text, nullable=False),
        sa.Column("by_seq", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    only_added_to("announced_purge")
    unannounced, untrue = _UNANNOUNCED, _UNTRUE
    if on_postgresql():
        schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
        for signature, body in _FUNCTIONS:
            op.execute(
                f"CREATE FUNCTION {signature} RETURNS boolean LANGUAGE sql STABLE "
                f"SET search_path = pg_catalog, {schema}, pg_temp AS $${body}$$"
            )
        unannounced = "NOT contactpoint_announced(OLD.shard, OLD.seq)"
        untrue = "NOT contactpoint_announces(NEW.by_shard, NEW.by_seq, NEW.shard, NEW.from_seq, NEW.to_seq)"
        op.execute("DROP TRIGGER audit_payload_keep ON audit_payload")
    else:
        op.execute("DROP TRIGGER audit_payload_keep")
    refuse("audit_payload_keep", "DELETE", "audit_payload", "no purge announces this row", unannounced)
    refuse("announced_purge_true", "INSERT", "announced_purge", "no record announces this purge", untrue)


def downgrade() -> None:
    raise NotImplementedError("what was announced stays announced; restore a copy of the database instead")
