"""Finds the look-ups that a report about somebody speaks of, and what else of the children in them decides."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from auth.sharing import AgreementSet
from gateway.audit.events import EventKind
from gateway.audit.events_query import Event, NotWhatWasWritten, with_payloads
from gateway.audit.index_tables import event_index
from gateway.audit.leaves import parse_leaf
from gateway.audit.reports.about_somebody import look_of
from gateway.audit.reports.exemptions import Circumstances, live_since
from gateway.audit.tables import audit_leaf, audit_payload
from gateway.storage.tables import shield

_AT_ONCE: Final = 500
_LOOKS: Final = (EventKind.INTENT.value, EventKind.DENIED.value)


def of_subject(
    connection: sa.Connection, subject: str, since_ms: int | None = None, until_ms: int | None = None
) -> list[Event]:
    """Return every look-up of a child and every refused attempt, the oldest first.

    As the index has them: see `check_complete`. Raises NotWhatWasWritten, sqlalchemy errors.
    """
    of = event_index.c
    query = sa.select(event_index).where(of.subject == subject, of.kind.in_(_LOOKS))
    if since_ms is not None:
        query = query.where(of.at_ms >= since_ms)
    if until_ms is not None:
        query = query.where(of.at_ms < until_ms)
    rows = [dict(row) for row in connection.execute(query.order_by(of.at_ms, of.shard, of.seq)).mappings()]
    return list(_with_payloads(connection, rows))


def check_complete(
    connection: sa.Connection, subject: str, found: Iterable[Event], within: Callable[[int], bool]
) -> None:
    """Raise NotWhatWasWritten if the log knows a look-up of a child, or a refusal, in a period that is not among these.

    The log itself is read through for the pseudonym: what was taken out of the index would be missing from an answer
    that somebody relies on. Raises sqlalchemy errors.
    """
    listed = {(event.row["shard"], event.row["seq"]) for event in found}
    for shard, seq, at_ms in _naming(connection, subject):
        if within(at_ms) and (shard, seq) not in listed:
            raise NotWhatWasWritten("the index lacks what the log says of somebody")


def _naming(connection: sa.Connection, subject: str) -> Iterator[tuple[str, int, int]]:
    """Yield shard, seq and time of every look-up and refusal on the log that is about a child."""
    of, leaf = audit_payload.c, audit_leaf.c
    query = sa.select(of.shard, of.seq, leaf.body, of.body).where(leaf.shard == of.shard, leaf.seq == of.seq)
    query = query.where(_holds(connection, of.body, json.dumps(subject).encode()))
    for shard, seq, body, payload in connection.execution_options(yield_per=_AT_ONCE).execute(query):
        read = parse_leaf(body)
        if read.kind in _LOOKS and msgspec.json.decode(payload).get("subject") == subject:
            yield shard, seq, read.t


Matches = Callable[[Mapping[str, Any]], bool]


def of_practitioner(
    connection: sa.Connection, needle: bytes, matches: Matches
) -> tuple[list[Event], dict[str, list[str]]]:
    """Return the look-ups whose answer told an entry that matches, the oldest first, and what of it, by receipt.

    The log itself is read through for the needle: an index of who was told of whom would be a register of
    practitioners. Raises NotWhatWasWritten, sqlalchemy errors.
    """
    fields: dict[str, set[str]] = {}
    intents: dict[str, list[int]] = {}
    of = audit_payload.c
    query = sa.select(of.shard, of.body).where(_holds(connection, of.body, needle))
    for shard, body in connection.execution_options(yield_per=_AT_ONCE).execute(query):
        content = msgspec.json.decode(body)
        entries = [e for e in (content.get("disclosed") or {}).get("entries") or () if matches(e)]
        if entries and content.get("intent") is not None:
            intents.setdefault(shard, []).append(content["intent"])
            fields.setdefault(content["receipt"], set()).update(path for e in entries for path in e["fields"])
    rows = [
        dict(row)
        for shard, seqs in intents.items()
        for some in _some(sorted(set(seqs)))
        for row in connection.execute(
            sa.select(event_index).where(event_index.c.shard == shard, event_index.c.seq.in_(some))
        ).mappings()
    ]
    if len(rows) != sum(len(set(seqs)) for seqs in intents.values()):
        raise NotWhatWasWritten("the index lacks what the log says of somebody")
    rows.sort(key=lambda row: (row["at_ms"], row["shard"], row["seq"]))
    return list(_with_payloads(connection, rows)), {receipt: sorted(paths) for receipt, paths in fields.items()}


def circumstances(
    connection: sa.Connection,
    subjects: Iterable[str],
    agreements: AgreementSet,
    now_ms: int,
    live_days: int,
    *,
    presumed_shielded: bool,
) -> dict[str, Circumstances]:
    """Return what decides over the look-ups of each child, from every look-up of it and from the register of shields.

    `presumed_shielded` says that the register is known to lack a source's list. Raises sqlalchemy errors.
    """
    found = {}
    for subject in set(subjects):
        query = sa.select(event_index).where(event_index.c.subject == subject, event_index.c.kind.in_(_LOOKS))
        rows = connection.execute(query).mappings()
        looks = [look_of(Event(dict(row), None, None, False), agreements) for row in rows]
        shields = sa.select(sa.func.count()).select_from(shield).where(shield.c.pseudonym == subject)
        shielded = presumed_shielded or bool(connection.scalar(shields))
        found[subject] = Circumstances(live_since(looks, now_ms, live_days), shielded)
    return found


def _holds(connection: sa.Connection, body: sa.ColumnElement[bytes], needle: bytes) -> sa.ColumnElement[bool]:
    sought = sa.literal(needle, sa.LargeBinary)
    if connection.dialect.name == "sqlite":
        return sa.func.instr(body, sought) > 0
    return sa.func.position(sought.op("IN")(body)) > 0


def _with_payloads(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> Iterator[Event]:
    for some in _some(rows):
        yield from with_payloads(connection, some)


def _some(whole: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(whole), _AT_ONCE):
        yield whole[start : start + _AT_ONCE]
