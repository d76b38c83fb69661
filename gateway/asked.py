"""What the caller asks, checked from the input alone: the child's key and the access request.

Every fault is BAD_USER_INPUT with a fixed sentence; nothing of the input is in it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, LiteralString

from gateway.errors import BadUserInput
from schema.identifiers import NHSNumber
from schema.made_quickly import made_quickly
from schema.vocabulary import Purpose

ADULT_AT = 18
ADULT_WITH_CONSENT_AT = 26
_MOST_NAME, _MOST_REASON, _MOST_REFERENCE = 100, 500, 100
_LEAST_JUSTIFICATION = 10  # "urgent" justifies nothing that a reviewer could judge
_TEST_RANGE = "9"  # 900-999 are never issued to anybody


class AdultRefused(BadUserInput):
    """The date of birth is an adult's. There is no look-up of adults; told like any bad value, and recorded."""


@made_quickly
@dataclass(frozen=True, slots=True)
class Key:
    """Who is meant, as the asker states it."""

    nhs_number: NHSNumber
    date_of_birth: date
    family_name: str = field(repr=False)


@made_quickly
@dataclass(frozen=True, slots=True)
class Access:
    """Why the asker asks. `justification` is None unless break-glass is used."""

    purpose: Purpose
    reason: str = field(repr=False)
    case_reference: str | None = field(repr=False)
    justification: str | None = field(repr=False)
    accepts_review: bool


def key_from(given: Mapping[str, Any], purpose: Purpose, today: date) -> Key:
    """Return the key of a `ChildKey` argument. Raises BadUserInput, AdultRefused."""
    number, handle = given.get("nhsNumber"), given.get("handle")
    if (number is None) == (handle is None):
        raise BadUserInput("Give exactly one of `nhsNumber` and `handle`.")
    if number is None:
        # handles come from findChild, which this version does not offer: none can be valid
        raise BadUserInput("The handle is not one that can be used.")
    born: date = given["dateOfBirth"]
    if born > today:
        raise BadUserInput("`dateOfBirth` is in the future.")
    if _age(born, today) >= (ADULT_WITH_CONSENT_AT if purpose is Purpose.CONSENT else ADULT_AT):
        raise AdultRefused("`dateOfBirth` is not a child's. Adults cannot be looked up.")
    if purpose is Purpose.SYSTEM_TEST and not number.startswith(_TEST_RANGE):
        raise BadUserInput("SYSTEM_TEST takes numbers from the test range only.")
    return Key(
        number, born, text_within(given["familyName"], _MOST_NAME, "`familyName` must have 1 to 100 characters.")
    )


def access_from(given: Mapping[str, Any]) -> Access:
    """Return the access request of an `AccessRequest` argument. Raises BadUserInput."""
    override = given.get("override")
    reference = given.get("caseReference")
    return Access(
        purpose=given["purpose"],
        reason=text_within(given["reason"], _MOST_REASON, "`reason` must have 1 to 500 characters."),
        case_reference=text_within(reference, _MOST_REFERENCE, "`caseReference` must have 1 to 100 characters.")
        if reference is not None
        else None,
        justification=text_within(
            override["justification"],
            _MOST_REASON,
            "`justification` must have 10 to 500 characters.",
            least=_LEAST_JUSTIFICATION,
        )
        if override is not None
        else None,
        accepts_review=bool(override["acceptReview"]) if override is not None else False,
    )


_JOINERS = frozenset("\u200c\u200d")


def text_within(value: str, most: int, sentence: LiteralString, *, least: int = 1) -> str:
    """Return a text without control characters, trimmed and of so many characters, or raise BadUserInput."""
    if value.isascii():
        text = value.strip()
        if text.isprintable() and least <= len(text) <= most:
            return text  # most are: nothing in it but letters, digits, signs and spaces
    else:
        text = unicodedata.normalize("NFC", value).strip()
    # what joins letters of some scripts is no control, and no text either
    seen = sum(c not in _JOINERS for c in text)
    invisible = any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn"} and c not in _JOINERS for c in text)
    if seen < least or len(text) > most or invisible:
        raise BadUserInput(sentence)
    return text


def _age(born: date, today: date) -> int:
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
