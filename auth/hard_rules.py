"""Rules that no grant can open: the law, or a decision of this project, stands over every agreement.

Each is judged for a grant before it counts, so that the access matrix, an explanation and a lookup read the same.
"""

from __future__ import annotations

from enum import StrEnum

from schema.vocabulary import AgencyKind, Purpose, Regime, Relationship

_HEALTH_AND_CARE = frozenset({AgencyKind.HEALTH, AgencyKind.CHILDRENS_SERVICES, AgencyKind.ADULT_SOCIAL_CARE})
_RESPONSIBLE_AUTHORITIES = frozenset({AgencyKind.POLICE, AgencyKind.PROBATION, AgencyKind.PRISON})
_DUTY_TO_COOPERATE = frozenset(
    {
        AgencyKind.CHILDRENS_SERVICES,
        AgencyKind.ADULT_SOCIAL_CARE,
        AgencyKind.HEALTH,
        AgencyKind.YOUTH_JUSTICE,
        AgencyKind.HOUSING,
    }
)
_PART_3_ONLY = frozenset({Purpose.MAPPA_S325, Purpose.OMA_S14})


class HardRule(StrEnum):
    """Why a grant does not count, whatever it says."""

    SERIOUS_VIOLENCE = "SERIOUS_VIOLENCE"
    """The Serious Violence Duty opens no health or social-care personal data (PCSC Act 2022 s.16)."""

    OFFENDER_MANAGEMENT = "OFFENDER_MANAGEMENT"
    """The NHS is not among those with whom the Offender Management Act 2007 s.14 lets probation share."""

    MAPPA_INVITATION = "MAPPA_INVITATION"
    """Neither a responsible authority nor under the duty to co-operate: only with an invitation to the case."""

    REGIME = "REGIME"
    """Sharing under MAPPA and s.14 is law-enforcement processing (DPA 2018 Part 3) on both sides."""

    IMMIGRATION = "IMMIGRATION"
    """Immigration is denied unless a named agreement with a recorded impact assessment names the organisation."""


def broken_by(
    *,
    purpose: Purpose,
    regimes: tuple[Regime, Regime] | None,
    custodian: AgencyKind | None,
    organisation: AgencyKind,
    relationship: Relationship,
    named: bool,
    impact_assessment: str | None,
) -> HardRule | None:
    """Return the hard rule that a grant would break, or None.

    `regimes` are those of the purpose's lawful basis, custodian's and recipient's; `custodian` is None where only a
    connector's id is known. `named` says that the grant lists the organisation by its id.
    """
    if purpose is Purpose.SERIOUS_VIOLENCE_S16 and custodian in _HEALTH_AND_CARE:
        return HardRule.SERIOUS_VIOLENCE
    if purpose is Purpose.OMA_S14 and AgencyKind.HEALTH in {custodian, organisation}:
        return HardRule.OFFENDER_MANAGEMENT
    if purpose in _PART_3_ONLY and regimes is not None and set(regimes) != {Regime.DPA_PART_3}:
        return HardRule.REGIME
    associate = organisation not in _RESPONSIBLE_AUTHORITIES | _DUTY_TO_COOPERATE
    if purpose is Purpose.MAPPA_S325 and associate and relationship is not Relationship.APPOINTED:
        return HardRule.MAPPA_INVITATION
    if organisation is AgencyKind.IMMIGRATION and not (named and impact_assessment):
        return HardRule.IMMIGRATION
    return None
