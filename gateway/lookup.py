"""One lookup, step by step, top to bottom.

No record, no disclosure: INTENT is durable before any agency is asked, OUTCOME before a byte leaves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from auth.appointments import AppointmentRegister
from auth.caller import Caller
from auth.entitlements import Entitlements
from auth.policy import LOOK_UP_A_CHILD
from auth.rules import OVERRIDE_SIGN_IN_SECONDS, LookupRequest, Refusal
from auth.sharing import AgreementSet
from auth.standing import NO_STANDING, Standing, strongest
from connectors.faults import FaultCode
from gateway.asked import Access, AdultRefused, Key, access_from, key_from
from gateway.audit.canonical import NotCanonical
from gateway.audit.charging import Count
from gateway.audit.errors import AuditError, BudgetSpent
from gateway.audit.events import AdminAction, EventKind
from gateway.audit.keys import AuditKeys
from gateway.audit.log import AuditLog
from gateway.budgets import Charge
from gateway.errors import (
    AuditUnavailable,
    Forbidden,
    GatewayError,
    InternalServerError,
    Overloaded,
    Unauthenticated,
)
from gateway.exhaustion import EXHAUSTION
from gateway.federation.fanout import SourceOutcome
from gateway.federation.gathering import Gathering, LookupLimits
from gateway.federation.sources import Source
from gateway.federation.standing_in import StandIns
from gateway.floor import appointment_of, floor_of
from gateway.graphql.documents import Operation
from gateway.legal_day import legal_today
from gateway.lookup_budgets import LookupBudgets
from gateway.lookup_record import LookupRecord, document_of
from gateway.metrics import note_lookup
from gateway.plan import Plan, Planner
from gateway.randomness import RANDOM
from gateway.register_requests import RegisterRequest
from gateway.reviews import Reviews
from gateway.shields import DatabaseShields
from schema.made_quickly import made_quickly
from schema.vocabulary import LookupOutcome, Purpose, Relationship

log = structlog.get_logger("gateway.lookup")


@made_quickly
@dataclass(frozen=True, slots=True)
class Encoded:
    """A response body, and what it discloses as `gateway.disclosed_fields` reads it."""

    body: bytes
    entries: Sequence[Mapping[str, Any]]
    sections: Sequence[str]


@made_quickly
@dataclass(frozen=True, slots=True)
class Answer:
    """The response of a lookup whose OUTCOME is durable; `within` if it had less than the usual time by request."""

    body: bytes
    within: int | None = None


@dataclass(frozen=True)
class Lookups:
    """Everything that a lookup needs, wired once."""

    sources: Sequence[Source]
    agreements: Callable[[], AgreementSet]
    planner: Planner
    shields: DatabaseShields
    budgets: LookupBudgets
    log: AuditLog
    keys: AuditKeys
    limits: LookupLimits
    step_up: Callable[[int | None], str]  # the RFC 9470 challenge, with a `max_age` or without
    recheck: Callable[[Caller], None]  # raises a GatewayError if the token ended or was revoked meanwhile
    appointments: AppointmentRegister
    reviews: Reviews
    gathering: type[Gathering] = Gathering
    stand_ins: StandIns | None = None  # None: no source is stood in for by what it said before

    def entitlements(self, caller: Caller, purpose: Purpose, floor: Standing = NO_STANDING) -> Entitlements:
        """Return what is open to a caller for a purpose today, before anything is known of a child but the floor."""
        today = legal_today()
        return self.planner.entitlements(self.agreements(), caller, purpose, today, floor)

    async def answer(
        self,
        caller: Caller,
        operation: Operation,
        variables: Mapping[str, Any],
        arguments: Mapping[str, Any],
        request_id: str,
        encode: Callable[[Any, dict[str, Any]], Encoded],
        *,
        within: int | None = None,
        since: float | None = None,
    ) -> Answer:
        """Return the answer once its OUTCOME is on disk.

        `encode` answers the operation from the tree; `within`: the seconds that the client waits, which can only
        shorten a lookup; `since`: from when its time runs, by the monotonic clock, if not from now. Raises
        GatewayError: Overloaded if that time is over already.
        """
        started = time.monotonic()
        limits = self.limits
        if within is not None and within < limits.total_seconds:
            limits = replace(limits, total_seconds=within, shortened=True)
        begun = started if since is None else since
        if 0 < limits.total_seconds - limits.reserve_seconds <= started - begun:
            raise Overloaded(1)
        today = legal_today()
        agreements = self.agreements()
        # 2. What is asked, from the input alone.
        access = access_from(arguments["access"])
        try:
            key = key_from(arguments["key"], access.purpose, today)
        except AdultRefused:
            await self._note_adult(self._record(caller, access, None, operation, request_id, None, started), agreements)
            raise
        # 3. The plan: before anything is executed or asked.
        floor = await floor_of(self.planner, self.appointments, agreements, caller, access, key, today)
        record = self._record(caller, access, key, operation, request_id, floor.appointment, started)
        plan = self.planner.plan(operation, variables, floor.entitlements)
        # 4. Budgets.
        charge = await self.budgets.charge(record, agreements)
        # 5. May this caller, for this purpose, look up a child at all?
        await self._permit(caller, access, plan, record, agreements, charge)
        # 6. INTENT.
        basis = agreements.basis(access.purpose, today)
        intent = await self._charged(
            EventKind.INTENT, record.intent(plan, agreements, basis), charge, record, agreements
        )
        # 7. to 9. Ask, corroborate, merge, disclose; whatever happens, INTENT gets its OUTCOME.
        run = self.gathering(
            self.sources, self.shields, self.keys, limits, caller, access, key, plan, today, record.ask_id, begun
        )
        if self.stand_ins is not None:
            run.stand_in = self.stand_ins.of(caller, access, key, plan)
        left = "FAILED"
        try:
            encoded, left = await self._run(record, intent, run, charge, agreements, encode)
            return Answer(encoded.body, None if limits is self.limits else within)
        finally:
            # after the hold: who reads the metrics would else see how long it took to find nothing
            note_lookup(left, run.outcomes.values(), time.monotonic() - run.started)

    async def _run(
        self,
        record: LookupRecord,
        intent: int,
        run: Gathering,
        charge: Charge,
        agreements: AgreementSet,
        encode: Callable[[Any, dict[str, Any]], Encoded],
    ) -> tuple[Encoded, str]:
        """Return the response and the outcome once OUTCOME is durable; what ends without a disclosure is held."""
        override = None
        try:
            if record.access.justification is not None:
                override = await self._record_override(record, run.key, intent)
            tree = await run.tree(record.receipt)
            for source in run.outcomes.values():
                if source.code == FaultCode.MISMATCH:
                    await self._alarm(source)
            encoded = encode(tree, run.plan.extensions)
            await self._recheck(record.caller, record.access, run.key, run.plan, run, agreements)
        except BaseException as fault:
            await self._close(record, intent, run, charge, override, outcome="FAILED", fault=_code_of(fault))
            if not isinstance(fault, Exception):
                raise
            await self._quiet(run)
            if isinstance(fault, GatewayError):
                raise
            if isinstance(fault, EXHAUSTION):
                raise Overloaded(1) from fault
            raise InternalServerError(record.request_id) from fault
        # 10. OUTCOME, with exactly what the body holds; then the body leaves.
        try:
            await self._close(record, intent, run, charge, override, tree.outcome, encoded)
        except NotCanonical as fault:
            # the log cannot hold what some source said: then it does not leave, and INTENT is not left open
            await self._close(record, intent, run, charge, override, outcome="FAILED", fault=_code_of(fault))
            await self._quiet(run)
            raise InternalServerError(record.request_id) from fault
        if run.stand_in is not None:
            run.note_told(run.stand_in, encoded.entries)
        if not (encoded.entries or encoded.sections):
            await self._quiet(run)
        return encoded, tree.outcome

    async def _record_override(self, record: LookupRecord, key: Key, intent: int) -> int:
        """Return the seq of the override, on record before any agency is asked, and in the queue of reviews with it."""
        request = RegisterRequest(record.caller, record.request_id, record.document)
        item = self.reviews.opening(request, self.keys.pseudonym(key.nhs_number), record.access.purpose, record.receipt)
        payload = record.override(intent, item.id, item.due_at)
        return await self._append(EventKind.OVERRIDE, payload, item.statements(self.log.shard))

    async def _recheck(
        self, caller: Caller, access: Access, key: Key, plan: Plan, run: Gathering, began_with: AgreementSet
    ) -> None:
        """Raise if the token, what the agreements open or an appointment ended meanwhile: then nothing leaves.

        `began_with` are the agreements of the plan. What is open hangs on them, on the date and on the token's claims.
        """
        self.recheck(caller)
        agreements, today = self.agreements(), legal_today()
        if agreements is not began_with or today != run.today:
            now = self.planner.entitlements(agreements, caller, access.purpose, today, plan.entitlements.floor)
            if now is not plan.entitlements and not now.still_opens(plan.entitlements, run.standing):
                raise Overloaded(1)
        if Relationship.APPOINTED not in plan.entitlements.floor:
            return
        if await appointment_of(self.appointments, caller, access, key, today) is None:
            raise Overloaded(1)

    async def _quiet(self, run: Gathering) -> None:
        """Hold an answer without a disclosure to the next multiple of `quiet_seconds`: its time then tells nothing."""
        if (step := self.limits.quiet_seconds) > 0:
            spent = time.monotonic() - run.started
            await asyncio.sleep(step - spent % step)

    async def _charged(
        self,
        kind: EventKind,
        payload: Mapping[str, Any],
        charge: Charge,
        record: LookupRecord,
        agreements: AgreementSet,
    ) -> int:
        """Return the seq of the record with which the lookup was charged. Raises RateLimited: then it was not."""
        try:
            return await self._append(kind, payload, charges=charge.counts)
        except BudgetSpent as spent:
            await self.budgets.refuse(spent.passed, record, agreements)

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
                now=time.time(),
            )
        )
        if decision:
            return
        reason = getattr(decision, "reason", "")
        await self._charged(EventKind.DENIED, record.denied(reason, decision, agreements), charge, record, agreements)
        if reason in {Refusal.STEP_UP_REQUIRED, Refusal.SIGN_IN_TOO_OLD}:
            if access.justification is None:
                raise Unauthenticated(self.step_up(None), "A stronger sign-in is needed for this.")
            raise Unauthenticated(
                self.step_up(OVERRIDE_SIGN_IN_SECONDS), "A new and strong sign-in is needed for this."
            )
        raise Forbidden

    async def _note_adult(self, record: LookupRecord, agreements: AgreementSet) -> None:
        """Record that somebody asked about an adult, and charge it; not about whom: nothing of an adult is kept."""
        charge = await self.budgets.charge(record, agreements)
        await self._charged(EventKind.DENIED, record.denied("ADULT", None, agreements), charge, record, agreements)

    async def _alarm(self, outcome: SourceOutcome) -> None:
        """An answer about another identifier is not only no answer: somebody must look at that source."""
        log.error("answer_about_another_identifier", source=outcome.source)
        payload = {"action": AdminAction.INVALID_ANSWER_ALARM, "source": outcome.source, "detail": outcome.code}
        await self._append(EventKind.ADMIN, payload)

    async def _close(
        self,
        record: LookupRecord,
        intent: int,
        run: Gathering,
        charge: Charge,
        override: int | None,
        outcome: str,
        encoded: Encoded | None = None,
        fault: str | None = None,
    ) -> None:
        encoded = encoded or Encoded(b"", (), ())
        disclosed = bool(encoded.entries or encoded.sections) or outcome == LookupOutcome.DISCLOSED
        payload = record.outcome(
            intent=intent,
            outcome=outcome,
            plan=run.plan,
            relationship=strongest(run.standing),
            shown_by=run.relationship_shown_by,
            override=override,
            standing=run.standing,
            fault=fault,
            identity=run.identity,
            asked=run.asked,
            sources=list(run.outcomes.values()),
            shields=run.shield_write,
            shielded=sorted(run.shielded_by),
            held_back=run.held_back,
            entries=encoded.entries,
            sections=encoded.sections,
            body=encoded.body,
        )
        statements = run.shield_write.statements
        await self._append(EventKind.OUTCOME, payload, statements, charge.settled(disclosed=disclosed))

    async def _append(
        self, kind: EventKind, payload: Mapping[str, Any], alongside: Sequence[Any] = (), charges: Sequence[Count] = ()
    ) -> int:
        try:
            return (await self.log.append(kind, payload, alongside=alongside, charges=charges)).seq
        except BudgetSpent:
            raise
        except AuditError:
            raise AuditUnavailable(1) from None

    def _record(
        self,
        caller: Caller,
        access: Access,
        key: Key | None,
        operation: Operation,
        request_id: str,
        appointment: str | None,
        started: float,
    ) -> LookupRecord:
        subject = None if key is None else self.keys.pseudonym(key.nhs_number)
        document = document_of(operation, self.keys)
        receipt, ask_id = RANDOM.text(16), RANDOM.uuid()
        return LookupRecord(
            caller, access, key, subject, request_id, ask_id, receipt, document, self.keys, appointment, started
        )


def _code_of(fault: BaseException) -> str:
    """Return the code of an error with which a lookup ends; one that is no refusal of ours is an error of ours."""
    if isinstance(fault, EXHAUSTION):
        return Overloaded.code
    return fault.code if isinstance(fault, GatewayError) else InternalServerError.code
