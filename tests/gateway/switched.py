"""A source that may be stood in for, and that answers, changes its mind or falls silent as a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connectors.answers import no_answer
from connectors.base import Ask, Connector, FieldMask
from connectors.faults import FaultCode, SourceFailed
from connectors.memory import MemoryConnector, narrow
from gateway.federation.sources import Source
from gateway.federation.stale_answers import StaleAnswers
from schema.identifiers import NHSNumber
from schema.records import Answer, Answered, ChildRef, SubjectRef
from tests.fixtures.sources import known
from tests.fixtures.world import configured

SECONDS = 600


class Switched:
    """`holds`: what it says of each child; `silent`: the fault with which it gives no answer, None while it does.

    No circuit opens for it: each test says itself when it fails.
    """

    def __init__(self, like: MemoryConnector, holds: Mapping[NHSNumber, Answered], seconds: int) -> None:
        self.manifest = replace(like.manifest, stale_if_error_seconds=seconds, circuit_failures=10_000)
        self.holds = dict(holds)
        self.silent: FaultCode | None = None
        self.list_fails = False
        self.before: Callable[[], Any] = lambda: None

    def say(self, child: NHSNumber, answer: Answered | None) -> None:
        """From now on say this of a child; None: do not know it."""
        self.holds.pop(child, None)
        if answer is not None:
            self.holds[child] = answer

    def add_sections(self, *paths: str) -> None:
        """Hold deeper paths, too, of which nobody has anything."""
        self.manifest = replace(self.manifest, holds=self.manifest.holds | set(paths))

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        self.before()
        if self.silent is not None:
            return {subject: no_answer(subject, SourceFailed(self.silent)) for subject in subjects}
        return {subject: narrow(self._of(subject), mask) for subject in subjects}

    def _of(self, subject: SubjectRef) -> Answered:
        held = self.holds.get(subject.nhs_number) if isinstance(subject, ChildRef) else None
        return known(subject, shielded=None) if held is None else held

    async def health(self, ask: Ask) -> bool:
        return True

    async def shields(self, ask: Ask) -> frozenset[NHSNumber] | None:
        if self.list_fails:
            raise SourceFailed(FaultCode.DEADLINE)
        return None

    async def aclose(self) -> None:
        """Nothing is open."""


def stood_in_for(connector: Connector, memory: StaleAnswers) -> Source:
    """Return a connector as a configured source that remembers in this memory."""
    found = configured(connector)
    vars(found)["stale_answers"] = memory
    return found
