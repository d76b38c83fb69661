"""What two gateways on one PostgreSQL know together: what one was asked or told holds at the other at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.__main__ import main as contactpoint
from gateway.audit.events import EventKind
from gateway.demo.personas import PERSONAS
from gateway.settings import WindowSection
from gateway.settings_reading import load
from tests.end_to_end.load import records_at, write_config
from tests.end_to_end.test_override import DECIDE, OVERRIDE, QUEUE
from tests.end_to_end.test_serve import process
from tests.end_to_end.test_several_processes import SERVE, until
from tests.end_to_end.world import DemoWorld, Exchange, RunningGateway
from tests.fixtures.ports import free_port
from tests.fixtures.postgresql import PostgreSQLServer

pytestmark = pytest.mark.network

LOOKUPS = 12
REVOKED, ANOTHER = "probation-officer", "security-auditor"
OVERRIDES = 3
REGISTER = "mutation ($stated: AppointmentInput!) { registerAppointment(appointment: $stated) { id } }"
END = "mutation ($id: ID!) { endAppointment(id: $id) { id } }"


@dataclass(frozen=True)
class Pair:
    """Two gateways, each a process of its own."""

    world: DemoWorld
    config: Path
    one: RunningGateway
    other: RunningGateway

    def both(self, persona: str, *how: Any, **more: Any) -> list[Exchange]:
        """Ask the same at the one and at the other."""
        return [self.world.ask(persona, *how, at=at, **more) for at in (self.one, self.other)]


@pytest.fixture(scope="module")
def pair(
    everything: DemoWorld, tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgreSQLServer
) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    name = postgresql_server.database()
    limits = {
        "person_lookups": WindowSection(minute=1_000, hour=1_000, day=LOOKUPS),
        "person_overrides": WindowSection(minute=1_000, hour=1_000, day=OVERRIDES),
    }
    settings = everything.settings.model_copy(update={"limits": everything.settings.limits.model_copy(update=limits)})
    config = write_config(settings, folder, url=postgresql_server.url(name))
    ports = free_port(), free_port()
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(process(*SERVE, str(config), "--port", str(port), port=port, log=folder / f"{port}"))
        one, other = (RunningGateway(everything.gateway, f"http://127.0.0.1:{port}") for port in ports)
        yield Pair(everything, config, one, other)
    postgresql_server.drop(name)


def test_a_budget_is_one_whoever_of_the_two_is_asked(pair: Pair) -> None:
    asked = [
        pair.world.ask("health-visitor", "ordinary", at=at).code
        for at in (pair.one, pair.other) * (LOOKUPS // 2) + (pair.one, pair.other)
    ]

    assert asked == [None] * LOOKUPS + ["RATE_LIMITED"] * 2


def test_a_shield_that_is_loaded_hides_the_child_at_both(pair: Pair, tmp_path: Path) -> None:
    before = pair.both("school-lead", "ordinary")
    file = tmp_path / "shields.csv"
    file.write_text(f"source,nhsNumber\ncs-eastmarch,{pair.world.key('ordinary').nhs_number}\n", encoding="utf-8")
    loaded = CliRunner().invoke(contactpoint, ["shields", "load", str(file), "--config", str(pair.config)])
    assert loaded.exit_code == 0, loaded.output
    after = pair.both("school-lead", "ordinary")
    file.write_text(f"source,nhsNumber\ncs-eastmarch,{pair.world.key('shielded').nhs_number}\n", encoding="utf-8")
    assert CliRunner().invoke(contactpoint, ["shields", "load", str(file), "--config", str(pair.config)]).exit_code == 0

    assert all(exchange.entries for exchange in before)
    assert [exchange.entries for exchange in after] == [[], []]
    assert {exchange.child["outcome"] for exchange in after} == {"NOTHING_DISCLOSABLE"}


def test_an_appointment_that_one_registers_and_the_other_ends_holds_and_ends_at_both(pair: Pair) -> None:
    guardian = PERSONAS["cafcass-guardian"]
    stated = {
        "nhsNumber": pair.world.key("ordinary").nhs_number,
        "appointeeSubject": guardian.subject,
        "appointeeOrganisation": guardian.organisation,
        "purpose": "CAFCASS_S42",
        "evidence": "An order of the tests",
        "expiresOn": (pair.world.families.today + timedelta(days=9)).isoformat(),
    }
    nobody = [exchange.code for exchange in pair.both("cafcass-guardian", "ordinary")]
    made = pair.world.post("family-court", {"query": REGISTER, "variables": {"stated": stated}}, at=pair.one)
    appointed = pair.both("cafcass-guardian", "ordinary")
    ended = {"query": END, "variables": {"id": made.body["data"]["registerAppointment"]["id"]}}
    assert pair.world.post("family-court", ended, at=pair.other).code is None
    afterwards = [exchange.code for exchange in pair.both("cafcass-guardian", "ordinary")]

    assert nobody == afterwards == ["FORBIDDEN"] * 2
    assert all(exchange.entries for exchange in appointed)


def test_break_glass_at_the_one_waits_for_review_at_the_other_and_is_decided_once(pair: Pair) -> None:
    broken = pair.world.ask("social-worker", "shielded", override=OVERRIDE, at=pair.one)
    queue = pair.world.post("security-auditor", {"query": QUEUE}, at=pair.other)
    waiting = {item["receipt"]: item["id"] for item in queue.body["data"]["reviews"]}
    verdict = {"id": waiting[broken.child["receipt"]], "note": "Seen with the worker"}
    decided = [
        pair.world.post("security-auditor", {"query": DECIDE, "variables": verdict}, at=at)
        for at in (pair.other, pair.one)
    ]

    assert broken.entries
    assert decided[0].body["data"]["decideReview"]["state"] == "UPHELD"
    assert decided[1].code is not None, "a review that is decided is decided at both"


def test_an_override_is_no_key_to_the_next_lookup_at_the_other_and_their_budget_is_one(pair: Pair) -> None:
    asked = [
        pair.world.ask("police-officer", "shielded", override=OVERRIDE, at=at).code
        for at in (pair.one, pair.other) * (OVERRIDES // 2 + 1)
    ]
    without = pair.both("police-officer", "shielded")

    assert asked == [None] * OVERRIDES + ["RATE_LIMITED"] * (len(asked) - OVERRIDES)
    assert [exchange.entries for exchange in without] == [[], []]


def test_who_is_revoked_is_refused_at_both_within_seconds_and_nobody_else_is(pair: Pair) -> None:
    def statuses(persona: str) -> list[int]:
        return [pair.world.post(persona, {"query": "{ __typename }"}, at=at).status for at in (pair.one, pair.other)]

    person = PERSONAS[REVOKED].subject
    before = statuses(REVOKED)
    revoke = ["revoke", "person", "-", "--config", str(pair.config)]
    told = CliRunner().invoke(contactpoint, revoke, input=person)
    assert told.exit_code == 0, told.output
    until(lambda: statuses(REVOKED) == [401, 401], seconds=30)
    refused, others = pair.both(REVOKED, "ordinary"), statuses(ANOTHER)
    log = records_at(load(pair.config).database.url)
    of_theirs = {exchange.request_id for exchange in refused}
    denied = [record.payload for record in log if record.kind is EventKind.DENIED and record.payload]

    assert before == others == [200, 200]
    assert [exchange.code for exchange in refused] == ["UNAUTHENTICATED"] * 2
    assert all("invalid_token" in exchange.headers["www-authenticate"] for exchange in refused)
    assert {"TOKEN REVOKED"} == {each["code"] for each in denied if each.get("request") in of_theirs}
    assert person not in told.output
