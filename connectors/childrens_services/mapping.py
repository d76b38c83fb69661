"""From an authority's answer to answers about children. Pure: no clock, no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

import msgspec
from msgspec import UnsetType

from connectors import answers
from connectors.base import FieldMask
from connectors.childrens_services import documents
from connectors.childrens_services.messages import (
    CaseInvolvement,
    Child,
    Children,
    ChildResult,
    Sharing,
    ShieldedPage,
    Worker,
)
from connectors.childrens_services.messages import LinkedAdult as AssertedAdult
from connectors.faults import FaultCode, SourceFailed
from connectors.refusals import refusal_of
from schema.identifiers import CRN, InvalidIdentifier, NHSNumber, PrisonNumber
from schema.records import (
    AdultRef,
    Agency,
    Answer,
    Answered,
    ChildRef,
    IdentityClaim,
    Involvement,
    LinkedAdult,
    Practitioner,
    Registration,
    SubjectRef,
    Team,
)
from schema.sections import (
    AssessmentPointer,
    Assessments,
    CarePlan,
    ChildIdentity,
    ChildrensServicesRecord,
    StatutoryStatus,
)
from schema.vocabulary import (
    ContactMode,
    InvolvementRelationship,
    InvolvementStatus,
    RefusalReason,
    Sensitivity,
)

SOCIAL_WORK_ENGLAND = "SWE"
SHARE = "SHARE"
STATUS = {"OPEN": InvolvementStatus.CURRENT, "CLOSED": InvolvementStatus.PREVIOUS}

# The authority's ordinary case work. Whatever is not here reads UNKNOWN, which is treated as sensitive: adoption
# support, for one, tells of an adoption by its being there.
ORDINARY_KINDS = frozenset(
    {
        "ASSESSMENT",
        "CHILD_IN_NEED",
        "CHILD_PROTECTION",
        "DISABLED_CHILDREN",
        "EARLY_HELP",
        "EDUCATION_WELFARE",
        "FAMILY_SUPPORT",
        "HOST_NOTIFICATION",
        "LEAVING_CARE",
        "LOOKED_AFTER",
        "PLACEMENT_VISITS",
    }
)

T = TypeVar("T")


class _Missing(ValueError):
    """A field that was asked for is not there."""


def data_of(body: Any, form: type[T]) -> T:
    """Return `data` of a GraphQL answer. Raises SourceFailed(SCHEMA), also when errors stand beside it."""
    if not isinstance(body, dict) or "errors" in body:
        raise SourceFailed(FaultCode.SCHEMA)
    try:
        return msgspec.convert(body.get("data"), form)
    except msgspec.ValidationError:
        raise SourceFailed(FaultCode.SCHEMA) from None


def answers_of(
    body: Any, children: Sequence[ChildRef], *, agency: Agency, mask: FieldMask, today: date
) -> dict[SubjectRef, Answer]:
    """Return the answer about each child that was asked about, without a status or plan that ended before `today`.

    Raises SourceFailed when what is wrong cannot be laid to one child: MISMATCH if somebody was answered about who was
    not asked about, SCHEMA for anything else.
    """
    results = _by_child(data_of(body, Children).children, children)
    return {child: _answer(child, results[child], agency, mask, today) for child in children}


def numbers_of(page: ShieldedPage) -> frozenset[NHSNumber]:
    """Return the shielded children of one page. Raises SourceFailed(SCHEMA)."""
    try:
        return frozenset(NHSNumber(number) for number in page.nhs_numbers)
    except InvalidIdentifier:
        raise SourceFailed(FaultCode.SCHEMA) from None


def _by_child(results: Iterable[Mapping[str, Any]], children: Sequence[ChildRef]) -> dict[ChildRef, list[Any]]:
    sorted_out: dict[ChildRef, list[Any]] = {child: [] for child in children}
    for result in results:
        try:
            child = ChildRef(NHSNumber(result.get("nhsNumber", "")))
        except InvalidIdentifier:
            raise SourceFailed(FaultCode.SCHEMA) from None
        if child not in sorted_out:
            raise SourceFailed(FaultCode.MISMATCH)
        sorted_out[child].append(result)
    return sorted_out


def _answer(child: ChildRef, results: Sequence[Any], agency: Agency, mask: FieldMask, today: date) -> Answer:
    if len(results) != 1:
        return answers.invalid(child, FaultCode.SCHEMA)
    try:
        result = msgspec.convert(results[0], ChildResult)
        if not result.complete:
            return answers.invalid(child, FaultCode.SCHEMA)
        if result.child is None:
            # Not known here says nothing of a shield: one that the authority set before must not fall by it.
            return answers.empty(child, shielded=None)
        if NHSNumber(result.child.get("nhsNumber", "")) != child.nhs_number:
            return answers.invalid(child, FaultCode.MISMATCH)
        record = msgspec.convert(result.child, Child)
        return _told(child, record, agency, mask, today)
    except (msgspec.ValidationError, InvalidIdentifier, _Missing):
        return answers.invalid(child, FaultCode.SCHEMA)


def _told(child: ChildRef, record: Child, agency: Agency, mask: FieldMask, today: date) -> Answered:
    refusal = _refusal(record.sharing)
    current = next((name for name in record.names if name.use == "CURRENT"), None)
    given = current.given_names if current else ()
    told: dict[type, Mapping[str, object]] = {
        ChildIdentity: {
            "given_names": given or None,
            "family_name": current.family_name if current else None,
            "date_of_birth": record.date_of_birth,
        },
        ChildrensServicesRecord: {
            "statuses": _statuses(record, agency, mask, today),
            "plans": _plans(record, agency, mask, today),
        },
        Assessments: {"assessments": _assessments(record, agency, mask, today)},
    }
    rows = _selected(record.involvements, mask.any(answers.INVOLVEMENTS, answers.PREVIOUS)) or ()
    return Answered(
        child,
        involvements=tuple(_involvement(row, refusal) for row in rows if answers.opened(mask, STATUS[row.status])),
        # a record that is refused as a whole proves nothing and leads to nobody: only its rows are left, to be counted
        trace=None
        if refusal
        else IdentityClaim(
            record.date_of_birth, tuple(dict.fromkeys(name.family_name for name in record.names)), given
        ),
        shielded=record.shielded,
        linked_adults=() if refusal else tuple(_linked(record.linked_adults)),
        sections={} if refusal else answers.narrow(told, mask),
        as_of=None,
    )


def _selected(value: T | UnsetType, asked: bool) -> T | None:
    """Return the value of a field that was asked for, None if it was not. Raises _Missing if it should be there."""
    if not asked:
        return None
    if isinstance(value, UnsetType):
        raise _Missing
    return value


def _refusal(sharing: Sharing | None) -> RefusalReason | None:
    if sharing is None or sharing.decision == SHARE:
        return None
    # a decision in another word than the one to share is one not to
    return refusal_of(sharing.reason)


def _involvement(row: CaseInvolvement, refused: RefusalReason | None) -> Involvement:
    return Involvement(
        local_id=row.id,
        practitioner=None if row.worker is None else _practitioner(row.worker),
        role=None if row.worker is None else row.worker.role,
        team=Team(row.team.name, row.team.phone, row.team.email, row.team.duty_phone),
        service=None,  # the kind of case is a statutory status by another name, which has a scope of its own
        contact_mode=ContactMode.TEAM_ONLY if row.worker is None else ContactMode.DIRECT,
        expected_response=None,
        status=STATUS[row.status],
        started_on=row.started_on,
        ended_on=row.ended_on,
        lead=row.is_lead,
        relationship=InvolvementRelationship.CHILD,
        last_confirmed_at=row.last_confirmed_at,
        sensitivity=Sensitivity.STANDARD if row.kind in ORDINARY_KINDS else Sensitivity.UNKNOWN,
        basis=None,
        basis_until=None,
        refusal=refused or _refusal(row.sharing),
        identity=None,  # the trace speaks for every row
    )


def _practitioner(worker: Worker) -> Practitioner:
    number = worker.social_work_england_no
    registration = None if number is None else Registration(SOCIAL_WORK_ENGLAND, number)
    return Practitioner(worker.display_name, worker.role, registration, worker.phone, worker.email)


def _linked(adults: Iterable[AssertedAdult]) -> Iterable[LinkedAdult]:
    for adult in adults:
        # one ask for one adult: a source that knows both identifiers answers to either
        if adult.crn is not None:
            yield LinkedAdult(AdultRef(CRN(adult.crn)), adult.relationship)
        elif adult.prison_number is not None:
            yield LinkedAdult(AdultRef(PrisonNumber(adult.prison_number)), adult.relationship)


def _statuses(record: Child, agency: Agency, mask: FieldMask, today: date) -> tuple[StatutoryStatus, ...] | None:
    statuses = _selected(record.statutory, documents.STATUSES in mask) or ()
    return (
        tuple(
            StatutoryStatus(agency, held.status, held.since, held.until)
            for held in statuses
            if held.status != "NONE" and _lasts(held.until, today)
        )
        or None
    )


def _lasts(until: date | None, today: date) -> bool:
    return until is None or until >= today


def _plans(record: Child, agency: Agency, mask: FieldMask, today: date) -> tuple[CarePlan, ...] | None:
    plans = _selected(record.plans, documents.PLANS in mask) or ()
    return (
        tuple(
            CarePlan(
                agency,
                plan.kind,
                plan.started_on,
                plan.review_due_on,
                plan.ended_on,
                plan.conference_on,
                plan.core_group_on,
            )
            for plan in plans
            if _lasts(plan.ended_on, today)
        )
        or None
    )


def _assessments(record: Child, agency: Agency, mask: FieldMask, today: date) -> tuple[AssessmentPointer, ...] | None:
    held = _selected(record.assessments, documents.ASSESSMENTS in mask) or ()
    return (
        tuple(
            AssessmentPointer(agency, one.kind, one.holder_team.name, one.completed_on)
            for one in held
            if one.consent is not None and one.consent.holds_on(today)
        )
        or None
    )
