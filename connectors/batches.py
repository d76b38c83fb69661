"""Several subjects in one call, without one subject's trouble costing another's answer.

A call that fails as a whole is repeated for one child after another, out of the budget that pays for every repetition
at the source, until one of them is answered. Then it was no trouble of the source's, and the others are asked about as
if they had never shared a call: who is answered is told so at once, and a child about whom the source is silent takes
no time from the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from connectors import answers
from connectors.base import Ask, Manifest
from connectors.faults import REASON_OF, Bearing, FaultCode, SourceFailed, bearing_of
from connectors.retries import Attempt, RetryBudget
from schema.records import Answer, ChildRef, SubjectRef
from schema.vocabulary import SourceReason

Fetch = Callable[[Sequence[ChildRef], Attempt], Awaitable[Mapping[SubjectRef, Answer]]]
"""Asks about these children in one call, which is this attempt, for `SourceClient.request`."""

_AT_ONCE = 4


class ToldSingly(SourceFailed):
    """What the source says of these children it says of each alone: its answer, and no failure that is repeated."""


# Failures that one subject of several may have caused: not those of the way there (connect, deadline, sign-in). Not
# MISMATCH either: a source that answered about somebody else is not asked again to see whether it does better.
_SEPARABLE = frozenset(
    code
    for code, reason in REASON_OF.items()
    if reason in {SourceReason.PROTOCOL, SourceReason.INVALID_ANSWER, SourceReason.OVERLOADED}
) - {FaultCode.MISMATCH, FaultCode.BULKHEAD_FULL}


async def ask_children(
    subjects: Sequence[SubjectRef], manifest: Manifest, fetch: Fetch, budget: RetryBudget, ask: Ask
) -> dict[SubjectRef, Answer]:
    """Return an answer for every subject: `fetch` for all at once, then, if that failed as one, once for each singly.

    A source that answers about none of them is asked about no more than the budget pays for; the others are told what
    the call for all came to. `fetch` returns an answer for each child that it is given, or raises SourceFailed when it
    can give none. What is found out about one child alone goes to `ask.tell` too, before the others are done.
    """
    told: dict[SubjectRef, Answer] = {}
    children = []
    for subject in subjects if len(subjects) == 1 else dict.fromkeys(subjects):
        if isinstance(subject, ChildRef) and ChildRef in manifest.subjects:
            children.append(subject)
        else:
            told[subject] = answers.not_for_this_source(subject)
    if not children:
        return told
    attempt = Attempt()
    try:
        told.update(await fetch(children, attempt))
    except ToldSingly as word:
        told.update(await _Singly(children, fetch, ask, word, again=attempt.repeated).answers(None))
    except SourceFailed as failure:
        # nothing is asked a third time
        if len(children) > 1 and not attempt.repeated and _may_be_one_childs(failure):
            told.update(await _Singly(children, fetch, ask, failure, again=True).answers(budget))
        else:
            told.update({child: answers.no_answer(child, failure) for child in children})
    return told


def _may_be_one_childs(failure: SourceFailed) -> bool:
    # a source that says when to come back speaks for all of it
    speaks_for_all = failure.during_sign_in or failure.retry_after_seconds is not None
    return failure.code in _SEPARABLE and not speaks_for_all


class _Singly:
    """Children asked about alone, after a call for all of them that failed."""

    def __init__(
        self, children: Sequence[ChildRef], fetch: Fetch, ask: Ask, together: SourceFailed, *, again: bool
    ) -> None:
        """`together`: how the call for all failed. `again`: none of the calls for one is made once more."""
        self._fetch = fetch
        self._ask = ask
        self._together = together
        self._again = again
        self._waiting = deque(children)
        self._told: dict[SubjectRef, Answer] = {}
        self._under_way: set[asyncio.Task[bool]] = set()

    async def answers(self, budget: RetryBudget | None) -> dict[SubjectRef, Answer]:
        """Return an answer for each; a source that fails for the first ones is not asked for the others.

        Until one of them is answered each is a repetition at a source that may be in trouble: one after another, and
        paid for by the budget. Without a budget all are asked. Who is not asked about is told how the call for all
        failed.
        """
        try:
            if budget is not None and not await self._any_answered(budget):
                while self._waiting:
                    child = self._waiting.popleft()
                    self._tell(child, answers.no_answer(child, self._together))
            while self._waiting or self._under_way:
                while self._waiting and len(self._under_way) < _AT_ONCE:
                    self._begin()
                await self._some_ended(None)
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
        return self._told

    async def _any_answered(self, budget: RetryBudget) -> bool:
        """Ask about one after another until the source answers about one; return whether it did.

        It may be silent about one child only, so after a while the next is asked about beside it; and the others are
        told in time if nothing comes of any.
        """
        patience = self._ask.deadline.remaining() / (_AT_ONCE + 1)
        for _ in range(_AT_ONCE):
            if not self._waiting or not budget.spend():
                break
            self._begin()
            if await self._some_ended(patience):
                return True
        while self._under_way and (left := self._ask.deadline.remaining() - patience) > 0:
            if await self._some_ended(left):
                return True
        return False

    def _begin(self) -> None:
        self._under_way.add(asyncio.get_running_loop().create_task(self._ask_about(self._waiting.popleft())))

    async def _some_ended(self, seconds: float | None) -> bool:
        """Wait for one that is under way to end; return whether the source answered about one that did."""
        ended, self._under_way = await asyncio.wait(
            self._under_way, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        return any(await asyncio.gather(*ended))

    async def _ask_about(self, child: ChildRef) -> bool:
        """Tell what is answered about a child; return whether it shows that the source is in no trouble."""
        try:
            self._tell(child, (await self._fetch([child], Attempt(self._again)))[child])
        except SourceFailed as failure:
            self._tell(child, answers.no_answer(child, failure))
            return bearing_of(failure.code) is not Bearing.FAILING
        return True

    def _tell(self, child: ChildRef, answer: Answer) -> None:
        self._told[child] = answer
        if self._ask.tell is not None:
            self._ask.tell(child, answer)
