"""What hangs on somebody else's record under the same number stays out of the answer."""

from __future__ import annotations

from datetime import date

import pytest

from schema.records import AdultRef, IdentityClaim
from schema.sections import CarePlan, ChildrensServicesRecord
from schema.vocabulary import AgencyKind, InvolvementRelationship
from tests.fixtures.sources import ADULT, BORN, CHILD, FAMILY, Remembering, known, row, source
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio

SELECT = "outcome involvements { practitioner { name } } childrensServices { plans { kind } }"
PLANS = ChildrensServicesRecord(plans=(CarePlan(source("cs-amber").manifest.agency, "CP_PLAN", None, None),))
SCHOOL = source("school-elm", known(CHILD, row(name="Dana Elm")), kind=AgencyKind.SCHOOL)
PROBATION = source(
    "probation-amber",
    known(
        AdultRef(ADULT),
        row("p", name="Petra Blum", relationship=InvolvementRelationship.LINKED_ADULT, identity=None),
        shielded=None,
    ),
    kind=AgencyKind.PROBATION,
    about_adults=True,
)


@pytest.mark.parametrize(
    ("traced", "theirs"),
    [
        pytest.param(IdentityClaim(date(2011, 1, 1), ("Else",)), True, id="somebody-else"),
        # control: one difference is a clerk's error or a change of name
        pytest.param(IdentityClaim(BORN, ("Else",)), False, id="another-name"),
        pytest.param(IdentityClaim(date(2011, 1, 1), (FAMILY,)), False, id="another-date-of-birth"),
    ],
)
async def test_entries_sections_and_adults_of_a_source_that_traces_somebody_else_are_not_told(
    running: Running, traced: IdentityClaim, *, theirs: bool
) -> None:
    council = source(
        "cs-amber",
        known(CHILD, row(name="Wendy Wrong", identity=None), trace=traced, adults=[ADULT], sections=[PLANS]),
        holds={"childrensServices.plans"},
        names_adults=True,
    )
    about_adults = Remembering(PROBATION)
    async with running(council, SCHOOL, about_adults) as world:
        told = await world.ask(select=SELECT)

    assert told.outcome == "DISCLOSED"
    names = {e["practitioner"]["name"] for e in told.entries}
    # asking is itself a disclosure: the agency does not even learn that somebody else's adult is of interest
    assert (len(about_adults.asked), about_adults.health_calls) == ((0, 1) if theirs else (1, 0))
    if theirs:
        assert names == {"Dana Elm"}
        assert told.child["childrensServices"] is None
    else:
        assert names == {"Dana Elm", "Wendy Wrong", "Petra Blum"}
        assert told.child["childrensServices"] == {"plans": [{"kind": "CP_PLAN"}]}


async def test_a_shield_of_a_source_that_traces_somebody_else_still_hides(running: Running) -> None:
    other = known(CHILD, trace=IdentityClaim(date(2011, 1, 1), ("Else",)), shielded=True)
    async with running(source("cs-brook", other, organisation="brook-council"), SCHOOL) as world:
        told = await world.ask(select=SELECT)

    assert (told.outcome, told.entries) == ("NOTHING_DISCLOSABLE", [])
