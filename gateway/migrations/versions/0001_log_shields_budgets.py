"""The log, with the triggers that refuse to rewrite it; shields; budgets.

Self-contained: it imports no table of the program, since those go on changing and this may not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shield",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("pseudonym", sa.Text, primary_key=True),
        sa.Column("since", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "budget",
        sa.Column("principal", sa.Text, primary_key=True),
        sa.Column("window", sa.Text, primary_key=True),
        sa.Column("starts", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("lookups", sa.Integer, nullable=False),
        sa.Column("misses", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_shard",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("opened", sa.BigInteger, nullable=False),
        sa.Column("closed", sa.BigInteger),
        sa.Column("state", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_leaf",
        sa.Column("shard", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_payload",
        sa.Column("shard", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "audit_node",
        sa.Column("shard", sa.Text, primary_key=True),
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("ix", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )

    _refuse("audit_shard_keep", "DELETE ON audit_shard", "a shard of the log is kept")
    _refuse("audit_shard_fixed", "UPDATE OF id, origin, opened ON audit_shard", "a shard keeps its identity")
    for table in ("audit_leaf", "audit_node", "audit_payload"):
        kept = "no purge announces this row" if table == "audit_payload" else "the log is only added to"
        _refuse(f"{table}_keep", f"DELETE ON {table}", kept)
        _refuse(f"{table}_fixed", f"UPDATE ON {table}", "the log is only added to")


def downgrade() -> None:
    raise NotImplementedError("the log is not taken away; restore a copy of the database instead")


def _refuse(name: str, when: str, why: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{why}'); END")
