"""What opens: token scopes, and one custodian's grants, and nothing else."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.paths import INVOLVEMENTS, LINKED_ADULT, PRACTITIONER, PREVIOUS, SCOPES
from auth.sharing import Agreement, AgreementSet, Organisation, open_cells
from auth.standing import NO_STANDING, standing_of, strongest
from schema.vocabulary import (
    AgencyKind,
    Assurance,
    Purpose,
    Relationship,
    Role,
    SourceReason,
    WithheldCode,
)
from tests.auth.model import (
    COUNCIL,
    EVERY_SCOPE,
    TODAY,
    agreed,
    agreement,
    caller,
    custodian,
    entitled,
    grant,
    on_behalf_of,
)

PLANS = "childrensServices.plans"


def opened(agreements: AgreementSet, relationship: Relationship = Relationship.NONE, **who: Any) -> frozenset[str]:
    return entitled(agreements, caller(**who)).by_custodian["cs"].at(standing_of(relationship))


def test_a_grant_opens_what_it_names_to_whom_it_names() -> None:
    assert opened(agreed(agreement(grant(opens=frozenset({INVOLVEMENTS, PLANS}))))) == {INVOLVEMENTS, PLANS}


def test_without_an_agreement_nothing_opens_and_the_source_is_not_asked() -> None:
    entitlement = entitled(agreed()).by_custodian["cs"]

    assert not any(entitlement.opens.values())
    assert entitlement.not_asked is SourceReason.NO_AGREEMENT


@pytest.mark.parametrize(
    "who",
    [
        pytest.param({"organisation": "unheard-of"}, id="an-organisation-that-is-not-listed"),
        pytest.param({"roles": frozenset()}, id="no-role"),
        pytest.param({"roles": frozenset({Role.GP})}, id="another-role"),
        pytest.param({"scopes": frozenset()}, id="no-scope"),
        pytest.param({"scopes": EVERY_SCOPE - {"involvement:read"}}, id="without-the-scope-of-the-default"),
        pytest.param({"on_behalf_of": on_behalf_of(role=Role.GP)}, id="a-system-for-a-person-of-another-role"),
    ],
)
def test_a_caller_outside_the_grant_opens_nothing(who: dict[str, Any]) -> None:
    entitlement = entitled(agreed(agreement(grant())), caller(**who)).by_custodian["cs"]

    assert not any(entitlement.opens.values())
    assert entitlement.not_asked is SourceReason.NO_AGREEMENT


@pytest.mark.parametrize(
    "differs",
    [
        pytest.param({"kinds": frozenset({AgencyKind.POLICE})}, id="another-kind-of-organisation"),
        pytest.param({"organisations": frozenset({"brook-council"})}, id="another-organisation-by-name"),
        pytest.param({"purposes": frozenset({Purpose.CIN_S17})}, id="another-purpose"),
        pytest.param({"opens": frozenset({PLANS})}, id="not-the-default-answer"),
        pytest.param({"relationship": Relationship.ORGANISATION}, id="only-for-a-relationship"),
        pytest.param({"relationship": Relationship.OVERRIDE}, id="only-for-break-glass"),
    ],
)
def test_a_grant_to_others_opens_nothing(differs: dict[str, Any]) -> None:
    entitlement = entitled(agreed(agreement(grant(**differs)))).by_custodian["cs"]

    assert not any(entitlement.opens.values())


def test_an_id_beats_its_kind_even_where_it_opens_less() -> None:
    generous = agreement(grant(), id="kind", custodian="kind:CHILDRENS_SERVICES")
    narrow = agreement(grant(opens=frozenset({INVOLVEMENTS})), id="own")

    assert opened(agreed(generous)) == frozenset(SCOPES)
    assert opened(agreed(generous, narrow)) == {INVOLVEMENTS}


def test_a_lapsed_agreement_of_its_own_is_not_replaced_by_that_of_its_kind() -> None:
    generous = agreement(grant(), id="kind", custodian="kind:CHILDRENS_SERVICES")
    lapsed = agreement(grant(), id="own", review_on=TODAY - timedelta(days=1))

    assert opened(agreed(generous, lapsed)) == frozenset()


@pytest.mark.parametrize(
    ("today", "opens"),
    [
        pytest.param(date(2025, 12, 31), False, id="the-day-before-approval"),
        pytest.param(date(2026, 1, 1), True, id="the-day-of-approval"),
        pytest.param(date(2026, 12, 31), True, id="the-day-of-review"),
        pytest.param(date(2027, 1, 1), False, id="the-day-after-review"),
    ],
)
def test_an_agreement_is_in_force_from_approval_to_review(today: date, *, opens: bool) -> None:
    entitlements = entitled(agreed(agreement(grant())), today=today)

    assert bool(entitlements.by_custodian["cs"].at(NO_STANDING)) is opens
    assert (entitlements.withheld(PLANS) is None) is opens
    if not opens:
        assert entitlements.withheld(PLANS) == (WithheldCode.AGREEMENT_LAPSED, ())


@pytest.mark.parametrize("commenced", [None, TODAY + timedelta(days=1)], ids=["never", "tomorrow"])
def test_a_power_that_has_not_commenced_opens_nothing(commenced: date | None) -> None:
    entitlements = entitled(agreed(agreement(grant()), commenced=commenced))

    assert not entitlements.opens_default
    assert entitlements.withheld(PLANS) == (WithheldCode.AGREEMENT_LAPSED, ())


def test_a_purpose_without_a_basis_opens_nothing() -> None:
    agreements = dataclasses.replace(agreed(agreement(grant())), bases={})

    assert opened(agreements) == frozenset()
    assert agreements.basis(Purpose.CP_S47, TODAY) is None


def test_the_area_is_that_of_the_callers_organisation() -> None:
    here, there = (agreement(grant(), areas=frozenset({area})) for area in ("amber", "brook"))

    assert opened(agreed(here)) == frozenset(SCOPES)
    entitlement = entitled(agreed(there)).by_custodian["cs"]
    assert not any(entitlement.opens.values())
    assert entitlement.not_asked is SourceReason.OUT_OF_AREA


def test_out_of_area_is_told_only_to_those_of_whom_the_agreement_speaks() -> None:
    for other in (
        agreement(grant(kinds=frozenset({AgencyKind.POLICE})), areas=frozenset({"brook"})),
        agreement(grant(), areas=frozenset({"brook"}), review_on=date(2026, 2, 1)),
    ):
        assert entitled(agreed(other)).by_custodian["cs"].not_asked is SourceReason.NO_AGREEMENT


def test_an_organisation_without_an_area_is_in_no_named_area() -> None:
    everywhere = dataclasses.replace(COUNCIL, area=None)

    assert not agreement(areas=frozenset({"amber"})).covers_area(everywhere)
    assert agreement().covers_area(everywhere)


def test_what_needs_a_strong_sign_in_opens_with_one_and_is_told_without() -> None:
    agreements = agreed(agreement(grant(opens=frozenset({INVOLVEMENTS})), grant(assurance=Assurance.STRONG)))
    weak = entitled(agreements, caller(assurance=Assurance.STANDARD))

    assert PLANS in opened(agreements)
    assert weak.by_custodian["cs"].at(NO_STANDING) == {INVOLVEMENTS}
    assert weak.withheld(PLANS) == (WithheldCode.STEP_UP_REQUIRED, ())
    assert not weak.default_at_strong() or INVOLVEMENTS in weak.by_custodian["cs"].at_strong


def test_a_source_that_opens_after_a_stronger_sign_in_says_so() -> None:
    entitlements = entitled(agreed(agreement(grant(assurance=Assurance.STRONG))), caller(assurance=Assurance.STANDARD))

    assert not entitlements.opens_default
    assert entitlements.default_at_strong()


@pytest.mark.parametrize("granted", Relationship)
@pytest.mark.parametrize("actual", Relationship)
def test_a_grant_for_a_relationship_opens_to_who_stands_in_it(granted: Relationship, actual: Relationship) -> None:
    table = {
        Relationship.NONE: set(Relationship),
        Relationship.ORGANISATION: {Relationship.ORGANISATION, Relationship.PRACTITIONER},
        Relationship.PRACTITIONER: {Relationship.PRACTITIONER},
        Relationship.APPOINTED: {Relationship.APPOINTED},
        Relationship.OVERRIDE: {Relationship.OVERRIDE},
    }
    agreements = agreed(
        agreement(grant(opens=frozenset({INVOLVEMENTS})), grant(opens=frozenset({PLANS}), relationship=granted))
    )

    assert (PLANS in opened(agreements, actual)) is (actual in table[granted])


def test_grants_of_every_relationship_in_a_standing_open_together() -> None:
    agreements = agreed(
        agreement(
            grant(opens=frozenset({INVOLVEMENTS})),
            grant(opens=frozenset({PLANS}), relationship=Relationship.PRACTITIONER),
            grant(opens=frozenset({PREVIOUS}), relationship=Relationship.OVERRIDE),
        )
    )
    entitlement = entitled(agreements).by_custodian["cs"]
    both = standing_of(Relationship.OVERRIDE, Relationship.PRACTITIONER)

    assert entitlement.at(both) == {INVOLVEMENTS, PLANS, PREVIOUS}
    assert strongest(both) is Relationship.OVERRIDE


@pytest.mark.parametrize("assurance", Assurance)
def test_a_grant_that_waits_for_an_appointment_is_told_whatever_the_sign_in(assurance: Assurance) -> None:
    waiting = agreement(
        grant(opens=frozenset({INVOLVEMENTS}), relationship=Relationship.APPOINTED, assurance=Assurance.STRONG)
    )

    assert entitled(agreed(waiting), caller(assurance=assurance)).may_be_appointed
    assert not entitled(agreed(waiting), caller(roles=frozenset({Role.GP}))).may_be_appointed
    assert not entitled(agreed(waiting), purpose=Purpose.CIN_S17).may_be_appointed
    assert not entitled(agreed(agreement(grant()))).may_be_appointed


def test_break_glass_sees_what_override_opens_and_not_what_a_caseload_would() -> None:
    agreements = agreed(
        agreement(
            grant(opens=frozenset({INVOLVEMENTS}), relationship=Relationship.OVERRIDE),
            grant(opens=frozenset({PLANS}), relationship=Relationship.ORGANISATION),
        )
    )

    assert not entitled(agreements).opens_default
    broken = entitled(agreements, floor=standing_of(Relationship.OVERRIDE))
    assert broken.opens_default
    assert broken.by_custodian["cs"].at(broken.floor) == {INVOLVEMENTS}
    assert broken.withheld(INVOLVEMENTS) is None


def test_a_source_about_adults_is_asked_only_where_adult_entries_open() -> None:
    adults = custodian("p", about_adults=True, kind=AgencyKind.PROBATION)
    with_child_only = agreed(agreement(grant(opens=frozenset({INVOLVEMENTS})), custodian="p"))
    with_adults = agreed(agreement(grant(opens=frozenset({LINKED_ADULT})), custodian="p"))

    assert entitled(with_child_only, None, adults).by_custodian["p"].not_asked is SourceReason.NO_AGREEMENT
    assert entitled(with_adults, None, adults).by_custodian["p"].not_asked is None
    assert not entitled(with_adults, None, adults).opens_default, "an adult's entry is not the default answer"


# ------------------------------------------------------------------------------------- withheld, and in what order


STEPS: list[tuple[WithheldCode, dict[str, Any]]] = [
    (WithheldCode.STEP_UP_REQUIRED, {"assurance": Assurance.STRONG}),
    (WithheldCode.PURPOSE_NOT_GRANTED, {"purposes": frozenset({Purpose.CIN_S17})}),
    (WithheldCode.ROLE_NOT_GRANTED, {"roles": frozenset({Role.GP})}),
]


@pytest.mark.parametrize("first", range(len(STEPS)))
def test_of_several_reasons_the_one_nearest_to_opening_is_told(first: int) -> None:
    grants = [grant(opens=frozenset({PLANS}), **differs) for _, differs in STEPS[first:]]
    agreements = agreed(agreement(grant(opens=frozenset({INVOLVEMENTS})), *grants))

    found = entitled(agreements, caller(assurance=Assurance.STANDARD)).withheld(PLANS)

    assert found == (STEPS[first][0], ())


def test_a_stronger_sign_in_is_told_before_a_lapse_and_a_lapse_before_the_purpose() -> None:
    strong = agreement(grant(assurance=Assurance.STRONG), id="1")
    lapsed = agreement(grant(), id="2", review_on=date(2026, 2, 1))
    other = agreement(grant(purposes=frozenset({Purpose.CIN_S17})), id="3")
    weak = caller(assurance=Assurance.STANDARD)

    assert entitled(agreed(strong, lapsed, other), weak).withheld(PLANS) == (WithheldCode.STEP_UP_REQUIRED, ())
    assert entitled(agreed(lapsed, other), weak).withheld(PLANS) == (WithheldCode.AGREEMENT_LAPSED, ())
    assert entitled(agreed(other), weak).withheld(PLANS) == (WithheldCode.PURPOSE_NOT_GRANTED, ())


@pytest.mark.parametrize("path", SCOPES)
def test_a_missing_scope_is_told_first_and_named(path: str) -> None:
    scope = SCOPES[path]
    without = entitled(agreed(agreement(grant())), caller(scopes=EVERY_SCOPE - {scope}))

    assert without.withheld(path) == (WithheldCode.MISSING_SCOPE, (scope.value,))


def test_what_one_custodian_opens_is_not_withheld_and_each_can_be_asked_about_alone() -> None:
    agreements = agreed(agreement(grant()))
    entitlements = entitled(agreements, None, custodian(), custodian("other"))

    assert entitlements.withheld(PLANS) is None
    assert entitlements.withheld(PLANS, entitlements.by_custodian["other"]) == (WithheldCode.ROLE_NOT_GRANTED, ())


def test_a_path_that_no_custodian_holds_is_not_granted_to_anybody() -> None:
    entitlements = entitled(agreed(agreement(grant())), None, custodian(holds=frozenset({INVOLVEMENTS})))

    assert entitlements.withheld(PLANS) == (WithheldCode.ROLE_NOT_GRANTED, ())


# --------------------------------------------------------------------------------------- less never opens more


SOME_PATHS = st.frozensets(st.sampled_from(sorted(SCOPES)), min_size=1).map(lambda p: p | {INVOLVEMENTS})
GRANTS = st.builds(
    grant,
    kinds=st.frozensets(st.sampled_from([AgencyKind.CHILDRENS_SERVICES, AgencyKind.POLICE]), min_size=1),
    roles=st.frozensets(st.sampled_from([Role.SOCIAL_WORKER, Role.MASH_PRACTITIONER, Role.GP]), min_size=1),
    purposes=st.frozensets(st.sampled_from([Purpose.CP_S47, Purpose.CIN_S17]), min_size=1),
    relationship=st.sampled_from(Relationship),
    assurance=st.sampled_from(Assurance),
    opens=SOME_PATHS,
)
AGREEMENTS = st.lists(GRANTS, min_size=1, max_size=4).map(lambda grants: agreement(*grants))
CALLERS = st.builds(
    caller,
    roles=st.frozensets(st.sampled_from([Role.SOCIAL_WORKER, Role.MASH_PRACTITIONER, Role.GP])),
    scopes=st.frozensets(st.sampled_from(sorted(EVERY_SCOPE))),
    assurance=st.sampled_from(Assurance),
)


@given(AGREEMENTS, CALLERS, st.data())
def test_dropping_a_scope_a_role_or_the_strong_sign_in_never_adds_an_open_path(
    terms: Agreement, who: Any, data: st.DataObject
) -> None:
    less = dataclasses.replace(
        who,
        scopes=frozenset(data.draw(st.sets(st.sampled_from(sorted(who.scopes)))) if who.scopes else ()),
        roles=frozenset(data.draw(st.sets(st.sampled_from(sorted(who.roles)))) if who.roles else ()),
        assurance=data.draw(st.sampled_from([Assurance.STANDARD, who.assurance])),
    )
    for relationship in Relationship:
        assert opens(terms, less, relationship) <= opens(terms, who, relationship)


@given(AGREEMENTS, CALLERS, st.data())
def test_dropping_a_grant_never_adds_an_open_path(terms: Agreement, who: Any, data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.integers(0, len(terms.grants) - 1)))
    less = dataclasses.replace(terms, grants=tuple(g for i, g in enumerate(terms.grants) if i in kept))

    for relationship in Relationship:
        assert opens(less, who, relationship) <= opens(terms, who, relationship)


@given(AGREEMENTS, CALLERS)
def test_a_weaker_relationship_never_opens_more(terms: Agreement, who: Any) -> None:
    order = [Relationship.NONE, Relationship.ORGANISATION, Relationship.PRACTITIONER]
    for weaker, stronger in itertools.pairwise(order):
        assert opens(terms, who, weaker) <= opens(terms, who, stronger)
    assert opens(terms, who, Relationship.NONE) <= opens(terms, who, Relationship.APPOINTED)


@given(AGREEMENTS, CALLERS)
def test_whatever_opens_stands_in_a_grant_and_under_a_scope_of_the_token(terms: Agreement, who: Any) -> None:
    granted = frozenset().union(*(g.opens for g in terms.grants))
    for relationship in Relationship:
        for path in opens(terms, who, relationship):
            assert path in granted
            assert SCOPES[path] in who.scopes


def opens(terms: Agreement, who: Any, relationship: Relationship) -> frozenset[str]:
    return entitled(agreed(terms), who).by_custodian["cs"].at(standing_of(relationship))


# ----------------------------------------------------------------------------------------------- the finite table


def test_open_cells_are_those_of_agreements_in_force_for_purposes_that_have_commenced() -> None:
    live = agreement(grant(opens=frozenset({INVOLVEMENTS, PREVIOUS})), id="live")
    lapsed = agreement(grant(), id="lapsed", review_on=date(2026, 2, 1))
    cells = list(open_cells(agreed(lapsed, live), TODAY))

    assert {(c.custodian, c.role, c.purpose, c.field, c.agreement) for c in cells} == {
        ("cs", Role.SOCIAL_WORKER, Purpose.CP_S47, INVOLVEMENTS, "live"),
        ("cs", Role.SOCIAL_WORKER, Purpose.CP_S47, PREVIOUS, "live"),
    }
    assert list(open_cells(agreed(live, commenced=None), TODAY)) == []


@given(st.lists(GRANTS, min_size=1, max_size=3))
def test_what_opens_is_exactly_the_table_of_open_cells(grants: list[Any]) -> None:
    """For every kind, role, purpose, relationship and assurance: the cells open it, or nothing does."""
    agreements = agreed(
        agreement(*grants),
        parties=[Organisation(k.value, k.value, k, None) for k in (AgencyKind.CHILDRENS_SERVICES, AgencyKind.POLICE)],
    )
    cells = list(open_cells(agreements, TODAY, {"cs": AgencyKind.CHILDRENS_SERVICES}))
    for organisation in agreements.organisations.values():
        for role in (Role.SOCIAL_WORKER, Role.GP, Role.HOUSING_OFFICER):
            for purpose in (Purpose.CP_S47, Purpose.CIN_S17, Purpose.OMA_S14):
                for assurance in Assurance:
                    who = caller(organisation=organisation.id, roles=frozenset({role}), assurance=assurance)
                    entitlement = entitled(agreements, who, purpose=purpose).by_custodian["cs"]
                    for relationship in Relationship:
                        standing = standing_of(relationship)
                        expected = {
                            c.field
                            for c in cells
                            if (c.organisation_kind, c.role, c.purpose) == (organisation.kind, role, purpose)
                            and c.relationship in standing
                            and (c.assurance is Assurance.STANDARD or assurance is Assurance.STRONG)
                        }
                        floor = {
                            c.field
                            for c in cells
                            if (c.organisation_kind, c.role, c.purpose) == (organisation.kind, role, purpose)
                            and c.relationship is Relationship.NONE
                            and (c.assurance is Assurance.STANDARD or assurance is Assurance.STRONG)
                        }
                        assert entitlement.at(standing) == (expected if INVOLVEMENTS in floor else set())


def test_practitioner_names_have_a_path_of_their_own() -> None:
    assert SCOPES[PRACTITIONER] == SCOPES[INVOLVEMENTS]
    assert opened(agreed(agreement(grant(opens=frozenset({INVOLVEMENTS}))))) == {INVOLVEMENTS}


def test_a_set_that_opens_less_than_an_earlier_one_is_noticed_for_the_standing_that_it_concerns() -> None:
    of_organisation = grant(opens=frozenset({PLANS}), relationship=Relationship.ORGANISATION)
    before = entitled(agreed(agreement(grant(opens=frozenset({INVOLVEMENTS})), of_organisation)))
    after = entitled(agreed(agreement(grant(opens=frozenset({INVOLVEMENTS})))))
    theirs = standing_of(Relationship.ORGANISATION)

    assert after.still_opens(before, NO_STANDING)
    assert not after.still_opens(before, theirs)
    assert before.still_opens(after, theirs)
    assert not entitled(agreed()).still_opens(after, NO_STANDING)
