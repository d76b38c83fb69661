"""One lookup, step by step, top to bottom.

No record, no disclosure: INTENT is durable before any agency is asked, OUTCOME before a byte leaves.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
import strawberry
import structlog

from auth.caller import Caller
from auth.disclosure import NOTHING, Disclosed, SourceFacts, Viewer, agency_type, disclose, relationship_of
from auth.entitlements import Entitlements
from auth.policy import LOOK_UP_A_CHILD
from auth.rules import LookupRequest, Refusal
from auth.sharing import AgreementSet
from auth.shielding import ShieldsUnreadable, sees_through
from connectors.base import Asker, Deadline, FieldMask
from connectors.faults import FaultCode
from gateway.asked import Access, AdultRefused, Key, access_from, key_from
from gateway.audit.canonical import NotCanonical
from gateway.audit.errors import AuditError
from gateway.audit.events import AdminAction, EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.budgets import Budgets, Charge, Spent
from gateway.corroboration import corroborated, without_others
from gateway.errors import (
    AuditUnavailable,
    Forbidden,
    GatewayError,
    InternalServerError,
    Overloaded,
    RateLimited,
    Unauthenticated,
)
from gateway.fanout import FanOut, SourceOutcome
from gateway.graphql.compiled import matching
from gateway.graphql.documents import Operation
from gateway.lookup_record import LookupRecord
from gateway.merge import merge
from gateway.metrics import note_lookup
from gateway.plan import Plan, Planner
from gateway.shields import DatabaseShields, ShieldWrite
from gateway.sources import Source
from schema import types
from schema.records import Answered, ChildRef
from schema.sections import SECTIONS
from schema.vocabulary import (
    LookupOutcome,
    Purpose,
    Relationship,
    SourceReason,
    SourceStatus,
    purpose_class,
)

log = structlog.get_logger("gateway.lookup")

ADVICE = {
    LookupOutcome.DISCLOSED: "This is what may be shown to you. Others may be involved whom this answer does not show.",
    LookupOutcome.NOTHING_DISCLOSABLE: (
        "Nothing can be disclosed to you. This is not confirmation that no one is involved. "
        "If you have a concern about a child, contact the safeguarding hub of their local authority."
    ),
    LookupOutcome.INCOMPLETE: (
        "At least one agency did not answer. Do not read this as the whole picture: ask again, or ring that agency. "
        "If you have a concern about a child, contact the safeguarding hub of their local authority."
    ),
}


@dataclass(frozen=True, slots=True)
class LookupLimits:
    """Seconds that one lookup, one source in it, and the work after the sources may take."""

    total_seconds: float = 2.5
    source_seconds: float = 1.5
    reserve_seconds: float = 0.25


@dataclass(frozen=True, slots=True)
class Encoded:
    """A response body, and what it discloses as `gateway.disclosed_fields` reads it."""

    body: bytes
    entries: Sequence[Mapping[str, Any]]
    sections: Sequence[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """The response of a lookup whose OUTCOME is durable."""

    body: bytes


@dataclass(frozen=True)
class Lookups:
    """Everything that a lookup needs, wired once."""

    sources: Sequence[Source]
    agreements: Callable[[], AgreementSet]
    planner: Planner
    shields: DatabaseShields
    budgets: Budgets
    log: AuditLog
    keys: AuditKeys
    limits: LookupLimits
    step_up: Callable[[], str]  # the RFC 9470 challenge
    recheck: Callable[[Caller], None]  # raises a GatewayError if the token ended or was revoked meanwhile

    def entitlements(self, caller: Caller, purpose: Purpose) -> Entitlements:
        """Return what is open to a caller for a purpose today, before anything is known of a child."""
        today = datetime.now(UTC).date()
        return self.planner.entitlements(self.agreements(), caller, purpose, today, override=False)

    async def answer(
        self,
        caller: Caller,
        operation: Operation,
        variables: Mapping[str, Any],
        arguments: Mapping[str, Any],
        request_id: str,
        encode: Callable[[Any, dict[str, Any]], Encoded],
    ) -> Answer:
        """Return the answer once its OUTCOME is on disk.

        `encode` answers the operation from the tree. Raises GatewayError.
        """
        today = datetime.now(UTC).date()
        agreements = self.agreements()
        # 2. What is asked, from the input alone.
        access = access_from(arguments["access"])
        try:
            key = key_from(arguments["key"], access.purpose, today)
        except AdultRefused:
            await self._note_adult(caller, access, operation, request_id, agreements)
            raise
        record = self._record(caller, access, key, operation, request_id)
        # 3. The plan: before anything is executed or asked.
        override = access.justification is not None
        plan = self.planner.plan(operation, variables, agreements, caller, access.purpose, today, override=override)
        # 4. Budgets.
        charge = await self._charge(caller, record, agreements)
        # 5. May this caller, for this purpose, look up a child at all?
        await self._permit(caller, access, plan, record, agreements, charge)
        # 6. INTENT.
        basis = agreements.basis(access.purpose, today)
        try:
            intent = await self._append(EventKind.INTENT, record.intent(plan, agreements, basis), charge.statements)
        except AuditUnavailable:
            self.budgets.cancel(charge)
            raise
        # 7. to 9. Ask, corroborate, merge, disclose; whatever happens, INTENT gets its OUTCOME.
        run = _Run(self, caller, access, key, plan, today, request_id)
        try:
            tree = await run.tree(record.receipt)
            await self._alarm(run)
            encoded = encode(tree, _extensions(plan))
            self.recheck(caller)
        except BaseException as fault:
            await self._close(record, intent, run, charge, outcome="FAILED")
            if isinstance(fault, GatewayError):
                raise
            if isinstance(fault, Exception):
                raise InternalServerError(request_id) from fault
            raise
        # 10. OUTCOME, with exactly what the body holds; then the body leaves.
        try:
            await self._close(record, intent, run, charge, tree.outcome, encoded)
        except NotCanonical as fault:
            # the log cannot hold what some source said: then it does not leave, and INTENT is not left open
            await self._close(record, intent, run, charge, outcome="FAILED")
            raise InternalServerError(request_id) from fault
        return Answer(encoded.body)

    async def _charge(self, caller: Caller, record: LookupRecord, agreements: AgreementSet) -> Charge:
        opaque = self.keys.opaque_id
        principals = (
            f"person:{opaque('person', caller.issuer, caller.person)}",
            f"client:{opaque('client', caller.issuer, caller.client_id)}",
            f"organisation:{opaque('organisation', caller.organisation)}",
        )
        try:
            charge = self.budgets.charge(principals)
        except sa.exc.SQLAlchemyError:
            raise AuditUnavailable(1) from None
        if isinstance(charge, Spent):
            await self._append(EventKind.DENIED, record.denied(f"BUDGET {charge.budget}", None, agreements))
            raise RateLimited(charge.retry_after_seconds)
        return charge

    async def _permit(
        self,
        caller: Caller,
        access: Access,
        plan: Plan,
        record: LookupRecord,
        agreements: AgreementSet,
        charge: Charge,
    ) -> None:
        decision = LOOK_UP_A_CHILD.decide(
            LookupRequest(
                caller=caller,
                purpose=access.purpose,
                case_reference=access.case_reference,
                entitlements=plan.entitlements,
                previous_alone=plan.selection.previous_alone,
                override=access.justification is not None,
                accepts_review=access.accepts_review,
            )
        )
        if decision:
            return
        reason = getattr(decision, "reason", "")
        await self._append(EventKind.DENIED, record.denied(reason, decision, agreements), charge.statements)
        if reason == Refusal.STEP_UP_REQUIRED:
            raise Unauthenticated(self.step_up(), "A stronger sign-in is needed for this.")
        raise Forbidden

    async def _note_adult(
        self, caller: Caller, access: Access, operation: Operation, request_id: str, agreements: AgreementSet
    ) -> None:
        """Record that somebody asked about an adult; not about whom: nothing of an adult is kept."""
        record = self._record(caller, access, None, operation, request_id)
        await self._append(EventKind.DENIED, record.denied("ADULT", None, agreements))

    async def _alarm(self, run: _Run) -> None:
        """An answer about another identifier is not only no answer: somebody must look at that source."""
        for outcome in run.outcomes.values():
            if outcome.code == FaultCode.MISMATCH:
                log.error("answer_about_another_identifier", source=outcome.source)
                payload = {"action": AdminAction.INVALID_ANSWER_ALARM, "source": outcome.source, "detail": outcome.code}
                await self._append(EventKind.ADMIN, payload)

    async def _close(
        self,
        record: LookupRecord,
        intent: int,
        run: _Run,
        charge: Charge,
        outcome: str,
        encoded: Encoded | None = None,
    ) -> None:
        encoded = encoded or Encoded(b"", (), ())
        disclosed = bool(encoded.entries or encoded.sections) or outcome == LookupOutcome.DISCLOSED
        payload = record.outcome(
            intent=intent,
            outcome=outcome,
            plan=run.plan,
            relationship=run.relationship,
            identity=run.identity,
            sources=list(run.outcomes.values()),
            shields=run.shield_write,
            shielded=sorted(run.shielded_by),
            entries=encoded.entries,
            sections=encoded.sections,
            body=encoded.body,
        )
        statements = [*run.shield_write.statements, *self.budgets.settle(charge, disclosed=disclosed)]
        await self._append(EventKind.OUTCOME, payload, statements)
        note_lookup(outcome, run.outcomes.values(), time.monotonic() - run.started)

    async def _append(self, kind: EventKind, payload: Mapping[str, Any], alongside: Sequence[Any] = ()) -> int:
        try:
            return (await self.log.append(kind, payload, alongside=alongside)).seq
        except AuditError:
            raise AuditUnavailable(1) from None

    def _record(
        self, caller: Caller, access: Access, key: Key | None, operation: Operation, request_id: str
    ) -> LookupRecord:
        receipt = secrets.token_urlsafe(16)
        document = operation.document_sha256
        if not operation.may_be_kept:
            # the digest of a text with identifiers in it is one that can be found by trying
            document = self.keys.opaque_id("document", document)
        return LookupRecord(caller, access, key, request_id, receipt, document, self.keys)


class _Run:
    """Steps 7 to 9 of one lookup, and what OUTCOME must know of them however far they came."""

    def __init__(
        self,
        lookups: Lookups,
        caller: Caller,
        access: Access,
        key: Key,
        plan: Plan,
        today: date,
        request_id: str,
    ) -> None:
        self._lookups = lookups
        self._caller = caller
        self._key = key
        self._today = today
        self.started = time.monotonic()
        self.plan = plan
        self.outcomes: dict[str, SourceOutcome] = {}
        self.relationship = plan.entitlements.floor
        self.identity = "NOT_DECIDED"
        self.shielded_by: frozenset[str] = frozenset()
        self.shield_write = ShieldWrite([], (), ())
        limits = lookups.limits
        self._fan_out = FanOut(
            request_id=request_id,
            traceparent=f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
            purpose_class=purpose_class(access.purpose),
            asker=Asker(caller.person, caller.organisation),
            deadline=Deadline.after(limits.total_seconds - limits.reserve_seconds),
            source_seconds=limits.source_seconds,
        )

    async def tree(self, receipt: str) -> Any:
        """Return the tree of what may be told. Raises Overloaded if the shield register cannot be read."""
        self.outcomes = await self._ask(self.plan.masks)
        self._note_shields()
        disclosed = await self._disclosed()
        rows = merge(disclosed.rows)
        told = self._selected(disclosed.sections)
        complete = all(o.status is not SourceStatus.NO_ANSWER for o in self.outcomes.values())
        outcome = self._outcome(rows, told, complete)
        sections = {types.python_name(d.fields[0].name if d.hoisted else n): None for n, d in SECTIONS.items()}
        return types.ChildLookup(
            outcome=outcome,
            complete=complete,
            advice=ADVICE[outcome],
            sources=[self._source_answer(source) for source in self._lookups.sources],
            receipt=strawberry.ID(receipt),
            rows=rows,
            **(sections | told),
        )

    async def _ask(
        self, masks: Mapping[str, FieldMask], named: Sequence[SourceOutcome] | None = None
    ) -> dict[str, SourceOutcome]:
        connectors = [s.connector for s in self._lookups.sources if s.enabled]
        return await self._fan_out.ask_all(ChildRef(self._key.nhs_number), connectors, masks, named)

    def _note_shields(self) -> None:
        """Any source's shield shields the whole lookup, also one on record of a source that did not answer."""
        said = {
            source: next((a.shielded for a in outcome.answers if isinstance(a.subject, ChildRef)), None)
            for source, outcome in self.outcomes.items()
        }
        try:
            on_record = self._lookups.shields.shielded_by(self._key.nhs_number)
        except ShieldsUnreadable:
            raise Overloaded(1) from None
        self.shield_write = self._lookups.shields.observed(self._key.nhs_number, said, on_record)
        lifted = {source for source, shielded in said.items() if shielded is False}
        self.shielded_by = (on_record - lifted) | {source for source, shielded in said.items() if shielded}

    async def _disclosed(self) -> Disclosed:
        facts = self._facts()
        entitlements = self.plan.entitlements
        if not corroborated(facts, entitlements, self._key.date_of_birth, self._key.family_name, self._today):
            self.identity = "UNCORROBORATED"
            return NOTHING
        self.identity = "CORROBORATED"
        if entitlements.floor is Relationship.NONE:
            self.relationship = relationship_of(self._caller, facts)
        if self._hidden():
            return NOTHING
        # The second wave: what only a relationship opens. It runs for nobody to whom nothing is disclosed.
        if more := self.plan.more(self.relationship):
            wider = {source: FieldMask(self.plan.masks[source].paths | mask.paths) for source, mask in more.items()}
            naming = {s.id for s in self._lookups.sources if s.connector.manifest.names_adults}
            named = [outcome for source, outcome in self.outcomes.items() if source in naming]
            for source, outcome in (await self._ask(wider, named)).items():
                self.outcomes[source] = _joined(self.outcomes[source], outcome)
            self._note_shields()
            if self._hidden():
                return NOTHING
            facts = self._facts()
        viewer = Viewer(self._caller, self._opaque_id)
        return disclose(facts, entitlements, self.relationship, viewer, self._today)

    def _hidden(self) -> bool:
        shielding = [s.custodian() for s in self._lookups.sources if s.id in self.shielded_by]
        return bool(self.shielded_by) and not sees_through(self._caller, self.relationship, shielding)

    def _facts(self) -> list[SourceFacts]:
        facts = [
            SourceFacts(source.custodian(), source.agency, source.broker, self._without_others(source.id, answer))
            for source in self._lookups.sources
            if source.id in self.outcomes
            for answer in self.outcomes[source.id].answers
        ]
        # an adult who was linked to somebody else under the same number is no adult of this child's
        linked = {link.adult for fact in facts for link in fact.answer.linked_adults}
        return [fact for fact in facts if isinstance(fact.answer.subject, ChildRef) or fact.answer.subject in linked]

    def _without_others(self, source: str, answer: Answered) -> Answered:
        kept = without_others(answer, self._key.date_of_birth, self._key.family_name)
        if kept is not answer:
            log.warning("entries_about_somebody_else", source=source)
        return kept

    def _opaque_id(self, custodian: str, local_id: str) -> str:
        caller = self._caller
        return self._lookups.keys.opaque_id(
            "entry", caller.issuer, caller.person, self._key.nhs_number, custodian, local_id
        )

    def _selected(self, sections: Mapping[str, Any]) -> dict[str, Any]:
        """Leave out a section of which nothing selected has a value: a source may tell more than it was asked."""
        told = {}
        for path in self.plan.selection.section_paths:
            section, _, field = (types.python_name(name) for name in path.partition("."))
            value = sections.get(section)
            if value is not None and (not field or getattr(value, field) is not None):
                told[section] = value
        return told

    def _outcome(self, rows: list[types.Involvement], told: Mapping[str, Any], complete: bool) -> LookupOutcome:
        if not complete:
            return LookupOutcome.INCOMPLETE
        returned = bool(told) or any(matching(rows, wanted) for wanted in self.plan.selection.filters)
        return LookupOutcome.DISCLOSED if returned else LookupOutcome.NOTHING_DISCLOSABLE

    def _source_answer(self, source: Source) -> types.SourceAnswer:
        agency = agency_type(source.agency)
        outcome = self.outcomes.get(source.id)
        if outcome is None:
            # a disabled source has no entitlement: the plan knows only those that can be asked
            entitlement = self.plan.entitlements.by_custodian.get(source.id)
            reason = entitlement.not_asked if entitlement is not None else None
            return types.SourceAnswer(
                agency=agency, status=SourceStatus.NOT_ASKED, reason=reason or SourceReason.DISABLED, as_of=None
            )
        as_of = [a.as_of for a in outcome.answers if a.as_of is not None]
        return types.SourceAnswer(
            agency=agency, status=outcome.status, reason=outcome.reason, as_of=min(as_of) if as_of else None
        )


def _joined(first: SourceOutcome, second: SourceOutcome) -> SourceOutcome:
    """The second, wider answer stands in place of the first; what only the first said is not lost."""
    answers = {answer.subject: answer for answer in (*first.answers, *second.answers)}
    spent = first.milliseconds + second.milliseconds
    return SourceOutcome(first.source, second.status, second.reason, second.code, tuple(answers.values()), spent)


def _extensions(plan: Plan) -> dict[str, Any]:
    return {"disclosure": {"withheld": [w.formatted() for w in plan.withheld]}}
