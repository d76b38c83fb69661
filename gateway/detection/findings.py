"""What detection puts into the queue of reviews: an item for each alert, and an escalation of what waits too long.

Each goes with a REVIEW record in one transaction. The id of an item is drawn from the place of its record, so that to
find the same again, in another process or after a restart, opens nothing again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from auth.reviewing import OF_NO_ORGANISATION
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.detection.detector import Alert
from gateway.detection.rules.exceptional import BreakGlass
from gateway.reviews import a_working_day_after
from gateway.storage.tables import review
from schema.vocabulary import ReviewKind, ReviewSeverity, ReviewState, ReviewVerdict

_QUEUE_DAYS: Final = 5
_BY: Final = {"caller": {"command": "contactpoint detection"}}

_OPEN = sa.text(
    """
    INSERT INTO review (
      id, kind, shard, seq, receipt, organisation, person, child, purpose, opened_at, due_at, state, severity, found
    ) VALUES (
      :id, :kind, :shard, :seq, :receipt, :organisation, :person, :child, :purpose, :opened_at, :due_at, :state,
      :severity, :found
    ) ON CONFLICT (id) DO NOTHING
    """
)
_ESCALATE = sa.text("UPDATE review SET state = :escalated WHERE id = :id AND state = :open")


def item_id(alert: Alert, keys: AuditKeys) -> str:
    """Return the id of an alert's item: the same for the same record, whoever finds it and when."""
    return keys.opaque_id("detection", alert.place.shard, str(alert.place.seq), "" if alert.person else alert.rules[0])


class Findings:
    """Writes what was found."""

    def __init__(self, engine: sa.Engine, keys: AuditKeys, log: AuditLog) -> None:
        self._engine = engine
        self._keys = keys
        self._log = log

    def unknown(self, alerts: Collection[Alert]) -> list[Alert]:
        """Return the alerts for which there is no item yet. Raises sqlalchemy errors.

        Break-glass has its item from the moment it is used; what nothing else says of it does not get another.
        """
        left = []
        with self._engine.connect() as connection:
            for alert in alerts:
                known = review.c.id == item_id(alert, self._keys)
                if set(alert.rules) == {BreakGlass.id}:
                    own = (review.c.kind == ReviewKind.BREAK_GLASS.value) & (review.c.receipt == alert.receipt)
                    known = sa.or_(known, own)
                if not connection.scalar(sa.select(sa.exists().where(known))):
                    left.append(alert)
        return left

    async def open(self, alert: Alert, now: datetime) -> None:
        """Open the item of an alert, with its record. Raises AuditError."""
        row = self._row(alert, now)
        payload = {
            **_BY,
            "of": alert.place.seq,
            "shard": alert.place.shard,
            "review": row["id"],
            "detection": _told(alert) | {"severity": alert.severity.value},
        }
        await self._log.append(EventKind.REVIEW, payload, alongside=[(_OPEN, row)])

    async def escalate(self, now: datetime, days: int) -> int:
        """Escalate what nobody decided for so many days. Return how many. Raises AuditError, sqlalchemy errors."""
        before = _written(now - timedelta(days=days))
        waiting = sa.select(review.c.id, review.c.shard, review.c.seq).where(
            review.c.state == ReviewState.OPEN.value, review.c.opened_at < before
        )
        with self._engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(waiting.order_by(review.c.opened_at, review.c.id))]
        for review_id, shard, seq in found:
            payload = {
                **_BY,
                "of": seq,
                "shard": shard,
                "review": review_id,
                "verdict": ReviewVerdict.ESCALATED.value,
                "note": f"Nobody decided it for {days} days.",
            }
            states = {"escalated": ReviewState.ESCALATED.value, "open": ReviewState.OPEN.value, "id": review_id}
            await self._log.append(EventKind.REVIEW, payload, alongside=[(_ESCALATE, states)])
        return len(found)

    def _row(self, alert: Alert, now: datetime) -> Mapping[str, Any]:
        waits = timedelta(days=_QUEUE_DAYS)
        due_at = now + waits if alert.severity is ReviewSeverity.QUEUE else a_working_day_after(now)
        return {
            "id": item_id(alert, self._keys),
            "kind": ReviewKind.DETECTION.value,
            "shard": alert.place.shard,
            "seq": alert.place.seq,
            "receipt": alert.receipt,
            # a fault of the log is of none: who audits every organisation reads it, and who runs the gateway
            "organisation": alert.organisation or OF_NO_ORGANISATION,
            "person": alert.person or "",
            "child": alert.subject or "",
            "purpose": alert.purpose or "",
            "opened_at": _written(now),
            "due_at": _written(due_at),
            "state": ReviewState.OPEN.value,
            "severity": alert.severity.value,
            "found": json.dumps(_told(alert)),
        }


def _told(alert: Alert) -> dict[str, Any]:
    return {
        "rules": list(alert.rules),
        "words": list(alert.words),
        "score": round(alert.score * 100),  # in hundredths: the log holds no fractions
        "explained": alert.explained.value if alert.explained is not None else None,
        "receipts": list(alert.receipts),
    }


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
