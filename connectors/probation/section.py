"""What probation tells beyond who is involved: supervision, risk registrations, risk to children, MAPPA."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from connectors import answers
from connectors.base import FieldMask
from connectors.faults import FaultCode, SourceFailed
from connectors.probation.mapping import Officers, involvements
from connectors.probation.messages import DynamicRisk, MappaDetail, Persons, SeriousHarm, day, shown
from schema.records import Agency
from schema.sections import HarmLevel, MappaStatus, ProbationRecord, RiskRegistration, RiskToChildren, Supervision

SUPERVISION = "probation.supervision"
RISK = "probation.risk"
RISK_TO_CHILDREN = "probation.riskToChildren"
MAPPA = "probation.mappa"
HOLDS = frozenset({answers.INVOLVEMENTS, answers.PREVIOUS}) | answers.paths(ProbationRecord)

# Criminal Justice Act 2003 s.325 and the MAPPA guidance: three levels, four categories; another number is a filler.
_LEVELS = range(1, 4)
_CATEGORIES = range(1, 5)
_HARM = get_args(HarmLevel)


def sections(
    persons: Persons,
    officers: Officers,
    risks: Iterable[DynamicRisk],
    harm: SeriousHarm | None,
    mappa: MappaDetail | None,
    mask: FieldMask,
    agency: Agency,
) -> Mapping[type, object]:
    """Return the section, with what the mask opens and of which there is anything to tell. Raises SourceFailed."""
    told = {
        "supervision": tuple(_supervision(persons, officers, agency)) or None,
        "risk": tuple(_registrations(risks, agency)) or None,
        "risk_to_children": _risk_to_children(harm, agency),
        "mappa": _mappa(mappa, agency),
    }
    return answers.narrow({ProbationRecord: told}, mask)


def _supervision(persons: Persons, officers: Officers, agency: Agency) -> Iterable[Supervision]:
    """Yield each kind of supervision there is; the API publishes no day on which it began or ends."""
    named = {row.local_id: row.practitioner is not None for row in involvements(persons, officers, refusal=None)}
    probation = persons.probation_offender_search
    if probation is not None and probation.under_active_supervision:
        yield Supervision(agency, "COMMUNITY", None, allocated=named.get("community", False))
    if officers.prison is not None:
        establishment = shown(officers.prison.prison.code) if officers.prison.prison else None
        yield Supervision(agency, "CUSTODY", None, allocated=named.get("prison", False), establishment=establishment)


def _registrations(risks: Iterable[DynamicRisk], agency: Agency) -> Iterable[RiskRegistration]:
    for risk in risks:
        code = shown(risk.code)
        if code is not None:
            description = shown(risk.description) or code
            yield RiskRegistration(agency, code, description, day(risk.start_date), day(risk.review_date))


def _risk_to_children(harm: SeriousHarm | None, agency: Agency) -> tuple[RiskToChildren, ...] | None:
    """Return the level alone: of this answer's free text nothing was parsed."""
    summary = harm.summary if harm else None
    level = shown(summary.risk_in_community.children) if summary and summary.risk_in_community else None
    if harm is None or level is None:
        return None
    if level not in _HARM:
        # a level that is not understood is not the same as none
        raise SourceFailed(FaultCode.SCHEMA)
    return (RiskToChildren(agency, level, day(harm.assessed_on)),)


def _mappa(detail: MappaDetail | None, agency: Agency) -> tuple[MappaStatus, ...] | None:
    if detail is None:
        return None
    level = detail.level if detail.level in _LEVELS else None
    category = detail.category if detail.category in _CATEGORIES else None
    if not level and not category:
        return None
    return (MappaStatus(agency, level, category, day(detail.start_date), day(detail.review_date)),)
