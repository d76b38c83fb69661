"""What no grant can open, judged where entitlements and the matrix are made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.hard_rules import HardRule, broken_by
from auth.sharing import Organisation, open_cells
from schema.vocabulary import AgencyKind, Purpose, Regime, Relationship
from tests.auth.model import TODAY, agreed, agreement, caller, entitled, grant

PART_3 = (Regime.DPA_PART_3, Regime.DPA_PART_3)
GDPR = (Regime.UK_GDPR, Regime.UK_GDPR)
USUAL: dict[str, Any] = {
    "purpose": Purpose.CP_S47,
    "regimes": GDPR,
    "custodian": AgencyKind.POLICE,
    "organisation": AgencyKind.CHILDRENS_SERVICES,
    "relationship": Relationship.NONE,
    "named": False,
    "impact_assessment": None,
}


def broken(**differs: Any) -> HardRule | None:
    return broken_by(**(USUAL | differs))


@pytest.mark.parametrize(
    ("differs", "rule"),
    [
        pytest.param({}, None, id="an-ordinary-grant"),
        *(
            pytest.param(
                {"purpose": Purpose.SERIOUS_VIOLENCE_S16, "custodian": kind},
                HardRule.SERIOUS_VIOLENCE,
                id=f"serious-violence-duty-at-{kind}",
            )
            for kind in (AgencyKind.HEALTH, AgencyKind.CHILDRENS_SERVICES, AgencyKind.ADULT_SOCIAL_CARE)
        ),
        pytest.param({"purpose": Purpose.SERIOUS_VIOLENCE_S16}, None, id="serious-violence-duty-at-police"),
        pytest.param(
            {"purpose": Purpose.OMA_S14, "regimes": PART_3, "organisation": AgencyKind.HEALTH},
            HardRule.OFFENDER_MANAGEMENT,
            id="nhs-asks-under-s14",
        ),
        pytest.param(
            {"purpose": Purpose.OMA_S14, "regimes": PART_3, "custodian": AgencyKind.HEALTH},
            HardRule.OFFENDER_MANAGEMENT,
            id="nhs-is-asked-under-s14",
        ),
        pytest.param({"purpose": Purpose.OMA_S14, "regimes": PART_3}, None, id="authority-asks-under-s14"),
        pytest.param({"purpose": Purpose.OMA_S14}, HardRule.REGIME, id="s14-outside-part-3"),
        pytest.param(
            {"purpose": Purpose.MAPPA_S325, "regimes": (Regime.DPA_PART_3, Regime.UK_GDPR)},
            HardRule.REGIME,
            id="mappa-with-a-recipient-outside-part-3",
        ),
        pytest.param({"purpose": Purpose.MAPPA_S325, "regimes": PART_3}, None, id="mappa-under-the-duty-to-cooperate"),
        pytest.param(
            {"purpose": Purpose.MAPPA_S325, "regimes": PART_3, "organisation": AgencyKind.SCHOOL},
            HardRule.MAPPA_INVITATION,
            id="mappa-associate-without-invitation",
        ),
        pytest.param(
            {
                "purpose": Purpose.MAPPA_S325,
                "regimes": PART_3,
                "organisation": AgencyKind.SCHOOL,
                "relationship": Relationship.APPOINTED,
            },
            None,
            id="mappa-associate-with-an-invitation-to-the-case",
        ),
        pytest.param({"organisation": AgencyKind.IMMIGRATION}, HardRule.IMMIGRATION, id="immigration"),
        pytest.param(
            {"organisation": AgencyKind.IMMIGRATION, "named": True}, HardRule.IMMIGRATION, id="immigration-only-named"
        ),
        pytest.param(
            {"organisation": AgencyKind.IMMIGRATION, "impact_assessment": "DPIA-12"},
            HardRule.IMMIGRATION,
            id="immigration-only-assessed",
        ),
        pytest.param(
            {"organisation": AgencyKind.IMMIGRATION, "named": True, "impact_assessment": "DPIA-12"},
            None,
            id="immigration-named-and-assessed",
        ),
    ],
)
def test_a_grant_counts_only_if_no_hard_rule_stands_against_it(differs: dict[str, Any], rule: HardRule | None) -> None:
    assert broken(**differs) is rule


@given(
    st.sampled_from(Purpose),
    st.sampled_from(AgencyKind),
    st.sampled_from(AgencyKind),
    st.sampled_from(Relationship),
    st.booleans(),
)
def test_no_serious_violence_lookup_ever_opens_health_or_care(
    purpose: Purpose, custodian: AgencyKind, organisation: AgencyKind, relationship: Relationship, named: bool
) -> None:
    rule = broken(
        purpose=purpose, custodian=custodian, organisation=organisation, relationship=relationship, named=named
    )

    care = custodian in {AgencyKind.HEALTH, AgencyKind.CHILDRENS_SERVICES, AgencyKind.ADULT_SOCIAL_CARE}
    assert not (purpose is Purpose.SERIOUS_VIOLENCE_S16 and care and rule is None)


IMMIGRATION = Organisation("border", "Border", AgencyKind.IMMIGRATION, None)


@pytest.mark.parametrize(
    ("named", "assessed", "opens"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_an_entitlement_and_the_matrix_heed_the_rules(named: bool, assessed: bool, opens: bool) -> None:
    to_border = grant(kinds=frozenset({AgencyKind.IMMIGRATION}), organisations=frozenset({"border"} if named else ()))
    agreements = agreed(agreement(to_border, impact_assessment="DPIA-12" if assessed else None), parties=(IMMIGRATION,))

    found = entitled(agreements, caller(organisation="border"))

    assert found.opens_default() is opens
    assert bool(list(open_cells(agreements, TODAY))) is opens
