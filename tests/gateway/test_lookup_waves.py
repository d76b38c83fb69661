"""Linked adults and the second wave, seen from the front door."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import date
from typing import Any

import pytest

from connectors.faults import FaultCode
from gateway.audit.events import EventKind
from schema.identifiers import CRN
from schema.records import AdultRef, IdentityClaim
from schema.sections import CarePlan, ChildrensServicesRecord, ProbationRecord, RiskRegistration
from schema.vocabulary import AgencyKind, InvolvementRelationship
from tests.fixtures.sources import (
    ADULT,
    BORN,
    CHILD,
    FAMILY,
    UNKNOWN_CHILD,
    ChangingSource,
    FailingSource,
    Remembering,
    known,
    row,
    source,
)
from tests.fixtures.world import Opening, Terms
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio

AGENCY = source("claims-to-be-another").manifest.agency
PLANS = ChildrensServicesRecord(plans=(CarePlan(AGENCY, "CP_PLAN", None, None),))
RISK = ProbationRecord(risk=(RiskRegistration(AGENCY, "RCCO", "child concerns", None),))
FIRST = ["involvements", "involvements.practitioner", "involvements.linkedAdult"]


def council(*rows: Any, **how: Any) -> Remembering:
    held = {"adults": [ADULT], "sections": [PLANS]} | how
    return Remembering(
        source(
            "cs-amber",
            known(CHILD, *(rows or (row(),)), **held),
            organisation="amber-council",
            holds={"childrensServices.plans", "childrensServices.statuses"},
            names_adults=True,
        )
    )


def probation(*more: Any) -> Remembering:
    linked = row("p-1", name="Petra Blum", relationship=InvolvementRelationship.LINKED_ADULT, identity=None)
    return Remembering(
        source(
            "probation-amber",
            known(AdultRef(ADULT), linked, *more, sections=[RISK], shielded=None),
            kind=AgencyKind.PROBATION,
            holds={"probation.supervision", "probation.risk", "probation.mappa"},
            about_adults=True,
        )
    )


def terms(*, wave: str = "ORGANISATION") -> list[Terms]:
    return [
        Terms(
            "kind:CHILDRENS_SERVICES",
            [Opening(opens=FIRST[:2]), Opening(opens=["childrensServices.plans"], relationship=wave)],
        ),
        Terms("kind:PROBATION", [Opening(opens=FIRST[1:]), Opening(opens=["probation.risk"], relationship=wave)]),
    ]


SELECT = "outcome complete childrensServices { plans { kind } } probation { risk { code agency { id } } }"


async def test_what_only_a_relationship_opens_is_asked_for_in_a_second_wave(running: Running) -> None:
    first, second = council(), probation()
    async with running(first, second, agreements=terms()) as world:
        told = await world.ask(select=SELECT)
        outcome = world.payload(EventKind.OUTCOME)

    assert told.child["childrensServices"] == {"plans": [{"kind": "CP_PLAN"}]}
    assert told.child["probation"] == {"risk": [{"code": "RCCO", "agency": {"id": "probation-amber"}}]}
    assert ["childrensServices.plans" in a.mask for a in first.asked] == [False, True]
    assert outcome["relationship"] == "ORGANISATION"


async def test_a_second_wave_to_the_adults_source_alone_still_knows_the_adults(running: Running) -> None:
    about = probation()
    async with running(council(), about, agreements=terms()) as world:
        told = await world.ask(select="outcome probation { risk { code } }")

    assert told.child["probation"] == {"risk": [{"code": "RCCO"}]}
    assert about.health_calls == 0


@pytest.mark.parametrize("adults", [[], [ADULT]], ids=["no-adult", "one-adult"])
async def test_the_record_says_about_how_many_adults_an_agency_was_asked(running: Running, adults: list[CRN]) -> None:
    async with running(council(adults=adults), probation(), agreements=terms()) as world:
        await world.ask(select="outcome probation { risk { code } }")
        asked = {source["id"]: source["adults"] for source in world.payload(EventKind.OUTCOME)["sources"]}

    assert asked == {"cs-amber": 0, "probation-amber": len(adults)}


@pytest.mark.parametrize("other", ["brook-council", "amber-council"], ids=["first-wave", "both-waves"])
async def test_the_record_names_the_call_that_each_wave_shared(running: Running, other: str) -> None:
    first = council()
    async with running(first, agreements=terms()) as world:
        for _ in range(20):  # two who ask at once share a call as a rule
            before = len(first.asked)
            await asyncio.gather(*(world.ask(select=SELECT, org=org) for org in ("amber-council", other)))
            calls = first.asked[before:]
            if len(calls) == 2:
                break
        records = [record.payload for record in world.records(EventKind.OUTCOME)[-2:]]

    assert ["childrensServices.plans" in call.mask for call in calls] == [False, True]
    named = [record["sources"][0] for record in records if record is not None]
    assert [source["call"] for source in named] == [calls[0].ask.request_id] * 2
    second = calls[1].ask.request_id if other == "amber-council" else None
    assert [source["secondCall"] for source in named] == [second, second]


async def test_no_second_wave_runs_when_the_relationship_opens_nothing_that_is_asked_for(running: Running) -> None:
    first = council()
    async with running(first, agreements=terms()) as world:
        await world.ask(select="outcome involvements { id }")
        await world.ask(select=SELECT, org="brook-council")

    assert len(first.asked) == 2


@pytest.mark.parametrize("how", [{"family": "Other"}, {"number": UNKNOWN_CHILD}], ids=["uncorroborated", "unknown"])
async def test_no_second_wave_runs_when_nothing_is_disclosed(running: Running, how: dict[str, Any]) -> None:
    first = council()
    async with running(first, probation(), agreements=terms()) as world:
        await world.ask(select=SELECT, **how)

    assert len(first.asked) == 1


async def test_no_second_wave_runs_behind_a_shield(running: Running) -> None:
    shielding = source("cs-brook", known(CHILD, shielded=True), organisation="brook-council")
    first = council()
    async with running(first, shielding, agreements=terms()) as world:
        told = await world.ask(select=SELECT)

    assert told.outcome == "NOTHING_DISCLOSABLE"
    assert len(first.asked) == 1


async def test_a_shield_that_appears_between_the_waves_hides_the_child(running: Running) -> None:
    then = source(
        "cs-brook",
        known(CHILD, shielded=True),
        organisation="brook-council",
        holds={"childrensServices.plans"},
    )
    now = source("cs-brook", known(CHILD), organisation="brook-council", holds={"childrensServices.plans"})
    async with running(council(), ChangingSource(now, then), agreements=terms()) as world:
        told = await world.ask(select=SELECT)
        outcome = world.payload(EventKind.OUTCOME)

    assert told.outcome == "NOTHING_DISCLOSABLE"
    assert outcome["shields"]["added"] == ["cs-brook"]


async def test_a_source_that_answers_once_and_not_again_gave_no_answer_and_keeps_its_first_rows(
    running: Running,
) -> None:
    first = council()
    changing = ChangingSource(first, FailingSource(first, FaultCode.CONNECT))
    async with running(changing, agreements=terms()) as world:
        told = await world.ask(select=SELECT + " sources { agency { id } status reason } involvements { role }")

    assert told.outcome == "INCOMPLETE"
    assert told.sources == {"cs-amber": "NO_ANSWER CONNECT"}
    assert told.entries == [{"role": "Allocated worker"}]


async def test_a_source_that_did_not_answer_is_not_asked_again_in_the_second_wave(running: Running) -> None:
    plans = {"childrensServices.plans"}
    failing = FailingSource(source("cs-brook", organisation="brook-council", holds=plans), FaultCode.CONNECT)
    first = council()
    async with running(first, failing, agreements=terms()) as world:
        await world.ask(select=SELECT)

    assert (len(first.asked), len(failing.asked)) == (2, 1)


async def test_entries_about_a_linked_adult_are_shown_as_such(running: Running) -> None:
    other = row("p-2", name="Quin Vale", relationship=InvolvementRelationship.LINKED_ADULT)
    theirs = dataclasses.replace(other, identity=IdentityClaim(date(1990, 1, 1), ("Another",)))
    async with running(council(), probation(theirs), agreements=terms()) as world:
        told = await world.ask(select="outcome involvements { relationship practitioner { name } }")

    linked = [e["practitioner"]["name"] for e in told.entries if e["relationship"] == "LINKED_ADULT"]
    assert linked == ["Petra Blum", "Quin Vale"]


async def test_a_caller_without_a_grant_for_adults_reads_not_asked_for_every_child(running: Running) -> None:
    about = probation()
    only_children = [Terms("kind:CHILDRENS_SERVICES", [Opening(opens=FIRST)])]
    async with running(council(), about, agreements=only_children) as world:
        linked, unlinked = await world.ask(), await world.ask(UNKNOWN_CHILD)

    assert linked.sources == unlinked.sources == {"cs-amber": "ANSWERED", "probation-amber": "NOT_ASKED NO_AGREEMENT"}
    assert (about.asked, about.health_calls) == ([], 0)


async def test_sources_read_the_same_for_a_child_with_and_without_a_linked_adult(running: Running) -> None:
    async with running(council(), probation(), agreements=terms()) as world:
        linked, unlinked = await world.ask(), await world.ask(UNKNOWN_CHILD)

    assert linked.child["sources"] == unlinked.child["sources"]


async def test_an_entry_about_an_adult_makes_no_relationship_to_the_child_and_proves_no_identity(
    running: Running,
) -> None:
    mine = row("p-2", number="SW1", relationship=InvolvementRelationship.LINKED_ADULT)
    no_identity = row(identity=None)
    async with running(council(no_identity), probation(mine), agreements=terms(wave="PRACTITIONER")) as world:
        told = await world.ask(select=SELECT, registration="SWE:SW1")
        outcome = world.payload(EventKind.OUTCOME)

    assert told.outcome == "NOTHING_DISCLOSABLE"
    assert (outcome["identity"], outcome["relationship"]) == ("UNCORROBORATED", "NONE")


async def test_out_of_area_is_told_of_the_callers_area_alone(running: Running) -> None:
    brook_only = [Terms("cs-amber", [Opening()], areas=["brook"])]
    async with running(
        council(), source("cs-brook", known(CHILD, row())), agreements=[*brook_only, Terms("cs-brook", [Opening()])]
    ) as world:
        told, theirs = await world.ask(), await world.ask(org="brook-council")

    assert told.sources == {"cs-amber": "NOT_ASKED OUT_OF_AREA", "cs-brook": "ANSWERED"}
    assert theirs.sources["cs-amber"] == "ANSWERED"


async def test_a_source_about_adults_cannot_speak_of_the_child_itself(running: Running) -> None:
    trace = IdentityClaim(BORN, (FAMILY,))
    odd = row("p-3", number="SW1")
    about = Remembering(
        source(
            "probation-amber",
            known(AdultRef(ADULT), odd, trace=trace),
            organisation="amber-council",
            kind=AgencyKind.PROBATION,
            about_adults=True,
        )
    )
    naming = source("cs-brook", known(CHILD, adults=[ADULT]), names_adults=True)
    async with running(naming, about) as world:
        told = await world.ask(registration="SWE:SW1")
        outcome = world.payload(EventKind.OUTCOME)

    assert told.entries == []
    assert (outcome["identity"], outcome["relationship"]) == ("UNCORROBORATED", "NONE")
