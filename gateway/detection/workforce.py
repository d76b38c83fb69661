"""The workforce feed: a CSV file that says of each person where they work, when, and whose relatives they are.

Read strictly: a feed with a fault is refused whole, with every faulty line named and no value repeated. See
docs/workforce-feed.md.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from gateway.detection.lookups import folded
from gateway.detection.rota import Rota, RotaFault
from schema.identifiers import NHSNumber

COLUMNS: Final = (
    "issuer",
    "subject",
    "person",
    "organisation",
    "team",
    "registration",
    "surname",
    "address_district",
    "serves_district",
    "front_door",
    "rota",
    "leave",
    "starts_on",
    "leaves_on",
    "own_children",
    "relatives",
)
REQUIRED: Final = frozenset({"organisation", "team"})
_MOST_LINES: Final = 2_000_000
PSEUDONYM: Final = re.compile(r"[0-9a-f]{64}")
_DISTRICT: Final = re.compile(r"[A-Z]{1,2}[0-9][0-9A-Z]?")
_YES: Final = {"yes": True, "no": False, "": False}


class WorkforceFault(Exception):
    """The feed cannot be used; `faults` holds one line for each fault, with its line number and without any value."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Member:
    """One person of the workforce."""

    person: str  # pseudonym
    organisation: str
    team: str
    registration: str | None = field(repr=False)
    surname: str | None = field(repr=False)  # folded
    address_district: str | None = field(repr=False)  # postcode district, such as ZZ12
    serves_district: str | None
    front_door: bool  # takes enquiries and emergencies about any child, while on the rota
    rota: Rota | None  # None: nothing is known of the hours
    starts_on: date | None
    leaves_on: date | None
    children: frozenset[str] = field(repr=False)  # pseudonyms of own children and declared relatives


@dataclass(frozen=True)
class Workforce:
    """Everybody in the feed, by pseudonym, by registration, and by the child whose relative they are."""

    members: Mapping[str, Member]
    by_registration: Mapping[str, Member] = field(repr=False)
    relatives_of: Mapping[str, tuple[Member, ...]] = field(repr=False)

    @classmethod
    def of(cls, members: Iterable[Member]) -> Workforce:
        """Return the workforce of these people."""
        known = {member.person: member for member in members}
        relatives: dict[str, tuple[Member, ...]] = {}
        for member in known.values():
            for child in member.children:
                relatives[child] = (*relatives.get(child, ()), member)
        return cls(known, {m.registration: m for m in known.values() if m.registration}, relatives)


NOBODY: Final = Workforce({}, {}, {})
"""No feed: rules that need one are silent."""


def read_workforce(text: str, person_of: Callable[[str, str], str], child_of: Callable[[str], str]) -> Workforce:
    """Return the workforce of a CSV text.

    `person_of` gives the pseudonym of issuer and subject, `child_of` that of an NHS number. Raises WorkforceFault.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header)
        members: dict[str, Member] = {}
        faults: list[str] = []
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            try:
                member = _member(header, cells, person_of, child_of)
            except _LineFault as fault:
                faults.append(f"line {line}: {fault}")
                continue
            if members.setdefault(member.person, member) is not member:
                faults.append(f"line {line}: person: is in the feed twice")
            if line > _MOST_LINES:
                raise WorkforceFault([f"line {line}: a feed has at most {_MOST_LINES} lines"])
    except csv.Error:
        raise WorkforceFault([f"line {reader.line_num}: is not CSV"]) from None
    if faults:
        raise WorkforceFault(faults)
    return Workforce.of(members.values())


class _LineFault(Exception):
    pass


def _check_header(header: list[str]) -> None:
    faults = [f"line 1: {name}: is a column twice" for name in sorted({n for n in header if header.count(n) > 1})]
    if set(header) - set(COLUMNS):
        # its names may be anything, a child's number too: they are not repeated
        faults.append(f"line 1: there is a column that is none of {', '.join(COLUMNS)}")
    faults += [f"line 1: {name}: the column is missing" for name in sorted(REQUIRED - set(header))]
    if not ({"issuer", "subject"} <= set(header) or "person" in header):
        faults.append("line 1: issuer and subject, or person: the columns are missing")
    if faults:
        raise WorkforceFault(faults)


def _member(
    header: list[str], cells: list[str], person_of: Callable[[str, str], str], child_of: Callable[[str], str]
) -> Member:
    if len(cells) != len(header):
        raise _LineFault(f"has {len(cells)} cells, and the header has {len(header)}")
    row = dict.fromkeys(COLUMNS, "") | {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    for name in sorted(REQUIRED):
        if not row[name]:
            raise _LineFault(f"{name}: is empty")
    starts_on, leaves_on = _day(row, "starts_on"), _day(row, "leaves_on")
    if starts_on and leaves_on and leaves_on < starts_on:
        raise _LineFault("leaves_on: is before starts_on")
    if row["front_door"].lower() not in _YES:
        raise _LineFault("front_door: must be yes or no")
    return Member(
        person=_person(row, person_of),
        organisation=row["organisation"],
        team=row["team"],
        registration=row["registration"] or None,
        surname=folded(row["surname"]) or None,
        address_district=_district(row, "address_district"),
        serves_district=_district(row, "serves_district"),
        front_door=_YES[row["front_door"].lower()],
        rota=_rota(row),
        starts_on=starts_on,
        leaves_on=leaves_on,
        children=_children(row, "own_children", child_of) | _children(row, "relatives", child_of),
    )


def _person(row: Mapping[str, str], person_of: Callable[[str, str], str]) -> str:
    named, pseudonym = bool(row["issuer"] and row["subject"]), row["person"]
    if named == bool(pseudonym):
        raise _LineFault("give issuer and subject, or person, and not both")
    return person_of(row["issuer"], row["subject"]) if named else pseudonym


def _district(row: Mapping[str, str], name: str) -> str | None:
    value = row[name].upper()
    if value and not _DISTRICT.fullmatch(value):
        raise _LineFault(f"{name}: must be the first half of a postcode")
    return value or None


def _day(row: Mapping[str, str], name: str) -> date | None:
    try:
        return date.fromisoformat(row[name]) if row[name] else None
    except ValueError:
        raise _LineFault(f"{name}: must be a date, YYYY-MM-DD") from None


def _rota(row: Mapping[str, str]) -> Rota | None:
    if not row["rota"] and not row["leave"]:
        return None
    try:
        return Rota.read(row["rota"], row["leave"])
    except RotaFault as fault:
        raise _LineFault(str(fault)) from None


def _children(row: Mapping[str, str], name: str, child_of: Callable[[str], str]) -> frozenset[str]:
    found = set()
    for text in (part.strip() for part in row[name].split(";")):
        if not text:
            continue
        if PSEUDONYM.fullmatch(text):
            found.add(text)
            continue
        try:
            found.add(child_of(NHSNumber(text)))
        except ValueError:
            raise _LineFault(f"{name}: must hold NHS numbers or pseudonyms, parted by semicolons") from None
    return frozenset(found)
