"""A leak mutant: one fault in the real product by which exactly one thing leaks, and who must see it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

CHANNELS = range(1, 27)
"""The channels by which something hidden could be told, as they are numbered in docs/evidence.md."""


class SeenBy(StrEnum):
    """Which oracle has to see the leak."""

    PAIRS = "pairs"
    """Two worlds, one question, one response each: no other is needed for most."""

    SEQUENCE = "sequence"
    """Several lookups, of one viewer or of two: what the earlier ones left behind shows in the last."""

    PROBE = "probe"
    """One request whose answer has a fixed form: nothing of two worlds differs when the form is lost for all."""

    SINKS = "sinks"
    """Logs and /metrics of the two worlds: compared, and searched for what was planted."""

    WORK = "work"
    """The work that a lookup does, counted and not timed."""


@dataclass(frozen=True)
class Mutant:
    """`apply` puts the fault into the product for as long as its context lasts."""

    name: str
    channel: int
    what: str
    apply: Callable[[], AbstractContextManager[Any]]
    seen_by: SeenBy = SeenBy.PAIRS

    def __str__(self) -> str:
        return f"{self.channel:02}-{self.name}"
