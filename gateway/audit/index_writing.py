"""What is written to the event index: one statement for any number of rows, the same on both databases.

On SQLite the log waits for as long as a transaction of the index lasts. A statement for each row would let go of the
interpreter, and wait for it again, as often as there are rows.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple
from itertools import chain
from typing import Any, Final

import sqlalchemy as sa

from gateway.audit.events import EventKind
from gateway.audit.index_tables import Flag, event_index
from gateway.audit.indexed import FORGOTTEN, Changes, Purge
from gateway.storage.engine import is_postgresql, writing

KEPT: Final = frozenset({"shard", "seq", "explained"})
"""What writing a row anew leaves as it is."""

MOST_ROWS: Final = 200
"""So many rows are changed by one transaction."""

_COLUMNS: Final = tuple(column.name for column in event_index.columns)
_CLOSING: Final = ("shard", "seq", "closing_seq", "outcome", "relationship", "entries", "flags")
_OVERRIDING: Final = ("shard", "seq", "override_seq")


_SIZES: Final = (64, 16, 4, 1)
"""Rows of a statement: the driver keeps each text that it was given prepared, and one of many rows takes memory."""


class _Statement:
    """A statement over rows of `given`: their values in SQLite, which takes half as long as JSON does there."""

    def __init__(self, columns: Sequence[str], text: str) -> None:
        self._text = text
        self._given = f"WITH given ({', '.join(columns)}) AS "
        self._row = f"({', '.join('?' * len(columns))})"
        elements = ", ".join(f"CAST(value ->> {ix} AS {_type_of(name)})" for ix, name in enumerate(columns))
        of_json = f"(SELECT {elements} FROM json_array_elements(CAST(:rows AS json)))"  # noqa: S608 - our own names
        self._postgresql = sa.text(f"{self._given}{of_json} {text}")

    def execute(self, connection: sa.Connection, rows: Collection[Sequence[Any]]) -> None:
        """Execute it over the rows, if there are any."""
        if not rows:
            return
        if is_postgresql(connection.engine):
            connection.execute(self._postgresql, {"rows": json.dumps(list(rows))})
        else:
            given, at = list(rows), 0
            for size in _SIZES:
                while len(given) - at >= size:
                    values = ", ".join([self._row] * size)
                    text = f"{self._given}(VALUES {values}) {self._text}"
                    connection.exec_driver_sql(text, tuple(chain.from_iterable(given[at : at + size])))
                    at += size


def _type_of(name: str) -> str:
    return "TEXT" if isinstance(event_index.c[name].type, sa.Text) else "BIGINT"


_EVENTS: Final = _Statement(
    _COLUMNS,
    # "WHERE true" tells SQLite's parser that ON CONFLICT is not part of a join
    f"INSERT INTO event_index ({', '.join(_COLUMNS)}) SELECT {', '.join(_COLUMNS)} FROM given WHERE true "  # noqa: S608 - our own names
    "ON CONFLICT (shard, seq) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in KEPT),
)
_OF_THE_ROW: Final = (
    "FROM given WHERE event_index.shard = given.shard AND event_index.seq = given.seq "
    f"AND event_index.flags & {int(Flag.PURGED)} = 0"
)
_CLOSINGS: Final = _Statement(
    _CLOSING,
    "UPDATE event_index SET closing_seq = given.closing_seq, outcome = given.outcome, "  # noqa: S608 - our own names
    "relationship = given.relationship, entries = given.entries, "
    f"flags = (event_index.flags & {~int(Flag.OPEN)}) | given.flags {_OF_THE_ROW}",
)
_OVERRIDINGS: Final = _Statement(
    _OVERRIDING,
    "UPDATE event_index SET override_seq = given.override_seq, "  # noqa: S608 - our own names
    f"flags = event_index.flags | {int(Flag.OVERRIDE)} {_OF_THE_ROW}",
)
_UNEXPLAINED: Final = _Statement(
    ("receipt",),
    "UPDATE event_index SET explained = 0 "  # noqa: S608 - our own names
    f"WHERE receipt IN (SELECT receipt FROM given) AND kind = '{EventKind.INTENT.value}'",
)
_FORGETTING: Final = (
    sa.update(event_index)
    .where(
        event_index.c.shard == sa.bindparam("of"),
        event_index.c.seq.between(sa.bindparam("from_seq"), sa.bindparam("to_seq")),
    )
    .values(FORGOTTEN)
)


def at_once(changes: Changes) -> bool:
    """Return whether `write` writes all of it; if not, `forget` has the rest to do."""
    return changes.purged() <= MOST_ROWS


def write(connection: sa.Connection, changes: Changes) -> None:
    """Write what records do to rows, but for purges of more rows than one transaction should change."""
    _EVENTS.execute(connection, [tuple(row[name] for name in _COLUMNS) for row in changes.events.values()])
    # of two that close the same lookup the later counts, as if each had been written by itself
    _CLOSINGS.execute(connection, {(each.shard, each.intent): astuple(each) for each in changes.closings}.values())
    _OVERRIDINGS.execute(connection, {(o.shard, o.intent): astuple(o) for o in changes.overridings}.values())
    if at_once(changes):
        for purge in changes.purges:
            _forget(connection, purge)


def forget(engine: sa.Engine, changes: Changes) -> None:
    """Empty the rows whose payloads are gone, a slice at a time; of purges that `write` has left."""
    if not at_once(changes):
        for each in _slices(changes.purges):
            with writing(engine).begin() as connection:
                _forget(connection, each)


def mark_unexplained(engine: sa.Engine, receipts: Collection[str]) -> None:
    """Say of the look-ups with these receipts that the detection found no reason for them."""
    rows = [(receipt,) for receipt in sorted(receipts)]
    for first in range(0, len(rows), MOST_ROWS):
        with writing(engine).begin() as connection:
            _UNEXPLAINED.execute(connection, rows[first : first + MOST_ROWS])


def _forget(connection: sa.Connection, purge: Purge) -> None:
    connection.execute(_FORGETTING, {"of": purge.shard, "from_seq": purge.first, "to_seq": purge.last})


def _slices(purges: Sequence[Purge]) -> Iterator[Purge]:
    for purge in purges:
        for first in range(purge.first, purge.last + 1, MOST_ROWS):
            yield Purge(purge.shard, first, min(first + MOST_ROWS - 1, purge.last))
