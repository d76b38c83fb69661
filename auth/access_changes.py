"""What opens and what closes from one set of agreements to another: today, and on every later day that they name.

Two sets are compared by what they let each asker see, not by their text: a grant for NONE covers every relationship,
one for STANDARD covers STRONG, one for a kind covers its parties, and a custodian that loses its own agreements falls
back to those of its kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from auth.access_page import turning_days
from auth.paths import INVOLVEMENTS, LINKED_ADULT
from auth.sharing import EVERY_ORGANISATION, AccessCell, AgreementSet, Organisation, open_cells
from auth.standing import standing_of
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship, Role

ANY = "any"
_AT_LEAST = {
    Assurance.STANDARD: (Assurance.STANDARD, Assurance.STRONG),
    Assurance.STRONG: (Assurance.STRONG,),
}
_COVERS = {needed: tuple(held for held in Relationship if needed in standing_of(held)) for needed in Relationship}


@dataclass(frozen=True, slots=True)
class Change:
    """A cell that opens, or closes, and the first day on which it does."""

    cell: AccessCell
    since: date


@dataclass(frozen=True, slots=True)
class Note:
    """Another change that somebody who approves must know. `widens`: more may be seen, or seen unnoticed, by it."""

    text: str
    widens: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """What opens, what closes and what else changes; agreement ids do not count as a change."""

    opens: tuple[Change, ...]
    closes: tuple[Change, ...]
    notes: tuple[Note, ...]

    @property
    def widens(self) -> bool:
        """Whether anything opens, or may."""
        return bool(self.opens) or any(note.widens for note in self.notes)


class _Point(NamedTuple):
    """One asker and one field, in one standing and with one sign-in."""

    custodian: str
    kind: AgencyKind
    role: Role
    purpose: Purpose
    field: str
    organisation: str
    relationship: Relationship
    assurance: Assurance


def difference(
    before: AgreementSet, after: AgreementSet, today: date, kinds: Mapping[str, AgencyKind] | None = None
) -> Difference:
    """Return what changes. `kinds`: of the connectors that have agreements of their own, where they are known."""
    known = dict(kinds or {})
    days = [today, *sorted({day for day in (*turning_days(before), *turning_days(after)) if day > today})]
    opens: dict[_Point, tuple[str, date]] = {}
    closes: dict[_Point, tuple[str, date]] = {}
    for day in days:
        old, new = (_points(of, other, day, known) for of, other in ((before, after), (after, before)))
        for point in new.keys() - old.keys():
            opens.setdefault(point, (new[point], day))
        for point in old.keys() - new.keys():
            closes.setdefault(point, (old[point], day))
    notes = (*_fallen_back(before, after, known), *_parties(before, after), *_silent(before, after, days))
    return Difference(tuple(_joined(opens)), tuple(_joined(closes)), notes)


def _points(
    agreements: AgreementSet, other: AgreementSet, day: date, kinds: Mapping[str, AgencyKind]
) -> Mapping[_Point, str]:
    """Return every point that is open, with the agreement that opens it."""
    found: dict[_Point, str] = {}
    areas = {a.id: a.areas for a in agreements.agreements}
    named = {area for of in (agreements, other) for a in of.agreements for area in a.areas}
    for cell in (*open_cells(agreements, day, kinds), *_through_the_kind(agreements, other, day, kinds)):
        for organisation in _organisations(cell, agreements, areas[cell.agreement], named):
            for relationship in _COVERS[cell.relationship]:
                for assurance in _AT_LEAST[cell.assurance]:
                    point = _Point(
                        cell.custodian,
                        cell.organisation_kind,
                        cell.role,
                        cell.purpose,
                        cell.field,
                        organisation,
                        relationship,
                        assurance,
                    )
                    found.setdefault(point, cell.agreement)
    return found


def _through_the_kind(
    agreements: AgreementSet, other: AgreementSet, day: date, kinds: Mapping[str, AgencyKind]
) -> Iterator[AccessCell]:
    """Yield the cells of custodians that have agreements of their own in the other set alone."""
    own = {a.custodian for a in agreements.agreements}
    for custodian in sorted({a.custodian for a in other.agreements} - own):
        if (kind := kinds.get(custodian)) is not None:
            for cell in open_cells(agreements, day, kinds):
                if cell.custodian == f"kind:{kind}":
                    yield _at(cell, custodian)


def _at(cell: AccessCell, custodian: str) -> AccessCell:
    return AccessCell(
        custodian,
        cell.organisation_kind,
        cell.role,
        cell.purpose,
        cell.relationship,
        cell.assurance,
        cell.field,
        cell.organisations,
        cell.agreement,
    )


def _organisations(
    cell: AccessCell, agreements: AgreementSet, areas: frozenset[str], named: Iterable[str]
) -> Iterator[str]:
    """Yield the parties that a cell speaks of, and those still to come: any of the kind, or any of it in an area."""
    for party in agreements.organisations.values():
        listed = not cell.organisations or party.id in cell.organisations
        if party.kind is cell.organisation_kind and listed and (not areas or party.area in areas):
            yield party.id
    if cell.organisations:
        yield from (name for name in cell.organisations if name not in agreements.organisations)
    elif not areas:
        yield ANY
        yield from (f"{ANY} in {area}" for area in named)
    else:
        yield from (f"{ANY} in {area}" for area in areas)


def _joined(points: Mapping[_Point, tuple[str, date]]) -> Iterator[Change]:
    """Join points into cells: the least relationship and sign-in of each, and all its organisations as one."""
    standings: dict[tuple[str, ...], set[tuple[Relationship, Assurance]]] = defaultdict(set)
    for point, (agreement, since) in points.items():
        standings[(*point[:6], agreement, since.isoformat())].add((point.relationship, point.assurance))
    organisations: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for (*who, organisation, agreement, since_), held in standings.items():
        for relationship, assurance in held:
            if not any(_covered((relationship, assurance), by) for by in held):
                organisations[(*who, relationship, assurance, agreement, since_)].add(organisation)
    for (custodian, kind, role, purpose, field, relationship_, assurance_, agreement, since_), named in sorted(
        organisations.items()
    ):
        cell = AccessCell(
            custodian,
            AgencyKind(kind),
            Role(role),
            Purpose(purpose),
            Relationship(relationship_),
            Assurance(assurance_),
            field,
            frozenset() if ANY in named else frozenset(named),
            agreement,
        )
        yield Change(cell, date.fromisoformat(since_))


def _covered(point: tuple[Relationship, Assurance], by: tuple[Relationship, Assurance]) -> bool:
    return point != by and point[0] in _COVERS[by[0]] and point[1] in _AT_LEAST[by[1]]


def _fallen_back(before: AgreementSet, after: AgreementSet, kinds: Mapping[str, AgencyKind]) -> Iterator[Note]:
    own = {a.custodian for a in after.agreements}
    for custodian in sorted({a.custodian for a in before.agreements} - own):
        if not custodian.startswith("kind:") and custodian not in kinds:
            yield Note(
                f"{custodian} has no agreement of its own any more: those of its kind count for it (--config FILE "
                "knows its kind)",
                widens=True,
            )


def _parties(before: AgreementSet, after: AgreementSet) -> Iterator[Note]:
    for name in sorted(after.organisations.keys() - before.organisations.keys()):
        yield Note(f"new party: {_described(after.organisations[name])}", widens=False)
    for name in sorted(before.organisations.keys() - after.organisations.keys()):
        yield Note(f"no party any more: {_described(before.organisations[name])}", widens=False)
    for name, party in sorted(after.organisations.items()):
        was = before.organisations.get(name)
        for purpose in sorted(party.appoints - (was.appoints if was else frozenset())):
            yield Note(f"{name} may appoint people to cases for {purpose}", widens=True)
        for purpose in sorted((was.appoints if was else frozenset()) - party.appoints):
            yield Note(f"{name} may no longer appoint people to cases for {purpose}", widens=False)
        for audited in sorted(party.audits - (was.audits if was else frozenset())):
            yield Note(f"the auditors of {name} may read the events of {_audited(audited)}", widens=True)
        for audited in sorted((was.audits if was else frozenset()) - party.audits):
            yield Note(f"the auditors of {name} may no longer read the events of {_audited(audited)}", widens=False)
        if was and (was.kind, was.area) != (party.kind, party.area):
            yield Note(f"another kind or area: {_described(was)} becomes {_described(party)}", widens=False)


def _audited(organisation: str) -> str:
    return "every organisation" if organisation == EVERY_ORGANISATION else organisation


def _described(party: Organisation) -> str:
    return f"{party.id} ({party.kind}{f', {party.area}' if party.area else ''})"


def _silent(before: AgreementSet, after: AgreementSet, days: Iterable[date]) -> Iterator[Note]:
    """Whether those who work with the child are told of a lookup is no field, but somebody must approve it."""
    was: set[tuple[str, str, str]] = set()
    now: set[tuple[str, str, str]] = set()
    for day in days:
        was |= set(_silent_grants(before, day))
        now |= set(_silent_grants(after, day))
    for custodian, kind, role in sorted(now - was):
        yield Note(f"{custodian} is read silently by {kind} {role}", widens=True)
    for custodian, kind, role in sorted(was - now):
        yield Note(f"{custodian} is no longer read silently by {kind} {role}", widens=False)


def _silent_grants(agreements: AgreementSet, day: date) -> Iterator[tuple[str, str, str]]:
    for agreement in agreements.agreements:
        for grant in agreement.grants:
            if grant.silent and agreement.in_force(day) and not grant.opens.isdisjoint((INVOLVEMENTS, LINKED_ADULT)):
                for kind in grant.kinds:
                    yield from ((agreement.custodian, kind, role) for role in grant.roles)
