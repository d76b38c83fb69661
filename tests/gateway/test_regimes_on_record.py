"""INTENT says under which regime each side of each disclosure processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.audit.events import EventKind
from schema.vocabulary import AgencyKind
from tests.fixtures.sources import CHILD, known, row, source
from tests.fixtures.world import Opening, Terms, running_world

pytestmark = pytest.mark.anyio

DUTY = "SAFEGUARD_S16LA"
TO_BOTH = Opening(
    to=("CHILDRENS_SERVICES", "POLICE"),
    roles=("social_worker", "police_safeguarding_officer"),
    purposes=("CP_S47", DUTY),
)
TERMS = (Terms("cs-amber", (TO_BOTH,)), Terms("police-amber", (TO_BOTH,)))
POLICE = {"org": "amber-police", "roles": ["police_safeguarding_officer"]}


@pytest.mark.parametrize(
    ("purpose", "who", "council", "police"),
    [
        (DUTY, {}, ["UK_GDPR", "UK_GDPR"], ["DPA_PART_3", "UK_GDPR"]),
        (DUTY, POLICE, ["UK_GDPR", "DPA_PART_3"], ["DPA_PART_3", "DPA_PART_3"]),
        ("CP_S47", POLICE, ["UK_GDPR", "UK_GDPR"], ["UK_GDPR", "UK_GDPR"]),
    ],
)
async def test_each_side_of_each_ask_has_its_regime(
    tmp_path: Path, purpose: str, who: dict[str, object], council: list[str], police: list[str]
) -> None:
    sources = (
        source("cs-amber", known(CHILD, row())),
        source("police-amber", known(CHILD, row("p")), kind=AgencyKind.POLICE),
    )
    async with running_world(tmp_path, *sources, agreements=TERMS) as world:
        told = await world.ask(purpose=purpose, **who)
        intent = world.payload(EventKind.INTENT)

    assert told.outcome == "DISCLOSED"
    assert intent["agreements"]["regimes"] == {"cs-amber": council, "police-amber": police}
