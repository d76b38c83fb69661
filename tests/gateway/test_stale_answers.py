"""Stale answers: the same question of the same person, told again with its age when a source says nothing now.

Off unless a connector's entry says otherwise. Nothing rests on a stale entry, and no answer without an entry is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import registry
from connectors.base import Connector
from connectors.faults import FaultCode
from connectors.settings import ConnectorMisconfigured
from gateway.audit.events import EventKind, unlisted_keys
from gateway.federation.sources import Source
from gateway.federation.stale_answers import Question, StaleAnswers
from gateway.lookup_record import LookupRecord
from schema.records import Answered, IdentityClaim, Involvement
from schema.vocabulary import AgencyKind, InvolvementRelationship, InvolvementStatus, RefusalReason
from tests.fixtures.sources import BORN, CHILD, FAMILY, OTHER_CHILD, known, row, sensitive, source
from tests.fixtures.token_factory import STRONG
from tests.fixtures.world import ALL_SCOPES, DEEPER, WHO, Opening, Terms, Told, World, configured, write_agreements
from tests.gateway.conftest import Running
from tests.gateway.switched import SECONDS, Switched, stood_in_for
from tests.recorded.listening import settle

pytestmark = pytest.mark.anyio

ENTRIES = "id practitioner { name } contact { phone } sources { id } lead staleAsOf"
SELECT = f"""
    outcome complete advice receipt sources {{ agency {{ id }} status reason asOf }}
    involvements {{ {ENTRIES} }} leadPractitioner {{ {ENTRIES} }}
"""


OVERRIDE = {"override": {"justification": "A child at risk now", "acceptReview": True}}


def may_override() -> dict[str, Any]:
    """Claims of somebody who may use break-glass now."""
    signed_in = int(datetime.now(UTC).timestamp()) - 60
    return {"scope": f"{ALL_SCOPES} lookup:override", "acr": STRONG, "auth_time": signed_in}


def council(*rows: Involvement, **holds: Any) -> Connector:
    """Who always answers, and knows who the child is."""
    trace = IdentityClaim(BORN, (FAMILY,))
    return source("cs-amber", known(CHILD, *rows, trace=trace, **holds), organisation="amber-council")


def police(*rows: Involvement, seconds: int = SECONDS, **holds: Any) -> Switched:
    """Who may be stood in for, and answers until it is told to be silent."""
    rows = rows or (row("p-1", name="Pat Police"),)
    return Switched(source("police-amber", kind=AgencyKind.POLICE), {CHILD: known(CHILD, *rows, **holds)}, seconds)


def stale(told: Told) -> dict[str, str | None]:
    """By name, as of when each entry is; None: now."""
    return {e["practitioner"]["name"]: e["staleAsOf"] for e in told.entries}


async def test_off_by_default_nothing_of_a_silent_source_is_told_again(running: Running) -> None:
    force = police(seconds=0)
    async with running(council(), force) as world:
        assert stale(await world.ask(select=SELECT)) == {"Pat Police": None}
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)

    assert (told.outcome, told.entries) == ("INCOMPLETE", [])


async def test_who_was_told_before_is_told_again_with_the_moment_and_the_source_still_gave_no_answer(
    running: Running,
) -> None:
    force = police()
    begun = datetime.now(UTC).replace(microsecond=0)
    async with running(council(row(name="Ada Brook")), force) as world:
        live = await world.ask(select=SELECT)
        between = datetime.now(UTC)
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)

    assert (live.outcome, stale(live)) == ("DISCLOSED", {"Ada Brook": None, "Pat Police": None})
    assert (told.outcome, told.child["complete"]) == ("INCOMPLETE", False)
    assert told.sources == {"cs-amber": "ANSWERED", "police-amber": "NO_ANSWER TIMEOUT"}
    assert {s["asOf"] for s in told.child["sources"]} == {None}
    assert list(stale(told)) == ["Ada Brook", "Pat Police"]
    assert stale(told)["Ada Brook"] is None
    assert begun <= datetime.fromisoformat(str(stale(told)["Pat Police"])) <= between
    assert [e["id"] for e in told.entries] == [e["id"] for e in live.entries]
    assert told.entries[1]["contact"]["phone"] == "01632 960101"


@pytest.mark.parametrize("code", FaultCode)
async def test_only_a_source_that_says_nothing_at_all_is_stood_in_for(running: Running, code: FaultCode) -> None:
    silence = {"CONNECT", "DNS", "DEADLINE", "RESET", "STATUS_5XX", "RATE_LIMITED", "OVERLOADED", "BULKHEAD_FULL"}
    force = police()
    async with running(council(), force) as world:
        await world.ask(select=SELECT)
        force.silent = code
        told = await world.ask(select=SELECT)

    assert told.sources["police-amber"].startswith("NO_ANSWER")
    assert bool(told.entries) is (code.value in silence | {"CIRCUIT_OPEN"})


@pytest.mark.parametrize(
    "select",
    [
        WHO + DEEPER,
        "outcome",
        "outcome involvements { practitioner { name } }",
        "outcome involvements { practitioner { name } staleAsOf } leadPractitioner { practitioner { name } }",
        "outcome involvements { practitioner { name } staleAsOf @include(if: false) }",
        "outcome involvements { practitioner { name } } again: involvements { practitioner { name } staleAsOf }",
    ],
)
async def test_no_stale_entry_stands_where_its_label_is_not_asked_for(running: Running, select: str) -> None:
    force = police(row("p-1", name="Pat Police", lead=True))
    async with running(council(), force) as world:
        await world.ask(select=select)
        await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=select)

    assert told.outcome == "INCOMPLETE"
    assert "Pat Police" not in told.response.text


async def test_a_label_under_an_alias_or_in_a_fragment_is_a_label(running: Running) -> None:
    document = """
    query Q($key: ChildKey!, $access: AccessRequest!) { who: child(key: $key, access: $access) {
      outcome them: involvements { ...who } } }
    fragment who on Involvement { practitioner { name } ... on Involvement { since: staleAsOf } }
    """
    variables = {
        "key": {"nhsNumber": CHILD, "dateOfBirth": BORN.isoformat(), "familyName": FAMILY},
        "access": {"purpose": "CP_S47", "reason": "r"},
    }
    force = police()
    async with running(council(), force) as world:
        await world.post(document, variables)
        force.silent = FaultCode.DEADLINE
        told = (await world.post(document, variables)).body["data"]["who"]

    ((name, since),) = [(e["practitioner"]["name"], e["since"]) for e in told["them"]]
    assert name == "Pat Police"
    assert since is not None


async def test_an_operation_with_more_than_the_lookup_is_told_the_same(running: Running) -> None:
    # which the executor answers, and not the compiled plan
    document = f"""
    query Q($key: ChildKey!, $access: AccessRequest!) {{
      viewer {{ subject }} child(key: $key, access: $access) {{ {SELECT} }} }}
    """
    variables = {
        "key": {"nhsNumber": CHILD, "dateOfBirth": BORN.isoformat(), "familyName": FAMILY},
        "access": {"purpose": "CP_S47", "reason": "r"},
    }
    force = police(row("p-1", name="Pat Police", lead=True))
    async with running(council(row("c-1", name="Lena Lead", lead=True)), force) as world:
        await world.post(document, variables)
        force.silent = FaultCode.DEADLINE
        told = await world.post(document, variables)

    assert [n for n, moment in stale(told).items() if moment] == ["Pat Police"]
    assert told.child["leadPractitioner"]["practitioner"]["name"] == "Lena Lead"


# ------------------------------------------------------------------------------------------ whose question it was

STRANGERS: Mapping[str, Mapping[str, Any]] = {
    "somebody else": {"sub": "somebody-else"},
    "through another system": {"client_id": "another-system"},
    "somebody of that name at another organisation": {"org": "brook-council"},
    "in another role": {"roles": ["social_worker", "early_help_worker"]},
    "with fewer scopes": {"scope": "involvement:read"},
    "signed in otherwise": {"acr": "urn:contactpoint:acr:standard"},
    "for another purpose": {"purpose": "SYSTEM_TEST"},
    "with another mask": {"select": SELECT + DEEPER},
}


@pytest.mark.parametrize("differs", STRANGERS.values(), ids=STRANGERS)
async def test_whose_question_differs_is_told_nothing_that_was_told_for_this_one(
    running: Running, differs: Mapping[str, Any]
) -> None:
    force = police()
    holds = {"childrensServices.plans"}
    trace = IdentityClaim(BORN, (FAMILY,))
    asked = {"select": SELECT, **differs}
    force.add_sections(*(["police.events"] if "select" in differs else []))
    authority = source("cs-amber", known(CHILD, trace=trace), organisation="amber-council", holds=holds)
    async with running(authority, force) as world:
        await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        other = await world.ask(**asked)
        same = await world.ask(select=SELECT)

    assert (other.outcome, other.entries) == ("INCOMPLETE", [])
    assert list(stale(same)) == ["Pat Police"]


async def test_an_answer_about_one_child_stands_in_for_no_other(running: Running) -> None:
    force = police()
    force.holds[OTHER_CHILD] = known(OTHER_CHILD, row("p-2", name="Quin Other"))
    async with running(council(), force) as world:
        await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        other = await world.ask(OTHER_CHILD, select=SELECT)

    assert other.entries == []


async def test_a_name_that_proves_the_child_no_less_is_another_question(running: Running) -> None:
    # the entry hangs on a record of its own, and is judged by the name and the day that the asker gives
    trace = IdentityClaim(BORN, (FAMILY, "Former"))
    force = police()
    async with running(source("cs-amber", known(CHILD, trace=trace), organisation="amber-council"), force) as world:
        await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT, family="Former")

    assert (told.outcome, told.entries) == ("INCOMPLETE", [])


async def test_break_glass_leaves_nothing_behind_and_is_told_nothing_stale(running: Running) -> None:
    force, claims = police(), may_override()
    async with running(council(), force) as world:
        by_force = await world.ask(select=SELECT, access=OVERRIDE, **claims)
        force.silent = FaultCode.DEADLINE
        ordinary = await world.ask(select=SELECT, **claims)
        force.silent = None
        await world.ask(select=SELECT, **claims)
        force.silent = FaultCode.DEADLINE
        again = await world.ask(select=SELECT, access=OVERRIDE, **claims)

    assert list(stale(by_force)) == ["Pat Police"]
    assert ordinary.entries == []
    assert again.entries == []


async def test_a_source_that_must_know_who_asks_is_not_stood_in_for(running: Running) -> None:
    force = police()
    force.manifest = replace(force.manifest, answers_depend_on_asker=True)
    async with running(council(), force) as world:
        await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)

    assert told.entries == []


# ------------------------------------------------------------------------------------------------ what is kept

KEPT_BY_NOBODY: Mapping[str, Involvement] = {
    "sensitive": sensitive("p-1"),
    "ended": row("p-1", name="Pat Police", status=InvolvementStatus.PREVIOUS),
    "about an adult": row("p-1", name="Pat Police", relationship=InvolvementRelationship.LINKED_ADULT),
    "before birth": row("p-1", name="Pat Police", relationship=InvolvementRelationship.UNBORN),
    "refused": row("p-1", name="Pat Police", refusal=RefusalReason.RESTRICTED),
}


@pytest.mark.parametrize("entry", KEPT_BY_NOBODY.values(), ids=KEPT_BY_NOBODY)
async def test_only_an_ordinary_current_entry_about_the_child_is_told_again(
    running: Running, entry: Involvement
) -> None:
    clinic = Switched(source("nhs-amber", kind=AgencyKind.HEALTH), {CHILD: known(CHILD, entry)}, SECONDS)
    select = SELECT.replace("involvements {", "involvements(status: [CURRENT, PREVIOUS]) {", 1)
    async with running(council(), clinic) as world:
        await world.ask(select=select)
        clinic.silent = FaultCode.DEADLINE
        told = await world.ask(select=select)

    assert told.entries == []


async def test_an_empty_answer_is_never_told_again(running: Running) -> None:
    force = police()
    force.holds[CHILD] = known(CHILD)
    async with running(council(row()), force) as world:
        answered = await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)
        kept = len(memory_of(world, "police-amber"))

    assert (answered.outcome, answered.child["complete"]) == ("DISCLOSED", True)
    assert (told.outcome, told.child["complete"]) == ("INCOMPLETE", False)
    assert told.sources["police-amber"] == "NO_ANSWER TIMEOUT"
    assert kept == 0


@pytest.mark.parametrize("who", ["the same person", "somebody else", "break-glass"])
@pytest.mark.parametrize("now", ["empty", "without the entry", "another telephone", "refused", "not known"])
async def test_what_the_source_no_longer_says_to_anybody_is_forgotten(running: Running, who: str, now: str) -> None:
    first, second = row("p-1", name="Pat Police"), row("p-2", name="Quin Police")
    later: dict[str, Answered | None] = {
        "empty": known(CHILD),
        "without the entry": known(CHILD, second),
        "another telephone": known(CHILD, row("p-1", name="Pat Police", team=None)),
        "refused": known(CHILD, row("p-1", name="Pat Police", refusal=RefusalReason.HANDLING_CODE)),
        "not known": None,
    }
    asks: dict[str, dict[str, Any]] = {
        "the same person": {},
        "somebody else": {"sub": "another"},
        "break-glass": {"access": OVERRIDE, **may_override()},
    }
    force = police(first, second)
    async with running(council(), force) as world:
        await world.ask(select=SELECT)
        force.say(CHILD, later[now])
        await world.ask(select=SELECT, **asks[who])
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)

    left = {"Quin Police"} if now == "without the entry" else set()
    if (who, now) == ("the same person", "another telephone"):
        left = {"Pat Police"}  # who was told the new one just now
    assert set(stale(told)) == left


async def test_an_entry_that_was_left_out_of_the_body_is_not_told_again(running: Running) -> None:
    force = police()
    housing = SELECT.replace("involvements {", "involvements(agencyKinds: [HOUSING]) {", 1)
    async with running(council(), force) as world:
        await world.ask(select=housing)
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)

    assert told.entries == []


async def test_what_is_older_than_the_configuration_says_is_not_told(running: Running) -> None:
    force, now = police(), [1000.0]
    async with running(council(), timed(force, now)) as world:
        await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        now[0] += SECONDS - 1
        young = await world.ask(select=SELECT)
        now[0] += 1
        old = await world.ask(select=SELECT)

    assert list(stale(young)) == ["Pat Police"]
    assert old.entries == []


async def test_a_stale_entry_does_not_grow_young_by_being_told(running: Running) -> None:
    force, now = police(), [1000.0]
    async with running(council(), timed(force, now)) as world:
        first = await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        told = []
        for _ in range(3):
            now[0] += SECONDS / 2 - 1
            told.append(stale(await world.ask(select=SELECT)))

    assert stale(first) == {"Pat Police": None}
    assert told[0] == told[1] != {}
    assert told[2] == {}


async def test_an_extract_is_as_old_as_it_says(running: Running) -> None:
    dated = datetime(2026, 1, 1, 3, tzinfo=UTC)
    force = police(as_of=dated)
    async with running(council(), force) as world:
        await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)

    assert stale(told) == {"Pat Police": dated.isoformat()}


# ----------------------------------------------------------------------------------------------- what rests on it


async def test_a_stale_entry_proves_no_identity(running: Running) -> None:
    force = police()
    stranger = source("cs-amber", known(CHILD), organisation="amber-council")
    async with running(stranger, force) as world:
        live = await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)
        outcome = world.payload(EventKind.OUTCOME)

    assert list(stale(live)) == ["Pat Police"]
    assert (told.entries, outcome["identity"]) == ([], "UNCORROBORATED")


async def test_a_stale_entry_makes_no_relationship_and_what_needs_one_stays_closed(running: Running) -> None:
    own = Switched(source("cs-amber", organisation="amber-council"), {CHILD: known(CHILD, row("c-1"))}, SECONDS)
    trace = IdentityClaim(BORN, (FAMILY,))
    health = source(
        "nhs-amber",
        known(CHILD, row("h-1", name="Hana Health"), row("h-2", name="Ivo Health"), trace=trace),
        kind=AgencyKind.HEALTH,
    )
    terms = [
        Terms("cs-amber"),
        Terms(
            "nhs-amber",
            [
                Opening(opens=["involvements"]),
                Opening(opens=["involvements", "involvements.practitioner"], relationship="ORGANISATION"),
            ],
        ),
    ]
    select = f"outcome involvements {{ {ENTRIES} }}"
    async with running(own, health, agreements=terms) as world:
        live = await world.ask(select=select)
        before = world.payload(EventKind.OUTCOME)["relationship"]
        own.silent = FaultCode.DEADLINE
        told = await world.ask(select=select)
        after = world.payload(EventKind.OUTCOME)

    assert before == "ORGANISATION"
    assert "Hana Health" in live.response.text
    assert (after["relationship"], after["evidence"]) == ("NONE", [])
    assert "Hana Health" not in told.response.text
    assert [(e["practitioner"] or {}).get("name") for e in told.entries if e["staleAsOf"]] == ["Ada Brook"]


async def test_what_opened_by_a_relationship_alone_is_not_told_again_without_it(running: Running) -> None:
    own = Switched(source("cs-amber", organisation="amber-council"), {CHILD: known(CHILD, row("c-1"))}, 0)
    force = police()
    trace = IdentityClaim(BORN, (FAMILY,))
    health = source("nhs-amber", known(CHILD, trace=trace), kind=AgencyKind.HEALTH)
    terms = [
        Terms("cs-amber"),
        Terms("nhs-amber"),
        Terms(
            "police-amber",
            [
                Opening(opens=["involvements"]),
                Opening(opens=["involvements", "involvements.practitioner"], relationship="ORGANISATION"),
            ],
        ),
    ]
    select = f"outcome involvements {{ {ENTRIES} }}"
    async with running(own, force, health, agreements=terms) as world:
        live = await world.ask(select=select)
        own.silent = force.silent = FaultCode.DEADLINE
        told = await world.ask(select=select)

    assert "Pat Police" in live.response.text
    assert "Pat Police" not in told.response.text
    assert [bool(e["staleAsOf"]) for e in told.entries] == [True]


@pytest.mark.parametrize("whose", ["cs-amber", "police-amber"])
async def test_a_shield_hides_what_was_told_before_it_and_what_it_hid_stays_forgotten_when_it_is_lifted(
    running: Running, whose: str
) -> None:
    force = police()
    authority = Switched(
        source("cs-amber", organisation="brook-council"),
        {CHILD: known(CHILD, trace=IdentityClaim(BORN, (FAMILY,)))},
        0,
    )
    async with running(authority, force) as world:
        await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)
        await world.gateway.shields.load(world.gateway.log, whose, [CHILD], replace=True)
        authority.say(CHILD, known(CHILD, trace=IdentityClaim(BORN, (FAMILY,)), shielded=True))
        hidden = await world.ask(select=SELECT)
        await world.gateway.shields.load(world.gateway.log, whose, [], replace=True)
        authority.say(CHILD, known(CHILD, trace=IdentityClaim(BORN, (FAMILY,)), shielded=False))
        lifted = await world.ask(select=SELECT)

    assert list(stale(told)) == ["Pat Police"]
    assert (hidden.outcome, hidden.entries) == ("INCOMPLETE", [])
    assert (lifted.outcome, lifted.entries) == ("INCOMPLETE", [])


async def test_of_a_shielded_child_nothing_is_told_again_even_to_who_sees_through(running: Running) -> None:
    force = police()
    # the authority that set the shield alone sees through it
    async with running(council(row("c-1"), shielded=True), force) as world:
        live = await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)

    assert set(stale(live)) == {"Ada Brook", "Pat Police"}
    assert stale(told) == {"Ada Brook": None}


async def test_a_list_of_shields_that_was_never_read_hides_stale_entries_as_it_hides_the_others(
    running: Running,
) -> None:
    authority = Switched(
        source("cs-amber", organisation="brook-council"),
        {CHILD: known(CHILD, trace=IdentityClaim(BORN, (FAMILY,)))},
        0,
    )
    authority.manifest = replace(authority.manifest, lists_shields=True)
    authority.list_fails = True
    trace = IdentityClaim(BORN, (FAMILY,))
    health = source("nhs-amber", known(CHILD, trace=trace), kind=AgencyKind.HEALTH)
    force = police()
    async with running(authority, health, force) as world:
        live = await world.ask(select=SELECT)
        authority.silent = force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)

    assert list(stale(live)) == ["Pat Police"]
    assert told.entries == []


async def test_other_agreements_end_it_also_where_they_open_as_much(running: Running) -> None:
    force = police()
    async with running(council(), force) as world:
        await world.ask(select=SELECT)
        opened = [Terms(f"kind:{kind}", review_on="2998-12-31") for kind in AgencyKind]
        write_agreements(world.folder / "agreements", opened)
        assert await world.gateway.agreements.reload()
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)

    assert (told.outcome, told.entries) == ("INCOMPLETE", [])


async def test_a_stale_entry_is_joined_to_no_other_and_a_live_lead_comes_first(running: Running) -> None:
    force = police(row("p-1", name="Ada Brook", number="SW900001", lead=True))
    authority = council(row("c-1", name="Ada Brook", number="SW900001", lead=True))
    async with running(authority, force) as world:
        live = await world.ask(select=SELECT)
        force.silent = FaultCode.DEADLINE
        apart = await world.ask(select=SELECT)

    assert [[s["id"] for s in e["sources"]] for e in live.entries] == [["cs-amber", "police-amber"]]
    # the entry that both said stood under the authority's id, so nothing that was the force's own is told again
    assert [[s["id"] for s in e["sources"]] for e in apart.entries] == [["cs-amber"]]
    assert apart.child["leadPractitioner"]["staleAsOf"] is None


async def test_the_same_person_at_a_live_source_stands_beside_the_stale_entry(running: Running) -> None:
    force = police(row("p-1", name="Ada Brook", number="SW900001", lead=True))
    authority = Switched(
        source("cs-amber", organisation="amber-council"),
        {CHILD: known(CHILD, trace=IdentityClaim(BORN, (FAMILY,)))},
        0,
    )
    async with running(authority, force) as world:
        await world.ask(select=SELECT)
        authority.say(CHILD, known(CHILD, row("c-1", name="Ada Brook", number="SW900001", lead=True)))
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)

    found = [([s["id"] for s in e["sources"]], e["staleAsOf"] is not None) for e in told.entries]
    assert found == [(["cs-amber"], False), (["police-amber"], True)]
    assert told.child["leadPractitioner"]["sources"] == [{"id": "cs-amber"}]


# ------------------------------------------------------------------------------------------------- what is recorded


async def test_the_record_says_which_entries_were_stale_and_as_of_when(running: Running) -> None:
    force = police()
    async with running(council(row("c-1")), force) as world:
        await world.ask(select=SELECT)
        before = world.payload(EventKind.OUTCOME)
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)
        outcome = world.payload(EventKind.OUTCOME)

    recorded = {e["practitioner"]["name"]: e.get("staleAsOf") for e in outcome["disclosed"]["entries"]}
    assert recorded == stale(told)
    assert {e["practitioner"]["name"]: "staleAsOf" in e["fields"] for e in outcome["disclosed"]["entries"]} == {
        "Ada Brook": False,
        "Pat Police": True,
    }
    assert all("staleAsOf" not in e for e in before["disclosed"]["entries"])
    assert {s["id"]: s["status"] for s in outcome["sources"]} == {"cs-amber": "ANSWERED", "police-amber": "NO_ANSWER"}
    assert (outcome["outcome"], outcome["complete"]) == ("INCOMPLETE", False)
    assert unlisted_keys(EventKind.OUTCOME, outcome) == frozenset()


@pytest.mark.records_otherwise
@pytest.mark.parametrize("moment", [None, "2026-01-01T00:00:00+00:00"])
async def test_a_record_that_says_otherwise_of_a_stale_entry_is_noticed(
    running: Running, monkeypatch: pytest.MonkeyPatch, moment: str | None
) -> None:
    honest = LookupRecord.outcome

    def otherwise(self: LookupRecord, **parts: Any) -> dict[str, Any]:
        told = honest(self, **parts)
        for entry in told["disclosed"]["entries"]:
            if entry.pop("staleAsOf", None) and moment:
                entry["staleAsOf"] = moment
        return told

    monkeypatch.setattr(LookupRecord, "outcome", otherwise)
    force = police()
    async with running(council(), force) as world:
        await world.ask(select=SELECT)
        assert settle() == []
        force.silent = FaultCode.DEADLINE
        await world.ask(select=SELECT)

        assert settle() != []


async def test_what_was_never_recorded_as_told_is_not_told_again(running: Running) -> None:
    force = police()
    async with running(council(), force) as world:
        force.before = lambda: world.revoke("the-token")
        refused = await world.ask(select=SELECT, jti="the-token")
        force.silent = FaultCode.DEADLINE
        told = await world.ask(select=SELECT)

    assert (refused.status, refused.code) == (401, "UNAUTHENTICATED")
    assert told.entries == []


async def test_nothing_of_a_child_or_a_person_lies_in_the_memory_in_the_clear(running: Running) -> None:
    force = police()
    async with running(council(), force) as world:
        await world.ask(select=SELECT)
        memory = memory_of(world, "police-amber")
        text = repr(vars(memory))
        metrics = (await world.client.get("/metrics")).text

    assert len(memory) == 1
    for hidden in (CHILD, FAMILY, BORN.isoformat(), "Pat", "Police", "01632", "p-1", "the-subject"):
        assert hidden not in text
        assert hidden not in metrics.replace("police-amber", "")


# ------------------------------------------------------------------------------------------------------ the memory


async def test_the_oldest_question_goes_when_there_are_too_many() -> None:
    memory = StaleAnswers(60, most=2)
    questions = [Question("child", f"question {n}") for n in range(3)]
    for question in questions:
        memory.keep(question, [row()], datetime.now(UTC), memory.now())

    assert [memory.find(question) is not None for question in questions] == [False, True, True]
    assert len(memory) == 2


async def test_an_answer_of_unusual_size_is_not_kept() -> None:
    memory = StaleAnswers(60)
    memory.keep(Question("child", "q"), [row(str(n)) for n in range(1000)], datetime.now(UTC), memory.now())

    assert len(memory) == 0


async def test_what_is_too_old_leaves_the_memory_without_being_asked_for() -> None:
    now = [0.0]
    memory = StaleAnswers(60, clock=lambda: now[0])
    memory.keep(Question("child", "old"), [row()], datetime.now(UTC), 0.0)
    now[0] = 61.0
    memory.keep(Question("another", "new"), [row()], datetime.now(UTC), 61.0)

    assert len(memory) == 1


async def test_an_answer_that_took_too_long_to_be_told_is_not_kept() -> None:
    memory = StaleAnswers(60, clock=lambda: 100.0)
    memory.keep(Question("child", "q"), [row()], datetime.now(UTC) - timedelta(seconds=60), 40.0)

    assert len(memory) == 0


# --------------------------------------------------------------------------------------------------- configuration


@pytest.mark.parametrize("value", [-1, 3601, 1.5, "60"])
def test_an_age_that_no_entry_may_have_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(ConnectorMisconfigured) as refused:
        registry.build(school(tmp_path) | {"stale_if_error_seconds": value})

    assert refused.value.key == "stale_if_error_seconds"


def test_a_source_about_adults_cannot_be_stood_in_for() -> None:
    entry = {
        "id": "probation-amber",
        "name": "Probation",
        "kind": "PROBATION",
        "driver": "probation",
        "base_url": "https://probation.example",
        "stale_if_error_seconds": 60,
    }
    with pytest.raises(ConnectorMisconfigured) as refused:
        registry.build(entry)

    assert refused.value.key == "stale_if_error_seconds"


def test_a_source_is_stood_in_for_only_where_its_entry_says_so(tmp_path: Path) -> None:
    plain, stood_in = school(tmp_path), school(tmp_path) | {"stale_if_error_seconds": 300}

    assert configured(registry.build(plain)).stale_answers is None
    assert configured(registry.build(stood_in)).stale_answers is not None


def school(folder: Path) -> dict[str, Any]:
    (folder / "school.json").write_text("[]")
    records = str(folder / "school.json")
    return {"id": "school-elm", "name": "Elm", "kind": "SCHOOL", "driver": "memory", "records": records}


def memory_of(world: World, name: str) -> StaleAnswers:
    memory = next(s for s in world.gateway.sources if s.id == name).stale_answers
    assert memory is not None
    return memory


def timed(connector: Connector, now: list[float]) -> Source:
    """Return the source, its memory on a clock of the test's own."""
    return stood_in_for(connector, StaleAnswers(SECONDS, clock=lambda: now[0]))
