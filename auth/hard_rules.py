"""Rules that no grant can open: the law, or a decision of this project, stands over every agreement.

Each is judged for a grant before it counts, so that the access matrix, an explanation and a lookup read the same.
What the law reaches stands in `auth.purposes`.
"""

from __future__ import annotations

from enum import StrEnum

from auth.purposes import EVERYBODY, GATEWAYS, SOCIAL_OR_HEALTH_CARE, LegalGateway, Processing, regime_of
from schema.vocabulary import AgencyKind, Purpose, Regime, Relationship


class HardRule(StrEnum):
    """Why a grant does not count, whatever it says."""

    SERIOUS_VIOLENCE = "SERIOUS_VIOLENCE"
    """The Serious Violence Duty opens no health or social-care personal data (PCSC Act 2022 s.16)."""

    OFFENDER_MANAGEMENT = "OFFENDER_MANAGEMENT"
    """The NHS is not among those with whom the Offender Management Act 2007 s.14 lets probation share."""

    MAPPA_INVITATION = "MAPPA_INVITATION"
    """Neither a responsible authority nor under the duty to co-operate: only with an invitation to the case."""

    REGIME = "REGIME"
    """The lawful basis names a regime under which one side cannot process for this purpose (DPA 2018 Part 3)."""

    IMMIGRATION = "IMMIGRATION"
    """Immigration is denied unless a named agreement with a recorded impact assessment names the organisation."""

    NOT_A_POWER = "NOT_A_POWER"
    """The provision is a duty or a framework, and lets nobody disclose anything (Children Act 2004 ss.10 and 11)."""

    CUSTODIAN_NOT_REACHED = "CUSTODIAN_NOT_REACHED"
    """The legal gateway does not reach records of this kind of custodian."""

    RECIPIENT_NOT_REACHED = "RECIPIENT_NOT_REACHED"
    """The legal gateway does not reach this kind of organisation, or not from this custodian."""

    APPOINTMENT = "APPOINTMENT"
    """The purpose reaches somebody for one child alone: only a grant for APPOINTED counts."""

    DESIGNATION = "DESIGNATION"
    """Such an organisation is reached as a designated or contracted one: the grant has to name it."""

    MOST = "MOST"
    """The purpose never opens this path."""


def broken_by(
    *,
    purpose: Purpose,
    regimes: tuple[Regime, Regime] | None,
    custodian: AgencyKind | None,
    organisation: AgencyKind,
    relationship: Relationship,
    named: bool,
    impact_assessment: str | None,
    path: str | None = None,
) -> HardRule | None:
    """Return the hard rule that a grant would break, or None.

    `regimes` are those of the purpose's lawful basis, custodian's and recipient's. `custodian` is None where only a
    connector's id is known: then nothing counts that some kind of custodian would close. `named` says that the grant
    lists the organisation by its id. Without `path` the rules about single paths are left out.
    """
    gateway = GATEWAYS[purpose]
    if organisation is AgencyKind.IMMIGRATION and not (named and impact_assessment):
        return HardRule.IMMIGRATION
    if not gateway.is_a_power:
        return HardRule.NOT_A_POWER
    if out_of_reach := _out_of_reach(purpose, gateway, custodian, organisation):
        return out_of_reach
    if regimes is not None and not _regimes_fit(purpose, regimes, custodian, organisation):
        return HardRule.REGIME
    if organisation in gateway.appointed and relationship is not Relationship.APPOINTED:
        return HardRule.MAPPA_INVITATION if purpose is Purpose.MAPPA_S325 else HardRule.APPOINTMENT
    if organisation in gateway.named and not named:
        return HardRule.DESIGNATION
    if path is not None and path not in gateway.most:
        return HardRule.SERIOUS_VIOLENCE if purpose is Purpose.SERIOUS_VIOLENCE_S16 else HardRule.MOST
    return None


def _out_of_reach(
    purpose: Purpose, gateway: LegalGateway, custodian: AgencyKind | None, organisation: AgencyKind
) -> HardRule | None:
    if purpose is Purpose.SERIOUS_VIOLENCE_S16 and (custodian is None or custodian in SOCIAL_OR_HEALTH_CARE):
        return HardRule.SERIOUS_VIOLENCE
    if purpose is Purpose.OMA_S14 and AgencyKind.HEALTH in {custodian, organisation}:
        return HardRule.OFFENDER_MANAGEMENT
    if custodian not in gateway.custodians and not (custodian is None and gateway.custodians == EVERYBODY):
        return HardRule.CUSTODIAN_NOT_REACHED
    if organisation not in gateway.recipients or not gateway.one_of & {custodian, organisation}:
        return HardRule.RECIPIENT_NOT_REACHED
    return None


def _regimes_fit(
    purpose: Purpose, regimes: tuple[Regime, Regime], custodian: AgencyKind | None, organisation: AgencyKind
) -> bool:
    """The file says under what a side is that is no competent authority; Part 3 is not for everybody to claim."""
    if GATEWAYS[purpose].processing is Processing.LAW_ENFORCEMENT:
        return set(regimes) == {Regime.DPA_PART_3}
    sides = zip(regimes, (custodian, organisation), strict=True)
    return all(said is Regime.UK_GDPR or regime_of(purpose, side) is Regime.DPA_PART_3 for said, side in sides)
