"""May this caller, for this purpose, look up a child at all? Every rule permits once and denies once."""

from __future__ import annotations

from typing import Any

import pytest

from auth.caller import ChildLookupDetail
from auth.decision import AllOf, AnyOf, Deny, Permit
from auth.paths import INVOLVEMENTS, PREVIOUS
from auth.policy import LOOK_UP_A_CHILD
from auth.rules import (
    HasScope,
    LookupRequest,
    NamesAPractitioner,
    OverrideIsJustified,
    PreviousAloneIsGranted,
    Refusal,
    SignedInLately,
    SomethingIsOpen,
    TokenIsForThisPurpose,
)
from auth.standing import standing_of
from schema.vocabulary import Assurance, Purpose, Relationship, Scope
from tests.auth.model import EVERY_SCOPE, agreed, agreement, caller, entitled, grant, on_behalf_of

NOW = 1_800_000_000.0
OPEN = agreed(agreement(grant()))
DEFAULT_ONLY = agreed(agreement(grant(opens=frozenset({INVOLVEMENTS}))))


def request(who: dict[str, Any] | None = None, **differs: Any) -> LookupRequest:
    asker = caller(**(who or {}))
    usual: dict[str, Any] = {
        "caller": asker,
        "purpose": Purpose.CP_S47,
        "case_reference": None,
        "entitlements": entitled(differs.pop("agreements", OPEN), asker),
        "previous_alone": False,
        "override": False,
        "accepts_review": False,
        "now": NOW,
    }
    return LookupRequest(**(usual | differs))


OF_CP = (ChildLookupDetail(Purpose.CP_S47, None),)
OF_CIN = (ChildLookupDetail(Purpose.CIN_S17, None),)
OF_CASE = (ChildLookupDetail(None, "case-1"),)
MAY_OVERRIDE = EVERY_SCOPE | {Scope.OVERRIDE.value}
APPOINTED_ONLY = agreed(agreement(grant(relationship=Relationship.APPOINTED)))

PERMITTED = [
    pytest.param(HasScope(Scope.INVOLVEMENT), request(), id="the-scope"),
    pytest.param(NamesAPractitioner(), request(), id="a-person"),
    pytest.param(
        NamesAPractitioner(), request({"subject": "client", "on_behalf_of": on_behalf_of()}), id="a-named-practitioner"
    ),
    pytest.param(TokenIsForThisPurpose(), request(), id="a-token-for-any-purpose"),
    pytest.param(TokenIsForThisPurpose(), request({"authorization_details": OF_CP}), id="a-token-for-this-purpose"),
    pytest.param(
        TokenIsForThisPurpose(), request({"authorization_details": OF_CIN + OF_CP}), id="one-detail-of-two-fits"
    ),
    pytest.param(
        TokenIsForThisPurpose(),
        request({"authorization_details": OF_CASE}, case_reference="case-1"),
        id="a-token-for-this-case",
    ),
    pytest.param(OverrideIsJustified(), request(), id="no-override"),
    pytest.param(
        OverrideIsJustified(), request({"scopes": MAY_OVERRIDE}, override=True, accepts_review=True), id="override"
    ),
    pytest.param(SignedInLately(900), request(), id="no-override-at-whatever-age"),
    *(
        pytest.param(SignedInLately(900), request({"authenticated_at": at}, override=True), id=f"override-{name}")
        for name, at in [("now", NOW), ("at-the-limit", NOW - 900), ("by-a-clock-that-runs-ahead", NOW + 30)]
    ),
    pytest.param(SomethingIsOpen(), request(), id="something-open"),
    pytest.param(
        SomethingIsOpen(),
        request(entitlements=entitled(APPOINTED_ONLY, floor=standing_of(Relationship.APPOINTED))),
        id="something-open-to-the-appointed",
    ),
    pytest.param(PreviousAloneIsGranted(PREVIOUS), request(previous_alone=True), id="previous-granted"),
    pytest.param(PreviousAloneIsGranted(PREVIOUS), request(agreements=DEFAULT_ONLY), id="previous-not-alone"),
]


@pytest.mark.parametrize(("rule", "asked"), PERMITTED)
def test_a_rule_permits_and_says_its_name(rule: Any, asked: LookupRequest) -> None:
    decision = rule.decide(asked)

    assert isinstance(decision, Permit)
    assert decision
    assert decision.rule


REFUSED = [
    pytest.param(
        HasScope(Scope.INVOLVEMENT), request({"scopes": frozenset()}), Refusal.MISSING_SCOPE, id="without-the-scope"
    ),
    pytest.param(NamesAPractitioner(), request({"subject": "client"}), Refusal.NO_PRACTITIONER, id="a-machine"),
    pytest.param(
        TokenIsForThisPurpose(), request({"authorization_details": OF_CIN}), Refusal.OTHER_PURPOSE, id="other-purpose"
    ),
    pytest.param(
        TokenIsForThisPurpose(),
        request({"authorization_details": OF_CASE}),
        Refusal.OTHER_PURPOSE,
        id="a-token-for-a-case-and-none-given",
    ),
    pytest.param(
        OverrideIsJustified(),
        request(override=True, accepts_review=True),
        Refusal.OVERRIDE_NOT_GRANTED,
        id="override-without-scope",
    ),
    pytest.param(
        OverrideIsJustified(),
        request({"scopes": MAY_OVERRIDE, "assurance": Assurance.STANDARD}, override=True, accepts_review=True),
        Refusal.STEP_UP_REQUIRED,
        id="override-with-a-weak-sign-in",
    ),
    pytest.param(
        OverrideIsJustified(),
        request({"scopes": MAY_OVERRIDE}, override=True),
        Refusal.REVIEW_NOT_ACCEPTED,
        id="override-without-review",
    ),
    *(
        pytest.param(
            SignedInLately(900),
            request({"authenticated_at": at}, override=True),
            Refusal.SIGN_IN_TOO_OLD,
            id=f"override-with-a-sign-in-{name}",
        )
        for name, at in [("too-old", NOW - 901), ("not-stated", None), ("of-tomorrow", NOW + 31)]
    ),
    pytest.param(
        SomethingIsOpen(), request(agreements=APPOINTED_ONLY), Refusal.NOT_APPOINTED, id="open-to-the-appointed-alone"
    ),
    pytest.param(SomethingIsOpen(), request(agreements=agreed()), Refusal.NOTHING_GRANTED, id="nothing-granted"),
    pytest.param(
        SomethingIsOpen(),
        request({"assurance": Assurance.STANDARD}, agreements=agreed(agreement(grant(assurance=Assurance.STRONG)))),
        Refusal.STEP_UP_REQUIRED,
        id="open-after-a-stronger-sign-in",
    ),
    pytest.param(
        PreviousAloneIsGranted(PREVIOUS),
        request(previous_alone=True, agreements=DEFAULT_ONLY),
        Refusal.PREVIOUS_NOT_GRANTED,
        id="previous-alone",
    ),
]


@pytest.mark.parametrize(("rule", "asked", "reason"), REFUSED)
def test_a_rule_denies_with_its_name_and_reason(rule: Any, asked: LookupRequest, reason: Refusal) -> None:
    decision = rule.decide(asked)

    assert isinstance(decision, Deny)
    assert not decision
    assert decision.reason == reason
    assert decision.rule


@pytest.mark.parametrize(("rule", "asked", "reason"), REFUSED)
def test_the_policy_of_a_lookup_refuses_what_any_rule_refuses(rule: Any, asked: LookupRequest, reason: Refusal) -> None:
    assert not LOOK_UP_A_CHILD.decide(asked)


def test_the_policy_asks_a_strong_and_new_sign_in_of_an_override() -> None:
    may = {"scopes": MAY_OVERRIDE, "authenticated_at": NOW - 60}
    asked = {"override": True, "accepts_review": True}

    assert LOOK_UP_A_CHILD.decide(request(may, **asked)) == Permit("look-up-a-child")
    assert LOOK_UP_A_CHILD.decide(request(may, **asked, now=NOW + 900)) == Deny(
        "signed-in-lately 900", Refusal.SIGN_IN_TOO_OLD
    )


def test_the_policy_permits_an_ordinary_lookup() -> None:
    assert LOOK_UP_A_CHILD.decide(request()) == Permit("look-up-a-child")


def test_every_refusal_is_reached_by_some_rule() -> None:
    assert {parameters.values[2] for parameters in REFUSED} == set(Refusal)


class Yes:
    def decide(self, asked: object) -> Permit:
        return Permit("yes")


class No:
    def __init__(self, name: str = "no") -> None:
        self.name = name

    def decide(self, asked: object) -> Deny:
        return Deny(self.name, "NO")


def test_an_empty_list_of_rules_denies() -> None:
    assert AllOf(()).decide(None) == Deny("all-of", "NO_RULE")
    assert AnyOf(()).decide(None) == Deny("any-of", "NO_RULE")


def test_all_of_gives_the_first_refusal_and_any_of_the_first_permit_or_the_last_refusal() -> None:
    assert AllOf((Yes(), No("a"), No("b"))).decide(None) == Deny("a", "NO")
    assert AllOf((Yes(), Yes())).decide(None) == Permit("all-of")
    assert AnyOf((No("a"), Yes(), No("b"))).decide(None) == Permit("yes")
    assert AnyOf((No("a"), No("b"))).decide(None) == Deny("b", "NO")
