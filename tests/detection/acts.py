"""One simulated look-up, and the two forms in which a detector may get it: as its input, and as payloads for a log."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from gateway.audit.keys import AuditKeys
from gateway.detection.lookups import Place, SeenLookup, folded
from tests.detection.childhoods import Child
from tests.detection.workplaces import FIRST_DAY, Worker

ISSUER = "https://id.example"
_BEGINS_MS = round(datetime.combine(FIRST_DAY, time(), tzinfo=UTC).timestamp() * 1000)

PersonOf = Callable[[str, str], str]
ChildOf = Callable[[str], str]


@dataclass(slots=True, eq=False)
class Act:
    """One person looks one child up."""

    hours: float  # since the first midnight
    worker: Worker
    child: Child
    relationship: str
    outcome: str
    purpose: str
    reason: str
    case_reference: str | None
    client: str
    token: str
    involved: tuple[str, ...]
    override: bool = False
    misuse: int | None = None  # which planted misuse it belongs to
    receipt: str = ""

    @property
    def at_ms(self) -> int:
        return _BEGINS_MS + int(self.hours * 3_600_000)


def at_ms(hours: float) -> int:
    """Return the time so many hours after the first midnight."""
    return _BEGINS_MS + int(hours * 3_600_000)


def pseudonym_of_child(number: str) -> str:
    """Stand in for the keyed pseudonym where no log is written."""
    return hashlib.blake2b(number.encode(), digest_size=32).hexdigest()


def pseudonym_of_person(issuer: str, subject: str) -> str:
    """Stand in for the keyed pseudonym where no log is written."""
    return f"p-{subject}"


def seen_of(act: Act, seq: int, person_of: PersonOf, child_of: ChildOf) -> SeenLookup:
    """Return what the reader of a log would give of this act."""
    child = act.child
    return SeenLookup(
        place=Place("simulated", seq),
        at_ms=act.at_ms,
        receipt=act.receipt,
        person=person_of(ISSUER, act.worker.id),
        organisation=act.worker.organisation,
        team=None,
        role=act.worker.role,
        client=act.client,
        token=act.token,
        purpose=act.purpose,
        reason=act.reason,
        case_reference=act.case_reference,
        subject=child_of(child.number),
        outcome=act.outcome,
        denied=False,
        relationship=act.relationship,
        overridden=act.override,
        told=act.outcome == "DISCLOSED",
        involved=act.involved,
        number=child.number,
        born=child.born,
        surname=folded(child.surname),
    )


def payloads_of(act: Act, keys: AuditKeys) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the payloads of INTENT and OUTCOME; the seq of INTENT is to be added to the second."""
    child = act.child
    who = {
        "caller": {
            "issuer": ISSUER,
            "subject": act.worker.id,
            "client": act.client,
            "organisation": act.worker.organisation,
            "onBehalfOf": None,
            "roles": [act.worker.role],
            "token": act.token,
        },
        "request": act.receipt,
    }
    stated = f"{child.number}\n{child.born.isoformat()}\n{child.surname}"
    asked = {
        **who,
        "purpose": act.purpose,
        "reason": act.reason,
        "caseReference": act.case_reference,
        "override": {"justification": "No time for anything else"} if act.override else None,
        "subject": keys.pseudonym(child.number),
        "key": keys.encrypt(stated, about=b"child-key" + act.receipt.encode()),
        "receipt": act.receipt,
    }
    people = [{"practitioner": {"name": None, "registration": each}} for each in act.involved]
    entries = people or [{"practitioner": None}]
    told = {
        **who,
        "subject": asked["subject"],
        "receipt": act.receipt,
        "outcome": act.outcome,
        "relationship": act.relationship,
        "disclosed": {"entries": entries if act.outcome == "DISCLOSED" else [], "sections": []},
        "shields": {"by": ["cs"] if child.shielded else [], "added": [], "removed": []},
    }
    return asked, told
