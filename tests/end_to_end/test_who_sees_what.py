"""Who gets which field of one child's answer, held whole against a table that a person wrote from the agreements."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.accounts import SCHEMA
from tests.end_to_end.world import PRACTITIONERS, SOURCES, DemoWorld, Exchange

pytestmark = pytest.mark.network

TABLE = tomllib.loads((Path(__file__).parent / "who_sees_what.toml").read_text(encoding="utf-8"))

# What stands in an entry, by what is told of it, as far as each simulated agency keeps it: the force has no
# registration of an officer, the trust does not say when it last confirmed an entry, and only the school how soon it
# replies; of the school's team nothing is kept but its name and whom to ring out of hours.
_TEAM = frozenset(
    [
        "id",
        "agency.id",
        "agency.name",
        "agency.kind",
        "agency.area",
        "sources.id",
        "sources.name",
        "sources.kind",
        "sources.area",
        "role",
        "team.name",
        "contact.mode",
        "contact.phone",
        "contact.email",
        "contact.outOfHours",
        "status",
        "startedOn",
        "lead",
        "relationship",
    ]
)
_WHO = frozenset({"practitioner.name", "practitioner.role"})
_REGISTERED = frozenset({"practitioner.registration.body", "practitioner.registration.number"})
_CONFIRMED = frozenset({"lastConfirmedAt"})
_SCHOOL = _TEAM | _CONFIRMED | {"contact.expectedResponse"}
_KEPT_BY = {
    "CHILDRENS_SERVICES": {"team": _TEAM | _CONFIRMED, "person": _TEAM | _CONFIRMED | _WHO | _REGISTERED},
    "HEALTH": {"team": _TEAM, "person": _TEAM | _WHO | _REGISTERED},
    "POLICE": {"team": _TEAM | _CONFIRMED, "person": _TEAM | _CONFIRMED | _WHO},
    "SCHOOL": {"team": _SCHOOL - {"contact.phone", "contact.email"}, "person": _SCHOOL | _WHO},
}


def leaves(value: Any, prefix: str = "") -> set[str]:
    """Return the path of every value that is not null, without list positions."""
    if isinstance(value, Mapping):
        return {path for name, inner in value.items() for path in leaves(inner, f"{prefix}.{name}" if prefix else name)}
    if isinstance(value, list):
        return {path for inner in value for path in leaves(inner, prefix)}
    return set() if value is None else {prefix}


def as_told(answer: Exchange) -> dict[str, Any]:
    """Return an answer in the words of the table."""
    child = answer.child
    entries: dict[str, dict[str, set[frozenset[str]]]] = {}
    for entry in child["involvements"]:
        kind = entries.setdefault(entry["agency"]["kind"], {"current": set(), "previous": set()})
        kind[entry["status"].lower()].add(frozenset(leaves(entry)))
    lead = child["leadPractitioner"] or {}
    withheld = {path.removeprefix("child."): code for path, code in answer.withheld.items()}
    return {
        "outcome": child["outcome"],
        "people": sorted(e["practitioner"]["name"] for e in child["involvements"] if e["practitioner"]),
        "lead": (lead.get("practitioner") or {}).get("name", "-"),
        "not_asked": [s["agency"]["id"] for s in child["sources"] if s["status"] == "NOT_ASKED"],
        "previous": withheld.pop("involvements.previous", "told"),
        "entries": entries,
        "deeper": {
            path: withheld.pop(path, "told" if _at(child, path) is not None else "-") for path in deeper_paths()
        },
        "withheld besides": withheld,
    }


def _at(child: Mapping[str, Any], path: str) -> Any:
    found: Any = child
    for name in path.split("."):
        found = found[name] if found is not None else None
    return found


def deeper_paths() -> list[str]:
    """Return every field of every deeper record that the published SDL has."""
    lookup: Any = SCHEMA.type_map["ChildLookup"]
    found = []
    for name, field in lookup.fields.items():
        if name in {"outcome", "complete", "advice", "sources", "receipt", "involvements", "leadPractitioner"}:
            continue
        inner = getattr(field.type, "fields", None)
        found += [f"{name}.{each}" for each in inner] if inner else [name]
    return found


def as_written(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the table in the same words."""
    return {
        "outcome": row["outcome"],
        "people": sorted(row["people"]),
        "lead": row["lead"],
        "not_asked": row["not_asked"],
        "previous": row["previous"],
        "entries": {
            kind: {when: _fields(kind, when, told[when]) for when in told} for kind, told in row["entries"].items()
        },
        "deeper": row["deeper"],
        "withheld besides": {},
    }


def _fields(kind: str, when: str, told: str) -> set[frozenset[str]]:
    if told == "-":
        return set()
    return {frozenset(_KEPT_BY[kind][told] | ({"endedOn"} if when == "previous" else set()))}


@pytest.mark.parametrize("persona", TABLE)
def test_a_persona_sees_what_the_table_says_and_nothing_else(world: DemoWorld, persona: str) -> None:
    answer = world.ask(persona, "ordinary", TABLE[persona]["purpose"])

    assert as_told(answer) == as_written(TABLE[persona])
    assert {status for status, _ in answer.sources.values()} <= {"ANSWERED", "NOT_ASKED"}
    assert list(answer.sources) == list(SOURCES)


def test_the_table_names_every_persona_that_may_ask_and_every_deeper_field() -> None:
    assert {*TABLE, "case-system"} == set(PRACTITIONERS)
    for persona in TABLE:
        assert set(TABLE[persona]["deeper"]) == set(deeper_paths())


def test_the_answers_differ_from_persona_to_persona(world: DemoWorld) -> None:
    told = [as_told(world.ask(persona, "ordinary")) for persona in TABLE]

    assert all(told[a] != told[b] for a in range(len(told)) for b in range(a))


def test_the_case_system_sees_what_the_social_worker_sees_whose_relationship_it_lacks(world: DemoWorld) -> None:
    """No agreement of the demo opens a field to the child's own practitioner alone, so the two differ in ids only."""
    worker, system = world.ask("social-worker", "ordinary"), world.ask("case-system", "ordinary")

    assert as_told(system) == as_told(worker)
    assert [_without_id(e) for e in system.entries] == [_without_id(e) for e in worker.entries]
    assert not {e["id"] for e in system.entries} & {e["id"] for e in worker.entries}
    relationships = [world.records_of(each)[1].payload["relationship"] for each in (worker, system)]  # type: ignore[index]
    assert relationships == ["PRACTITIONER", "ORGANISATION"]


def _without_id(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "id"}


def test_what_needs_an_involvement_of_the_organisation_is_absent_without_one(world: DemoWorld) -> None:
    """Another authority has a plan, and probation a risk; only the council's workers must be involved to see them."""
    guardian, worker, probation = (
        world.ask(name, "another-authority") for name in ("cafcass-guardian", "social-worker", "probation-officer")
    )

    assert guardian.child["childrensServices"]["plans"]
    assert worker.child["childrensServices"]["plans"] is None
    assert worker.child["childrensServices"]["statuses"]
    assert probation.child["probation"]["risk"]
    assert probation.child["probation"]["mappa"]
    assert worker.child["probation"]["supervision"]
    assert worker.child["probation"]["risk"] is None
    assert worker.child["probation"]["mappa"] is None
    # told of the caller's standing alone: a relationship might have opened them, so nothing is said to be withheld
    assert worker.withheld == {}


@pytest.mark.parametrize("purpose", ["SAFEGUARD_S16LA", "UKVI_S55", "CP_S47", "VITAL_INTERESTS"])
def test_an_immigration_officer_is_refused_for_every_purpose_and_nobody_is_asked(
    world: DemoWorld, purpose: str
) -> None:
    before = world.calls()

    refused = world.ask("immigration-officer", "ordinary", purpose)

    assert refused.status == 200
    assert refused.body["data"] is None
    assert refused.code == "FORBIDDEN"
    assert world.calls() == before
    assert [r.kind for r in world.records_of(refused)] == ["DENIED"]


@pytest.mark.parametrize("persona", ["security-auditor", "integrator"])
def test_those_who_work_with_no_child_may_look_none_up_but_see_their_own_standing(
    world: DemoWorld, persona: str
) -> None:
    before = world.calls()

    refused = world.ask(persona, "ordinary")
    viewer = world.post(
        persona, {"query": "{ viewer { subject organisation roles scopes access(purpose: CP_S47) { field open } } }"}
    )

    assert (refused.status, refused.body["data"], refused.code) == (200, None, "FORBIDDEN")
    assert world.calls() == before
    assert viewer.body["data"]["viewer"]["subject"] == f"northshire-council:{persona}"
    assert not any(access["open"] for access in viewer.body["data"]["viewer"]["access"])


def test_a_guardian_is_told_of_no_child_to_whom_no_court_appointed_them(world: DemoWorld) -> None:
    """The same bytes for a shielded child, an unknown one and one that somebody works with, and nobody is asked."""
    before = world.calls()
    refused = [world.ask("cafcass-guardian", story) for story in ("shielded", "unknown", "sensitive-service")]

    assert {each.code for each in refused} == {"FORBIDDEN"}
    assert len({str(each.body["errors"][0]["message"]) for each in refused}) == 1
    assert world.calls() == before
    for each in refused:
        (record,) = world.records_of(each)
        assert (record.kind, (record.payload or {})["code"]) == ("DENIED", "NOT_APPOINTED")


@pytest.mark.parametrize("persona", ["social-worker", "health-visitor", "police-officer", "school-lead"])
def test_a_guardians_purpose_is_no_use_to_anybody_else(world: DemoWorld, persona: str) -> None:
    assert world.ask(persona, "ordinary", "CAFCASS_S42").code == "FORBIDDEN"


@pytest.mark.parametrize("persona", TABLE)
def test_one_scope_less_closes_its_fields_and_says_so(world: DemoWorld, persona: str) -> None:
    """The complement of every permission: each scope of a token is left out in turn."""
    row = TABLE[persona]
    scopes = {"childrensServices.statuses": "childrens_services.status:read", "assessments": "assessment:read"}
    for path, scope in scopes.items():
        if row["deeper"][path] != "told":
            continue
        answer = world.ask(persona, "ordinary", row["purpose"], scope=f"involvement:read {_other(scope, scopes)}")
        assert _at(answer.child, path) is None
        assert answer.withheld[f"child.{path}"] == "MISSING_SCOPE"
    alone = world.ask(persona, "ordinary", row["purpose"], scope="involvement:read")
    assert {entry["status"] for entry in alone.entries} == {"CURRENT"}
    assert all(_at(alone.child, path) is None for path in deeper_paths())
    assert set(alone.withheld.values()) == {"MISSING_SCOPE"}


def _other(scope: str, scopes: Mapping[str, str]) -> str:
    return next(each for each in scopes.values() if each != scope)


def test_a_weaker_sign_in_closes_what_needs_a_stronger_one_and_says_so(world: DemoWorld) -> None:
    answer = world.ask("social-worker", "ordinary", acr="standard")

    assert {path for path, code in answer.withheld.items() if code == "STEP_UP_REQUIRED"} == {
        "child.childrensServices.plans",
        "child.health.safeguarding",
        "child.police.events",
        "child.police.notifications",
        "child.police.orders",
        "child.probation.supervision",
        "child.probation.risk",
        "child.probation.riskToChildren",
        "child.probation.mappa",
    }
    assert answer.child["police"] is None


def test_a_guardian_with_a_weak_sign_in_is_asked_for_a_stronger_one(world: DemoWorld) -> None:
    before = world.calls()

    challenged = world.ask("cafcass-guardian", "ordinary", acr="standard")

    assert challenged.status == 401
    assert 'error="insufficient_user_authentication"' in challenged.headers["www-authenticate"]
    assert 'acr_values="urn:contactpoint:acr:strong"' in challenged.headers["www-authenticate"]
    assert world.calls() == before
