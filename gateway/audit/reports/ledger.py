"""The break-glass ledger: every override with the state of its review, and what is overdue or has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gateway.audit.index_tables import Flag, event_index
from gateway.audit.reports.counting import Period
from gateway.audit.reports.report import Report, Table, moment
from gateway.storage.tables import review
from schema.vocabulary import ReviewKind, ReviewState

NO_REVIEW = "NO REVIEW"
_WAITING = (ReviewState.OPEN.value, ReviewState.ESCALATED.value)


@dataclass(frozen=True, slots=True)
class Override:
    """One use of break-glass. `state` is that of its review, or NO_REVIEW: then the queue has lost it."""

    at_ms: int
    organisation: str
    person: str
    role: str
    purpose: str
    receipt: str
    state: str
    due_at: str | None
    decided_at: str | None

    def overdue(self, now: datetime) -> bool:
        """Return whether nobody has decided it in time."""
        waits = self.state in _WAITING and self.due_at is not None
        return self.state == NO_REVIEW or (waits and datetime.fromisoformat(self.due_at or "") < now)


def overrides(connection: sa.Connection, period: Period) -> list[Override]:
    """Return every override that the log has, the oldest first, each with its review."""
    of = event_index.c
    query = (
        sa.select(
            of.at_ms,
            of.organisation,
            of.person,
            of.role,
            of.purpose,
            of.receipt,
            review.c.state,
            review.c.due_at,
            review.c.decided_at,
        )
        .outerjoin_from(
            event_index,
            review,
            sa.and_(
                review.c.shard == of.shard,
                review.c.seq == of.override_seq,
                review.c.kind == ReviewKind.BREAK_GLASS.value,
            ),
        )
        .where(of.override_seq.is_not(None), _used(), *period.conditions())
        .order_by(of.at_ms, of.shard, of.seq)
    )
    return [_override(row) for row in connection.execute(query)]


def ledger_report(found: Sequence[Override], period: Period, now: datetime, made_at: str) -> Report:
    """Return the ledger."""
    states = Counter(override.state for override in found)
    late = [override for override in found if override.overdue(now)]
    return Report(
        "break-glass",
        "Uses of break-glass and their reviews",
        made_at,
        [
            *period.facts(),
            ("Overrides", len(found)),
            *((state.replace("_", " ").lower(), count) for state, count in sorted(states.items())),
            ("overdue", len(late)),
        ],
        [
            "Every override waits for review by its own organisation within one working day. One without a review is "
            "a fault of the queue: the log has it all the same."
        ],
        [
            Table(title, _COLUMNS, [_row(override, now) for override in chosen], "none")
            for title, chosen in (("Overdue", late), ("All", found))
        ],
    )


_COLUMNS = ("When (UTC)", "Organisation", "Person", "Role", "Purpose", "Receipt", "Review", "Due", "Decided", "Overdue")


def _row(override: Override, now: datetime) -> tuple[str | None, ...]:
    return (
        moment(override.at_ms),
        override.organisation,
        override.person,
        override.role,
        override.purpose,
        override.receipt,
        override.state,
        override.due_at,
        override.decided_at,
        "yes" if override.overdue(now) else "no",
    )


def _override(row: Any) -> Override:
    at_ms, organisation, person, role, purpose, receipt, state, due_at, decided_at = row
    return Override(
        at_ms,
        organisation or "",
        person or "",
        role or "",
        purpose or "",
        receipt or "",
        state or NO_REVIEW,
        due_at,
        decided_at,
    )


def _used() -> sa.ColumnElement[bool]:
    return event_index.c.flags.op("&")(int(Flag.OVERRIDE)) != 0
