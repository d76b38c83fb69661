"""Several subjects in one call, without one subject's trouble costing another's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from connectors import answers
from connectors.base import Manifest
from connectors.faults import REASON_OF, Bearing, FaultCode, SourceFailed, bearing_of
from schema.records import Answer, ChildRef, SubjectRef
from schema.vocabulary import SourceReason

Fetch = Callable[[Sequence[ChildRef]], Awaitable[Mapping[SubjectRef, Answer]]]

_AT_ONCE = 4

# Failures that one subject of several may have caused: not those of the way there (connect, deadline, sign-in). Not
# MISMATCH either: a source that answered about somebody else is not asked again to see whether it does better.
_SEPARABLE = frozenset(
    code
    for code, reason in REASON_OF.items()
    if reason in {SourceReason.PROTOCOL, SourceReason.INVALID_ANSWER, SourceReason.OVERLOADED}
) - {FaultCode.MISMATCH, FaultCode.BULKHEAD_FULL}


async def ask_children(subjects: Sequence[SubjectRef], manifest: Manifest, fetch: Fetch) -> dict[SubjectRef, Answer]:
    """Return an answer for every subject: `fetch` for all at once, then, if that failed as one, once for each singly.

    `fetch` returns an answer for each child that it is given, or raises SourceFailed when it can give none.
    """
    told: dict[SubjectRef, Answer] = {}
    children = []
    for subject in dict.fromkeys(subjects):
        if isinstance(subject, ChildRef) and ChildRef in manifest.subjects:
            children.append(subject)
        else:
            told[subject] = answers.not_for_this_source(subject)
    if not children:
        return told
    try:
        told.update(await fetch(children))
    except SourceFailed as failure:
        if len(children) > 1 and _may_be_one_childs(failure):
            told.update(await _singly(children, fetch))
        else:
            told.update({child: answers.no_answer(child, failure) for child in children})
    return told


def _may_be_one_childs(failure: SourceFailed) -> bool:
    # a source that says when to come back speaks for all of it
    return failure.code in _SEPARABLE and not failure.during_sign_in and failure.retry_after_seconds is None


async def _singly(children: Sequence[ChildRef], fetch: Fetch) -> dict[SubjectRef, Answer]:
    """Return an answer for each, asked alone; a source that fails for the first ones is not asked for the others."""
    free = asyncio.Semaphore(_AT_ONCE)
    failing: list[SourceFailed] = []
    well = False

    async def ask(child: ChildRef) -> Answer:
        nonlocal well
        async with free:
            if not well and len(failing) >= _AT_ONCE:
                return answers.no_answer(child, failing[-1])  # it is the source, and no child of the call
            try:
                answer = (await fetch([child]))[child]
            except SourceFailed as failure:
                if bearing_of(failure.code) is Bearing.FAILING:
                    failing.append(failure)
                else:
                    well = True
                return answers.no_answer(child, failure)
            well = True
            return answer

    return dict(zip(children, await asyncio.gather(*(ask(child) for child in children)), strict=True))
