"""Signed checkpoints of the log, and the cosignatures of witnesses; a shard that has ended stays so.

It imports no table of the program, since those go on changing and this may not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_checkpoint",
        sa.Column("shard", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "audit_cosignature",
        sa.Column("shard", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("witness", sa.Text, primary_key=True),
        sa.Column("line", sa.LargeBinary, nullable=False),
    )
    _refuse(
        "audit_shard_ended", "UPDATE ON audit_shard", "a shard that has ended stays so", " WHERE OLD.state <> 'OPEN'"
    )
    for table in ("audit_checkpoint", "audit_cosignature"):
        _refuse(f"{table}_keep", f"DELETE ON {table}", "the log is only added to")
        _refuse(f"{table}_fixed", f"UPDATE ON {table}", "the log is only added to")


def downgrade() -> None:
    raise NotImplementedError("a checkpoint is not taken away; restore a copy of the database instead")


def _refuse(name: str, when: str, why: str, rows: str = "") -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{why}'){rows}; END")
