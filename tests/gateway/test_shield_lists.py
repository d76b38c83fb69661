"""A source that lists its shields and has never been read may shield anybody: until it is, its silence hides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.base import Connector
from gateway.audit.events import EventKind
from schema.vocabulary import AgencyKind
from tests.fixtures.sources import CHILD, FailingSource, Remembering, known, row, source
from tests.fixtures.world import EVERY_PATH, Opening, Terms, running_world

pytestmark = pytest.mark.anyio


class Listing(Remembering):
    """A source without a flaw that can give its full list."""

    @property
    def manifest(self):  # type: ignore[no-untyped-def]
        return replace(self.inner.manifest, lists_shields=True)


class ListingAndDown(FailingSource):
    """Can list its shields, and is down since before the gateway first started."""

    @property
    def manifest(self):  # type: ignore[no-untyped-def]
        return replace(self.inner.manifest, lists_shields=True)


def school() -> Connector:
    return source("school-elm", known(CHILD, row(name="Dana Elm")), kind=AgencyKind.SCHOOL)


def authority() -> Connector:
    return source("cs-brook", known(CHILD, row()))


async def test_while_a_list_was_never_read_and_its_source_is_silent_nothing_is_told(tmp_path: Path) -> None:
    async with running_world(tmp_path, school(), ListingAndDown(authority())) as world:
        told = await world.ask()
        outcome = world.payload(EventKind.OUTCOME)

    assert (told.outcome, told.entries) == ("INCOMPLETE", [])
    assert outcome["shields"] == {"by": ["cs-brook"], "added": [], "removed": []}
    assert {held["code"] for held in outcome["heldBack"]} == {"SHIELDED"}


async def test_nor_where_that_source_may_not_be_asked(tmp_path: Path) -> None:
    terms: Sequence[Terms] = [Terms("school-elm"), Terms("cs-brook", [Opening(EVERY_PATH, roles=("gp",))])]
    async with running_world(tmp_path, school(), ListingAndDown(authority()), agreements=terms) as world:
        told = await world.ask()

    assert (told.outcome, told.entries) == ("NOTHING_DISCLOSABLE", [])


async def test_its_own_answer_about_the_child_is_enough(tmp_path: Path) -> None:
    class Unlisted(Listing):
        async def shields(self, ask):  # type: ignore[no-untyped-def]
            raise RuntimeError("no list today")

    async with running_world(tmp_path, school(), Unlisted(authority())) as world:
        told = await world.ask()

    assert told.outcome == "DISCLOSED"
    assert len(told.entries) == 2


async def test_a_list_that_was_once_read_holds_over_a_restart_without_the_source(tmp_path: Path) -> None:
    async with running_world(tmp_path, school(), Listing(authority())) as world:
        assert (await world.ask()).outcome == "DISCLOSED"
    async with running_world(tmp_path, school(), ListingAndDown(authority())) as world:
        told = await world.ask()

    assert told.outcome == "INCOMPLETE"
    assert [entry["practitioner"]["name"] for entry in told.entries] == ["Dana Elm"]
