"""One source as lookups ask it: behind its breaker and its bulkhead, and through its batches if it can be asked so.

All of it belongs to the source. Nothing here depends on who asks or about whom, and the health call that stands in for
an ask about a linked adult passes through the same breaker and the same bulkhead, so that what it costs and what it
reads does not tell whether there was an adult to ask about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors import answers
from connectors.base import Ask, Connector, Deadline, FieldMask, Tell
from connectors.faults import Bearing, FaultCode, SourceFailed, bearing_of
from gateway.federation.batching import Batches, Said
from gateway.federation.breaker import Breaker, BreakerRules, Circuit
from gateway.metrics import note_batch, watch_source
from schema.records import Answer, Answered, ChildRef, NoAnswer, SubjectRef

_EARLY_SECONDS = 0.005  # a timer may come this much before its time
_NONE, _SOUND = Bearing.NONE, Bearing.SOUND  # bound once, as in the breaker
_AHEAD = timedelta(minutes=5)  # how far a source's clock may be before ours


class CancelledItself(Exception):
    """A connector ended as if it were cancelled, and nobody had cancelled it: something that it awaited was.

    As a CancelledError it would end the lookup, and leave those who share the call without a word.
    """


def cancelled_by_nobody(fault: BaseException) -> bool:
    """Return whether this is a CancelledError in a task that nobody has cancelled."""
    task = asyncio.current_task()
    return isinstance(fault, asyncio.CancelledError) and task is not None and not task.cancelling()


class Upstream:
    """A connector with its breaker, bulkhead and batches."""

    def __init__(self, connector: Connector, *, rules: BreakerRules | None = None) -> None:
        #: what the connector can do
        self.manifest = manifest = connector.manifest
        self.source = manifest.agency.id
        self.names_adults = manifest.names_adults
        self._connector = connector
        self._breaker = Breaker(rules or BreakerRules(failing_in_a_row=manifest.circuit_failures))
        self._most = manifest.max_asks
        self.under_way = 0
        self._batches: Batches | None = None
        if manifest.can_batch and ChildRef in manifest.subjects and not manifest.answers_depend_on_asker:
            self._batches = Batches(self._answers, most=manifest.max_batch)
        watch_source(self.source, self)

    @property
    def circuit(self) -> Circuit:
        """The state of the source's circuit."""
        return self._breaker.state

    def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask, *, alone: bool = False
    ) -> Coroutine[Any, Any, Said]:
        """Ask what the source says of each subject; one subject is asked about with others', unless `alone`.

        Raises SourceFailed with CIRCUIT_OPEN or BULKHEAD_FULL at once, without asking; otherwise what the connector
        raises, which is our fault. The deadline is the caller's to keep.
        """
        if self._batches is not None and not alone and len(subjects) == 1:
            return self._batches.ask(subjects[0], mask, ask)
        return self._ask(subjects, mask, ask)

    async def health(self, ask: Ask) -> bool:
        """Return whether the source says that it is well. Raises SourceFailed."""
        loop = asyncio.get_running_loop()
        ticket, bearing = self.enter(loop.time()), _NONE
        try:
            well = await self._connector.health(ask)
            bearing = _SOUND if well is True else _NONE
        except BaseException as fault:
            bearing = _of_fault(fault, ask.deadline, loop.time())
            if cancelled_by_nobody(fault):
                raise CancelledItself from None
            raise
        finally:
            self.leave(ticket, bearing, loop.time())
        return well

    async def _answers(self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask) -> Mapping[SubjectRef, Answer]:
        return (await self._ask(subjects, mask, ask, of_batches=True)).answers

    async def _ask(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask, *, of_batches: bool = False
    ) -> Said:
        loop = asyncio.get_running_loop()
        ticket, bearing = self.enter(loop.time()), _NONE
        early = _Early(ask.tell) if ask.tell is not None else None
        try:
            if of_batches:
                note_batch(self.source, len(subjects))  # only now: what is refused here is no call
            asked = ask if early is None else replace(ask, tell=early)
            told, bearing = _weighed(await self._connector.involvements(subjects, mask, asked), ask.deadline)
        except BaseException as fault:
            # a source that is silent about one child of several, and answered about another, is in no trouble
            bearing = _SOUND if early is not None and early.sound else _of_fault(fault, ask.deadline, loop.time())
            if cancelled_by_nobody(fault):
                raise CancelledItself from None
            raise
        finally:
            self.leave(ticket, bearing, loop.time())
        return Said(told)

    def enter(self, now: float) -> int:
        """Return the breaker's ticket for one ask, which is now under way. Raises SourceFailed if it may not be."""
        if self.under_way >= self._most:
            raise SourceFailed(FaultCode.BULKHEAD_FULL)
        ticket = self._breaker.admit(now)
        if ticket is None:
            raise SourceFailed(FaultCode.CIRCUIT_OPEN)
        self.under_way += 1
        return ticket

    def leave(self, ticket: int, bearing: Bearing, now: float) -> None:
        """End what `enter` began, with what it says of the source."""
        self.under_way -= 1
        self._breaker.note(ticket, bearing, now)


class _Early:
    """Hands on what a source says of one child before it is done with the others."""

    __slots__ = ("_tell", "sound")

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.sound = False  # whether it has answered about anybody

    def __call__(self, subject: SubjectRef, answer: Answer) -> None:
        if isinstance(answer, Answered):
            self.sound = True
            if answer.as_of is not None:
                answer = _until(datetime.now(UTC) + _AHEAD, answer)
        self._tell(subject, answer)


def _of_fault(fault: BaseException, deadline: Deadline, now: float) -> Bearing:
    if isinstance(fault, SourceFailed):
        return _of_code(fault.code, deadline)
    # at its deadline an ask is cancelled by who waits; before it, nobody wants the answer any more
    if isinstance(fault, TimeoutError) or (
        isinstance(fault, asyncio.CancelledError) and now >= deadline.at - _EARLY_SECONDS
    ):
        return _of_code(FaultCode.DEADLINE, deadline)
    return Bearing.NONE


def _weighed(told: Any, deadline: Deadline) -> tuple[Mapping[SubjectRef, Answer], Bearing]:
    """Return the answers without those of the future, and what they say of the source.

    It is sound if it could answer about anybody. An answer that was so a while ago says since when.
    """
    if type(told) is not dict and not isinstance(told, Mapping):
        return told, _NONE
    bearing = _NONE
    dated = False
    for answer in told.values():
        if isinstance(answer, Answered):
            bearing = _SOUND
            dated = dated or answer.as_of is not None
        elif isinstance(answer, NoAnswer) and bearing is not _SOUND:
            bearing = max(bearing, _of_code(answer.code, deadline))
    if dated:
        latest = datetime.now(UTC) + _AHEAD
        told = {subject: _until(latest, answer) for subject, answer in told.items()}
    return told, bearing


def _until(latest: datetime, answer: Answer) -> Answer:
    if isinstance(answer, Answered) and answer.as_of is not None and answer.as_of > latest:
        return answers.invalid(answer.subject, FaultCode.SCHEMA)
    return answer


def _of_code(code: str, deadline: Deadline) -> Bearing:
    """Return what a code says of the source. One that had hardly any time is not in trouble for being out of it."""
    return Bearing.NONE if deadline.hurried and code == FaultCode.DEADLINE else bearing_of(code)
