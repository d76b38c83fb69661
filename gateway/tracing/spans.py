"""What is noted of one request while it is answered: which step began when and ended when, in words of closed lists.

No text of a query, no argument, identifier or subject, nothing that a client wrote and nothing that was found. A word
that no list holds is left out, whoever hands it in: what a span may say does not hang on the care of each caller.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.audit.events import EventKind
from gateway.federation.fanout import SOURCE_CODES
from schema.vocabulary import SourceStatus


class Step(StrEnum):
    """The spans that there are."""

    REQUEST = "contactpoint.request"
    AUTHENTICATE = "contactpoint.authenticate"
    LOOKUP = "contactpoint.lookup"
    DECIDE = "contactpoint.decide"
    COMMIT = "contactpoint.commit"
    ASK = "contactpoint.ask"
    MERGE = "contactpoint.merge"
    SERIALISE = "contactpoint.serialise"


class Key(StrEnum):
    """What a span may have beside its name and its time."""

    OPERATION = "contactpoint.operation"
    CODE = "contactpoint.code"
    STATUS = "http.response.status_code"
    RECORD = "contactpoint.record"
    SOURCE = "contactpoint.source"
    BATCH = "contactpoint.batch.size"


#: the steps of a lookup; those of another request stand below the request itself
OF_A_LOOKUP: Final = frozenset({Step.DECIDE, Step.COMMIT, Step.ASK, Step.MERGE, Step.SERIALISE})
#: what stands in place of a word that no list holds
UNTOLD: Final = "UNTOLD"
_CODES: Final = frozenset({*SOURCE_CODES, *SourceStatus, "OK", "DISCONNECTED"})
_NUMBERS: Final = frozenset({Key.STATUS, Key.BATCH})

Attributes = Mapping[str, str | int]


class Vocabulary:
    """The words that a span of this gateway may hold."""

    def __init__(self, *, operations: Collection[str], codes: Collection[str], sources: Iterable[str]) -> None:
        self._words: Mapping[Key, frozenset[str]] = {
            Key.OPERATION: frozenset(operations),
            Key.CODE: _CODES | frozenset(codes),
            Key.RECORD: frozenset(EventKind),
            Key.SOURCE: frozenset(sources),
        }

    def told(self, attributes: Mapping[Key, object]) -> Attributes:
        """Return what of the attributes may be told: numbers, and words of the list of each."""
        found: dict[str, str | int] = {}
        for key, value in attributes.items():
            if key in _NUMBERS:
                if type(value) is int:
                    found[key.value] = value
            elif key in self._words:
                found[key.value] = str(value) if value in self._words[key] else UNTOLD
        return found


@dataclass(frozen=True, slots=True)
class Parent:
    """The span of somebody else that a request belongs to."""

    trace_id: int
    span_id: int


@dataclass(frozen=True, slots=True)
class Taken:
    """One step. Times are nanoseconds since the epoch."""

    step: Step
    begun: int
    ended: int
    attributes: Mapping[Key, object] = field(default_factory=dict)


class Trace:
    """One request, as far as it has come. For one event loop."""

    def __init__(self, parent: Parent | None = None) -> None:
        self.parent = parent
        self.steps: list[Taken] = []
        self._epoch = time.time_ns() - time.perf_counter_ns()
        self._begun = self.now()
        self._asks: dict[str, tuple[int, int, Mapping[Key, object]]] = {}

    def now(self) -> int:
        """Return this moment, by a clock that does not jump."""
        return self._epoch + time.perf_counter_ns()

    def took(self, step: Step, begun: int, attributes: Mapping[Key, object] | None = None) -> None:
        """Note a step that ends now."""
        self.steps.append(Taken(step, begun, self.now(), attributes or {}))

    def asked(self, source: str, begun: int, code: str, size: int) -> None:
        """Note what came of an ask that ends now.

        There is one span for each source, however often it was asked: that it was asked again tells that something was
        known of the child, and that a health call stood in for an ask, that nobody is linked to it.
        """
        known = self._asks.get(source)
        if known is not None:
            begun, size = known[0], max(size, _size(known[2]))
        self._asks[source] = (
            begun,
            self.now(),
            {Key.SOURCE: source, Key.CODE: code, Key.BATCH: size},
        )

    def ended(self, attributes: Mapping[Key, object]) -> tuple[Taken, list[Taken]]:
        """Return the request, which ends now, and all its steps."""
        asks = [Taken(Step.ASK, begun, ended, told) for begun, ended, told in self._asks.values()]
        return Taken(Step.REQUEST, self._begun, self.now(), attributes), self.steps + asks


def _size(attributes: Mapping[Key, object]) -> int:
    size = attributes[Key.BATCH]
    return size if isinstance(size, int) else 1


CURRENT: ContextVar[Trace | None] = ContextVar("contactpoint_trace", default=None)
"""The trace of the request that is being answered, if it is one that is traced."""
