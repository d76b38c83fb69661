"""The tables that are not the log.

The log's own tables are in `gateway.audit.tables` and share the `metadata` of this module.
Changes to any table are made by a migration (`gateway.migrate`), and a test holds the two equal.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

# SQLite's INTEGER has 64 bits; PostgreSQL's has 32, which end in 2038
_SECONDS = sa.BigInteger().with_variant(sa.Integer, "sqlite")

shield = sa.Table(
    "shield",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("pseudonym", sa.Text, primary_key=True),
    sa.Column("since", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
"""Who is shielded, by the source that says so; the child only as a keyed pseudonym."""

sa.Index("shield_of", shield.c.pseudonym)

shield_list = sa.Table(
    "shield_list",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("read_at", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
"""Which sources' full lists of shielded children have been read, and when last."""

budget = sa.Table(
    "budget",
    metadata,
    sa.Column("principal", sa.Text, primary_key=True),
    sa.Column("window", sa.Text, primary_key=True),
    sa.Column("starts", _SECONDS, primary_key=True, autoincrement=False),
    sa.Column("lookups", sa.Integer, nullable=False),
    sa.Column("misses", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""How many lookups and misses a person, client or organisation has used in a window of time."""

appointment = sa.Table(
    "appointment",
    metadata,
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
"""Who is appointed for which child; appointee, child and who registered it only as keyed pseudonyms."""

sa.Index("appointment_held", appointment.c.appointee, appointment.c.child, appointment.c.purpose)
sa.Index("appointment_of", appointment.c.appointing_organisation, appointment.c.registered_at)

review = sa.Table(
    "review",
    metadata,
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
    sa.Column("severity", sa.Text),
    sa.Column("found", sa.Text),
    sqlite_with_rowid=False,
)
"""What waits for review, by the place of its record in the log; the person and the child only as keyed pseudonyms.

`severity` and `found` are of an item of detection: how soon to look, and in JSON which rules found it and why.
"""

sa.Index("review_of", review.c.organisation, review.c.state, review.c.opened_at)
sa.Index("review_waiting", review.c.state, review.c.due_at)
sa.Index("review_receipt", review.c.receipt)
sa.Index("review_record", review.c.shard, review.c.seq)

detection_position = sa.Table(
    "detection_position",
    metadata,
    sa.Column("shard", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""How far detection has read each shard of the log; under the empty name, until when it has looked at all."""

lease = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("beats", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""How often who holds a name has said so, and how often it was taken from one that no longer did."""

revocation = sa.Table(
    "revocation",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("issued_until", _SECONDS, nullable=False),
    sa.Column("kept_until", _SECONDS, nullable=False),
    sqlite_with_rowid=False,
)
"""Which tokens are refused before they end: a token, a person or a client, only as a keyed digest."""
