"""An appointment opens to one person one child for one purpose, for as long as it lasts; and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from auth.appointments import AppointmentsUnreadable
from gateway.audit.events import EventKind
from gateway.storage.tables import appointment
from tests.appointments.asking import COURT, GUARDIAN, TO_GUARDIANS, end, in_days, look_up, registered
from tests.appointments.conftest import Running
from tests.fixtures.sources import CHILD, OTHER_CHILD, UNKNOWN_CHILD, known, row, source
from tests.fixtures.world import Opening, Terms, Told, World

pytestmark = pytest.mark.anyio

OTHER = {**GUARDIAN, "sub": "guardian-2"}


def council(*more: Any, **differs: Any) -> Any:
    return source("cs-amber", known(CHILD, row()), known(OTHER_CHILD, row("b")), *more, **differs)


def refused(world: World, told: Told) -> bool:
    """Whether the answer is FORBIDDEN for want of an appointment, on record, and nobody was asked."""
    denied = world.payload(EventKind.DENIED)
    return (
        (told.status, told.code, told.body["data"]) == (200, "FORBIDDEN", None)
        and denied["code"] == "NOT_APPOINTED"
        and denied["rule"] == "something-is-open"
    )


async def test_the_appointed_are_told_what_is_open_to_them(running: Running) -> None:
    async with running(council()) as world:
        await registered(world)
        told = await look_up(world)
        outcome = world.payload(EventKind.OUTCOME)

    assert told.outcome == "DISCLOSED"
    assert [e["agency"]["id"] for e in told.entries] == ["cs-amber"]
    assert outcome["relationship"] == "APPOINTED"


async def test_who_is_not_appointed_is_refused_before_anybody_is_asked_and_it_costs_their_budget(
    running: Running,
) -> None:
    async with running(council(), limits={"person_lookups": {"day": 1}}) as world:
        told = await look_up(world)
        spent = await look_up(world)

        assert refused_then_spent(world, told, spent)
        assert world.records(EventKind.INTENT) == []


def refused_then_spent(world: World, told: Told, spent: Told) -> bool:
    codes = [record.payload["code"] for record in world.records(EventKind.DENIED) if record.payload]
    return told.code == "FORBIDDEN" and spent.status == 429 and codes == ["NOT_APPOINTED", "BUDGET person.lookups.day"]


@pytest.mark.parametrize("number", [OTHER_CHILD, UNKNOWN_CHILD])
async def test_an_appointment_is_for_one_child(running: Running, number: str) -> None:
    async with running(council()) as world:
        await registered(world)

        assert refused(world, await look_up(world, number))


async def test_an_appointee_for_two_children_is_told_of_each_and_of_no_third(running: Running) -> None:
    async with running(council()) as world:
        first = await registered(world)
        await registered(world, nhsNumber=str(OTHER_CHILD))
        both = [await look_up(world, number) for number in (CHILD, OTHER_CHILD)]
        await end(world, first["id"])
        after = [await look_up(world, number) for number in (CHILD, OTHER_CHILD, UNKNOWN_CHILD)]

    assert [told.outcome for told in both] == ["DISCLOSED", "DISCLOSED"]
    assert [told.code for told in after] == ["FORBIDDEN", None, "FORBIDDEN"]


@pytest.mark.parametrize(
    "who",
    [
        pytest.param(OTHER, id="a-colleague"),
        pytest.param({**GUARDIAN, "org": "amber-council"}, id="the-same-subject-at-another-organisation"),
        pytest.param({**GUARDIAN, "sub": "guardian-1 "}, id="a-subject-that-looks-like-it"),
    ],
)
async def test_an_appointment_is_for_one_person_of_one_organisation(running: Running, who: dict[str, Any]) -> None:
    everywhere = {**TO_GUARDIANS, "to": ("CAFCASS", "CHILDRENS_SERVICES"), "relationship": "APPOINTED"}
    terms = [Terms("kind:CHILDRENS_SERVICES", (Opening(**everywhere),))]
    async with running(council(), agreements=terms) as world:
        await registered(world, purpose="COURT_ORDER")
        told = await look_up(world, purpose="COURT_ORDER", **who)

        assert refused(world, told)
        assert (await look_up(world, purpose="COURT_ORDER")).outcome == "DISCLOSED"


async def test_an_appointment_is_for_one_purpose(running: Running) -> None:
    async with running(council()) as world:
        await registered(world)

        assert refused(world, await look_up(world, purpose="COURT_ORDER"))


async def test_an_appointment_that_has_not_begun_does_not_count_yet(running: Running) -> None:
    async with running(council()) as world:
        await registered(world, startsOn=in_days(1))

        assert refused(world, await look_up(world))


def expires(world: World, day: str) -> None:
    """Move the last day of every appointment, as the days do that pass."""
    with world.gateway.engine.begin() as connection:
        connection.execute(sa.update(appointment).values(expires_on=day))


async def test_an_appointment_counts_to_the_end_of_its_last_day(running: Running) -> None:
    async with running(council()) as world:
        await registered(world)
        expires(world, in_days(0))
        last_day = await look_up(world)
        expires(world, in_days(-1))

        assert last_day.outcome == "DISCLOSED"
        assert refused(world, await look_up(world))


async def test_an_appointment_that_was_ended_no_longer_counts(running: Running) -> None:
    async with running(council()) as world:
        ended = await end(world, (await registered(world))["id"])

        assert ended.body["data"]["endAppointment"]["endedAt"]
        assert refused(world, await look_up(world))


async def test_an_appointment_that_ends_while_the_agencies_are_asked_lets_nothing_leave(running: Running) -> None:
    worlds: list[World] = []

    class EndsIt:
        """Ends the appointment when it is asked."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        async def involvements(self, *arguments: Any) -> Any:
            worlds[0].execute("UPDATE appointment SET ended_at = '2026-01-01T00:00:00+00:00'")
            return await self.inner.involvements(*arguments)

    async with running(EndsIt(council())) as world:
        worlds.append(world)
        await registered(world)
        told = await look_up(world)
        outcome = world.payload(EventKind.OUTCOME)

    assert told.status == 503
    assert outcome["outcome"] == "FAILED"


async def test_each_agency_tells_the_appointed_what_its_own_agreement_opens_to_them(running: Running) -> None:
    terms = [
        Terms("cs-amber", (Opening(**TO_GUARDIANS, opens=("involvements",), relationship="APPOINTED"),)),
        Terms("cs-brook", (Opening(),)),
    ]
    other = source("cs-brook", known(CHILD, row("p")), organisation="brook-council")
    async with running(council(), other, agreements=terms) as world:
        await registered(world)
        told = await look_up(world)

    assert told.sources == {"cs-amber": "ANSWERED", "cs-brook": "NOT_ASKED NO_AGREEMENT"}
    assert [(e["agency"]["id"], e["practitioner"]) for e in told.entries] == [("cs-amber", None)]


async def test_an_appointment_does_not_see_through_a_shield(running: Running) -> None:
    shielded = source("cs-amber", known(CHILD, row(), shielded=True))
    async with running(shielded) as world:
        await registered(world)
        told = await look_up(world)

    assert (told.outcome, told.entries) == ("NOTHING_DISCLOSABLE", [])


async def test_to_the_appointed_a_shielded_child_and_one_that_nobody_knows_are_the_same_bytes(running: Running) -> None:
    shielded = source("cs-amber", known(CHILD, row(), shielded=True))
    async with running(shielded) as world:
        for number in (CHILD, UNKNOWN_CHILD):
            await registered(world, nhsNumber=str(number))
        told = [await look_up(world, number) for number in (CHILD, UNKNOWN_CHILD)]
        wrong = await look_up(world, CHILD, family="Nobody")

    assert len({without_receipt(each) for each in (*told, wrong)}) == 1


async def test_to_who_is_not_appointed_every_child_is_the_same_bytes(running: Running) -> None:
    shielded = source("cs-amber", known(CHILD, row(), shielded=True), known(OTHER_CHILD, row("b")))
    async with running(shielded) as world:
        told = [await look_up(world, number) for number in (CHILD, OTHER_CHILD, UNKNOWN_CHILD)]

    assert len({each.response.content for each in told}) == 1


def without_receipt(told: Told) -> bytes:
    return told.response.content.replace(told.child["receipt"].encode(), b"")


async def test_who_asks_weakly_signed_in_is_asked_for_a_stronger_sign_in_only_when_appointed(running: Running) -> None:
    strong = Opening(**TO_GUARDIANS, relationship="APPOINTED", assurance="STRONG")
    async with running(council(), agreements=[Terms("kind:CHILDRENS_SERVICES", (strong,))]) as world:
        before = await look_up(world, acr="urn:none")
        await registered(world)
        after = await look_up(world, acr="urn:none")

    assert (before.status, before.code) == (200, "FORBIDDEN")
    assert after.status == 401
    assert "max_age" not in after.response.headers["www-authenticate"]


async def test_a_register_that_cannot_be_read_lets_nobody_look_up_who_may_be_appointed(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> bool:
        raise AppointmentsUnreadable("no")

    terms = [Terms("kind:CHILDRENS_SERVICES", (Opening(**TO_GUARDIANS, relationship="APPOINTED"), Opening()))]
    async with running(council(), agreements=terms) as world:
        monkeypatch.setattr(type(world.gateway.registers.appointments), "held", unreadable)
        appointable = await look_up(world)
        anybody_else = await world.ask()

        assert (appointable.status, appointable.code) == (503, "OVERLOADED")
        assert anybody_else.outcome == "DISCLOSED"
        assert len(world.records(EventKind.INTENT)) == 1


async def test_a_register_that_is_gone_is_one_that_cannot_be_read(running: Running) -> None:
    async with running(council()) as world:
        world.execute("DROP TABLE appointment")

        assert (await look_up(world)).status == 503
        assert (await world.post("{ appointments { id } }", **COURT)).status == 503
