"""Who asks in the demo: fictional people, what their tokens say of them, and the scopes that each role may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from schema.vocabulary import ACR, Assurance, Role, Scope

ACR_VALUES: Mapping[str, str] = MappingProxyType({assurance.value.lower(): value for value, assurance in ACR.items()})
"""What the parameter `acr` may say (`standard`, `strong`) and the claim that it becomes."""

CASE_SYSTEM_CLIENT_ID = "northshire-case-system"
# A secret in source is none. This one opens fictional data on the loopback address and nothing else.
CASE_SYSTEM_CLIENT_SECRET = "demo-only-not-a-secret"

_LOOKUP = frozenset({Scope.INVOLVEMENT, Scope.INVOLVEMENT_PREVIOUS})
_CHILDRENS_SERVICES = frozenset({Scope.STATUTORY_STATUS, Scope.PLAN})
_POLICE = frozenset({Scope.POLICE_EVENTS, Scope.POLICE_ORDERS})
_PROBATION = frozenset({Scope.SUPERVISION, Scope.PROBATION_RISK, Scope.MAPPA})
_HEALTH = frozenset({Scope.HEALTH_REGISTRATION, Scope.HEALTH_SAFEGUARDING})
# Finding without a number, and breaking the glass, are for those with a statutory duty to act at once.
_STATUTORY_DUTY = frozenset({Scope.IDENTITY, Scope.FIND, Scope.OVERRIDE})

ROLE_SCOPES: Mapping[Role, frozenset[Scope]] = MappingProxyType(
    {
        Role.SOCIAL_WORKER: _LOOKUP
        | _STATUTORY_DUTY
        | _CHILDRENS_SERVICES
        | _POLICE
        | _PROBATION
        | _HEALTH
        | {Scope.ASSESSMENT, Scope.SENSITIVE_SERVICE},
        Role.HEALTH_VISITOR: _LOOKUP
        | _STATUTORY_DUTY
        | _CHILDRENS_SERVICES
        | _HEALTH
        | {Scope.POLICE_EVENTS, Scope.ASSESSMENT, Scope.SENSITIVE_SERVICE},
        Role.POLICE_SAFEGUARDING_OFFICER: _LOOKUP
        | _STATUTORY_DUTY
        | _CHILDRENS_SERVICES
        | _POLICE
        | _PROBATION
        | {Scope.HEALTH_SAFEGUARDING, Scope.ASSESSMENT},
        Role.PROBATION_PRACTITIONER: _LOOKUP
        | _STATUTORY_DUTY
        | _CHILDRENS_SERVICES
        | _POLICE
        | _PROBATION
        | {Scope.ASSESSMENT},
        Role.SCHOOL_SAFEGUARDING_LEAD: _LOOKUP | {Scope.STATUTORY_STATUS, Scope.ASSESSMENT},
        Role.CAFCASS_GUARDIAN: _LOOKUP | _CHILDRENS_SERVICES | {Scope.IDENTITY, Scope.ASSESSMENT},
        Role.IMMIGRATION_OFFICER: frozenset({Scope.INVOLVEMENT}),
        Role.SECURITY_AUDITOR: frozenset({Scope.AUDIT, Scope.AUDIT_VERIFY, Scope.ACCESS}),
        Role.INTEGRATOR: frozenset({Scope.SCHEMA}),
    }
)


@dataclass(frozen=True, slots=True)
class OnBehalfOf:
    """The named practitioner for whom a machine asks (the claim `on_behalf_of`)."""

    subject: str
    name: str
    role: Role
    registration: str | None


@dataclass(frozen=True, slots=True)
class Persona:
    """One who asks: `key` is what `--as` takes; `client_id` is None for a person, who signs in at some client."""

    key: str
    subject: str
    organisation: str
    roles: tuple[Role, ...]
    name: str
    registration: str | None
    assurance: Assurance
    client_id: str | None
    on_behalf_of: OnBehalfOf | None
    office: frozenset[Scope] = frozenset()  # scopes that come with an office, to somebody whom no role describes

    @property
    def scopes(self) -> frozenset[Scope]:
        """Return every scope that one of the roles, or the office, may hold."""
        return self.office.union(*(ROLE_SCOPES[role] for role in self.roles))

    @property
    def works_as(self) -> str:
        """Return the role of whoever asks, in words."""
        if self.on_behalf_of is not None:
            return self.on_behalf_of.role.replace("_", " ")
        return self.roles[0].replace("_", " ") if self.roles else "registers appointments"


def _person(
    key: str, organisation: str, role: Role, name: str, registration: str | None, assurance: Assurance
) -> Persona:
    return Persona(key, f"{organisation}:{key}", organisation, (role,), name, registration, assurance, None, None)


_CASE_SYSTEM = Persona(
    key="case-system",
    # RFC 9068 section 2.2: with client credentials the subject is the client
    subject=CASE_SYSTEM_CLIENT_ID,
    organisation="northshire-council",
    roles=(Role.SOCIAL_WORKER,),
    name="Northshire case system",
    registration=None,
    assurance=Assurance.STRONG,
    client_id=CASE_SYSTEM_CLIENT_ID,
    on_behalf_of=OnBehalfOf("northshire-council:sw-100", "Casey Moor", Role.SOCIAL_WORKER, "SWE:SW900002"),
)

_FAMILY_COURT = Persona(
    key="family-court",
    subject="northshire-family-court:listing-officer",
    organisation="northshire-family-court",
    roles=(),
    name="Leda Marsh",
    registration=None,
    assurance=Assurance.STRONG,
    client_id=None,
    on_behalf_of=None,
    office=frozenset({Scope.APPOINTMENT}),
)

_STRONG, _STANDARD = Assurance.STRONG, Assurance.STANDARD
PERSONAS: Mapping[str, Persona] = MappingProxyType(
    {
        persona.key: persona
        for persona in (
            _person("social-worker", "northshire-council", Role.SOCIAL_WORKER, "Sam Okoro", "SWE:SW900001", _STRONG),
            _person("health-visitor", "northshire-nhs", Role.HEALTH_VISITOR, "Hana Lind", "NMC:99A0001N", _STRONG),
            _person(
                "police-officer",
                "northshire-constabulary",
                Role.POLICE_SAFEGUARDING_OFFICER,
                "Ravi Okafor",
                None,
                _STRONG,
            ),
            _person(
                "probation-officer", "northshire-probation", Role.PROBATION_PRACTITIONER, "Petra Blum", None, _STRONG
            ),
            _person("school-lead", "oak-primary", Role.SCHOOL_SAFEGUARDING_LEAD, "Dana Amin", None, _STANDARD),
            _person("cafcass-guardian", "cafcass", Role.CAFCASS_GUARDIAN, "Gus Hale", "SWE:SW900009", _STRONG),
            _person(
                "immigration-officer", "home-office-immigration", Role.IMMIGRATION_OFFICER, "Ines Ward", None, _STRONG
            ),
            _CASE_SYSTEM,
            _person("security-auditor", "northshire-council", Role.SECURITY_AUDITOR, "Alex Finch", None, _STRONG),
            _person("integrator", "northshire-council", Role.INTEGRATOR, "Imran Todd", None, _STRONG),
            _FAMILY_COURT,
        )
    }
)
