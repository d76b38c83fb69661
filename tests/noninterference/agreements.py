"""What the law reaches and what the agreements open in this suite: read by the oracle, written out for the gateways.

`write_agreements` makes the TOML files that the gateways read; the oracle reads `AGREEMENTS` itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.noninterference.table import (
    AGENCY_KINDS,
    APPOINTABLE,
    BY_ID,
    COURT,
    HOMES,
    INVOLVEMENTS,
    LINKED_ADULT,
    ORGANISATIONS,
    PRACTITIONER,
    PREVIOUS,
    SCOPE,
    SENSITIVE,
    SOURCES,
    Source,
)

_AUTHORITY = ("CHILDRENS_SERVICES", "ADULT_SOCIAL_CARE")
_HOUSING = ("HOUSING", "DISTRICT_COUNCIL")
_EDUCATION = ("SCHOOL", "EARLY_YEARS")
_RESPONSIBLE = ("POLICE", "PROBATION", "PRISON")
_COOPERATING = (*_AUTHORITY, *_HOUSING, "HEALTH", "YOUTH_JUSTICE")
_ASSOCIATES = (*_EDUCATION, "CAFCASS", "VOLUNTARY_SECTOR", "CHILDRENS_HOME", "SECURE_ESTATE")
_NEED = (*_AUTHORITY, *_HOUSING, *_EDUCATION, "HEALTH", "YOUTH_JUSTICE", "CHILDRENS_HOME")
_OFFENDERS = (*_AUTHORITY, *_HOUSING, *_RESPONSIBLE, "YOUTH_JUSTICE")
_VIOLENCE = (*_EDUCATION, *_RESPONSIBLE, "SECURE_ESTATE", "YOUTH_JUSTICE", "FIRE_AND_RESCUE")


@dataclass(frozen=True, slots=True)
class Law:
    """What the legal gateway of a purpose reaches. Empty kinds: everybody; `most` empty: every path."""

    commenced: bool = True
    regime: str = "UK_GDPR"
    custodians: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()  # at one end at least
    appointed: tuple[str, ...] = ()  # recipients who need an appointment to the child
    most: tuple[str, ...] = ()


BASES = {
    "VITAL_INTERESTS": Law(),
    "CP_S47": Law(recipients=("POLICE", "TRANSPORT_POLICE", "CHILDRENS_SERVICES", "HEALTH")),
    "CIN_S17": Law(custodians=_NEED, recipients=_NEED, one_of=_AUTHORITY),
    "SAFEGUARD_S16LA": Law(commenced=False),
    "OMA_S14": Law(True, "DPA_PART_3", _OFFENDERS, _OFFENDERS, one_of=("PROBATION", "PRISON")),
    "MAPPA_S325": Law(
        True,
        "DPA_PART_3",
        (*_RESPONSIBLE, *_COOPERATING),
        (*_RESPONSIBLE, *_COOPERATING, *_ASSOCIATES),
        appointed=_ASSOCIATES,
    ),
    "SERIOUS_VIOLENCE_S16": Law(
        custodians=_VIOLENCE,
        recipients=(*_VIOLENCE, *_AUTHORITY, "HEALTH", "DISTRICT_COUNCIL"),
        most=tuple(p for p in SCOPE if p.split(".")[0] in {"involvements", "police", "probation"} and p != SENSITIVE),
    ),
    "CAFCASS_S42": Law(custodians=("CHILDRENS_SERVICES", "VOLUNTARY_SECTOR"), recipients=("CAFCASS",)),
    "SYSTEM_TEST": Law(),
    "CONSENT": Law(
        recipients=tuple(k for k in AGENCY_KINDS if k != "IMMIGRATION"),
        most=(INVOLVEMENTS, PRACTITIONER, PREVIOUS, SENSITIVE, "assessments"),
    ),
    "COURT_ORDER": Law(appointed=AGENCY_KINDS),
}
"""The purposes of this suite, and what the law lets them reach (domain.md, section 1.3)."""


_ORDINARY = ("VITAL_INTERESTS", "CP_S47", "CIN_S17", "CONSENT", "SYSTEM_TEST")


@dataclass(frozen=True, slots=True)
class Line:
    """One grant. Empty `organisations`: every organisation of those kinds."""

    roles: tuple[str, ...]
    opens: tuple[str, ...]
    purposes: tuple[str, ...] = _ORDINARY
    relationship: str = "NONE"
    assurance: str = "STANDARD"
    kinds: tuple[str, ...] = ()  # empty: the kinds of the roles' homes
    organisations: tuple[str, ...] = ()
    silent: bool = False

    def to(self) -> tuple[str, ...]:
        """The kinds of organisation of which it speaks."""
        homes = sorted({ORGANISATIONS[home][0] for role in self.roles for home in HOMES[role]})
        return self.kinds or tuple(homes)


@dataclass(frozen=True, slots=True)
class Agreement:
    """One agreement, of one source or of a kind."""

    custodian: str
    lines: tuple[Line, ...]
    areas: tuple[str, ...] = ()
    lapsed: bool = False
    impact_assessment: str | None = None
    team_only: tuple[str, ...] = ()  # kinds to whom it names nobody


CORE = ("social_worker", "mash_practitioner", "named_safeguarding_professional", "police_safeguarding_officer")
HEALTH = ("health_visitor", "school_nurse", "midwife", "gp")
JUSTICE = ("probation_practitioner", "prison_offender_manager", "youth_justice_worker")
COMMUNITY = (
    "school_safeguarding_lead",
    "early_years_lead",
    "early_help_worker",
    "adult_social_worker",
    "cafcass_guardian",
    "childrens_home_manager",
)
EDGE = ("housing_officer", "voluntary_sector_worker", "fire_officer")
EVERYBODY = CORE + HEALTH + JUSTICE + COMMUNITY + EDGE
NOBODY = ("security_auditor", "privacy_officer", "integrator")
_LAW = ("OMA_S14", "MAPPA_S325")


def _about_children(sections: tuple[str, ...], *, generous: bool = False) -> tuple[Line, ...]:
    """How a source about children shares: each circle of roles under conditions of its own."""
    rows = (INVOLVEMENTS, PRACTITIONER)
    circles = HEALTH + JUSTICE + COMMUNITY + EDGE
    more = Line(circles, (PRACTITIONER, PREVIOUS, *sections), ("VITAL_INTERESTS",), assurance="STRONG")
    return (
        *((more,) if generous else ()),
        Line(CORE, (*rows, PREVIOUS)),
        Line(CORE, (*sections, SENSITIVE), assurance="STRONG"),
        Line(HEALTH, (INVOLVEMENTS, *sections[:1])),
        Line(HEALTH, (PRACTITIONER, PREVIOUS, *sections[1:]), relationship="ORGANISATION"),
        Line(HEALTH, (SENSITIVE,), relationship="PRACTITIONER"),
        Line(JUSTICE, rows, silent=True, purposes=("VITAL_INTERESTS", "CIN_S17", "OMA_S14", "SERIOUS_VIOLENCE_S16")),
        Line(JUSTICE, (PREVIOUS, SENSITIVE, *sections), relationship="ORGANISATION", assurance="STRONG"),
        Line(
            COMMUNITY,
            (INVOLVEMENTS, *sections[2:]),
            purposes=("VITAL_INTERESTS", "CIN_S17", "CAFCASS_S42", "SAFEGUARD_S16LA"),
        ),
        Line(COMMUNITY, (PRACTITIONER, PREVIOUS, *sections), relationship="PRACTITIONER"),
        Line(COMMUNITY, (SENSITIVE, *sections), relationship="ORGANISATION", assurance="STRONG"),
        Line(EDGE, (INVOLVEMENTS,), purposes=("VITAL_INTERESTS", "CIN_S17", "SERIOUS_VIOLENCE_S16", "MAPPA_S325")),
        Line(EDGE, rows, relationship="PRACTITIONER"),
        Line(EVERYBODY, (*rows, PREVIOUS, *sections), APPOINTABLE, relationship="APPOINTED"),
        Line(EVERYBODY, (*rows, PREVIOUS, SENSITIVE, *sections), relationship="OVERRIDE"),
    )


def _about_adults(sections: tuple[str, ...], *, generous: bool = False) -> tuple[Line, ...]:
    rows = (LINKED_ADULT, PRACTITIONER)
    more = Line(CORE + COMMUNITY + HEALTH + EDGE, (LINKED_ADULT, *sections), ("VITAL_INTERESTS",), assurance="STRONG")
    return (
        Line(CORE, rows, assurance="STRONG"),
        Line(CORE, (PREVIOUS, *sections), relationship="ORGANISATION"),
        Line(JUSTICE, (*rows, PREVIOUS, *sections), purposes=("VITAL_INTERESTS", *_LAW)),
        Line(
            ("gp", "health_visitor", "cafcass_guardian"),
            (LINKED_ADULT,),
            purposes=("VITAL_INTERESTS", "CP_S47", "OMA_S14"),
        ),
        Line(("gp", "health_visitor"), sections, relationship="PRACTITIONER"),
        *((more,) if generous else ()),
        Line(EVERYBODY, (*rows, PREVIOUS, *sections), relationship="OVERRIDE"),
    )


_IMMIGRATION = Line(("immigration_officer",), (INVOLVEMENTS, PRACTITIONER, "police.orders"), organisations=("border",))
_GENEROUS = {"cs-brook", "health-amber", "school-elm"}
AGREEMENTS = (
    *(
        Agreement(
            source.id,
            _about_children(source.sections, generous=source.id in _GENEROUS),
            team_only=("FIRE_AND_RESCUE", "SCHOOL") if source.id == "health-amber" else (),
        )
        for source in SOURCES
        if source.id in {"cs-amber", "cs-brook", "health-amber", "school-elm", "clinic-amber", "youth-amber"}
    ),
    # the same sentence without an impact assessment opens nothing
    Agreement(
        "police-amber",
        (*_about_children(BY_ID["police-amber"].sections, generous=True), _IMMIGRATION),
        impact_assessment="dpia/police-amber",
    ),
    Agreement("kind:POLICE", (*_about_children(BY_ID["police-brook"].sections), _IMMIGRATION), areas=("brook",)),
    Agreement("probation-amber", _about_adults(BY_ID["probation-amber"].sections, generous=True)),
    Agreement("kind:PRISON", _about_adults(BY_ID["prison-amber"].sections)),
    Agreement("housing-amber", _about_children(()), lapsed=True),
)


def agreement_of(source: Source) -> Agreement:
    """The agreement that speaks for a source: its own, else that of its kind."""
    own = [a for a in AGREEMENTS if a.custodian == source.id]
    return (own or [a for a in AGREEMENTS if a.custodian == f"kind:{source.kind}"])[0]


def write_agreements(folder: Path) -> Path:
    """Write the table as the files that the gateway reads; return their directory."""
    folder.mkdir(parents=True, exist_ok=True)
    parties = []
    for name, (kind, area) in ORGANISATIONS.items():
        where = f'area = "{area}"\n' if area else ""
        where += f"appoints = {json.dumps(APPOINTABLE)}\n" if name == COURT else ""
        parties.append(f'[[organisation]]\nid = "{name}"\nname = "{name.title()}"\nkind = "{kind}"\n{where}')
    (folder / "organisations.toml").write_text("\n".join(parties))
    bases = [
        f'[[basis]]\npurpose = "{purpose}"\ngateway = "g"\nregime = "{law.regime}"\nrecipient_regime = "{law.regime}"\n'
        f"commenced = {'2000-01-01' if law.commenced else 'false'}\n"
        for purpose, law in BASES.items()
    ]
    (folder / "lawful-bases.toml").write_text("\n".join(bases))
    for agreement in AGREEMENTS:
        name = agreement.custodian.replace(":", "-").lower()
        (folder / f"{name}.toml").write_text(_written(agreement, name))
    return folder


def _written(agreement: Agreement, name: str) -> str:
    head = [f'id = "{name}"', f'custodian = "{agreement.custodian}"']
    head += [f"areas = {json.dumps(agreement.areas)}"] if agreement.areas else []
    head += [f'{key} = "x"' for key in ("title", "controller", "owner", "approver")]
    head += ["approved_on = 2000-01-01", f"review_on = {'2001-01-01' if agreement.lapsed else '2999-12-31'}"]
    head += [f"team_only = {json.dumps(agreement.team_only)}"] if agreement.team_only else []
    if agreement.impact_assessment:
        head.append(f'impact_assessment = "{agreement.impact_assessment}"')
    grants = [
        f"\n[[grant]]\nto = {json.dumps(line.to())}\nroles = {json.dumps(line.roles)}\n"
        f"purposes = {json.dumps(line.purposes)}\n"
        f'relationship = "{line.relationship}"\nassurance = "{line.assurance}"\nopens = {json.dumps(line.opens)}\n'
        + (f"organisations = {json.dumps(line.organisations)}\n" if line.organisations else "")
        + f"read = {json.dumps('SILENT' if line.silent else 'NOTIFY')}\n"
        for line in agreement.lines
        if line.opens
    ]
    return "\n".join(head) + "\n" + "".join(grants)
