"""What policy lets a viewer know of a world. Written from the agreements and the design, apart from the gateway.

`low` returns it. Nothing of `auth` or `gateway` is imported here (a test holds that): two readings of one policy.

Declared, and so equal in both worlds of a pair: which sources are configured, who is asked, and who failed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from tests.noninterference.agreements import BASES, Agreement, Line, agreement_of
from tests.noninterference.facts import CHILD, Asked, Held, Identity, Row, Viewer, World
from tests.noninterference.table import (
    APPOINTABLE,
    BROKER,
    IDENTITY,
    INVOLVEMENTS,
    LINKED_ADULT,
    ORGANISATIONS,
    OVERRIDE_SCOPE,
    PRACTITIONER,
    PREVIOUS,
    SCOPE,
    SENSITIVE,
    SOURCES,
    Source,
)

Shown = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Low:
    """What may be known. `rows`: (source, local id, fields) in no order; `sections`: (path, source, value) in order."""

    rows: tuple[tuple[str, str, Shown], ...] = ()
    sections: tuple[tuple[str, str, Any], ...] = ()


NOTHING = Low()


def lawful(agreement: Agreement, line: Line, source: Source, kind: str, purpose: str) -> frozenset[str]:
    """What of a grant the law, or a decision of the project, lets stand."""
    law = BASES.get(purpose)
    if (
        law is None
        or not law.commenced
        or source.kind not in (law.custodians or (source.kind,))
        or kind not in (law.recipients or (kind,))
        or (law.one_of and not {source.kind, kind} & set(law.one_of))
        or (purpose == "SERIOUS_VIOLENCE_S16" and source.kind in {"HEALTH", "CHILDRENS_SERVICES", "ADULT_SOCIAL_CARE"})
        or (purpose == "OMA_S14" and "HEALTH" in {source.kind, kind})
        or (purpose in {"OMA_S14", "MAPPA_S325"} and law.regime != "DPA_PART_3")
        or (kind in law.appointed and line.relationship != "APPOINTED")
        or (kind == "IMMIGRATION" and not (line.organisations and agreement.impact_assessment))
    ):
        return frozenset()
    masked = {PRACTITIONER} if kind in agreement.team_only else set()
    return frozenset(path for path in line.opens if path in (law.most or (path,)) and path not in masked)


@lru_cache(maxsize=100_000)
def opened(
    source: Source, organisation: str, roles: tuple[str, ...], scopes: frozenset[str], strong: bool, purpose: str
) -> Mapping[str, frozenset[str]]:
    """What the agreement of a source opens, by the relationship that a grant asks for."""
    found: dict[str, frozenset[str]] = {}
    agreement = agreement_of(source)
    kind, area = ORGANISATIONS.get(organisation, ("", None))
    outside = bool(agreement.areas) and area not in agreement.areas
    if not source.enabled or agreement.lapsed or outside:
        return found
    for line in agreement.lines:
        if (
            kind in line.to()
            and (not line.organisations or organisation in line.organisations)
            and set(roles) & set(line.roles)
            and purpose in line.purposes
            and (strong or line.assurance == "STANDARD")
        ):
            allowed = lawful(agreement, line, source, kind, purpose)
            paths = {path for path in allowed if SCOPE[path] in scopes} & source.holds
            found[line.relationship] = found.get(line.relationship, frozenset()) | paths
    return found


@dataclass(frozen=True, slots=True)
class Rights:
    """What one viewer holds for one purpose, before anything is known of a child: whom they make the gateway ask."""

    grants: Mapping[str, Mapping[str, frozenset[str]]]  # asked source -> relationship -> paths
    floor: frozenset[str]

    def at(self, source: str, standing: frozenset[str]) -> frozenset[str]:
        return frozenset().union(*(self.grants[source].get(held, frozenset()) for held in standing))


@lru_cache(maxsize=4096)
def rights(viewer: Viewer, asked: Asked) -> Rights | None:
    """What a viewer holds, or None if they may not look up a child at all for this purpose."""
    if SCOPE[INVOLVEMENTS] not in viewer.scopes or viewer.machine == "NOBODY":
        return None
    if asked.override and not (OVERRIDE_SCOPE in viewer.scopes and viewer.strong and asked.accepts_review):
        return None
    floor = frozenset({"NONE"} | ({"OVERRIDE"} if asked.override else set()))
    if asked.appointed and asked.purpose in APPOINTABLE:
        floor |= {"APPOINTED"}
    grants = {}
    for source in SOURCES:
        paths = opened(source, viewer.organisation, viewer.effective_roles, viewer.scopes, viewer.strong, asked.purpose)
        needed = LINKED_ADULT if source.about_adults else INVOLVEMENTS
        if any(needed in paths.get(held, ()) for held in floor):
            grants[source.id] = paths
    held = Rights(grants, floor)
    return held if any(INVOLVEMENTS in held.at(source, floor) for source in grants) else None


def low(
    world: World, viewer: Viewer, asked: Asked, down: frozenset[str], on_record: frozenset[str], today: date
) -> tuple[Low, frozenset[str]]:
    """Return what the viewer may know, and whose shields are on record after the lookup (which nobody may know).

    `down`: sources that give no answer; `on_record`: sources whose shield an earlier lookup left on record.
    """
    held = rights(viewer, asked)
    if held is None:
        return NOTHING, on_record
    answers = {
        source.id: world.get((source.id, CHILD), Held())
        for source in SOURCES
        if source.id in held.grants and source.id not in down and not source.about_adults
    }
    shields = (on_record - {s for s, a in answers.items() if a.shielded is False}) | {
        s for s, a in answers.items() if a.shielded
    }
    facts = {(source, CHILD): without_others(answer, asked) for source, answer in answers.items()}
    if not corroborated(facts, held, asked, today):
        return NOTHING, shields
    standing = held.floor | relationship(facts, viewer)
    owners = {s.organisation if s.kind == "CHILDRENS_SERVICES" else None for s in SOURCES if s.id in shields}
    through = bool(standing & {"PRACTITIONER", "OVERRIDE"}) or owners == {viewer.organisation}
    if shields and not through:
        return NOTHING, shields
    for adult in dict.fromkeys(adult for fact in list(facts.values()) for adult in fact.adults):
        for source in SOURCES:
            if source.about_adults and source.id in held.grants and source.id not in down:
                facts[source.id, adult] = world.get((source.id, adult), Held())
    return Low(_rows(facts, held, standing, asked, today), tuple(_sections(facts, held, standing))), shields


def without_others(answer: Held, asked: Asked) -> Held:
    """What is left of an answer once what hangs on somebody else's record under the same number is put aside."""
    theirs = answer.trace is not None and _contradicts(answer.trace, asked)
    rows = tuple(
        row
        for row in answer.rows
        if row.about == "LINKED_ADULT" or not (theirs if row.identity is None else _contradicts(row.identity, asked))
    )
    return (
        Held(rows, None, answer.shielded)
        if theirs
        else Held(rows, answer.trace, answer.shielded, answer.adults, answer.sections)
    )


def corroborated(facts: Mapping[tuple[str, str], Held], held: Rights, asked: Asked, today: date) -> bool:
    """Whether a trace, or a row that this viewer could be shown, proves the key. No sensitive or shielded row does."""
    return any(
        (fact.trace is not None and _agrees(fact.trace, asked))
        or (
            not fact.shielded
            and any(
                row.identity is not None
                and _agrees(row.identity, asked)
                and row.about == "CHILD"
                and row.sensitivity == "STANDARD"
                and visible(row, source, held.at(source, held.floor), asked, today)
                for row in fact.rows
            )
        )
        for (source, _), fact in facts.items()
    )


def relationship(facts: Mapping[tuple[str, str], Held], viewer: Viewer) -> frozenset[str]:
    """How a viewer stands to the child: by what their own organisation says of its people, and nobody else's word."""
    found: set[str] = set()
    for (source, _), fact in facts.items():
        for row in fact.rows:
            if BY_ORGANISATION[source] != viewer.organisation or (row.about, row.status) != ("CHILD", "CURRENT"):
                continue
            if row.person and row.person.registration and row.person.registration == viewer.registration:
                found |= {"PRACTITIONER", "ORGANISATION"}
            elif row.refusal is None and row.sensitivity == "STANDARD":
                found.add("ORGANISATION")
    return frozenset(found)


BY_ORGANISATION = {source.id: source.organisation for source in SOURCES}
_RETENTION = {source.id: source.retention_days for source in SOURCES}
_BROKERED = {source.id for source in SOURCES if source.broker}


def visible(row: Row, source: str, opens: frozenset[str], asked: Asked, today: date) -> bool:
    """Whether a row may be told at all."""
    needed = {LINKED_ADULT if row.about == "LINKED_ADULT" else INVOLVEMENTS}
    if row.status == "PREVIOUS":
        needed.add(PREVIOUS)
        days = _RETENTION[source]
        if days is not None and (row.ended is None or row.ended + timedelta(days=days) < today):
            return False
    if row.sensitivity != "STANDARD":
        needed.add(SENSITIVE)
        consented = row.basis == "CONSENT" and row.basis_until is not None and row.basis_until >= today
        harm = row.basis == "SIGNIFICANT_HARM" and (row.basis_until is None or row.basis_until >= today)
        if not (harm or consented) or source not in _BROKERED:
            return False
    return row.refusal is None and needed <= opens and (asked.previous or row.status == "CURRENT")


def _rows(
    facts: Mapping[tuple[str, str], Held], held: Rights, standing: frozenset[str], asked: Asked, today: date
) -> tuple[tuple[str, str, Shown], ...]:
    found: list[tuple[str, str, Shown]] = []
    for (source, _), fact in facts.items():
        opens = held.at(source, standing)
        found += [
            (source, row.local_id, shown(row, source, PRACTITIONER in opens))
            for row in fact.rows
            if visible(row, source, opens, asked, today)
        ]
    return tuple(sorted(found, key=lambda row: row[:2]))


def shown(row: Row, source: str, may_name: bool) -> Shown:
    """The fields of a visible row that have a value: by field path, as the published schema spells it."""
    if row.sensitivity != "STANDARD":
        told = {"agency": "broker", **BROKER, "status": row.status, "lead": False, "relationship": row.about}
        return tuple(told.items())
    person = row.person if may_name and row.mode == "DIRECT" else None
    team = row.team
    phone = (person.phone if person else None) or (team.phone if team else None)
    email = (person.email if person else None) or (team.email if team else None)
    hours = team.out_of_hours if team else None
    mode = "TEAM_ONLY" if row.mode == "DIRECT" and not person else row.mode
    body, _, number = (person.registration or "" if person else "").partition(":")
    values = {
        "agency": source,
        "service.code": row.service[0] if row.service else None,
        "service.name": row.service[1] if row.service else None,
        "practitioner.name": person.name if person else None,
        "practitioner.role": person.role if person else None,
        "practitioner.registration.body": body or None,
        "practitioner.registration.number": number or None,
        "role": row.role,
        "team.name": team.name if team else None,
        "contact.mode": mode if phone or email or hours else "NONE",
        "contact.phone": phone,
        "contact.email": email,
        "contact.outOfHours": hours,
        "contact.expectedResponse": row.expected_response,
        "status": row.status,
        "startedOn": row.started,
        "endedOn": row.ended,
        "lead": row.lead,
        "relationship": row.about,
        "lastConfirmedAt": row.confirmed,
    }
    return tuple((path, value) for path, value in values.items() if value is not None)


def _sections(
    facts: Mapping[tuple[str, str], Held], held: Rights, standing: frozenset[str]
) -> Iterable[tuple[str, str, Any]]:
    order = {source.id: place for place, source in enumerate(SOURCES)}
    for path in SCOPE:
        for (source, _), fact in sorted(facts.items(), key=lambda each: order[each[0][0]]):
            if path in fact.sections and fact.sections[path] and path in held.at(source, standing):
                yield path, source, fact.sections[path]
                if path in IDENTITY:
                    break  # one value, not a list: that of the first source which has it


def _agrees(claim: Identity, asked: Asked) -> bool:
    wanted = _plain(asked.family)
    return claim.born == asked.born and bool(wanted) and wanted in {_plain(name) for name in claim.families}


def _contradicts(claim: Identity, asked: Asked) -> bool:
    return claim.born != asked.born and _plain(asked.family) not in {_plain(name) for name in claim.families}


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in decomposed if c.isalnum())
