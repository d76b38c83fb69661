"""Which sources' full lists of shielded children have ever been read.

Self-contained: it imports no table of the program, since those go on changing and this may not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shield_list",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("read_at", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    raise NotImplementedError("what has been read is not unread; restore a copy of the database instead")
