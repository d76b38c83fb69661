"""The agreements that are shipped: they load, open what they say, and nothing to anybody else."""

from __future__ import annotations

import dataclasses
import itertools
import tomllib
from datetime import date
from functools import cache
from typing import Any, Final

import pytest

from auth.agreement_files import SHIPPED, load
from auth.paths import SCOPES
from auth.sharing import AgreementSet, Custodian, Organisation
from auth.standing import NO_STANDING, Standing, standing_of
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship, Role
from tests.auth.model import caller, entitled

INSIDE: Final = date(2027, 1, 1)
ABOUT_ADULTS: Final = frozenset({AgencyKind.PROBATION, AgencyKind.PRISON, AgencyKind.ADULT_SOCIAL_CARE})
NO_TEMPLATE: Final = frozenset(  # of whose records no shipped agreement speaks
    {
        AgencyKind.ARMED_FORCES,
        AgencyKind.IMMIGRATION,
        AgencyKind.FIRE_AND_RESCUE,
        AgencyKind.DISTRICT_COUNCIL,
        AgencyKind.OTHER,
    }
)
CUSTODIANS: Final = (*sorted(set(AgencyKind) - NO_TEMPLATE), AgencyKind.OTHER)
OVERSIGHT: Final = frozenset({Role.SECURITY_AUDITOR, Role.PRIVACY_OFFICER, Role.INTEGRATOR})


@cache
def shipped() -> AgreementSet:
    """The shipped set, with a party of every kind, as if every power had commenced."""
    found = load(SHIPPED)
    parties = {kind.value: Organisation(kind.value, kind.value, kind, None) for kind in AgencyKind}
    bases = {p: dataclasses.replace(b, commenced=date(2000, 1, 1)) for p, b in found.bases.items()}
    return dataclasses.replace(found, organisations=parties, bases=bases)


def at_every_custodian(
    kind: AgencyKind,
    role: Role,
    purpose: Purpose,
    assurance: Assurance = Assurance.STRONG,
    floor: Standing = NO_STANDING,
) -> dict[AgencyKind, dict[Relationship, frozenset[str]]]:
    """Return what opens at one custodian of each kind; three of them are about adults."""
    custodians = [Custodian(k.value, k, "owner", frozenset(SCOPES), about_adults=k in ABOUT_ADULTS) for k in CUSTODIANS]
    who = caller(organisation=kind.value, roles=frozenset({role}), assurance=assurance)
    found = entitled(shipped(), who, *custodians, purpose=purpose, today=INSIDE, floor=floor)
    return {c.kind: dict(found.by_custodian[c.id].opens) for c in custodians}


def ever(kind: AgencyKind, role: Role, purpose: Purpose) -> dict[AgencyKind, frozenset[str]]:
    opens = at_every_custodian(kind, role, purpose, floor=standing_of(Relationship.APPOINTED, Relationship.OVERRIDE))
    return {k: frozenset().union(*by.values()) for k, by in opens.items()}


def test_as_shipped_nobody_is_a_party_and_the_new_duty_is_closed() -> None:
    found = load(SHIPPED)

    assert dict(found.organisations) == {}
    assert found.bases[Purpose.SAFEGUARD_S16LA].commenced is None
    assert {a.custodian for a in found.agreements} == {f"kind:{k}" for k in set(AgencyKind) - NO_TEMPLATE}


def test_every_shipped_agreement_names_who_answers_for_it() -> None:
    found = load(SHIPPED)
    for agreement in found.agreements:
        assert all((agreement.controller, agreement.owner, agreement.approver, agreement.title))
        assert agreement.approved_on < agreement.review_on
        for grant in agreement.grants:
            assert grant.purposes <= set(found.bases), "a purpose without a lawful basis opens nothing"


def _from_the_files() -> dict[tuple[Any, ...], set[Any]]:
    """The table as this test alone reads it: (custodian, to, role, purpose) -> (relationship, assurance, path)."""
    table: dict[tuple[Any, ...], set[Any]] = {}
    for file in SHIPPED.glob("*.toml"):
        raw = tomllib.loads(file.read_text())
        for grant in raw.get("grant", ()):
            for cell in itertools.product(grant["to"], grant["roles"], grant["purposes"]):
                entries = itertools.product([grant["relationship"]], [grant["assurance"]], grant["opens"])
                table.setdefault((raw["custodian"].removeprefix("kind:"), *cell), set()).update(entries)
    return table


@pytest.mark.no_cover  # half a million cells go the way of those that other tests trace
@pytest.mark.parametrize("kind", AgencyKind)
def test_what_is_granted_opens_and_its_complement_is_refused(kind: AgencyKind) -> None:
    """Every custodian x role x purpose x relationship x assurance for one kind of organisation."""
    table = _from_the_files()
    for role, purpose, assurance in itertools.product(Role, Purpose, Assurance):
        found = at_every_custodian(kind, role, purpose, assurance)
        for custodian, opens in found.items():
            granted = table.get((custodian.value, kind.value, role.value, purpose.value), set())
            needed = "involvements.linkedAdult" if custodian in ABOUT_ADULTS else "involvements"
            signed_in = {"STANDARD"} | ({"STRONG"} if assurance is Assurance.STRONG else set())
            asked = any(p == needed and r == "NONE" and a in signed_in for r, a, p in granted)
            for relationship, paths in opens.items():
                expected = {p for r, a, p in granted if a in signed_in and r == relationship.value}
                assert paths == (expected if asked else set()), (custodian, role, purpose, assurance, relationship)


def test_immigration_opens_nothing() -> None:
    for role, purpose in itertools.product(Role, Purpose):
        assert not any(ever(AgencyKind.IMMIGRATION, role, purpose).values())


def test_health_gets_nothing_from_probation() -> None:
    for role, purpose in itertools.product(Role, Purpose):
        assert not ever(AgencyKind.HEALTH, role, purpose)[AgencyKind.PROBATION]


def test_a_purpose_without_a_basis_opens_nothing_to_anybody() -> None:
    for purpose in (Purpose.COOP_S10, Purpose.S11_FUNCTION, Purpose.UKVI_S55, Purpose.SYSTEM_TEST):
        for kind in AgencyKind:
            assert not any(ever(kind, Role.SOCIAL_WORKER, purpose).values())


def test_every_purpose_has_a_basis_and_only_what_is_known_to_have_commenced_is_open() -> None:
    bases = load(SHIPPED).bases

    assert set(bases) == set(Purpose)
    assert {p.value for p, basis in bases.items() if basis.commenced} == {
        "CP_S47",
        "CIN_S17",
        "OMA_S14",
        "CAFCASS_S42",
        "COURT_ORDER",
        "VITAL_INTERESTS",
        "CONSENT",
        "SYSTEM_TEST",
    }
    for text in (SHIPPED / "lawful-bases.toml").read_text(encoding="utf-8").split("\n\n")[1:]:
        assert "commenced = false" not in text or text.startswith("# "), "why it has not commenced stands above it"


def test_a_machine_or_auditing_role_opens_nothing() -> None:
    assert not any(OVERSIGHT & grant.roles for agreement in load(SHIPPED).agreements for grant in agreement.grants)
    for role, purpose in itertools.product(OVERSIGHT, (Purpose.CP_S47, Purpose.VITAL_INTERESTS)):
        for kind in AgencyKind:
            assert not any(ever(kind, role, purpose).values())


@pytest.mark.parametrize("role", sorted(set(Role) - OVERSIGHT - {Role.IMMIGRATION_OFFICER}))
def test_every_other_role_opens_something_at_some_custodian(role: Role) -> None:
    granted = {g for a in load(SHIPPED).agreements for g in a.grants if role in g.roles}

    assert granted
    assert any(
        any(ever(kind, role, purpose).values())
        for grant in granted
        for kind, purpose in itertools.product(grant.kinds, grant.purposes)
    )


def test_no_shipped_grant_says_what_the_law_closes() -> None:
    """Every path of every grant opens to every kind and for every purpose of it, once the purpose has commenced."""
    found = shipped()
    for agreement in found.agreements:
        custodian = AgencyKind(agreement.custodian.removeprefix("kind:"))
        for number, grant in enumerate(agreement.grants, start=1):
            for kind, purpose in itertools.product(grant.kinds, grant.purposes):
                opened = found.opens(agreement, grant, custodian, kind, purpose)
                assert opened == grant.opens, (agreement.id, number, kind, purpose)


def test_break_glass_opens_to_those_who_protect_children_and_with_a_strong_sign_in() -> None:
    found = [g for a in load(SHIPPED).agreements for g in a.grants if g.relationship is Relationship.OVERRIDE]

    assert found
    for grant in found:
        assert grant.assurance is Assurance.STRONG
        assert {k.value for k in grant.kinds} <= {"CHILDRENS_SERVICES", "HEALTH", "POLICE", "TRANSPORT_POLICE"}
        assert grant.purposes <= {Purpose.CP_S47, Purpose.SAFEGUARD_S16LA, Purpose.VITAL_INTERESTS}
        assert "involvements.sensitive" not in grant.opens


def test_who_is_appointed_for_one_child_opens_nothing_without_the_appointment() -> None:
    appointed = standing_of(Relationship.APPOINTED)
    for kind, role, purpose, opens in (
        (AgencyKind.CAFCASS, Role.CAFCASS_GUARDIAN, Purpose.CAFCASS_S42, AgencyKind.CHILDRENS_SERVICES),
        (AgencyKind.CAFCASS, Role.CAFCASS_GUARDIAN, Purpose.COURT_ORDER, AgencyKind.HEALTH),
        (AgencyKind.HEALTH, Role.NAMED_SAFEGUARDING_PROFESSIONAL, Purpose.PREVENT_CHANNEL, AgencyKind.POLICE),
        (AgencyKind.SCHOOL, Role.SCHOOL_SAFEGUARDING_LEAD, Purpose.MAPPA_S325, AgencyKind.PROBATION),
    ):
        without = at_every_custodian(kind, role, purpose)
        with_it = at_every_custodian(kind, role, purpose, floor=appointed)
        assert not any(paths for by in without.values() for paths in by.values())
        assert with_it[opens][Relationship.APPOINTED]


def test_a_guardian_is_told_what_the_local_authority_holds_and_nothing_of_others() -> None:
    opens = ever(AgencyKind.CAFCASS, Role.CAFCASS_GUARDIAN, Purpose.CAFCASS_S42)

    assert {kind for kind, paths in opens.items() if paths} == {
        AgencyKind.CHILDRENS_SERVICES,
        AgencyKind.VOLUNTARY_SECTOR,
    }


def test_under_the_serious_violence_duty_nothing_of_health_or_care_opens() -> None:
    for kind, role in itertools.product(AgencyKind, Role):
        opens = ever(kind, role, Purpose.SERIOUS_VIOLENCE_S16)
        for care in (AgencyKind.HEALTH, AgencyKind.CHILDRENS_SERVICES, AgencyKind.ADULT_SOCIAL_CARE):
            assert not opens[care]


def test_an_officers_name_is_for_those_who_work_with_them() -> None:
    """Police and health tell probation and schools the unit and not the person."""
    for kind, role, purpose in (
        (AgencyKind.PROBATION, Role.PROBATION_PRACTITIONER, Purpose.SAFEGUARD_S16LA),
        (AgencyKind.SCHOOL, Role.SCHOOL_SAFEGUARDING_LEAD, Purpose.SAFEGUARD_S16LA),
    ):
        found = ever(kind, role, purpose)
        assert found[AgencyKind.POLICE] == {"involvements"}
        assert found[AgencyKind.HEALTH] == {"involvements"}


def test_risk_and_plans_need_a_relationship_for_childrens_services() -> None:
    opens = at_every_custodian(AgencyKind.CHILDRENS_SERVICES, Role.SOCIAL_WORKER, Purpose.CP_S47)

    assert "probation.risk" not in opens[AgencyKind.PROBATION][Relationship.NONE]
    assert "probation.risk" in opens[AgencyKind.PROBATION][Relationship.ORGANISATION]
    assert "childrensServices.plans" not in opens[AgencyKind.CHILDRENS_SERVICES][Relationship.NONE]
    assert "childrensServices.plans" in opens[AgencyKind.CHILDRENS_SERVICES][Relationship.ORGANISATION]


def test_before_approval_and_after_review_nothing_is_open() -> None:
    for today in (date(2026, 9, 30), date(2027, 10, 1)):
        custodians = [Custodian(k.value, k, "owner", frozenset(SCOPES), about_adults=False) for k in CUSTODIANS]
        who = caller(organisation="CHILDRENS_SERVICES")
        found = entitled(shipped(), who, *custodians, purpose=Purpose.CP_S47, today=today)
        assert not found.opens_default
