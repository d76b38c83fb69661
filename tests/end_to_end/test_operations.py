"""The routes beside /graphql, budgets over HTTP, and what logs and metrics may not hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gateway.settings import Settings, WindowSection
from tests.end_to_end.world import REASON, S16LA, DemoWorld, RunningGateway, serving

pytestmark = pytest.mark.network

SDL = Path(__file__).parents[2] / "schema" / "directory.graphql"


# health, metadata, SDL


def get(world: DemoWorld, path: str, persona: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {world.token(persona)}"} if persona else {}
    return world.client.get(f"{world.url}{path}", headers=headers)


def test_liveness_and_readiness_are_200_with_every_agency_down(world: DemoWorld) -> None:
    """Readiness is about the log and the keys: a gateway that cannot reach an agency still answers."""
    with world.stopped("cs-northshire"), world.stopped("health-northshire"), world.stopped("police-northshire"):
        live, ready = get(world, "/livez"), get(world, "/readyz")

    assert live.json() == {"status": "alive"}
    assert (live.status_code, ready.status_code) == (200, 200)
    assert ready.json() == {
        "status": "ready",
        "checks": {"audit": True, "keys": True, "clock": True, "staying": True, "durability": True},
    }


def test_protected_resource_metadata_names_the_issuer_and_the_scopes(world: DemoWorld) -> None:
    for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/graphql"):
        metadata = get(world, path).json()
        assert metadata["resource"] == f"{world.url}/graphql"
        assert metadata["authorization_servers"] == [f"{world.url}/idp"]
        assert "involvement:read" in metadata["scopes_supported"]
        assert metadata["bearer_methods_supported"] == ["header"]


def test_the_challenge_of_a_401_leads_to_that_metadata(world: DemoWorld) -> None:
    refused = world.client.post(f"{world.url}/graphql", json={"query": "{ viewer { subject } }"})

    place = refused.headers["www-authenticate"].partition('resource_metadata="')[2].partition('"')[0]
    assert world.client.get(place).json()["resource"] == f"{world.url}/graphql"


def test_the_published_sdl_is_for_those_with_its_scope(world: DemoWorld) -> None:
    given = get(world, "/schema.graphql", "integrator")

    assert given.status_code == 200
    assert given.text == SDL.read_text(encoding="utf-8")
    assert get(world, "/schema.graphql").status_code == 401
    assert "www-authenticate" in get(world, "/schema.graphql").headers
    assert get(world, "/schema.graphql", "social-worker").status_code == 403


def test_metrics_are_prometheus_text(world: DemoWorld) -> None:
    world.ask("social-worker", "ordinary")

    given = get(world, "/metrics")

    assert given.status_code == 200
    assert given.headers["content-type"].startswith("text/plain")
    assert "# TYPE" in given.text


# budgets


@contextmanager
def limited(world: DemoWorld, database: Path, **limits: WindowSection) -> Iterator[RunningGateway]:
    """Run a gateway with small budgets on a database of its own; a second one may follow on the same."""
    settings: Settings = world.settings.model_copy(
        update={
            "database": world.settings.database.model_copy(update={"url": f"sqlite:///{database}"}),
            "limits": world.settings.limits.model_copy(update=limits),
        }
    )
    with serving(settings) as running:
        yield running


def test_after_the_budget_of_lookups_a_person_is_told_when_to_come_back(world: DemoWorld, tmp_path: Path) -> None:
    with limited(world, tmp_path / "a.db", person_lookups=WindowSection(day=3)) as gateway:
        answered = [world.ask("social-worker", story, at=gateway) for story in ("ordinary", "shielded", "unknown")]
        before = world.calls()
        spent = [world.ask("social-worker", story, at=gateway) for story in ("ordinary", "shielded", "unknown")]
        other = world.ask("health-visitor", "ordinary", at=gateway)
        still_calls = world.calls()
        denied = [r.payload for r in gateway.records() if r.kind == "DENIED"]

    assert [a.status for a in answered] == [200] * 3
    assert [s.status for s in spent] == [429] * 3
    assert [s.code for s in spent] == ["RATE_LIMITED"] * 3
    assert len({s.content for s in spent}) == 1
    assert all(0 < int(s.headers["retry-after"]) <= 86_400 for s in spent)
    assert all("data" not in s.body for s in spent)
    assert other.status == 200
    assert before["police"] == still_calls["police"] - 1
    # the first is a record of its own; the others of the same minute are counted, and the count is written at its end
    assert [d["code"] for d in denied if d] == ["BUDGET person.lookups.day"]


def test_a_lookup_that_discloses_nothing_is_a_miss_and_one_that_does_is_none(world: DemoWorld, tmp_path: Path) -> None:
    with limited(world, tmp_path / "b.db", person_misses=WindowSection(day=2)) as gateway:
        told = [world.ask("social-worker", "ordinary", at=gateway).status for _ in range(5)]
        missed = [world.ask("social-worker", story, at=gateway).status for story in ("unknown", "shielded")]
        spent = world.ask("social-worker", "ordinary", at=gateway)

    assert told == [200] * 5
    assert missed == [200] * 2
    assert spent.status == 429


def test_an_incomplete_answer_that_discloses_nothing_is_a_miss(world: DemoWorld, tmp_path: Path) -> None:
    with limited(world, tmp_path / "c.db", person_misses=WindowSection(day=1)) as gateway:
        with world.stopped("police-northshire"):
            incomplete = world.ask("social-worker", "unknown", at=gateway)
        spent = world.ask("social-worker", "ordinary", at=gateway)

    assert incomplete.child["outcome"] == "INCOMPLETE"
    assert spent.status == 429


def test_an_incomplete_answer_that_discloses_something_is_none(world: DemoWorld, tmp_path: Path) -> None:
    with limited(world, tmp_path / "d.db", person_misses=WindowSection(day=1)) as gateway:
        with world.stopped("police-northshire"):
            world.ask("social-worker", "ordinary", at=gateway)
        again = world.ask("social-worker", "ordinary", at=gateway)

    assert again.status == 200


def test_what_was_spent_stays_spent_when_the_gateway_starts_again(world: DemoWorld, tmp_path: Path) -> None:
    limits = {"person_lookups": WindowSection(day=2)}
    with limited(world, tmp_path / "e.db", **limits) as gateway:
        first = [world.ask("social-worker", "ordinary", at=gateway).status for _ in range(2)]
    with limited(world, tmp_path / "e.db", **limits) as gateway:
        after = world.ask("social-worker", "ordinary", at=gateway).status
    with limited(world, tmp_path / "other.db", **limits) as gateway:
        elsewhere = world.ask("social-worker", "ordinary", at=gateway).status

    assert first == [200, 200]
    assert after == 429
    assert elsewhere == 200


def test_a_system_spends_the_budget_of_the_practitioner_it_asks_for(world: DemoWorld, tmp_path: Path) -> None:
    with limited(world, tmp_path / "f.db", person_lookups=WindowSection(day=1)) as gateway:
        first = world.ask("case-system", "ordinary", at=gateway)
        second = world.ask("case-system", "ordinary", at=gateway)
        person = world.ask("social-worker", "ordinary", at=gateway)

    assert [first.status, second.status, person.status] == [200, 429, 200]


def test_a_budget_is_charged_for_lookups_alone(world: DemoWorld, tmp_path: Path) -> None:
    with limited(world, tmp_path / "g.db", person_lookups=WindowSection(day=1)) as gateway:
        viewers = [
            world.post("social-worker", {"query": "{ viewer { subject } }"}, at=gateway).status for _ in range(3)
        ]
        lookup = world.ask("social-worker", "ordinary", at=gateway)

    assert [*viewers, lookup.status] == [200] * 4


# canaries


def test_neither_logs_nor_metrics_hold_anything_of_a_child_a_practitioner_or_a_token(world: DemoWorld) -> None:
    for story in ("ordinary", "shielded", "agency-down", "turned-18", "linked-adult-probation"):
        world.ask("social-worker", story)
    world.ask("social-worker", "ordinary", override={"justification": "canary-justification", "acceptReview": True})
    with world.stopped("health-northshire"):
        world.ask("health-visitor", "ordinary")
    families = world.families
    numbers = {c.nhs_number for c in families.children} | {a.crn for a in families.adults}
    surnames = {name.family for child in families.children for name in child.names}
    answers = [
        e
        for exchange in world.exchanges
        if exchange.status == 200 and exchange.body.get("data")
        for e in (exchange.body["data"].get("child") or {}).get("involvements", [])
    ]
    people = {e["practitioner"]["name"] for e in answers if e.get("practitioner") and "name" in e["practitioner"]}
    phones = {e["contact"]["phone"] for e in answers if e.get("contact", {}).get("phone")}
    secrets = {
        "canary-reason",
        REASON,
        "canary-justification",
        *world.tokens(),
        *(t.split(".")[2] for t in world.tokens()),
    }
    kept = world.logged.getvalue()

    for what, text in {"logs": kept, "metrics": get(world, "/metrics").text}.items():
        found = [each for each in (*numbers, *people, *phones, *secrets) if each and each in text]
        assert found == [], what
        words = set(text.replace('"', " ").replace("=", " ").split())
        assert not surnames & words, what
    # the control: there is a log, it is at its most talkative, and lookups leave traces elsewhere
    assert kept.count("\n") > 3
    assert len(numbers) > 50
    assert {"Sam Okoro", "Petra Blum"} <= people
    assert phones


def test_no_answer_of_the_session_holds_an_identifier_of_anybody_but_by_grant(world: DemoWorld) -> None:
    """Neither the child's number nor an adult's CRN, prison number or name is in any answer."""
    for story in ("ordinary", "linked-adult-probation", "unallocated", "adult-in-prison", "merged-adult"):
        for persona in ("social-worker", "police-officer", "probation-officer"):
            world.ask(persona, story)
    identifiers = {c.nhs_number for c in world.families.children}
    identifiers |= {i for a in world.families.adults for i in (a.crn, a.prison_number) if i}
    identifiers |= {f"{a.given} {a.family}" for a in world.families.adults}

    for exchange in world.exchanges:
        text = json.dumps(exchange.body)
        assert not [i for i in identifiers if i in text]


def test_every_answer_forbids_storing_and_sniffing(world: DemoWorld) -> None:
    world.ask("social-worker", "ordinary", S16LA)

    for exchange in world.exchanges:
        assert exchange.headers["cache-control"] == "no-store"
        assert exchange.headers["x-content-type-options"] == "nosniff"
        assert exchange.headers["x-request-id"] == exchange.request_id
