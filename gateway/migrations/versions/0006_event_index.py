"""The event index: derived from the log, and rebuilt from it by `contactpoint audit index --rebuild`.

Self-contained: it imports no table of the program, since those go on changing and this may not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_index",
        sa.Column("shard", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("closing_seq", sa.BigInteger),
        sa.Column("override_seq", sa.BigInteger),
        sa.Column("organisation", sa.Text),
        sa.Column("person", sa.Text),
        sa.Column("role", sa.Text),
        sa.Column("subject", sa.Text),
        sa.Column("purpose", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("code", sa.Text),
        sa.Column("relationship", sa.Text),
        sa.Column("receipt", sa.Text),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("flags", sa.BigInteger, nullable=False),
        sa.Column("explained", sa.Integer),
        sqlite_with_rowid=False,
    )
    op.create_index("event_index_of", "event_index", ["organisation", "at_ms"])
    op.create_index("event_index_at", "event_index", ["at_ms"])
    op.create_index("event_index_person", "event_index", ["person", "at_ms"])
    op.create_index("event_index_subject", "event_index", ["subject", "at_ms"])
    op.create_index("event_index_receipt", "event_index", ["receipt"])
    op.create_table(
        "event_index_position",
        sa.Column("shard", sa.Text, primary_key=True),
        sa.Column("next_seq", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("event_index_position")
    op.drop_table("event_index")
