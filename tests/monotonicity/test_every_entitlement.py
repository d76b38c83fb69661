"""Every asker whom the shipped agreements can tell apart, with everything and with one thing less: nothing is added.

Not sampled: each organisation kind, role, purpose and assurance at one custodian of each kind; each scope, role,
relationship, agreement and lawful basis that can be lost. In an ordinary run only those to whom something is open lose
scopes; with CONTACTPOINT_TEST_DROPS from 5,000 everybody does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations
from typing import Final

import pytest

from auth import agreement_files
from auth.entitlements import Entitlement, Entitlements, entitle
from auth.sharing import AgreementSet, Custodian, Organisation
from auth.standing import Standing, standing_of
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship, Role
from tests.auth.model import EVERY_SCOPE, caller, custodian

EVERY_ASKER: Final = int(os.environ.get("CONTACTPOINT_TEST_DROPS", "0")) >= 5_000
SHIPPED: Final = agreement_files.load(agreement_files.SHIPPED)
TODAY: Final = max(a.approved_on for a in SHIPPED.agreements) + timedelta(days=1)
ABOUT_ADULTS: Final = {AgencyKind.PROBATION, AgencyKind.PRISON}
CUSTODIANS: Final = tuple(
    custodian(kind.lower(), kind=kind, about_adults=kind in ABOUT_ADULTS)
    for kind in AgencyKind
    if any(a.custodian == f"kind:{kind}" for a in SHIPPED.agreements)
)
STANDINGS: Final = tuple(
    {standing_of(*held) for n in range(len(Relationship) + 1) for held in combinations(Relationship, n)}
)


def commenced(agreements: AgreementSet) -> AgreementSet:
    """Return the set with one organisation of each kind, and every listed basis in force."""
    parties = {kind.lower(): Organisation(kind.lower(), kind, kind, "amber") for kind in AgencyKind}
    bases = {p: replace(b, commenced=b.commenced or date(2026, 1, 1)) for p, b in agreements.bases.items()}
    return replace(agreements, organisations=parties, bases=bases)


AGREED: Final = commenced(SHIPPED)


def opened(
    agreements: AgreementSet, kind: AgencyKind, roles: frozenset[Role], purpose: Purpose, **less: object
) -> Entitlements:
    who = caller(**({"organisation": kind.lower(), "roles": roles, "assurance": Assurance.STRONG} | less))
    return entitle(agreements, CUSTODIANS, who, purpose, TODAY)


def beyond(before: Entitlements, after: Entitlements) -> Iterator[str]:
    """Yield what opens in the second beyond the first, at each standing, and what only it asks."""
    for name, then in before.by_custodian.items():
        now = after.by_custodian[name]
        if then.not_asked is not None and now.not_asked is None:
            yield f"{name} is asked"
        for relationship in Relationship:
            for path in now.opens[relationship] - then.opens[relationship]:
                yield f"{name} {relationship} {path}"


def opens_any(found: Entitlements) -> bool:
    return any(any(e.opens.values()) for e in found.by_custodian.values())


def askers() -> Iterator[tuple[AgencyKind, Role, Purpose]]:
    return ((kind, role, purpose) for kind in AgencyKind for role in Role for purpose in Purpose)


def test_no_loss_of_a_scope_or_of_a_strong_sign_in_opens_anything(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    broken, compared, open_askers = [], 0, 0
    for kind, role, purpose in askers():
        strong = opened(AGREED, kind, frozenset({role}), purpose)
        standard = opened(AGREED, kind, frozenset({role}), purpose, assurance=Assurance.STANDARD)
        broken += [f"{kind} {role} {purpose} assurance: {x}" for x in beyond(strong, standard)]
        compared += 1
        open_askers += opens_any(strong)
        if not (opens_any(strong) or EVERY_ASKER):
            continue
        for before, assurance in (strong, Assurance.STRONG), (standard, Assurance.STANDARD):
            for scope in EVERY_SCOPE:
                after = opened(
                    AGREED, kind, frozenset({role}), purpose, assurance=assurance, scopes=EVERY_SCOPE - {scope}
                )
                broken += [f"{kind} {role} {purpose} {scope}: {x}" for x in beyond(before, after)]
                compared += 1
    record_testsuite_property("entitlements under the shipped agreements compared with one thing less", compared)
    record_testsuite_property("askers to whom something is open", open_askers)
    assert not broken, broken[:10]
    assert open_askers > 30


def test_no_loss_of_a_role_opens_anything() -> None:
    broken = []
    speaking = sorted({role for a in AGREED.agreements for g in a.grants for role in g.roles})
    for kind in AgencyKind:
        for purpose in AGREED.bases:
            alone = {role: opened(AGREED, kind, frozenset({role}), purpose) for role in speaking}
            for pair in combinations(speaking, 2):
                both = opened(AGREED, kind, frozenset(pair), purpose)
                broken += [f"{kind} {pair} {purpose}: {x}" for role in pair for x in beyond(both, alone[role])]
    assert not broken, broken[:10]


def test_no_loss_of_a_relationship_opens_anything() -> None:
    pairs = [(whole, less) for whole in STANDINGS for less in STANDINGS if less < whole]
    for kind, role, purpose in askers():
        if purpose in AGREED.bases:
            for entitlement in opened(AGREED, kind, frozenset({role}), purpose).by_custodian.values():
                assert not list(wider(entitlement, pairs))


def wider(entitlement: Entitlement, pairs: list[tuple[Standing, Standing]]) -> Iterator[str]:
    at = {standing: entitlement.at(standing) for standing in STANDINGS}
    return (f"{sorted(less)} beyond {sorted(whole)}" for whole, less in pairs if not at[less] <= at[whole])


@pytest.mark.parametrize("agreement", [a.id for a in SHIPPED.agreements])
def test_no_loss_of_an_agreement_opens_anything(agreement: str) -> None:
    removed = replace(AGREED, agreements=tuple(a for a in AGREED.agreements if a.id != agreement))
    lapsed = replace(
        AGREED,
        agreements=tuple(
            replace(a, review_on=TODAY - timedelta(days=1)) if a.id == agreement else a for a in AGREED.agreements
        ),
    )
    broken = []
    for kind, role, purpose in askers():
        if purpose not in AGREED.bases:
            continue
        before = opened(AGREED, kind, frozenset({role}), purpose)
        for less in (removed, lapsed):
            broken += [
                f"{kind} {role} {purpose}: {x}" for x in beyond(before, opened(less, kind, frozenset({role}), purpose))
            ]
    assert not broken, broken[:10]


@pytest.mark.parametrize("purpose", sorted(SHIPPED.bases))
def test_no_loss_of_a_lawful_basis_opens_anything(purpose: Purpose) -> None:
    gone = replace(AGREED, bases={p: b for p, b in AGREED.bases.items() if p != purpose})
    ended = replace(AGREED, bases={**AGREED.bases, purpose: replace(AGREED.bases[purpose], commenced=None)})
    for kind, role, asked in askers():
        if asked == purpose:
            before = opened(AGREED, kind, frozenset({role}), asked)
            for less in (gone, ended):
                assert not list(beyond(before, opened(less, kind, frozenset({role}), asked)))


def test_a_fault_in_the_entitlement_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # a strong sign-in taken for another class of caller: grants for STANDARD are lost with it
    monkeypatch.setattr("auth.entitlements._ENOUGH", {each: frozenset({each}) for each in Assurance})
    role, purpose = frozenset({Role.SOCIAL_WORKER}), Purpose.CP_S47
    strong = opened(AGREED, AgencyKind.CHILDRENS_SERVICES, role, purpose)
    standard = opened(AGREED, AgencyKind.CHILDRENS_SERVICES, role, purpose, assurance=Assurance.STANDARD)
    assert list(beyond(strong, standard))


def test_a_standing_that_opens_less_for_more_is_noticed() -> None:
    found = opened(AGREED, AgencyKind.CHILDRENS_SERVICES, frozenset({Role.SOCIAL_WORKER}), Purpose.CP_S47)
    one: Custodian = CUSTODIANS[0]
    held = found.by_custodian[one.id]
    only_one = {s: held.opens[max(s, key=list(Relationship).index)] for s in STANDINGS}
    broken = replace(held, _at=only_one)
    assert list(wider(broken, [(w, less) for w in STANDINGS for less in STANDINGS if less < w]))
