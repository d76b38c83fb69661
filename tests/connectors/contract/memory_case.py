"""The memory driver under contract: what it does is what the others are held to."""

from __future__ import annotations

import dataclasses
from datetime import date

import httpx

from connectors.base import Manifest
from connectors.consent import Consent
from connectors.memory import MemoryConnector
from connectors.memory_sections import ConsentedPointer
from schema.identifiers import NHSNumber
from schema.records import Agency, Answered, ChildRef, IdentityClaim, Involvement, Practitioner, SubjectRef, Team
from schema.sections import Assessments
from schema.vocabulary import (
    AgencyKind,
    ContactMode,
    InvolvementRelationship,
    InvolvementStatus,
    Sensitivity,
)
from tests.connectors.contract.cases import Case

MANIFEST = Manifest(
    agency=Agency("school-oak", "Oak Primary School", AgencyKind.SCHOOL, "northshire"),
    organisation="oak-primary",
    driver="memory",
    subjects=frozenset({ChildRef}),
    names_adults=False,
    holds=frozenset({"involvements", "involvements.previous", "assessments"}),
    can_batch=True,
    answers_depend_on_asker=False,
    run_by="Oak Primary School",
    support_contact="office@oak.example",
)
HELD = tuple(ChildRef(NHSNumber(number)) for number in ("9990000018", "9990000026", "9990000034"))
CURRENT = Involvement(
    local_id="1",
    practitioner=Practitioner("Dana Amin", "Teacher"),
    role="Safeguarding lead",
    team=Team("Pastoral team", "01632 960001"),
    service=None,
    contact_mode=ContactMode.DIRECT,
    expected_response=None,
    status=InvolvementStatus.CURRENT,
    started_on=date(2024, 9, 1),
    ended_on=None,
    lead=True,
    relationship=InvolvementRelationship.CHILD,
    last_confirmed_at=None,
    sensitivity=Sensitivity.STANDARD,
    basis=None,
    basis_until=None,
    refusal=None,
    identity=IdentityClaim(date(2015, 4, 9), ("Amis",), ("Ada",)),
)
PREVIOUS = dataclasses.replace(
    CURRENT, local_id="2", lead=False, status=InvolvementStatus.PREVIOUS, ended_on=date(2025, 7, 20)
)


def answered(child: SubjectRef) -> Answered:
    pointer = ConsentedPointer(
        MANIFEST.agency,
        "EARLY_HELP_ASSESSMENT",
        "Pastoral team",
        date(2026, 2, 1),
        Consent(date(2026, 1, 1), until=date(2999, 12, 31), withdrawn_on=None),
    )
    held: type = Assessments
    sections = {Assessments: held(assessments=(pointer,))}
    return Answered(
        child, (CURRENT, PREVIOUS), trace=None, shielded=False, linked_adults=(), sections=sections, as_of=None
    )


def connect(transport: httpx.AsyncBaseTransport) -> MemoryConnector:
    return MemoryConnector(MANIFEST, {child: answered(child) for child in HELD})


def nobody(request: httpx.Request) -> httpx.Response:
    raise AssertionError("a source in memory is not called")


CASE = Case(
    driver="memory",
    connect=connect,
    source=nobody,
    held=HELD,
    not_held=ChildRef(NHSNumber("9990000042")),
    another=nobody,
    drops_others=False,
    asks_for={},
    names_lead=True,
    private=("Amis", "Ada", "2015-04-09", "Dana", "01632 960001"),
    networked=False,
)
