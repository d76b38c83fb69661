"""The tables of the event index: derived from the log, rebuilt from it at any time, and no evidence of anything.

Their names avoid the words by which `contactpoint audit verify` knows what it covers: these rows change, and are
emptied when the payloads behind them are purged.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Final

import sqlalchemy as sa

from gateway.audit.tables import audit_leaf

_metadata = audit_leaf.metadata

event_index = sa.Table(
    "event_index",
    _metadata,
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
"""One row for each event: a lookup (INTENT, with its OUTCOME and OVERRIDE in it), a refusal, or another record.

`shard` and `seq` are the place of the INTENT, or of the record itself; `closing_seq` and `override_seq` those of the
lookup's OUTCOME and OVERRIDE in the same shard. `person` is the pseudonym that budgets and reviews use, `subject` the
child's. `role` holds the effective roles, with a space between. `code` is that of a refusal, or an ADMIN's action.
`entries` counts the practitioners' entries told, `times` the refusals for which a counted one stands. `flags` are
`Flag`. `explained` belongs to the detection: 0 is that it found no reason; indexing leaves it as it is.
"""

sa.Index("event_index_of", event_index.c.organisation, event_index.c.at_ms)
sa.Index("event_index_at", event_index.c.at_ms)
sa.Index("event_index_person", event_index.c.person, event_index.c.at_ms)
sa.Index("event_index_subject", event_index.c.subject, event_index.c.at_ms)
sa.Index("event_index_receipt", event_index.c.receipt)

event_index_position = sa.Table(
    "event_index_position",
    _metadata,
    sa.Column("shard", sa.Text, primary_key=True),
    sa.Column("next_seq", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""How far each shard has been indexed: everything before `next_seq` is."""


class Flag(IntFlag):
    """What can be filtered for. Bits of `event_index.flags`; a bit is never given another meaning."""

    OVERRIDE = 1 << 0
    """Break-glass was asked for or used."""

    DENIED = 1 << 1
    """A refusal: no agency was asked."""

    OPEN = 1 << 2
    """A lookup without an OUTCOME: of unknown outcome, to be treated as disclosed."""

    INCOMPLETE = 1 << 3
    """A source gave no answer."""

    FAILED = 1 << 4
    """The lookup ended in an error; nothing left."""

    NOTHING = 1 << 5
    """A lookup that told no entry and no section: what budgets call a miss."""

    BUDGET = 1 << 6
    """Refused because a budget was spent."""

    TOKEN = 1 << 7
    """A token was refused: nobody is known to have asked."""

    SILENT = 1 << 8
    """At least one source was asked by a silent read."""

    PURGED = 1 << 9
    """The payload is gone when its retention ended: what the leaf says is all that is left."""

    UNREADABLE = 1 << 10
    """The payload is not one that this version can read."""

    SHIELDED = 1 << 11
    """A source shields the child. Never told to an organisation: it would tell apart what must look alike."""

    UNCORROBORATED = 1 << 12
    """Date of birth and name fitted nobody. Never told to an organisation, for the same reason."""


TOLD_TO_ORGANISATIONS: Final = ~(Flag.SHIELDED | Flag.UNCORROBORATED)
"""Flags that are a function of what the caller was told: the answer itself shows them."""
