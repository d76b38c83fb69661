"""Deeper records, consent and refusals in a file of records."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Ask, Deadline, FieldMask
from connectors.memory import MemoryConnector, from_settings
from connectors.memory_sections import HELD
from connectors.settings import ConnectorMisconfigured
from gateway.demo.families import make_world, school_records
from schema.identifiers import NHSNumber
from schema.records import Answered, ChildRef
from schema.sections import (
    Assessments,
    PoliceEvent,
    PoliceRecord,
    SectionField,
    camel,
    section_fields,
    words_of,
)
from schema.vocabulary import DisclosureBasis, PurposeClass

pytestmark = pytest.mark.anyio

ADA = ChildRef(NHSNumber("9990000018"))
EVERY_SECTION = sorted(HELD)
ROW: dict[str, Any] = {
    "id": "1",
    "practitioner": {"name": "Dana Amin"},
    "contact": {"mode": "DIRECT"},
    "status": "CURRENT",
    "sensitivity": "SENSITIVE",
}


def day(ahead: int) -> date:
    # asked for in the test: what is put together before midnight is run after it now and then
    return datetime.now(UTC).date() + timedelta(days=ahead)


def days(ahead: int) -> str:
    return day(ahead).isoformat()


def record(**changes: Any) -> dict[str, Any]:
    who = {"nhsNumber": "9990000018", "dateOfBirth": "2015-04-09", "familyName": "Amis", "shielded": False}
    return {**who, "involvements": [ROW], **changes}


def source(tmp_path: Path, *records: Any, sections: list[str] | None = EVERY_SECTION) -> MemoryConnector:
    file = tmp_path / "records.json"
    file.write_text(json.dumps(records), encoding="utf-8")
    entry = {"id": "school-oak", "name": "Oak Primary School", "kind": "SCHOOL", "driver": "memory"}
    return from_settings({**entry, "records": str(file), **({} if sections is None else {"sections": sections})})


async def told(connector: MemoryConnector, child: ChildRef = ADA) -> Answered:
    ask = Ask("6f9619ff-8b86-4011-b42d-00c04fc964ff", None, PurposeClass.SAFEGUARDING, Deadline.after(1), None)
    answer = (await connector.involvements([child], FieldMask(connector.manifest.holds), ask))[child]
    assert isinstance(answer, Answered)
    return answer


def assessment(**consent: Any) -> dict[str, Any]:
    given = {"givenOn": days(-30), "until": days(30), "withdrawnOn": None, **consent}
    return {"kind": "EARLY_HELP_ASSESSMENT", "holder": "Pastoral team", "consent": given}


async def test_a_deeper_record_is_told_as_the_files_own(tmp_path: Path) -> None:
    event = {"kind": "MISSING_EPISODE", "openedOn": "2026-03-01", "status": "OPEN"}
    connector = source(tmp_path, record(sections={"police": {"events": [event]}}))

    held = (await told(connector)).sections

    (only,) = held[PoliceRecord].events  # type: ignore[attr-defined]
    assert isinstance(only, PoliceEvent)
    assert (only.agency, only.kind, only.status, only.closed_on) == (
        connector.manifest.agency,
        "MISSING_EPISODE",
        "OPEN",
        None,
    )
    assert set(held) == {PoliceRecord}


async def test_a_source_holds_the_sections_that_its_entry_names_and_no_other(tmp_path: Path) -> None:
    some = source(tmp_path, record(), sections=["assessments"]).manifest.holds
    none = source(tmp_path, record(), sections=None).manifest.holds
    every = source(tmp_path, record()).manifest.holds

    assert some - none == {"assessments"}
    paths = {field.path for field in section_fields()}
    assert paths - every == {path for path in paths if path.startswith(("identity.", "probation."))}


CONSENTS = {
    "lasting": (lambda: {}, True),
    "on-its-last-day": (lambda: {"until": days(0)}, True),
    "run-out": (lambda: {"until": days(-1)}, False),
    "without-an-end": (lambda: {"until": None}, False),
    "not-yet-given": (lambda: {"givenOn": days(1)}, False),
    "withdrawn": (lambda: {"withdrawnOn": days(-1)}, False),
    "withdrawn-from-tomorrow": (lambda: {"withdrawnOn": days(1)}, False),
}


@pytest.mark.parametrize(("consent", "expected"), [pytest.param(*one, id=name) for name, one in CONSENTS.items()])
async def test_an_assessment_is_told_only_while_its_consent_lasts(tmp_path: Path, consent: Any, expected: bool) -> None:
    connector = source(tmp_path, record(sections={"assessments": [assessment(**consent())]}))

    assert (Assessments in (await told(connector)).sections) is expected


async def test_an_assessment_without_a_recorded_consent_is_never_told(tmp_path: Path) -> None:
    without = {**assessment(), "consent": None}
    left_out = {key: value for key, value in assessment().items() if key != "consent"}
    both = source(tmp_path, record(sections={"assessments": [without, left_out, assessment()]}))

    (only,) = (await told(both)).sections[Assessments].assessments  # type: ignore[attr-defined]
    assert not hasattr(only, "consent")


async def test_a_consent_that_was_withdrawn_is_no_basis(tmp_path: Path) -> None:
    basis = {"basis": "CONSENT", "basisUntil": days(30)}
    (given,) = (await told(source(tmp_path, record(involvements=[ROW | basis])))).involvements
    withdrawn = record(involvements=[ROW | basis | {"basisWithdrawnOn": days(-1)}])
    (row,) = (await told(source(tmp_path, withdrawn))).involvements

    assert (given.basis, given.basis_until) == (DisclosureBasis.CONSENT, day(30))
    assert (row.basis, row.basis_until) == (None, None)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"refusal": "MORE_DETRIMENTAL"}, "MORE_DETRIMENTAL"),
        ({"refusal": "RESTRICTED", "neverShare": True}, "RESTRICTED"),
        ({"refusal": "A WORD NOBODY KNOWS"}, "NOT_STATED"),
        ({"neverShare": True}, "NOT_STATED"),
        ({}, None),
    ],
)
async def test_a_refusal_in_whatever_word_is_one(tmp_path: Path, keys: dict[str, Any], reason: str | None) -> None:
    (row,) = (await told(source(tmp_path, record(involvements=[ROW | keys])))).involvements

    assert row.refusal == reason


def section(name: str, field: str, **item: Any) -> dict[str, Any]:
    return record(sections={name: {field: [item]}})


FAULTS: dict[str, tuple[Any, str]] = {
    "one-that-the-entry-does-not-name": (
        record(sections={"secret": []}),
        "[0].sections object contains unknown field",
    ),
    "an-adults": (record(sections={"probation": {"risk": []}}), "[0].sections object contains unknown field"),
    "a-word-that-is-none": (
        section("childrensServices", "statuses", status="secret", since=None),
        "[0].sections.childrensServices.statuses[0].status is not one of the allowed words",
    ),
    "a-narrative": (
        section("police", "events", kind="secret meeting", openedOn=None, status="OPEN"),
        "[0].sections.police.events[0].kind expected",
    ),
    "an-unknown-key": (
        section("health", "safeguarding", code="CPP", note="secret"),
        "[0].sections.health.safeguarding[0] object contains unknown field",
    ),
    "a-key-left-out": (
        section("police", "notifications", kind="X"),
        "[0].sections.police.notifications[0] object missing",
    ),
    "who-says-it": (
        section("health", "registration", practice="Y99001", agency="secret"),
        "[0].sections.health.registration[0] object contains unknown field",
    ),
    "a-consent-of-no-day": (
        record(sections={"assessments": [assessment(givenOn="secret")]}),
        "[0].sections.assessments[0].consent.givenOn is not one of the allowed words, or not a valid date",
    ),
}


@pytest.mark.parametrize(("wrong", "what"), [pytest.param(*fault, id=name) for name, fault in FAULTS.items()])
async def test_a_fault_of_a_deeper_record_names_its_place_and_no_value(tmp_path: Path, wrong: Any, what: str) -> None:
    with pytest.raises(ConnectorMisconfigured) as refused:
        source(tmp_path, wrong)

    assert refused.value.key == "records"
    assert refused.value.what.startswith(what)
    assert "secret" not in str(refused.value).replace("unknown field secret", "")


async def test_a_deeper_record_in_a_file_that_may_hold_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConnectorMisconfigured) as refused:
        source(tmp_path, record(sections={"assessments": []}), sections=None)

    assert str(refused.value) == "records: [0].sections are not declared among the connector's sections"


async def test_a_section_that_no_file_can_hold_is_refused(tmp_path: Path) -> None:
    for name in ("probation", "identity", "secret"):
        with pytest.raises(ConnectorMisconfigured) as refused:
            source(tmp_path, record(), sections=[name])
        assert str(refused.value) == f"sections: must be of {', '.join(HELD)}"


CLOSED = [
    (name, field, camel(listed.name))
    for name, declared in HELD.items()
    for field in declared.fields
    if field.item is not None
    for listed in dataclasses.fields(field.item)
    if words_of(listed)
]


@pytest.mark.parametrize(("name", "field", "key"), [pytest.param(*row, id=f"{row[1].path}.{row[2]}") for row in CLOSED])
def test_every_closed_list_of_the_declarations_is_closed_in_the_file_too(
    tmp_path: Path, name: str, field: SectionField, key: str
) -> None:
    with pytest.raises(ConnectorMisconfigured) as refused:
        source(tmp_path, section(name, camel(field.name), **{key: "secret"}))

    assert refused.value.what == (
        f"[0].sections.{field.path}[0].{key} is not one of the allowed words, or not a valid date"
    )


async def test_the_demos_school_leads_and_holds_an_assessment_while_the_family_consents(tmp_path: Path) -> None:
    world = make_world(children=60)
    connector = source(tmp_path, *school_records(world), sections=["assessments"])

    leading, ended = [
        await told(connector, ChildRef(NHSNumber(world.story(story).nhs_number)))
        for story in ("early-help-at-school", "early-help-withdrawn")
    ]

    assert [row.lead for row in leading.involvements] == [True]
    (pointer,) = leading.sections[Assessments].assessments  # type: ignore[attr-defined]
    assert pointer.holder == "Oak Primary School safeguarding"
    assert ended.involvements
    assert Assessments not in ended.sections
