"""The JSON file of driver `memory`: a list of children, each with who works with them.

    [{"nhsNumber": "9990000018", "dateOfBirth": "2015-04-09", "familyName": "Amis", "formerFamilyNames": [],
      "givenNames": ["Ada"], "shielded": false,
      "involvements": [{"id": "1", "practitioner": {"name": "Dana Amin", "role": "Teacher", "registration": null},
        "role": "Safeguarding lead", "team": {"name": "Pastoral team", "phone": "01632 960001"},
        "contact": {"mode": "DIRECT", "phone": "01632 960002"}, "status": "CURRENT", "sensitivity": "STANDARD"}]}]

`sections` beside `involvements` holds deeper records; see `connectors.memory_sections`. A fault is told by record and
key, never by value: the file names real children in a real deployment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from connectors import memory_sections
from connectors.memory_sections import Holding
from connectors.refusals import refusal_of
from connectors.settings import ConnectorMisconfigured
from schema.identifiers import InvalidIdentifier, NHSNumber
from schema.records import (
    Answered,
    ChildRef,
    IdentityClaim,
    Involvement,
    Practitioner,
    Registration,
    Service,
    SubjectRef,
    Team,
)
from schema.sections import ChildIdentity
from schema.vocabulary import (
    ContactMode,
    DisclosureBasis,
    InvolvementRelationship,
    InvolvementStatus,
    Sensitivity,
)

KEY = "records"
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    pass


class _Registration(_Form, frozen=True):
    body: Text
    number: Text


class _Practitioner(_Form, frozen=True):
    name: Text
    role: Text | None = None
    registration: _Registration | None = None


class _Team(_Form, frozen=True):
    name: Text
    phone: Text | None = None
    email: Text | None = None
    out_of_hours: Text | None = None


class _Service(_Form, frozen=True):
    name: Text
    code: Text | None = None


class _Contact(_Form, frozen=True):
    mode: ContactMode
    phone: Text | None = None
    email: Text | None = None
    out_of_hours: Text | None = None
    expected_response: Text | None = None


class _Involvement(_Form, frozen=True):
    id: Text
    practitioner: _Practitioner | None
    contact: _Contact
    status: InvolvementStatus
    role: Text | None = None
    team: _Team | None = None
    service: _Service | None = None
    started_on: date | None = None
    ended_on: date | None = None
    lead: bool = False
    last_confirmed_at: Moment | None = None
    # what is not labelled is not known to be ordinary
    sensitivity: Sensitivity = Sensitivity.UNKNOWN
    basis: DisclosureBasis | None = None
    basis_until: date | None = None
    basis_withdrawn_on: date | None = None  # a withdrawal ends the basis, whatever its day
    never_share: bool = False
    refusal: Text | None = None  # why; another word than those of the list, and `neverShare` alone, read NOT_STATED


class _Record(_Form, frozen=True):
    nhs_number: str
    date_of_birth: date
    family_name: Text
    shielded: bool
    involvements: tuple[_Involvement, ...]
    given_names: tuple[Text, ...] = ()
    former_family_names: tuple[Text, ...] = ()
    sections: dict[str, Any] = {}


_decoder = msgspec.json.Decoder(list[_Record])


def read_records(file: Path, *, traces: bool, holding: Holding | None = None) -> Mapping[SubjectRef, Answered]:
    """Return the answers that the file holds, by subject; with `traces`, each proves who the child is.

    Without `holding` the file may hold no deeper records. Raises ConnectorMisconfigured with the record's index (from
    0) and key.
    """
    try:
        text = file.read_bytes()
    except OSError:
        raise ConnectorMisconfigured(KEY, "the file cannot be read") from None
    try:
        records = _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        what = _what(error)
    else:
        return _answers(records, traces=traces, holding=holding)
    raise ConnectorMisconfigured(KEY, what)


def _answers(records: list[_Record], *, traces: bool, holding: Holding | None) -> Mapping[SubjectRef, Answered]:
    answers: dict[SubjectRef, Answered] = {}
    for index, record in enumerate(records):
        try:
            subject = ChildRef(NHSNumber(record.nhs_number))
        except InvalidIdentifier as error:
            raise _refuse(f"[{index}].nhsNumber", str(error)) from None
        if subject in answers:
            raise _refuse(f"[{index}].nhsNumber", "is the number of an earlier record")
        answers[subject] = _answer(subject, record, f"[{index}]", traces=traces, holding=holding)
    return answers


def _answer(subject: ChildRef, record: _Record, place: str, *, traces: bool, holding: Holding | None) -> Answered:
    claim = IdentityClaim(record.date_of_birth, (record.family_name, *record.former_family_names), record.given_names)
    rows: dict[str, Involvement] = {}
    for index, row in enumerate(record.involvements):
        here = f"{place}.involvements[{index}]"
        if row.id in rows:
            raise _refuse(f"{here}.id", "is the id of an earlier involvement")
        if row.practitioner is None and row.team is None:
            raise _refuse(here, "needs a practitioner or a team")
        rows[row.id] = _involvement(row, claim)
    sections = _sections(record, f"{place}.sections", holding)
    if traces:
        who: type = ChildIdentity
        sections[ChildIdentity] = who(
            given_names=record.given_names, family_name=record.family_name, date_of_birth=record.date_of_birth
        )
    return Answered(
        subject,
        involvements=tuple(rows.values()),
        trace=claim if traces else None,
        shielded=record.shielded,
        linked_adults=(),
        sections=sections,
        as_of=None,
    )


def _sections(record: _Record, place: str, holding: Holding | None) -> dict[type, object]:
    if not record.sections:
        return {}
    if holding is None:
        raise _refuse(place, "are not declared among the connector's sections")
    try:
        return memory_sections.read(record.sections, holding)
    except msgspec.ValidationError as error:
        raise ConnectorMisconfigured(KEY, _what(error, place)) from None


def _involvement(row: _Involvement, claim: IdentityClaim) -> Involvement:
    return Involvement(
        local_id=row.id,
        practitioner=_practitioner(row),
        role=row.role,
        team=_team(row),
        service=None if row.service is None else Service(row.service.code, row.service.name),
        contact_mode=row.contact.mode,
        expected_response=row.contact.expected_response,
        status=row.status,
        started_on=row.started_on,
        ended_on=row.ended_on,
        lead=row.lead,
        relationship=InvolvementRelationship.CHILD,
        last_confirmed_at=row.last_confirmed_at,
        sensitivity=row.sensitivity,
        basis=None if row.basis_withdrawn_on else row.basis,
        basis_until=None if row.basis_withdrawn_on else row.basis_until,
        refusal=refusal_of(row.refusal) if row.refusal or row.never_share else None,
        identity=claim,
    )


def _practitioner(row: _Involvement) -> Practitioner | None:
    if row.practitioner is None:
        return None
    direct = row.contact.mode is ContactMode.DIRECT
    registration = row.practitioner.registration
    return Practitioner(
        row.practitioner.name,
        row.practitioner.role,
        None if registration is None else Registration(registration.body, registration.number),
        row.contact.phone if direct else None,
        row.contact.email if direct else None,
    )


def _team(row: _Involvement) -> Team | None:
    if row.team is None:
        return None
    # a contact that is not one person's own is the team's
    shared = row.contact if row.practitioner is None or row.contact.mode is not ContactMode.DIRECT else None
    return Team(
        row.team.name,
        row.team.phone or (shared.phone if shared else None),
        row.team.email or (shared.email if shared else None),
        row.team.out_of_hours or row.contact.out_of_hours,
    )


def _refuse(place: str, what: str) -> ConnectorMisconfigured:
    return ConnectorMisconfigured(KEY, f"{place} {what}")


_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?(?P<place>\$[^`]*)`)?", re.DOTALL)
_SAID = ("Expected ", "Object ", "Array ")


def _what(error: Exception, within: str = "") -> str:
    """Say what is wrong and where, from msgspec's message; those of its messages that quote a value are put anew."""
    found = _MESSAGE.fullmatch(str(error))
    if not isinstance(error, msgspec.ValidationError) or found is None:
        return "the file is not JSON"
    what = found["what"]
    if not what.startswith(_SAID):
        what = "is not one of the allowed words, or not a valid date"
    return f"{within}{(found['place'] or '$')[1:]} {what[:1].lower()}{what[1:]}".strip().replace("`", "")
