"""Reports that count: rates of each organisation, role and purpose, and each person beside their peers.

Counted by the database over the index; nobody is named, and no child.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import sqlalchemy as sa

from gateway.audit.events import EventKind
from gateway.audit.index_tables import Flag, event_index
from gateway.audit.reports.report import Report, Table, moment, share

LEAST_PEERS: Final = 5
"""Fewer than so many beside somebody are no group to be compared with."""

TIMES: Final = 2
"""Beyond so many times what 95 of 100 peers stay within, somebody stands out."""


@dataclass(frozen=True, slots=True)
class Period:
    """From when, included, until when, excluded; and of which organisation only."""

    since_ms: int | None
    until_ms: int | None
    organisation: str | None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return what the rows of the index must fulfil."""
        of = event_index.c
        found = []
        if self.since_ms is not None:
            found.append(of.at_ms >= self.since_ms)
        if self.until_ms is not None:
            found.append(of.at_ms < self.until_ms)
        if self.organisation is not None:
            found.append(of.organisation == self.organisation)
        return found

    def facts(self) -> list[tuple[str, str]]:
        """Return what the report says of it."""
        return [
            ("From", moment(self.since_ms) or "the beginning"),
            ("Until", moment(self.until_ms) or "now"),
            ("Organisation", self.organisation or "every one"),
        ]


@dataclass(frozen=True, slots=True)
class Rate:
    """What one group of events counts. Refusals are beside the look-ups: they were none."""

    group: str
    lookups: int
    refusals: int
    overrides: int
    misses: int
    incomplete: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Person:
    """What one person looked up. `person` is a pseudonym."""

    organisation: str
    role: str
    person: str
    lookups: int
    misses: int
    overrides: int


def rates(connection: sa.Connection, period: Period, group: str) -> list[Rate]:
    """Return the rates of each `organisation`, `role` or `purpose`, the most look-ups first."""
    of = event_index.c
    lookup = of.kind == EventKind.INTENT.value
    column = {"organisation": of.organisation, "role": of.role, "purpose": of.purpose}[group]
    query = (
        sa.select(
            sa.func.coalesce(column, "(not known)"),
            _count(lookup),
            sa.func.coalesce(sa.func.sum(sa.case((of.kind == EventKind.DENIED.value, of.times), else_=0)), 0),
            _count(lookup & _has(Flag.OVERRIDE)),
            _count(lookup & _has(Flag.NOTHING)),
            _count(lookup & _has(Flag.INCOMPLETE)),
            _count(lookup & _has(Flag.OPEN)),
        )
        .where(of.kind.in_((EventKind.INTENT.value, EventKind.DENIED.value)), *period.conditions())
        .group_by(column)
    )
    found = [Rate(str(name), *map(int, counts)) for name, *counts in connection.execute(query)]
    return sorted(found, key=lambda rate: (-rate.lookups, -rate.refusals, rate.group))


def people(connection: sa.Connection, period: Period) -> list[Person]:
    """Return what each person looked up, in each of their organisations and roles."""
    of = event_index.c
    query = (
        sa.select(
            of.organisation,
            of.role,
            of.person,
            sa.func.count(),
            _count(_has(Flag.NOTHING)),
            _count(_has(Flag.OVERRIDE)),
        )
        .where(of.kind == EventKind.INTENT.value, of.person.is_not(None), *period.conditions())
        .group_by(of.organisation, of.role, of.person)
    )
    return [
        Person(str(organisation or ""), str(role or ""), str(person), *map(int, counts))
        for organisation, role, person, *counts in connection.execute(query)
    ]


def rates_report(by: Mapping[str, Sequence[Rate]], period: Period, made_at: str) -> Report:
    """Return the rates of each group."""
    columns = (
        "Look-ups",
        "Refusals per 1000",
        "Overrides per 1000",
        "Misses per 1000",
        "Incomplete per 1000",
        "Unknown outcome",
    )
    return Report(
        "rates",
        "Look-ups, refusals, overrides and misses",
        made_at,
        period.facts(),
        [
            "Per 1000 look-ups. A miss is a look-up that told nothing. An unknown outcome is to be treated as "
            "disclosed. Refusals are attempts that asked nobody, and are not among the look-ups."
        ],
        [
            Table(
                f"By {group}",
                (group.capitalize(), *columns),
                [
                    (
                        rate.group,
                        rate.lookups,
                        share(rate.refusals, rate.lookups),
                        share(rate.overrides, rate.lookups),
                        share(rate.misses, rate.lookups),
                        share(rate.incomplete, rate.lookups),
                        rate.unknown,
                    )
                    for rate in found
                ],
                "no look-up in this time",
            )
            for group, found in by.items()
        ],
    )


def peers_report(found: Sequence[Person], period: Period, made_at: str, *, most: int = 100) -> Report:
    """Return groups of peers, and who stands out of theirs."""
    groups: dict[tuple[str, str], list[Person]] = defaultdict(list)
    for person in found:
        groups[person.organisation, person.role].append(person)
    rows = [
        (
            organisation,
            role,
            len(members),
            _middle(members),
            _high(sorted(m.lookups for m in members)),
            _largest(members),
        )
        for (organisation, role), members in sorted(groups.items())
    ]
    standing_out = sorted(
        ((person, against) for members in groups.values() for person, against in outliers(members)),
        key=lambda pair: (-pair[0].lookups, pair[0].person),
    )
    return Report(
        "peers",
        "Look-ups of each person beside their peers",
        made_at,
        [*period.facts(), ("People", len(found)), ("Standing out", len(standing_out))],
        [
            f"Peers have the same role in the same organisation. Somebody stands out with more than {TIMES} times what "
            f"95 of 100 of the others stay within; of fewer than {LEAST_PEERS} others nothing is said. To stand out is "
            "no finding: it is where to look first. People are pseudonyms, as in `auditEvents`."
        ],
        [
            Table(
                "Standing out",
                ("Person", "Organisation", "Role", "Look-ups", "95 of 100 peers", "Misses", "Overrides"),
                [
                    (p.person, p.organisation, p.role, p.lookups, against, p.misses, p.overrides)
                    for p, against in standing_out[:most]
                ],
                "nobody",
            ),
            Table(
                "Groups",
                ("Organisation", "Role", "People", "Median", "95 of 100", "Most"),
                rows,
                "no look-up in this time",
            ),
        ],
    )


def outliers(members: Sequence[Person]) -> list[tuple[Person, float]]:
    """Return who stands out of their peers, with what 95 of 100 of the others stay within."""
    found = []
    if len(members) <= LEAST_PEERS:
        return []
    ordered = sorted(members, key=lambda member: member.lookups)
    counts = [member.lookups for member in ordered]
    for place, person in enumerate(ordered):
        # the others alone: in a small group somebody who stands out would else raise their own measure
        against = _high(counts, without=place)
        if person.lookups > TIMES * against:
            found.append((person, against))
    return found


def _middle(members: Sequence[Person]) -> float:
    return float(median(member.lookups for member in members))


def _largest(members: Sequence[Person]) -> int:
    return max(member.lookups for member in members)


def _high(ordered: Sequence[int], without: int | None = None) -> float:
    """Return the 95th percentile of ordered values, interpolated, with one of them left out."""
    size = len(ordered) - (without is not None)
    if size < 1:
        return 0.0

    def value(place: int) -> int:
        return ordered[place if without is None or place < without else place + 1]

    below, beyond = divmod(95 * (size - 1), 100)
    if not beyond:
        return float(value(below))
    return round(value(below) + (value(below + 1) - value(below)) * beyond / 100, 1)


def _has(flag: Flag) -> sa.ColumnElement[bool]:
    return event_index.c.flags.op("&")(int(flag)) != 0


def _count(condition: sa.ColumnElement[bool]) -> Any:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)
