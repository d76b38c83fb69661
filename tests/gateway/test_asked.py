"""What the caller asks, judged from the input alone."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.asked import Access, AdultRefused, Key, access_from, key_from
from gateway.errors import BadUserInput
from schema.vocabulary import Purpose
from tests.fixtures.sources import CHILD

TODAY = date(2026, 6, 15)


def key(born: date, purpose: Purpose = Purpose.CP_S47, **differs: Any) -> Key:
    given_key = {"nhsNumber": CHILD, "dateOfBirth": born, "familyName": "Amis"} | differs
    return key_from(given_key, purpose, TODAY)


@pytest.mark.parametrize(
    ("born", "adult"),
    [
        pytest.param(date(2008, 6, 16), False, id="the-day-before-18"),
        pytest.param(date(2008, 6, 15), True, id="18-today"),
        pytest.param(date(2008, 6, 14), True, id="18-yesterday"),
        pytest.param(TODAY, False, id="born-today"),
    ],
)
def test_an_adult_is_who_is_18_today(born: date, *, adult: bool) -> None:
    if adult:
        with pytest.raises(AdultRefused):
            key(born)
    else:
        assert key(born).date_of_birth == born


@pytest.mark.parametrize(("born", "adult"), [(date(2000, 6, 16), False), (date(2000, 6, 15), True)])
def test_with_consent_an_adult_is_who_is_26_today(born: date, *, adult: bool) -> None:
    if adult:
        with pytest.raises(AdultRefused):
            key(born, Purpose.CONSENT)
    else:
        key(born, Purpose.CONSENT)
    with pytest.raises(AdultRefused):
        key(born)


def test_who_was_born_on_a_leap_day_comes_of_age_on_the_first_of_march() -> None:
    asked = {"nhsNumber": CHILD, "dateOfBirth": date(2008, 2, 29), "familyName": "Amis"}

    assert key_from(asked, Purpose.CP_S47, date(2026, 2, 28))
    with pytest.raises(AdultRefused):
        key_from(asked, Purpose.CP_S47, date(2026, 3, 1))


@given(st.dates(), st.sampled_from(Purpose))
def test_whoever_is_taken_is_born_and_is_young_enough(born: date, purpose: Purpose) -> None:
    try:
        taken = key(born, purpose)
    except BadUserInput:
        return
    years = 26 if purpose is Purpose.CONSENT else 18
    assert taken.date_of_birth <= TODAY
    assert (TODAY.year - born.year, (TODAY.month, TODAY.day)) < (years, (born.month, born.day)) or (
        TODAY.year - born.year < years
    )


@given(st.text())
def test_a_refusal_holds_nothing_of_the_text(text: str) -> None:
    told = ""
    try:
        taken = access_from({"purpose": Purpose.CP_S47, "reason": text})
    except BadUserInput as refused:
        told = str(refused)
    else:
        assert 1 <= len(taken.reason) <= 500
        assert taken.reason == taken.reason.strip()
    assert told in {"", "`reason` must have 1 to 500 characters."}


def test_neither_key_nor_access_shows_what_was_typed() -> None:
    shown = repr(key(date(2020, 1, 2), familyName="Amis-Brook"))
    access = Access(Purpose.CP_S47, "the reason", "CASE-1", "because", accepts_review=True)

    assert "Amis-Brook" not in shown
    assert CHILD not in shown
    assert not any(word in repr(access) for word in ("the reason", "CASE-1", "because"))


def test_text_is_kept_in_one_unicode_form() -> None:
    assert key(date(2020, 1, 2), familyName="Nu\u0301n\u0303ez ").family_name == "Núñez"
