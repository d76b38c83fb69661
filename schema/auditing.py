"""What an auditor sees of the log: who asked what for which purpose, and what they were told; never who the child is.

Nothing here is known to the log alone: of a lookup it says what its caller was told, and not why the rest was withheld.
An auditor of a practitioner's organisation would else learn through the log what the answer kept from the practitioner.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import strawberry

from schema import types
from schema.declaring import Disclosure, shown
from schema.vocabulary import Purpose, SourceReason, SourceStatus

_AUDIT = Disclosure.AUDIT


@strawberry.enum(description="What kind of event it was.")
class AuditKind(StrEnum):
    """What kind of event it was."""

    LOOKUP = "LOOKUP"
    REFUSAL = "REFUSAL"
    REVIEW = "REVIEW"
    READ = "READ"
    ADMIN = "ADMIN"


@strawberry.enum(description="How a lookup ended. UNKNOWN: it has no outcome on record; treat it as disclosed.")
class AuditOutcome(StrEnum):
    """How a lookup ended, as the log has it."""

    DISCLOSED = "DISCLOSED"
    NOTHING_DISCLOSABLE = "NOTHING_DISCLOSABLE"
    INCOMPLETE = "INCOMPLETE"
    FAILED = "FAILED"
    DENIED = "DENIED"
    UNKNOWN = "UNKNOWN"


@strawberry.enum(description="What an event can be picked out by.")
class AuditFlag(StrEnum):
    """What an event can be picked out by."""

    OVERRIDE = "OVERRIDE"
    DENIED = "DENIED"
    UNKNOWN = "UNKNOWN"
    INCOMPLETE = "INCOMPLETE"
    FAILED = "FAILED"
    NOTHING_TOLD = "NOTHING_TOLD"
    BUDGET = "BUDGET"
    BAD_TOKEN = "BAD_TOKEN"  # noqa: S105 - a word of the list
    SILENT = "SILENT"
    UNEXPLAINED = "UNEXPLAINED"
    PURGED = "PURGED"
    UNREADABLE = "UNREADABLE"


@strawberry.input(description="Every member that is given must hold; none: every event that the caller may read.")
class AuditFilter:
    person: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Who asked: the opaque id of a review or an event."
    )
    organisation: str | None = strawberry.field(default=strawberry.UNSET, description="Of the one who asked.")
    subject: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The child's pseudonym in the log."
    )
    nhs_number: types.NHSNumber | None = strawberry.field(
        default=strawberry.UNSET, description="The child, in place of `subject`; in a variable, never in the document."
    )
    receipt: strawberry.ID | None = strawberry.UNSET
    purpose: list[Purpose] | None = strawberry.field(default=strawberry.UNSET, description="One of these.")
    outcome: list[AuditOutcome] | None = strawberry.field(default=strawberry.UNSET, description="One of these.")
    kind: list[AuditKind] | None = strawberry.field(default=strawberry.UNSET, description="One of these.")
    flags: list[AuditFlag] | None = strawberry.field(default=strawberry.UNSET, description="All of these.")
    since: datetime | None = strawberry.field(default=strawberry.UNSET, description="From this moment, included.")
    until: datetime | None = strawberry.field(default=strawberry.UNSET, description="Before this moment.")


@strawberry.type(description="Who asked, as their token said.")
class AuditPerson:
    id: strawberry.ID = shown(_AUDIT, "Opaque; the same for every event of one person.")
    subject: str | None = shown(_AUDIT, "Of their token. Null once the record is purged.")
    name: str | None = shown(_AUDIT)
    registration: str | None = shown(_AUDIT)
    roles: list[str] = shown(_AUDIT)
    client: str | None = shown(_AUDIT, "The system that they used.")


@strawberry.type(description="What one source did, as the caller was told.")
class AuditSource:
    source: strawberry.ID = shown(_AUDIT)
    status: SourceStatus = shown(_AUDIT)
    reason: SourceReason | None = shown(_AUDIT)


@strawberry.type(description="An entry that the body held: which of its fields had a value. Not the values.")
class AuditDisclosure:
    entry: strawberry.ID = shown(_AUDIT, "Its id in that answer.")
    agency: strawberry.ID = shown(_AUDIT)
    sources: list[strawberry.ID] = shown(_AUDIT)
    fields: list[str] = shown(_AUDIT)


@strawberry.type(description="One event of the log. A lookup is one event, with its outcome and its override in it.")
class AuditEvent:
    id: strawberry.ID = shown(_AUDIT, "Opaque.")
    kind: AuditKind = shown(_AUDIT)
    at: datetime = shown(_AUDIT, "Of a lookup: when it was recorded that agencies would be asked.")
    person: AuditPerson | None = shown(_AUDIT, "Null where nobody is known, as of a token that was refused.")
    organisation: str | None = shown(_AUDIT, "Of the one who asked.")
    subject: strawberry.ID | None = shown(_AUDIT, "The child's pseudonym in the log.")
    receipt: strawberry.ID | None = shown(_AUDIT)
    purpose: Purpose | None = shown(_AUDIT)
    reason: str | None = shown(_AUDIT)
    case_reference: str | None = shown(_AUDIT)
    justification: str | None = shown(_AUDIT, "Of break-glass.")
    outcome: AuditOutcome | None = shown(_AUDIT, "Of a lookup or a refusal.")
    complete: bool | None = shown(_AUDIT, "Of a lookup that has its outcome: no source gave no answer.")
    sources: list[AuditSource] = shown(_AUDIT)
    disclosed: list[AuditDisclosure] = shown(_AUDIT)
    sections: list[str] = shown(_AUDIT, "Paths of the deeper fields that had a value.")
    code: str | None = shown(_AUDIT, "Why it was refused, or what an ADMIN record reports.")
    rules: list[str] = shown(_AUDIT, "The rules that decided, as far as what was told shows.")
    agreements: str | None = shown(_AUDIT, "The version of the agreements by which it was decided.")
    reading: str | None = shown(_AUDIT, "Of a READ event: how the log was read.")
    count: int | None = shown(_AUDIT, "Of a READ or REVIEW: how many were shown. Of a refusal: how many it stands for.")
    flags: list[AuditFlag] = shown(_AUDIT)
    covered: bool = shown(_AUDIT, "A signed checkpoint of the log covers every record of it.")


@strawberry.type(description="An event and its place.")
class AuditEventEdge:
    cursor: str = shown(_AUDIT, "Opaque, and good for this caller and this filter alone.")
    node: AuditEvent = shown(_AUDIT)


@strawberry.type(description="Where a page stands (GraphQL Cursor Connections).")
class PageInfo:
    has_next_page: bool = shown(_AUDIT)
    has_previous_page: bool = shown(_AUDIT)
    start_cursor: str | None = shown(_AUDIT)
    end_cursor: str | None = shown(_AUDIT)


@strawberry.type(description="Events, the newest first. How many there are beyond a page is not told.")
class AuditEventConnection:
    edges: list[AuditEventEdge] = shown(_AUDIT)
    page_info: PageInfo = shown(_AUDIT)
