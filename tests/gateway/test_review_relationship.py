"""No relationship grows out of what is hidden."""

from __future__ import annotations

from typing import Any

import pytest

from schema.sections import CarePlan, ChildrensServicesRecord
from schema.vocabulary import AgencyKind, DisclosureBasis, RefusalReason, Sensitivity
from tests.fixtures.sources import CHILD, Remembering, known, row, sensitive, source
from tests.fixtures.world import Opening, Terms
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio

AGENCY = source("cs-amber").manifest.agency
PLANS = ChildrensServicesRecord(plans=(CarePlan(AGENCY, "CP_PLAN", None, None),))
VISITOR: dict[str, Any] = {"to": ["HEALTH"], "roles": ["health_visitor"]}
TERMS = [
    Terms(
        "kind:CHILDRENS_SERVICES",
        [
            Opening(opens=["involvements"], **VISITOR),
            Opening(opens=["childrensServices.plans"], relationship="ORGANISATION", **VISITOR),
        ],
    ),
    Terms("kind:HEALTH", [Opening(opens=["involvements", "involvements.sensitive"], **VISITOR)]),
]


@pytest.mark.parametrize(
    ("held", "opens"),
    [
        pytest.param(row("h"), True, id="an-ordinary-entry"),
        pytest.param(sensitive("h", basis=None), False, id="a-sensitive-entry-without-a-basis"),
        # shown, but under the broker's name: a relationship would say whose service it is
        pytest.param(sensitive("h", basis=DisclosureBasis.SIGNIFICANT_HARM), False, id="a-brokered-entry"),
        pytest.param(row("h", sensitivity=Sensitivity.UNKNOWN), False, id="an-entry-of-unknown-sensitivity"),
        pytest.param(row("h", refusal=RefusalReason.NOT_STATED), False, id="an-entry-never-to-be-shared"),
    ],
)
async def test_an_entry_hidden_from_the_organisations_own_people_opens_nothing_elsewhere(
    running: Running, held: Any, *, opens: bool
) -> None:
    council = Remembering(
        source("cs-amber", known(CHILD, row(), sections=[PLANS]), holds={"childrensServices.plans"}),
    )
    trust = source("nhs-amber", known(CHILD, held), kind=AgencyKind.HEALTH, organisation="amber-nhs")
    async with running(council, trust, agreements=TERMS) as world:
        told = await world.ask(
            select="outcome childrensServices { plans { kind } }", org="amber-nhs", roles=["health_visitor"]
        )

    assert (told.child["childrensServices"] is not None) is opens
    # a second wave that only some children get would show in the time of the answer
    assert len(council.asked) == (2 if opens else 1)
