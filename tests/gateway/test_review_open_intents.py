"""Whatever a source says, the INTENT of a lookup is closed."""

from __future__ import annotations

import pytest

from gateway.audit.events import EventKind
from tests.fixtures.sources import CHILD, known, row, source
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("select", ["outcome involvements { role }", "outcome involvements { practitioner { name } }"])
async def test_a_name_that_the_log_cannot_hold_fails_the_lookup_and_closes_its_intent(
    running: Running, select: str
) -> None:
    async with running(source("cs-amber", known(CHILD, row(name="Ada \ud800")), organisation="amber-council")) as world:
        told = await world.ask(select=select)
        outcome = world.payload(EventKind.OUTCOME)

    assert (told.status, told.code) == (500, "INTERNAL_SERVER_ERROR")
    assert "Ada" not in told.response.text
    assert (outcome["outcome"], outcome["disclosed"]["entries"]) == ("FAILED", [])
    assert world.kinds() == ["INTENT", "OUTCOME"]
