"""What a report says, before anybody chooses how it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under named columns. `empty` stands in place of no rows."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    empty: str = "none"


@dataclass(frozen=True, slots=True)
class Report:
    """One report: a title, facts about it, sentences, and tables."""

    kind: str
    title: str
    made_at: str
    facts: Sequence[tuple[str, Cell]] = ()
    notes: Sequence[str] = ()
    tables: Sequence[Table] = field(default_factory=tuple)


def moment(at_ms: int | None) -> str:
    """Return a time of the log to the minute, in UTC."""
    return "" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def share(part: int, of: int) -> float | None:
    """Return how many of a thousand, to one decimal; None of nothing."""
    return round(1000 * part / of, 1) if of else None
