"""Does the asker mean this child? Date of birth exactly, family name as people write it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.disclosure import SourceFacts
from auth.paths import INVOLVEMENTS, PREVIOUS, SCOPES
from gateway.federation.corroboration import agrees, contradicts, corroborated, normalised
from schema.records import AdultRef, Agency, IdentityClaim
from schema.vocabulary import AgencyKind, InvolvementRelationship, InvolvementStatus, RefusalReason, Sensitivity
from tests.auth.model import TODAY, agreed, agreement, custodian, entitled, grant
from tests.fixtures.sources import ADULT, BORN, CHILD, FAMILY, known, row, sensitive

AGENCY = Agency("cs", "Amber Council", AgencyKind.CHILDRENS_SERVICES)
RIGHT = IdentityClaim(BORN, (FAMILY,))
ANOTHER = IdentityClaim(BORN + timedelta(days=1), (FAMILY,))


def proven(*rows: Any, subject: Any = CHILD, opens: frozenset[str] = frozenset(SCOPES), **held: Any) -> bool:
    facts = [SourceFacts(custodian(), AGENCY, None, known(subject, *rows, **held))]
    return corroborated(facts, entitled(agreed(agreement(grant(opens=opens)))), BORN, FAMILY, TODAY)


def test_a_trace_or_one_row_that_could_be_shown_proves_the_key() -> None:
    assert proven(trace=RIGHT)
    assert proven(row(identity=RIGHT))
    assert proven(row(identity=ANOTHER), row(identity=RIGHT))


def test_former_and_alias_names_prove_it_too() -> None:
    assert proven(trace=IdentityClaim(BORN, ("Newname", "Alias", FAMILY)))


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(row(identity=None), id="a-row-without-an-identity"),
        pytest.param(row(identity=ANOTHER), id="another-day"),
        pytest.param(row(identity=IdentityClaim(BORN, ("Other",))), id="another-name"),
        pytest.param(sensitive(identity=RIGHT), id="a-sensitive-row"),
        pytest.param(row(identity=RIGHT, sensitivity=Sensitivity.UNKNOWN), id="a-row-of-unknown-sensitivity"),
        pytest.param(row(identity=RIGHT, relationship=InvolvementRelationship.LINKED_ADULT), id="an-adults-row"),
        pytest.param(row(identity=RIGHT, relationship=InvolvementRelationship.UNBORN), id="an-unborn-childs-row"),
        pytest.param(row(identity=RIGHT, refusal=RefusalReason.NOT_STATED), id="a-row-never-to-be-shared"),
    ],
)
def test_what_could_not_be_shown_or_is_not_of_the_child_proves_nothing(held: Any) -> None:
    assert not proven(held)


def test_an_ended_row_proves_it_only_to_who_may_see_ended_rows() -> None:
    ended = row(identity=RIGHT, status=InvolvementStatus.PREVIOUS)

    assert proven(ended)
    assert not proven(ended, opens=frozenset({INVOLVEMENTS}))
    assert proven(ended, opens=frozenset({INVOLVEMENTS, PREVIOUS}))


def test_a_shielding_sources_rows_and_an_adults_record_prove_nothing() -> None:
    assert not proven(row(identity=RIGHT), shielded=True)
    assert not proven(row(identity=RIGHT), subject=AdultRef(ADULT), trace=RIGHT)


def test_nothing_proves_a_name_without_letters() -> None:
    claim = IdentityClaim(BORN, ("'", ""))

    assert not agrees(claim, BORN, "-")
    assert normalised("' -") == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("O'Brien", "obrien"),
        ("O’Brien", "O BRIEN"),
        ("Núñez", "NUNEZ"),
        ("Smith-Jones", "Smith Jones"),
        ("Straße", "STRASSE"),
        ("de la Cruz", "DeLaCruz"),
        ("ﬁsher", "Fisher"),
        ("ℌill", "hill"),
        ("Иванов", "ИВАНОВ"),
        ("Ó Súilleabháin", "O Suilleabhain"),
    ],
)
def test_a_name_is_compared_without_case_accents_spaces_and_marks(one: str, other: str) -> None:
    assert normalised(one) == normalised(other) != ""


def test_different_names_stay_different() -> None:
    assert len({normalised(n) for n in ("Amis", "Ames", "Amiss", "Ами", "Smith", "Smyth")}) == 6


@given(st.text(max_size=30))
def test_a_normalised_name_stays_as_it_is(name: str) -> None:
    assert normalised(normalised(name)) == normalised(name)


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        pytest.param(RIGHT, False, id="the-same"),
        pytest.param(ANOTHER, False, id="another-day-alone"),
        pytest.param(IdentityClaim(BORN, ("Other",)), False, id="another-name-alone"),
        pytest.param(IdentityClaim(BORN + timedelta(days=1), ("Other", "Amis ")), False, id="an-alias-agrees"),
        pytest.param(IdentityClaim(BORN + timedelta(days=1), ("Other",)), True, id="neither"),
    ],
)
def test_only_a_claim_that_agrees_in_nothing_is_about_somebody_else(claim: IdentityClaim, *, expected: bool) -> None:
    assert contradicts(claim, BORN, FAMILY) is expected
    assert not (contradicts(claim, BORN, FAMILY) and agrees(claim, BORN, FAMILY))
