"""What each driver brings to the contract: a connector over a given transport, and a source that behaves.

A driver joins by a file `<driver>_case.py` beside this one that defines `CASE`. Nothing else needs to change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import httpx

from connectors.base import Connector
from schema.records import SubjectRef

BASE_URL = "https://source.example/api"

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass(frozen=True)
class Case:
    """One driver under contract."""

    driver: str
    connect: Callable[[httpx.AsyncBaseTransport], Connector]
    """A connector whose source is at BASE_URL, without credentials, reached through the transport."""
    source: Handler
    """A source that behaves and holds `held`, each with at least one CURRENT and one PREVIOUS involvement."""
    held: tuple[SubjectRef, ...]
    """At least three subjects."""
    not_held: SubjectRef
    """A subject of whom the source says, in its own typed way, that it holds nothing."""
    another: Handler
    """A source that answers every ask about `held[0]` with the record of somebody else, well-formed throughout."""
    drops_others: bool
    """What is about somebody else is dropped (a list of candidates), rather than refused (a record)."""
    asks_for: Mapping[str, Callable[[httpx.Request], bool]]
    """For each path of the mask that changes what is asked: whether this request asks for it."""
    private: tuple[str, ...]
    """Texts out of the source's answers that may never stand in a failure: names, dates of birth, telephones."""
    names_lead: bool
    """Whether the source says who leads: then one of `held` has a current row in the lead, else nobody ever has."""
    not_published: frozenset[str] = frozenset()
    """`path.field` of each field of a section that the source's interface has no word for; every other is told."""
    silences: Callable[[httpx.Request], bool] = lambda request: True
    """Whether a request says, in the source's own way beside the header, that nobody is to be told of the read."""
    networked: bool = True


def _found() -> tuple[Case, ...]:
    names = sorted(path.stem for path in Path(__file__).parent.glob("*_case.py"))
    return tuple(import_module(f"tests.connectors.contract.{name}").CASE for name in names)


def all_cases() -> list[Case]:
    """Return every driver's case, in the order of their names."""
    return list(_found())


def networked_cases() -> list[Case]:
    """Return the cases of the drivers that reach their source over HTTP."""
    return [case for case in _found() if case.networked]
