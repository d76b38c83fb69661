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
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship, Role
from tests.auth.model import caller, entitled

INSIDE: Final = date(2027, 1, 1)
CUSTODIANS: Final = (
    AgencyKind.CHILDRENS_SERVICES,
    AgencyKind.HEALTH,
    AgencyKind.POLICE,
    AgencyKind.PROBATION,
    AgencyKind.SCHOOL,
    AgencyKind.HOUSING,  # of which no agreement speaks
)


@cache
def shipped() -> AgreementSet:
    """The shipped set, with a party of every kind, as if every power had commenced."""
    found = load(SHIPPED)
    parties = {kind.value: Organisation(kind.value, kind.value, kind, None) for kind in AgencyKind}
    bases = {p: dataclasses.replace(b, commenced=date(2000, 1, 1)) for p, b in found.bases.items()}
    return dataclasses.replace(found, organisations=parties, bases=bases)


def at_every_custodian(
    kind: AgencyKind, role: Role, purpose: Purpose, assurance: Assurance = Assurance.STRONG
) -> dict[AgencyKind, dict[Relationship, frozenset[str]]]:
    """Return what opens at one custodian of each kind; the one of PROBATION is about adults."""
    custodians = [
        Custodian(k.value, k, "owner", frozenset(SCOPES), about_adults=k is AgencyKind.PROBATION) for k in CUSTODIANS
    ]
    who = caller(organisation=kind.value, roles=frozenset({role}), assurance=assurance)
    found = entitled(shipped(), who, *custodians, purpose=purpose, today=INSIDE)
    return {c.kind: dict(found.by_custodian[c.id].opens) for c in custodians}


def ever(kind: AgencyKind, role: Role, purpose: Purpose) -> dict[AgencyKind, frozenset[str]]:
    opens = at_every_custodian(kind, role, purpose)
    return {k: frozenset().union(*by.values()) for k, by in opens.items()}


def test_as_shipped_nobody_is_a_party_and_the_new_duty_is_closed() -> None:
    found = load(SHIPPED)

    assert dict(found.organisations) == {}
    assert found.bases[Purpose.SAFEGUARD_S16LA].commenced is None
    assert {a.custodian for a in found.agreements} == {f"kind:{k}" for k in CUSTODIANS[:-1]}


def test_every_shipped_agreement_names_who_answers_for_it() -> None:
    for agreement in load(SHIPPED).agreements:
        assert all((agreement.controller, agreement.owner, agreement.approver, agreement.title))
        assert agreement.approved_on < agreement.review_on
        for grant in agreement.grants:
            assert grant.purposes <= set(load(SHIPPED).bases), "a purpose without a lawful basis opens nothing"


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


@pytest.mark.parametrize("kind", AgencyKind)
def test_what_is_granted_opens_and_its_complement_is_refused(kind: AgencyKind) -> None:
    """Every custodian x role x purpose x relationship x assurance for one kind of organisation."""
    table = _from_the_files()
    for role, purpose, assurance in itertools.product(Role, Purpose, Assurance):
        found = at_every_custodian(kind, role, purpose, assurance)
        for custodian, opens in found.items():
            granted = table.get((custodian.value, kind.value, role.value, purpose.value), set())
            needed = "involvements.linkedAdult" if custodian is AgencyKind.PROBATION else "involvements"
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
    for purpose in set(Purpose) - set(shipped().bases):
        for kind in AgencyKind:
            assert not any(ever(kind, Role.SOCIAL_WORKER, purpose).values())


def test_a_machine_or_auditing_role_opens_nothing() -> None:
    for role in (Role.SECURITY_AUDITOR, Role.PRIVACY_OFFICER, Role.INTEGRATOR):
        for kind, purpose in itertools.product(AgencyKind, shipped().bases):
            assert not any(ever(kind, role, purpose).values())


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
        assert not found.opens_default()
