"""The parts of a lookup as they run where traces are on: the same, and each notes what it took.

They are chosen once, when the gateway is built. Where traces are off none of this is there, so it costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from connectors.base import Ask, FieldMask
from connectors.faults import FaultCode, SourceFailed
from gateway.audit.events import EventKind
from gateway.audit.log import AuditLog
from gateway.audit.pending import Receipt
from gateway.federation.batching import Said
from gateway.federation.fanout import OUR_FAULT
from gateway.federation.gathering import Gathering
from gateway.federation.sources import Source
from gateway.federation.upstream import Upstream
from gateway.lookup import Answer, Encoded, Lookups
from gateway.tracing.spans import CURRENT, Key, Step
from schema.records import Answered, NoAnswer, SubjectRef
from schema.vocabulary import SourceStatus

T = TypeVar("T")


def authenticating(authenticate: Callable[[Sequence[str]], Awaitable[T]]) -> Callable[[Sequence[str]], Awaitable[T]]:
    """Return `authenticate`, with its step noted."""

    async def traced(credentials: Sequence[str]) -> T:
        trace = CURRENT.get()
        if trace is None:
            return await authenticate(credentials)
        begun = trace.now()
        try:
            return await authenticate(credentials)
        finally:
            trace.took(Step.AUTHENTICATE, begun)

    return traced


class TracedLog(AuditLog):
    """A log of which each commit that a request waits for is a step, known by the kind of its record."""

    async def append(self, kind: EventKind, payload: Mapping[str, Any], **rest: Any) -> Receipt:
        trace = CURRENT.get()
        if trace is None:
            return await super().append(kind, payload, **rest)
        begun = trace.now()
        try:
            return await super().append(kind, payload, **rest)
        finally:
            trace.took(Step.COMMIT, begun, {Key.RECORD: kind})


class TracedGathering(Gathering):
    """A gathering whose merge is a step."""

    def _merged(self, *given: Any) -> Any:
        trace = CURRENT.get()
        if trace is None:
            return super()._merged(*given)
        begun = trace.now()
        try:
            return super()._merged(*given)
        finally:
            trace.took(Step.MERGE, begun)


class TracedLookups(Lookups):
    """Lookups that are steps, as are their policy and the making of their bodies."""

    async def answer(
        self,
        caller: Any,
        operation: Any,
        variables: Any,
        arguments: Any,
        request_id: str,
        encode: Callable[[Any, dict[str, Any]], Encoded],
        *,
        within: int | None = None,
        since: float | None = None,
    ) -> Answer:
        trace = CURRENT.get()
        if trace is None:
            return await super().answer(
                caller, operation, variables, arguments, request_id, encode, within=within, since=since
            )
        begun = trace.now()

        def encoding(tree: Any, extensions: dict[str, Any]) -> Encoded:
            encoding_begun = trace.now()
            try:
                return encode(tree, extensions)
            finally:
                trace.took(Step.SERIALISE, encoding_begun)

        try:
            return await super().answer(
                caller, operation, variables, arguments, request_id, encoding, within=within, since=since
            )
        finally:
            trace.took(Step.LOOKUP, begun)

    async def _permit(self, *given: Any) -> None:
        trace = CURRENT.get()
        if trace is None:
            return await super()._permit(*given)
        begun = trace.now()
        try:
            return await super()._permit(*given)
        finally:
            trace.took(Step.DECIDE, begun)


class TracedSource(Source):
    """A source each of whose asks is a step."""

    @cached_property
    def upstream(self) -> Upstream:
        return TracedUpstream(self.connector)


class TracedUpstream(Upstream):
    """A connector as a traced lookup asks it."""

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask, *, alone: bool = False
    ) -> Said:
        said: list[Said] = []

        async def call() -> str:
            said.append(await super(TracedUpstream, self).involvements(subjects, mask, ask, alone=alone))
            return _code_of(said[0], subjects)

        await self._noted(call, lambda: said[0].size if said else 1)
        return said[0]

    async def health(self, ask: Ask) -> bool:
        well: list[bool] = []

        async def call() -> str:
            well.append(await super(TracedUpstream, self).health(ask))
            return SourceStatus.ANSWERED if well[0] is True else OUR_FAULT

        await self._noted(call, lambda: 1)
        return well[0]

    async def _noted(self, call: Callable[[], Awaitable[str]], size: Callable[[], int]) -> None:
        trace = CURRENT.get()
        if trace is None:
            await call()
            return
        begun, code = trace.now(), OUR_FAULT
        try:
            code = await call()
        except SourceFailed as failed:
            code = failed.code
            raise
        except (TimeoutError, asyncio.CancelledError):
            # at its deadline an ask is cancelled by who waits for it
            code = FaultCode.DEADLINE
            raise
        finally:
            trace.asked(self.manifest.agency.id, begun, code, size())


def _code_of(said: Said, subjects: Sequence[SubjectRef]) -> str:
    """Return the finer code of the first subject that was not answered, as a lookup reads it."""
    for subject in subjects:
        answer = said.answers.get(subject)
        if isinstance(answer, NoAnswer):
            return answer.code
        if not isinstance(answer, Answered) or answer.subject != subject:
            return FaultCode.MISMATCH
    return SourceStatus.ANSWERED
