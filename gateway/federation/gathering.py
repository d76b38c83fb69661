"""Steps 7 to 9 of a lookup: ask, corroborate, merge, disclose; and what OUTCOME must know of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

import strawberry
import structlog

from auth.caller import Caller
from auth.disclosure import (
    Disclosed,
    HeldBackRows,
    SourceFacts,
    Viewer,
    agency_type,
    disclose,
    nothing,
    relationship_of,
)
from auth.shielding import ShieldsUnreadable, sees_through
from auth.standing import standing_of
from connectors.base import Asker, Deadline, FieldMask
from gateway.asked import Access, Key
from gateway.audit.keys import AuditKeys
from gateway.errors import Overloaded
from gateway.federation.corroboration import corroborated, without_others
from gateway.federation.fanout import FanOut, SourceOutcome
from gateway.federation.merge import in_order, merge
from gateway.federation.sources import Source
from gateway.federation.standing_in import StandIn
from gateway.graphql.compiled import matching
from gateway.plan import Plan
from gateway.randomness import RANDOM
from gateway.shields import DatabaseShields, ShieldWrite
from schema import types
from schema.records import ChildRef
from schema.sections import SECTIONS
from schema.vocabulary import HeldBack, LookupOutcome, SourceReason, SourceStatus, purpose_class

log = structlog.get_logger("gateway.federation.gathering")

CORROBORATED, UNCORROBORATED = "CORROBORATED", "UNCORROBORATED"  # `identity` in OUTCOME

_NO_SECTIONS = {types.python_name(d.fields[0].name if d.hoisted else n): None for n, d in SECTIONS.items()}

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
    """Seconds that one lookup, one source in it, and the work after the sources may take.

    An answer that discloses nothing leaves at a multiple of `quiet_seconds` from its start, so that its time does not
    tell a shielded or a known child from an unknown one. A positive answer is never held.
    """

    total_seconds: float = 2.5
    source_seconds: float = 1.5
    reserve_seconds: float = 0.25
    quiet_seconds: float = 0.25
    shortened: bool = False  # `total_seconds` is less than usual, by the wish of a client


class Gathering:
    """Steps 7 to 9 of one lookup, and what OUTCOME must know of them however far they came."""

    def __init__(
        self,
        sources: Sequence[Source],
        shields: DatabaseShields,
        keys: AuditKeys,
        limits: LookupLimits,
        caller: Caller,
        access: Access,
        key: Key,
        plan: Plan,
        today: date,
        ask_id: str,
        begun: float,
    ) -> None:
        """`ask_id` is what agencies see: made here for this lookup, and nothing that the caller could choose.

        `begun`: since when the total runs, by the monotonic clock: what came before the agencies is part of it.
        """
        self._sources = sources
        self._shields = shields
        self._keys = keys
        self._caller = caller
        self.key = key
        self.today = today
        self.started = time.monotonic()
        self.plan = plan
        self.outcomes: dict[str, SourceOutcome] = {}
        self._entry_id: Callable[[str, str], str] | None = None
        self.standing = plan.entitlements.floor
        self.relationship_shown_by: str | None = None  # the custodian whose entry makes the relationship
        self.held_back: HeldBackRows = {}
        self.identity = "NOT_DECIDED"
        self.shielded_by: frozenset[str] = frozenset()
        self.shield_write = ShieldWrite([], (), ())
        self.stand_in: StandIn | None = None  # of a gateway that tells stale answers
        self.asked: dict[str, frozenset[str]] = {}  # what each source was asked for, over both waves
        spent = self.started - begun
        deadline = Deadline.after(limits.total_seconds - limits.reserve_seconds - spent)
        # what the client took from the sources, or we did, says nothing of them
        hurried = limits.shortened or spent > limits.reserve_seconds
        self._fan_out = FanOut(
            request_id=ask_id,
            traceparent=RANDOM.traceparent(),
            purpose_class=purpose_class(access.purpose),
            asker=Asker(caller.person, caller.organisation),
            deadline=Deadline(deadline.at, hurried=hurried),
            source_seconds=limits.source_seconds,
            silent=plan.silent,
            alone=access.justification is not None,  # break-glass waits for nobody
            of_this_child=partial(without_others, date_of_birth=key.date_of_birth, family_name=key.family_name),
        )

    async def tree(self, receipt: str) -> Any:
        """Return the tree of what may be told. Raises Overloaded if the shield register cannot be read."""
        self.outcomes = await self._ask(self.plan.masks)
        await self._note_shields()
        disclosed = await self._disclosed()
        self.held_back = disclosed.held_back
        return self._merged(disclosed, receipt)

    def _merged(self, disclosed: Disclosed, receipt: str) -> types.ChildLookup:
        rows = merge(disclosed.rows)
        if self.stand_in is not None:
            rows += self._stood_in(self.stand_in)
        told = self._selected(disclosed.sections)
        complete = True
        for each in self.outcomes.values():
            if each.status is SourceStatus.NO_ANSWER:
                complete = False
        outcome = self._outcome(rows, told, complete)
        # what nobody reads is not made
        sources = [self._source_answer(s) for s in self._sources] if self.plan.selection.tells_of_sources else []
        return types.ChildLookup(
            outcome=outcome,
            complete=complete,
            advice=ADVICE[outcome],
            sources=sources,
            receipt=strawberry.ID(receipt),
            rows=rows,
            **(_NO_SECTIONS | told),
        )

    async def _ask(
        self, masks: Mapping[str, FieldMask], named: Sequence[SourceOutcome] | None = None
    ) -> dict[str, SourceOutcome]:
        upstreams = [s.upstream for s in self._sources if s.enabled]
        self.asked |= {source: mask.paths for source, mask in masks.items()}
        return await self._fan_out.ask_all(ChildRef(self.key.nhs_number), upstreams, masks, named)

    async def _note_shields(self) -> None:
        """Any source's shield shields the whole lookup, also one on record of a source that did not answer."""
        said: dict[str, bool | None] = {}
        lifted, told = set(), set()
        for source, outcome in self.outcomes.items():
            shielded = said[source] = _said_of_the_child(outcome)
            if shielded:
                told.add(source)
            elif shielded is False:
                lifted.add(source)
        try:
            on_record = await self._shields.shielding(self.key.nhs_number)
        except ShieldsUnreadable:
            raise Overloaded(1) from None
        self.shield_write = self._shields.observed(self.key.nhs_number, said, on_record)
        self.shielded_by = (on_record - lifted) | told | await self._unread()

    async def _unread(self) -> frozenset[str]:
        """Sources that list their shields, whose list has never been read and that do not answer now: presumed to."""
        listing = [s.id for s in self._sources if s.enabled and s.connector.manifest.lists_shields]
        if not listing:
            return frozenset()
        try:
            unread = await self._shields.never_read(listing)
        except ShieldsUnreadable:
            raise Overloaded(1) from None
        return unread - {s for s in unread if self._answers(s)}

    def _answers(self, source: str) -> bool:
        outcome = self.outcomes.get(source)
        return outcome is not None and outcome.status is SourceStatus.ANSWERED

    async def _disclosed(self) -> Disclosed:
        facts = self._facts()
        entitlements = self.plan.entitlements
        if not corroborated(facts, entitlements, self.key.date_of_birth, self.key.family_name, self.today):
            self.identity = UNCORROBORATED
            return nothing(facts, HeldBack.UNCORROBORATED)
        self.identity = CORROBORATED
        relationship, self.relationship_shown_by = relationship_of(self._caller, facts)
        self.standing = entitlements.floor | standing_of(relationship)
        if self._hidden():
            return nothing(facts, HeldBack.SHIELDED)
        # The second wave: what only a relationship opens. It runs for nobody to whom nothing is disclosed.
        if more := self.plan.more(self.standing):
            # Nobody is asked again who did not answer: how often a source in trouble is called, and so when its
            # circuit opens, must not depend on what is known of the child.
            wider = {
                source: FieldMask(self.plan.masks[source].paths | mask.paths)
                for source, mask in more.items()
                if self.outcomes[source].status is SourceStatus.ANSWERED or self.outcomes[source].answers
            }
            naming = {s.id for s in self._sources if s.connector.manifest.names_adults}
            named = [outcome for source, outcome in self.outcomes.items() if source in naming]
            for source, outcome in (await self._ask(wider, named)).items():
                self.outcomes[source] = _joined(self.outcomes[source], outcome)
            await self._note_shields()
            facts = self._facts()
            if self._hidden():
                return nothing(facts, HeldBack.SHIELDED)
        viewer = Viewer(self._caller, self._opaque_ids())
        return disclose(facts, entitlements, self.standing, viewer, self.today)

    def _stood_in(self, stand_in: StandIn) -> list[types.Involvement]:
        """Return stale entries, decided about anew by what is known without them; they come last."""
        facts = stand_in.facts(self.outcomes, shielded=bool(self.shielded_by))
        if not facts or self.identity != CORROBORATED:
            return []
        viewer = Viewer(self._caller, self._opaque_ids())
        disclosed = disclose(facts, self.plan.entitlements, self.standing, viewer, self.today)
        self.held_back = {**self.held_back, **disclosed.held_back}
        return in_order(disclosed.rows)

    def note_told(self, stand_in: StandIn, entries: Sequence[Mapping[str, Any]]) -> None:
        """Keep for later what was told of these entries, as OUTCOME has them; a shielded child's are not kept."""
        if not self.shielded_by:
            live = {entry["entry"] for entry in entries if "staleAsOf" not in entry}
            stand_in.note_told(self.outcomes, live, self._opaque_ids())

    def _hidden(self) -> bool:
        if not self.shielded_by:
            return False
        custodians = {s.id: s.custodian for s in self._sources}
        shielding = [custodians.get(source) for source in self.shielded_by]
        return not sees_through(self._caller, self.standing, shielding)

    def _facts(self) -> list[SourceFacts]:
        facts: list[SourceFacts] = []
        born, family_name = self.key.date_of_birth, self.key.family_name
        for source in self._sources:
            outcome = self.outcomes.get(source.id)
            for answer in outcome.answers if outcome is not None else ():
                kept = without_others(answer, born, family_name)
                if kept is not answer:
                    log.warning("entries_about_somebody_else", source=source.id)
                facts.append(SourceFacts(source.custodian, source.agency, source.broker, kept))
        # an adult who was linked to somebody else under the same number is no adult of this child's
        linked = {link.adult for fact in facts for link in fact.answer.linked_adults}
        return [fact for fact in facts if isinstance(fact.answer.subject, ChildRef) or fact.answer.subject in linked]

    def _opaque_ids(self) -> Callable[[str, str], str]:
        """Return what makes the ids of entries, by custodian and local id: this caller's, for this child."""
        if self._entry_id is None:
            caller = self._caller
            self._entry_id = self._keys.opaque_ids("entry", caller.issuer, caller.person, self.key.nhs_number)
        return self._entry_id

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
        if told:
            return LookupOutcome.DISCLOSED
        for wanted in self.plan.selection.filters:
            if matching(rows, wanted):
                return LookupOutcome.DISCLOSED
        return LookupOutcome.NOTHING_DISCLOSABLE

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


def _said_of_the_child(outcome: SourceOutcome) -> bool | None:
    """Return whether the source's answer about the child carries a shield; None if it does not say."""
    for answer in outcome.answers:
        if isinstance(answer.subject, ChildRef):
            return answer.shielded
    return None


def _joined(first: SourceOutcome, second: SourceOutcome) -> SourceOutcome:
    """The second, wider answer stands in place of the first; what only the first said is not lost."""
    answers = {answer.subject: answer for answer in (*first.answers, *second.answers)}
    spent = first.milliseconds + second.milliseconds
    return replace(
        second,
        answers=tuple(answers.values()),
        milliseconds=spent,
        shared_call=first.shared_call,
        second_call=second.shared_call,
    )
