"""Small callers, custodians and agreement sets for tests of the access model, built without files or tokens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from auth.caller import Caller, OnBehalfOf
from auth.entitlements import Entitlements, entitle
from auth.paths import SCOPES
from auth.sharing import Agreement, AgreementSet, Custodian, Grant, LawfulBasis, Organisation
from auth.standing import NO_STANDING, Standing
from schema.vocabulary import AgencyKind, Assurance, Purpose, Regime, Relationship, Role

TODAY: Final = date(2026, 6, 1)
EVERY_SCOPE: Final = frozenset(scope.value for scope in SCOPES.values())
COUNCIL: Final = Organisation("amber-council", "Amber Council", AgencyKind.CHILDRENS_SERVICES, "amber")


def caller(**differs: Any) -> Caller:
    """Return a strongly signed-in social worker of amber-council who has every scope, with fields replaced."""
    usual: dict[str, Any] = {
        "issuer": "https://id.amber.example",
        "subject": "worker",
        "client_id": "client",
        "organisation": COUNCIL.id,
        "roles": frozenset({Role.SOCIAL_WORKER}),
        "scopes": EVERY_SCOPE,
        "assurance": Assurance.STRONG,
        "token_id": "t",
        "issued_at": 0,
        "expires_at": 1,
        "authenticated_at": None,
        "actor": None,
        "on_behalf_of": None,
        "registration": None,
        "name": None,
        "team": None,
        "authorization_details": (),
    }
    return Caller(**(usual | differs))


def on_behalf_of(**differs: Any) -> OnBehalfOf:
    """Return a named social worker behind a system."""
    usual: dict[str, Any] = {"subject": "sw-1", "name": "Casey", "role": Role.SOCIAL_WORKER, "registration": None}
    return OnBehalfOf(**(usual | differs))


def grant(**differs: Any) -> Grant:
    """Return a grant of everything to the usual caller's kind, role and purpose, whatever the relationship."""
    usual: dict[str, Any] = {
        "kinds": frozenset({AgencyKind.CHILDRENS_SERVICES}),
        "organisations": frozenset(),
        "roles": frozenset({Role.SOCIAL_WORKER}),
        "purposes": frozenset({Purpose.CP_S47}),
        "relationship": Relationship.NONE,
        "assurance": Assurance.STANDARD,
        "opens": frozenset(SCOPES),
    }
    return Grant(**(usual | differs))


def agreement(*grants: Grant, **differs: Any) -> Agreement:
    """Return an agreement of the custodian `cs`, in force on TODAY."""
    usual: dict[str, Any] = {
        "id": "an-agreement",
        "title": "t",
        "custodian": "cs",
        "controller": "c",
        "owner": "o",
        "approver": "a",
        "approved_on": date(2026, 1, 1),
        "review_on": date(2026, 12, 31),
        "areas": frozenset(),
        "impact_assessment": None,
        "grants": grants,
    }
    return Agreement(**(usual | differs))


def agreed(
    *agreements: Agreement,
    commenced: date | None = date(2000, 1, 1),
    parties: Iterable[Organisation] = (COUNCIL,),
    regime: Regime = Regime.UK_GDPR,
) -> AgreementSet:
    """Return a set of these agreements; every purpose has a basis that commenced then, of one regime."""
    bases = {p: LawfulBasis(p, "g", regime, regime, commenced) for p in Purpose}
    return AgreementSet("v1", {o.id: o for o in parties}, bases, agreements)


def custodian(name: str = "cs", **differs: Any) -> Custodian:
    """Return a custodian that holds every path."""
    usual: dict[str, Any] = {
        "id": name,
        "kind": AgencyKind.CHILDRENS_SERVICES,
        "organisation": "owner",
        "holds": frozenset(SCOPES),
        "about_adults": False,
    }
    return Custodian(**(usual | differs))


def entitled(
    agreements: AgreementSet,
    who: Caller | None = None,
    *custodians: Custodian,
    purpose: Purpose = Purpose.CP_S47,
    today: date = TODAY,
    floor: Standing = NO_STANDING,
) -> Entitlements:
    """Return what the usual caller, or another, is entitled to at `cs`, or at other custodians."""
    return entitle(agreements, custodians or (custodian(),), who or caller(), purpose, today, floor=floor)
