"""What a reviewer sees of an override, or of what detection found: where its record is, and nothing of the child."""

from __future__ import annotations

from datetime import datetime

import strawberry

from schema import vocabulary
from schema.declaring import Disclosure, shown

for _words in (
    vocabulary.AccessGround,
    vocabulary.ReviewKind,
    vocabulary.ReviewSeverity,
    vocabulary.ReviewState,
    vocabulary.ReviewVerdict,
):
    strawberry.enum(_words, description=(_words.__doc__ or "").split("\n", maxsplit=1)[0])

_AUDIT = Disclosure.AUDIT


@strawberry.type(
    description="An access by the reviewer's own organisation, or a fault of the log, that waits for review or was."
)
class Review:
    id: strawberry.ID = shown(_AUDIT)
    kind: vocabulary.ReviewKind = shown(_AUDIT)
    state: vocabulary.ReviewState = shown(_AUDIT)
    person: strawberry.ID | None = shown(
        _AUDIT, "Opaque; the same for every item of one person. Null: a fault of the log, which is no access."
    )
    child: strawberry.ID | None = shown(_AUDIT, "The child's pseudonym in the log.")
    receipt: strawberry.ID | None = shown(_AUDIT, "Of the lookup: its records in the log hold it.")
    purpose: vocabulary.Purpose | None = shown(_AUDIT)
    opened_at: datetime = shown(_AUDIT)
    due_at: datetime = shown(
        _AUDIT, "One working day later, or five days in the queue; public holidays are not counted out."
    )
    overdue: bool = shown(_AUDIT)
    decided_at: datetime | None = shown(_AUDIT)
    decided_by: strawberry.ID | None = shown(_AUDIT, "Opaque, like `person`.")
    note: str | None = shown(_AUDIT)
    severity: vocabulary.ReviewSeverity = shown(_AUDIT)
    rules: list[str] = shown(_AUDIT, "The rules of detection that found it: D1 to D14.")
    findings: list[str] = shown(_AUDIT, "What each rule says; names nobody.")
    explained_by: vocabulary.AccessGround | None = shown(_AUDIT, "What would explain it; null: nothing does.")
    related_receipts: list[strawberry.ID] = shown(_AUDIT, "Of other lookups that belong to it.")
