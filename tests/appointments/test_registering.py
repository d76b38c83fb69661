"""Who may register an appointment, what is refused and with what, what is recorded, and what never comes back."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from gateway.audit.events import AdminAction, EventKind, unlisted_keys
from schema.identifiers import NHSNumber
from tests.appointments.asking import (
    COURT,
    FIELDS,
    GUARDIAN,
    LIST,
    REGISTER,
    end,
    in_days,
    register,
    registered,
    stated,
)
from tests.appointments.conftest import Running
from tests.fixtures.sources import CHILD, UNKNOWN_CHILD, known, row, source
from tests.fixtures.world import Told, World, today

pytestmark = pytest.mark.anyio

CANARY = "canary-3141592653"
OTHER_COURT = {**COURT, "org": "brook-council", "sub": "brook-officer"}


def council() -> Any:
    return source("cs-amber", known(CHILD, row()))


def admin(world: World, action: AdminAction) -> list[dict[str, Any]]:
    return [r.payload for r in world.records(EventKind.ADMIN) if r.payload and r.payload["action"] == action]


def rows(world: World) -> int:
    with world.gateway.engine.connect() as connection:
        found: int = connection.exec_driver_sql("SELECT count(*) FROM appointment").scalar_one()
        return found


async def test_a_body_registers_and_it_is_on_record_in_the_same_moment(running: Running) -> None:
    async with running(council()) as world:
        appointment = await registered(world)
        (record,) = admin(world, AdminAction.APPOINTMENT_REGISTERED)

    assert appointment["appointeeOrganisation"] == GUARDIAN["org"]
    assert (appointment["startsOn"], appointment["expiresOn"]) == (in_days(0), in_days(90))
    assert appointment["endedAt"] is None
    assert record["caller"]["subject"] == COURT["sub"]
    assert record["caller"]["organisation"] == COURT["org"]
    assert record["subject"] == world.gateway.keys.pseudonym(CHILD)
    assert record["appointment"] == {
        "id": appointment["id"],
        "appointee": appointment["appointee"],
        "organisation": GUARDIAN["org"],
        "purpose": "CAFCASS_S42",
        "evidence": stated()["evidence"],
        "startsOn": in_days(0),
        "expiresOn": in_days(90),
    }
    assert unlisted_keys(EventKind.ADMIN, record) == frozenset()


async def test_nothing_of_the_child_comes_back_and_no_agency_is_asked(running: Running) -> None:
    cs = council()
    async with running(cs) as world:
        told_known = await register(world)
        told_unknown = await register(world, nhsNumber=str(UNKNOWN_CHILD))
        listed = await world.post(LIST, **COURT)
        assert world.records() == []

    for told in (told_known, told_unknown, listed):
        assert str(CHILD) not in told.response.text
        assert world.gateway.keys.pseudonym(CHILD) not in told.response.text
    one, other = (told.body["data"]["registerAppointment"] for told in (told_known, told_unknown))
    assert {k: v for k, v in one.items() if k not in {"id", "registeredAt"}} == {
        k: v for k, v in other.items() if k not in {"id", "registeredAt"}
    }


async def test_neither_number_nor_subject_is_stored_or_recorded_as_such(running: Running) -> None:
    async with running(council()) as world:
        await registered(world)
        with world.gateway.engine.connect() as connection:
            stored = [dict(r._mapping) for r in connection.exec_driver_sql("SELECT * FROM appointment")]
        recorded = admin(world, AdminAction.APPOINTMENT_REGISTERED)

    for text in (json.dumps(stored), json.dumps(recorded)):
        assert str(CHILD) not in text
        assert GUARDIAN["sub"] not in text


async def test_a_body_sees_its_own_and_no_others(running: Running) -> None:
    async with running(council()) as world:
        first = await registered(world)
        second = await registered(world, nhsNumber=str(UNKNOWN_CHILD))
        own = await world.post(LIST, **COURT)
        others = await world.post(LIST, **OTHER_COURT)

    assert {one["id"] for one in own.body["data"]["appointments"]} == {first["id"], second["id"]}
    assert others.body["data"]["appointments"] == []


async def test_ending_is_recorded_once_and_only_the_body_can(running: Running) -> None:
    async with running(council()) as world:
        appointment = await registered(world)
        elsewhere = await end(world, appointment["id"], by=OTHER_COURT)
        nowhere = await end(world, "no-such-appointment")
        ended = await end(world, appointment["id"])
        again = await end(world, appointment["id"])
        denied = [r.payload["code"] for r in world.records(EventKind.DENIED) if r.payload]
        (record,) = admin(world, AdminAction.APPOINTMENT_ENDED)

    assert (elsewhere.code, nowhere.code) == ("FORBIDDEN", "FORBIDDEN")
    assert elsewhere.response.content == nowhere.response.content
    assert denied == ["NOT_THEIR_APPOINTMENT", "NOT_THEIR_APPOINTMENT"]
    assert ended.body == again.body
    assert record["appointment"]["id"] == appointment["id"]


@pytest.mark.parametrize(
    ("by", "differs", "code"),
    [
        pytest.param({**COURT, "scope": "involvement:read"}, {}, "MISSING_SCOPE", id="without-the-scope"),
        pytest.param(
            {**COURT, "org": "amber-council"}, {}, "MAY_NOT_APPOINT", id="an-organisation-that-does-not-appoint"
        ),
        pytest.param({**COURT, "org": "nobody"}, {}, "MAY_NOT_APPOINT", id="an-organisation-that-is-no-party"),
        pytest.param(COURT, {"purpose": "MAPPA_S325"}, "MAY_NOT_APPOINT", id="a-purpose-of-another-body"),
        pytest.param({**COURT, "sub": GUARDIAN["sub"]}, {}, "APPOINTS_THEMSELVES", id="oneself"),
        pytest.param(
            COURT,
            {"appointeeSubject": COURT["sub"], "appointeeOrganisation": COURT["org"]},
            "APPOINTS_THEMSELVES",
            id="oneself-at-the-court",
        ),
    ],
)
async def test_who_may_not_register_is_forbidden_and_it_is_on_record(
    running: Running, by: dict[str, Any], differs: dict[str, Any], code: str
) -> None:
    async with running(council()) as world:
        told = await register(world, by=by, **differs)
        denied = world.payload(EventKind.DENIED)

        assert (told.status, told.code, told.body["data"]) == (200, "FORBIDDEN", None)
        assert denied["code"] == code
        assert unlisted_keys(EventKind.DENIED, denied) == frozenset()
        assert rows(world) == 0


async def test_a_system_that_names_a_practitioner_does_not_appoint_that_practitioner(running: Running) -> None:
    system = {**COURT, "sub": "amber-case-system", "roles": ["cafcass_guardian"]}
    system["on_behalf_of"] = {
        "sub": GUARDIAN["sub"],
        "name": "G",
        "role": "cafcass_guardian",
        "registration": "SWE:SW1",
    }
    async with running(council()) as world:
        told = await register(world, by=system)

        assert (told.code, world.payload(EventKind.DENIED)["code"]) == ("FORBIDDEN", "APPOINTS_THEMSELVES")


def years_from_now(years: int, days: int) -> str:
    day = date(today().year + years, today().month, min(today().day, 28))
    return date.fromordinal(day.toordinal() + days).isoformat()


BAD = [
    pytest.param({"nhsNumber": "9990000019"}, id="a-number-with-a-wrong-check-digit"),
    pytest.param({"nhsNumber": None}, id="no-number"),
    pytest.param({"purpose": "CP_S47"}, id="a-purpose-that-nobody-is-appointed-for"),
    pytest.param({"purpose": CANARY}, id="a-purpose-that-does-not-exist"),
    pytest.param({"evidence": ""}, id="no-evidence"),
    pytest.param({"evidence": "   "}, id="evidence-of-spaces"),
    pytest.param({"evidence": CANARY * 20}, id="evidence-too-long"),
    pytest.param({"evidence": f"{CANARY}\x00"}, id="evidence-with-a-control-character"),
    pytest.param({"appointeeSubject": ""}, id="no-subject"),
    pytest.param({"appointeeSubject": CANARY * 30}, id="subject-too-long"),
    pytest.param({"appointeeSubject": f"{CANARY}\n"}, id="subject-that-no-token-has"),
    pytest.param({"appointeeOrganisation": CANARY}, id="an-organisation-that-is-no-party"),
    pytest.param({"expiresOn": in_days(0)}, id="expires-today"),
    pytest.param({"expiresOn": in_days(-1)}, id="expired"),
    pytest.param({"expiresOn": years_from_now(3, 4)}, id="expires-in-more-than-three-years"),
    pytest.param({"expiresOn": None}, id="never-expires"),
    pytest.param({"startsOn": in_days(91)}, id="starts-after-it-expires"),
    pytest.param({"startsOn": "soon"}, id="starts-on-no-date"),
]


@pytest.mark.parametrize("differs", BAD)
async def test_a_bad_value_is_refused_before_execution_and_not_echoed(
    running: Running, differs: dict[str, Any]
) -> None:
    async with running(council()) as world:
        told = await register(world, **differs)

        assert (told.status, told.code) == (400, "BAD_USER_INPUT")
        assert "data" not in told.body
        assert CANARY not in told.response.text
        assert rows(world) == 0


@pytest.mark.parametrize(
    "differs",
    [
        pytest.param({"expiresOn": in_days(1)}, id="tomorrow"),
        pytest.param({"expiresOn": years_from_now(3, 0)}, id="three-years"),
        pytest.param({"startsOn": in_days(-30)}, id="began-before-it-was-registered"),
        pytest.param({"startsOn": in_days(90)}, id="for-one-day"),
        pytest.param({"evidence": "x" * 200}, id="the-longest-evidence"),
    ],
)
async def test_the_limits_themselves_are_accepted(running: Running, differs: dict[str, Any]) -> None:
    async with running(council()) as world:
        assert (await registered(world, **differs))["id"]


def op(text: str) -> str:
    return f"mutation ($a: AppointmentInput!) {{ {text} }}"


ONE = "registerAppointment(appointment: $a) { id }"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        pytest.param(op(f"{ONE} again: {ONE}"), "LIMIT_EXCEEDED", id="two"),
        pytest.param(op(f"{ONE} {ONE}"), "LIMIT_EXCEEDED", id="one-twice"),
        pytest.param(op(f'{ONE} endAppointment(id: "x") {{ id }}'), "LIMIT_EXCEEDED", id="two-kinds"),
        pytest.param(
            op("registerAppointment(appointment: $a) @skip(if: true) { id }"), "GRAPHQL_VALIDATION_FAILED", id="skipped"
        ),
        pytest.param(op(f"... @include(if: false) {{ {ONE} }}"), "GRAPHQL_VALIDATION_FAILED", id="not-included"),
        pytest.param(
            "{ appointments { id } viewer { subject } }", "GRAPHQL_VALIDATION_FAILED", id="a-register-beside-something"
        ),
        pytest.param("{ appointments { id } reviews { id } }", "LIMIT_EXCEEDED", id="two-registers"),
        pytest.param(
            "{ appointments { id } __schema { types { name } } }",
            "GRAPHQL_VALIDATION_FAILED",
            id="introspection-beside",
        ),
        pytest.param(
            op(f"{ONE} __schema {{ types {{ name }} }}"), "GRAPHQL_VALIDATION_FAILED", id="introspection-in-a-mutation"
        ),
        pytest.param(
            'query { appointments { id } child(key: {dateOfBirth: "2020-01-01", familyName: "A"}, '
            'access: {purpose: CP_S47, reason: "r"}) { outcome } }',
            "GRAPHQL_VALIDATION_FAILED",
            id="a-lookup-beside",
        ),
    ],
)
async def test_what_a_register_answers_stands_alone_and_unconditionally(
    running: Running, document: str, code: str
) -> None:
    async with running(council()) as world:
        claims = {**COURT, "scope": "appointment:write schema:read involvement:read audit:read"}
        told = await world.post(document, {"a": stated()} if "$a" in document else {}, **claims)

        assert (told.status, told.code) == (400, code)
        assert rows(world) == 0


async def test_the_name_of_the_type_may_stand_beside_and_a_fragment_may_be_used(running: Running) -> None:
    document = op(f"__typename ...F ...F }} fragment F on Mutation {{ {ONE}")
    async with running(council()) as world:
        told = await world.post(document, {"a": stated()}, **COURT)

        assert told.body["data"]["__typename"] == "Mutation"
        assert rows(world) == 1


@pytest.mark.parametrize("document", [op(ONE), LIST, 'mutation { endAppointment(id: "x") { id } }'])
async def test_nothing_of_a_register_goes_by_get(running: Running, document: str) -> None:
    async with running(council()) as world:
        parameters = {"query": document, "variables": json.dumps({"a": stated()} if "$a" in document else {})}
        headers = {**world.headers(**COURT), "GraphQL-Require-Preflight": "1"}
        told = Told(await world.client.get("/graphql", params=parameters, headers=headers))

        assert (told.status, told.code) == (405, "METHOD_NOT_ALLOWED")
        assert rows(world) == 0


async def test_an_identifier_in_the_text_of_the_mutation_is_taken_and_not_kept_as_a_digest(running: Running) -> None:
    document = (
        f'mutation {{ registerAppointment(appointment: {{nhsNumber: "{CHILD}", appointeeSubject: "{GUARDIAN["sub"]}", '
        f'appointeeOrganisation: "{GUARDIAN["org"]}", purpose: CAFCASS_S42, evidence: "e", '
        f'expiresOn: "{in_days(9)}"}}) {{ {FIELDS} }} }}'
    )
    async with running(council()) as world:
        told = await world.post(document, **COURT)
        (record,) = admin(world, AdminAction.APPOINTMENT_REGISTERED)

    assert told.body["data"]["registerAppointment"]["evidence"] == "e"
    assert len(record["operation"]["document"]) == 24  # keyed: a plain SHA-256 has 64 digits


async def test_without_a_log_nothing_is_registered(running: Running) -> None:
    async with running(council()) as world:
        world.gateway.log.close()
        told = await register(world)

        assert (told.status, told.code) == (503, "AUDIT_UNAVAILABLE")
        assert rows(world) == 0


async def test_refusals_that_somebody_repeats_are_counted_and_the_count_is_on_record_at_the_end(
    running: Running,
) -> None:
    async with running(council()) as world:
        told = [await register(world, by={**COURT, "scope": "schema:read"}) for _ in range(7)]
        before = world.records(EventKind.DENIED)
        await world.gateway.registers.refusals.drain()
        after = [r.payload for r in world.records(EventKind.DENIED) if r.payload]

    assert {t.code for t in told} == {"FORBIDDEN"}
    assert len(before) == 1
    assert [p.get("count") for p in after] == [None, 6]
    assert after[1]["caller"] == after[0]["caller"]
    assert unlisted_keys(EventKind.DENIED, after[1]) == frozenset()


def test_the_children_of_these_tests_are_fictional() -> None:
    assert all(str(n).startswith("999") for n in (NHSNumber(CHILD), NHSNumber(UNKNOWN_CHILD)))
    assert REGISTER.count("$stated") == 2
