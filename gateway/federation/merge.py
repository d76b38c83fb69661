"""One list from what the door let through: joined by registration number only, never by name; provenance kept."""

from __future__ import annotations

from collections.abc import Iterable

from schema import types
from schema.vocabulary import ContactMode, InvolvementStatus


def merge(rows: Iterable[types.Involvement]) -> list[types.Involvement]:
    """Return the rows joined and in an order that depends on visible values alone.

    Two rows are one entry when they are about the same registered practitioner in the same standing and contradict each
    other nowhere; rows that contradict each other both stay, each with its source.
    """
    entries: list[types.Involvement] = []
    joined = False
    by_person: dict[tuple[str, ...], list[types.Involvement]] = {}
    for row in sorted(rows, key=_visible_order):
        held = None if row.practitioner is None else row.practitioner.registration
        if held is not None:
            person = (held.body, held.number, row.status, row.relationship)
            known = by_person.setdefault(person, [])
            same = next((entry for entry in known if _agree(entry, row)), None)
            if same is not None:
                same.sources = same.sources + [a for a in row.sources if all(a.id != b.id for b in same.sources)]
                _complete(same, row)
                joined = True
                continue
            known.append(row)
        entries.append(row)
    # what an entry was completed with is visible too, and decides its place
    return sorted(entries, key=_visible_order) if joined else entries


def in_order(rows: Iterable[types.Involvement]) -> list[types.Involvement]:
    """Return the rows in the same order, each apart: a stale entry completes no other, and none completes it."""
    return sorted(rows, key=_visible_order)


_CURRENT = InvolvementStatus.CURRENT  # to look a word up in its list costs more than to compare it
_TOLD = ("role", "started_on", "ended_on")
_CONTACT = ("phone", "email", "out_of_hours")


def _agree(a: types.Involvement, b: types.Involvement) -> bool:
    pairs = [(getattr(a, name), getattr(b, name)) for name in _TOLD]
    pairs += [(getattr(a.contact, name), getattr(b.contact, name)) for name in _CONTACT]
    pairs.append((a.team.name if a.team else None, b.team.name if b.team else None))
    pairs.append((a.service.name if a.service else None, b.service.name if b.service else None))
    return all(x is None or y is None or x == y for x, y in pairs)


def _complete(entry: types.Involvement, row: types.Involvement) -> None:
    for name in _TOLD:
        if getattr(entry, name) is None:
            setattr(entry, name, getattr(row, name))
    for name in _CONTACT:
        if getattr(entry.contact, name) is None:
            setattr(entry.contact, name, getattr(row.contact, name))
    if entry.contact.mode is ContactMode.NONE:
        entry.contact.mode = row.contact.mode
    entry.contact.expected_response = entry.contact.expected_response or row.contact.expected_response
    entry.team = entry.team or row.team
    entry.service = entry.service or row.service
    entry.lead = entry.lead or row.lead


def _visible_order(row: types.Involvement) -> tuple[object, ...]:
    """Current before ended, lead first, then by what a reader sees. Ids come last: they tell nothing."""
    agency, team, who, started = row.agency, row.team, row.practitioner, row.started_on
    return (
        row.status is not _CURRENT,
        not row.lead,
        agency.kind,
        agency.name,
        "" if team is None else team.name,
        "" if who is None else who.name,
        "" if started is None else started.isoformat(),
        row.id,
    )
