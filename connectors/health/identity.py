"""Who a resource is about: the trace of a Patient, and the subject of every other resource."""

from __future__ import annotations

from datetime import date

from connectors.faults import FaultCode, SourceFailed
from connectors.health.resources import (
    NHS_NUMBER,
    HumanName,
    OperationOutcome,
    Patient,
    Reference,
    read,
    whole_date,
)
from connectors.health.searchset import Pool
from schema.identifiers import InvalidIdentifier, NHSNumber
from schema.records import IdentityClaim

NO_SUCH_PATIENT = frozenset({"RESOURCE_NOT_FOUND", "INVALIDATED_RESOURCE"})

_UNRESTRICTED = frozenset({"U", "L", "M", "N"})  # v3-Confidentiality below R
_PAST = frozenset({"old", "maiden"})


def no_such_patient(body: object) -> bool:
    """Return whether the body of a 404 is the typed way to say that there is no such patient. Raises SourceFailed."""
    outcome = read(body, OperationOutcome)
    codes = {coding.code for issue in outcome.issue if issue.details for coding in issue.details.coding}
    return not codes.isdisjoint(NO_SUCH_PATIENT)


def number_of(patient: Patient) -> NHSNumber:
    """Return the patient's NHS number. Raises SourceFailed if it has none, or two that disagree."""
    stated = {identifier.value for identifier in patient.identifier if identifier.system == NHS_NUMBER}
    if len(stated) > 1:
        raise SourceFailed(FaultCode.MISMATCH)
    # PDS: the id of a Patient is the NHS number
    try:
        number = NHSNumber(patient.id)
        if stated and NHSNumber(str(stated.pop())) != number:
            raise SourceFailed(FaultCode.MISMATCH)
    except InvalidIdentifier:
        raise SourceFailed(FaultCode.SCHEMA) from None
    return number


def must_be_about(subject: Reference | None, number: NHSNumber, pool: Pool) -> None:
    """Raise SourceFailed with MISMATCH unless the reference says, in one way at least, that it is this child.

    Every way in which it says so must agree: the logical identifier, the literal reference, the Patient sent along.
    """
    said: set[str] = set()
    identifier = subject.identifier if subject else None
    if identifier is not None and identifier.system == NHS_NUMBER and identifier.value is not None:
        said.add(identifier.value)
    key = pool.key(subject)
    patient = pool.find(subject, Patient)
    if patient is not None:
        numbers = {found.value for found in patient.identifier if found.system == NHS_NUMBER and found.value}
        said |= numbers or {patient.id}
    elif key is not None and _is_nhs_number(key.removeprefix("Patient/")):
        said.add(key.removeprefix("Patient/"))
    if said != {str(number)}:
        raise SourceFailed(FaultCode.MISMATCH)


def _is_nhs_number(text: str) -> bool:
    try:
        NHSNumber(text)
    except InvalidIdentifier:
        return False
    return True


def shield(patient: Patient) -> bool | None:
    """Return whether the record is restricted; None if it carries no label at all.

    Read by code alone: the published examples carry it under two systems. A label that is not known counts as a shield.
    """
    codes = {label.code for label in patient.meta.security}
    return not codes <= _UNRESTRICTED if codes else None


def trace(patient: Patient) -> IdentityClaim | None:
    """Return date of birth, and current, former and alias names; None if the record cannot prove who this is.

    Source: PDS, HumanName.use (usual, temp, nickname, old, maiden); a birthDate may be only a year or a month.
    """
    born = whole_date(patient.birth_date)
    current = current_name(patient)
    names = sorted(patient.name, key=lambda name: name is not current)  # stable: the current one first
    families = tuple(dict.fromkeys(name.family for name in names if name.family))
    givens = tuple(dict.fromkeys(given for name in names for given in name.given))
    return IdentityClaim(born, families, givens) if born and families else None


def current_name(patient: Patient) -> HumanName | None:
    """Return the name in use: the usual one, else the official one, else any that is not a past one."""
    for use in ("usual", "official"):
        for name in patient.name:
            if name.use == use:
                return name
    return next((name for name in patient.name if name.use not in _PAST), None)


def registered_with(patient: Patient, today: date) -> tuple[tuple[str, date | None, str | None], ...]:
    """Return code, first day and published name of each practice where the patient is registered now.

    None of a restricted patient, as PDS has it: a practice says where the child lives.
    """
    if shield(patient):
        return ()
    found = []
    for practice in patient.general_practitioner:
        identifier = practice.identifier
        if identifier is None or identifier.value is None:
            continue
        ended = whole_date(identifier.period.end) if identifier.period else None
        if ended is None or ended >= today:
            since = whole_date(identifier.period.start) if identifier.period else None
            found.append((identifier.value, since, practice.display))
    return tuple(found)
