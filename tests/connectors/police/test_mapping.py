"""What a force's answer becomes. Nothing here calls anything."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import FieldMask
from connectors.faults import FaultCode, SourceFailed
from connectors.police import mapping
from schema.identifiers import NHSNumber
from schema.records import Answer, Answered, ChildRef, IdentityClaim, NoAnswer, Practitioner, SubjectRef, Team
from schema.sections import PoliceEvent, PoliceNotification, PoliceRecord, ProtectionOrder
from schema.vocabulary import ContactMode, InvolvementStatus, Sensitivity, SourceReason
from tests.connectors.police.samples import (
    EVERYTHING,
    FORCE,
    closed,
    envelope,
    involvement,
    match,
    notification,
    order,
    result,
)

NUMBERS = ("9990000018", "9990000026", "9990000034", "9990000042", "9990000050")
ADA, BEN, CAT = (ChildRef(NHSNumber(number)) for number in NUMBERS[:3])
REQUEST = "6f9619ff-8b86-4011-b42d-00c04fc964ff"


def mapped(
    *results: Any, children: tuple[ChildRef, ...] = (ADA,), mask: frozenset[str] = EVERYTHING
) -> dict[SubjectRef, Answer]:
    body = envelope(REQUEST, results)
    return mapping.answers_of(body, children, request_id=REQUEST, agency=FORCE, mask=FieldMask(mask))


def told(*matches: Any, mask: frozenset[str] = EVERYTHING) -> Answered:
    """The answer about Ada of a force that holds these nominals under her number."""
    answer = mapped(result(ADA.nhs_number, *matches), mask=mask)[ADA]
    assert isinstance(answer, Answered)
    return answer


def ada(*involvements: Any, **changes: Any) -> dict[str, Any]:
    return match(ADA.nhs_number, *involvements, **changes)


# Rows


def test_an_involvement_is_told_with_its_officer_and_unit() -> None:
    [row] = told(ada(involvement())).involvements

    assert row.local_id == "INV-1"
    assert row.practitioner == Practitioner("R Okafor", "DC")
    assert row.role == "SAFEGUARDING_DETECTIVE"
    assert row.team == Team(
        "Child Abuse Investigation Team South",
        "01632 960301",
        "cait-south@northshire.police.example",
        "01632 960300",
    )
    assert row.contact_mode is ContactMode.DIRECT
    assert row.status is InvolvementStatus.CURRENT
    assert (row.started_on, row.ended_on) == (date(2026, 3, 1), None)
    assert row.last_confirmed_at == datetime(2026, 11, 1, 9, tzinfo=UTC)
    assert row.sensitivity is Sensitivity.STANDARD
    assert row.refusal is None
    assert not row.lead


def test_a_collar_number_is_no_professional_registration() -> None:
    [row] = told(ada(involvement())).involvements

    assert row.practitioner is not None
    assert row.practitioner.registration is None


def test_the_kind_of_event_never_shows_in_a_row() -> None:
    assert "PUBLIC_PROTECTION_NOTICE" not in repr(told(ada()).involvements)


def test_a_row_hangs_on_the_person_of_its_own_match() -> None:
    [row] = told(ada(involvement())).involvements

    assert row.identity == IdentityClaim(date(2015, 4, 9), ("Amis", "Amis-Hart"), ("Ada",))


def test_a_person_without_a_date_of_birth_claims_nothing() -> None:
    nominal = ada(involvement())
    nominal["person"]["dateOfBirth"] = None

    [row] = told(nominal).involvements

    assert row.identity is None


def test_closed_work_is_previous_and_told_only_under_its_own_path() -> None:
    both = told(ada())
    current = told(ada(), mask=frozenset({"involvements"}))
    previous = told(ada(), mask=frozenset({"involvements.previous"}))

    assert [row.status for row in both.involvements] == [InvolvementStatus.CURRENT, InvolvementStatus.PREVIOUS]
    assert [row.local_id for row in current.involvements] == ["INV-1"]
    assert [row.local_id for row in previous.involvements] == ["INV-2"]


# What the force may not share


def test_under_conditions_the_unit_is_told_and_not_the_officer() -> None:
    answer = told(ada(involvement(), handlingCode="C"))

    [row] = answer.involvements
    assert row.practitioner is None
    assert row.contact_mode is ContactMode.TEAM_ONLY
    assert row.refusal is None
    assert not answer.sections


STOPS = {
    "source-only": ada(involvement(), handlingCode="S"),
    "an-unknown-code": ada(involvement(), handlingCode="Q"),
    "do-not-disclose": ada(involvement(disclosure={"marking": "OFFICIAL", "doNotDisclose": True})),
    "a-higher-marking": ada(involvement(disclosure={"marking": "SECRET", "doNotDisclose": False})),
}


@pytest.mark.parametrize("nominal", [pytest.param(nominal, id=name) for name, nominal in STOPS.items()])
def test_what_the_force_stops_is_never_shared_nor_told_as_an_event(nominal: Any) -> None:
    answer = told(nominal)

    [row] = answer.involvements
    assert row.refusal == "HANDLING_CODE"
    assert "PUBLIC_PROTECTION_NOTICE" not in repr(answer)


def test_a_restricted_nominal_shields_and_one_that_is_not_says_so() -> None:
    assert told(ada(restricted=True)).shielded is True
    assert told(ada(), ada(restricted=True)).shielded is True
    assert told(ada()).shielded is False
    # "not known here" must never lift a shield that is on record
    assert told().shielded is None


@pytest.mark.parametrize("stricter_first", [True, False])
def test_an_event_under_two_nominals_is_told_once_as_the_stricter_has_it(stricter_first: bool) -> None:
    nominals = [ada(involvement(), handlingCode="S"), ada(involvement())]

    answer = told(*(nominals if stricter_first else reversed(nominals)))

    assert [row.refusal for row in answer.involvements] == ["HANDLING_CODE"]
    assert "PUBLIC_PROTECTION_NOTICE" not in repr(answer)


# Sections


def test_events_and_orders_are_told_under_their_own_paths_alone() -> None:
    everything = told(ada()).sections[PoliceRecord]
    events = told(ada(), mask=frozenset({"involvements", "police.events"})).sections[PoliceRecord]
    orders = told(ada(), mask=frozenset({"involvements", "police.orders"})).sections[PoliceRecord]
    sent = told(ada(), mask=frozenset({"involvements", "police.notifications"})).sections[PoliceRecord]
    neither = told(ada(), mask=frozenset({"involvements", "involvements.previous"})).sections

    opened = PoliceEvent(FORCE, "PUBLIC_PROTECTION_NOTICE", date(2026, 3, 1), "OPEN")
    over = PoliceEvent(FORCE, opened.kind, opened.opened_on, "CLOSED", date(2026, 4, 1))
    unit = ("Public Protection Unit", "01632 960302", "01632 960300")
    order = ProtectionOrder(FORCE, "POLICE_PROTECTION_S46", date(2026, 3, 1), None, *unit)
    notice = PoliceNotification(FORCE, "MISSING_NOTIFICATION", date(2026, 3, 2), "CHILDRENS_SERVICES")
    warning = ProtectionOrder(FORCE, "CHILD_ABDUCTION_WARNING_NOTICE", date(2026, 3, 1), date(2026, 5, 1), *unit)
    assert everything == PoliceRecord((opened, over), (order, warning), (notice,))  # type: ignore[call-arg]
    assert events == PoliceRecord(events=(opened,))  # type: ignore[call-arg]
    assert orders == PoliceRecord(orders=(order, warning))  # type: ignore[call-arg]
    assert sent == PoliceRecord(notifications=(notice,))  # type: ignore[call-arg]
    assert neither == {}


STOPPED = {"marking": "OFFICIAL", "doNotDisclose": True}
SECTION_STOPS: dict[str, Any] = {
    "an-order": {"orders": [order(disclosure=STOPPED)]},
    "an-order-of-a-higher-marking": {"orders": [order(disclosure=STOPPED | {"marking": "SECRET"})]},
    "a-notification": {"notifications": [notification(disclosure=STOPPED)]},
    "everything-with-conditions": {"handlingCode": "C"},
    "everything-of-a-source": {"handlingCode": "S"},
    "everything-under-an-unknown-code": {"handlingCode": "Q"},
}


@pytest.mark.parametrize("changes", [pytest.param(changes, id=name) for name, changes in SECTION_STOPS.items()])
def test_what_the_force_stops_is_in_no_section(changes: dict[str, Any]) -> None:
    whole = told(ada()).sections[PoliceRecord]

    stopped = told(ada(**changes)).sections.get(PoliceRecord, PoliceRecord())  # type: ignore[call-arg]

    for name in ("events", "orders", "notifications"):
        assert getattr(whole, name)
        if name in changes or "handlingCode" in changes:
            assert getattr(stopped, name) is None


def test_an_order_without_a_unit_is_told_without_one() -> None:
    [told_order] = told(ada(orders=[order(unit=None)])).sections[PoliceRecord].orders  # type: ignore[attr-defined]

    assert (told_order.unit, told_order.phone, told_order.out_of_hours) == (None, None, None)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"orders": [order(kind="Taken from home at night")]}, id="a-narrative-as-a-kind-of-order"),
        pytest.param({"orders": [order(reference="C/1/2026")]}, id="an-order-with-a-reference"),
        pytest.param({"orders": [{**order(), "disclosure": None}]}, id="an-order-without-a-disclosure"),
        pytest.param({"notifications": [notification(recipient="NEIGHBOUR")]}, id="told-to-somebody-unknown"),
        pytest.param({"notifications": [notification(kind="what it was about")]}, id="a-narrative-as-a-kind-of-notice"),
        pytest.param({"notifications": [notification(text="secret")]}, id="a-notification-with-its-text"),
        pytest.param({"involvements": [involvement(eventType="Seen with a man")]}, id="a-narrative-as-an-event"),
    ],
)
def test_no_narrative_or_reference_passes_for_a_fact(changes: dict[str, Any]) -> None:
    assert mapped(result(ADA.nhs_number, ada(**changes)))[ADA] == NoAnswer(ADA, SourceReason.INVALID_ANSWER, "SCHEMA")


# Whom a match is about


@given(stranger=st.sampled_from(NUMBERS[1:]) | st.none() | st.text(max_size=12), score=st.floats(0, 1))
def test_a_match_with_any_other_number_is_never_mapped(stranger: str | None, score: float) -> None:
    other = ada(involvement(id="INV-OTHER"), nhsNumber=stranger, matchScore=score, restricted=True)

    assert told(other) == told()
    assert told(ada(), other) == told(ada())


def test_a_match_that_says_no_number_is_never_mapped_nor_read() -> None:
    assert told({"matchScore": 1, "person": "not even a person"}) == told()


def test_the_match_of_the_child_is_mapped_so_the_property_is_not_empty() -> None:
    assert told(ada()).involvements
    assert told(ada(nhsNumber="999 000 0018")).involvements


RESULT_FAULTS: dict[str, Any] = {
    "incomplete": lambda one: one | {"complete": False},
    "a-count-that-does-not-fit": lambda one: one | {"matches": []},
    "an-unknown-member": lambda one: one | {"note": "secret"},
    "no-matches": lambda one: {key: value for key, value in one.items() if key != "matches"},
    "an-unknown-status": lambda one: one | {"matches": [ada(involvement(status="PAUSED"))]},
    "an-impossible-date": lambda one: one | {"matches": [ada(involvement(**{"from": "2026-02-30"}))]},
    "a-time-without-a-zone": lambda one: one | {"matches": [ada(involvement(lastConfirmedAt="2026-11-01T09:00:00"))]},
    "a-row-without-a-unit": lambda one: one | {"matches": [ada(involvement(unit=None))]},
    "a-row-without-a-disclosure": lambda one: one | {"matches": [ada(involvement(disclosure=None))]},
    "flags-left-out": lambda one: one | {"matches": [ada(flags={})]},
}


@pytest.mark.parametrize("spoil", [pytest.param(spoil, id=name) for name, spoil in RESULT_FAULTS.items()])
def test_a_fault_in_one_result_is_that_childs_and_no_others(spoil: Any) -> None:
    good = result(BEN.nhs_number, match(BEN.nhs_number))

    answers = mapped(spoil(result(ADA.nhs_number, ada())), good, children=(ADA, BEN))

    assert answers[ADA] == NoAnswer(ADA, SourceReason.INVALID_ANSWER, "SCHEMA")
    assert answers[BEN] == mapped(good, children=(BEN,))[BEN]


def test_a_missing_result_and_a_doubled_one_are_no_answer_about_that_child() -> None:
    good = result(BEN.nhs_number, match(BEN.nhs_number))

    missing = mapped(good, children=(ADA, BEN))
    doubled = mapped(result(ADA.nhs_number), result(ADA.nhs_number), good, children=(ADA, BEN))

    for answers in (missing, doubled):
        assert isinstance(answers[ADA], NoAnswer)
        assert isinstance(answers[BEN], Answered)


@pytest.mark.parametrize(
    ("spoiled", "code"),
    [
        pytest.param({"requestId": "another"}, FaultCode.MISMATCH, id="to-another-request"),
        pytest.param({"results": [result(CAT.nhs_number)], "count": 0}, FaultCode.MISMATCH, id="about-nobody-asked"),
        pytest.param({"results": [result("not a number")], "count": 0}, FaultCode.SCHEMA, id="about-no-number"),
        pytest.param({"complete": False}, FaultCode.SCHEMA, id="incomplete"),
        pytest.param({"count": 7}, FaultCode.SCHEMA, id="with-a-count-that-does-not-fit"),
        pytest.param({"force": None}, FaultCode.SCHEMA, id="of-no-force"),
        pytest.param({"results": [3]}, FaultCode.SCHEMA, id="with-a-result-that-is-none"),
        pytest.param({"note": "secret"}, FaultCode.SCHEMA, id="with-an-unknown-member"),
    ],
)
def test_an_answer_that_cannot_be_laid_to_a_child_is_none_about_anybody(spoiled: Any, code: FaultCode) -> None:
    body = envelope(REQUEST, [result(ADA.nhs_number, ada())]) | spoiled

    with pytest.raises(SourceFailed) as failed:
        mapping.answers_of(body, (ADA,), request_id=REQUEST, agency=FORCE, mask=FieldMask(EVERYTHING))

    assert failed.value.code is code
    assert failed.value.__cause__ is None


@st.composite
def _result_of(draw: st.DrawFn, child: ChildRef) -> dict[str, Any]:
    """A result about the child: well, empty, about somebody else, or spoiled."""
    number = child.nhs_number
    kind = draw(st.sampled_from(["held", "empty", "stranger", "incomplete", "unknown-status", "restricted"]))
    match kind:
        case "empty":
            return result(number)
        case "stranger":
            return result(number, match(draw(st.sampled_from(NUMBERS))))
        case "incomplete":
            return result(number, match(number), complete=False)
        case "unknown-status":
            return result(number, match(number, involvement(status="PAUSED")))
        case _:
            return result(number, match(number, involvement(), closed(), restricted=kind == "restricted"))


@given(data=st.data(), leave_out=st.integers(0, 2))
def test_leaving_one_child_out_of_the_batch_changes_no_other_answer(data: st.DataObject, leave_out: int) -> None:
    children = (ADA, BEN, CAT)
    results = [data.draw(_result_of(child)) for child in children]
    before = copy.deepcopy(results)

    together = mapped(*results, children=children)
    fewer = [index for index in range(3) if index != leave_out]
    without = mapped(*(results[index] for index in fewer), children=tuple(children[index] for index in fewer))

    assert without == {children[index]: together[children[index]] for index in fewer}
    assert results == before
