"""The demo's court appoints the guardian at start, through the mutation, and once."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.demo.appointing import STORIES
from gateway.storage.tables import appointment
from tests.end_to_end.world import DemoWorld, demo_world

pytestmark = pytest.mark.network

LIST = "{ appointments { id evidence purpose appointeeOrganisation endedAt } }"


def registered(world: DemoWorld) -> list[tuple[str, str]]:
    with world.gateway.engine.connect() as connection:
        return sorted((row.id, row.child) for row in connection.execute(sa.select(appointment)))


def test_the_guardian_is_appointed_for_some_stories_and_a_restart_changes_nothing(tmp_path: Path) -> None:
    with demo_world(tmp_path) as world:
        first = registered(world)
        listed = world.post("family-court", {"query": LIST}).body["data"]["appointments"]
        pseudonym = world.gateway.keys.pseudonym
        stories = [(story, pseudonym(number)) for story, number, _, _ in world.families.stories()]
    with demo_world(tmp_path) as again:
        second = registered(again)

    assert first == second
    assert len(listed) == len(first)
    assert {one["purpose"] for one in listed} == {"CAFCASS_S42"}
    appointed = {child for _, child in first}
    assert appointed >= {child for story, child in stories if story in STORIES}
    assert not appointed & {child for story, child in stories if story in {"shielded", "unknown"}}


def test_the_court_looks_nobody_up_and_the_guardian_appoints_nobody(tmp_path: Path) -> None:
    with demo_world(tmp_path) as world:
        assert world.ask("family-court", "ordinary", "CAFCASS_S42").code == "FORBIDDEN"
        assert world.post("cafcass-guardian", {"query": LIST}).code == "FORBIDDEN"
        assert world.ask("cafcass-guardian", "ordinary").child["outcome"] == "DISCLOSED"
