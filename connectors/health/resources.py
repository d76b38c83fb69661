"""The FHIR R4 resources that a health answer is made of, as far as they are read.

Members that are not read are ignored, because the standard and its profiles grow; those that are read are checked.
Source: HL7 FHIR R4 (4.0.1), UK Core, and the published schemas of the Personal Demographics Service.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, TypeVar

import msgspec

from connectors.faults import FaultCode, SourceFailed

NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"

# Shown to people: no control characters, and none that turn the direction of the text around them.
Text = Annotated[
    str, msgspec.Meta(min_length=1, max_length=500, pattern=r"\A[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*\Z")
]
Id = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9.-]{1,64}\Z")]
Uri = Annotated[str, msgspec.Meta(max_length=1000)]
Code = Annotated[str, msgspec.Meta(max_length=200)]
# date or dateTime, possibly partial: PDS publishes that some records have only a year or a month
DateTime = Annotated[str, msgspec.Meta(max_length=40, pattern=r"\A[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9:.Z+-]+)?)?)?\Z")]

R = TypeVar("R")


class _Element(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Coding(_Element, frozen=True, kw_only=True):
    system: Uri | None = None
    code: Code | None = None
    display: Text | None = None


class CodeableConcept(_Element, frozen=True, kw_only=True):
    coding: tuple[Coding, ...] = ()
    text: Text | None = None


class Period(_Element, frozen=True, kw_only=True):
    start: DateTime | None = None
    end: DateTime | None = None


class Identifier(_Element, frozen=True, kw_only=True):
    system: Uri | None = None
    value: Text | None = None
    period: Period | None = None


class Reference(_Element, frozen=True, kw_only=True):
    reference: Uri | None = None
    identifier: Identifier | None = None
    display: Text | None = None


class Beside(_Element, frozen=True, kw_only=True):
    """What stands beside a primitive value: its extensions (FHIR R4, JSON representation of primitive elements)."""

    extension: tuple[Extension, ...] = ()


class Extension(_Element, frozen=True, kw_only=True):
    url: Uri
    value_code: Code | None = None
    beside_value_code: Beside | None = msgspec.field(name="_valueCode", default=None)
    value_boolean: bool | None = None
    value_date: DateTime | None = None
    value_date_time: DateTime | None = None
    extension: tuple[Extension, ...] = ()


class Telecom(_Element, frozen=True, kw_only=True):
    """FHIR names this datatype ContactPoint."""

    system: Code | None = None
    value: Text | None = None
    use: Code | None = None
    rank: int | None = None
    period: Period | None = None
    extension: tuple[Extension, ...] = ()


class HumanName(_Element, frozen=True, kw_only=True):
    use: Code | None = None
    text: Text | None = None
    family: Text | None = None
    given: tuple[Text, ...] = ()
    period: Period | None = None


class Meta(_Element, frozen=True, kw_only=True):
    security: tuple[Coding, ...] = ()


class _Resource(_Element, frozen=True, kw_only=True):
    id: Id
    meta: Meta = Meta()
    identifier: tuple[Identifier, ...] = ()


class Patient(_Resource, frozen=True, kw_only=True):
    name: tuple[HumanName, ...] = ()
    birth_date: DateTime | None = None
    deceased_date_time: DateTime | None = None
    general_practitioner: tuple[Reference, ...] = ()


class Organization(_Resource, frozen=True, kw_only=True):
    name: Text | None = None
    telecom: tuple[Telecom, ...] = ()


class Practitioner(_Resource, frozen=True, kw_only=True):
    active: bool | None = None
    name: tuple[HumanName, ...] = ()
    telecom: tuple[Telecom, ...] = ()


class PractitionerRole(_Resource, frozen=True, kw_only=True):
    active: bool | None = None
    practitioner: Reference | None = None
    organization: Reference | None = None
    code: tuple[CodeableConcept, ...] = ()
    telecom: tuple[Telecom, ...] = ()
    contained: tuple[dict[str, Any], ...] = ()


class Participant(_Element, frozen=True, kw_only=True):
    role: tuple[CodeableConcept, ...] = ()
    member: Reference | None = None
    period: Period | None = None


class CareTeam(_Resource, frozen=True, kw_only=True):
    status: Code | None = None
    name: Text | None = None
    category: tuple[CodeableConcept, ...] = ()
    subject: Reference | None = None
    period: Period | None = None
    participant: tuple[Participant, ...] = ()
    managing_organization: tuple[Reference, ...] = ()
    telecom: tuple[Telecom, ...] = ()
    extension: tuple[Extension, ...] = ()
    contained: tuple[dict[str, Any], ...] = ()


class EpisodeOfCare(_Resource, frozen=True, kw_only=True):
    status: Code
    type: tuple[CodeableConcept, ...] = ()
    patient: Reference | None = None
    managing_organization: Reference | None = None
    period: Period | None = None
    care_manager: Reference | None = None
    team: tuple[Reference, ...] = ()
    extension: tuple[Extension, ...] = ()
    contained: tuple[dict[str, Any], ...] = ()


class Flag(_Resource, frozen=True, kw_only=True):
    status: Code
    category: tuple[CodeableConcept, ...] = ()
    code: CodeableConcept
    subject: Reference | None = None
    period: Period | None = None
    author: Reference | None = None
    contained: tuple[dict[str, Any], ...] = ()


class OperationOutcomeIssue(_Element, frozen=True, kw_only=True):
    severity: Code
    details: CodeableConcept | None = None


class OperationOutcome(_Element, frozen=True, kw_only=True):
    issue: tuple[OperationOutcomeIssue, ...]


class BundleLink(_Element, frozen=True, kw_only=True):
    relation: Code
    url: Uri


class EntrySearch(_Element, frozen=True, kw_only=True):
    mode: Code | None = None


class BundleEntry(_Element, frozen=True, kw_only=True):
    full_url: Uri | None = None
    search: EntrySearch | None = None
    resource: dict[str, Any]


class Bundle(_Element, frozen=True, kw_only=True):
    type: Code
    total: Annotated[int, msgspec.Meta(ge=0)] | None = None
    link: tuple[BundleLink, ...] = ()
    entry: tuple[BundleEntry, ...] = ()


RESOURCES: dict[str, type[_Resource]] = {
    cls.__name__: cls for cls in (Patient, Organization, Practitioner, PractitionerRole, CareTeam, EpisodeOfCare, Flag)
}


def read(value: Any, cls: type[R]) -> R:
    """Return the value as a resource of that class, by `resourceType`. Raises SourceFailed with SCHEMA."""
    if not isinstance(value, dict) or value.get("resourceType") != cls.__name__:
        raise SourceFailed(FaultCode.SCHEMA)
    try:
        return msgspec.convert(value, cls)
    except msgspec.ValidationError:
        # the text of the error may quote a value
        raise SourceFailed(FaultCode.SCHEMA) from None


def whole_date(text: str | None) -> date | None:
    """Return the day of a date or dateTime, None if it is absent or partial. Raises SourceFailed for no real day."""
    if text is None or len(text) < len("2026-01-01"):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise SourceFailed(FaultCode.SCHEMA) from None
