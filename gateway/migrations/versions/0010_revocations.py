"""Which tokens are refused before they end, for every process to read.

Self-contained: it imports no table of the program, since those go on changing and this may not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    seconds = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "revocation",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("issued_until", seconds, nullable=False),
        sa.Column("kept_until", seconds, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("revocation")
