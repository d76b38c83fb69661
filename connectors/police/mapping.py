"""From a force's answer to answers about children. Pure: no clock, no network.

A match is another person's record until it echoes the NHS number that was asked for; until then nothing of it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from connectors import answers
from connectors.base import FieldMask
from connectors.batches import ToldSingly
from connectors.faults import FaultCode, SourceFailed
from connectors.police.messages import (
    Disclosure,
    Envelope,
    Match,
    Officer,
    Order,
    Person,
    PoliceInvolvement,
    Restricted,
    Result,
)
from schema.identifiers import InvalidIdentifier, NHSNumber
from schema.records import (
    Agency,
    Answer,
    Answered,
    ChildRef,
    IdentityClaim,
    Involvement,
    Practitioner,
    SubjectRef,
    Team,
)
from schema.sections import PoliceEvent, PoliceNotification, PoliceRecord, ProtectionOrder
from schema.vocabulary import ContactMode, InvolvementRelationship, InvolvementStatus, RefusalReason, Sensitivity

SHARED = "P"  # may be shared with partners
UNIT_ONLY = "C"  # conditions: the unit, not the officer
MARKINGS = frozenset({"OFFICIAL", "OFFICIAL-SENSITIVE"})
STATUS = {"OPEN": InvolvementStatus.CURRENT, "CLOSED": InvolvementStatus.PREVIOUS}


def answers_of(
    body: Any, children: Sequence[ChildRef], *, request_id: str, agency: Agency, mask: FieldMask
) -> dict[SubjectRef, Answer]:
    """Return the answer about each child that was asked about.

    Raises SourceFailed when what is wrong cannot be laid to one child: MISMATCH for an answer to another request or
    about somebody who was not asked about, SCHEMA for anything else.
    """
    try:
        envelope = msgspec.convert(body, Envelope)
    except msgspec.ValidationError:
        raise SourceFailed(FaultCode.SCHEMA) from None
    if envelope.request_id != request_id:
        raise SourceFailed(FaultCode.MISMATCH)
    results = _by_child(envelope.results, children)
    if not envelope.complete or envelope.count != _matches_in(envelope.results):
        raise SourceFailed(FaultCode.SCHEMA)
    return {child: _answer(child, results[child], agency, mask) for child in children}


def restricted(body: Any, children: Sequence[ChildRef], *, request_id: str) -> dict[SubjectRef, Answer]:
    """Return that the one child asked about is shielded, and nothing else, from the body of a 423.

    Raises SourceFailed: MISMATCH for an answer to another request or about another child, SCHEMA for any other body;
    ToldSingly if several were asked about, since it says nothing of the others.
    """
    try:
        said = msgspec.convert(body, Restricted)
    except msgspec.ValidationError:
        raise SourceFailed(FaultCode.SCHEMA) from None
    number = _number({"nhsNumber": said.nhs_number})
    if said.request_id != request_id or number not in {child.nhs_number for child in children}:
        raise SourceFailed(FaultCode.MISMATCH)
    if len(children) > 1:
        raise ToldSingly(FaultCode.STATUS_UNEXPECTED)
    return {children[0]: answers.empty(children[0], shielded=True)}


def _matches_in(results: Iterable[Mapping[str, Any]]) -> int:
    counts = [result.get("count") for result in results]
    return sum(count for count in counts if isinstance(count, int))


def _by_child(results: Iterable[Mapping[str, Any]], children: Sequence[ChildRef]) -> dict[ChildRef, list[Any]]:
    sorted_out: dict[ChildRef, list[Any]] = {child: [] for child in children}
    for result in results:
        number = _number(result)
        if number is None:
            raise SourceFailed(FaultCode.SCHEMA)
        if ChildRef(number) not in sorted_out:
            raise SourceFailed(FaultCode.MISMATCH)
        sorted_out[ChildRef(number)].append(result)
    return sorted_out


def _answer(child: ChildRef, results: Sequence[Any], agency: Agency, mask: FieldMask) -> Answer:
    if len(results) != 1:
        return answers.invalid(child, FaultCode.SCHEMA)
    try:
        result = msgspec.convert(results[0], Result)
        if not result.complete or result.count != len(result.matches):
            return answers.invalid(child, FaultCode.SCHEMA)
        # dropped here, whatever the score: its person and involvements are never read
        echoing = [msgspec.convert(match, Match) for match in result.matches if _number(match) == child.nhs_number]
    except msgspec.ValidationError:
        return answers.invalid(child, FaultCode.SCHEMA)
    return _told(child, echoing, agency, mask)


def _told(child: ChildRef, matches: Sequence[Match], agency: Agency, mask: FieldMask) -> Answered:
    rows: dict[str, Involvement] = {}
    events: dict[str, PoliceEvent | None] = {}
    for match in matches:
        for held in match.involvements:
            if held.status == "CLOSED" and answers.PREVIOUS not in mask:
                continue
            # Two nominals of one child may hang on one event: it is told once, and the stricter of the two decides.
            row = _involvement(held, match)
            rows[held.id] = max(rows.get(held.id, row), row, key=_strictness)
            event = None
            if held.event_type is not None and match.flags.handling_code == SHARED and row.refusal is None:
                event = PoliceEvent(agency, held.event_type, held.began, held.status, held.ended)
            events[held.id] = event if events.get(held.id, event) is not None else None
    # a section has no stop of its own: what may not leave the force as it stands is not told
    shared = [match for match in matches if match.flags.handling_code == SHARED]
    orders = (
        _order(order, agency)
        for match in shared
        for order in match.orders
        if _refusal(SHARED, order.disclosure) is None
    )
    notifications = (
        PoliceNotification(agency, sent.kind, sent.sent_on, sent.recipient)
        for match in shared
        for sent in match.notifications
        if _refusal(SHARED, sent.disclosure) is None
    )
    told: dict[type, Mapping[str, object]] = {
        PoliceRecord: {
            "events": tuple(event for event in events.values() if event is not None) or None,
            "orders": tuple(dict.fromkeys(orders)) or None,
            "notifications": tuple(dict.fromkeys(notifications)) or None,
        }
    }
    return Answered(
        child,
        involvements=tuple(row for row in rows.values() if answers.opened(mask, row.status)),
        trace=None,
        # a child who is not held is not said to be unshielded: "not known here" must never lift a shield
        shielded=any(match.flags.restricted for match in matches) if matches else None,
        linked_adults=(),
        sections=answers.narrow(told, mask),
        as_of=None,
    )


def _order(order: Order, agency: Agency) -> ProtectionOrder:
    unit = order.unit
    return ProtectionOrder(
        agency,
        order.kind,
        order.began,
        order.ended,
        unit.name if unit else None,
        unit.phone if unit else None,
        unit.out_of_hours if unit else None,
    )


def _strictness(row: Involvement) -> tuple[bool, bool]:
    return row.refusal is not None, row.practitioner is None


def _involvement(held: PoliceInvolvement, match: Match) -> Involvement:
    code = match.flags.handling_code
    practitioner = _practitioner(held.officer) if code == SHARED else None
    return Involvement(
        local_id=held.id,
        practitioner=practitioner,
        role=held.role,
        team=Team(held.unit.name, held.unit.phone, held.unit.email, held.unit.out_of_hours),
        service=None,
        contact_mode=ContactMode.TEAM_ONLY if practitioner is None else ContactMode.DIRECT,
        expected_response=None,
        status=STATUS[held.status],
        started_on=held.began,
        ended_on=held.ended,
        lead=False,
        relationship=InvolvementRelationship.CHILD,
        last_confirmed_at=held.last_confirmed_at,
        sensitivity=Sensitivity.STANDARD,
        basis=None,
        basis_until=None,
        refusal=_refusal(code, held.disclosure),
        identity=_identity(match.person),
    )


def _refusal(code: str, disclosure: Disclosure) -> RefusalReason | None:
    if code in {SHARED, UNIT_ONLY} and not disclosure.do_not_disclose and disclosure.marking in MARKINGS:
        return None
    return RefusalReason.HANDLING_CODE


def _practitioner(officer: Officer | None) -> Practitioner | None:
    # The interface gives no line of the officer's own: they are reached through the unit's. A collar number is the
    # force's own, no registration of a professional body.
    return None if officer is None else Practitioner(officer.name, officer.rank)


def _identity(person: Person) -> IdentityClaim | None:
    if person.date_of_birth is None:
        return None
    names = dict.fromkeys((person.family_name, *(alias.family_name for alias in person.aliases)))
    return IdentityClaim(person.date_of_birth, tuple(names), person.given_names)


def _number(record: Mapping[str, Any]) -> NHSNumber | None:
    """Return the number that the record is about, None if it does not say."""
    try:
        return NHSNumber(record.get("nhsNumber", ""))
    except InvalidIdentifier:
        return None
