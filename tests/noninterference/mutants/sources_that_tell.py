"""Channels 13 and 24: what a source's status says, which sources are called, and what earlier lookups left behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from connectors.base import Connector
from gateway.federation.fanout import FanOut, SourceOutcome
from gateway.federation.gathering import Gathering
from gateway.federation.sources import Source
from schema.records import Answered, ChildRef
from schema.vocabulary import Sensitivity, SourceReason, SourceStatus
from tests.noninterference.mutants.mutant import Mutant, SeenBy
from tests.noninterference.mutants.tampering import in_tree, kept_back, wrapping


def _nobody_asked(honest: Any) -> Any:
    async def ask(self: Gathering, masks: Any, named: Any = None) -> Any:
        if self._shields.shielded_by(self.key.nhs_number):
            return {}
        return await honest(self, masks, named)

    return ask


def _refused_status(honest: Any) -> Any:
    def answer(self: Gathering, source: Source) -> Any:
        told = honest(self, source)
        outcome = self.outcomes.get(source.id)
        rows = [row for a in outcome.answers for row in a.involvements] if outcome else []
        if any(row.refusal is not None for row in rows):
            told.status, told.reason = SourceStatus.NO_ANSWER, SourceReason.REFUSED
        return told

    return answer


def _no_status_of_silence(honest: Any) -> Any:
    """ANSWERED for a source with something to say, NOT_ASKED for one with nothing: "none" by another word."""

    def answer(self: Gathering, source: Source) -> Any:
        told = honest(self, source)
        outcome = self.outcomes.get(source.id)
        if outcome and told.status is SourceStatus.ANSWERED and not any(a.involvements for a in outcome.answers):
            told.status, told.reason = SourceStatus.NOT_ASKED, SourceReason.AWAITING
        return told

    return answer


def _second_wave_first(honest: Any) -> Any:
    """The wider ask is made before it is known whether a shield hides the child."""

    async def disclosed(self: Gathering) -> Any:
        if self._hidden() and any(self._facts()):
            await self._ask(self.plan.masks)
        return await honest(self)

    return disclosed


def _in_trouble_asked_again(honest: Any) -> Any:
    """Who did not answer is asked again about a child whom nothing hides, so that the circuit counts twice."""

    async def disclosed(self: Gathering) -> Any:
        silent = {s for s, outcome in self.outcomes.items() if outcome.status is SourceStatus.NO_ANSWER}
        if silent and not self._hidden():
            await self._ask({source: mask for source, mask in self.plan.masks.items() if source in silent}, ())
        return await honest(self)

    return disclosed


def _adults_when_named(honest: Any) -> Any:
    async def adults(self: FanOut, connector: Connector, naming: Any, named: Any, mask: Any) -> SourceOutcome:
        outcome: SourceOutcome = await honest(self, connector, naming, named, mask)
        if outcome.adults or outcome.answers or outcome.status is SourceStatus.NO_ANSWER:
            return outcome
        return replace(outcome, status=SourceStatus.NO_ANSWER, reason=SourceReason.AWAITING)

    return adults


def _stamped_if_told(run: Gathering, told: Any) -> None:
    for source in told.sources:
        if any(custodian == str(source.agency.id) for custodian, _ in run.held_back):
            source.reason = SourceReason.AWAITING


def _not_complete(run: Gathering, told: Any) -> None:
    if kept_back(run):
        told.complete = False


def _opened_by(bad: Any) -> Any:
    """A breaker that opens on what a source said of one child, and stays open for the next."""

    def around(honest: Any) -> Any:
        opened: WeakKeyDictionary[Connector, bool] = WeakKeyDictionary()

        async def ask(self: FanOut, connector: Connector, subjects: Any, mask: Any, *rest: Any) -> SourceOutcome:
            outcome: SourceOutcome = await honest(self, connector, subjects, mask, *rest)
            was_open = opened.get(connector, False)
            if any(bad(row) for answer in outcome.answers for row in answer.involvements):
                opened[connector] = True
            if not was_open:
                return outcome
            return replace(
                outcome, status=SourceStatus.NO_ANSWER, reason=SourceReason.CIRCUIT_OPEN, code="OPEN", answers=()
            )

        return ask

    return wrapping(FanOut, "_ask", around)


def _served_again(honest: Any) -> Any:
    """What a source said of a child is served again while it is fresh, to whoever asks for whatever."""
    said: WeakKeyDictionary[Connector, dict[Any, SourceOutcome]] = WeakKeyDictionary()

    async def ask(self: FanOut, connector: Connector, subjects: Any, mask: Any, *rest: Any) -> SourceOutcome:
        kept = said.setdefault(connector, {})
        key = tuple(subjects)
        if key not in kept:
            kept[key] = await honest(self, connector, subjects, mask, *rest)
        return kept[key]

    return ask


def _breaker_of_a_child(honest: Any) -> Any:
    """A child whose shield was seen opens a breaker for that child."""
    opened: set[ChildRef] = set()

    async def ask(self: FanOut, connector: Connector, subjects: Any, mask: Any, *rest: Any) -> SourceOutcome:
        outcome: SourceOutcome = await honest(self, connector, subjects, mask, *rest)
        if opened.intersection(subjects):
            return replace(outcome, status=SourceStatus.NO_ANSWER, reason=SourceReason.CIRCUIT_OPEN, answers=())
        opened.update(a.subject for a in outcome.answers if isinstance(a, Answered) and a.shielded)  # type: ignore[misc]
        return outcome

    return ask


MUTANTS = (
    Mutant(
        "nobody-asked-of-a-shielded-child",
        13,
        "No source is asked about a child who is shielded on record.",
        wrapping(Gathering, "_ask", _nobody_asked),
    ),
    Mutant(
        "refused-entry-is-a-status",
        13,
        "A source with a row that it refuses has the status NO_ANSWER(REFUSED).",
        wrapping(Gathering, "_source_answer", _refused_status),
    ),
    Mutant(
        "nothing-held-is-a-status",
        13,
        "A source that holds nothing has another status than one that does.",
        wrapping(Gathering, "_source_answer", _no_status_of_silence),
    ),
    Mutant(
        "asked-again-of-a-shielded-child",
        13,
        "The sources are asked again where a shield hides the child.",
        wrapping(Gathering, "_disclosed", _second_wave_first),
        SeenBy.WORK,
    ),
    Mutant(
        "no-adult-is-a-status",
        13,
        "A linked-adult source says AWAITING when no adult is linked.",
        wrapping(FanOut, "_ask_adults", _adults_when_named),
    ),
    Mutant(
        "held-back-is-a-reason", 13, "A source of which something is held back has a reason.", in_tree(_stamped_if_told)
    ),
    Mutant(
        "held-back-is-incomplete",
        13,
        "An answer from which something is held back is not complete.",
        in_tree(_not_complete),
    ),
    Mutant(
        "breaker-opened-by-a-refused-entry",
        24,
        "A refused entry opens the source's breaker for the next lookup.",
        _opened_by(lambda row: row.refusal is not None),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "breaker-opened-by-a-sensitive-entry",
        24,
        "A sensitive entry opens the source's breaker.",
        _opened_by(lambda row: row.sensitivity is not Sensitivity.STANDARD),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "breaker-of-a-shielded-child",
        24,
        "A shield that was seen opens a breaker for that child.",
        wrapping(FanOut, "_ask", _breaker_of_a_child),
        SeenBy.SEQUENCE,
    ),
    Mutant(
        "trouble-counted-twice-if-nothing-is-hidden",
        24,
        "A source in trouble is called once more where no shield hides the child, and its circuit opens sooner.",
        wrapping(Gathering, "_disclosed", _in_trouble_asked_again),
    ),
    Mutant(
        "stale-answer-of-another's-lookup",
        24,
        "What a source told for one caller is served again to the next.",
        wrapping(FanOut, "_ask", _served_again),
        SeenBy.SEQUENCE,
    ),
)
