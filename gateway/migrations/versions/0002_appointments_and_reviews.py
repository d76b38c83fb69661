"""Appointments, and the queue of overrides that wait for review.

Self-contained: it imports no table of the program, since those go on changing and this may not.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "appointment",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("appointing_organisation", sa.Text, nullable=False),
        sa.Column("appointee_organisation", sa.Text, nullable=False),
        sa.Column("appointee", sa.Text, nullable=False),
        sa.Column("child", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("registered_by", sa.Text, nullable=False),
        sa.Column("registered_at", sa.Text, nullable=False),
        sa.Column("starts_on", sa.Text, nullable=False),
        sa.Column("expires_on", sa.Text, nullable=False),
        sa.Column("ended_by", sa.Text),
        sa.Column("ended_at", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("appointment_held", "appointment", ["appointee", "child", "purpose"])
    op.create_index("appointment_of", "appointment", ["appointing_organisation", "registered_at"])
    op.create_table(
        "review",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("shard", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("receipt", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("child", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("opened_at", sa.Text, nullable=False),
        sa.Column("due_at", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_at", sa.Text),
        sa.Column("note", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("review_of", "review", ["organisation", "state", "opened_at"])


def downgrade() -> None:
    raise NotImplementedError("an appointment and a review are not taken away; restore a copy of the database instead")
