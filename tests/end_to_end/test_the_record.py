"""Every lookup leaves one INTENT and one OUTCOME, and OUTCOME holds exactly what the body holds."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from gateway.audit.verify import Status, verify
from tests.crash.power_cut import trust_of
from tests.end_to_end.accounts import held_in, unaccounted
from tests.end_to_end.documents import EVERYTHING, VARIANTS
from tests.end_to_end.world import PRACTITIONERS, DemoWorld, Exchange

pytestmark = pytest.mark.network

STORIES = (
    "ordinary",
    "twins",
    "sensitive-service",
    "linked-adult-probation",
    "three-authorities",
    "shielded",
    "unknown",
)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("persona", ["social-worker", "health-visitor", "school-lead"])
def test_the_log_says_what_the_body_holds_however_the_document_is_written(
    world: DemoWorld, persona: str, variant: str
) -> None:
    asked = [world.ask(persona, story, query=VARIANTS[variant]) for story in ("ordinary", "linked-adult-probation")]

    assert [exchange.status for exchange in asked] == [200, 200]
    assert unaccounted(asked, [r for exchange in asked for r in world.records_of(exchange)]) == []


@pytest.mark.parametrize("persona", PRACTITIONERS)
def test_the_log_says_what_the_body_holds_for_every_story(world: DemoWorld, persona: str) -> None:
    asked = [world.ask(persona, story) for story in STORIES]

    assert unaccounted(asked, [r for exchange in asked for r in world.records_of(exchange)]) == []


def test_a_refused_lookup_leaves_one_denied_record_and_no_intent(world: DemoWorld) -> None:
    refused = world.ask("immigration-officer", "ordinary")

    assert [r.kind for r in world.records_of(refused)] == ["DENIED"]


def test_a_request_without_a_lookup_leaves_no_record(world: DemoWorld) -> None:
    viewer = world.post("social-worker", {"query": "{ viewer { subject } }"})

    assert viewer.status == 200
    assert world.records_of(viewer) == []


def test_the_log_of_the_session_verifies(world: DemoWorld) -> None:
    world.ask("social-worker", "ordinary")

    found = verify(world.gateway.engine, trust_of(world.gateway.keys))

    assert found.status is Status.GOOD
    assert found.open_intents == 0


def _drop_a_field(told: dict[str, Any]) -> None:
    told["disclosed"]["entries"][0]["fields"].remove("practitioner.name")


def _drop_an_entry(told: dict[str, Any]) -> None:
    told["disclosed"]["entries"].pop()


def _add_a_field(told: dict[str, Any]) -> None:
    told["disclosed"]["entries"][0]["fields"].append("service.code")


def _drop_a_section(told: dict[str, Any]) -> None:
    told["disclosed"]["sections"].remove("police.orders.kind")


def _add_a_section(told: dict[str, Any]) -> None:
    told["disclosed"]["sections"].append("probation.mappa.level")


def _change_the_outcome(told: dict[str, Any]) -> None:
    told["outcome"] = "NOTHING_DISCLOSABLE"


def _rename_somebody(told: dict[str, Any]) -> None:
    told["disclosed"]["entries"][0]["practitioner"]["name"] = "Somebody Else"


def _point_elsewhere(told: dict[str, Any]) -> None:
    told["intent"] += 1


@pytest.mark.parametrize(
    "tamper",
    [
        _drop_a_field,
        _drop_an_entry,
        _add_a_field,
        _drop_a_section,
        _add_a_section,
        _change_the_outcome,
        _rename_somebody,
        _point_elsewhere,
    ],
)
def test_a_record_that_says_less_more_or_other_than_the_body_is_noticed(world: DemoWorld, tamper: Any) -> None:
    """The control of this file: it would see a gateway that records wrongly."""
    asked = world.ask("social-worker", "ordinary")
    intent, outcome = world.records_of(asked)
    told = copy.deepcopy(outcome.payload)
    assert told is not None
    tamper(told)

    assert unaccounted([asked], [intent, outcome]) == []
    assert unaccounted([asked], [intent, replace(outcome, payload=told)]) != []


@pytest.mark.parametrize("left", [slice(0, 1), slice(1, 2), slice(0, 0)], ids=["no-outcome", "no-intent", "neither"])
def test_a_missing_record_is_noticed(world: DemoWorld, left: slice) -> None:
    asked = world.ask("social-worker", "ordinary")

    assert unaccounted([asked], world.records_of(asked)[left]) != []


def test_a_body_that_holds_more_than_was_asked_is_noticed(world: DemoWorld) -> None:
    asked: Exchange = world.ask("social-worker", "ordinary", query=VARIANTS["the default answer"])
    data = copy.deepcopy(asked.body["data"])
    data["child"]["involvements"][0]["role"] = "slipped in"

    with pytest.raises(AssertionError):
        held_in(asked.document, asked.variables, data)


def test_the_reader_sees_every_leaf_of_the_widest_document(world: DemoWorld) -> None:
    asked = world.ask("social-worker", "ordinary")

    held = held_in(EVERYTHING, asked.variables, asked.body["data"])

    assert "Sam Okoro" in held.names
    assert {"practitioner.registration.number", "contact.phone", "agency.name"} <= set().union(*held.entries.values())
    assert {"police.orders.kind", "identity.givenNames", "assessments.holder"} <= held.sections
