"""What is kept out of a report that goes to somebody whom it is about, and by which exemption.

A report of who looked at a child's record can tip off a person who is a danger to the child: that the police looked is
told by the look-up itself. So what shows an enquiry stays out unless an approver lets it out, and the copy that leaves
says neither that nor how much: it neither confirms nor denies.

The exemptions are named as this project reads the Data Protection Act 2018; the approver decides, not this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from gateway.audit.index_tables import Flag
from schema.vocabulary import AgencyKind, Purpose

_DAY_MS: Final = 86_400_000


class Exemption(StrEnum):
    """Why something is kept out."""

    CRIME = "CRIME"
    CHILD_ABUSE = "CHILD_ABUSE"
    SERIOUS_HARM = "SERIOUS_HARM"
    COURTS = "COURTS"
    IMMIGRATION = "IMMIGRATION"
    OTHERS = "OTHERS"
    DECIDED = "DECIDED"


READING: Final[Mapping[Exemption, str]] = MappingProxyType(
    {
        Exemption.CRIME: "DPA 2018 Sch 2 para 2 (crime); ss 44(4) and 45(4) for a competent authority",
        Exemption.CHILD_ABUSE: "DPA 2018 Sch 3 para 21 (child abuse data)",
        Exemption.SERIOUS_HARM: "DPA 2018 Sch 3 paras 5, 11 and 19 (serious harm)",
        Exemption.COURTS: "DPA 2018 Sch 2 paras 5(3) and 14 (legal proceedings, courts)",
        Exemption.IMMIGRATION: "DPA 2018 Sch 2 para 4 (immigration)",
        Exemption.OTHERS: "DPA 2018 Sch 2 para 16 (rights of others)",
        Exemption.DECIDED: "the approver's own decision",
    }
)
"""Our reading of the law, for the approver's copy."""

BY_PURPOSE: Final[Mapping[Purpose, Exemption | None]] = MappingProxyType(
    {
        Purpose.CP_S47: Exemption.CHILD_ABUSE,
        Purpose.CIN_S17: None,
        Purpose.SAFEGUARD_S16LA: None,
        Purpose.COOP_S10: None,
        Purpose.S11_FUNCTION: None,
        Purpose.CHILD_DEATH_REVIEW: Exemption.CHILD_ABUSE,
        Purpose.MAPPA_S325: Exemption.CRIME,
        Purpose.OMA_S14: Exemption.CRIME,
        Purpose.CDA_S115: Exemption.CRIME,
        Purpose.SERIOUS_VIOLENCE_S16: Exemption.CRIME,
        Purpose.UKVI_S55: Exemption.IMMIGRATION,
        Purpose.HOMELESSNESS_S213B: None,
        Purpose.CAFCASS_S42: None,
        Purpose.COURT_ORDER: Exemption.COURTS,
        Purpose.PREVENT_CHANNEL: Exemption.CRIME,
        Purpose.VITAL_INTERESTS: Exemption.CHILD_ABUSE,
        Purpose.PUBLIC_TASK_REQUEST: None,
        Purpose.CONSENT: Exemption.OTHERS,  # what a young person told a service in confidence
        Purpose.SYSTEM_TEST: None,
    }
)
"""What the purpose alone keeps out; every purpose is decided."""

COMPETENT_AUTHORITIES: Final = frozenset(
    {
        AgencyKind.POLICE,
        AgencyKind.TRANSPORT_POLICE,
        AgencyKind.PROBATION,
        AgencyKind.PRISON,
        AgencyKind.SECURE_ESTATE,
        AgencyKind.YOUTH_JUSTICE,
    }
)
"""Kinds whose interest alone shows an investigation, an offender or a victim."""

_SHOWS_AN_ENQUIRY: Final = frozenset({Exemption.CRIME, Exemption.CHILD_ABUSE})


@dataclass(frozen=True, slots=True)
class Look:
    """One look-up of a child, or an attempt, as a report judges it. What is unknown is None, and is kept out."""

    receipt: str
    at_ms: int
    subject: str
    organisation: str
    organisation_kind: AgencyKind | None
    purpose: Purpose | None
    flags: Flag


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What of a child decides over each of the look-ups. `live_since` is when an enquiry that counts as live began."""

    live_since: int | None
    shielded: bool


class Rule(Protocol):
    """Keeps a look-up out of a report, or does not."""

    def keeps_out(self, look: Look, around: Circumstances) -> Exemption | None:
        """Return the exemption, or None."""
        ...


class OfACompetentAuthority:
    """The police, probation and their like; and an organisation of which nobody knows what it is."""

    def keeps_out(self, look: Look, around: Circumstances) -> Exemption | None:
        """Return CRIME, whatever the purpose."""
        if look.organisation_kind is None or look.organisation_kind in COMPETENT_AUTHORITIES:
            return Exemption.CRIME
        return Exemption.IMMIGRATION if look.organisation_kind is AgencyKind.IMMIGRATION else None


class ByPurpose:
    """What the purpose says."""

    def keeps_out(self, look: Look, around: Circumstances) -> Exemption | None:
        """Return what `BY_PURPOSE` decides; CHILD_ABUSE for a purpose that is not known."""
        return Exemption.CHILD_ABUSE if look.purpose is None else BY_PURPOSE[look.purpose]


class ByBreakGlass:
    """Somebody feared for the child at once."""

    def keeps_out(self, look: Look, around: Circumstances) -> Exemption | None:
        """Return CHILD_ABUSE."""
        return Exemption.CHILD_ABUSE if Flag.OVERRIDE in look.flags else None


class BySilentRead:
    """An agreement asked that not even those who work with the child be told."""

    def keeps_out(self, look: Look, around: Circumstances) -> Exemption | None:
        """Return SERIOUS_HARM."""
        return Exemption.SERIOUS_HARM if Flag.SILENT in look.flags else None


class OfAShieldedChild:
    """Where a look-up came from tells where the child is."""

    def keeps_out(self, look: Look, around: Circumstances) -> Exemption | None:
        """Return SERIOUS_HARM for every look-up of a child whom a source shields today, or may."""
        return Exemption.SERIOUS_HARM if around.shielded else None


class WhileAnEnquiryIsLive:
    """From its beginning on, the ordinary look-ups around an enquiry show it as well as its own."""

    def keeps_out(self, look: Look, around: Circumstances) -> Exemption | None:
        """Return CHILD_ABUSE for whatever came after the enquiry began."""
        live = around.live_since is not None and look.at_ms >= around.live_since
        return Exemption.CHILD_ABUSE if live else None


RULES: Final[Sequence[Rule]] = (
    OfACompetentAuthority(),
    ByPurpose(),
    ByBreakGlass(),
    BySilentRead(),
    OfAShieldedChild(),
    WhileAnEnquiryIsLive(),
)
"""The first that keeps a look-up out names its exemption; one is enough."""


def kept_out(look: Look, around: Circumstances) -> Exemption | None:
    """Return why a look-up stays out of the report, or None if it may leave."""
    return next((found for rule in RULES if (found := rule.keeps_out(look, around)) is not None), None)


def live_since(looks: Iterable[Look], now_ms: int, days: int) -> int | None:
    """Return when the enquiry began that counts as live: look-ups that show one, each within `days` of the next.

    None if the last of them is longer ago. The gateway is not told when an enquiry ends, so it waits.
    """
    shows = sorted(look.at_ms for look in looks if _shows_an_enquiry(look))
    since = None
    until = now_ms
    for at_ms in reversed(shows):
        if until - at_ms > days * _DAY_MS:
            break
        since = until = at_ms
    return since


def _shows_an_enquiry(look: Look) -> bool:
    alone = Circumstances(live_since=None, shielded=False)
    return any(rule.keeps_out(look, alone) in _SHOWS_AN_ENQUIRY for rule in RULES)
