"""What no grant can open, judged where entitlements and the matrix are made; what each purpose reaches at both ends."""

from __future__ import annotations

import itertools
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.appointments import APPOINTABLE
from auth.hard_rules import HardRule, broken_by
from auth.paths import SCOPES
from auth.purposes import GATEWAYS
from auth.sharing import Organisation, open_cells
from schema.vocabulary import AgencyKind, Purpose, Regime, Relationship
from tests.auth.model import TODAY, agreed, agreement, caller, custodian, entitled, grant

PART_3 = (Regime.DPA_PART_3, Regime.DPA_PART_3)
GDPR = (Regime.UK_GDPR, Regime.UK_GDPR)
LAW_ENFORCEMENT = {Purpose.MAPPA_S325, Purpose.OMA_S14}
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
            for kind in (AgencyKind.HEALTH, AgencyKind.CHILDRENS_SERVICES, AgencyKind.ADULT_SOCIAL_CARE, None)
        ),
        pytest.param({"purpose": Purpose.SERIOUS_VIOLENCE_S16}, None, id="serious-violence-duty-at-police"),
        pytest.param(
            {"purpose": Purpose.SERIOUS_VIOLENCE_S16, "path": "health.safeguarding"},
            HardRule.SERIOUS_VIOLENCE,
            id="health-data-that-the-police-hold",
        ),
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
        pytest.param(
            {"purpose": Purpose.OMA_S14, "regimes": PART_3, "organisation": AgencyKind.PROBATION},
            None,
            id="probation-asks-the-police-under-s14",
        ),
        pytest.param(
            {"purpose": Purpose.OMA_S14, "regimes": PART_3},
            HardRule.RECIPIENT_NOT_REACHED,
            id="an-authority-asks-the-police-under-s14",
        ),
        pytest.param(
            {"purpose": Purpose.OMA_S14, "regimes": PART_3, "custodian": AgencyKind.PROBATION},
            None,
            id="an-authority-asks-probation-under-s14",
        ),
        pytest.param(
            {"purpose": Purpose.OMA_S14, "organisation": AgencyKind.PROBATION}, HardRule.REGIME, id="s14-outside-part-3"
        ),
        pytest.param(
            {"purpose": Purpose.MAPPA_S325, "regimes": (Regime.DPA_PART_3, Regime.UK_GDPR)},
            HardRule.REGIME,
            id="mappa-with-a-recipient-outside-part-3",
        ),
        pytest.param(
            {"regimes": (Regime.UK_GDPR, Regime.DPA_PART_3)}, HardRule.REGIME, id="an-enquiry-called-law-enforcement"
        ),
        pytest.param(
            {"purpose": Purpose.SAFEGUARD_S16LA, "regimes": (Regime.DPA_PART_3, Regime.UK_GDPR)},
            None,
            id="the-police-safeguard-under-part-3",
        ),
        pytest.param(
            {"purpose": Purpose.SAFEGUARD_S16LA, "regimes": (Regime.UK_GDPR, Regime.DPA_PART_3)},
            HardRule.REGIME,
            id="no-authority-safeguards-under-part-3",
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
        pytest.param(
            {"purpose": Purpose.MAPPA_S325, "regimes": PART_3, "custodian": AgencyKind.SCHOOL},
            HardRule.CUSTODIAN_NOT_REACHED,
            id="mappa-associates-are-told-and-do-not-tell",
        ),
        *(
            pytest.param(
                {
                    "purpose": Purpose.CAFCASS_S42,
                    "custodian": AgencyKind.CHILDRENS_SERVICES,
                    "organisation": AgencyKind.CAFCASS,
                    "relationship": relationship,
                },
                None if relationship is Relationship.APPOINTED else HardRule.APPOINTMENT,
                id=f"a-guardian-{relationship}",
            )
            for relationship in Relationship
        ),
        pytest.param({"purpose": Purpose.COURT_ORDER}, HardRule.APPOINTMENT, id="a-court-order-that-nobody-registered"),
        pytest.param(
            {"purpose": Purpose.COURT_ORDER, "relationship": Relationship.OVERRIDE},
            HardRule.APPOINTMENT,
            id="break-glass-is-no-court-order",
        ),
        pytest.param(
            {"purpose": Purpose.COURT_ORDER, "relationship": Relationship.APPOINTED},
            None,
            id="a-registered-court-order",
        ),
        pytest.param(
            {"purpose": Purpose.PREVENT_CHANNEL, "relationship": Relationship.APPOINTED, "path": "police.events"},
            HardRule.MOST,
            id="a-panel-reads-no-record",
        ),
        pytest.param(
            {"purpose": Purpose.SAFEGUARD_S16LA, "organisation": AgencyKind.VOLUNTARY_SECTOR},
            HardRule.DESIGNATION,
            id="a-charity-that-nobody-designated",
        ),
        pytest.param(
            {"purpose": Purpose.SAFEGUARD_S16LA, "organisation": AgencyKind.VOLUNTARY_SECTOR, "named": True},
            None,
            id="a-named-charity",
        ),
        pytest.param({"organisation": AgencyKind.IMMIGRATION}, HardRule.IMMIGRATION, id="immigration"),
        *(
            pytest.param(
                {"purpose": purpose, "organisation": AgencyKind.IMMIGRATION, **differs},
                HardRule.IMMIGRATION,
                id=f"immigration-{purpose}-{word}",
            )
            for purpose in (Purpose.CP_S47, Purpose.UKVI_S55, Purpose.VITAL_INTERESTS)
            for word, differs in (("named", {"named": True}), ("assessed", {"impact_assessment": "DPIA-12"}))
        ),
        *(
            pytest.param(
                {
                    "purpose": purpose,
                    "organisation": AgencyKind.IMMIGRATION,
                    "named": True,
                    "impact_assessment": "DPIA-12",
                },
                rule,
                id=f"immigration-named-and-assessed-{purpose}",
            )
            for purpose, rule in (
                (Purpose.UKVI_S55, None),
                (Purpose.VITAL_INTERESTS, None),
                (Purpose.CP_S47, HardRule.RECIPIENT_NOT_REACHED),
                (Purpose.CONSENT, HardRule.RECIPIENT_NOT_REACHED),
            )
        ),
    ],
)
def test_a_grant_counts_only_if_no_hard_rule_stands_against_it(differs: dict[str, Any], rule: HardRule | None) -> None:
    assert broken(**differs) is rule


# What each purpose reaches, as a person read it from the Acts: custodians, then recipients, by initials.
WORDS: Final = {
    "cs": "CHILDRENS_SERVICES",
    "asc": "ADULT_SOCIAL_CARE",
    "pol": "POLICE",
    "btp": "TRANSPORT_POLICE",
    "prob": "PROBATION",
    "pris": "PRISON",
    "sec": "SECURE_ESTATE",
    "yj": "YOUTH_JUSTICE",
    "nhs": "HEALTH",
    "sch": "SCHOOL",
    "ey": "EARLY_YEARS",
    "hou": "HOUSING",
    "caf": "CAFCASS",
    "mod": "ARMED_FORCES",
    "imm": "IMMIGRATION",
    "vol": "VOLUNTARY_SECTOR",
    "home": "CHILDRENS_HOME",
    "fire": "FIRE_AND_RESCUE",
    "dis": "DISTRICT_COUNCIL",
    "oth": "OTHER",
}
ALL: Final = " ".join(WORDS)
_NOT_IMM = ALL.replace("imm ", "")
_S11 = "cs asc pol btp prob pris sec yj nhs sch ey hou dis home vol"
_S17 = "cs asc nhs sch ey hou dis yj home"
_PANEL = "cs asc pol prob pris sec yj nhs sch ey hou dis"
REACH: Final = {
    "CP_S47": (ALL, "cs nhs pol btp"),
    "CIN_S17": (_S17, _S17),
    "SAFEGUARD_S16LA": (_S11, _S11),
    "COOP_S10": ("", ""),
    "S11_FUNCTION": ("", ""),
    "CHILD_DEATH_REVIEW": (_NOT_IMM, "cs nhs pol"),
    "MAPPA_S325": (
        "pol prob pris cs asc nhs yj hou dis",
        "pol prob pris cs asc nhs yj hou dis sch ey caf vol home sec",
    ),
    "OMA_S14": ("prob pris pol cs asc hou dis yj", "prob pris pol cs asc hou dis yj"),
    "CDA_S115": (_NOT_IMM, "pol cs asc dis prob nhs"),
    "SERIOUS_VIOLENCE_S16": ("pol prob pris sec yj fire sch ey", "pol prob pris sec yj fire sch ey nhs cs asc dis"),
    "UKVI_S55": (ALL, "imm"),
    "HOMELESSNESS_S213B": ("cs asc pris sec yj prob nhs mod", "hou dis"),
    "CAFCASS_S42": ("cs vol", "caf"),
    "COURT_ORDER": (ALL, ALL),
    "PREVENT_CHANNEL": (_PANEL, _PANEL),
    "VITAL_INTERESTS": (ALL, ALL),
    "PUBLIC_TASK_REQUEST": ("vol home ey oth sch hou", "cs asc pol btp prob pris sec yj nhs sch hou caf mod fire dis"),
    "CONSENT": (ALL, _NOT_IMM),
    "SYSTEM_TEST": (ALL, ALL),
}


def _reached(purpose: str, custodian: AgencyKind | None, organisation: AgencyKind) -> bool:
    from_, to = ({WORDS[word] for word in side.split()} for side in REACH[purpose])
    inside = from_ == set(WORDS.values()) if custodian is None else custodian.value in from_
    ends = {custodian.value if custodian else None, organisation.value}
    if purpose == "OMA_S14":
        inside = inside and bool(ends & {"PROBATION", "PRISON"})
    if purpose == "CIN_S17":
        inside = inside and bool(ends & {"CHILDRENS_SERVICES", "ADULT_SOCIAL_CARE"})
    return inside and organisation.value in to


@pytest.mark.parametrize("purpose", Purpose)
def test_a_purpose_reaches_the_kinds_at_both_ends_that_the_law_names_and_no_other(purpose: Purpose) -> None:
    """Every custodian kind, and none known, against every kind of organisation, with the most that a grant can say."""
    regimes = PART_3 if purpose in LAW_ENFORCEMENT else GDPR
    for custodian_kind, organisation in itertools.product((*AgencyKind, None), AgencyKind):
        rule = broken(
            purpose=purpose,
            regimes=regimes,
            custodian=custodian_kind,
            organisation=organisation,
            relationship=Relationship.APPOINTED,
            named=True,
            impact_assessment="DPIA-12",
        )
        assert (rule is None) is _reached(purpose.value, custodian_kind, organisation), (custodian_kind, organisation)


def test_every_purpose_has_a_row_and_every_row_its_source() -> None:
    assert set(GATEWAYS) == set(Purpose) == {Purpose(word) for word in REACH}
    assert all(gateway.source for gateway in GATEWAYS.values())
    assert {p for p, gateway in GATEWAYS.items() if gateway.appointed} <= APPOINTABLE


def test_the_two_ends_of_a_disclosure_come_under_a_regime_each() -> None:
    found = agreed()

    def regimes(purpose: Purpose, custodian: AgencyKind, organisation: AgencyKind) -> str:
        return " ".join(found.regimes(purpose, custodian, organisation))

    police, council, health = AgencyKind.POLICE, AgencyKind.CHILDRENS_SERVICES, AgencyKind.HEALTH
    assert regimes(Purpose.SAFEGUARD_S16LA, police, council) == "DPA_PART_3 UK_GDPR"
    assert regimes(Purpose.SAFEGUARD_S16LA, council, police) == "UK_GDPR DPA_PART_3"
    assert regimes(Purpose.SAFEGUARD_S16LA, health, council) == "UK_GDPR UK_GDPR"
    assert regimes(Purpose.CP_S47, police, council) == "UK_GDPR UK_GDPR"
    assert regimes(Purpose.CDA_S115, health, AgencyKind.PROBATION) == "UK_GDPR DPA_PART_3"
    assert regimes(Purpose.MAPPA_S325, council, health) == "DPA_PART_3 DPA_PART_3"


KINDS = st.sampled_from(AgencyKind)
ANY_GRANT = {
    "purpose": st.sampled_from(Purpose),
    "custodian": st.none() | KINDS,
    "organisation": KINDS,
    "relationship": st.sampled_from(Relationship),
    "named": st.booleans(),
    "impact_assessment": st.sampled_from([None, "DPIA-12"]),
    "regimes": st.sampled_from([GDPR, PART_3, (Regime.UK_GDPR, Regime.DPA_PART_3)]),
    "path": st.sampled_from(sorted(SCOPES)),
}


@given(st.fixed_dictionaries(ANY_GRANT))
def test_what_counts_where_the_custodian_is_not_known_counts_at_every_custodian(asked: dict[str, Any]) -> None:
    if broken(**(asked | {"custodian": None, "regimes": None})) is None:
        for kind in AgencyKind:
            one_of = GATEWAYS[asked["purpose"]].one_of
            assert kind in one_of or broken(**(asked | {"custodian": kind, "regimes": None})) is None


@given(st.fixed_dictionaries(ANY_GRANT))
def test_no_serious_violence_lookup_ever_opens_health_or_care(asked: dict[str, Any]) -> None:
    rule = broken(**(asked | {"purpose": Purpose.SERIOUS_VIOLENCE_S16}))

    care = asked["custodian"] in {
        None,
        AgencyKind.HEALTH,
        AgencyKind.CHILDRENS_SERVICES,
        AgencyKind.ADULT_SOCIAL_CARE,
    } or asked["path"].startswith(("health.", "childrensServices.", "identity.", "assessments"))
    assert not (care and rule is None)


@given(st.fixed_dictionaries(ANY_GRANT))
def test_immigration_is_told_nothing_by_an_agreement_that_does_not_name_it_and_its_assessment(
    asked: dict[str, Any],
) -> None:
    if broken(**(asked | {"organisation": AgencyKind.IMMIGRATION})) is None:
        assert asked["named"]
        assert asked["impact_assessment"]


IMMIGRATION = Organisation("border", "Border", AgencyKind.IMMIGRATION, None)


@pytest.mark.parametrize(
    ("named", "assessed", "opens"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_an_entitlement_and_the_matrix_heed_the_rules(named: bool, assessed: bool, opens: bool) -> None:
    to_border = grant(
        kinds=frozenset({AgencyKind.IMMIGRATION}),
        organisations=frozenset({"border"} if named else ()),
        purposes=frozenset({Purpose.UKVI_S55}),
    )
    agreements = agreed(agreement(to_border, impact_assessment="DPIA-12" if assessed else None), parties=(IMMIGRATION,))

    found = entitled(agreements, caller(organisation="border"), purpose=Purpose.UKVI_S55)

    assert found.opens_default is opens
    assert bool(list(open_cells(agreements, TODAY))) is opens


def test_a_path_that_the_purpose_never_opens_is_left_out_and_the_others_stay() -> None:
    duty = grant(purposes=frozenset({Purpose.SERIOUS_VIOLENCE_S16}))
    agreements = agreed(agreement(duty, custodian="kind:POLICE"))
    police = custodian("force", kind=AgencyKind.POLICE)

    opened = entitled(agreements, None, police, purpose=Purpose.SERIOUS_VIOLENCE_S16).by_custodian["force"].ever

    assert opened == {cell.field for cell in open_cells(agreements, TODAY)}
    assert {path.split(".")[0] for path in opened} == {"involvements", "police", "probation"}
    assert "involvements.sensitive" not in opened


def test_without_a_configuration_a_connector_is_taken_for_what_the_law_closes_most() -> None:
    under_s14 = grant(
        kinds=frozenset({AgencyKind.PROBATION}),
        purposes=frozenset({Purpose.OMA_S14, Purpose.VITAL_INTERESTS}),
        opens=frozenset({"involvements"}),
    )
    agreements = agreed(agreement(under_s14, custodian="a-connector"), regime=Regime.DPA_PART_3)

    def purposes(**connectors: AgencyKind) -> set[str]:
        known = {name.replace("_", "-"): kind for name, kind in connectors.items()}
        return {cell.purpose.value for cell in open_cells(agreements, TODAY, known)}

    assert purposes() == purposes(a_connector=AgencyKind.HEALTH) == set()
    assert purposes(a_connector=AgencyKind.POLICE) == {"OMA_S14"}


def test_an_agreement_that_names_a_kind_team_only_names_nobody_to_it_whatever_else_it_grants() -> None:
    both = frozenset({AgencyKind.CHILDRENS_SERVICES, AgencyKind.POLICE})
    named = frozenset({"involvements", "involvements.practitioner"})
    terms = agreement(
        grant(kinds=both, opens=named),
        grant(kinds=both, opens=named, relationship=Relationship.ORGANISATION),
        team_only=frozenset({AgencyKind.CHILDRENS_SERVICES}),
    )
    force = Organisation("force", "Force", AgencyKind.POLICE, None)
    council = Organisation("amber-council", "Amber Council", AgencyKind.CHILDRENS_SERVICES, None)
    agreements = agreed(terms, parties=(force, council))

    assert entitled(agreements).by_custodian["cs"].ever == {"involvements"}
    assert entitled(agreements, caller(organisation="force")).by_custodian["cs"].ever == named
    assert {c.organisation_kind for c in open_cells(agreements, TODAY) if c.field.endswith("practitioner")} == {
        AgencyKind.POLICE
    }
