"""What is kept out of a report to the person concerned, rule by rule; and that a rule that is lost is noticed."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from gateway.audit.index_tables import Flag
from gateway.audit.reports import exemptions
from gateway.audit.reports.exemptions import (
    BY_PURPOSE,
    READING,
    RULES,
    Circumstances,
    Exemption,
    Look,
    kept_out,
    live_since,
)
from schema.vocabulary import AgencyKind, Purpose

DAY: Final = 86_400_000
QUIET: Final = Circumstances(live_since=None, shielded=False)
ORDINARY: Final = Look(
    receipt="r1",
    at_ms=100 * DAY,
    subject="s",
    organisation="Elm School",
    organisation_kind=AgencyKind.SCHOOL,
    purpose=Purpose.CIN_S17,
    flags=Flag(0),
)

# one look-up for each rule, which no other rule keeps out, and in which circumstances
CASES: Final = {
    "OfACompetentAuthority": (replace(ORDINARY, organisation_kind=AgencyKind.POLICE), QUIET, Exemption.CRIME),
    "ByPurpose": (replace(ORDINARY, purpose=Purpose.CP_S47), QUIET, Exemption.CHILD_ABUSE),
    "ByBreakGlass": (replace(ORDINARY, flags=Flag.OVERRIDE), QUIET, Exemption.CHILD_ABUSE),
    "BySilentRead": (replace(ORDINARY, flags=Flag.SILENT), QUIET, Exemption.SERIOUS_HARM),
    "OfAShieldedChild": (ORDINARY, replace(QUIET, shielded=True), Exemption.SERIOUS_HARM),
    "WhileAnEnquiryIsLive": (ORDINARY, replace(QUIET, live_since=99 * DAY), Exemption.CHILD_ABUSE),
}


def test_an_ordinary_look_up_may_leave() -> None:
    assert kept_out(ORDINARY, QUIET) is None


def test_every_rule_has_a_case() -> None:
    assert set(CASES) == {type(rule).__name__ for rule in RULES}


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_keeps_out_and_names_its_exemption(rule: str) -> None:
    look, around, exemption = CASES[rule]

    assert kept_out(look, around) is exemption


@pytest.mark.parametrize("lost", CASES)
def test_a_rule_that_is_lost_lets_its_case_out(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: no rule stands in for another, so each case above would notice that its rule is gone."""
    look, around, _ = CASES[lost]
    monkeypatch.setattr(exemptions, "RULES", [rule for rule in RULES if type(rule).__name__ != lost])

    assert kept_out(look, around) is None


def test_every_purpose_is_decided_and_every_exemption_is_read() -> None:
    assert set(BY_PURPOSE) == set(Purpose)
    assert set(READING) == set(Exemption)


@pytest.mark.parametrize("unknown", [{"purpose": None}, {"organisation_kind": None}])
def test_what_is_not_known_stays_in(unknown: dict[str, None]) -> None:
    assert kept_out(replace(ORDINARY, **unknown), QUIET) is not None


@pytest.mark.parametrize(
    "kind", ["POLICE", "TRANSPORT_POLICE", "PROBATION", "PRISON", "SECURE_ESTATE", "YOUTH_JUSTICE", "IMMIGRATION"]
)
def test_who_investigates_stays_in_whatever_the_purpose(kind: str) -> None:
    for purpose in Purpose:
        assert kept_out(replace(ORDINARY, organisation_kind=AgencyKind(kind), purpose=purpose), QUIET) is not None


def at(day: int, **differs: object) -> Look:
    return replace(ORDINARY, at_ms=day * DAY, **differs)  # type: ignore[arg-type]


def test_an_enquiry_is_live_from_its_first_look_up_until_long_after_its_last() -> None:
    looks = [at(1), at(10, purpose=Purpose.CP_S47), at(30, organisation_kind=AgencyKind.POLICE), at(31)]

    assert live_since(looks, 40 * DAY, 365) == 10 * DAY
    assert live_since(looks, 395 * DAY, 365) == 10 * DAY
    assert live_since(looks, 396 * DAY, 365) is None


def test_an_enquiry_that_ended_long_before_another_is_over() -> None:
    looks = [at(10, purpose=Purpose.CP_S47), at(500, purpose=Purpose.CP_S47)]

    assert live_since(looks, 501 * DAY, 365) == 500 * DAY


def test_ordinary_work_shows_no_enquiry() -> None:
    assert live_since([at(1), at(2, flags=Flag.SILENT), at(3, purpose=Purpose.CONSENT)], 4 * DAY, 365) is None
