"""A leak mutant: one fault in the real product by which exactly one thing leaks, and who must see it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

CHANNELS = {
    1: "text and code of an error",
    2: "an error beside a withheld field",
    3: "path and list index of an error",
    4: "null, empty text, empty list, missing",
    5: "a null that takes its parent with it",
    6: "counts and the length of pages",
    7: "cursors",
    8: "order",
    9: "identifiers",
    10: "names of types",
    11: "introspection and suggestions",
    12: "echo of input, and validation that depends on a child",
    13: "the status of sources, and which are called",
    14: "time, as the work that is done",
    15: "size and compression",
    16: "headers of caches",
    17: "budgets and costs",
    18: "caches that viewers share",
    19: "lookups that are joined",
    20: "the offer of break-glass",
    21: "receipts",
    22: "keys that match nearly, or by a hidden record",
    23: "logs, metrics and traces",
    24: "breakers and stale answers",
    25: "selections of nothing",
    26: "decisions by response key, or not for every row and field",
}
"""Every way by which something hidden could be told, by number."""


class SeenBy(StrEnum):
    """Which oracle has to see the leak."""

    PAIRS = "pairs"
    """Two worlds, one question, one response each: no other is needed for most."""

    SEQUENCE = "sequence"
    """Several lookups, of one viewer or of two: what the earlier ones left behind shows in the last."""

    PROBE = "probe"
    """One request whose answer has a fixed form: nothing of two worlds differs when the form is lost for all."""

    SINKS = "sinks"
    """Logs, traces and /metrics of the two worlds: compared, and searched for what was planted."""

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
