"""Identifiers that cannot exist in an invalid form.

Each is a `str` subclass: its value is the normalised text. Errors never carry the rejected text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import ClassVar, Self

import nhs_number
from stdnum.exceptions import ValidationError as _StdnumError
from stdnum.gb import upn as _upn


class InvalidIdentifier(ValueError):
    """A text is not a valid identifier of its kind; the message names the kind and the rule, never the text."""


class _Identifier(str):
    kind: ClassVar[str]

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if type(text) is cls:
            return text
        if not isinstance(text, str) or len(text) > 32:
            raise InvalidIdentifier(f"not a valid {cls.kind}")
        return super().__new__(cls, cls._normalise(text))

    def __repr__(self) -> str:
        # an identifier must not reach a log by way of a traceback or a debug line
        return f"{type(self).__name__}(***)"

    @classmethod
    def _normalise(cls, text: str) -> str:
        raise NotImplementedError

    @classmethod
    def _refuse(cls, rule: str) -> InvalidIdentifier:
        return InvalidIdentifier(f"not a valid {cls.kind}: {rule}")


class NHSNumber(_Identifier):
    """Ten digits, the last a modulus-11 check digit; spaces or hyphens as 3-3-4 are accepted and dropped.

    >>> str(NHSNumber("999 000 0018"))
    '9990000018'

    Source: NHS Data Dictionary, "NHS NUMBER". Raises InvalidIdentifier if the text fails either rule.
    """

    kind = "NHS number"
    __slots__ = ()
    _shape = re.compile(r"[0-9]{10}|[0-9]{3} [0-9]{3} [0-9]{4}|[0-9]{3}-[0-9]{3}-[0-9]{4}")

    def __new__(cls, text: str) -> Self:
        # as nearly every number comes: ten digits and nothing else
        if type(text) is str and len(text) == 10 and text >= "4" and text.isascii() and text.isdigit():
            if not _check_digit_fits(text):
                raise cls._refuse("the check digit does not fit")
            return str.__new__(cls, text)
        return super().__new__(cls, text)

    @classmethod
    def _normalise(cls, text: str) -> str:
        if not cls._shape.fullmatch(text):
            raise cls._refuse("ten digits are needed")
        digits = text.replace(" ", "").replace("-", "")
        # below are Scotland's, which hold a date: the library's to judge
        if not (_check_digit_fits(digits) if digits >= "4" else nhs_number.is_valid(digits)):
            raise cls._refuse("the check digit does not fit")
        return digits


def _check_digit_fits(digits: str) -> bool:
    """Return whether the last of ten digits is the modulus-11 check digit of the others; 10 is none.

    In one expression: the library, whose answer it is, takes a dozen calls, and each lookup asks.
    """
    a, b, c, d, e, f, g, h, i, check = digits.encode("ascii")
    # the weights, that of the check digit among them, sum to 55: what "0" is as a byte falls out modulo 11
    return (10 * a + 9 * b + 8 * c + 7 * d + 6 * e + 5 * f + 4 * g + 3 * h + 2 * i + check) % 11 == 0


_MOD23 = "ZABCDEFGHJKLMNPQRTUVWXY"


class PNCId(_Identifier):
    """Police National Computer id, long form `YYYY/NNNNNNNL`; the short year is expanded, the serial padded.

    >>> str(PNCId("12/52494Q"))
    '2012/0052494Q'

    Source: hmpps-person-record, PNCIdentifier (letter = two-digit year and seven-digit serial, modulus 23).
    """

    kind = "PNC id"
    __slots__ = ()
    _shape = re.compile(r"([0-9]{4}|[0-9]{2})/([0-9]{1,7})([A-Z])")

    @classmethod
    def _normalise(cls, text: str) -> str:
        found = cls._shape.fullmatch(text.strip().upper())
        if not found:
            raise cls._refuse("the form is YYYY/NNNNNNNL")
        year, serial, letter = found[1], found[2].zfill(7), found[3]
        if len(year) == 2:
            this_year = datetime.now(UTC).year
            century = this_year // 100 - (1 if int(year) > this_year % 100 else 0)
            year = f"{century}{year}"
        if _MOD23[int(year[2:] + serial) % 23] != letter:
            raise cls._refuse("the check letter does not fit")
        return f"{year}/{serial}{letter}"


class CRONumber(_Identifier):
    """Criminal Records Office number, `NNNNNN/YYL` or `SFYY/NNNNNNL`.

    >>> str(CRONumber("65656/91H"))
    '065656/91H'

    Source: hmpps-person-record, CROIdentifier.
    """

    kind = "CRO number"
    __slots__ = ()
    _plain = re.compile(r"([0-9]{1,6})/([0-9]{2})([A-Z])")
    _file = re.compile(r"SF([0-9]{2})/([0-9]{1,6})([A-Z])")

    @classmethod
    def _normalise(cls, text: str) -> str:
        tidy = text.strip().upper()
        if found := cls._plain.fullmatch(tidy):
            serial, year, letter = found[1].zfill(6), found[2], found[3]
            number, form = int(year + serial), f"{serial}/{year}{letter}"
        elif found := cls._file.fullmatch(tidy):
            year, serial, letter = found[1], found[2], found[3]
            number, form = int(year + serial), f"SF{year}/{serial}{letter}"
        else:
            raise cls._refuse("the form is NNNNNN/YYL or SFYY/NNNNNNL")
        if _MOD23[number % 23] != letter:
            raise cls._refuse("the check letter does not fit")
        return form


class _Pattern(_Identifier):
    __slots__ = ()
    shape: ClassVar[re.Pattern[str]]
    form: ClassVar[str]

    @classmethod
    def _normalise(cls, text: str) -> str:
        tidy = text.strip().upper()
        if not cls.shape.fullmatch(tidy):
            raise cls._refuse(f"the form is {cls.form}")
        return tidy


class PrisonNumber(_Pattern):
    """Prison (NOMS) number, `A1234AA`; it has no check digit."""

    kind = "prison number"
    form = "A1234AA"
    shape = re.compile(r"[A-Z][0-9]{4}[A-Z]{2}")
    __slots__ = ()


class CRN(_Pattern):
    """Delius case reference number, a letter (or two) and six digits; it has no check digit."""

    kind = "CRN"
    form = "X123456"
    shape = re.compile(r"[A-Z]{1,2}[0-9]{6}")
    __slots__ = ()


class Postcode(_Identifier):
    """UK postcode, upper case with one space before the last three characters.

    >>> str(Postcode("se11te"))
    'SE1 1TE'
    """

    kind = "postcode"
    __slots__ = ()
    _shape = re.compile(
        r"(GIR 0AA|BF1 [0-9][A-Z]{2}|"
        r"([A-Z][0-9]{1,2}|[A-Z][A-HJ-Y][0-9]{1,2}|[A-Z][0-9][A-Z]|[A-Z][A-HJ-Y][0-9]?[A-Z]) [0-9][A-Z]{2})"
    )

    @classmethod
    def _normalise(cls, text: str) -> str:
        tidy = re.sub(r"\s+", "", text).upper()
        spaced = f"{tidy[:-3]} {tidy[-3:]}"
        if not cls._shape.fullmatch(spaced):
            raise cls._refuse("the form is AA9 9AA")
        return spaced


class UPN(_Identifier):
    """Unique pupil number: check letter and twelve characters.

    >>> str(UPN("B801200005001"))
    'B801200005001'

    Source: DfE, "Unique pupil numbers"; checked by python-stdnum.
    """

    kind = "UPN"
    __slots__ = ()

    @classmethod
    def _normalise(cls, text: str) -> str:
        try:
            return str(_upn.validate(text))
        except _StdnumError:
            raise cls._refuse("the check letter or form does not fit") from None
