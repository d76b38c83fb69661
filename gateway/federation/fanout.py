"""Asks every source at once, each within its own deadline; one source's trouble costs its own answer.

Linked-adult sources wait for the sources that name adults, then are called in every lookup: with the adults'
identifiers, or by their health call over the same deadline and pool, so that their status does not depend on the child.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import structlog

from auth.paths import INVOLVEMENTS, LINKED_ADULT
from connectors.answers import SUBJECT_KIND
from connectors.base import Ask, Asker, Deadline, FieldMask
from connectors.faults import FaultCode, SourceFailed
from gateway.federation.upstream import Upstream
from schema.made_quickly import made_quickly
from schema.records import AdultRef, Answered, ChildRef, NoAnswer, SubjectRef
from schema.vocabulary import PurposeClass, SourceReason, SourceStatus

log = structlog.get_logger("gateway.federation.fanout")

OUR_FAULT = "CONNECTOR_FAULT"
NOT_NAMED = "ADULT_NOT_NAMED"
UNTOLD = "UNTOLD"  # in place of a code that is none of these: a driver's own words may quote what was asked
SOURCE_CODES = frozenset({*FaultCode, SUBJECT_KIND, OUR_FAULT, NOT_NAMED, UNTOLD})
_ANSWERED = SourceStatus.ANSWERED  # bound once: to look a word up in its list takes a while
_MOST_TAKEN = 2 / 3  # of the time that a source is usually given: where more is gone, its circuit counts no deadline


@made_quickly
@dataclass(frozen=True, slots=True)
class SourceOutcome:
    """What one source did in one lookup. `answers` may hold some of several adults' answers beside a NO_ANSWER."""

    source: str
    status: SourceStatus
    reason: SourceReason | None
    code: str | None  # the finer code, one of SOURCE_CODES, for audit and metrics only
    answers: tuple[Answered, ...]
    milliseconds: int
    adults: int = 0  # how many linked adults it was asked about
    shared_call: str | None = None  # the request id that the source saw, where other lookups shared the call
    second_call: str | None = None  # the same of a second wave


@made_quickly
@dataclass(frozen=True, slots=True)
class FanOut:
    """One fan-out: what is the same for every source."""

    request_id: str
    traceparent: str | None
    purpose_class: PurposeClass
    asker: Asker
    deadline: Deadline  # of the whole fan-out; if hurried, no source is judged by what it did not manage in less time
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
        asked = [c for c in upstreams if c.source in masks]
        about_child = [c for c in asked if ChildRef in c.manifest.subjects]
        late: set[str] = set()
        tasks: dict[str, asyncio.Task[SourceOutcome]] = {}
        due: dict[str, float] = {}
        now = loop.time()
        ask: Ask | None = None
        for c in about_child:
            ask = self._as(c, now, ask)
            tasks[c.source] = loop.create_task(self._ask(c, (child,), masks[c.source], ask, late))
            due[c.source] = ask.deadline.at
        naming: Sequence[asyncio.Future[SourceOutcome]] = [tasks[c.source] for c in about_child if c.names_adults]
        for c in asked:
            if c.source not in tasks:
                tasks[c.source] = loop.create_task(self._ask_adults(c, naming, named, masks[c.source]))
        timer = _Timer(loop, tasks, due, late)
        try:
            # In turn: all run already, and none raises. A gather of them costs more than the waking in between, and who
            # was asked last is mostly the last to answer, so that there is one waking.
            for task in reversed(tasks.values()):
                await task
            return {source: task.result() for source, task in tasks.items()}
        finally:
            timer.stop()
            for task in tasks.values():
                if not task.done():
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
            outcome = replace(await self._within(upstream, adults, mask), adults=len(adults))
        else:
            outcome = await self._health(upstream)
        silent = next((n for n in named if n.status is SourceStatus.NO_ANSWER), None)
        if silent is None or outcome.status is SourceStatus.NO_ANSWER:
            return outcome
        # who could have named an adult did not answer: this source cannot be said to have been asked about everybody
        return replace(outcome, status=SourceStatus.NO_ANSWER, reason=silent.reason, code=NOT_NAMED)

    async def _within(self, upstream: Upstream, adults: Sequence[AdultRef], mask: FieldMask) -> SourceOutcome:
        started = asyncio.get_running_loop().time()
        ask = self._as(upstream, started)
        try:
            async with asyncio.timeout_at(ask.deadline.at):
                return await self._ask(upstream, adults, _about_adults(mask), ask, frozenset())
        except TimeoutError:
            return _none(upstream.source, SourceReason.TIMEOUT, "DEADLINE", started)

    async def _health(self, upstream: Upstream) -> SourceOutcome:
        source, started = upstream.source, asyncio.get_running_loop().time()
        try:
            ask = self._as(upstream, started)
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

    async def _ask(
        self, upstream: Upstream, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask, late: Set[str]
    ) -> SourceOutcome:
        """Return the outcome; cancelled while the source is among the `late`, that it gave no answer in time."""
        loop = asyncio.get_running_loop()
        source, started = upstream.source, loop.time()
        try:
            said = await upstream.involvements(subjects, mask, ask, alone=self.alone)
            answers = dict(said.answers)
        except SourceFailed as failed:
            return _none(source, failed.reason, failed.code, started)
        except TimeoutError:
            return _none(source, SourceReason.TIMEOUT, "DEADLINE", started)
        except asyncio.CancelledError:
            if source not in late:
                raise
            return _none(source, SourceReason.TIMEOUT, "DEADLINE", started)
        except Exception as fault:
            return _ours(source, fault, started)
        spent = round((loop.time() - started) * 1000)
        answered: list[Answered] = []
        trouble: NoAnswer | None = None
        for subject in subjects:
            answer = answers.get(subject)
            if isinstance(answer, Answered) and (answer.subject is subject or answer.subject == subject):
                answered.append(answer)
            elif isinstance(answer, NoAnswer):
                trouble = trouble or answer
            else:
                trouble = trouble or NoAnswer(subject, SourceReason.INVALID_ANSWER, FaultCode.MISMATCH)
        if trouble is None:
            return SourceOutcome(source, _ANSWERED, None, None, tuple(answered), spent, 0, said.shared_call)
        code = _of_the_list(trouble.code)
        return SourceOutcome(
            source, SourceStatus.NO_ANSWER, trouble.reason, code, tuple(answered), spent, 0, said.shared_call
        )

    def _as(self, upstream: Upstream, now: float, known: Ask | None = None) -> Ask:
        """Return the ask of a source from now on: `known`, another source's, if it is the same."""
        manifest = upstream.manifest
        usual = manifest.timeout_seconds if manifest.timeout_seconds < self.source_seconds else self.source_seconds
        own = now + usual
        at = own if own < self.deadline.at else self.deadline.at
        hurried = own - at > (0.0 if self.deadline.hurried else usual * _MOST_TAKEN)
        asker = self.asker if manifest.answers_depend_on_asker else None
        silent = upstream.source in self.silent
        if (
            known is not None
            and known.deadline.at == at
            and known.deadline.hurried is hurried
            and known.asker is asker
            and known.silent is silent
        ):
            return known
        return Ask(
            request_id=self.request_id,
            traceparent=self.traceparent,
            purpose_class=self.purpose_class,
            deadline=Deadline(at, hurried=hurried),
            asker=asker,
            silent=silent,
        )


class _Timer:
    """Cancels each ask when it is due: one timer for a fan-out costs a fraction of a timeout for each source."""

    __slots__ = ("_due", "_handle", "_late", "_loop", "_tasks")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: Mapping[str, asyncio.Task[SourceOutcome]],
        due: dict[str, float],
        late: set[str],
    ) -> None:
        """`due`: when, by source; the source joins the `late` before its task is cancelled."""
        self._loop, self._tasks, self._due, self._late = loop, tasks, due, late
        self._handle: asyncio.Handle | None = None
        self._wait()

    def stop(self) -> None:
        """Cancel nothing more."""
        if self._handle is not None:
            self._handle.cancel()

    def _wait(self) -> None:
        if self._due:
            self._handle = self._loop.call_at(min(self._due.values()), self._at_last)

    def _at_last(self) -> None:
        # After what waits to run, for a loop that comes late to its timers may not have begun the asks yet; and one
        # that is cancelled before it has begun says nothing, which would end the lookup.
        self._handle = self._loop.call_soon(self._end)

    def _end(self) -> None:
        now = self._loop.time()
        for source in [source for source, at in self._due.items() if at <= now]:
            del self._due[source]
            self._late.add(source)
            self._tasks[source].cancel()
        self._wait()


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
    return SourceOutcome(source, SourceStatus.NO_ANSWER, reason, _of_the_list(code), (), _since(started))


def _of_the_list(code: str) -> str:
    return code if code in SOURCE_CODES else UNTOLD


def _ours(source: str, fault: Exception, started: float) -> SourceOutcome:
    # the type alone: an exception's text may quote what was asked
    log.error("connector_fault", source=source, exception=type(fault).__qualname__)
    return _none(source, SourceReason.PROTOCOL, OUR_FAULT, started)


def _since(started: float) -> int:
    return round((asyncio.get_running_loop().time() - started) * 1000)
