"""Numbers for fictional people: handed out in order, so that a world with the same seed has the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from schema.identifiers import CRN, InvalidIdentifier, NHSNumber, PrisonNumber


def nhs_numbers() -> Iterator[str]:
    """Yield the valid NHS numbers of the 999 range, ascending from 9990000018; the range is never issued to anybody.

    Source: NHS Data Dictionary, "NHS NUMBER": modulus 11 over weights 10 to 2; a check digit of 10 makes no number.
    """
    for serial in range(999_000_001, 1_000_000_000):
        check = 11 - sum(int(digit) * weight for digit, weight in zip(str(serial), range(10, 1, -1), strict=True)) % 11
        if check != 10:
            yield f"{serial}{0 if check == 11 else check}"


def years_before(today: date, years: int, days: int = 0) -> date:
    """Return the date `years` years and `days` days before; the 29th of February becomes the 28th."""
    try:
        shifted = today.replace(year=today.year - years)
    except ValueError:
        shifted = today.replace(year=today.year - years, day=28)
    return shifted - timedelta(days=days)


class RegistryOffice:
    """Gives each person and each record the next number; nothing here is random."""

    def __init__(self) -> None:
        self._nhs = nhs_numbers()
        self._crn = 900_000
        self._prison = 9000
        self._record = 0
        self._nominal = 0

    def nhs_number(self) -> str:
        return _checked(NHSNumber, next(self._nhs))

    def crn(self) -> str:
        self._crn += 1
        return _checked(CRN, f"X{self._crn}")

    def prison_number(self) -> str:
        self._prison += 1
        return _checked(PrisonNumber, f"A{self._prison}ZZ")

    def record_id(self, prefix: str) -> str:
        """Return an agency's own key for a row; it says nothing of the person."""
        self._record += 1
        return f"{prefix}-{self._record:06d}"

    def nominal_id(self) -> str:
        self._nominal += 1
        return f"99/NIC/{self._nominal:09d}"


def _checked(kind: type[NHSNumber | CRN | PrisonNumber], text: str) -> str:
    try:
        return str(kind(text))
    except InvalidIdentifier:
        raise AssertionError("a fictional number is invalid") from None
