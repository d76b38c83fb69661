"""Break-glass: its own scope, a strong sign-in and the acceptance of review; and then it sees through a shield."""

from __future__ import annotations

from typing import Any

import pytest

from tests.end_to_end.world import DemoWorld, Exchange

pytestmark = pytest.mark.network

OVERRIDE = {"justification": "Immediate risk, no time for a strategy discussion", "acceptReview": True}
QUEUE = "{ reviews(state: [OPEN]) { id state receipt } }"
DECIDE = "mutation ($id: ID!, $note: String!) { decideReview(id: $id, verdict: UPHELD, note: $note) { state } }"
WITHOUT_OVERRIDE = "involvement:read involvement.previous:read childrens_services.status:read"


def payload(world: DemoWorld, exchange: Any, kind: str) -> dict[str, Any]:
    (found,) = [r.payload for r in world.records_of(exchange) if r.kind == kind]
    return found or {}


@pytest.mark.parametrize("story", ["shielded", "ordinary", "unknown"])
def test_without_its_scope_an_override_is_forbidden(world: DemoWorld, story: str) -> None:
    before = world.calls()

    refused = world.ask("social-worker", story, override=OVERRIDE, scope=WITHOUT_OVERRIDE)

    assert (refused.status, refused.body["data"], refused.code) == (200, None, "FORBIDDEN")
    assert world.calls() == before
    assert payload(world, refused, "DENIED")["code"] == "OVERRIDE_NOT_GRANTED"


@pytest.mark.parametrize("persona", ["school-lead", "cafcass-guardian", "immigration-officer"])
def test_a_role_that_may_not_break_the_glass_is_forbidden(world: DemoWorld, persona: str) -> None:
    assert world.ask(persona, "shielded", override=OVERRIDE).code == "FORBIDDEN"


def test_at_a_standard_sign_in_a_stronger_one_is_asked_for(world: DemoWorld) -> None:
    before = world.calls()

    challenged = world.ask("social-worker", "shielded", override=OVERRIDE, acr="standard")

    assert challenged.status == 401
    challenge = challenged.headers["www-authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'acr_values="urn:contactpoint:acr:strong"' in challenge
    assert 'max_age="900"' in challenge
    assert world.calls() == before


def test_without_the_acceptance_of_review_it_is_forbidden(world: DemoWorld) -> None:
    refused = world.ask("social-worker", "shielded", override=OVERRIDE | {"acceptReview": False})

    assert refused.code == "FORBIDDEN"
    assert payload(world, refused, "DENIED")["code"] == "REVIEW_NOT_ACCEPTED"


def test_with_all_three_the_shielded_childs_entries_are_told_and_the_record_says_so(world: DemoWorld) -> None:
    answer = world.ask("social-worker", "shielded", override=OVERRIDE)

    assert answer.child["outcome"] == "DISCLOSED"
    assert {"cs-eastmarch", "health-northshire"} <= {e["agency"]["id"] for e in answer.entries}
    assert payload(world, answer, "INTENT")["override"] == {"justification": OVERRIDE["justification"]}
    assert payload(world, answer, "OUTCOME")["relationship"] == "OVERRIDE"
    assert "cs-eastmarch" in payload(world, answer, "OUTCOME")["shields"]["by"]


def test_its_record_stands_between_intent_and_outcome_and_waits_for_review(world: DemoWorld) -> None:
    answer = world.ask("social-worker", "shielded", override=OVERRIDE)
    queue = world.post("security-auditor", {"query": QUEUE})

    assert [record.kind for record in world.records_of(answer)] == ["INTENT", "OVERRIDE", "OUTCOME"]
    waiting = {item["receipt"]: item for item in queue.body["data"]["reviews"]}
    item = waiting[answer.child["receipt"]]
    assert item["id"] == payload(world, answer, "OVERRIDE")["review"]
    assert item["state"] == "OPEN"
    assert [record.kind for record in world.records_of(queue)] == ["REVIEW"]


def test_the_auditor_reads_what_was_told_by_it_and_the_reading_is_on_record(world: DemoWorld) -> None:
    answer = world.ask("social-worker", "shielded", override=OVERRIDE)
    document = (
        "query E($f: AuditFilter) { auditEvents(filter: $f) "
        "{ edges { node { receipt justification outcome disclosed { entry fields } } } } }"
    )
    wanted = {"flags": ["OVERRIDE"], "receipt": answer.child["receipt"]}
    read = world.post("security-auditor", {"query": document, "variables": {"f": wanted}})

    (edge,) = read.body["data"]["auditEvents"]["edges"]
    assert edge["node"]["justification"] == OVERRIDE["justification"]
    assert {each["entry"] for each in edge["node"]["disclosed"]} == {entry["id"] for entry in answer.entries}
    assert [record.kind for record in world.records_of(read)] == ["READ"]


def test_an_override_that_was_not_needed_is_reviewed_like_any_other(world: DemoWorld) -> None:
    answer = world.ask("social-worker", "ordinary", override=OVERRIDE)

    assert payload(world, answer, "OVERRIDE")["review"]


def test_a_reviewer_decides_and_a_practitioner_does_not(world: DemoWorld) -> None:
    answer = world.ask("social-worker", "shielded", override=OVERRIDE)
    request = {
        "query": DECIDE,
        "variables": {"id": payload(world, answer, "OVERRIDE")["review"], "note": "Seen with the worker"},
    }

    assert world.post("social-worker", request).code == "FORBIDDEN"
    decided = world.post("security-auditor", request)
    assert decided.body["data"]["decideReview"]["state"] == "UPHELD"
    assert payload(world, decided, "REVIEW")["verdict"] == "UPHELD"


def test_a_justification_in_a_word_is_none(world: DemoWorld) -> None:
    refused = world.ask("social-worker", "shielded", override=OVERRIDE | {"justification": "urgent"})

    assert (refused.status, refused.code) == (400, "BAD_USER_INPUT")
    assert world.records_of(refused) == []


def test_an_override_serves_one_lookup_and_no_other(world: DemoWorld) -> None:
    world.ask("social-worker", "shielded", override=OVERRIDE)

    after = world.ask("social-worker", "shielded")

    assert after.entries == []
    assert after.child["outcome"] == "NOTHING_DISCLOSABLE"


def test_an_override_is_no_key_to_a_child_whose_key_is_wrong(world: DemoWorld) -> None:
    wrong = world.key("shielded").__class__(world.key("shielded").nhs_number, world.key("shielded").born, "Wrong")

    assert world.ask("social-worker", wrong, override=OVERRIDE).entries == []


def test_an_override_opens_nothing_for_a_purpose_for_which_no_agreement_knows_break_glass(world: DemoWorld) -> None:
    """It stands in for the relationship, not for the role or the purpose."""
    plain = world.ask("health-visitor", "ordinary", "CIN_S17")
    broken = world.ask("health-visitor", "ordinary", "CIN_S17", override=OVERRIDE)

    assert without_receipt(broken) == without_receipt(plain)


def test_an_override_opens_nothing_without_the_scope(world: DemoWorld) -> None:
    answer = world.ask("health-visitor", "ordinary", override=OVERRIDE, scope="involvement:read lookup:override")

    assert answer.withheld["child.police.orders"] == "MISSING_SCOPE"
    assert answer.child["police"] is None


def without_receipt(exchange: Exchange) -> dict[str, Any]:
    data = exchange.body["data"]
    return exchange.body | {"data": data and {"child": data["child"] | {"receipt": None}}}
