"""Sources of the test's making: they hold a world, answer as the reference connector does, and remember their asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from connectors.base import Ask, FieldMask, Manifest
from connectors.faults import FaultCode, SourceFailed
from connectors.memory import narrow
from gateway.federation.breaker import BreakerRules
from gateway.federation.sources import Source as Configured
from gateway.federation.upstream import Upstream
from schema import records
from schema.identifiers import CRN, NHSNumber
from schema.records import AdultRef, Answer, Answered, ChildRef, IdentityClaim, LinkedAdult, NoAnswer, SubjectRef
from schema.sections import SECTIONS, camel
from schema.vocabulary import (
    AgencyKind,
    ContactMode,
    DisclosureBasis,
    InvolvementRelationship,
    InvolvementStatus,
    RefusalReason,
    Sensitivity,
    SourceReason,
)
from tests.noninterference.facts import CHILD, Held, Identity, Row, World
from tests.noninterference.table import BY_ID, SOURCES, Source

_NEVER = 10**9
PATIENCE = 30.0
"""Seconds for a source: it answers or fails at once, and a machine that stood still must not read as its silence."""
AS_OF = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
BROKER = records.Agency(
    "broker",
    "Amber Safeguarding Hub",
    AgencyKind.CHILDRENS_SERVICES,
    "amber",
    records.Contact(ContactMode.BROKERED, "01632 960900", None, "01632 960901", "the same day"),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a source, as its own people could see it in their logs."""

    source: str
    about: tuple[str, ...]  # subjects; none: a call of its health
    mask: frozenset[str]
    asker: str | None
    purpose_class: str
    silent: bool
    failed: bool  # what the source's circuit counts


@dataclass
class Scene:
    """What is true at present in one world, and what was asked of it."""

    number: str = ""
    world: World = field(default_factory=dict)
    down: Mapping[str, str] = field(default_factory=dict)  # source -> fault code
    calls: list[Call] = field(default_factory=list)
    stale_seconds: int = 0  # how long its sources may be stood in for by what they said before


class Staged:
    """One source in one world."""

    def __init__(self, source: Source, scene: Scene) -> None:
        self.source, self.scene = source, scene
        safeguarding_lead = records.Contact(ContactMode.TEAM_ONLY, "01632 960200")
        self.manifest = Manifest(
            agency=records.Agency(
                source.id, source.id.upper(), AgencyKind(source.kind), source.area, safeguarding_lead
            ),
            organisation=source.organisation,
            driver="memory",
            subjects=frozenset({AdultRef if source.about_adults else ChildRef}),
            names_adults=source.names_adults,
            holds=frozenset({"involvements", "involvements.previous", *source.sections}),
            can_batch=True,
            answers_depend_on_asker=source.kind == "POLICE",
            run_by="the tests",
            support_contact="nobody",
            retention_days=source.retention_days,
            timeout_seconds=PATIENCE,
            stale_if_error_seconds=scene.stale_seconds,
        )

    async def involvements(
        self, subjects: Sequence[SubjectRef], mask: FieldMask, ask: Ask
    ) -> Mapping[SubjectRef, Answer]:
        self._note(tuple(_name(subject) for subject in subjects), mask, ask)
        if code := self.scene.down.get(self.source.id):
            failure = SourceFailed(FaultCode(code))
            return {s: NoAnswer(s, SourceReason(failure.reason), failure.code.value) for s in subjects}
        return {subject: narrow(self._held(subject), mask) for subject in subjects}

    async def health(self, ask: Ask) -> bool:
        self._note((), FieldMask(frozenset()), ask)
        if code := self.scene.down.get(self.source.id):
            raise SourceFailed(FaultCode(code))
        return True

    async def shields(self, ask: Ask) -> frozenset[NHSNumber] | None:
        return None

    async def aclose(self) -> None:
        """Nothing is open."""

    def _note(self, about: tuple[str, ...], mask: FieldMask, ask: Ask) -> None:
        asker = f"{ask.asker.organisation}:{ask.asker.subject}" if ask.asker else None
        self.scene.calls.append(
            Call(
                self.source.id,
                about,
                mask.paths,
                asker,
                ask.purpose_class.value,
                getattr(ask, "silent", False),
                self.source.id in self.scene.down,
            )
        )

    def _held(self, subject: SubjectRef) -> Answered:
        name = _name(subject)
        key = CHILD if name == self.scene.number else name
        held = self.scene.world.get((self.source.id, key), Held())
        return answered(self.source, subject, held)


def _name(subject: SubjectRef) -> str:
    return str(subject.nhs_number if isinstance(subject, ChildRef) else subject.identifier)


def answered(source: Source, subject: SubjectRef, held: Held) -> Answered:
    """Return what is held in the words of a connector."""
    return Answered(
        subject=subject,
        involvements=tuple(_row(row) for row in held.rows),
        trace=_claim(held.trace),
        shielded=held.shielded,
        linked_adults=tuple(LinkedAdult(AdultRef(CRN(adult)), "parent") for adult in held.adults),
        sections=_sections(source, held.sections),
        as_of=AS_OF if source.extract else None,
    )


def _claim(identity: Identity | None) -> IdentityClaim | None:
    return None if identity is None else IdentityClaim(identity.born, identity.families)


def _row(row: Row) -> records.Involvement:
    person, team = row.person, row.team
    body, _, number = (person.registration or "" if person else "").partition(":")
    return records.Involvement(
        local_id=row.local_id,
        practitioner=records.Practitioner(
            person.name,
            person.role,
            records.Registration(body, number) if body else None,
            person.phone,
            person.email,
        )
        if person
        else None,
        role=row.role,
        team=records.Team(team.name, team.phone, team.email, team.out_of_hours) if team else None,
        service=records.Service(*row.service) if row.service else None,
        contact_mode=ContactMode(row.mode),
        expected_response=row.expected_response,
        status=InvolvementStatus(row.status),
        started_on=row.started,
        ended_on=row.ended,
        lead=row.lead,
        relationship=InvolvementRelationship(row.about),
        last_confirmed_at=row.confirmed,
        sensitivity=Sensitivity(row.sensitivity),
        basis=DisclosureBasis(row.basis) if row.basis else None,
        basis_until=row.basis_until,
        refusal=RefusalReason(row.refusal) if row.refusal else None,
        identity=_claim(row.identity),
    )


def _sections(source: Source, values: Mapping[str, Any]) -> dict[type, object]:
    agency = records.Agency(source.id, source.id.upper(), AgencyKind(source.kind), source.area)
    found: dict[type, object] = {}
    for declaration in SECTIONS.values():
        fields: dict[str, Any] = {}
        for declared in declaration.fields:
            value = values.get(declared.path)
            if value is not None and declared.item is not None:
                value = tuple(_item(declared.item, dict(item), agency) for item in value)
            if value is not None:
                fields[declared.name] = value
        if fields:
            found[declaration.cls] = declaration.cls(**fields)
    return found


def _item(cls: type, values: Mapping[str, Any], agency: records.Agency) -> object:
    # fields that this suite does not know of yet say nothing
    named = {name: values.get(camel(name)) for name in cls.__dataclass_fields__ if name != "agency"}  # type: ignore[attr-defined]
    return cls(agency=agency, **named)


class _NeverOpen(Configured):
    """A source whose circuit never opens.

    A circuit opens by the clock, so that two gateways side by side open it a moment apart, and by what earlier pairs
    did, so that a source is down of which the oracle was told that it answers. What it counts is compared instead.
    """

    @cached_property
    def upstream(self) -> Upstream:
        return Upstream(self.connector, rules=BreakerRules(least_calls=_NEVER, failing_in_a_row=_NEVER))


def configured(scene: Scene) -> list[Configured]:
    """Return every source of the table, in its order, over one scene."""
    return [
        _NeverOpen(Staged(source, scene), source.enabled, BROKER if BY_ID[source.id].broker else None)
        for source in SOURCES
    ]
