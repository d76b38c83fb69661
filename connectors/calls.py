"""Several calls for one ask: the same request id, purpose class and deadline, made at once, failing as one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from connectors.base import Ask
from connectors.faults import SourceFailed
from connectors.http import Reply, SourceClient
from schema.records import Answer, SubjectRef

OK = frozenset({200})
SUBJECTS_AT_ONCE = 8

T = TypeVar("T")


def headers_of(ask: Ask) -> dict[str, str]:
    """Return the headers that tell of the ask: its purpose class, and that nobody is to be told of it if so agreed."""
    silent = {"X-Access-Notification": "silent"} if ask.silent else {}
    return {"X-Purpose-Class": ask.purpose_class.value, **silent}


@dataclass(frozen=True, slots=True)
class Calls:
    """One ask's calls to one source."""

    client: SourceClient
    ask: Ask
    accept: str = "application/json"
    room: asyncio.Semaphore | None = None
    """How many of them may be made at once: one more waits for its turn."""

    async def get(
        self, path: str, *, params: Mapping[str, str] | None = None, expect: frozenset[int] = OK, decode: Any = None
    ) -> Reply:
        """Return the reply to a GET. Raises SourceFailed."""
        return await self._request("GET", path, params=params, expect=expect, decode=decode)

    async def post_form(
        self, path: str, form: Mapping[str, str], *, expect: frozenset[int] = OK, decode: Any = None
    ) -> Reply:
        """Return the reply to a form, which keeps identifiers out of the URL. Raises SourceFailed."""
        return await self._request("POST", path, form=form, expect=expect, decode=decode)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        expect: frozenset[int],
        decode: Any,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Reply:
        async with self.room or nullcontext():
            return await self.client.request(
                method,
                path,
                params=params,
                form=form,
                headers=headers_of(self.ask),
                accept=self.accept,
                expect=expect,
                decode=decode,
                deadline=self.ask.deadline,
                request_id=self.ask.request_id,
                traceparent=self.ask.traceparent,
            )


async def together(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return what the calls return, in their order; the first failure ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as failures:
        # what is not the source's trouble is our fault, and must not hide behind it
        ours = failures.split(SourceFailed)[1]
        raise (ours or failures).exceptions[0] from None
    return [task.result() for task in tasks]


async def one_by_one(
    subjects: Sequence[SubjectRef], answer: Callable[[SubjectRef], Awaitable[Answer]]
) -> Mapping[SubjectRef, Answer]:
    """Return an answer for each subject, for a source that takes one at a time; some are asked about at once."""
    gate = asyncio.Semaphore(SUBJECTS_AT_ONCE)

    async def gated(subject: SubjectRef) -> tuple[SubjectRef, Answer]:
        async with gate:
            return subject, await answer(subject)

    return dict(await together([gated(subject) for subject in dict.fromkeys(subjects)]))
