"""Each published story gives its expected answer, to those who may see and to those who may not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end.world import OF_ANY_CHILD, PRACTITIONERS, SOURCES, DemoWorld, Exchange, Key

pytestmark = pytest.mark.network

CAMHS = (
    "CAMHS",
    "ental Health",
    "mental health",
    "camhs",
    "Substance",
    "ypsu@",
    "01632 960410",
    "01632 960412",
    # the codes as JSON writes them: an opaque id may hold the bare letters
    '"MH"',
    '"SUD"',
)


def who(answer: Exchange) -> set[tuple[str, str | None, str]]:
    """Return agency, practitioner and status of every entry."""
    return {
        (e["agency"]["id"], e["practitioner"]["name"] if e["practitioner"] else None, e["status"])
        for e in answer.entries
    }


@pytest.mark.parametrize("persona", ["social-worker", "health-visitor", "police-officer"])
def test_of_twins_only_the_one_who_is_named_is_answered(world: DemoWorld, persona: str) -> None:
    """They share date of birth, surname and home; the number tells them apart, and their social workers differ."""
    taiwo, kehinde = world.key("twins", 0), world.key("twins", 1)
    assert (taiwo.born, taiwo.family) == (kehinde.born, kehinde.family)

    first, second = world.ask(persona, taiwo), world.ask(persona, kehinde)

    assert "Sam Okoro" in first.names
    assert "Casey Moor" not in first.names
    assert "Casey Moor" in second.names
    assert "Sam Okoro" not in second.names
    assert not {e["id"] for e in first.entries} & {e["id"] for e in second.entries}
    if persona == "health-visitor":
        assert first.child["identity"]["givenNames"] == ["Taiwo"]
        assert second.child["identity"]["givenNames"] == ["Kehinde"]


@pytest.mark.parametrize("persona", ["social-worker", "health-visitor"])
def test_a_sensitive_service_appears_under_its_broker_and_nowhere_else(world: DemoWorld, persona: str) -> None:
    answer = world.ask(persona, "sensitive-service")

    brokered = [e for e in answer.entries if e["contact"]["mode"] == "BROKERED"]
    assert len(brokered) == 1
    (entry,) = brokered
    assert entry["agency"]["id"] == "northshire-mash"
    assert entry["sources"] == [entry["agency"]]
    assert entry["contact"]["phone"] == "01632 960220"
    for name in ("service", "practitioner", "role", "team", "startedOn", "endedOn", "lastConfirmedAt"):
        assert entry[name] is None
    assert {"Sam Okoro", "Hana Lind"} <= answer.names
    assert not any(word.encode() in answer.content for word in CAMHS)


@pytest.mark.parametrize("persona", ["police-officer", "school-lead", "probation-officer"])
def test_a_sensitive_service_is_absent_for_those_without_its_grant(world: DemoWorld, persona: str) -> None:
    answer = world.ask(persona, "sensitive-service")

    assert answer.child["outcome"] == "DISCLOSED"
    assert not [e for e in answer.entries if e["contact"]["mode"] == "BROKERED"]
    assert b"northshire-mash" not in answer.content
    assert not any(word.encode() in answer.content for word in CAMHS)


@pytest.mark.parametrize(("scope", "acr"), [("involvement:read", None), (None, "standard")])
def test_a_sensitive_service_needs_its_scope_and_a_strong_sign_in(
    world: DemoWorld, scope: str | None, acr: str | None
) -> None:
    answer = world.ask("social-worker", "sensitive-service", scope=scope, acr=acr)

    assert answer.names == {"Sam Okoro", "Hana Lind"}
    assert b"northshire-mash" not in answer.content


def test_a_consent_that_has_lapsed_mentions_no_service(world: DemoWorld) -> None:
    answer = world.ask("social-worker", "lapsed-consent")

    assert b"northshire-mash" not in answer.content
    assert b"Sexual" not in answer.content
    assert b"Paediatrics" not in answer.content


def test_the_officer_of_a_linked_adult_is_named_to_the_social_worker(world: DemoWorld) -> None:
    answer = world.ask("social-worker", "linked-adult-probation")

    (officer,) = [e for e in answer.entries if e["agency"]["kind"] == "PROBATION"]
    assert officer["practitioner"]["name"] == "Petra Blum"
    assert officer["relationship"] == "LINKED_ADULT"
    assert [s["kind"] for s in answer.child["probation"]["supervision"]] == ["COMMUNITY"]
    assert [r["code"] for r in answer.child["probation"]["risk"]] == ["RCCO"]
    assert [(m["level"], m["category"]) for m in answer.child["probation"]["mappa"]] == [(2, 2)]
    assert b"Coyle" not in answer.content.replace(b'"familyName":"Coyle"', b"")
    assert b"Dexter" not in answer.content
    assert b"FATHER" not in answer.content


def test_the_police_see_the_officer_and_the_supervision_but_not_the_risk(world: DemoWorld) -> None:
    answer = world.ask("police-officer", "linked-adult-probation")

    assert "Petra Blum" in answer.names
    assert answer.child["probation"]["supervision"]
    assert answer.child["probation"]["risk"] is None
    assert answer.child["probation"]["mappa"] is None


@pytest.mark.parametrize("persona", ["health-visitor", "school-lead"])
def test_nothing_of_a_linked_adult_shows_to_those_without_the_grant_whoever_the_child_is(
    world: DemoWorld, persona: str
) -> None:
    for story in ("linked-adult-probation", "ordinary", "unallocated", "unknown", "shielded"):
        answer = world.ask(persona, story)
        assert answer.sources["probation-northshire"] == ("NOT_ASKED", "NO_AGREEMENT")
        assert not [e for e in answer.entries if e["relationship"] == "LINKED_ADULT"]
        assert b"Petra" not in answer.content


def test_probation_is_not_asked_about_adults_for_those_without_the_grant(world: DemoWorld) -> None:
    before = len(world.agencies.probation.calls)

    world.ask("health-visitor", "linked-adult-probation")

    assert len(world.agencies.probation.calls) == before


@pytest.mark.parametrize("persona", ["social-worker", "police-officer", "probation-officer"])
def test_an_unallocated_officer_is_a_team(world: DemoWorld, persona: str) -> None:
    answer = world.ask(persona, "unallocated")

    (team,) = [e for e in answer.entries if e["agency"]["kind"] == "PROBATION"]
    assert team["contact"]["mode"] == "TEAM_ONLY"
    assert team["practitioner"] is None
    assert team["team"]["name"] == "Northshire Offender Management 1"
    assert team["contact"]["phone"] == "01632 960501"
    assert b"Unallocated" not in answer.content
    councils = [e for e in answer.entries if e["agency"]["kind"] == "CHILDRENS_SERVICES"]
    assert [(e["practitioner"], e["contact"]["mode"]) for e in councils] == [(None, "TEAM_ONLY")]


@pytest.mark.parametrize("persona", ["social-worker", "cafcass-guardian", "school-lead"])
def test_three_authorities_answer_separately(world: DemoWorld, persona: str) -> None:
    answer = world.ask(persona, "three-authorities")

    councils = [e for e in answer.entries if e["agency"]["kind"] == "CHILDRENS_SERVICES"]
    assert sorted(e["agency"]["id"] for e in councils) == ["cs-eastmarch", "cs-northshire", "cs-westvale"]
    assert all(len(e["sources"]) == 1 for e in councils)
    assert len({e["practitioner"]["registration"]["number"] for e in councils}) == 3
    assert [answer.sources[name] for name in SOURCES[:3]] == [("ANSWERED", None)] * 3


@pytest.mark.parametrize("persona", OF_ANY_CHILD)
@pytest.mark.parametrize("story", ["nobody-involved", "unknown"])
def test_nobody_and_nobody_known_are_answered_without_an_entry(world: DemoWorld, persona: str, story: str) -> None:
    answer = world.ask(persona, story)

    # who may see the identity is told that there is such a child; nobody else learns even that
    may_see_identity = story == "nobody-involved" and persona in {
        "social-worker",
        "health-visitor",
        "case-system",
    }
    assert answer.entries == []
    assert answer.child["outcome"] == ("DISCLOSED" if may_see_identity else "NOTHING_DISCLOSABLE")
    assert answer.child["complete"] is True
    assert "not confirmation" in answer.child["advice"] or may_see_identity
    assert {status for status, _ in answer.sources.values()} <= {"ANSWERED", "NOT_ASKED"}


@pytest.mark.parametrize("persona", OF_ANY_CHILD)
def test_with_one_agency_failing_for_a_child_the_others_are_told_and_the_answer_says_so(
    world: DemoWorld, persona: str
) -> None:
    answer = world.ask(persona, "agency-down")

    assert answer.child["outcome"] == "INCOMPLETE"
    assert answer.child["complete"] is False
    assert "did not answer" in answer.child["advice"]
    assert answer.sources["police-northshire"] == ("NO_ANSWER", "OVERLOADED")
    others = {name: status for name, (status, _) in answer.sources.items() if name != "police-northshire"}
    assert set(others.values()) <= {"ANSWERED", "NOT_ASKED"}
    assert {e["agency"]["kind"] for e in answer.entries} == {"CHILDRENS_SERVICES", "HEALTH"}


@pytest.mark.parametrize("persona", ["social-worker", "health-visitor", "police-officer"])
def test_a_child_is_found_by_a_former_surname_and_by_the_current_one(world: DemoWorld, persona: str) -> None:
    old = world.key("former-surname")
    new = Key(old.nhs_number, old.born, "Rowntree")
    assert old.family == "Sharp"

    by_old, by_new = world.ask(persona, old), world.ask(persona, new)

    assert "Sam Okoro" in by_old.names
    assert by_old.entries == by_new.entries


@pytest.mark.parametrize("written", ["SHARP", "sharp ", "Sha-rp", "  Sharp"])
def test_case_hyphens_and_spaces_of_a_surname_do_not_matter(world: DemoWorld, written: str) -> None:
    key = world.key("former-surname")

    assert world.ask("social-worker", Key(key.nhs_number, key.born, written)).names


@pytest.mark.parametrize("persona", PRACTITIONERS)
def test_an_adults_details_are_refused_before_any_agency_is_asked(world: DemoWorld, persona: str) -> None:
    before = world.calls()
    key = world.key("turned-18")

    refused = world.ask(persona, key)

    assert (refused.status, refused.code) == (400, "BAD_USER_INPUT")
    assert "data" not in refused.body
    assert world.calls() == before
    assert world.asked_about(key) == set()
    (denied,) = world.records_of(refused)
    assert denied.kind == "DENIED"
    payload: dict[str, Any] = denied.payload or {}
    assert payload["code"] == "ADULT"
    assert payload["subject"] is None
    assert payload["key"] is None
    assert world.gateway.keys.pseudonym(key.nhs_number) not in str(payload)
    assert key.nhs_number not in str(payload)


@pytest.mark.parametrize("persona", ["social-worker", "health-visitor"])
def test_a_child_who_has_died_has_no_current_entries(world: DemoWorld, persona: str) -> None:
    current = world.ask(persona, "deceased", status=["CURRENT"])
    with_previous = world.ask(persona, "deceased")

    assert current.entries == []
    assert {e["status"] for e in with_previous.entries} == {"PREVIOUS"}
    assert {e["agency"]["kind"] for e in with_previous.entries} == {"CHILDRENS_SERVICES", "HEALTH"}


@pytest.mark.parametrize("persona", ["social-worker", "police-officer"])
def test_an_adopted_child_is_not_joined_to_the_former_identity(world: DemoWorld, persona: str) -> None:
    """The old number is shielded by the authority that placed the child; its own workers alone see it."""
    now, then = world.ask(persona, "adopted"), world.ask(persona, "adopted-former-identity")

    # that adoption support is given would tell of the adoption: it counts as sensitive, and nobody gave a basis
    assert {e["agency"]["id"] for e in now.entries} == {"health-northshire"}
    assert b"doption" not in now.content
    assert bool(then.entries) is (persona == "social-worker")


def test_an_entry_has_another_id_for_another_caller_and_the_same_for_the_same(world: DemoWorld) -> None:
    first, again, other = (world.ask(p, "ordinary") for p in ("social-worker", "social-worker", "health-visitor"))

    assert [e["id"] for e in first.entries] == [e["id"] for e in again.entries]
    assert not {e["id"] for e in first.entries} & {e["id"] for e in other.entries}
