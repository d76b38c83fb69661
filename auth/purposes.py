"""What each purpose's legal gateway reaches: from which custodians, to which recipients, under which regime.

One row for each purpose, read from the Acts that it names. No agreement opens what a row does not reach: an agreement
says what its parties share within the law, and this table says what the law is taken to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from auth.paths import INVOLVEMENTS, PRACTITIONER, PREVIOUS, SCOPES, SENSITIVE
from schema.vocabulary import AgencyKind, Purpose, Regime

Kinds = frozenset[AgencyKind]

_K = AgencyKind
EVERYBODY: Kinds = frozenset(AgencyKind)
_POLICE: Kinds = frozenset({_K.POLICE, _K.TRANSPORT_POLICE})
_AUTHORITY: Kinds = frozenset({_K.CHILDRENS_SERVICES, _K.ADULT_SOCIAL_CARE})
_HOUSING: Kinds = frozenset({_K.HOUSING, _K.DISTRICT_COUNCIL})
_EDUCATION: Kinds = frozenset({_K.SCHOOL, _K.EARLY_YEARS})
_CUSTODY: Kinds = frozenset({_K.PRISON, _K.SECURE_ESTATE})
_SOCIAL_OR_HEALTH_CARE: Kinds = _AUTHORITY | {_K.HEALTH}
_PRIVATE: Kinds = frozenset({_K.VOLUNTARY_SECTOR, _K.CHILDRENS_HOME, _K.EARLY_YEARS, _K.OTHER})

COMPETENT_AUTHORITIES: Kinds = _POLICE | _CUSTODY | {_K.PROBATION, _K.YOUTH_JUSTICE, _K.IMMIGRATION}
"""Who may process for law enforcement (DPA 2018 s.30 and Schedule 7)."""

_RESPONSIBLE: Kinds = frozenset({_K.POLICE, _K.PROBATION, _K.PRISON})  # Criminal Justice Act 2003 s.325(1)
_COOPERATING: Kinds = _AUTHORITY | _HOUSING | {_K.HEALTH, _K.YOUTH_JUSTICE}  # s.325(6)
_ASSOCIATES: Kinds = _EDUCATION | {_K.CAFCASS, _K.VOLUNTARY_SECTOR, _K.CHILDRENS_HOME, _K.SECURE_ESTATE}
_SECTION_11: Kinds = (  # Children Act 2004 s.11(1); schools and early years as designated, homes as contractors
    _AUTHORITY | _HOUSING | _POLICE | _CUSTODY | _EDUCATION | {_K.PROBATION, _K.YOUTH_JUSTICE, _K.HEALTH}
) | {_K.CHILDRENS_HOME, _K.VOLUNTARY_SECTOR}
_PANEL: Kinds = (  # Counter-Terrorism and Security Act 2015 Schedule 7
    _AUTHORITY | _HOUSING | _CUSTODY | _EDUCATION | {_K.POLICE, _K.PROBATION, _K.YOUTH_JUSTICE, _K.HEALTH}
)
_LISTED_IN_S14: Kinds = _AUTHORITY | _HOUSING | {_K.POLICE, _K.PROBATION, _K.PRISON, _K.YOUTH_JUSTICE}

_DEFAULT_ANSWER = frozenset({INVOLVEMENTS, PRACTITIONER})
_NOT_CARE = frozenset(p for p in SCOPES if p.split(".")[0] in {"involvements", "police", "probation"}) - {SENSITIVE}


class Processing(Enum):
    """Under which regime each side of a disclosure processes."""

    GENERAL = auto()
    """UK GDPR on both sides."""

    BY_SIDE = auto()
    """DPA 2018 Part 3 on the side of a competent authority, UK GDPR on the other."""

    LAW_ENFORCEMENT = auto()
    """DPA 2018 Part 3 on both sides, or not at all."""


@dataclass(frozen=True, slots=True)
class LegalGateway:
    """What the legal gateway of one purpose reaches."""

    source: str
    custodians: Kinds
    recipients: Kinds
    processing: Processing
    one_of: Kinds = EVERYBODY  # at least one end is one of these
    appointed: Kinds = frozenset()  # recipients that are reached for one child alone, by appointment or invitation
    named: Kinds = frozenset()  # recipients that a grant has to list by id: contracted, or designated
    most: frozenset[str] = frozenset(SCOPES)  # the most that it ever opens

    @property
    def is_a_power(self) -> bool:
        """Whether it lets anybody disclose anything."""
        return bool(self.custodians and self.recipients)


_NOBODY: Kinds = frozenset()
_BESIDES_IMMIGRATION: Kinds = EVERYBODY - {_K.IMMIGRATION}
_PROTECTING: Kinds = _POLICE | {_K.CHILDRENS_SERVICES, _K.HEALTH}
_VIOLENCE_DUTY: Kinds = _EDUCATION | _CUSTODY | {_K.POLICE, _K.PROBATION, _K.YOUTH_JUSTICE, _K.FIRE_AND_RESCUE}

GATEWAYS: Mapping[Purpose, LegalGateway] = MappingProxyType(
    {
        Purpose.CP_S47: LegalGateway("Children Act 1989 s.47", EVERYBODY, _PROTECTING, Processing.GENERAL),
        Purpose.CIN_S17: LegalGateway(
            "Children Act 1989 s.17 and s.27",
            _AUTHORITY | _HOUSING | _EDUCATION | {_K.HEALTH, _K.YOUTH_JUSTICE, _K.CHILDRENS_HOME},
            _AUTHORITY | _HOUSING | _EDUCATION | {_K.HEALTH, _K.YOUTH_JUSTICE, _K.CHILDRENS_HOME},
            Processing.GENERAL,
            # s.27 obliges authorities to help each other; without an authority at one end there is no such request
            one_of=_AUTHORITY,
        ),
        Purpose.SAFEGUARD_S16LA: LegalGateway(
            "Children Act 2004 s.16LA",
            _SECTION_11,
            _SECTION_11,
            Processing.BY_SIDE,
            named=frozenset({_K.VOLUNTARY_SECTOR}),
        ),
        # A framework for arrangements, and a duty on each body's own functions: neither lets anybody disclose.
        Purpose.COOP_S10: LegalGateway("Children Act 2004 s.10", _NOBODY, _NOBODY, Processing.GENERAL),
        Purpose.S11_FUNCTION: LegalGateway("Children Act 2004 s.11", _NOBODY, _NOBODY, Processing.BY_SIDE),
        Purpose.CHILD_DEATH_REVIEW: LegalGateway(
            "Children Act 2004 ss.16H and 16N",
            _BESIDES_IMMIGRATION,
            frozenset({_K.CHILDRENS_SERVICES, _K.HEALTH, _K.POLICE}),
            Processing.GENERAL,
        ),
        Purpose.MAPPA_S325: LegalGateway(
            "Criminal Justice Act 2003 s.325",
            _RESPONSIBLE | _COOPERATING,
            _RESPONSIBLE | _COOPERATING | _ASSOCIATES,
            Processing.LAW_ENFORCEMENT,
            appointed=_ASSOCIATES,
        ),
        Purpose.OMA_S14: LegalGateway(
            "Offender Management Act 2007 s.14",
            _LISTED_IN_S14,
            _LISTED_IN_S14,
            Processing.LAW_ENFORCEMENT,
            one_of=frozenset({_K.PROBATION, _K.PRISON}),
        ),
        Purpose.CDA_S115: LegalGateway(
            "Crime and Disorder Act 1998 s.115",
            _BESIDES_IMMIGRATION,
            _AUTHORITY | {_K.POLICE, _K.DISTRICT_COUNCIL, _K.PROBATION, _K.HEALTH},
            Processing.BY_SIDE,
        ),
        Purpose.SERIOUS_VIOLENCE_S16: LegalGateway(
            "Police, Crime, Sentencing and Courts Act 2022 s.16",
            _VIOLENCE_DUTY,
            _VIOLENCE_DUTY | _AUTHORITY | {_K.HEALTH, _K.DISTRICT_COUNCIL},
            Processing.BY_SIDE,
            most=_NOT_CARE,
        ),
        Purpose.UKVI_S55: LegalGateway(
            "Borders, Citizenship and Immigration Act 2009 s.55",
            EVERYBODY,
            frozenset({_K.IMMIGRATION}),
            Processing.BY_SIDE,
        ),
        Purpose.HOMELESSNESS_S213B: LegalGateway(
            "Housing Act 1996 s.213B",
            _AUTHORITY | _CUSTODY | {_K.YOUTH_JUSTICE, _K.PROBATION, _K.HEALTH, _K.ARMED_FORCES},
            _HOUSING,
            Processing.GENERAL,
            # a referral that somebody consented to is no ground to read a record
            most=_DEFAULT_ANSWER,
        ),
        Purpose.CAFCASS_S42: LegalGateway(
            "Children Act 1989 s.42",
            # a local authority or an authorised person (s.31(9): the NSPCC)
            frozenset({_K.CHILDRENS_SERVICES, _K.VOLUNTARY_SECTOR}),
            frozenset({_K.CAFCASS}),
            Processing.GENERAL,
            appointed=EVERYBODY,
        ),
        Purpose.COURT_ORDER: LegalGateway(
            "An order or direction of a court", EVERYBODY, EVERYBODY, Processing.BY_SIDE, appointed=EVERYBODY
        ),
        Purpose.PREVENT_CHANNEL: LegalGateway(
            "Counter-Terrorism and Security Act 2015 ss.36 to 38",
            _PANEL,
            _PANEL,
            Processing.BY_SIDE,
            appointed=EVERYBODY,
            most=_DEFAULT_ANSWER,
        ),
        Purpose.VITAL_INTERESTS: LegalGateway(
            "UK GDPR Article 6(1)(d) and 9(2)(c)", EVERYBODY, EVERYBODY, Processing.GENERAL
        ),
        Purpose.PUBLIC_TASK_REQUEST: LegalGateway(
            "UK GDPR Article 6(1)(ea) and Annex 1 paragraph 1",
            _PRIVATE | {_K.SCHOOL, _K.HOUSING},
            _BESIDES_IMMIGRATION - _PRIVATE,
            Processing.GENERAL,
        ),
        Purpose.CONSENT: LegalGateway(
            "UK GDPR Article 6(1)(a) and 9(2)(a)",
            EVERYBODY,
            _BESIDES_IMMIGRATION,
            Processing.GENERAL,
            most=_DEFAULT_ANSWER | {PREVIOUS, SENSITIVE, "assessments"},
        ),
        Purpose.SYSTEM_TEST: LegalGateway(
            "UK GDPR Article 32(1)(d), numbers of the test range only", EVERYBODY, EVERYBODY, Processing.BY_SIDE
        ),
    }
)
"""Every purpose has a row; one without would open nothing and fail the tests."""


def regime_of(purpose: Purpose, side: AgencyKind | None) -> Regime:
    """Return the regime under which one side of a disclosure processes; an unknown side is no competent authority."""
    processing = GATEWAYS[purpose].processing
    enforces = processing is Processing.BY_SIDE and side in COMPETENT_AUTHORITIES
    return Regime.DPA_PART_3 if enforces or processing is Processing.LAW_ENFORCEMENT else Regime.UK_GDPR


SOCIAL_OR_HEALTH_CARE = _SOCIAL_OR_HEALTH_CARE
"""Whose personal data the Serious Violence Duty never opens."""
