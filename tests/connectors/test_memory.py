"""The reference connector, and the file that it reads."""

from __future__ import annotations

import copy
import dataclasses
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Ask, Deadline, FieldMask
from connectors.memory import MemoryConnector, from_settings
from connectors.settings import ConnectorMisconfigured
from gateway.demo.families import make_world, school_records
from schema.identifiers import NHSNumber
from schema.records import Answered, ChildRef, Registration, Service
from schema.sections import ChildIdentity
from schema.vocabulary import ContactMode, DisclosureBasis, PurposeClass, RefusalReason, Sensitivity

pytestmark = pytest.mark.anyio

ADA = ChildRef(NHSNumber("9990000018"))
EVERYTHING = FieldMask(frozenset({"involvements", "involvements.previous"}))
RECORD: dict[str, Any] = {
    "nhsNumber": "9990000018",
    "dateOfBirth": "2015-04-09",
    "familyName": "Amis",
    "formerFamilyNames": ["Hart"],
    "givenNames": ["Ada"],
    "shielded": False,
    "involvements": [
        {
            "id": "1",
            "practitioner": {
                "name": "Dana Amin",
                "role": "Teacher",
                "registration": {"body": "TRA", "number": "9900001"},
            },
            "role": "Safeguarding lead",
            "team": {"name": "Pastoral team", "phone": "01632 960001", "email": None, "outOfHours": None},
            "service": {"name": "School", "code": None},
            "contact": {
                "mode": "DIRECT",
                "phone": "01632 960002",
                "email": "dana@oak.example",
                "outOfHours": "01632 960003",
                "expectedResponse": "same day",
            },
            "status": "CURRENT",
            "startedOn": "2024-09-01",
            "endedOn": None,
            "lead": False,
            "lastConfirmedAt": "2026-11-01T09:00:00Z",
            "sensitivity": "STANDARD",
        },
        {
            "id": "2",
            "practitioner": None,
            "team": {"name": "Breakfast club"},
            "contact": {"mode": "TEAM_ONLY", "phone": "01632 960004"},
            "status": "PREVIOUS",
        },
    ],
}


def school(tmp_path: Path, records: Any, **keys: Any) -> MemoryConnector:
    file = tmp_path / "records.json"
    file.write_text(records if isinstance(records, str) else json.dumps(records), encoding="utf-8")
    entry = {"id": "school-oak", "name": "Oak Primary School", "kind": "SCHOOL", "driver": "memory"}
    return from_settings({**entry, "records": str(file), **keys})


def an_ask() -> Ask:
    return Ask("6f9619ff-8b86-4011-b42d-00c04fc964ff", None, PurposeClass.SAFEGUARDING, Deadline.after(1), None)


async def answer(connector: MemoryConnector, child: ChildRef = ADA, mask: FieldMask = EVERYTHING) -> Answered:
    told = (await connector.involvements([child], mask, an_ask()))[child]
    assert isinstance(told, Answered)
    return told


async def test_a_record_is_told_as_the_file_has_it(tmp_path: Path) -> None:
    teacher, club = (await answer(school(tmp_path, [RECORD]))).involvements

    assert teacher.practitioner is not None
    assert teacher.practitioner.registration == Registration("TRA", "9900001")
    assert (teacher.practitioner.phone, teacher.practitioner.email) == ("01632 960002", "dana@oak.example")
    assert teacher.contact_mode is ContactMode.DIRECT
    assert teacher.expected_response == "same day"
    assert teacher.service == Service(None, "School")
    assert teacher.started_on == date(2024, 9, 1)
    assert teacher.identity is not None
    assert teacher.identity.date_of_birth == date(2015, 4, 9)
    assert teacher.identity.family_names == ("Amis", "Hart")
    assert teacher.team is not None
    assert (teacher.team.phone, teacher.team.out_of_hours) == ("01632 960001", "01632 960003")
    assert club.practitioner is None
    assert club.team is not None
    assert club.team.phone == "01632 960004"


async def test_a_contact_that_is_not_direct_is_the_teams_and_never_the_practitioners(tmp_path: Path) -> None:
    record = copy.deepcopy(RECORD)
    record["involvements"][0]["contact"]["mode"] = "TEAM_ONLY"
    record["involvements"][0]["team"]["phone"] = None

    row = (await answer(school(tmp_path, [record]))).involvements[0]

    assert row.practitioner is not None
    assert row.practitioner.phone is None
    assert row.team is not None
    assert row.team.phone == "01632 960002"


async def test_a_row_without_a_label_is_not_known_to_be_ordinary(tmp_path: Path) -> None:
    labelled, bare = (await answer(school(tmp_path, [RECORD]))).involvements

    assert labelled.sensitivity is Sensitivity.STANDARD
    assert bare.sensitivity is Sensitivity.UNKNOWN


async def test_a_basis_and_a_stop_are_carried(tmp_path: Path) -> None:
    record = copy.deepcopy(RECORD)
    record["involvements"][0] |= {"basis": "CONSENT", "basisUntil": "2027-01-01", "neverShare": True}

    row = (await answer(school(tmp_path, [record]))).involvements[0]

    assert (row.basis, row.basis_until, row.refusal) == (
        DisclosureBasis.CONSENT,
        date(2027, 1, 1),
        RefusalReason.NOT_STATED,
    )


async def test_an_unknown_child_gets_an_empty_answer(tmp_path: Path) -> None:
    told = await answer(school(tmp_path, [RECORD]), ChildRef(NHSNumber("9990000042")))

    assert (told.involvements, told.trace, told.shielded) == ((), None, None)


async def test_only_a_source_that_traces_proves_who_a_child_is(tmp_path: Path) -> None:
    mask = FieldMask(frozenset({"involvements", "identity.familyName"}))

    plain = await answer(school(tmp_path, [RECORD]), mask=mask)
    tracing = await answer(school(tmp_path, [RECORD], traces=True), mask=mask)

    assert (plain.trace, dict(plain.sections)) == (None, {})
    assert tracing.trace is not None
    assert tracing.trace.family_names == ("Amis", "Hart")
    identity = tracing.sections[ChildIdentity]
    assert dataclasses.asdict(identity) == {"given_names": None, "family_name": "Amis", "date_of_birth": None}  # type: ignore[call-overload]


async def test_every_shielded_child_is_listed(tmp_path: Path) -> None:
    shielded = {**RECORD, "nhsNumber": "9990000026", "shielded": True, "involvements": []}
    connector = school(tmp_path, [RECORD, shielded])

    assert await connector.shields(an_ask()) == {NHSNumber("9990000026")}
    assert (await answer(connector, ChildRef(NHSNumber("9990000026")))).shielded is True


async def test_an_answer_held_under_another_subject_is_refused(tmp_path: Path) -> None:
    connector = school(tmp_path, [RECORD])
    told = await answer(connector)

    with pytest.raises(ValueError):
        MemoryConnector(connector.manifest, {ChildRef(NHSNumber("9990000042")): told})


# The file: faults name the record and the key, never the value


def changed(**keys: Any) -> list[Any]:
    return [{**RECORD, "nhsNumber": "9990000026"}, {**RECORD, **keys}]


def row_changed(**keys: Any) -> list[Any]:
    return changed(involvements=[{**RECORD["involvements"][0], **keys}])


FAULTS = {
    "not-json": ("[secret", "the file is not JSON"),
    "not-a-list": ({"secret": 1}, "expected array, got object"),
    "not-a-record": ([RECORD, "secret"], "[1] expected object, got str"),
    "an-unknown-key": (changed(extra="secret"), "[1] object contains unknown field extra"),
    "a-number-that-does-not-check": (changed(nhsNumber="secret"), "[1].nhsNumber not a valid NHS number"),
    "the-same-child-twice": ([RECORD, RECORD], "[1].nhsNumber is the number of an earlier record"),
    "a-date-that-is-none": (changed(dateOfBirth="secret"), "[1].dateOfBirth is not one of"),
    "shielded-left-out": (
        [{key: value for key, value in RECORD.items() if key != "shielded"}],
        "[0] object missing required field shielded",
    ),
    "shielded-as-a-word": (changed(shielded="secret"), "[1].shielded expected bool"),
    "a-mode-that-is-none": (row_changed(contact={"mode": "secret"}), "[1].involvements[0].contact.mode is not one of"),
    "a-time-without-a-zone": (
        row_changed(lastConfirmedAt="2026-11-01T09:00:00"),
        "[1].involvements[0].lastConfirmedAt expected datetime with a timezone",
    ),
    "nobody-and-no-team": (row_changed(practitioner=None, team=None), "[1].involvements[0] needs a practitioner or"),
    "the-same-row-twice": (
        changed(involvements=[RECORD["involvements"][0]] * 2),
        "[1].involvements[1].id is the id of an earlier",
    ),
}


@pytest.mark.parametrize(("records", "what"), [pytest.param(*fault, id=name) for name, fault in FAULTS.items()])
async def test_a_fault_of_the_file_names_record_and_key_and_no_value(tmp_path: Path, records: Any, what: str) -> None:
    with pytest.raises(ConnectorMisconfigured) as refused:
        school(tmp_path, records)

    assert refused.value.key == "records"
    assert refused.value.what.startswith(what)
    assert "secret" not in str(refused.value)


async def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.json")

    with pytest.raises(ConnectorMisconfigured) as refused:
        from_settings({"id": "oak", "name": "Oak", "kind": "SCHOOL", "driver": "memory", "records": missing})

    assert str(refused.value) == "records: the file cannot be read"


async def test_the_demos_school_is_read_and_knows_its_lead(tmp_path: Path) -> None:
    world = make_world(children=60)

    told = await answer(
        school(tmp_path, school_records(world), sections=["assessments"]),
        ChildRef(NHSNumber(world.story("ordinary").nhs_number)),
    )

    assert "Dana Amin" in [row.practitioner.name for row in told.involvements if row.practitioner]
    assert {row.sensitivity for row in told.involvements} == {Sensitivity.STANDARD}
