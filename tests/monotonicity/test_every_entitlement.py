"""Every asker whom the shipped agreements can tell apart, with everything and with one thing less: nothing is added.

Not sampled: each organisation kind, role, purpose and assurance at one custodian of each kind; each scope, role,
relationship, agreement and lawful basis that can be lost. In an ordinary run only those to whom something is open lose
scopes; with CONTACTPOINT_TEST_DROPS from 5,000 everybody does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations, product
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


Asker = tuple[AgencyKind, Role, Purpose]


def opened(
    agreements: AgreementSet,
    asker: Asker,
    *more: Role,
    custodians: Iterable[Custodian] = CUSTODIANS,
    **less: object,
) -> Entitlements:
    kind, role, purpose = asker
    usual = {"organisation": kind.lower(), "roles": frozenset({role, *more}), "assurance": Assurance.STRONG}
    return entitle(agreements, custodians, caller(**(usual | less)), purpose, TODAY)


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


def askers() -> Iterable[Asker]:
    """Return every asker; in an ordinary run those of whom some grant speaks."""
    if EVERY_ASKER:
        return product(AgencyKind, Role, Purpose)
    grants = [grant for agreement in AGREED.agreements for grant in agreement.grants]
    return sorted({asker for g in grants for asker in product(g.kinds, g.roles, g.purposes)})


def test_no_loss_of_a_scope_or_of_a_strong_sign_in_opens_anything(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    broken, compared, open_askers = [], 0, 0
    for asker in askers():
        strong = opened(AGREED, asker)
        standard = opened(AGREED, asker, assurance=Assurance.STANDARD)
        broken += [f"{asker} assurance: {x}" for x in beyond(strong, standard)]
        open_askers += opens_any(strong)
        held = ((strong, Assurance.STRONG), (standard, Assurance.STANDARD))
        for before, assurance in held if opens_any(strong) else held[:1]:
            for scope in EVERY_SCOPE:
                after = opened(AGREED, asker, assurance=assurance, scopes=EVERY_SCOPE - {scope})
                broken += [f"{asker} {scope}: {x}" for x in beyond(before, after)]
                compared += 1
    record_testsuite_property("entitlements under the shipped agreements compared with one scope less", compared)
    record_testsuite_property("askers to whom something is open, of all kinds, roles and purposes", open_askers)
    assert not broken, broken[:10]
    assert open_askers > 30


def test_no_loss_of_a_role_opens_anything() -> None:
    broken = []
    speaking: dict[tuple[AgencyKind, Purpose], set[Role]] = {}
    for kind, role, purpose in askers():
        if purpose in AGREED.bases:
            speaking.setdefault((kind, purpose), set()).add(role)
    for (kind, purpose), roles in speaking.items():
        alone = {role: opened(AGREED, (kind, role, purpose)) for role in roles}
        told = [role for role in roles if opens_any(alone[role])] + sorted(roles)[:2]
        for role, other in product(told, roles):
            both = opened(AGREED, (kind, role, purpose), other)
            broken += [f"{kind} {role} {other} {purpose}: {x}" for x in beyond(both, alone[role])]
    assert not broken, broken[:10]


def test_no_loss_of_a_relationship_opens_anything() -> None:
    pairs = [(whole, less) for whole in STANDINGS for less in STANDINGS if less < whole]
    for asker in askers():
        found = opened(AGREED, asker)
        for entitlement in found.by_custodian.values() if opens_any(found) else ():
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
    # what a custodian opens depends on its agreements, and on no other's
    changed = [c for c in CUSTODIANS if any(AGREED.of(c) != less.of(c) for less in (removed, lapsed))]
    assert changed
    broken = []
    for asker in askers():
        before = opened(AGREED, asker, custodians=changed)
        for less in (removed, lapsed):
            broken += [f"{asker}: {x}" for x in beyond(before, opened(less, asker, custodians=changed))]
    assert not broken, broken[:10]


@pytest.mark.parametrize("purpose", sorted(SHIPPED.bases))
def test_no_loss_of_a_lawful_basis_opens_anything(purpose: Purpose) -> None:
    gone = replace(AGREED, bases={p: b for p, b in AGREED.bases.items() if p != purpose})
    ended = replace(AGREED, bases={**AGREED.bases, purpose: replace(AGREED.bases[purpose], commenced=None)})
    for asker in askers():
        if asker[2] == purpose:
            before = opened(AGREED, asker)
            for less in (gone, ended):
                assert not list(beyond(before, opened(less, asker)))


def test_a_fault_in_the_entitlement_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # a strong sign-in taken for another class of caller: grants for STANDARD are lost with it
    monkeypatch.setattr("auth.entitlements._ENOUGH", {each: frozenset({each}) for each in Assurance})
    asker = (AgencyKind.CHILDRENS_SERVICES, Role.SOCIAL_WORKER, Purpose.CP_S47)
    strong = opened(AGREED, asker)
    standard = opened(AGREED, asker, assurance=Assurance.STANDARD)
    assert list(beyond(strong, standard))


def test_a_standing_that_opens_less_for_more_is_noticed() -> None:
    found = opened(AGREED, (AgencyKind.CHILDRENS_SERVICES, Role.SOCIAL_WORKER, Purpose.CP_S47))
    one: Custodian = CUSTODIANS[0]
    held = found.by_custodian[one.id]
    only_one = {s: held.opens[max(s, key=list(Relationship).index)] for s in STANDINGS}
    broken = replace(held, _at=only_one)
    assert list(wider(broken, [(w, less) for w in STANDINGS for less in STANDINGS if less < w]))
