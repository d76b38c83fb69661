"""The answers of the HMPPS External API, as far as they are read.

The adult's name, date of birth and aliases are in these answers and are not in these types: they are dropped while
parsing. Members that are not read are ignored, because the API grows.
Source: recorded answers of ministryofjustice/hmpps-integration-api.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from connectors.faults import FaultCode, SourceFailed
from connectors.http import Reply

NOT_FOUND = "ENTITY_NOT_FOUND"
REDACTED = "**REDACTED**"

# Shown to people: no control characters, and none that turn the direction of the text around them.
Text = Annotated[str, msgspec.Meta(max_length=500, pattern=r"\A[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*\Z")]


# a date, or the mark that stands in its place
Day = Annotated[str, msgspec.Meta(pattern=r"\A([0-9]{4}-[0-9]{2}-[0-9]{2}|\*\*REDACTED\*\*)\Z")]


# a date and time without a zone, as the API writes it; only its day is read
Moment = Annotated[
    str, msgspec.Meta(max_length=40, pattern=r"\A([0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]+Z?)?|\*\*REDACTED\*\*)\Z")
]


class _Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Identifiers(_Message, frozen=True, kw_only=True):
    nomis_number: str | None = None
    delius_crn: str | None = None


class Person(_Message, frozen=True, kw_only=True):
    hmpps_id: str | None = None
    identifiers: Identifiers | None = None
    under_active_supervision: bool | None = None
    current_restriction: bool | None = None
    current_exclusion: bool | None = None


class Persons(_Message, frozen=True, kw_only=True):
    prisoner_offender_search: Person | None = None
    probation_offender_search: Person | None = None


class PersonName(_Message, frozen=True, kw_only=True):
    forename: Text | None = None
    surname: Text | None = None


class Prison(_Message, frozen=True, kw_only=True):
    code: Text | None = None


class PrisonOffenderManager(_Message, frozen=True, kw_only=True):
    forename: Text | None = None
    surname: Text | None = None
    prison: Prison | None = None


class OfficerTeam(_Message, frozen=True, kw_only=True):
    code: Text | None = None
    description: Text | None = None
    email: Text | None = None
    telephone_number: Text | None = None


class CommunityOffenderManager(_Message, frozen=True, kw_only=True):
    name: PersonName | None = None
    email: Text | None = None
    telephone_number: Text | None = None
    team: OfficerTeam | None = None
    allocated: bool | None = None


class ResponsibleOfficer(_Message, frozen=True, kw_only=True):
    prison_offender_manager: PrisonOffenderManager | UnsetType | None = UNSET
    community_offender_manager: CommunityOffenderManager | UnsetType | None = UNSET


class AccessLimitations(_Message, frozen=True, kw_only=True):
    # required: an answer without them does not say that there is no limitation
    excluded_from: tuple[Any, ...] | None
    restricted_to: tuple[Any, ...] | None
    exclusion_message: str | None = None
    restriction_message: str | None = None


class MappaDetail(_Message, frozen=True, kw_only=True):
    level: int | None
    category: int | None
    start_date: Day | None = None
    review_date: Day | None = None


class DynamicRisk(_Message, frozen=True, kw_only=True):
    code: Text | None
    description: Text | None = None
    start_date: Day | None = None
    review_date: Day | None = None


class InCommunity(_Message, frozen=True, kw_only=True):
    children: Text | None = None


class HarmSummary(_Message, frozen=True, kw_only=True):
    # what the risk is, to whom and why is free text beside this, and is dropped while parsing
    risk_in_community: InCommunity | None = None


class SeriousHarm(_Message, frozen=True, kw_only=True):
    summary: HarmSummary | None
    assessed_on: Moment | None = None


class Pagination(_Message, frozen=True, kw_only=True):
    is_last_page: bool
    count: int
    page: int
    total_count: int


class Status(_Message, frozen=True, kw_only=True):
    status: str


class _Error(_Message, frozen=True, kw_only=True):
    type: str | None = None


class _Envelope(_Message, frozen=True, kw_only=True):
    data: Any = UNSET
    errors: tuple[_Error, ...] | None = None
    pagination: Pagination | None = None


def content(reply: Reply, cls: Any) -> tuple[Any, Pagination | None]:
    """Return the data and its pagination; None for data if the source says, in its typed way, that there is none.

    Raises SourceFailed: NOT_FOUND_BARE for a 404 that does not say so, SCHEMA for any other error beside the data.
    """
    envelope = _convert(reply.json, _Envelope, reply)
    errors = envelope.errors or ()
    typed_not_found = bool(errors) and all(error.type == NOT_FOUND for error in errors)
    if reply.status == 404:
        if not typed_not_found:
            raise SourceFailed(FaultCode.NOT_FOUND_BARE)
        return None, None
    if errors and not typed_not_found:
        # what is beside an error is a part of an answer
        raise SourceFailed(FaultCode.SCHEMA)
    if envelope.data is None and typed_not_found:
        return None, None
    if envelope.data is UNSET:
        raise SourceFailed(FaultCode.SCHEMA)
    return _convert(envelope.data, cls, reply), envelope.pagination


def _convert(value: Any, cls: Any, reply: Reply) -> Any:
    try:
        return msgspec.convert(value, cls)
    except msgspec.ValidationError:
        # the text of the error may quote a value
        raise SourceFailed(FaultCode.NOT_FOUND_BARE if reply.status == 404 else FaultCode.SCHEMA) from None


def day(text: str | None) -> date | None:
    """Return the date, None where it is withheld. Raises SourceFailed for no real day."""
    stated = shown(text)
    try:
        return date.fromisoformat(stated[:10]) if stated else None
    except ValueError:
        raise SourceFailed(FaultCode.SCHEMA) from None


def shown(text: str | None) -> str | None:
    """Return the text, or None where the source withholds it: absent, blank or redacted."""
    tidy = (text or "").strip()
    return None if tidy in ("", REDACTED) else tidy
