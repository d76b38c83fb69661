"""The queue of what waits for review, by the reviewers of the organisation whose person it was.

A fault of the log is nobody's access: it is in the queue of those who audit every organisation.

An item of break-glass is made with the OVERRIDE record, one of detection with a REVIEW record, each in its transaction
(`gateway.detection.findings`); a verdict with its REVIEW record. To read the queue is a
REVIEW record too. Person and child are in it as keyed pseudonyms.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
import strawberry

from auth.auditing import audited_by
from auth.caller import Caller
from auth.decision import Deny
from auth.reviewing import DECIDE_A_REVIEW, READ_THE_QUEUE, QueueRequest, VerdictRequest, reviewed_by
from auth.sharing import AgreementSet
from gateway.asked import text_within
from gateway.audit.errors import AlongsideRefused
from gateway.audit.events import EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.audit.writer import Alongside
from gateway.randomness import RANDOM
from gateway.register_requests import NotPermitted, RegisterRequest
from gateway.storage.engine import reading
from gateway.storage.tables import review
from schema.reviewing import Review
from schema.vocabulary import AccessGround, Purpose, ReviewKind, ReviewSeverity, ReviewState, ReviewVerdict

WAITING: Final = frozenset({ReviewState.OPEN, ReviewState.ESCALATED})
_SEVERITIES: Final = tuple(ReviewSeverity)
_MOST_NOTE = 500
_SATURDAY = 5

# Refused by the database, and its record with it, where another process has changed the item since it was read.
_DECIDE: Final = sa.text(
    "UPDATE review SET state = CASE WHEN state = :was THEN :state END, "
    "decided_by = :decided_by, decided_at = :decided_at, note = :note WHERE id = :id"
)


@dataclass(frozen=True, slots=True)
class Opening:
    """An item on its way into the queue: its id and due time for OVERRIDE, and what is written beside it."""

    id: str
    due_at: str
    row: Mapping[str, Any]

    def statements(self, shard: str) -> Alongside:
        """Return what goes into the queue with the OVERRIDE record, at the place that this record gets in its shard."""
        return [(sa.insert(review), lambda seq: {**self.row, "shard": shard, "seq": seq})]


class Reviews:
    """The queue. For one event loop."""

    def __init__(
        self,
        engine: sa.Engine,
        keys: AuditKeys,
        log: AuditLog,
        agreements: Callable[[], AgreementSet],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._keys = keys
        self._log = log
        self._agreements = agreements
        self._clock = clock
        # from the look at a row to its change
        self._changing = asyncio.Lock()

    def opening(self, request: RegisterRequest, child: str, purpose: Purpose, receipt: str) -> Opening:
        """Return the item for an override that is about to be used; `child` is the pseudonym."""
        now = self._clock()
        due_at = _written(a_working_day_after(now))
        row = {
            "id": RANDOM.text(16),
            "kind": ReviewKind.BREAK_GLASS.value,
            "receipt": receipt,
            "organisation": request.caller.organisation,
            "person": request.person(self._keys),
            "child": child,
            "purpose": purpose.value,
            "opened_at": _written(now),
            "due_at": due_at,
            "state": ReviewState.OPEN.value,
        }
        return Opening(row["id"], due_at, row)

    async def read(self, request: RegisterRequest, states: Collection[ReviewState]) -> list[Review]:
        """Return the items that the reviewer may review once the reading is on record.

        What nothing explains comes first, then what presses most, then the oldest.

        Raises NotPermitted, AuditError, sqlalchemy errors.
        """
        decision = READ_THE_QUEUE.decide(QueueRequest(request.caller))
        if isinstance(decision, Deny):
            raise NotPermitted(decision)
        wanted = sorted(state.value for state in states)
        theirs = reviewed_by(request.caller, audits_everyone=self._audits_everyone(request.caller))
        query = sa.select(review).where(review.c.organisation.in_(sorted(theirs)), review.c.state.in_(wanted))
        query = query.order_by(review.c.opened_at, review.c.id)
        rows = await reading(self._engine, lambda c: [dict(row) for row in c.execute(query).mappings()])
        payload = {**request.words(), "filter": {"states": wanted}, "count": len(rows)}
        await self._log.append(EventKind.REVIEW, payload)
        return [self._seen(row) for row in sorted(rows, key=pressing)]

    async def decide(self, request: RegisterRequest, review_id: str, verdict: ReviewVerdict, note: str) -> Review:
        """Return the item once the verdict is on record. Raises BadUserInput, NotPermitted, AuditError."""
        note = text_within(note, _MOST_NOTE, "`note` must have 1 to 500 characters.")
        async with self._changing:
            try:
                return await self._decide(request, review_id, verdict, note)
            except AlongsideRefused:
                # another process was faster: what it did is what is judged now
                return await self._decide(request, review_id, verdict, note)

    async def _decide(self, request: RegisterRequest, review_id: str, verdict: ReviewVerdict, note: str) -> Review:
        found = await self._one(review_id)
        person = request.person(self._keys)
        decision = DECIDE_A_REVIEW.decide(
            VerdictRequest(
                caller=request.caller,
                organisation=found["organisation"] if found else None,
                audits_everyone=self._audits_everyone(request.caller),
                state=ReviewState(found["state"]) if found else None,
                own=found is not None and found["person"] == person,
            )
        )
        if isinstance(decision, Deny):
            raise NotPermitted(decision)
        if found is None:
            raise LookupError("the policy let a review pass that is not there")
        told = {"state": verdict.value, "decided_by": person, "decided_at": _written(self._clock()), "note": note}
        payload = {
            **request.words(),
            "of": found["seq"],
            "shard": found["shard"],
            "review": review_id,
            "verdict": verdict.value,
            "note": note,
        }
        parameters = {**told, "id": review_id, "was": found["state"]}
        await self._log.append(EventKind.REVIEW, payload, alongside=[(_DECIDE, parameters)])
        return self._seen({**found, **told})

    async def waiting(self) -> tuple[int, int]:
        """Return how many items wait, and how many of them are overdue. Raises sqlalchemy errors."""
        waits = sa.select(sa.func.count()).select_from(review).where(review.c.state.in_([s.value for s in WAITING]))
        late = waits.where(review.c.due_at < _written(self._clock()))
        return await reading(self._engine, lambda c: (c.execute(waits).scalar_one(), c.execute(late).scalar_one()))

    def _audits_everyone(self, caller: Caller) -> bool:
        return audited_by(caller, self._agreements().organisations.get(caller.organisation)) is None

    async def _one(self, review_id: str) -> dict[str, Any] | None:
        query = sa.select(review).where(review.c.id == review_id)
        found = await reading(self._engine, lambda c: c.execute(query).mappings().first())
        return None if found is None else dict(found)

    def _seen(self, row: Mapping[str, Any]) -> Review:
        found = found_of(row)
        state, due_at = ReviewState(row["state"]), datetime.fromisoformat(row["due_at"])
        return Review(
            id=strawberry.ID(row["id"]),
            kind=ReviewKind(row["kind"]),
            state=state,
            person=_id(row["person"]),
            child=_id(row["child"]),
            receipt=_id(row["receipt"]),
            purpose=Purpose(row["purpose"]) if row["purpose"] else None,
            opened_at=datetime.fromisoformat(row["opened_at"]),
            due_at=due_at,
            overdue=state in WAITING and due_at < self._clock(),
            decided_at=datetime.fromisoformat(row["decided_at"]) if row["decided_at"] else None,
            decided_by=strawberry.ID(row["decided_by"]) if row["decided_by"] else None,
            note=row["note"],
            severity=severity_of(row),
            rules=found["rules"],
            findings=found["words"],
            explained_by=AccessGround(found["explained"]) if found["explained"] else None,
            related_receipts=[strawberry.ID(receipt) for receipt in found["receipts"]],
        )


_BREAK_GLASS_FOUND: Final = {
    "rules": ["D5"],
    "words": ["Break-glass was used."],
    "explained": None,
    "receipts": [],
}


def found_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return which rules found an item, their words, what explains it, and the receipts of what belongs to it."""
    stored: dict[str, Any] = json.loads(row["found"]) if row["found"] else {}
    return _BREAK_GLASS_FOUND | stored


def severity_of(row: Mapping[str, Any]) -> ReviewSeverity:
    """Return how soon an item must be looked at; break-glass at once."""
    return ReviewSeverity(row["severity"]) if row["severity"] else ReviewSeverity.IMMEDIATE


def pressing(row: Mapping[str, Any]) -> tuple[bool, int, str, str]:
    """Return what items are ordered by: the unexplained first, then what presses most, then the oldest."""
    explained = found_of(row)["explained"] is not None
    return explained, -_SEVERITIES.index(severity_of(row)), row["opened_at"], row["id"]


def a_working_day_after(moment: datetime) -> datetime:
    """Return the same time on the next day that is no Saturday or Sunday; of a weekend, that of Monday.

    Public holidays count as working days: a review is then asked for too early, and never too late.
    """
    due = moment + timedelta(days=1)
    while due.weekday() >= _SATURDAY:
        due += timedelta(days=1)
    return due


def _id(stored: str) -> strawberry.ID | None:
    return strawberry.ID(stored) if stored else None


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
