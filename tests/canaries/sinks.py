"""Every place that something can end up in, and what of it may stand there all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from gateway.storage.engine import open_engine
from tests.canaries.marked import Canaries

_ASKED_FOR: Final = {"reason", "case reference", "justification"}
_WHO_ASKED: Final = {"asker.subject", "asker.name", "asker.registration", "asker.organisation", "asker.scope"}
MAY_STAND: Final[Mapping[str, set[str]]] = {
    # The log must say who asked, why, and which practitioners were told: that is what it is for.
    "database audit_payload.body": {*_ASKED_FOR, *_WHO_ASKED, "told.practitioner", "told.registration", "evidence"},
    # An auditor reads who asked, and why; whom they were told of stands in the answer itself, and not here.
    "events": {*_ASKED_FOR, *_WHO_ASKED},
    # Which organisation a token names is no fact about a person, and every bound of an auditor is drawn by it.
    "database event_index.organisation": {"asker.organisation"},
    # The reference of an order or minute, by which somebody can find it again.
    "database appointment.evidence": {"evidence"},
}


@dataclass
class Sinks:
    """What came out of each place, by its name."""

    held: dict[str, list[bytes]] = field(default_factory=dict)

    def put(self, sink: str, content: bytes | str) -> None:
        """Add what came out of a place."""
        self.held.setdefault(sink, []).append(content.encode() if isinstance(content, str) else content)

    def sizes(self) -> dict[str, int]:
        """Return the bytes of every place."""
        return {sink: sum(map(len, parts)) for sink, parts in sorted(self.held.items())}

    def leaks(self, canaries: Canaries, may_stand: Mapping[str, Collection[str]] = MAY_STAND) -> list[str]:
        """Return, for each place, the kinds of canaries that stand in it and may not."""
        found = []
        for sink, parts in self.held.items():
            kinds = canaries.found_in(b"\n".join(parts)).difference(may_stand.get(sink, ()))
            found += [f"{kind} in {sink}" for kind in sorted(kinds)]
        return found


def database_columns(url: str) -> Iterator[tuple[str, bytes]]:
    """Yield every column of every table with all that stands in it."""
    engine = open_engine(url, create=False)
    try:
        with engine.connect() as connection:
            for table in sa.inspect(connection).get_table_names():
                columns = [column["name"] for column in sa.inspect(connection).get_columns(table)]
                rows = connection.execute(sa.text(f'SELECT * FROM "{table}"')).all()  # noqa: S608 - names of the schema
                for number, column in enumerate(columns):
                    yield f"database {table}.{column}", b"\n".join(_raw(row[number]) for row in rows)
    finally:
        engine.dispose()


def _raw(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def files_under(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file below these, also what the database keeps beside itself."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path.name, path.read_bytes()


def summary(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return bytes by kind of place: all columns, all files and all routes of operations together."""
    found: Counter[str] = Counter()
    for sink, size in sizes.items():
        kind = sink.partition(" ")[0]
        found[kind if kind in {"database", "files", "operations"} else sink] += size
    return dict(found)
