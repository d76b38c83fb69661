"""The Connector protocol: what every source driver promises, and what it is told.

A source's trouble is a value (`NoAnswer`), never an exception; anything a connector raises is our bug and is reported
as NO_ANSWER all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schema.identifiers import NHSNumber
from schema.made_quickly import made_quickly
from schema.records import Agency, Answer, ChildRef, SubjectRef
from schema.vocabulary import AgencyKind, PurposeClass


@made_quickly
@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the event loop's clock after which nothing is waited for."""

    at: float
    hurried: bool = False  # much sooner than the source is usually given: that it passes says nothing of the source

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline `seconds` from now; needs a running event loop."""
        return cls(asyncio.get_running_loop().time() + seconds)

    def remaining(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self.at - asyncio.get_running_loop().time())


@dataclass(frozen=True, slots=True)
class FieldMask:
    """The paths that may be told and so are asked for: `involvements`, `involvements.previous`, `police.events` ..."""

    paths: frozenset[str]

    def __contains__(self, path: str) -> bool:
        return path in self.paths

    def any(self, *paths: str) -> bool:
        """Return whether at least one of the paths is asked for."""
        return not self.paths.isdisjoint(paths)


@made_quickly
@dataclass(frozen=True, slots=True)
class Asker:
    """The person who asks, for the few sources that require it (`Manifest.answers_depend_on_asker`)."""

    subject: str
    organisation: str


Tell = Callable[[SubjectRef, Answer], object]


@made_quickly
@dataclass(frozen=True, slots=True)
class Ask:
    """One ask. It carries neither the caller's reason nor a case reference: an ask is itself a disclosure."""

    request_id: str  # a UUID
    traceparent: str | None
    purpose_class: PurposeClass
    deadline: Deadline
    asker: Asker | None  # None unless the manifest says that answers depend on the asker
    silent: bool = False  # the agreement asks that the record's holder is not notified of this read
    tell: Tell | None = None  # hands on an answer about one of several at once, so that it waits for no other's


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a connector can do and who runs its source. Read by the plan, the pages and `connectors check`."""

    agency: Agency
    organisation: str  # the controller: the organisation that owns the source
    driver: str
    subjects: frozenset[type]  # ChildRef, AdultRef: whom it can be asked about
    names_adults: bool  # its answers may carry linked adults
    holds: frozenset[str]  # paths it can answer: involvements, police.events, ...
    can_batch: bool
    answers_depend_on_asker: bool
    run_by: str
    support_contact: str
    timeout_seconds: float = 1.5
    retention_days: int | None = None  # ended work older than this is not told
    lists_shields: bool = False  # it can give its full list of shielded children
    max_asks: int = 128  # the bulkhead: asks under way at once, several children in one call being one ask
    max_batch: int = 32  # the most subjects of one call
    circuit_failures: int = 5  # so many failures one after another open its circuit
    stale_if_error_seconds: int = 0  # how old an entry may be that is told when the source does not answer

    @property
    def kind(self) -> AgencyKind:
        """The agency's kind."""
        return self.agency.kind

    @property
    def may_be_stood_in_for(self) -> bool:
        """Whether what it told before may ever be told for it: it speaks of children, and alike to whoever asks."""
        return ChildRef in self.subjects and not self.answers_depend_on_asker


class Connector(Protocol):
    """One source of involvements: a police force, an authority's case system, a school."""

    @property
    def manifest(self) -> Manifest:
        """What this connector can do; never changes while it lives."""
        ...

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        """Return one Answered or NoAnswer for every subject asked about, within `ask.deadline`.

        An Answered without involvements is not a failure. Raises nothing: a source's trouble is a value.
        """
        ...

    async def health(self, ask: Ask) -> bool:
        """Return True if the source answered its health call; raises SourceFailed with the reason if it did not.

        For a linked-adult source this stands in for the ask when no adult is linked, over the same pool and deadline.
        """
        ...

    async def shields(self, ask: Ask) -> frozenset[NHSNumber] | None:
        """Return the source's full list of shielded children, or None if it cannot give one.

        Raises SourceFailed if it could but did not answer.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
