"""Several subjects in one call, without one subject's trouble costing another's answer.

A call that fails as a whole is repeated for one child after another, out of the budget that pays for every repetition
at the source, until one of them is answered. Then it was no trouble of the source's, and the others are asked about as
if they had never shared a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from connectors import answers
from connectors.base import Manifest
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
    subjects: Sequence[SubjectRef], manifest: Manifest, fetch: Fetch, budget: RetryBudget
) -> dict[SubjectRef, Answer]:
    """Return an answer for every subject: `fetch` for all at once, then, if that failed as one, once for each singly.

    A source that answers about none of them is asked about no more than the budget pays for; the others are told what
    the call for all came to. `fetch` returns an answer for
    each child that it is given, or raises SourceFailed when it can give none.
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
        told.update(await _singly(children, fetch, None, word, again=attempt.repeated))
    except SourceFailed as failure:
        # nothing is asked a third time
        if len(children) > 1 and not attempt.repeated and _may_be_one_childs(failure):
            told.update(await _singly(children, fetch, budget, failure, again=True))
        else:
            told.update({child: answers.no_answer(child, failure) for child in children})
    return told


def _may_be_one_childs(failure: SourceFailed) -> bool:
    # a source that says when to come back speaks for all of it
    speaks_for_all = failure.during_sign_in or failure.retry_after_seconds is not None
    return failure.code in _SEPARABLE and not speaks_for_all


async def _singly(
    children: Sequence[ChildRef], fetch: Fetch, budget: RetryBudget | None, together: SourceFailed, *, again: bool
) -> dict[SubjectRef, Answer]:
    """Return an answer for each, asked alone; a source that fails for the first ones is not asked for the others.

    Until one of them is answered each is a repetition at a source that may be in trouble: one after another, and paid
    for by the budget. Who is not asked about is told `together`, how the call for all of them failed. Without a budget
    all are asked. `again`: none of these calls is made once more.
    """
    told: dict[SubjectRef, Answer] = {}
    waiting = list(children)

    async def ask(child: ChildRef) -> bool:
        try:
            told[child] = (await fetch([child], Attempt(again)))[child]
        except SourceFailed as failure:
            told[child] = answers.no_answer(child, failure)
            return bearing_of(failure.code) is not Bearing.FAILING
        return True

    well = budget is None
    while waiting and not well and len(told) < _AT_ONCE and budget is not None and budget.spend():
        well = await ask(waiting.pop(0))
    if not well:
        return told | {child: answers.no_answer(child, together) for child in waiting}
    free = asyncio.Semaphore(_AT_ONCE)

    async def in_turn(child: ChildRef) -> None:
        async with free:
            await ask(child)

    await asyncio.gather(*(in_turn(child) for child in waiting))
    return told
