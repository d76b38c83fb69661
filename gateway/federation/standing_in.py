"""Stale answers in a lookup: the same question of the same person, when a source that answered it says nothing now.

Nobody is told anything by them that they were not told minutes before: what is kept is what stood in an answer to this
person, and another's lookup neither fills nor opens it. A stale entry stands beside what is known now, and nothing
rests on it: no identity, no relationship, no shield, no status, no completeness.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from auth.caller import Caller
from auth.disclosure import SourceFacts
from connectors.faults import FaultCode
from gateway.asked import Access, Key
from gateway.audit.keys import AuditKeys
from gateway.federation.fanout import SourceOutcome
from gateway.federation.sources import Source
from gateway.federation.stale_answers import Question, Stale, StaleAnswers
from gateway.plan import Plan
from schema.records import Answered, ChildRef
from schema.vocabulary import SourceStatus

_SAID_NOTHING: Final = frozenset(
    {
        FaultCode.CONNECT,
        FaultCode.DNS,
        FaultCode.DEADLINE,
        FaultCode.RESET,
        FaultCode.STATUS_5XX,
        FaultCode.RATE_LIMITED,
        FaultCode.OVERLOADED,
        FaultCode.BULKHEAD_FULL,
        FaultCode.CIRCUIT_OPEN,
    }
)
"""Trouble in which a source said nothing at all. A refusal, or an answer that cannot be believed, is not silence."""


@dataclass(frozen=True)
class StandIns:
    """The sources that may be stood in for, each with its memory."""

    sources: Sequence[tuple[Source, StaleAnswers]]
    keys: AuditKeys

    @classmethod
    def among(cls, sources: Sequence[Source], keys: AuditKeys) -> StandIns | None:
        """Return them, or None where the configuration names none: then a lookup costs nothing for it."""
        found = [(s, s.stale_answers) for s in sources if s.enabled and s.stale_answers is not None]
        return cls(found, keys) if found else None

    def of(self, caller: Caller, access: Access, key: Key, plan: Plan) -> StandIn:
        """Return what stands in in one lookup. For break-glass, and where the label could not be seen, nothing does.

        Everything that decides an answer is in the question: who asks, through what, with which rights, what for,
        about which child by which name, and under which agreements.
        """
        circumstances: Callable[..., str] | None = None
        if access.justification is None and plan.selection.labels_stale:
            circumstances = self.keys.opaque_ids(
                "stale",
                caller.issuer,
                caller.person,
                caller.client_id,
                caller.actor or "",
                caller.organisation,
                " ".join(sorted(caller.effective_roles)),
                " ".join(sorted(caller.scopes)),
                caller.assurance,
                access.purpose,
                " ".join(sorted(plan.entitlements.floor)),
                plan.entitlements.version,
                key.date_of_birth.isoformat(),
                key.family_name,
            )
        asked = [(source, memory) for source, memory in self.sources if source.id in plan.masks]
        return StandIn(asked, plan, ChildRef(key.nhs_number), self.keys.pseudonym(key.nhs_number), circumstances)


class StandIn:
    """The stale answers of one lookup."""

    def __init__(
        self,
        sources: Sequence[tuple[Source, StaleAnswers]],
        plan: Plan,
        child: ChildRef,
        pseudonym: str,
        circumstances: Callable[..., str] | None,
    ) -> None:
        """`circumstances` makes the rest of the question for a source; None: nothing is told or kept."""
        self._sources = sources
        self._plan = plan
        self._child = child
        self._pseudonym = pseudonym
        self._circumstances = circumstances
        # before anybody is asked: an entry is never made out to be newer than it is
        self._asked_at = datetime.now(UTC).replace(microsecond=0)
        self._asked = {source.id: memory.now() for source, memory in sources}

    def facts(self, outcomes: Mapping[str, SourceOutcome], *, shielded: bool) -> list[SourceFacts]:
        """Return, with its label, what this person was told by sources that say nothing now.

        What others just said is heeded first: what they no longer say is forgotten, and of a child with any shield
        everything is.
        """
        found = []
        for source, memory in self._sources:
            outcome = outcomes[source.id]
            said = self._said(outcome)
            if shielded:
                memory.forget(self._pseudonym)
            elif said is not None:
                memory.hear(self._pseudonym, said.involvements)
            elif (
                self._circumstances is not None
                and outcome.status is SourceStatus.NO_ANSWER
                and outcome.code in _SAID_NOTHING
                and (stale := memory.find(self._question(source, self._circumstances))) is not None
            ):
                found.append(self._facts(source, stale))
        return found

    def note_told(
        self, outcomes: Mapping[str, SourceOutcome], told: Collection[str], entry_id: Callable[[str, str], str]
    ) -> None:
        """Keep what the sources answered of the entries that were `told`, by their ids in the body; OUTCOME is durable.

        A source that answered and of which nothing was told has nothing kept of it.
        """
        if self._circumstances is None:
            return
        for source, memory in self._sources:
            outcome = outcomes[source.id]
            said = self._said(outcome)
            if said is None or outcome.status is not SourceStatus.ANSWERED:
                continue
            rows = [row for row in said.involvements if entry_id(source.id, row.local_id) in told] if told else []
            as_of = self._asked_at if said.as_of is None else min(said.as_of, self._asked_at)
            memory.keep(self._question(source, self._circumstances), rows, as_of, self._asked[source.id])

    def _said(self, outcome: SourceOutcome) -> Answered | None:
        """Return what a source said now about the child, whatever became of the rest of its answer."""
        return next((answer for answer in outcome.answers if answer.subject == self._child), None)

    def _question(self, source: Source, circumstances: Callable[..., str]) -> Question:
        mask = " ".join(sorted(self._plan.masks[source.id].paths))
        return Question(self._pseudonym, circumstances(source.id, mask))

    def _facts(self, source: Source, stale: Stale) -> SourceFacts:
        answer = Answered(
            self._child, stale.rows, trace=None, shielded=None, linked_adults=(), sections={}, as_of=stale.as_of
        )
        return SourceFacts(source.custodian, source.agency, source.broker, answer, stale_as_of=stale.as_of)
