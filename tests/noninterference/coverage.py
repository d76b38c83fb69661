"""Which fields were told and which withheld, by role: figures from agreement proofs mean nothing without them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tests.noninterference.agreements import BASES
from tests.noninterference.facts import World
from tests.noninterference.oracle import Low, Shown, opened, shown
from tests.noninterference.pairs import Step
from tests.noninterference.table import (
    ALL_SCOPES,
    HOMES,
    IDENTITY,
    INVOLVEMENTS,
    LINKED_ADULT,
    ORGANISATIONS,
    PRACTITIONER,
    PREVIOUS,
    SECTION_FIELDS,
    SOURCES,
)

GRANTED, WITHHELD = "granted", "withheld"
Cell = tuple[str, str, str]
_AGENCY = ("agency.id", "agency.name", "agency.kind")
ENTRY_FIELDS = (
    *("id", "sources.id", "sources.name", *_AGENCY, "agency.area", "service.code", "service.name"),
    *("practitioner.name", "practitioner.role", "practitioner.registration.body", "practitioner.registration.number"),
    *("role", "team.name", "contact.mode", "contact.phone", "contact.email", "contact.outOfHours"),
    *("contact.expectedResponse", "status", "startedOn", "endedOn", "lead", "relationship", "lastConfirmedAt"),
)
FIELDS = (
    *(f"involvements.{name}" for name in ENTRY_FIELDS),
    *IDENTITY,
    *(f"{path}.{name}" for path, names in SECTION_FIELDS.items() for name in ("agency.id", "agency.name", *names)),
)


@dataclass
class Coverage:
    """Hits by (field of the schema, role, granted or withheld); a pair counts once for each."""

    hits: Counter[Cell] = field(default_factory=Counter)

    def note(self, step: Step, world: World, low: Low) -> None:
        """Count what one lookup selected of what is held, by whether the viewer may know it."""
        roles = step.viewer.effective_roles
        if len(roles) != 1:
            return
        selected = step.operation.shape.fields
        told, hidden = _told_and_hidden(world, low)
        for name in told & selected:
            self.hits[name, roles[0], GRANTED] += 1
        for name in hidden & selected:
            self.hits[name, roles[0], WITHHELD] += 1

    def add(self, other: Coverage) -> None:
        """Take the hits of another run in."""
        self.hits.update(other.hits)

    def least(self) -> tuple[int, Cell]:
        """Return the possible cell with the fewest hits, and how many."""
        return min((self.hits[cell], cell) for cell in possible_cells())

    def below(self, hits: int) -> dict[Cell, int]:
        """Return the possible cells with fewer hits."""
        return {cell: self.hits[cell] for cell in possible_cells() if self.hits[cell] < hits}


def _told_and_hidden(world: World, low: Low) -> tuple[set[str], set[str]]:
    visible = {(source, local_id): names for source, local_id, names in low.rows}
    told: set[str] = set()
    hidden: set[str] = set()
    for (source, _), held in world.items():
        for row in held.rows:
            whole = set(_names(shown(row, source, True) if row.sensitivity == "STANDARD" else ()))
            names = set(_names(visible.get((source, row.local_id), ())))
            told |= names
            hidden |= (whole or {"involvements.id", "involvements.agency.id"}) - names
    values = {(path, source): value for path, source, value in low.sections}
    for (source, _), held in world.items():
        for path, value in held.sections.items():
            names = {path} if path in IDENTITY else {f"{path}.{name}" for item in value for name, _ in item}
            names |= set() if path in IDENTITY else {f"{path}.agency.id", f"{path}.agency.name"}
            if values.get((path, source)) == value:
                told |= names
            else:
                hidden |= names
    return told, hidden


def _names(fields: Shown) -> Iterator[str]:
    for name, _ in fields:
        yield f"involvements.{name}"
    if fields:
        yield from (f"involvements.{name}" for name in (*_AGENCY, "id", "agency.area", "sources.id", "sources.name"))


@lru_cache(maxsize=1)
def possible_cells() -> frozenset[Cell]:
    """The cells that the table makes possible: anything may be withheld; what some grant opens may be told."""
    cells: set[Cell] = set()
    for role, homes in HOMES.items():
        granted = _ever_open(role, homes)
        for name in FIELDS:
            cells.add((name, role, WITHHELD))
            if _path_of(name) & granted == _path_of(name):
                cells.add((name, role, GRANTED))
    return frozenset(cells)


def impossible_cells() -> dict[str, list[str]]:
    """By role, the fields that no agreement of the table ever opens to it."""
    found: dict[str, list[str]] = {}
    for role in HOMES:
        for name in FIELDS:
            if (name, role, GRANTED) not in possible_cells():
                found.setdefault(role, []).append(name)
    return found


def _path_of(name: str) -> set[str]:
    if not name.startswith("involvements."):
        path = next(path for path in (*IDENTITY, *SECTION_FIELDS) if name == path or name.startswith(f"{path}."))
        return {path}
    if name == "involvements.endedOn":
        return {"row", PREVIOUS}
    return {"row", PRACTITIONER} if name.startswith("involvements.practitioner") else {"row"}


def _ever_open(role: str, homes: tuple[str, ...]) -> set[str]:
    open_paths: set[str] = set()
    for organisation in homes:
        for source in SOURCES:
            for purpose in BASES:
                grants: Any = opened(source, organisation, (role,), ALL_SCOPES, True, purpose)
                needed = LINKED_ADULT if source.about_adults else INVOLVEMENTS
                if any(needed in grants.get(held, ()) for held in ("NONE", "OVERRIDE", "APPOINTED")):
                    open_paths |= {"row"}.union(*grants.values())
    return open_paths


def organisation_kinds() -> frozenset[str]:
    """The kinds of organisation whose people ask."""
    return frozenset(kind for kind, _ in ORGANISATIONS.values())
