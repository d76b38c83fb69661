"""Prints what changes between two sets of agreements: in groups with counts for people, cell by cell for machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from auth.access_changes import Change, Difference
from auth.access_matrix import COLUMNS, row_of
from auth.access_page import lines_of
from auth.access_words import PURPOSE_MARKS, custodian_words, field_words, kind_words, role_words
from gateway.commands.access_sheet import needs_words


def changes_as_json(found: Difference) -> Mapping[str, Any]:
    """Return the difference with the matrix's columns and the first day of each change."""
    return {
        "opens": [_member(change) for change in found.opens],
        "closes": [_member(change) for change in found.closes],
        "notes": [{"text": note.text, "widens": note.widens} for note in found.notes],
    }


def changes_as_text(found: Difference, *, each: bool, today: date) -> Iterator[str]:
    """Yield the difference for people, the counts last; `each`: a line for every cell."""
    for word, changes in (("opens", found.opens), ("closes", found.closes)):
        if each:
            for change in changes:
                yield f"{word:<6}  {'  '.join(row_of(change.cell))}{_later(change.since, today)}"
        else:
            yield from _grouped(word, changes, today)
    for note in found.notes:
        yield f"{'widens' if note.widens else 'note':<6}  {note.text}"
    yield f"{len(found.opens)} open, {len(found.closes)} close"


def _member(change: Change) -> Mapping[str, Any]:
    return {**dict(zip(COLUMNS, row_of(change.cell), strict=True)), "since": change.since.isoformat()}


def _later(since: date, today: date) -> str:
    return f"  from {since.isoformat()}" if since > today else ""


def _grouped(word: str, changes: Sequence[Change], today: date) -> Iterator[str]:
    places: dict[tuple[date, str], list[Change]] = {}
    for change in changes:
        places.setdefault((change.since, change.cell.custodian), []).append(change)
    for (since, custodian), there in sorted(places.items()):
        yield f"{word:<6}  {custodian_words(custodian)} ({custodian}): {len(there)} cells{_later(since, today)}"
        for kind, roles, lines in lines_of([change.cell for change in there]):
            yield f"        {kind_words(kind)}: {', '.join(map(role_words, roles))} ({', '.join(roles)})"
            for line in lines:
                purposes = ", ".join(PURPOSE_MARKS[purpose] for purpose in line.purposes)
                fields = "; ".join(map(field_words, line.fields))
                yield f"          for {purposes}, {needs_words(line)}: {fields}"
