"""The paths, sources, parties and roles of this suite: one list for the oracle, the generator and the gateways."""

from __future__ import annotations

from dataclasses import dataclass

INVOLVEMENTS, PRACTITIONER = "involvements", "involvements.practitioner"
PREVIOUS, LINKED_ADULT, SENSITIVE = "involvements.previous", "involvements.linkedAdult", "involvements.sensitive"

SCOPE = {
    INVOLVEMENTS: "involvement:read",
    PRACTITIONER: "involvement:read",
    LINKED_ADULT: "involvement:read",
    PREVIOUS: "involvement.previous:read",
    SENSITIVE: "sensitive_service:read",
    "identity.givenNames": "child.identity:read",
    "identity.familyName": "child.identity:read",
    "identity.dateOfBirth": "child.identity:read",
    "childrensServices.statuses": "childrens_services.status:read",
    "childrensServices.plans": "childrens_services.plan:read",
    "assessments": "assessment:read",
    "police.events": "police.events:read",
    "police.orders": "police.orders:read",
    "police.notifications": "police.events:read",
    "probation.supervision": "probation.supervision:read",
    "probation.risk": "probation.risk:read",
    "probation.riskToChildren": "probation.risk:read",
    "probation.mappa": "mappa:read",
    "health.registration": "health.registration:read",
    "health.safeguarding": "health.safeguarding:read",
}
OVERRIDE_SCOPE = "lookup:override"
ALL_SCOPES = frozenset(SCOPE.values())

IDENTITY = ("identity.givenNames", "identity.familyName", "identity.dateOfBirth")
SECTION_FIELDS = {
    "childrensServices.statuses": ("status", "since", "until"),
    "childrensServices.plans": ("kind", "startedOn", "reviewDueOn", "endedOn", "conferenceOn", "coreGroupOn"),
    "assessments": ("kind", "holder", "completedOn"),
    "police.events": ("kind", "openedOn", "status", "closedOn"),
    "police.orders": ("kind", "startedOn", "endedOn", "unit", "phone", "outOfHours"),
    "police.notifications": ("kind", "sentOn", "recipient"),
    "probation.supervision": ("kind", "since", "until", "allocated", "establishment"),
    "probation.risk": ("code", "description", "startedOn", "reviewDueOn"),
    "probation.riskToChildren": ("level", "assessedOn"),
    "probation.mappa": ("level", "category", "startedOn", "reviewDueOn"),
    "health.registration": ("practice", "since", "practiceName"),
    "health.safeguarding": ("code", "since", "until", "authority", "phone", "outOfHours"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """One source as it is configured."""

    id: str
    kind: str
    organisation: str
    area: str
    sections: tuple[str, ...] = ()
    about_adults: bool = False
    names_adults: bool = False
    broker: bool = False
    enabled: bool = True
    retention_days: int | None = None
    extract: bool = False  # says as of when it answers, the same for every child

    @property
    def holds(self) -> frozenset[str]:
        """What it can be opened for; a source about adults holds nothing about the child itself."""
        if self.about_adults:
            return frozenset({LINKED_ADULT, PRACTITIONER, PREVIOUS, *self.sections})
        return frozenset({INVOLVEMENTS, PRACTITIONER, PREVIOUS, SENSITIVE, *self.sections})


_POLICE = ("police.events", "police.orders", "police.notifications")
_PROBATION = ("probation.supervision", "probation.risk", "probation.riskToChildren", "probation.mappa")
_CS = (*IDENTITY, "childrensServices.statuses", "childrensServices.plans", "assessments")
SOURCES = (
    Source("cs-amber", "CHILDRENS_SERVICES", "amber-council", "amber", _CS, names_adults=True, broker=True),
    Source("police-amber", "POLICE", "amber-police", "amber", _POLICE),
    Source(
        "health-amber",
        "HEALTH",
        "amber-nhs",
        "amber",
        (*IDENTITY, "health.registration", "health.safeguarding"),
        broker=True,
        retention_days=400,
    ),
    Source("cs-brook", "CHILDRENS_SERVICES", "brook-council", "brook", _CS, names_adults=True),
    Source(
        "probation-amber",
        "PROBATION",
        "amber-probation",
        "amber",
        _PROBATION,
        about_adults=True,
    ),
    Source("prison-amber", "PRISON", "amber-prison", "amber", ("probation.supervision",), about_adults=True),
    Source("school-elm", "SCHOOL", "elm-school", "amber", ("assessments",), extract=True),
    Source("clinic-amber", "VOLUNTARY_SECTOR", "amber-clinic", "amber"),
    Source("police-brook", "POLICE", "brook-police", "brook", _POLICE),
    Source("housing-amber", "HOUSING", "amber-housing", "amber"),
    Source("youth-amber", "YOUTH_JUSTICE", "amber-youth", "amber", enabled=False),
)
BROKER = {
    "contact.mode": "BROKERED",
    "contact.phone": "01632 960900",
    "contact.outOfHours": "01632 960901",
    "contact.expectedResponse": "the same day",
}
"""Who makes contact with the sensitive services of the sources that have a broker."""
BY_ID = {source.id: source for source in SOURCES}

ORGANISATIONS = {
    # id: kind, area
    "amber-council": ("CHILDRENS_SERVICES", "amber"),
    "brook-council": ("CHILDRENS_SERVICES", "brook"),
    "amber-adults": ("ADULT_SOCIAL_CARE", "amber"),
    "amber-police": ("POLICE", "amber"),
    "brook-police": ("POLICE", "brook"),
    "rail-police": ("TRANSPORT_POLICE", None),
    "amber-probation": ("PROBATION", "amber"),
    "amber-prison": ("PRISON", "amber"),
    "amber-secure": ("SECURE_ESTATE", "amber"),
    "amber-youth": ("YOUTH_JUSTICE", "amber"),
    "amber-nhs": ("HEALTH", "amber"),
    "elm-school": ("SCHOOL", "amber"),
    "elm-nursery": ("EARLY_YEARS", "amber"),
    "amber-housing": ("HOUSING", "amber"),
    "amber-cafcass": ("CAFCASS", None),
    "amber-garrison": ("ARMED_FORCES", "amber"),
    "border": ("IMMIGRATION", None),
    "amber-clinic": ("VOLUNTARY_SECTOR", "amber"),
    "elm-home": ("CHILDRENS_HOME", "amber"),
    "amber-fire": ("FIRE_AND_RESCUE", "amber"),
    "amber-district": ("DISTRICT_COUNCIL", "amber"),
    "amber-other": ("OTHER", "amber"),
    "amber-court": ("OTHER", None),
}
COURT = "amber-court"
APPOINTABLE = ("COURT_ORDER", "MAPPA_S325", "CAFCASS_S42")
"""The parties. `stranger` is an organisation that is none."""
AGENCY_KINDS = tuple(sorted({kind for kind, _ in ORGANISATIONS.values()}))

HOMES = {
    "social_worker": ("amber-council", "brook-council"),
    "early_help_worker": ("amber-council", "amber-district"),
    "mash_practitioner": ("amber-council", "brook-council"),
    "adult_social_worker": ("amber-adults",),
    "health_visitor": ("amber-nhs",),
    "school_nurse": ("amber-nhs", "elm-school"),
    "midwife": ("amber-nhs",),
    "gp": ("amber-nhs", "amber-garrison"),
    "named_safeguarding_professional": ("amber-nhs",),
    "police_safeguarding_officer": ("amber-police", "brook-police", "rail-police"),
    "probation_practitioner": ("amber-probation",),
    "prison_offender_manager": ("amber-prison", "amber-secure"),
    "youth_justice_worker": ("amber-youth", "amber-council"),
    "school_safeguarding_lead": ("elm-school",),
    "early_years_lead": ("elm-nursery",),
    "housing_officer": ("amber-housing", "amber-district"),
    "cafcass_guardian": ("amber-cafcass",),
    "voluntary_sector_worker": ("amber-clinic", "amber-other"),
    "childrens_home_manager": ("elm-home",),
    "fire_officer": ("amber-fire",),
    "immigration_officer": ("border",),
    "security_auditor": ("amber-council", "amber-police"),
    "privacy_officer": ("amber-council", "amber-nhs"),
    "integrator": ("amber-council", "amber-other"),
}
"""Every role, and where those who hold it usually work."""
