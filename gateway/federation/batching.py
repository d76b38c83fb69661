"""Many askers, one call: asks of one source that wait for one another, at most two milliseconds.

While nothing of the source is under way an ask leaves at once, with whoever asks in the same turn of the event loop.
Otherwise it waits for others, `WINDOW_SECONDS` at most. Asks share a call only if they have the same field mask, the
same purpose class and the same word on notification; the source, and with it the gateway's credential there, is the
same because each source has its own `Batches`. What is shared is the call and nothing else: each asker waits for its
own deadline, is answered about its own subject, and is decided about and recorded apart.

Two who ask about the same child are told by one question, but only while that question has not been sent: an answer is
never older than the ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors.base import Ask, Deadline, FieldMask
from gateway.randomness import RANDOM
from schema.made_quickly import made_quickly
from schema.records import Answer, SubjectRef

WINDOW_SECONDS = 0.002

Call = Callable[[Sequence[SubjectRef], FieldMask, Ask], Awaitable[Mapping[SubjectRef, Answer]]]


@made_quickly
@dataclass(frozen=True, slots=True)
class Said:
    """What a source said to one asker. `shared_call` is the request id of the call, if others were asked for in it.

    `size`: the subjects of that call.
    """

    answers: Mapping[SubjectRef, Answer]
    shared_call: str | None = None
    size: int = 1


class _Batch:
    """The asks that will share a call, or share one that is under way."""

    __slots__ = ("asks", "deadline", "mask", "subjects", "task", "timer", "waiting")

    def __init__(self, mask: FieldMask) -> None:
        self.mask = mask
        self.subjects: dict[SubjectRef, None] = {}
        self.asks: list[Ask] = []
        self.deadline = Deadline(0.0)
        self.waiting: list[tuple[SubjectRef, asyncio.Future[Said]]] = []
        self.timer: asyncio.Handle | None = None
        self.task: asyncio.Task[None] | None = None

    def leave(self, told: asyncio.Future[Said]) -> None:
        """Forget one who waits no more, before anything is sent: nobody is asked about for the sake of no one."""
        place = next(place for place, (_, other) in enumerate(self.waiting) if other is told)
        del self.waiting[place], self.asks[place]
        self.subjects = dict.fromkeys(subject for subject, _ in self.waiting)
        self.deadline = max((ask.deadline for ask in self.asks), key=_moment)


class Batches:
    """The batches of one source."""

    def __init__(self, call: Call, *, most: int, window: float = WINDOW_SECONDS) -> None:
        """`call` asks the source about several subjects, `most` at once."""
        self._call = call
        self._most = most
        self._window = window
        self._open: dict[tuple[object, ...], _Batch] = {}
        self._under_way: set[asyncio.Task[None]] = set()

    async def ask(self, subject: SubjectRef, mask: FieldMask, ask: Ask) -> Said:
        """Return what the source says of the subject. Raises what the call raises.

        It waits as long as the call takes: the deadline is the caller's to keep. A caller that stops waiting takes
        nothing from the others; when nobody waits any more, the call ends.
        """
        loop = asyncio.get_running_loop()
        # who asks is no part of the key: a source whose answers depend on the asker has no batches
        key = (mask.paths, ask.purpose_class, ask.silent)
        batch = self._open.get(key)
        if batch is None:
            batch = _Batch(mask)
            batch.timer = (
                loop.call_later(self._window, self._send, key, batch)
                if self._under_way
                else loop.call_soon(self._send, key, batch)
            )
            self._open[key] = batch  # only now: were there no memory for its timer, nobody would ever send it
        told: asyncio.Future[Said] = loop.create_future()
        batch.waiting.append((subject, told))
        batch.subjects[subject] = None
        batch.asks.append(ask)
        if ask.deadline.at > batch.deadline.at:
            batch.deadline = ask.deadline
        if len(batch.subjects) >= self._most:
            self._send(key, batch)
        try:
            return await told
        except asyncio.CancelledError:
            if all(other.done() for _, other in batch.waiting):
                self._let_go(key, batch)
            elif batch.task is None:
                batch.leave(told)
            raise

    def _send(self, key: tuple[object, ...], batch: _Batch) -> None:
        if self._open.get(key) is batch:
            del self._open[key]
        if batch.timer is not None:
            batch.timer.cancel()
        if batch.task is None:
            batch.task = asyncio.get_running_loop().create_task(self._run(batch))
            self._under_way.add(batch.task)
            batch.task.add_done_callback(self._under_way.discard)

    def _let_go(self, key: tuple[object, ...], batch: _Batch) -> None:
        if batch.task is not None:
            batch.task.cancel()
        elif batch.timer is not None:
            batch.timer.cancel()
            if self._open.get(key) is batch:
                del self._open[key]

    async def _run(self, batch: _Batch) -> None:
        size = len(batch.subjects)
        ask = _asking_for(batch)
        shared = ask.request_id if len(batch.asks) > 1 else None
        try:
            async with asyncio.timeout_at(batch.deadline.at):
                answers = await self._call(tuple(batch.subjects), batch.mask, ask)
            # each is handed its own: nobody else's answer is within its reach
            handed = [
                (told, Said({} if (answer := answers.get(subject)) is None else {subject: answer}, shared, size))
                for subject, told in batch.waiting
            ]
        except Exception as failure:
            for _, told in batch.waiting:
                if not told.done():
                    told.set_exception(failure)
        else:
            for told, said in handed:
                if not told.done():
                    told.set_result(said)


def _moment(deadline: Deadline) -> float:
    return deadline.at


def _asking_for(batch: _Batch) -> Ask:
    """Return the ask of the call: a single asker's own, or one whose id belongs to no single lookup.

    What the source says of one child before it is done with the others is for that child's askers, at once.
    """
    first = batch.asks[0]
    if len(batch.asks) == 1:
        return first
    request_id = RANDOM.uuid()

    def tell(subject: SubjectRef, answer: Answer) -> None:
        for wanted, told in batch.waiting:
            if wanted == subject and not told.done():
                told.set_result(Said({subject: answer}, request_id, len(batch.subjects)))

    return Ask(
        request_id=request_id,
        traceparent=RANDOM.traceparent(),
        purpose_class=first.purpose_class,
        deadline=batch.deadline,
        asker=None,
        silent=first.silent,
        tell=tell,
    )
