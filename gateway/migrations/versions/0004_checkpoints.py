"""Signed checkpoints of the log, and the cosignatures of witnesses; a shard that has ended stays so.

It imports no table of the program, since those go on changing and this may not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.migrations.refusing import only_added_to, refuse

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
    refuse("audit_shard_ended", "UPDATE", "audit_shard", "a shard that has ended stays so", "OLD.state <> 'OPEN'")
    only_added_to("audit_checkpoint")
    only_added_to("audit_cosignature")


def downgrade() -> None:
    raise NotImplementedError("a checkpoint is not taken away; restore a copy of the database instead")
