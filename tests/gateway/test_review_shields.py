"""No shield falls by another's."""

from __future__ import annotations

import pytest

from schema.records import IdentityClaim
from tests.fixtures.sources import BORN, CHILD, FAMILY, known, row, source
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio


async def test_the_authority_that_alone_set_a_shield_sees_through_it(running: Running) -> None:
    own = known(CHILD, row(), trace=IdentityClaim(BORN, (FAMILY,)), shielded=True)
    sources = [source("cs-amber", own, organisation="amber-council")]
    async with running(*sources) as world:
        alone = await world.ask()
    assert alone.outcome == "DISCLOSED"


async def test_an_authority_does_not_see_through_anothers_shield_by_adding_its_own(running: Running) -> None:
    own = known(CHILD, row(), trace=IdentityClaim(BORN, (FAMILY,)), shielded=True)
    other = known(CHILD, row("b"), shielded=True)
    sources = [
        source("cs-amber", own, organisation="amber-council"),
        source("cs-brook", other, organisation="brook-council"),
    ]
    async with running(*sources) as world:
        told = await world.ask()

    assert (told.outcome, told.entries) == ("NOTHING_DISCLOSABLE", [])
