"""What detection found, in the queue of reviews, and how far it has read.

Self-contained: it imports no table of the program, since those go on changing and this may not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("review", sa.Column("severity", sa.Text))
    op.add_column("review", sa.Column("found", sa.Text))
    op.create_table(
        "detection_position",
        sa.Column("shard", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    raise NotImplementedError("what was found is not lost again; restore a copy of the database instead")
