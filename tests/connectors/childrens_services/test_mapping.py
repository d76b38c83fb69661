"""What an authority's answer becomes. Nothing here calls anything."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import FieldMask
from connectors.childrens_services import documents, mapping
from connectors.faults import FaultCode, SourceFailed
from schema.identifiers import CRN, NHSNumber, PrisonNumber
from schema.records import (
    AdultRef,
    Answer,
    Answered,
    ChildRef,
    IdentityClaim,
    LinkedAdult,
    NoAnswer,
    Practitioner,
    Registration,
    SubjectRef,
    Team,
)
from schema.sections import (
    AssessmentPointer,
    Assessments,
    CarePlan,
    ChildIdentity,
    ChildrensServicesRecord,
    StatutoryStatus,
)
from schema.vocabulary import ContactMode, InvolvementStatus, Sensitivity, SourceReason
from tests.connectors.childrens_services import samples
from tests.connectors.childrens_services.samples import COUNCIL, child, closed, involvement, plan, result

NUMBERS = ("9990000018", "9990000026", "9990000034", "9990000042", "9990000050")
ADA, BEN, CAT = (ChildRef(NHSNumber(number)) for number in NUMBERS[:3])
EVERYTHING = FieldMask(samples.HOLDS)
TODAY = date(2026, 11, 22)


def selected(record: dict[str, Any], mask: FieldMask = EVERYTHING) -> dict[str, Any]:
    """The record as an authority tells it to the document of this mask."""
    executed = samples.Authority([record]).execute(
        {"query": documents.children(mask), "variables": {"nhsNumbers": [record["nhsNumber"]]}}
    )
    told: dict[str, Any] = executed["data"]["children"][0]["child"]
    return told


ADAS = selected(child(ADA.nhs_number))


def mapped(
    *results: Any, children: tuple[ChildRef, ...] = (ADA,), mask: FieldMask = EVERYTHING
) -> dict[SubjectRef, Answer]:
    body = {"data": {"children": list(results)}}
    return mapping.answers_of(body, children, agency=COUNCIL, mask=mask, today=TODAY)


def told(mask: FieldMask = EVERYTHING, **changes: Any) -> Answered:
    """The answer about Ada of an authority whose record of her has these changes."""
    record = selected(child(ADA.nhs_number, **changes), mask)
    answer = mapped(result(ADA.nhs_number, record), mask=mask)[ADA]
    assert isinstance(answer, Answered)
    return answer


# Rows


def test_an_involvement_is_told_with_its_worker_and_team() -> None:
    row = told().involvements[0]

    assert row.local_id == "CS-1"
    assert row.practitioner == Practitioner(
        "Sam Okoro", "Social worker", Registration("SWE", "SW900001"), "01632 960102", "sam.okoro@northshire.example"
    )
    assert row.team == Team(
        "Safeguarding Team North", "01632 960101", "safeguarding-north@northshire.example", "01632 960100"
    )
    assert row.contact_mode is ContactMode.DIRECT
    assert row.lead
    assert row.status is InvolvementStatus.CURRENT
    assert row.started_on == date(2026, 3, 1)
    assert row.last_confirmed_at == datetime(2026, 11, 1, 9, tzinfo=UTC)
    assert row.sensitivity is Sensitivity.STANDARD
    assert row.identity is None


def test_the_kind_of_case_never_shows_in_a_row() -> None:
    assert "CHILD_PROTECTION" not in repr(told().involvements)


def test_without_a_worker_the_team_is_told() -> None:
    [row] = told(involvements=[involvement(worker=None)]).involvements

    assert (row.practitioner, row.role, row.contact_mode) == (None, None, ContactMode.TEAM_ONLY)
    assert row.team is not None


def test_a_worker_without_a_registration_has_none() -> None:
    worker = {**samples.WORKER, "socialWorkEnglandNo": None}

    [row] = told(involvements=[involvement(worker=worker)]).involvements

    assert row.practitioner is not None
    assert row.practitioner.registration is None


def test_closed_work_is_previous_and_told_only_under_its_own_path() -> None:
    both = told()
    current = told(FieldMask(frozenset({"involvements"})))
    previous = told(FieldMask(frozenset({"involvements.previous"})))

    assert [row.status for row in both.involvements] == [InvolvementStatus.CURRENT, InvolvementStatus.PREVIOUS]
    assert [row.local_id for row in current.involvements] == ["CS-1"]
    assert [row.local_id for row in previous.involvements] == ["CS-2"]


def test_closed_work_that_was_not_asked_for_is_not_told() -> None:
    mask = FieldMask(frozenset({"involvements"}))
    record = {**selected(child(ADA.nhs_number), mask), "involvements": [involvement(), closed()]}
    for row in record["involvements"]:
        row["team"] = {key: value for key, value in row["team"].items() if key != "id"}
        row["worker"] = {key: value for key, value in row["worker"].items() if key != "id"}

    answer = mapped(result(ADA.nhs_number, record), mask=mask)[ADA]

    assert isinstance(answer, Answered)
    assert [row.local_id for row in answer.involvements] == ["CS-1"]


@pytest.mark.parametrize("kind", ["ADOPTION_SUPPORT", "SOMETHING_NEW"])
def test_a_kind_that_is_not_known_to_be_ordinary_is_unknown(kind: str) -> None:
    [row] = told(involvements=[involvement(kind=kind)]).involvements

    assert row.sensitivity is Sensitivity.UNKNOWN


# Who the child is, and whom it leads to


def test_every_name_of_the_child_is_a_trace() -> None:
    assert told().trace == IdentityClaim(date(2015, 4, 9), ("Hart", "Amis"), ("Ada", "Rose"))


def test_the_identity_is_the_current_name_and_only_what_the_mask_opens() -> None:
    whole = told().sections[ChildIdentity]
    family_name = told(FieldMask(frozenset({"involvements", "identity.familyName"}))).sections[ChildIdentity]
    closed_to = told(FieldMask(frozenset({"involvements"})))

    assert (whole.given_names, whole.family_name, whole.date_of_birth) == (("Ada", "Rose"), "Amis", date(2015, 4, 9))  # type: ignore[attr-defined]
    assert (family_name.given_names, family_name.family_name) == (None, "Amis")  # type: ignore[attr-defined]
    assert ChildIdentity not in closed_to.sections
    assert closed_to.trace is not None


def test_a_linked_adult_is_named_by_one_identifier() -> None:
    def adult(crn: str | None, prison_number: str | None) -> dict[str, Any]:
        return {"crn": crn, "prisonNumber": prison_number, "relationship": "FATHER", "assertedOn": "2026-03-01"}

    answer = told(linkedAdults=[adult("X123456", "A1234BC"), adult(None, "A1234BC"), adult(None, None)])

    assert answer.linked_adults == (
        LinkedAdult(AdultRef(CRN("X123456")), "FATHER"),
        LinkedAdult(AdultRef(PrisonNumber("A1234BC")), "FATHER"),
    )


def test_a_shield_is_told_and_not_knowing_a_child_says_nothing_of_one() -> None:
    unknown = mapped(result(ADA.nhs_number, None))[ADA]

    assert told(shielded=True).shielded is True
    assert told(shielded=False).shielded is False
    assert isinstance(unknown, Answered)
    assert (unknown.shielded, unknown.involvements, unknown.trace) == (None, (), None)


# Sections


def test_status_plan_and_assessment_are_told_as_that_they_exist() -> None:
    sections = told().sections

    record = sections[ChildrensServicesRecord]
    assert record.statuses == (  # type: ignore[attr-defined]
        StatutoryStatus(COUNCIL, "CP_PLAN", date(2026, 3, 1), None),
        StatutoryStatus(COUNCIL, "EARLY_HELP", date(2026, 1, 1), date(2999, 12, 31)),
    )
    days = {"review_due_on": date(2026, 12, 1), "conference_on": date(2026, 12, 3), "core_group_on": date(2026, 11, 30)}
    protection = CarePlan(COUNCIL, "CHILD_PROTECTION", date(2026, 3, 1), **days)
    early_help = replace(protection, kind="EARLY_HELP", ended_on=date(2999, 12, 31))
    assert record.plans == (protection, early_help)  # type: ignore[attr-defined]
    assert sections[Assessments].assessments == (  # type: ignore[attr-defined]
        AssessmentPointer(COUNCIL, "EARLY_HELP", "Safeguarding Team North", date(2025, 3, 1)),
    )
    assert "Neglect" not in repr(sections)


def test_a_plan_is_told_to_its_last_day_and_no_longer() -> None:
    kinds = ("CHILD_PROTECTION", "CHILD_IN_NEED", "CARE", "PATHWAY", "EARLY_HELP")
    ends = (None, "2026-11-21", "2026-11-22", "2026-11-23", None)

    record = told(plans=[plan(kind=kind, endedOn=end) for kind, end in zip(kinds, ends, strict=True)]).sections

    told_plans = record[ChildrensServicesRecord].plans  # type: ignore[attr-defined]
    assert [one.kind for one in told_plans] == ["CHILD_PROTECTION", "CARE", "PATHWAY", "EARLY_HELP"]
    assert [one.ended_on for one in told_plans] == [None, date(2026, 11, 22), date(2026, 11, 23), None]


CONSENTS: dict[str, tuple[Any, bool]] = {
    "none-recorded": (None, False),
    "to-its-last-day": ({"givenOn": "2026-01-01", "until": "2026-11-22", "withdrawnOn": None}, True),
    "run-out": ({"givenOn": "2026-01-01", "until": "2026-11-21", "withdrawnOn": None}, False),
    "without-an-end": ({"givenOn": "2026-01-01", "until": None, "withdrawnOn": None}, False),
    "not-yet-given": ({"givenOn": "2026-11-23", "until": "2027-01-01", "withdrawnOn": None}, False),
    "withdrawn": ({"givenOn": "2026-01-01", "until": "2027-01-01", "withdrawnOn": "2026-05-01"}, False),
    "withdrawn-from-tomorrow": ({"givenOn": "2026-01-01", "until": "2027-01-01", "withdrawnOn": "2026-11-23"}, False),
}


@pytest.mark.parametrize(
    ("consent", "expected"), [pytest.param(*consent, id=name) for name, consent in CONSENTS.items()]
)
def test_an_assessment_is_told_only_while_the_recorded_consent_lasts(consent: Any, expected: bool) -> None:
    held = {**child(ADA.nhs_number)["assessments"][0], "consent": consent}

    sections = told(assessments=[held]).sections

    assert (Assessments in sections) is expected


# Sharing

DECISIONS: dict[str, tuple[Any, str | None]] = {
    "none": (None, None),
    "to-share": ({"decision": "SHARE", "reason": None}, None),
    "more-detrimental": ({"decision": "DO_NOT_SHARE", "reason": "MORE_DETRIMENTAL"}, "MORE_DETRIMENTAL"),
    "restricted": ({"decision": "DO_NOT_SHARE", "reason": "RESTRICTED"}, "RESTRICTED"),
    "a-reason-nobody-knows": ({"decision": "DO_NOT_SHARE", "reason": "BECAUSE"}, "NOT_STATED"),
    "no-reason": ({"decision": "DO_NOT_SHARE", "reason": None}, "NOT_STATED"),
    "a-decision-nobody-knows": ({"decision": "PERHAPS", "reason": "MORE_DETRIMENTAL"}, "MORE_DETRIMENTAL"),
    "to-share-in-another-case": ({"decision": "share", "reason": None}, "NOT_STATED"),
}


@pytest.mark.parametrize(("sharing", "reason"), [pytest.param(*one, id=name) for name, one in DECISIONS.items()])
def test_a_decision_about_one_row_stops_that_row_alone(sharing: Any, reason: str | None) -> None:
    answer = told(involvements=[involvement(sharing=sharing), closed()])

    assert [row.refusal for row in answer.involvements] == [reason, None]
    assert answer.trace is not None
    assert answer.sections


@pytest.mark.parametrize(("sharing", "reason"), [pytest.param(*one, id=name) for name, one in DECISIONS.items()])
def test_a_decision_about_the_record_leaves_rows_to_count_and_nothing_to_tell(sharing: Any, reason: str | None) -> None:
    answer = told(sharing=sharing, shielded=True)

    assert {row.refusal for row in answer.involvements} == {reason}
    assert answer.shielded is True
    assert (answer.trace is None, not answer.linked_adults, not answer.sections) == (reason is not None,) * 3


@pytest.mark.parametrize("sharing", [{"decision": None, "reason": None}, {"decision": "SHARE"}, "SHARE", True])
def test_a_decision_that_cannot_be_read_is_no_answer(sharing: Any) -> None:
    for changes in ({"sharing": sharing}, {"involvements": [{**ADAS["involvements"][0], "sharing": sharing}]}):
        assert isinstance(mapped(result(ADA.nhs_number, {**ADAS, **changes}))[ADA], NoAnswer)


def test_no_status_and_one_that_is_over_are_not_shown() -> None:
    over = {"status": "CIN_S17", "since": "2025-01-01", "until": "2026-11-21"}
    last_day = {"status": "EARLY_HELP", "since": "2025-01-01", "until": "2026-11-22"}
    none = {"status": "NONE", "since": "2020-01-01", "until": None}

    some = told(statutory=[over, last_day, none]).sections[ChildrensServicesRecord]
    nothing = told(statutory=[none], plans=[], assessments=[]).sections

    assert [status.status for status in some.statuses] == ["EARLY_HELP"]  # type: ignore[attr-defined]
    assert ChildrensServicesRecord not in nothing
    assert Assessments not in nothing


# What cannot be believed


def changed(**changes: Any) -> Any:
    return lambda: result(ADA.nhs_number, {**copy.deepcopy(ADAS), **changes})


def row_changed(**changes: Any) -> Any:
    return changed(involvements=[{**copy.deepcopy(ADAS["involvements"][0]), **changes}])


CHILD_FAULTS = {
    "incomplete": (lambda: result(ADA.nhs_number, ADAS, complete=False), "SCHEMA"),
    "of-another-child": (changed(nhsNumber="9990000042"), "MISMATCH"),
    "of-a-child-without-a-number": (changed(nhsNumber=None), "SCHEMA"),
    "an-unknown-field": (changed(note="secret"), "SCHEMA"),
    "an-unknown-name-use": (changed(names=[{"use": "NICK", "givenNames": [], "familyName": "Amis"}]), "SCHEMA"),
    "no-names": (changed(names=[]), "SCHEMA"),
    "an-unknown-status-of-a-case": (row_changed(status="PAUSED"), "SCHEMA"),
    "an-unknown-legal-status": (changed(statutory=[{"status": "X", "since": "2026-01-01", "until": None}]), "SCHEMA"),
    "a-case-without-a-team": (row_changed(team=None), "SCHEMA"),
    "a-plan-of-no-known-kind": (changed(plans=[{**ADAS["plans"][0], "kind": "SECRET"}]), "SCHEMA"),
    "a-narrative-as-a-kind": (changed(assessments=[{**ADAS["assessments"][0], "kind": "He hits her"}]), "SCHEMA"),
    "an-impossible-date": (row_changed(startedOn="2026-02-30"), "SCHEMA"),
    "a-time-without-a-zone": (row_changed(lastConfirmedAt="2026-11-01T09:00:00"), "SCHEMA"),
    "shielded-as-a-word": (changed(shielded="false"), "SCHEMA"),
    "an-adult-whose-crn-is-none": (
        changed(linkedAdults=[{"crn": "secret", "prisonNumber": None, "relationship": "FATHER"}]),
        "SCHEMA",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoiled", "code"), [pytest.param(*fault, id=name) for name, fault in CHILD_FAULTS.items()])
def test_a_fault_in_one_record_is_that_childs_and_no_others(spoiled: Any, code: str) -> None:
    good = result(BEN.nhs_number, selected(child(BEN.nhs_number)))

    answers = mapped(spoiled(), good, children=(ADA, BEN))

    assert answers[ADA] == NoAnswer(ADA, SourceReason.INVALID_ANSWER, code)
    assert answers[BEN] == mapped(good, children=(BEN,))[BEN]


@pytest.mark.parametrize(
    "field", ["involvements", "statutory", "plans", "assessments", "linkedAdults", "shielded", "sharing"]
)
def test_a_field_that_was_asked_for_and_is_missing_is_no_answer(field: str) -> None:
    record = {key: value for key, value in ADAS.items() if key != field}

    assert mapped(result(ADA.nhs_number, record))[ADA] == NoAnswer(ADA, SourceReason.INVALID_ANSWER, "SCHEMA")


def test_a_missing_result_and_a_doubled_one_are_no_answer_about_that_child() -> None:
    good = result(BEN.nhs_number, None)

    for results in ([good], [result(ADA.nhs_number, None), result(ADA.nhs_number, None), good]):
        answers = mapped(*results, children=(ADA, BEN))
        assert isinstance(answers[ADA], NoAnswer)
        assert isinstance(answers[BEN], Answered)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({"data": {"children": [result("9990000042", None)]}}, FaultCode.MISMATCH, id="about-nobody-asked"),
        pytest.param({"data": {"children": [result("secret", None)]}}, FaultCode.SCHEMA, id="about-no-number"),
        pytest.param({"data": {"children": [3]}}, FaultCode.SCHEMA, id="a-result-that-is-none"),
        pytest.param({"data": {"children": None}}, FaultCode.SCHEMA, id="no-results"),
        pytest.param({"data": {"child": []}}, FaultCode.SCHEMA, id="another-field"),
        pytest.param({"data": None}, FaultCode.SCHEMA, id="no-data"),
        pytest.param({}, FaultCode.SCHEMA, id="nothing"),
        pytest.param([], FaultCode.SCHEMA, id="a-list"),
        pytest.param(
            {"data": {"children": [result(ADA.nhs_number, ADAS)]}, "errors": [{"message": "secret"}]},
            FaultCode.SCHEMA,
            id="errors-beside-data",
        ),
    ],
)
def test_an_answer_that_cannot_be_laid_to_a_child_is_none_about_anybody(body: Any, code: FaultCode) -> None:
    with pytest.raises(SourceFailed) as failed:
        mapping.answers_of(body, (ADA,), agency=COUNCIL, mask=EVERYTHING, today=TODAY)

    assert failed.value.code is code
    assert failed.value.__cause__ is None


@given(stranger=st.sampled_from(NUMBERS[1:]) | st.none() | st.text(max_size=12))
def test_the_record_of_another_number_is_never_mapped(stranger: str | None) -> None:
    answer = mapped(result(ADA.nhs_number, {**ADAS, "nhsNumber": stranger}))[ADA]

    assert isinstance(answer, NoAnswer)


@st.composite
def _result_about(draw: st.DrawFn, subject: ChildRef) -> dict[str, Any]:
    number = subject.nhs_number
    match draw(st.sampled_from(["held", "unknown", "stranger", "incomplete", "misspoken", "shielded"])):
        case "unknown":
            return result(number, None)
        case "stranger":
            return result(number, {**ADAS, "nhsNumber": draw(st.sampled_from(NUMBERS))})
        case "incomplete":
            return result(number, {**ADAS, "nhsNumber": number}, complete=False)
        case "misspoken":
            return result(number, {**ADAS, "nhsNumber": number, "shielded": None})
        case kind:
            return result(number, {**ADAS, "nhsNumber": number, "shielded": kind == "shielded"})


@given(data=st.data(), leave_out=st.integers(0, 2))
def test_leaving_one_child_out_of_the_batch_changes_no_other_answer(data: st.DataObject, leave_out: int) -> None:
    children = (ADA, BEN, CAT)
    results = [data.draw(_result_about(subject)) for subject in children]

    together = mapped(*results, children=children)
    fewer = [index for index in range(3) if index != leave_out]
    without = mapped(*(results[index] for index in fewer), children=tuple(children[index] for index in fewer))

    assert without == {children[index]: together[children[index]] for index in fewer}
