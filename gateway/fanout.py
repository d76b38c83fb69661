"""Asks every source at once, each within its own deadline; one source's trouble costs its own answer.

Linked-adult sources wait for the sources that name adults, then are called in every lookup: with the adults'
identifiers, or by their health call over the same deadline and pool, so that their status does not depend on the child.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from auth.paths import INVOLVEMENTS, LINKED_ADULT
from connectors.base import Ask, Asker, Deadline, FieldMask
from connectors.faults import SourceFailed
from gateway.upstream import Upstream
from schema.records import AdultRef, Answered, ChildRef, NoAnswer, SubjectRef
from schema.vocabulary import PurposeClass, SourceReason, SourceStatus

log = structlog.get_logger("gateway.fanout")

OUR_FAULT = "CONNECTOR_FAULT"
NOT_NAMED = "ADULT_NOT_NAMED"
_MOST_TAKEN = 2 / 3  # of the time that a source is usually given: where more is gone, its circuit counts no deadline


@dataclass(frozen=True, slots=True)
class SourceOutcome:
    """What one source did in one lookup. `answers` may hold some of several adults' answers beside a NO_ANSWER."""

    source: str
    status: SourceStatus
    reason: SourceReason | None
    code: str | None  # the finer code, for audit and metrics only
    answers: tuple[Answered, ...]
    milliseconds: int
    adults: int = 0  # how many linked adults it was asked about
    shared_call: str | None = None  # the request id that the source saw, where other lookups shared the call


@dataclass(frozen=True, slots=True)
class FanOut:
    """One fan-out: what is the same for every source."""

    request_id: str
    traceparent: str | None
    purpose_class: PurposeClass
    asker: Asker
    deadline: Deadline  # of the whole fan-out
    source_seconds: float  # what one source may take of it
    silent: frozenset[str] = frozenset()  # the sources where the agreement asks for a silent read
    alone: bool = False  # its asks share no call with another lookup's
    of_this_child: Callable[[Answered], Answered] = lambda answer: answer
    """Leaves out of an answer what hangs on somebody else's record: no agency is asked about that person's adults."""

    async def ask_all(
        self,
        child: ChildRef,
        upstreams: Sequence[Upstream],
        masks: Mapping[str, FieldMask],
        named: Sequence[SourceOutcome] | None = None,
    ) -> dict[str, SourceOutcome]:
        """Return the outcome of every connector that has a mask, by id. Raises nothing but cancellation.

        `named`: what an earlier wave said of linked adults, so that it is not asked again.
        """
        loop = asyncio.get_running_loop()
        asked = [c for c in upstreams if c.manifest.agency.id in masks]
        about_child = [c for c in asked if ChildRef in c.manifest.subjects]
        about_adults = [c for c in asked if ChildRef not in c.manifest.subjects]
        tasks = {
            c.manifest.agency.id: loop.create_task(self._ask(c, (child,), masks[c.manifest.agency.id]))
            for c in about_child
        }
        naming: Sequence[asyncio.Future[SourceOutcome]] = [
            tasks[c.manifest.agency.id] for c in about_child if c.manifest.names_adults
        ]
        for c in about_adults:
            tasks[c.manifest.agency.id] = loop.create_task(
                self._ask_adults(c, naming, named, masks[c.manifest.agency.id])
            )
        try:
            # in turn: all run already, and none raises. A gather of them costs more than the waking in between.
            return {source: await task for source, task in tasks.items()}
        finally:
            for task in tasks.values():
                task.cancel()

    async def _ask_adults(
        self,
        upstream: Upstream,
        naming: Sequence[asyncio.Future[SourceOutcome]],
        named: Sequence[SourceOutcome] | None,
        mask: FieldMask,
    ) -> SourceOutcome:
        if named is None:
            named = await asyncio.gather(*naming)
        adults = linked_adults([replace(n, answers=tuple(map(self.of_this_child, n.answers))) for n in named])
        if adults:
            outcome = replace(await self._ask(upstream, adults, _about_adults(mask)), adults=len(adults))
        else:
            outcome = await self._health(upstream)
        silent = next((n for n in named if n.status is SourceStatus.NO_ANSWER), None)
        if silent is None or outcome.status is SourceStatus.NO_ANSWER:
            return outcome
        # who could have named an adult did not answer: this source cannot be said to have been asked about everybody
        return replace(outcome, status=SourceStatus.NO_ANSWER, reason=silent.reason, code=NOT_NAMED)

    async def _health(self, upstream: Upstream) -> SourceOutcome:
        source, started = upstream.manifest.agency.id, asyncio.get_running_loop().time()
        try:
            ask = self._as(upstream)
            async with asyncio.timeout(ask.deadline.remaining()):
                well = await upstream.health(ask)
        except SourceFailed as failed:
            return _none(source, failed.reason, failed.code, started)
        except TimeoutError:
            return _none(source, SourceReason.TIMEOUT, "DEADLINE", started)
        except Exception as fault:
            return _ours(source, fault, started)
        if well is not True:
            return _none(source, SourceReason.PROTOCOL, OUR_FAULT, started)
        return SourceOutcome(source, SourceStatus.ANSWERED, None, None, (), _since(started))

    async def _ask(self, upstream: Upstream, subjects: Sequence[SubjectRef], mask: FieldMask) -> SourceOutcome:
        source, started = upstream.manifest.agency.id, asyncio.get_running_loop().time()
        try:
            ask = self._as(upstream)
            async with asyncio.timeout(ask.deadline.remaining()):
                said = await upstream.involvements(subjects, mask, ask, alone=self.alone)
            answers = dict(said.answers)
        except SourceFailed as failed:
            return _none(source, failed.reason, failed.code, started)
        except TimeoutError:
            return _none(source, SourceReason.TIMEOUT, "DEADLINE", started)
        except Exception as fault:
            return _ours(source, fault, started)
        answered: list[Answered] = []
        trouble: NoAnswer | None = None
        for subject in subjects:
            answer = answers.get(subject)
            if isinstance(answer, Answered) and answer.subject == subject:
                answered.append(answer)
            elif isinstance(answer, NoAnswer):
                trouble = trouble or answer
            else:
                trouble = trouble or NoAnswer(subject, SourceReason.INVALID_ANSWER, "MISMATCH")
        if trouble is None:
            return SourceOutcome(
                source,
                SourceStatus.ANSWERED,
                None,
                None,
                tuple(answered),
                _since(started),
                shared_call=said.shared_call,
            )
        return SourceOutcome(
            source,
            SourceStatus.NO_ANSWER,
            trouble.reason,
            trouble.code,
            tuple(answered),
            _since(started),
            shared_call=said.shared_call,
        )

    def _as(self, upstream: Upstream) -> Ask:
        usual = min(self.source_seconds, upstream.manifest.timeout_seconds)
        own = Deadline.after(usual).at
        at = min(self.deadline.at, own)
        return Ask(
            request_id=self.request_id,
            traceparent=self.traceparent,
            purpose_class=self.purpose_class,
            deadline=Deadline(at, hurried=own - at > usual * _MOST_TAKEN),
            asker=self.asker if upstream.manifest.answers_depend_on_asker else None,
            silent=upstream.manifest.agency.id in self.silent,
        )


def _about_adults(mask: FieldMask) -> FieldMask:
    """Return the mask in a driver's words: its entries are `involvements` to it, whomever they are about.

    That the entry concerns a linked adult is the gateway's own distinction, and the door's to judge.
    """
    if LINKED_ADULT not in mask:
        return mask
    return FieldMask(mask.paths - {LINKED_ADULT} | {INVOLVEMENTS})


def linked_adults(named: Sequence[SourceOutcome]) -> tuple[AdultRef, ...]:
    """Return every adult that the answers name, once each, in one order whoever names them.

    What is told of the adults stands in the order in which they were asked about. An answer may be put aside later, as
    one about somebody else; the order in which it named them would still show.
    """
    found = {link.adult for outcome in named for answer in outcome.answers for link in answer.linked_adults}
    return tuple(sorted(found, key=lambda adult: adult.identifier))


def _none(source: str, reason: SourceReason, code: str, started: float) -> SourceOutcome:
    return SourceOutcome(source, SourceStatus.NO_ANSWER, reason, code, (), _since(started))


def _ours(source: str, fault: Exception, started: float) -> SourceOutcome:
    # the type alone: an exception's text may quote what was asked
    log.error("connector_fault", source=source, exception=type(fault).__qualname__)
    return _none(source, SourceReason.PROTOCOL, OUR_FAULT, started)


def _since(started: float) -> int:
    return round((asyncio.get_running_loop().time() - started) * 1000)
