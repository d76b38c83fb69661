"""No shield falls by another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.audit.keys import AuditKeys
from gateway.shields import DatabaseShields, ShieldWrite
from schema.identifiers import NHSNumber
from schema.records import IdentityClaim
from tests.fixtures.migrated import open_migrated
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


def test_an_older_answer_does_not_remove_a_shield_that_came_after_the_register_was_read(tmp_path: Path) -> None:
    engine = open_migrated(tmp_path / "gateway.db")
    shields, child = DatabaseShields(engine, AuditKeys.load_or_create(tmp_path / "key.json")), NHSNumber(CHILD)

    def commit(write: ShieldWrite) -> None:
        with engine.begin() as connection:
            for statement, rows in write.statements:
                connection.execute(statement, rows)

    older = shields.observed(child, {"cs-amber": False}, shields.shielded_by(child))
    newer = shields.observed(child, {"cs-amber": True}, shields.shielded_by(child))
    commit(newer)
    commit(older)
    assert older.removed == ()
    assert shields.shielded_by(child) == {"cs-amber"}

    # control: what stood when the register was read goes, and is named for the record
    later = shields.observed(child, {"cs-amber": False}, shields.shielded_by(child))
    commit(later)
    assert later.removed == ("cs-amber",)
    assert shields.shielded_by(child) == frozenset()
    engine.dispose()
