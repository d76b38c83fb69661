"""Who may see what, on one page: the open cells, joined until a person can read them. Nothing of how it is printed.

Per custodian, roles of one kind of organisation that have the same rights stand together; then fields that open for the
same purposes on the same conditions. The page is made of the cells that enforce, so it can say nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

from auth.paths import SCOPES
from auth.sharing import AccessCell, Agreement, AgreementSet, LawfulBasis, open_cells
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship, Role

KeyT = TypeVar("KeyT", bound=str)

_ORDER = {path: place for place, path in enumerate(SCOPES)}


@dataclass(frozen=True, slots=True)
class Line:
    """Fields that open for the same purposes on the same conditions."""

    purposes: tuple[Purpose, ...]
    relationship: Relationship
    assurance: Assurance
    organisations: tuple[str, ...]  # empty: every organisation of the kind
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Askers:
    """Roles of one kind of organisation that have the same rights at one custodian."""

    kind: AgencyKind
    roles: tuple[Role, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class AtCustodian:
    """What one custodian opens, and under which agreements in force."""

    custodian: str
    agreements: tuple[str, ...]
    askers: tuple[Askers, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The page. It holds from one day until another, unless the agreements are changed."""

    version: str
    cells: int
    holds_from: date | None
    holds_until: date | None
    custodians: tuple[AtCustodian, ...]
    agreements: tuple[tuple[Agreement, bool], ...]  # with whether it is in force
    bases: tuple[tuple[Purpose, LawfulBasis | None, bool], ...]  # with whether it has commenced


def page_of(agreements: AgreementSet, today: date, kinds: Mapping[str, AgencyKind] | None = None) -> Page:
    """Return the page of a set of agreements on a day. `kinds`: of the connectors, where they are known."""
    cells = list(open_cells(agreements, today, kinds or {}))
    turns = sorted(turning_days(agreements))
    until = next((day for day in turns if day > today), None)
    return Page(
        version=agreements.version,
        cells=len(cells),
        holds_from=next((day for day in reversed(turns) if day <= today), None),
        holds_until=until - timedelta(days=1) if until else None,
        custodians=tuple(
            AtCustodian(
                custodian,
                tuple(sorted({cell.agreement for cell in of})),
                tuple(Askers(*group) for group in lines_of(of)),
            )
            for custodian, of in _by(cells, lambda cell: cell.custodian)
        ),
        agreements=tuple(
            (agreement, agreement.in_force(today))
            for agreement in sorted(agreements.agreements, key=lambda a: (a.custodian, a.id))
        ),
        bases=tuple(
            (purpose, agreements.bases.get(purpose), agreements.basis(purpose, today) is not None)
            for purpose in Purpose
        ),
    )


def turning_days(agreements: AgreementSet) -> Iterator[date]:
    """Yield the days on which something opens or closes by itself."""
    for agreement in agreements.agreements:
        yield agreement.approved_on
        if agreement.review_on < date.max:
            yield agreement.review_on + timedelta(days=1)
    for basis in agreements.bases.values():
        if basis.commenced is not None:
            yield basis.commenced


def lines_of(cells: Sequence[AccessCell]) -> Iterator[tuple[AgencyKind, tuple[Role, ...], tuple[Line, ...]]]:
    """Yield the kinds, the roles of each that have the same rights, and those rights."""
    for kind, of_kind in _by(cells, lambda cell: cell.organisation_kind):
        alike: dict[tuple[Line, ...], list[Role]] = defaultdict(list)
        for role, of_role in _by(of_kind, lambda cell: cell.role):
            alike[tuple(_lines(of_role))].append(role)
        for lines, roles in alike.items():
            yield kind, tuple(roles), lines


def _lines(cells: Iterable[AccessCell]) -> Iterator[Line]:
    """Join what one role may see: first the purposes of each field and condition, then fields with equal purposes."""
    purposes: Mapping[tuple[Relationship, Assurance, tuple[str, ...], str], set[Purpose]] = defaultdict(set)
    for cell in cells:
        named = tuple(sorted(cell.organisations))
        purposes[cell.relationship, cell.assurance, named, cell.field].add(cell.purpose)
    fields: Mapping[tuple[Relationship, Assurance, tuple[str, ...], tuple[Purpose, ...]], list[str]]
    fields = defaultdict(list)
    for (relationship, assurance, named, field), opened in purposes.items():
        fields[relationship, assurance, named, tuple(p for p in Purpose if p in opened)].append(field)
    kinds, signs = list(Relationship), list(Assurance)
    for (relationship, assurance, named, opened_for), paths in sorted(
        fields.items(), key=lambda item: (kinds.index(item[0][0]), signs.index(item[0][1]), item[0][2], item[0][3])
    ):
        yield Line(opened_for, relationship, assurance, named, tuple(sorted(paths, key=lambda p: _ORDER[p])))


def _by(cells: Iterable[AccessCell], key: Callable[[AccessCell], KeyT]) -> Iterator[tuple[KeyT, list[AccessCell]]]:
    """Yield the cells of each key, keys in their own order."""
    found: dict[KeyT, list[AccessCell]] = {}
    for cell in cells:
        found.setdefault(key(cell), []).append(cell)
    for name in sorted(found):
        yield name, found[name]
