"""The door: the only place where what sources say becomes what a caller may see.

Pure: facts, entitlement and standing in, types out. Every refusal here is silent by design: withheld looks absent.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import strawberry

from auth.caller import Caller
from auth.entitlements import Entitlement, Entitlements
from auth.paths import INVOLVEMENTS, LINKED_ADULT, PRACTITIONER, PREVIOUS, SENSITIVE
from auth.sharing import Custodian
from auth.standing import Standing
from schema import records, types
from schema.made_quickly import made_quickly
from schema.records import Answered, Involvement
from schema.sections import SECTIONS, SectionDeclaration
from schema.vocabulary import (
    ContactMode,
    DisclosureBasis,
    HeldBack,
    InvolvementRelationship,
    InvolvementStatus,
    Relationship,
    Sensitivity,
)


@made_quickly
@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One source's complete answer, with what the door must know of the source itself."""

    custodian: Custodian
    agency: records.Agency
    broker: records.Agency | None  # who makes contact with this source's sensitive services; None: nobody can
    answer: Answered
    stale_as_of: datetime | None = None  # of an earlier answer that stands in: as of when it was so


@made_quickly
@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks, and how opaque ids are made for them: stable for this viewer, meaningless to another."""

    caller: Caller
    opaque_id: Callable[[str, str], str]  # (custodian id, local id) -> id


_MOST_AGENCIES = 1024

# An instance to assign fields to one by one, each by name. Strawberry's `__init__`, which takes them by name too, costs
# three times as much. What nobody assigned has no value to read: an error of ours, which is no answer.
_blank = object.__new__

# bound once: to look a word up in its list costs several times as much, and each row is judged by a dozen
_CHILD, _LINKED = InvolvementRelationship.CHILD, InvolvementRelationship.LINKED_ADULT
_CURRENT, _PREVIOUS = InvolvementStatus.CURRENT, InvolvementStatus.PREVIOUS
_STANDARD = Sensitivity.STANDARD
_DIRECT, _TEAM_ONLY, _NO_CONTACT = ContactMode.DIRECT, ContactMode.TEAM_ONLY, ContactMode.NONE

HeldBackRows = Mapping[tuple[str, HeldBack], int]
"""How many rows of which custodian were held back, and why: for the log alone."""


@made_quickly
@dataclass(frozen=True, slots=True)
class Disclosed:
    """What the door let through: rows (not yet merged) and section values by their lookup field (Python name)."""

    rows: tuple[types.Involvement, ...]
    sections: dict[str, Any]
    held_back: HeldBackRows


def nothing(facts: Sequence[SourceFacts], why: HeldBack) -> Disclosed:
    """Return that nothing of these facts is told, for one reason."""
    counts = Counter((fact.custodian.id, why) for fact in facts for _ in fact.answer.involvements)
    return Disclosed((), {}, counts)


def relationship_of(caller: Caller, facts: Iterable[SourceFacts]) -> tuple[Relationship, str | None]:
    """Return how the caller stands to the child, from current entries about the child itself, and on whose word.

    The second is the id of the custodian whose entry shows it; None for no relationship.

    Only what the caller's own organisation says of its people counts: another source could plant a registration.
    PRACTITIONER by registration number only, never by name. An entry about a linked adult makes no relationship to the
    child. Nor does one that may be hidden from the organisation's own people make theirs: what a relationship opens
    elsewhere would tell them of it.
    """
    best, shown_by = Relationship.NONE, None
    for fact in facts:
        if not isinstance(fact.answer.subject, records.ChildRef):
            continue
        if fact.custodian.organisation != caller.organisation:
            continue
        for row in fact.answer.involvements:
            if row.relationship is not _CHILD or row.status is not _CURRENT:
                continue
            if _is_theirs(caller, row):
                return Relationship.PRACTITIONER, fact.custodian.id
            if shown_by is None and row.refusal is None and row.sensitivity is _STANDARD:
                best, shown_by = Relationship.ORGANISATION, fact.custodian.id
    return best, shown_by


def _is_theirs(caller: Caller, row: Involvement) -> bool:
    held = row.practitioner.registration if row.practitioner else None
    stated = caller.practitioner_registration
    return held is not None and stated is not None and f"{held.body}:{held.number}" == stated


def may_show(row: Involvement, entitlement: Entitlement, standing: Standing, today: date) -> bool:
    """Return whether a row may be shown at all, before shields and corroboration are considered."""
    return why_held_back(row, entitlement, standing, today) is None


def why_held_back(row: Involvement, entitlement: Entitlement, standing: Standing, today: date) -> HeldBack | None:
    """Return why a row may not be shown, or None if it may, before shields and corroboration are considered."""
    opens = entitlement.at(standing)
    if row.refusal is not None:
        return HeldBack(row.refusal.value)
    if (LINKED_ADULT if row.relationship is _LINKED else INVOLVEMENTS) not in opens:
        return HeldBack.NOT_GRANTED
    if row.status is _PREVIOUS:
        if PREVIOUS not in opens:
            return HeldBack.NOT_GRANTED
        if not _retained(row, entitlement.custodian.retention_days, today):
            return HeldBack.RETENTION_ENDED
    if row.sensitivity is _STANDARD:
        return None
    # Unknown sensitivity is treated as sensitive.
    return _why_not_mentioned(row, today) if SENSITIVE in opens else HeldBack.SENSITIVE


def _retained(row: Involvement, days: int | None, today: date) -> bool:
    if days is None:
        return True
    # Work that ended on no stated day cannot be shown to have ended recently enough. Counted back from today: many
    # systems write the end of time where there is no end.
    return row.ended_on is not None and row.ended_on >= today - timedelta(days=days)


def _why_not_mentioned(row: Involvement, today: date) -> HeldBack | None:
    if row.basis is DisclosureBasis.SIGNIFICANT_HARM:
        return None if row.basis_until is None or today <= row.basis_until else HeldBack.SENSITIVE
    if row.basis is not DisclosureBasis.CONSENT or row.basis_until is None:
        return HeldBack.SENSITIVE
    return None if today <= row.basis_until else HeldBack.CONSENT_ENDED


def proves_identity(row: Involvement, entitlement: Entitlement, standing: Standing, today: date) -> bool:
    """Return whether a row's own identity may corroborate the asker's: only what this caller could be shown.

    Sensitive and adult-linked rows never prove it; shields are judged by the caller of this function.
    """
    return row.relationship is _CHILD and row.sensitivity is _STANDARD and may_show(row, entitlement, standing, today)


def disclose(
    facts: Sequence[SourceFacts], entitlements: Entitlements, standing: Standing, viewer: Viewer, today: date
) -> Disclosed:
    """Return what this viewer may see of a corroborated, unshielded (or seen-through) child."""
    rows: list[types.Involvement] = []
    held_back: Counter[tuple[str, HeldBack]] = Counter()
    for fact in facts:
        entitlement = entitlements.by_custodian[fact.custodian.id]
        opens = entitlement.at(standing)
        for row in fact.answer.involvements:
            why = why_held_back(row, entitlement, standing, today)
            shown = _row(fact, row, opens, viewer) if why is None else None
            if shown is not None:
                rows.append(shown)
            else:
                held_back[fact.custodian.id, why or HeldBack.NO_BROKER] += 1
    sections: dict[str, Any] = {}
    telling = [fact for fact in facts if fact.answer.sections]
    for name, declaration in SECTIONS.items() if telling else ():
        value = _section(name, declaration, telling, entitlements, standing)
        if value is not None:
            sections[types.python_name(name)] = value
    return Disclosed(tuple(rows), sections, held_back)


def _row(fact: SourceFacts, row: Involvement, opens: frozenset[str], viewer: Viewer) -> types.Involvement | None:
    opaque = strawberry.ID(viewer.opaque_id(fact.custodian.id, row.local_id))
    if row.sensitivity is not _STANDARD:
        return _brokered(fact, row, opaque)
    named = row.practitioner if row.contact_mode is _DIRECT and PRACTITIONER in opens else None
    agency = agency_type(fact.agency)
    service, team = row.service, row.team
    shown = _blank(types.Involvement)
    shown.id = opaque
    shown.agency = agency
    shown.sources = [agency]
    shown.service = None if service is None else _service(service)
    shown.practitioner = None if named is None else _practitioner(named)
    shown.role = row.role
    shown.team = None if team is None else _team(team)
    shown.contact = _contact(row, named)
    shown.status = row.status
    shown.started_on = row.started_on
    shown.ended_on = row.ended_on
    shown.lead = row.lead
    shown.relationship = row.relationship
    shown.last_confirmed_at = row.last_confirmed_at
    shown.stale_as_of = fact.stale_as_of
    return shown


def _brokered(fact: SourceFacts, row: Involvement, opaque: strawberry.ID) -> types.Involvement | None:
    """A sensitive service appears under its broker's name or not at all: neither what it is, nor who works there."""
    if fact.broker is None:
        return None
    agency = agency_type(fact.broker)
    lead = fact.broker.safeguarding_lead
    return types.Involvement(
        id=opaque,
        agency=agency,
        sources=[agency],
        service=None,
        practitioner=None,
        role=None,
        team=None,
        contact=types.Contact(
            mode=ContactMode.BROKERED,
            phone=lead.phone if lead else None,
            email=lead.email if lead else None,
            out_of_hours=lead.out_of_hours if lead else None,
            expected_response=lead.expected_response if lead else None,
        ),
        status=row.status,
        started_on=None,
        ended_on=None,
        lead=False,
        relationship=row.relationship,
        last_confirmed_at=None,
        stale_as_of=fact.stale_as_of,
    )


def _service(service: records.Service) -> types.Service:
    shown = _blank(types.Service)
    shown.code = service.code
    shown.name = service.name
    return shown


def _team(team: records.Team) -> types.Team:
    shown = _blank(types.Team)
    shown.name = team.name
    return shown


def _practitioner(named: records.Practitioner) -> types.Practitioner:
    held = named.registration
    shown = _blank(types.Practitioner)
    shown.name = named.name
    shown.role = named.role
    shown.registration = None if held is None else types.Registration(body=held.body, number=held.number)
    return shown


def _contact(row: Involvement, named: records.Practitioner | None) -> types.Contact:
    """The practitioner's own contact where they may be named, completed by the team's; else the team's alone."""
    team = row.team
    phone = team.phone if team else None
    email = team.email if team else None
    mode = row.contact_mode
    if named is not None:
        phone, email = named.phone or phone, named.email or email
    elif mode is _DIRECT:
        mode = _TEAM_ONLY
    shown = _blank(types.Contact)
    shown.mode = mode if phone or email or (team and team.out_of_hours) else _NO_CONTACT
    shown.phone = phone
    shown.email = email
    shown.out_of_hours = team.out_of_hours if team else None
    shown.expected_response = row.expected_response
    return shown


_AGENCIES: dict[int, tuple[records.Agency, types.Agency]] = {}


def agency_type(agency: records.Agency) -> types.Agency:
    """Return an agency as callers see it; it depends on the configuration alone, so each is made once."""
    # by the object itself, which is kept and so keeps its id: its hash costs more than the rest of a row
    known = _AGENCIES.get(id(agency))
    if known is None:
        known = agency, _made_of(agency)
        if len(_AGENCIES) < _MOST_AGENCIES:
            _AGENCIES[id(agency)] = known
    return known[1]


@lru_cache(maxsize=_MOST_AGENCIES)
def _made_of(agency: records.Agency) -> types.Agency:
    lead = agency.safeguarding_lead
    return types.Agency(
        id=strawberry.ID(agency.id),
        name=agency.name,
        kind=agency.kind,
        area=agency.area,
        safeguarding_lead=types.Contact(**_fields(lead)) if lead else None,
    )


def _section(
    name: str,
    declaration: SectionDeclaration,
    facts: Sequence[SourceFacts],
    entitlements: Entitlements,
    standing: Standing,
) -> Any:
    values: dict[str, Any] = {}
    for field in declaration.fields:
        for fact in facts:
            said = fact.answer.sections.get(declaration.cls)
            if said is None or field.path not in entitlements.by_custodian[fact.custodian.id].at(standing):
                continue
            value = getattr(said, field.name)
            if field.item is not None:
                shown = [_item(item, fact.agency) for item in value or ()]
                values[field.name] = values.get(field.name, []) + shown
            elif values.get(field.name) is None:
                # one value, not a list: the first source in configured order that holds it
                values[field.name] = list(value) if isinstance(value, tuple) else value
    # Nothing held and nothing allowed are the same null.
    values = {field.name: values.get(field.name) or None for field in declaration.fields}
    if not any(v is not None for v in values.values()):
        return None
    if declaration.hoisted:
        return values[declaration.fields[0].name]
    return types.SECTION_TYPES[name](**values)


def _item(item: Any, agency: records.Agency) -> Any:
    # stamped with the source that said it, whatever the item claims of itself
    return types.ITEM_TYPES[type(item)](**(_fields(item) | {"agency": agency_type(agency)}))


def _fields(record: Any) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
