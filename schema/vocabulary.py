"""Closed word lists. Every word that crosses a boundary (SDL, agreements, records, audit) is one of these.

Values are what the contract publishes; nothing is renamed without a deprecation.
"""

from __future__ import annotations

from enum import StrEnum


class AgencyKind(StrEnum):
    """What an organisation is, for sharing agreements and for the caller to see."""

    CHILDRENS_SERVICES = "CHILDRENS_SERVICES"
    ADULT_SOCIAL_CARE = "ADULT_SOCIAL_CARE"
    POLICE = "POLICE"
    TRANSPORT_POLICE = "TRANSPORT_POLICE"
    PROBATION = "PROBATION"
    PRISON = "PRISON"
    SECURE_ESTATE = "SECURE_ESTATE"
    YOUTH_JUSTICE = "YOUTH_JUSTICE"
    HEALTH = "HEALTH"
    SCHOOL = "SCHOOL"
    EARLY_YEARS = "EARLY_YEARS"
    HOUSING = "HOUSING"
    CAFCASS = "CAFCASS"
    ARMED_FORCES = "ARMED_FORCES"
    IMMIGRATION = "IMMIGRATION"
    VOLUNTARY_SECTOR = "VOLUNTARY_SECTOR"
    CHILDRENS_HOME = "CHILDRENS_HOME"
    FIRE_AND_RESCUE = "FIRE_AND_RESCUE"
    DISTRICT_COUNCIL = "DISTRICT_COUNCIL"
    OTHER = "OTHER"


class Purpose(StrEnum):
    """Purpose of use: the legal gateway under which the caller asks."""

    CP_S47 = "CP_S47"
    CIN_S17 = "CIN_S17"
    SAFEGUARD_S16LA = "SAFEGUARD_S16LA"
    COOP_S10 = "COOP_S10"
    S11_FUNCTION = "S11_FUNCTION"
    CHILD_DEATH_REVIEW = "CHILD_DEATH_REVIEW"
    MAPPA_S325 = "MAPPA_S325"
    OMA_S14 = "OMA_S14"
    CDA_S115 = "CDA_S115"
    SERIOUS_VIOLENCE_S16 = "SERIOUS_VIOLENCE_S16"
    UKVI_S55 = "UKVI_S55"
    HOMELESSNESS_S213B = "HOMELESSNESS_S213B"
    CAFCASS_S42 = "CAFCASS_S42"
    COURT_ORDER = "COURT_ORDER"
    PREVENT_CHANNEL = "PREVENT_CHANNEL"
    VITAL_INTERESTS = "VITAL_INTERESTS"
    PUBLIC_TASK_REQUEST = "PUBLIC_TASK_REQUEST"
    CONSENT = "CONSENT"
    SYSTEM_TEST = "SYSTEM_TEST"


class PurposeClass(StrEnum):
    """All that an agency is told of the purpose of an ask: never the purpose itself, the reason or the case."""

    SAFEGUARDING = "SAFEGUARDING"
    LAW_ENFORCEMENT = "LAW_ENFORCEMENT"
    SYSTEM_TEST = "SYSTEM_TEST"


def purpose_class(purpose: Purpose) -> PurposeClass:
    """Return the class of a purpose: DPA 2018 Part 3 gateways are LAW_ENFORCEMENT, all others SAFEGUARDING."""
    if purpose in {Purpose.MAPPA_S325, Purpose.OMA_S14}:
        return PurposeClass.LAW_ENFORCEMENT
    if purpose is Purpose.SYSTEM_TEST:
        return PurposeClass.SYSTEM_TEST
    return PurposeClass.SAFEGUARDING


class Role(StrEnum):
    """What the person does, as their identity provider asserts it."""

    SOCIAL_WORKER = "social_worker"
    EARLY_HELP_WORKER = "early_help_worker"
    MASH_PRACTITIONER = "mash_practitioner"
    ADULT_SOCIAL_WORKER = "adult_social_worker"
    HEALTH_VISITOR = "health_visitor"
    SCHOOL_NURSE = "school_nurse"
    MIDWIFE = "midwife"
    GP = "gp"
    NAMED_SAFEGUARDING_PROFESSIONAL = "named_safeguarding_professional"
    POLICE_SAFEGUARDING_OFFICER = "police_safeguarding_officer"
    PROBATION_PRACTITIONER = "probation_practitioner"
    PRISON_OFFENDER_MANAGER = "prison_offender_manager"
    YOUTH_JUSTICE_WORKER = "youth_justice_worker"
    SCHOOL_SAFEGUARDING_LEAD = "school_safeguarding_lead"
    EARLY_YEARS_LEAD = "early_years_lead"
    HOUSING_OFFICER = "housing_officer"
    CAFCASS_GUARDIAN = "cafcass_guardian"
    VOLUNTARY_SECTOR_WORKER = "voluntary_sector_worker"
    CHILDRENS_HOME_MANAGER = "childrens_home_manager"
    FIRE_OFFICER = "fire_officer"
    IMMIGRATION_OFFICER = "immigration_officer"
    SECURITY_AUDITOR = "security_auditor"
    PRIVACY_OFFICER = "privacy_officer"
    INTEGRATOR = "integrator"


class Scope(StrEnum):
    """OAuth scopes (RFC 6749 section 3.3)."""

    INVOLVEMENT = "involvement:read"
    INVOLVEMENT_PREVIOUS = "involvement.previous:read"
    IDENTITY = "child.identity:read"
    FIND = "child.find"
    STATUTORY_STATUS = "childrens_services.status:read"
    PLAN = "childrens_services.plan:read"
    POLICE_EVENTS = "police.events:read"
    POLICE_ORDERS = "police.orders:read"
    SUPERVISION = "probation.supervision:read"
    PROBATION_RISK = "probation.risk:read"
    MAPPA = "mappa:read"
    HEALTH_REGISTRATION = "health.registration:read"
    HEALTH_SAFEGUARDING = "health.safeguarding:read"
    ASSESSMENT = "assessment:read"
    SENSITIVE_SERVICE = "sensitive_service:read"
    OVERRIDE = "lookup:override"
    AUDIT = "audit:read"
    AUDIT_VERIFY = "audit:verify"
    ACCESS = "access:read"
    SCHEMA = "schema:read"
    APPOINTMENT = "appointment:write"
    LOCATOR = "locator:write"
    WORK_POLL = "work:poll"
    ENQUIRY_READ = "enquiry:read"
    ENQUIRY_WRITE = "enquiry:write"
    NOTIFICATION = "notification:write"


class Assurance(StrEnum):
    """How strongly the caller signed in; the values are what a token's `acr` maps to."""

    STANDARD = "STANDARD"
    STRONG = "STRONG"


ACR = {
    "urn:contactpoint:acr:standard": Assurance.STANDARD,
    "urn:contactpoint:acr:strong": Assurance.STRONG,
}


class Relationship(StrEnum):
    """How the caller stands to the child."""

    NONE = "NONE"
    ORGANISATION = "ORGANISATION"
    PRACTITIONER = "PRACTITIONER"
    APPOINTED = "APPOINTED"
    OVERRIDE = "OVERRIDE"


class LookupOutcome(StrEnum):
    """INCOMPLETE if and only if a source gave no answer; there is no value that means "nobody"."""

    DISCLOSED = "DISCLOSED"
    NOTHING_DISCLOSABLE = "NOTHING_DISCLOSABLE"
    INCOMPLETE = "INCOMPLETE"


class SourceStatus(StrEnum):
    """What one source did; there is no value that means "none"."""

    ANSWERED = "ANSWERED"
    NO_ANSWER = "NO_ANSWER"
    NOT_ASKED = "NOT_ASKED"


class SourceReason(StrEnum):
    """Why a source gave no answer, or was not asked."""

    CONNECT = "CONNECT"
    TIMEOUT = "TIMEOUT"
    PROTOCOL = "PROTOCOL"
    INVALID_ANSWER = "INVALID_ANSWER"
    REFUSED = "REFUSED"
    RATE_LIMITED = "RATE_LIMITED"
    OVERLOADED = "OVERLOADED"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"
    AWAITING = "AWAITING"
    NO_AGREEMENT = "NO_AGREEMENT"
    DISABLED = "DISABLED"
    OUT_OF_AREA = "OUT_OF_AREA"


NOT_ASKED_REASONS = frozenset({SourceReason.NO_AGREEMENT, SourceReason.DISABLED, SourceReason.OUT_OF_AREA})


class InvolvementStatus(StrEnum):
    """Whether the work with the child goes on."""

    CURRENT = "CURRENT"
    PREVIOUS = "PREVIOUS"


class InvolvementRelationship(StrEnum):
    """Whom the involvement is with."""

    CHILD = "CHILD"
    LINKED_ADULT = "LINKED_ADULT"
    UNBORN = "UNBORN"


class ContactMode(StrEnum):
    """How the practitioner may be reached."""

    DIRECT = "DIRECT"
    TEAM_ONLY = "TEAM_ONLY"
    BROKERED = "BROKERED"
    NONE = "NONE"


class Sensitivity(StrEnum):
    """How a source labels a row. UNKNOWN is treated as SENSITIVE."""

    STANDARD = "STANDARD"
    SENSITIVE = "SENSITIVE"
    UNKNOWN = "UNKNOWN"


class DisclosureBasis(StrEnum):
    """On what basis a sensitive service may be mentioned at all."""

    CONSENT = "CONSENT"
    SIGNIFICANT_HARM = "SIGNIFICANT_HARM"


class RefusalReason(StrEnum):
    """Why a source itself refuses that a row be told: its own hard stop, for the log alone."""

    MORE_DETRIMENTAL = "MORE_DETRIMENTAL"
    """Disclosure would be more detrimental to the child than not disclosing (Children Act 2004 s.16LA)."""

    HANDLING_CODE = "HANDLING_CODE"
    """A handling code or marking that does not let it leave the force."""

    ACCESS_LIMITATION = "ACCESS_LIMITATION"
    """The record is limited to named users of the source (HMPPS: limited access offender)."""

    RESTRICTED = "RESTRICTED"
    """The record as a whole is restricted at the source."""

    NOT_STATED = "NOT_STATED"
    """The source refuses and does not say why, or what it says is not understood."""


class HeldBack(StrEnum):
    """Why the door did not tell a row that a source gave: for the log alone, never for the caller."""

    UNCORROBORATED = "UNCORROBORATED"
    SHIELDED = "SHIELDED"
    NOT_GRANTED = "NOT_GRANTED"
    SENSITIVE = "SENSITIVE"
    CONSENT_ENDED = "CONSENT_ENDED"
    RETENTION_ENDED = "RETENTION_ENDED"
    NO_BROKER = "NO_BROKER"
    MORE_DETRIMENTAL = "MORE_DETRIMENTAL"
    HANDLING_CODE = "HANDLING_CODE"
    ACCESS_LIMITATION = "ACCESS_LIMITATION"
    RESTRICTED = "RESTRICTED"
    NOT_STATED = "NOT_STATED"


class ReviewKind(StrEnum):
    """Why something waits for review."""

    BREAK_GLASS = "BREAK_GLASS"
    DETECTION = "DETECTION"


class ReviewSeverity(StrEnum):
    """How soon somebody must look at what waits for review; the later in the list, the sooner."""

    QUEUE = "QUEUE"
    REVIEW = "REVIEW"
    ALERT = "ALERT"
    IMMEDIATE = "IMMEDIATE"
    PAGE = "PAGE"


class AccessGround(StrEnum):
    """What makes an access reasonable, as the records themselves show it; the strongest first."""

    OWN_WORK = "OWN_WORK"
    TEAM = "TEAM"
    FOLLOW_UP = "FOLLOW_UP"
    SHARED_CASE = "SHARED_CASE"
    DUTY = "DUTY"
    ORGANISATION = "ORGANISATION"
    LATER = "LATER"


class ReviewState(StrEnum):
    """How far a review has come."""

    OPEN = "OPEN"
    UPHELD = "UPHELD"
    NOT_UPHELD = "NOT_UPHELD"
    ESCALATED = "ESCALATED"


class ReviewVerdict(StrEnum):
    """What a reviewer decided of an override, or of an access that detection found."""

    UPHELD = "UPHELD"
    NOT_UPHELD = "NOT_UPHELD"
    ESCALATED = "ESCALATED"


class WithheldCode(StrEnum):
    """Why a field is withheld, computed from the caller alone, never from the child."""

    MISSING_SCOPE = "MISSING_SCOPE"
    ROLE_NOT_GRANTED = "ROLE_NOT_GRANTED"
    PURPOSE_NOT_GRANTED = "PURPOSE_NOT_GRANTED"
    STEP_UP_REQUIRED = "STEP_UP_REQUIRED"
    AGREEMENT_LAPSED = "AGREEMENT_LAPSED"


class ReadNotice(StrEnum):
    """Whether a source tells the child's own workers that somebody looked, as an agreement asks for it."""

    NOTIFY = "NOTIFY"
    SILENT = "SILENT"


class Regime(StrEnum):
    """Data-protection regime of one side of a disclosure."""

    UK_GDPR = "UK_GDPR"
    DPA_PART_3 = "DPA_PART_3"
