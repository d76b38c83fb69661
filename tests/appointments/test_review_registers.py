"""An appointment, a refusal or a review that is not what the record or the rules say."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.audit.events import EventKind
from tests.appointments.asking import COURT, GUARDIAN, TO_THE_APPOINTED, look_up, register, registered
from tests.fixtures.sources import CHILD, known, row, source
from tests.fixtures.world import ALL_SCOPES, running_world

pytestmark = pytest.mark.anyio


async def test_an_appointment_by_a_body_that_may_no_longer_appoint_opens_nothing(tmp_path: Path) -> None:
    """docs/agreements.md: to close something in a hurry, take the party out and send SIGHUP."""
    council = source("cs-amber", known(CHILD, row()))
    async with running_world(tmp_path, council, agreements=TO_THE_APPOINTED) as world:
        await registered(world)
        assert (await look_up(world)).outcome == "DISCLOSED"

        parties = world.folder / "agreements" / "organisations.toml"
        parties.write_text(parties.read_text().partition('[[organisation]]\nid = "amber-court"')[0])
        assert await world.gateway.agreements.reload()
        told = await look_up(world)

    assert told.code == "FORBIDDEN"


async def test_who_acts_for_an_officer_does_not_appoint_themselves(tmp_path: Path) -> None:
    """RFC 8693: `act.sub` is who holds the token and acts."""
    async with running_world(tmp_path, source("cs-amber"), agreements=TO_THE_APPOINTED) as world:
        told = await register(world, by={**COURT, "act": {"sub": GUARDIAN["sub"]}})

    assert told.code == "FORBIDDEN"


async def test_nobody_is_appointed_by_nobody(tmp_path: Path) -> None:
    """A system that names no person: the record says of nobody that they did it, and nobody can be told apart."""
    machine = {**COURT, "sub": "court-system", "client_id": "court-system"}
    async with running_world(tmp_path, source("cs-amber"), agreements=TO_THE_APPOINTED) as world:
        told = await register(world, by=machine)

    assert told.code == "FORBIDDEN"


async def test_a_count_of_refusals_holds_only_what_was_refused_alike(tmp_path: Path) -> None:
    """An innocent refusal first, and what a stolen client then tries stands under the innocent one."""
    async with running_world(tmp_path, source("cs-amber"), agreements=TO_THE_APPOINTED) as world:
        person = {"sub": "somebody", "scope": "involvement:read"}
        await world.post("{ accessMatrix { totalCount } }", **person, org="amber-council", client_id="app")
        await register(world, by={**person, "org": "amber-court", "client_id": "stolen"})
        await world.gateway.registers.refusals.drain()
        denied = [record.payload or {} for record in world.records(EventKind.DENIED)]

    told = {(d["caller"]["organisation"], d["caller"]["client"], d["rule"]) for d in denied}
    assert ("amber-court", "stolen", "has-scope appointment:write") in told


async def test_a_justification_that_nobody_can_see_justifies_nothing(tmp_path: Path) -> None:
    """Ten characters "that a reviewer could judge": zero-width ones are ten, and print as nothing."""
    override = {"override": {"justification": "\u200b" * 10, "acceptReview": True}}
    claims = {"scope": f"{ALL_SCOPES} lookup:override", "auth_time": int(time.time())}
    async with running_world(tmp_path, source("cs-amber")) as world:
        told = await world.ask(access=override, **claims)

    assert told.code == "BAD_USER_INPUT"


async def test_a_listing_of_appointments_has_an_end(tmp_path: Path) -> None:
    """20,000 of them are 9 MB and hold the event loop for more than a second."""
    async with running_world(tmp_path, source("cs-amber"), agreements=TO_THE_APPOINTED) as world:
        await registered(world)
        world.execute(
            "INSERT INTO appointment SELECT a.id || n.x, appointing_organisation, appointee_organisation, appointee, "
            "child, purpose, evidence, registered_by, registered_at, starts_on, expires_on, ended_by, ended_at "
            "FROM appointment a, (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000) "
            "SELECT x FROM c) n"
        )
        told = await world.post("{ appointments { id } }", **COURT)

    assert len(told.body["data"]["appointments"]) <= 200
