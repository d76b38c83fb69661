"""What probation tells beyond who is involved: that there is supervision, dynamic risk registrations, MAPPA."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors import answers
from connectors.base import FieldMask
from connectors.probation.mapping import Officers
from connectors.probation.messages import DynamicRisk, MappaDetail, Persons, day, shown
from schema.records import Agency
from schema.sections import MappaStatus, ProbationRecord, RiskRegistration, Supervision

SUPERVISION = "probation.supervision"
RISK = "probation.risk"
MAPPA = "probation.mappa"
HOLDS = frozenset({answers.INVOLVEMENTS, answers.PREVIOUS}) | answers.paths(ProbationRecord)

# Criminal Justice Act 2003 s.325 and the MAPPA guidance: three levels, four categories; another number is a filler.
_LEVELS = range(1, 4)
_CATEGORIES = range(1, 5)


def sections(
    persons: Persons,
    officers: Officers,
    risks: Iterable[DynamicRisk],
    mappa: MappaDetail | None,
    mask: FieldMask,
    agency: Agency,
) -> Mapping[type, object]:
    """Return the section, with what the mask opens and of which there is anything to tell."""
    probation = persons.probation_offender_search
    supervision = []
    if probation is not None and probation.under_active_supervision:
        supervision.append(Supervision(agency, "COMMUNITY", None))
    if officers.prison is not None:
        supervision.append(Supervision(agency, "CUSTODY", None))
    told = {
        "supervision": tuple(supervision) or None,
        "risk": tuple(_registrations(risks, agency)) or None,
        "mappa": _mappa(mappa, agency),
    }
    return answers.narrow({ProbationRecord: told}, mask)


def _registrations(risks: Iterable[DynamicRisk], agency: Agency) -> Iterable[RiskRegistration]:
    for risk in risks:
        code = shown(risk.code)
        if code is not None:
            yield RiskRegistration(agency, code, shown(risk.description) or code, day(risk.start_date))


def _mappa(detail: MappaDetail | None, agency: Agency) -> tuple[MappaStatus, ...] | None:
    if detail is None:
        return None
    level = detail.level if detail.level in _LEVELS else None
    category = detail.category if detail.category in _CATEGORIES else None
    return (MappaStatus(agency, level, category),) if level or category else None
