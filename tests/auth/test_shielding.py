"""Who sees through a shield."""

from __future__ import annotations

from typing import Any

import pytest

from auth.shielding import sees_through
from auth.standing import standing_of
from schema.vocabulary import AgencyKind, Relationship
from tests.auth.model import caller, custodian

AUTHORITY = custodian("cs", organisation="amber-council", kind=AgencyKind.CHILDRENS_SERVICES)
OTHER_AUTHORITY = custodian("cs-2", organisation="brook-council", kind=AgencyKind.CHILDRENS_SERVICES)
TRUST = custodian("health", organisation="amber-nhs", kind=AgencyKind.HEALTH)
FORCE = custodian("police", organisation="amber-police", kind=AgencyKind.POLICE)


@pytest.mark.parametrize("relationship", Relationship)
def test_only_the_practitioner_and_break_glass_see_through_anybodys_shield(relationship: Relationship) -> None:
    expected = relationship in {Relationship.PRACTITIONER, Relationship.OVERRIDE}

    assert sees_through(caller(organisation="elm-school"), standing_of(relationship), [OTHER_AUTHORITY]) is expected


@pytest.mark.parametrize(
    ("organisation", "shielding", "through"),
    [
        pytest.param("amber-council", [AUTHORITY], True, id="the-authority-that-set-it"),
        pytest.param("amber-council", [AUTHORITY, AUTHORITY], True, id="two-systems-of-the-authority"),
        pytest.param("amber-council", [TRUST, AUTHORITY], False, id="the-authority-beside-a-trust"),
        pytest.param("amber-council", [AUTHORITY, FORCE], False, id="the-authority-beside-a-force"),
        pytest.param("amber-council", [AUTHORITY, None], False, id="the-authority-beside-a-source-nobody-knows"),
        pytest.param("amber-council", [OTHER_AUTHORITY], False, id="another-authority"),
        pytest.param("amber-council", [TRUST], False, id="an-authority-that-set-none"),
        pytest.param("amber-nhs", [TRUST], False, id="a-trust-that-restricts"),
        pytest.param("amber-police", [FORCE], False, id="a-force-that-restricts"),
        pytest.param("amber-council", [], False, id="a-source-that-is-no-longer-configured"),
    ],
)
@pytest.mark.parametrize("relationship", [Relationship.NONE, Relationship.ORGANISATION, Relationship.APPOINTED])
def test_the_owning_authority_sees_through_its_own_shield_and_nobody_else_does(
    organisation: str, shielding: Any, *, through: bool, relationship: Relationship
) -> None:
    assert sees_through(caller(organisation=organisation), standing_of(relationship), shielding) is through
