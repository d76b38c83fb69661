"""Several subjects in one call, without one subject's trouble costing another's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from connectors import answers
from connectors.base import Manifest
from connectors.faults import FaultCode, SourceFailed
from schema.records import Answer, ChildRef, SubjectRef

Fetch = Callable[[Sequence[ChildRef]], Awaitable[Mapping[SubjectRef, Answer]]]

_AT_ONCE = 4

# Failures that one subject of several may have caused. Not those of the way there (connect, sign-in, deadline) and not
# MISMATCH: a source that answered about somebody else once is not asked again to see whether it does better.
_SEPARABLE = frozenset(
    {
        FaultCode.OVERLOADED,
        FaultCode.STATUS_5XX,
        FaultCode.STATUS_UNEXPECTED,
        FaultCode.NOT_FOUND_BARE,
        FaultCode.EMPTY,
        FaultCode.TRUNCATED,
        FaultCode.CONTENT_TYPE,
        FaultCode.BAD_JSON,
        FaultCode.SCHEMA,
        FaultCode.TOO_LARGE,
    }
)


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
        if len(children) == 1 or failure.during_sign_in or failure.code not in _SEPARABLE:
            told.update({child: answers.no_answer(child, failure) for child in children})
        else:
            told.update(await _singly(children, fetch))
    return told


async def _singly(children: Sequence[ChildRef], fetch: Fetch) -> dict[SubjectRef, Answer]:
    free = asyncio.Semaphore(_AT_ONCE)

    async def ask(child: ChildRef) -> Answer:
        async with free:
            try:
                return (await fetch([child]))[child]
            except SourceFailed as failure:
                return answers.no_answer(child, failure)

    return dict(zip(children, await asyncio.gather(*(ask(child) for child in children)), strict=True))
