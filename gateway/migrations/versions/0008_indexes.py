"""Indexes for what is asked of the shields at each lookup, and of the reviews at each scrape and in reports.

Self-contained: it imports no table of the program, since those go on changing and this may not.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("shield_of", "shield", ["pseudonym"])
    op.create_index("review_waiting", "review", ["state", "due_at"])
    op.create_index("review_receipt", "review", ["receipt"])
    op.create_index("review_record", "review", ["shard", "seq"])


def downgrade() -> None:
    for name, table in (
        ("review_record", "review"),
        ("review_receipt", "review"),
        ("review_waiting", "review"),
        ("shield_of", "shield"),
    ):
        op.drop_index(name, table)
