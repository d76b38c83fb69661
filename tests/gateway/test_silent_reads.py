"""A silent read: the agreement decides whether who holds the record is notified; the log says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from auth.paths import INVOLVEMENTS
from gateway.audit.events import EventKind
from tests.fixtures.sources import CHILD, Remembering, known, row, source
from tests.fixtures.world import EVERY_PATH, Opening, Terms, running_world

pytestmark = pytest.mark.anyio

SILENT = Opening(read="SILENT")
NOTIFIED = Opening()
OTHER_ROLE = Opening(roles=("gp",))
DEEPER_ALONE = Opening(opens=[path for path in EVERY_PATH if path != INVOLVEMENTS])


@pytest.mark.parametrize(
    ("grants", "silent"),
    [
        pytest.param([SILENT], True, id="silent"),
        pytest.param([NOTIFIED], False, id="notified"),
        pytest.param([SILENT, NOTIFIED], False, id="one-of-two-grants-notifies"),
        pytest.param([SILENT, OTHER_ROLE], True, id="somebody-elses-grant-notifies"),
        pytest.param([SILENT, DEEPER_ALONE], True, id="a-grant-of-deeper-fields-notifies"),
    ],
)
async def test_a_read_is_silent_only_if_every_grant_of_the_default_answer_says_so(
    tmp_path: Path, grants: list[Opening], silent: bool
) -> None:
    quiet = Remembering(source("cs-amber", known(CHILD, row())))
    other = Remembering(source("cs-brook", known(CHILD)))
    terms = [Terms("cs-amber", grants), Terms("cs-brook")]
    async with running_world(tmp_path, quiet, other, agreements=terms) as world:
        await world.ask()
        recorded = world.payload(EventKind.INTENT)["silent"]

    assert {asked.ask.silent for asked in quiet.asked} == {silent}
    assert {asked.ask.silent for asked in other.asked} == {False}
    assert recorded == (["cs-amber"] if silent else [])
