"""The log, with the triggers that refuse to rewrite it; shields; budgets.

It imports no table of the program, since those go on changing and this may not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.refusing import only_added_to, refuse, refuse_truncation

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
        sa.Column("starts", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
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

    refuse("audit_shard_keep", "DELETE", "audit_shard", "a shard of the log is kept")
    refuse("audit_shard_fixed", "UPDATE OF id, origin, opened", "audit_shard", "a shard keeps its identity")
    refuse_truncation("audit_shard")
    only_added_to("audit_leaf")
    only_added_to("audit_node")
    only_added_to("audit_payload", kept="no purge announces this row")


def downgrade() -> None:
    raise NotImplementedError("the log is not taken away; restore a copy of the database instead")
