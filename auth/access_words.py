"""How the access model is said to those who answer for it: short marks for purposes, plain words for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from auth.hard_rules import HardRule
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship, Role

PURPOSE_MARKS: Mapping[Purpose, str] = MappingProxyType(
    {
        Purpose.CP_S47: "s47",
        Purpose.CIN_S17: "s17",
        Purpose.SAFEGUARD_S16LA: "s16LA",
        Purpose.COOP_S10: "s10",
        Purpose.S11_FUNCTION: "s11",
        Purpose.CHILD_DEATH_REVIEW: "death review",
        Purpose.MAPPA_S325: "MAPPA",
        Purpose.OMA_S14: "s14",
        Purpose.CDA_S115: "s115",
        Purpose.SERIOUS_VIOLENCE_S16: "violence duty",
        Purpose.UKVI_S55: "s55",
        Purpose.HOMELESSNESS_S213B: "s213B",
        Purpose.CAFCASS_S42: "s42",
        Purpose.COURT_ORDER: "court order",
        Purpose.PREVENT_CHANNEL: "Channel",
        Purpose.VITAL_INTERESTS: "vital",
        Purpose.PUBLIC_TASK_REQUEST: "request",
        Purpose.CONSENT: "consent",
        Purpose.SYSTEM_TEST: "test",
    }
)

RELATIONSHIP_WORDS: Mapping[Relationship, str] = MappingProxyType(
    {
        Relationship.NONE: "whoever they are to the child",
        Relationship.ORGANISATION: "their organisation works with the child",
        Relationship.PRACTITIONER: "they work with the child",
        Relationship.APPOINTED: "they are appointed to the case",
        Relationship.OVERRIDE: "they use break-glass",
    }
)

ASSURANCE_WORDS: Mapping[Assurance, str] = MappingProxyType(
    {Assurance.STANDARD: "ordinary sign-in", Assurance.STRONG: "strong sign-in"}
)

FIELD_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "involvements": "that it is involved",
        "involvements.practitioner": "who the practitioner is",
        "involvements.previous": "ended work",
        "involvements.linkedAdult": "work with a linked adult",
        "involvements.sensitive": "a sensitive service, through its broker",
        "identity.givenNames": "given names",
        "identity.familyName": "family name",
        "identity.dateOfBirth": "date of birth",
        "childrensServices.statuses": "legal status",
        "childrensServices.plans": "that a plan exists",
        "assessments": "that an assessment exists",
        "police.events": "that a police event exists",
        "police.orders": "protection powers and orders",
        "police.notifications": "police notifications",
        "probation.supervision": "supervision of a linked adult",
        "probation.risk": "risk registrations of a linked adult",
        "probation.riskToChildren": "level of risk to children of a linked adult",
        "probation.mappa": "MAPPA level of a linked adult",
        "health.registration": "where the child is registered",
        "health.safeguarding": "safeguarding flags",
    }
)

HARD_RULE_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "SERIOUS_VIOLENCE": "Health and social-care data are never opened under the Serious Violence Duty.",
        "OFFENDER_MANAGEMENT": "The NHS neither gives nor gets anything under s.14 (offender management).",
        "MAPPA_INVITATION": (
            "Under MAPPA, an organisation that is neither a responsible authority nor under the duty to co-operate "
            "sees nothing without an invitation to the case."
        ),
        "REGIME": (
            "Nothing opens under a regime that one side cannot process under; MAPPA and s.14 are law enforcement "
            "(DPA 2018 Part 3) on both sides."
        ),
        "IMMIGRATION": "Immigration sees nothing, unless an agreement with an impact assessment names it.",
        "NOT_A_POWER": "A duty or a framework (Children Act 2004 ss.10 and 11) lets nobody see anything.",
        "CUSTODIAN_NOT_REACHED": "No purpose opens the records of a custodian that its Act does not reach.",
        "RECIPIENT_NOT_REACHED": "No purpose opens anything to an organisation that its Act does not reach.",
        "APPOINTMENT": "Court orders and Channel open nothing without an appointment to the case.",
        "DESIGNATION": (
            "An organisation that the law reaches as a designated or contracted one sees nothing unless it is named."
        ),
        "MOST": "No purpose opens more than the most that it can need: a referral for housing opens no legal status.",
    }
)

NEVER_OPENED: tuple[str, ...] = (
    "A shielded child, but to a practitioner who works with the child, to the authority that alone set the shield, "
    "and to break-glass.",
    "A row that its own source refuses to share, for example as more detrimental to the child.",
    "A sensitive service without consent or significant harm, without a broker, or by its own name.",
    "A child whom the asker cannot corroborate: number, date of birth and family name must agree.",
    "An adult, looked up as such; and children, looked up from an adult.",
    "Anything to a system that names no practitioner, or to a token without the scope of the field.",
)

_ABBREVIATED: Mapping[Role, str] = MappingProxyType({Role.GP: "GP", Role.MASH_PRACTITIONER: "MASH practitioner"})


def role_words(role: Role) -> str:
    """Return a role as people say it: `social worker`."""
    return _ABBREVIATED.get(role, role.value.replace("_", " "))


def kind_words(kind: AgencyKind) -> str:
    """Return a kind of organisation as people say it: `Children's services`."""
    words = kind.value.replace("_", " ").capitalize()
    return words.replace("Childrens", "Children's")


def custodian_words(custodian: str) -> str:
    """Return whose records: a kind in words, or a connector's id as it is."""
    kind = custodian.removeprefix("kind:")
    return kind_words(AgencyKind(kind)) if kind != custodian else custodian


def field_words(path: str) -> str:
    """Return what a path tells, in a few words; a path that has none stands for itself."""
    return FIELD_WORDS.get(path, path)


def hard_rule_words(rule: HardRule) -> str:
    """Return what a hard rule closes, in a sentence."""
    return HARD_RULE_WORDS.get(rule.value, rule.value)
