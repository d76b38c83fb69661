"""The log's words for one lookup: the payloads of INTENT, OVERRIDE, OUTCOME and DENIED."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from auth.caller import Caller
from auth.decision import Decision
from auth.disclosure import HeldBackRows
from auth.sharing import AgreementSet, LawfulBasis
from auth.standing import Standing
from gateway.asked import Access, Key
from gateway.audit.canonical import once
from gateway.audit.keys import AuditKeys
from gateway.federation.fanout import SourceOutcome
from gateway.graphql.documents import Operation
from gateway.plan import Plan
from gateway.planned_words import PlannedWords
from gateway.remembered import ByIdentity
from gateway.shields import ShieldWrite
from schema.made_quickly import made_quickly
from schema.vocabulary import Relationship

KEY = b"child-key"
_MOST_NAME = 100


def document_of(operation: Operation, keys: AuditKeys) -> dict[str, Any]:
    """Return the SHA-256 of the operation's text, and its name; the digest keyed if the text may hold an identifier.

    The digest of a text with identifiers in it is one that can be found by trying; a name in it may be one.
    """
    digest = operation.document_sha256
    if not operation.may_be_kept:
        return {"document": keys.opaque_id("document", digest), "name": None}
    name = operation.node.name
    return {"document": digest, "name": name.value[:_MOST_NAME] if name else None}


def who_asks(caller: Caller, request_id: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every record of a request says of the one who sent it; `document` is as `document_of` gives it."""
    return {"caller": _caller(caller), "request": request_id, "operation": document}


def _caller(caller: Caller) -> dict[str, Any]:
    acting = caller.on_behalf_of
    return {
        "issuer": caller.issuer,
        "subject": caller.subject,
        "client": caller.client_id,
        "organisation": caller.organisation,
        "actor": caller.actor,
        "onBehalfOf": {"subject": acting.subject, "role": acting.role} if acting else None,
        "name": caller.practitioner_name,
        "registration": caller.practitioner_registration,
        "team": caller.team,
        "roles": sorted(caller.effective_roles),
        "scopes": sorted(caller.scopes),
        "assurance": caller.assurance,
        "signedInAt": caller.authenticated_at,
        "token": hashlib.sha256(caller.token_id.encode()).hexdigest()[:32],
    }


#: of the callers and the plans of the last lookups, what their records say alike
_CALLERS: ByIdentity[Caller, msgspec.Raw] = ByIdentity(1024)
_PLANS: ByIdentity[Plan, PlannedWords] = ByIdentity(1024)


@made_quickly
@dataclass(frozen=True, slots=True)
class LookupRecord:
    """What every record of one lookup holds."""

    caller: Caller
    access: Access
    key: Key | None  # None: nothing of the person is kept
    subject: str | None  # the pseudonym of the key's number
    request_id: str
    ask_id: str  # the request id that agencies see
    receipt: str
    document: Mapping[str, Any]  # as `document_of` gives it
    keys: AuditKeys
    appointment: str | None  # on which the lookup rests
    started: float

    @property
    def who(self) -> Mapping[str, Any]:
        """What every record of the lookup says of the one who asks."""
        caller = _CALLERS.of(self.caller, lambda: once(_caller(self.caller)))
        return {"caller": caller, "request": self.request_id, "operation": self.document}

    def intent(self, plan: Plan, agreements: AgreementSet, basis: LawfulBasis | None) -> dict[str, Any]:
        """Return the payload of INTENT: who is about to ask whom for which paths, and why."""
        return {
            **self.who,
            **self._why(),
            **self._subject(),
            "receipt": self.receipt,
            "ask": self.ask_id,
            "evidence": self._evidence(None, None, None),
            **_PLANS.of(plan, lambda: PlannedWords(plan)).intent(agreements, basis, self.access.purpose),
        }

    def override(self, intent: int, review: str, due: str) -> dict[str, Any]:
        """Return the payload of OVERRIDE: an event of its own, and which item of the queue waits for its review."""
        return {
            **self.who,
            **self._why(),
            **self._subject(),
            "receipt": self.receipt,
            "of": intent,
            "review": review,
            "due": due,
        }

    def denied(self, code: str, decision: Decision | None, agreements: AgreementSet) -> dict[str, Any]:
        """Return the payload of DENIED: no agency was asked."""
        return {
            # as the refusals of one minute are told apart by it
            **who_asks(self.caller, self.request_id, self.document),
            **self._why(),
            **self._subject(),
            "receipt": self.receipt,
            "code": code,
            "rule": decision.rule if decision is not None else None,
            "agreements": {"version": agreements.version},
        }

    def outcome(
        self,
        *,
        intent: int,
        outcome: str,
        plan: Plan,
        relationship: Relationship,
        shown_by: str | None,
        override: int | None,
        standing: Standing,
        fault: str | None,
        identity: str,
        asked: Mapping[str, frozenset[str]],
        sources: Iterable[SourceOutcome],
        shields: ShieldWrite,
        shielded: Sequence[str],
        held_back: HeldBackRows,
        entries: Sequence[Mapping[str, Any]],
        sections: Sequence[str],
        body: bytes,
    ) -> dict[str, Any]:
        """Return the payload of OUTCOME: exactly the fields that the body holds, and what every source did.

        `shown_by` is the custodian whose entry makes a relationship, `override` the seq of the OVERRIDE record, `fault`
        the code of the error with which a lookup ended that has no answer.
        """
        complete = True
        for each in sources:
            if each.reason is not None:
                complete = False
        return {
            **self.who,
            "subject": self.subject,
            "intent": intent,
            "receipt": self.receipt,
            "outcome": outcome,
            "complete": complete,
            "ms": round((time.monotonic() - self.started) * 1000),
            "fault": fault,
            "relationship": relationship,
            "evidence": self._evidence(standing, shown_by, override),
            "identity": identity,
            **_PLANS.of(plan, lambda: PlannedWords(plan)).outcome(standing, asked),
            "override": self._override(),
            "sources": [
                {
                    "id": s.source,
                    "status": s.status,
                    "reason": s.reason,
                    "code": s.code,
                    "ms": s.milliseconds,
                    "adults": s.adults,
                    "call": s.shared_call,
                    "secondCall": s.second_call,
                }
                for s in sources
            ],
            "disclosed": {"entries": list(entries), "sections": list(sections)},
            "withheld": [w.formatted() for w in plan.withheld],
            "shields": {"by": list(shielded), "added": list(shields.added), "removed": list(shields.removed)},
            "heldBack": [
                {"source": source, "code": code, "count": count} for (source, code), count in sorted(held_back.items())
            ],
            "response": hashlib.sha256(body).hexdigest(),
        }

    def _why(self) -> dict[str, Any]:
        access = self.access
        return {
            "purpose": access.purpose,
            "reason": access.reason,
            "caseReference": access.case_reference,
            "override": self._override(),
        }

    def _override(self) -> dict[str, Any] | None:
        justification = self.access.justification
        return None if justification is None else {"justification": justification}

    def _evidence(self, standing: Standing | None, shown_by: str | None, override: int | None) -> list[dict[str, Any]]:
        """Return on what each relationship of the caller to the child rests."""
        found: list[dict[str, Any]] = []
        if override is not None:
            found.append({"relationship": Relationship.OVERRIDE, "record": override})
        if self.appointment is not None:
            found.append({"relationship": Relationship.APPOINTED, "appointment": self.appointment})
        if shown_by is not None and standing is not None:
            own = Relationship.PRACTITIONER if Relationship.PRACTITIONER in standing else Relationship.ORGANISATION
            found.append({"relationship": own, "source": shown_by})
        return found

    def _subject(self) -> dict[str, Any]:
        key = self.key
        if key is None:
            return {"subject": None, "key": None}
        stated = f"{key.nhs_number}\n{key.date_of_birth.isoformat()}\n{key.family_name}"
        return {
            "subject": self.subject,
            "key": self.keys.encrypt(stated, about=KEY + self.receipt.encode()),
        }
