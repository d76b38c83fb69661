"""Identifiers cannot exist in an invalid form, and never show in a refusal or a repr."""

from __future__ import annotations

from datetime import UTC, datetime

import nhs_number
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schema.identifiers import CRN, UPN, CRONumber, InvalidIdentifier, NHSNumber, PNCId, Postcode, PrisonNumber

KINDS = (NHSNumber, UPN, PNCId, CRONumber, PrisonNumber, CRN, Postcode)

# as the registers publish them
VALID = [
    (NHSNumber, "9434765919", "9434765919"),
    (NHSNumber, "9000000009", "9000000009"),
    *((NHSNumber, f"99900000{n}", f"99900000{n}") for n in ("18", "26", "34", "42", "50", "69", "77", "85", "93")),
    (NHSNumber, "9990000107", "9990000107"),
    (NHSNumber, "9990000115", "9990000115"),
    (NHSNumber, "999 000 0018", "9990000018"),
    (NHSNumber, "999-000-0018", "9990000018"),
    (UPN, "B801200005001", "B801200005001"),
    (PNCId, "2012/0052494Q", "2012/0052494Q"),
    (PNCId, "12/52494Q", "2012/0052494Q"),
    (PNCId, " 12/52494q ", "2012/0052494Q"),
    (PNCId, "2001/0171310W", "2001/0171310W"),
    (PNCId, "79/163001B", "1979/0163001B"),
    (PNCId, "1979/0163001B", "1979/0163001B"),
    (CRONumber, "265416/21G", "265416/21G"),
    (CRONumber, "65656/91H", "065656/91H"),
    (CRONumber, "065656/91h", "065656/91H"),
    (CRONumber, "SF05/482703J", "SF05/482703J"),
    (PrisonNumber, "a1234aa", "A1234AA"),
    (CRN, "X123456", "X123456"),
    (CRN, "xy123456 ", "XY123456"),
    (Postcode, "se11te", "SE1 1TE"),
    (Postcode, "SW1A 1AA", "SW1A 1AA"),
    (Postcode, "m1 1ae", "M1 1AE"),
    (Postcode, "GIR 0AA", "GIR 0AA"),
    (Postcode, "BF1 2AA", "BF1 2AA"),
    (Postcode, "  w1a   0ax ", "W1A 0AX"),
]


@pytest.mark.parametrize(("kind", "text", "normalised"), VALID)
def test_a_valid_text_becomes_its_normal_form(kind: type[NHSNumber], text: str, normalised: str) -> None:
    made = kind(text)

    assert made == normalised
    assert type(made) is kind
    assert kind(made) is made


@given(nine=st.integers(0, 999_999_999))
def test_of_ten_digits_those_are_a_number_of_which_the_library_says_so(nine: int) -> None:
    for check in range(10):
        digits = f"{nine:09}{check}"
        try:
            accepted = bool(NHSNumber(digits))
        except InvalidIdentifier:
            accepted = False

        assert accepted == nhs_number.is_valid(digits)


INVALID = [
    *((NHSNumber, f"999000000{n}") for n in range(10)),
    (NHSNumber, "9990000019"),
    (NHSNumber, "999000001"),
    (NHSNumber, "99900000180"),
    (NHSNumber, "99900000 18"),
    (NHSNumber, "999 000-0018"),
    (NHSNumber, " 9990000018"),
    (NHSNumber, "٩٩٩٠٠٠٠٠١٨"),
    (NHSNumber, "999000001８"),
    (NHSNumber, ""),
    (UPN, "C801200005001"),
    (UPN, "B000200005001"),
    (UPN, ""),
    (PNCId, "2012/0052494R"),
    (PNCId, "212/0052494Q"),
    (PNCId, "2012-0052494Q"),
    (CRONumber, "265416/21H"),
    (CRONumber, "SF05/482703K"),
    (CRONumber, "265416"),
    (PrisonNumber, "A123AA"),
    (PrisonNumber, "1234AAA"),
    (CRN, "X00001"),
    (CRN, "XYZ123456"),
    (Postcode, "ZZ99"),
    (Postcode, "1AA SW1A"),
    (Postcode, ""),
]


@pytest.mark.parametrize(("kind", "text"), INVALID)
def test_an_invalid_text_is_refused_by_kind_and_rule(kind: type[NHSNumber], text: str) -> None:
    with pytest.raises(InvalidIdentifier) as refused:
        kind(text)

    assert str(refused.value).startswith(f"not a valid {kind.kind}")
    assert not text or text not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [None, 9990000018, b"9990000018", ["9990000018"], "9" * 33, "A" * 10_000])
def test_what_is_no_text_or_far_too_long_is_refused(kind: type[NHSNumber], text: object) -> None:
    with pytest.raises(InvalidIdentifier):
        kind(text)  # type: ignore[arg-type]


NHS_NUMBERS = st.integers(0, 999_999).map(lambda n: _with_check_digit(f"999{n:06d}")).filter(bool)


def _with_check_digit(nine: str) -> str:
    check = 11 - sum(int(d) * w for d, w in zip(nine, range(10, 1, -1), strict=True)) % 11
    return "" if check == 10 else f"{nine}{check % 11}"


@given(NHS_NUMBERS, st.integers(0, 9), st.integers(0, 9))
def test_any_wrong_digit_of_an_nhs_number_is_refused(number: str, place: int, digit: int) -> None:
    assume(number[place] != str(digit))
    assert NHSNumber(number) == number

    with pytest.raises(InvalidIdentifier):
        NHSNumber(number[:place] + str(digit) + number[place + 1 :])


@given(NHS_NUMBERS, st.integers(0, 8))
def test_two_neighbouring_digits_exchanged_are_refused(number: str, place: int) -> None:
    assume(number[place] != number[place + 1])

    with pytest.raises(InvalidIdentifier):
        NHSNumber(number[:place] + number[place + 1] + number[place] + number[place + 2 :])


def test_the_letter_of_a_pnc_id_or_cro_number_is_the_only_one_that_fits() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

    for kind, stem, right in (
        (PNCId, "2012/0052494", "Q"),
        (CRONumber, "265416/21", "G"),
        (CRONumber, "SF05/482703", "J"),
    ):
        fitting = []
        for letter in letters:
            try:
                fitting.append(kind(stem + letter)[-1])
            except InvalidIdentifier:
                continue
        assert fitting == [right]


def test_a_short_year_is_of_this_century_until_it_would_lie_in_the_future() -> None:
    this = datetime.now(UTC).year % 100
    centuries = set()
    for year in (this, (this + 1) % 100):
        letter = "ZABCDEFGHJKLMNPQRTUVWXY"[int(f"{year:02d}0000001") % 23]
        centuries.add(PNCId(f"{year:02d}/1{letter}")[:2])

    assert centuries == {"19", "20"}


@given(st.sampled_from(KINDS), st.text(max_size=40))
def test_no_refusal_holds_the_text_and_no_repr_the_value(kind: type[NHSNumber], text: str) -> None:
    try:
        made = kind(text)
    except InvalidIdentifier as refused:
        shown = repr(refused)
        assume(len(text.strip()) > 3)
    else:
        shown = repr(made)
    assert len(text.strip()) <= 3 or text.strip() not in shown


@pytest.mark.parametrize(("kind", "text", "normalised"), VALID)
def test_the_repr_hides_the_value(kind: type[NHSNumber], text: str, normalised: str) -> None:
    assert repr(kind(text)) == f"{kind.__name__}(***)"
    assert normalised not in repr([kind(text)])
    assert f"{kind(text)!s}" == normalised
