"""One lookup from request to answer: the frame, the order of events, and what each kind of trouble leads to."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import anyio
import pytest

from gateway.audit.events import EventKind, unlisted_keys
from gateway.audit.records import Record
from schema.records import IdentityClaim
from schema.sections import ChildIdentity, HealthRecord, Registered, SafeguardingFlag
from schema.vocabulary import AgencyKind, InvolvementStatus
from tests.fixtures.sources import (
    BORN,
    CHILD,
    FAMILY,
    OTHER_CHILD,
    UNKNOWN_CHILD,
    FailingSource,
    LookingSource,
    LyingSource,
    RaisingSource,
    Remembering,
    SlowSource,
    TellAllSource,
    known,
    row,
    source,
)
from tests.fixtures.token_factory import CLIENT, STRONG
from tests.fixtures.world import Opening, Terms, World, configured, running_world, today
from tests.gateway.conftest import Running

pytestmark = pytest.mark.anyio

SHORT = {"total_seconds": 0.5, "source_seconds": 0.1, "reserve_seconds": 0.0}


def council(**holds: Any) -> Any:
    return source("cs-amber", known(CHILD, row(**holds)), organisation="amber-council")


async def test_an_entry_that_may_be_shown_is_disclosed(running: Running) -> None:
    async with running(council(lead=True)) as world:
        told = await world.ask()

    assert told.status == 200
    assert told.outcome == "DISCLOSED"
    assert told.child["complete"] is True
    assert [e["practitioner"]["name"] for e in told.entries] == ["Ada Brook"]
    assert told.sources == {"cs-amber": "ANSWERED"}
    assert len(told.child["receipt"]) == 22
    assert told.code is None


async def test_a_child_whom_nobody_holds_gives_nothing_disclosable_and_never_says_nobody(running: Running) -> None:
    async with running(council()) as world:
        told = await world.ask(UNKNOWN_CHILD)

    assert told.outcome == "NOTHING_DISCLOSABLE"
    assert told.entries == []
    assert "not confirmation" in told.child["advice"]


async def test_a_source_without_an_answer_makes_the_lookup_incomplete_and_costs_its_own_answer_alone(
    running: Running,
) -> None:
    police = FailingSource(source("police-amber", kind=AgencyKind.POLICE))
    async with running(council(), police) as world:
        told = await world.ask()

    assert told.outcome == "INCOMPLETE"
    assert told.child["complete"] is False
    assert len(told.entries) == 1
    assert told.sources == {"cs-amber": "ANSWERED", "police-amber": "NO_ANSWER OVERLOADED"}


async def test_a_lookup_that_asks_for_the_outcome_alone_says_whether_anybody_is_involved(running: Running) -> None:
    async with running(council()) as world:
        known_child = await world.ask(select="outcome")
        unknown_child = await world.ask(UNKNOWN_CHILD, select="outcome")

    assert known_child.outcome == "DISCLOSED"
    assert unknown_child.outcome == "NOTHING_DISCLOSABLE"


async def test_ended_entries_alone_do_not_disclose_to_who_asks_for_current_ones(running: Running) -> None:
    async with running(council(status=InvolvementStatus.PREVIOUS)) as world:
        current = await world.ask(select="outcome involvements { id }")
        both = await world.ask(select="outcome involvements(status: [CURRENT, PREVIOUS]) { status }")
        ended = await world.ask(select="outcome involvements(status: PREVIOUS) { status }")

    assert (current.outcome, current.entries) == ("NOTHING_DISCLOSABLE", [])
    assert (both.outcome, both.entries) == ("DISCLOSED", [{"status": "PREVIOUS"}])
    assert (ended.outcome, ended.entries) == ("DISCLOSED", [{"status": "PREVIOUS"}])


async def test_entries_of_other_kinds_of_agency_do_not_disclose_to_who_asks_for_one_kind(running: Running) -> None:
    school = source("school-elm", known(CHILD, row(name="Dana Elm")), kind=AgencyKind.SCHOOL)
    async with running(council(), school) as world:
        schools = await world.ask(select="outcome involvements(agencyKinds: [SCHOOL]) { practitioner { name } }")
        housing = await world.ask(select="outcome involvements(agencyKinds: [HOUSING]) { id }")

    assert schools.entries == [{"practitioner": {"name": "Dana Elm"}}]
    assert (housing.outcome, housing.entries) == ("NOTHING_DISCLOSABLE", [])


async def test_aliases_and_fragments_are_answered_under_their_own_keys_and_recorded_under_the_fields_names(
    running: Running,
) -> None:
    document = """
    query Q($key: ChildKey!, $access: AccessRequest!) { who: child(key: $key, access: $access) { ...frame } }
    fragment frame on ChildLookup {
      outcome now: involvements { what: role ...more } ended: involvements(status: PREVIOUS) { id }
      heard: sources { said: status } }
    fragment more on Involvement { agency { called: name } }
    """
    variables = {
        "key": {"nhsNumber": CHILD, "dateOfBirth": BORN.isoformat(), "familyName": FAMILY},
        "access": {"purpose": "CP_S47", "reason": "r"},
    }
    async with running(council()) as world:
        told = await world.post(document, variables)
        outcome = world.payload(EventKind.OUTCOME)

    assert told.body["data"]["who"]["now"] == [{"what": "Allocated worker", "agency": {"called": "CS-AMBER"}}]
    assert told.body["data"]["who"]["ended"] == []
    assert told.body["data"]["who"]["heard"] == [{"said": "ANSWERED"}]
    assert [e["fields"] for e in outcome["disclosed"]["entries"]] == [["agency.name", "role"]]


async def test_the_lead_practitioner_is_the_current_lead_entry_and_null_without_one(running: Running) -> None:
    lead = row("b", name="Lena Lead", lead=True)
    ended = row("c", name="Eve Ended", lead=True, status=InvolvementStatus.PREVIOUS)
    select = "outcome leadPractitioner { practitioner { name } }"
    async with running(source("cs-amber", known(CHILD, row("a"), lead, ended))) as world:
        with_lead = await world.ask(select=select)
    assert with_lead.outcome == "DISCLOSED"
    assert with_lead.child["leadPractitioner"] == {"practitioner": {"name": "Lena Lead"}}


async def test_without_a_lead_an_operation_that_asks_for_the_lead_alone_discloses_nothing(running: Running) -> None:
    async with running(council()) as world:
        told = await world.ask(select="outcome leadPractitioner { id }")

    assert told.child == {"outcome": "NOTHING_DISCLOSABLE", "leadPractitioner": None}


async def test_a_deeper_value_alone_discloses_and_a_closed_one_is_null_and_told(running: Running) -> None:
    held = HealthRecord(
        registration=(Registered(source("x").manifest.agency, "Y05868", None),),
        safeguarding=(SafeguardingFlag(source("x").manifest.agency, "CPP", None),),
    )
    trace = IdentityClaim(BORN, (FAMILY,))
    health = source(
        "health-amber",
        known(CHILD, trace=trace, sections=[held]),
        kind=AgencyKind.HEALTH,
        holds={"health.registration", "health.safeguarding"},
    )
    terms = [Terms("kind:HEALTH", [Opening(opens=["involvements", "health.registration"])])]
    async with running(health, agreements=terms) as world:
        told = await world.ask(
            select="outcome health { registration { practice agency { id } } safeguarding { code } }"
        )
        outcome = world.payload(EventKind.OUTCOME)

    assert told.outcome == "DISCLOSED"
    assert told.child["health"] == {
        "registration": [{"practice": "Y05868", "agency": {"id": "health-amber"}}],
        "safeguarding": None,
    }
    assert told.withheld == {"child.health.safeguarding": "ROLE_NOT_GRANTED"}
    assert outcome["disclosed"]["sections"] == ["health.registration.agency.id", "health.registration.practice"]


async def test_a_source_that_tells_more_than_it_was_asked_discloses_no_more(running: Running) -> None:
    held = HealthRecord(registration=(Registered(source("x").manifest.agency, "Y05868", None),))
    health = TellAllSource(
        source(
            "health-amber",
            known(CHILD, trace=IdentityClaim(BORN, (FAMILY,)), sections=[held]),
            kind=AgencyKind.HEALTH,
            holds={"health.registration", "health.safeguarding"},
        )
    )
    async with running(health) as world:
        told = await world.ask(select="outcome health { safeguarding { code } }")

    assert told.outcome == "NOTHING_DISCLOSABLE"
    assert (told.child["health"] or {}).get("safeguarding") is None


async def test_who_is_not_corroborated_learns_nothing_and_the_log_says_so(running: Running) -> None:
    async with running(council()) as world:
        wrong_name = await world.ask(family="Other")
        first = world.payload(EventKind.OUTCOME)
        wrong_day = await world.ask(born=BORN + timedelta(days=1))

    assert (wrong_name.outcome, wrong_name.entries) == ("NOTHING_DISCLOSABLE", [])
    assert (wrong_day.outcome, wrong_day.entries) == ("NOTHING_DISCLOSABLE", [])
    assert first["identity"] == "UNCORROBORATED"
    assert wrong_name.sources == {"cs-amber": "ANSWERED"}


async def test_a_disabled_source_is_listed_never_asked_and_breaks_nothing(running: Running) -> None:
    off = Remembering(source("police-amber", known(CHILD, row(name="Pat Police")), kind=AgencyKind.POLICE))
    async with running(council(), configured(off, enabled=False)) as world:
        told = await world.ask()
        viewer = await world.post("{ viewer { access(purpose: CP_S47) { agency { id } open } } agencies { id } }")

    assert told.sources == {"cs-amber": "ANSWERED", "police-amber": "NOT_ASKED DISABLED"}
    assert told.outcome == "DISCLOSED"
    assert off.asked == []
    assert {a["agency"]["id"] for a in viewer.body["data"]["viewer"]["access"] if a["open"]} == {"cs-amber"}
    assert [a["id"] for a in viewer.body["data"]["agencies"]] == ["cs-amber", "police-amber"]


async def test_the_viewer_of_an_unlisted_organisation_is_answered_also_without_any_source(running: Running) -> None:
    async with running() as world:
        viewer = await world.post("{ viewer { organisation access(purpose: CP_S47) { open } } }", org="unheard-of")

    assert viewer.body["data"]["viewer"] == {"organisation": "unheard-of", "access": []}


# ------------------------------------------------------------------------------------------------ order of events


async def test_intent_is_durable_before_any_source_is_asked_and_outcome_before_a_byte_leaves(running: Running) -> None:
    seen: list[tuple[str, list[str]]] = []
    worlds: list[World] = []

    def look(moment: str) -> Callable[[], None]:
        return lambda: seen.append((moment, worlds[0].kinds()))

    def watched(app: Any) -> Any:
        async def watching(scope: Any, receive: Any, send: Any) -> None:
            async def sending(message: Any) -> None:
                look("sends " + message["type"])()
                await send(message)

            await app(scope, receive, sending if worlds else send)

        return watching

    connector = LookingSource(council(), look("is asked"))
    async with running(connector, around=watched) as world:
        worlds.append(world)
        await world.ask()

    assert seen == [
        ("is asked", ["INTENT"]),
        ("sends http.response.start", ["INTENT", "OUTCOME"]),
        ("sends http.response.body", ["INTENT", "OUTCOME"]),
    ]


async def test_no_source_is_asked_when_the_log_is_down(running: Running) -> None:
    connector = Remembering(council())
    async with running(connector) as world:
        world.gateway.log.close()
        told = await world.ask()

    assert (told.status, told.code) == (503, "AUDIT_UNAVAILABLE")
    assert told.response.headers["retry-after"] == "1"
    assert "data" not in told.body
    assert connector.asked == []


async def test_a_log_that_is_down_costs_nobody_their_budget(running: Running) -> None:
    async with running(council(), limits={"person_misses": {"hour": 1}}) as world:
        await world.ask()
        world.execute("ALTER TABLE budget RENAME TO gone")
        refused = [(await world.ask()).code for _ in range(2)]
        # the counts of somebody new cannot be read at all
        refused.append((await world.ask(sub="somebody-new")).code)
        world.execute("ALTER TABLE gone RENAME TO budget")
        told = await world.ask()

    assert refused == ["AUDIT_UNAVAILABLE"] * 3
    assert told.outcome == "DISCLOSED"


async def test_nothing_is_disclosed_when_the_outcome_cannot_be_written(running: Running) -> None:
    worlds: list[World] = []

    def close_the_log() -> None:
        worlds[0].gateway.log.close()

    connector = LookingSource(council(), close_the_log)
    async with running(connector) as world:
        worlds.append(world)
        told = await world.ask()
        kinds = world.kinds()

    assert (told.status, told.code) == (503, "AUDIT_UNAVAILABLE")
    assert "Brook" not in told.response.text
    assert kinds == ["INTENT"]


async def test_a_token_that_is_revoked_during_the_ask_ends_the_lookup_without_disclosure(running: Running) -> None:
    worlds: list[World] = []
    connector = LookingSource(council(), lambda: worlds[0].revoke("the-token"))
    async with running(connector) as world:
        worlds.append(world)
        told = await world.ask(jti="the-token")
        outcome = world.payload(EventKind.OUTCOME)
        kinds = world.kinds()

    assert (told.status, told.code) == (401, "UNAUTHENTICATED")
    assert "invalid_token" in told.response.headers["www-authenticate"]
    assert "Brook" not in told.response.text
    assert kinds == ["INTENT", "OUTCOME"]
    assert (outcome["outcome"], outcome["disclosed"]) == ("FAILED", {"entries": [], "sections": []})


async def test_a_token_that_expires_during_a_slow_ask_ends_the_lookup_without_disclosure(running: Running) -> None:
    now = [datetime.now(UTC).timestamp()]

    def an_hour_passes() -> None:
        now[0] += 3600

    async with running(LookingSource(council(), an_hour_passes), clock=lambda: now[0]) as world:
        told = await world.ask()
        outcome = world.payload(EventKind.OUTCOME)

    assert told.status == 401
    assert (outcome["outcome"], outcome["disclosed"]) == ("FAILED", {"entries": [], "sections": []})


async def test_a_fault_of_ours_leaves_one_intent_and_one_outcome_and_tells_nothing(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError(f"quotes {CHILD}")

    async with running(council()) as world:
        monkeypatch.setattr(world.gateway.shields, "observed", broken)
        told = await world.ask()
        kinds, outcome = world.kinds(), world.payload(EventKind.OUTCOME)

    assert (told.status, told.code) == (500, "INTERNAL_SERVER_ERROR")
    assert CHILD not in told.response.text
    assert kinds == ["INTENT", "OUTCOME"]
    assert outcome["outcome"] == "FAILED"


@pytest.mark.parametrize("problem", [MemoryError(), RecursionError(), OSError(24, "too many open files")], ids=type)
async def test_a_lookup_for_which_there_is_no_memory_is_503_with_no_data_and_has_its_outcome(
    running: Running, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def broken(*_: Any) -> Any:
        raise problem

    async with running(council()) as world:
        monkeypatch.setattr(world.gateway.shields, "observed", broken)
        told = await world.ask()
        kinds, outcome = world.kinds(), world.payload(EventKind.OUTCOME)

    assert (told.status, told.code) == (503, "OVERLOADED")
    assert "Brook" not in told.response.text
    assert kinds == ["INTENT", "OUTCOME"]
    assert (outcome["outcome"], outcome["fault"]) == ("FAILED", "OVERLOADED")


async def test_a_resolver_for_which_there_is_no_memory_is_503(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise MemoryError

    async with running(council()) as world:
        monkeypatch.setattr("gateway.graphql.execution.Execution._access", broken)
        query = "{ viewer { access(purpose: CP_S47) { field } } }"
        told = await world.client.post("/graphql", json={"query": query}, headers=world.headers())

    assert told.status_code == 503
    assert [error["extensions"]["code"] for error in told.json()["errors"]] == ["OVERLOADED"]


async def test_a_body_that_disagrees_with_the_tree_is_not_sent(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(council()) as world:
        monkeypatch.setattr("gateway.disclosed_fields.matching", lambda rows, wanted: [])
        told = await world.ask()
        outcome = world.payload(EventKind.OUTCOME)

    assert told.code == "INTERNAL_SERVER_ERROR"
    assert outcome["outcome"] == "FAILED"


async def test_a_slow_source_reads_timeout_and_the_others_are_whole(running: Running) -> None:
    slow = SlowSource(source("police-amber", kind=AgencyKind.POLICE))
    async with running(slow, council(), limits=SHORT) as world:
        told = await world.ask()

    assert told.sources == {"police-amber": "NO_ANSWER TIMEOUT", "cs-amber": "ANSWERED"}
    assert len(told.entries) == 1


async def test_a_source_that_raises_costs_its_own_answer_and_nothing_of_its_text_is_told(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    raising = RaisingSource(source("police-amber", kind=AgencyKind.POLICE))
    async with running(raising, council()) as world:
        told = await world.ask()

    printed = capsys.readouterr()
    assert told.sources["police-amber"] == "NO_ANSWER PROTOCOL"
    assert CHILD not in printed.out + printed.err + told.response.text
    assert len(told.entries) == 1


async def test_an_answer_about_another_child_is_no_answer_and_an_alarm(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    lying = LyingSource(source("police-amber", kind=AgencyKind.POLICE))
    async with running(lying, council()) as world:
        told = await world.ask()
        alarm = world.payload(EventKind.ADMIN)
        unlisted = _unlisted(world.records(*EventKind))

    assert told.sources["police-amber"] == "NO_ANSWER INVALID_ANSWER"
    assert "Liar" not in told.response.text
    assert alarm == {"action": "INVALID_ANSWER_ALARM", "source": "police-amber", "detail": "MISMATCH"}
    assert unlisted == {}
    assert OTHER_CHILD not in capsys.readouterr().out


async def test_an_entry_that_hangs_on_somebody_elses_record_is_left_out(running: Running) -> None:
    other = row("x", name="Other Person", identity=IdentityClaim(date(2019, 1, 1), ("Somebody",)))
    renamed = row("y", name="Ren Amed", identity=IdentityClaim(BORN, ("Newname",)))
    async with running(source("cs-amber", known(CHILD, row(), other, renamed))) as world:
        told = await world.ask()

    assert {e["practitioner"]["name"] for e in told.entries} == {"Ada Brook", "Ren Amed"}


async def test_a_cancelled_request_still_gets_its_outcome(running: Running) -> None:
    slow = SlowSource(source("police-amber", kind=AgencyKind.POLICE))
    async with running(slow, council(), limits=SHORT) as world:
        with anyio.move_on_after(0.02):
            await world.ask()
        await world.gateway.endpoint.drain()
        kinds = world.kinds()

    assert kinds == ["INTENT", "OUTCOME"]


# ----------------------------------------------------------------------------------------------------- who may ask


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        pytest.param({"scope": "child.identity:read"}, "MISSING_SCOPE", id="without-involvement-read"),
        pytest.param({"org": "border", "roles": ["immigration_officer"]}, "NOTHING_GRANTED", id="immigration"),
        pytest.param({"org": "unheard-of"}, "NOTHING_GRANTED", id="an-organisation-of-no-agreement"),
        pytest.param({"roles": []}, "NOTHING_GRANTED", id="without-a-role"),
        pytest.param({"sub": CLIENT}, "NO_PRACTITIONER", id="a-machine-without-a-practitioner"),
        pytest.param(
            {"authorization_details": [{"type": "child_lookup", "purpose": "OMA_S14"}]},
            "OTHER_PURPOSE",
            id="a-token-for-another-purpose",
        ),
        pytest.param(
            {"authorization_details": [{"type": "child_lookup", "caseReference": "other"}]},
            "OTHER_PURPOSE",
            id="a-token-for-another-case",
        ),
    ],
)
async def test_a_caller_who_may_not_look_up_is_forbidden_and_recorded_once(
    running: Running, claims: dict[str, Any], code: str
) -> None:
    connector = Remembering(council())
    async with running(connector) as world:
        told = await world.ask(**claims)
        kinds, denied = world.kinds(), world.payload(EventKind.DENIED)

    assert (told.status, told.code, told.body["data"]) == (200, "FORBIDDEN", None)
    assert kinds == ["DENIED"]
    assert denied["code"] == code
    assert connector.asked == []


async def test_ended_entries_alone_without_their_grant_are_forbidden_and_beside_current_ones_withheld(
    running: Running,
) -> None:
    terms = [Terms("cs-amber", [Opening(opens=["involvements"])])]
    async with running(council(), agreements=terms) as world:
        alone = await world.ask(select="outcome involvements(status: [PREVIOUS]) { id }")
        denied = world.payload(EventKind.DENIED)
        beside = await world.ask(select="outcome involvements(status: [CURRENT, PREVIOUS]) { status }")

    assert alone.code == "FORBIDDEN"
    assert denied["code"] == "PREVIOUS_NOT_GRANTED"
    assert beside.entries == [{"status": "CURRENT"}]
    assert beside.withheld == {"child.involvements.previous": "ROLE_NOT_GRANTED"}


async def test_what_opens_after_a_stronger_sign_in_is_a_challenge_for_the_default_and_withheld_for_the_deeper(
    running: Running,
) -> None:
    held = source("cs-amber", known(CHILD, row()), holds={"childrensServices.plans"})
    default = [Terms("cs-amber", [Opening(opens=["involvements"], assurance="STRONG")])]
    standard = "urn:contactpoint:acr:standard"
    async with running(held, agreements=default) as world:
        told = await world.ask(acr=standard)
        denied = world.payload(EventKind.DENIED)

    assert (told.status, told.code) == (401, "UNAUTHENTICATED")
    challenge = told.response.headers["www-authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert STRONG in challenge
    assert denied["code"] == "STEP_UP_REQUIRED"


async def test_a_deeper_field_that_needs_a_stronger_sign_in_is_withheld(running: Running) -> None:
    held = source("cs-amber", known(CHILD, row()), holds={"childrensServices.plans"})
    terms = [
        Terms(
            "cs-amber",
            [Opening(opens=["involvements"]), Opening(opens=["childrensServices.plans"], assurance="STRONG")],
        )
    ]
    async with running(held, agreements=terms) as world:
        told = await world.ask(select="outcome childrensServices { plans { kind } }", acr="urn:none")

    assert told.withheld == {"child.childrensServices.plans": "STEP_UP_REQUIRED"}


async def test_a_system_asks_with_the_role_and_on_the_account_of_the_practitioner_it_names(running: Running) -> None:
    async with running(council()) as world:
        told = await world.ask(**world.tokens.on_behalf_of(subject="sw-100"))
        intent = world.payload(EventKind.INTENT)

    assert told.outcome == "DISCLOSED"
    assert intent["caller"]["onBehalfOf"] == {"subject": "sw-100", "role": "social_worker"}
    assert intent["caller"]["client"] == CLIENT


async def test_break_glass_needs_its_scope_a_strong_sign_in_and_acceptance_of_review(running: Running) -> None:
    override = {"override": {"justification": "A child is at risk now", "acceptReview": True}}
    refused = {"override": {"justification": "A child is at risk now", "acceptReview": False}}
    scopes = "involvement:read lookup:override"
    async with running(council()) as world:
        without_scope = await world.ask(access=override)
        first = world.payload(EventKind.DENIED)["code"]
        weak = await world.ask(access=override, scope=scopes, acr="urn:none")
        second = world.payload(EventKind.DENIED)["code"]
        unreviewed = await world.ask(access=refused, scope=scopes)
        third = world.payload(EventKind.DENIED)["code"]
        told = await world.ask(access=override, scope=scopes, auth_time=int(time.time()))
        intent, outcome = world.payload(EventKind.INTENT), world.payload(EventKind.OUTCOME)

    assert (without_scope.code, first) == ("FORBIDDEN", "OVERRIDE_NOT_GRANTED")
    assert (weak.status, second) == (401, "STEP_UP_REQUIRED")
    assert (unreviewed.code, third) == ("FORBIDDEN", "REVIEW_NOT_ACCEPTED")
    assert told.outcome == "DISCLOSED"
    assert intent["override"] == {"justification": "A child is at risk now"}
    assert outcome["relationship"] == "OVERRIDE"


# --------------------------------------------------------------------------------------------------- what is asked


def years_ago(years: int) -> date:
    now = today()
    return date(now.year - years, now.month, min(now.day, 28))


BAD_KEYS = [
    pytest.param({"dateOfBirth": "2020-04-09", "familyName": "Amis"}, id="neither-number-nor-handle"),
    pytest.param(
        {"nhsNumber": CHILD, "handle": "a-handle-of-before", "dateOfBirth": "2020-04-09", "familyName": "Amis"},
        id="number-and-handle",
    ),
    pytest.param({"handle": "a-handle-of-before", "dateOfBirth": "2020-04-09", "familyName": "Amis"}, id="a-handle"),
    pytest.param({"nhsNumber": CHILD, "dateOfBirth": "2999-01-01", "familyName": "Amis"}, id="born-in-the-future"),
    pytest.param({"nhsNumber": CHILD, "dateOfBirth": "2020-04-09", "familyName": " "}, id="an-empty-name"),
    pytest.param({"nhsNumber": CHILD, "dateOfBirth": "2020-04-09", "familyName": "a" * 101}, id="a-long-name"),
    pytest.param({"nhsNumber": CHILD, "dateOfBirth": "2020-04-09", "familyName": "A\u0000"}, id="a-control-character"),
    pytest.param({"nhsNumber": "9990000019", "dateOfBirth": "2020-04-09", "familyName": "Amis"}, id="a-wrong-digit"),
]


@pytest.mark.parametrize("key", BAD_KEYS)
async def test_a_key_that_cannot_be_one_is_bad_input_and_leaves_no_record(
    running: Running, key: dict[str, Any]
) -> None:
    connector = Remembering(council())
    async with running(connector) as world:
        told = await world.ask(key=key)
        kinds = world.kinds()

    assert (told.status, told.code) == (400, "BAD_USER_INPUT")
    assert "data" not in told.body
    assert not any(isinstance(v, str) and v.strip() and v in told.response.text for v in key.values())
    assert (kinds, connector.asked) == ([], [])


@pytest.mark.parametrize(
    "access",
    [
        pytest.param({"reason": "  "}, id="no-reason"),
        pytest.param({"reason": "r" * 501}, id="a-long-reason"),
        pytest.param({"reason": "line\nline"}, id="two-lines"),
        pytest.param({"caseReference": ""}, id="an-empty-case-reference"),
        pytest.param({"caseReference": "c" * 101}, id="a-long-case-reference"),
        pytest.param({"override": {"justification": "", "acceptReview": True}}, id="no-justification"),
    ],
)
async def test_an_access_request_out_of_bounds_is_bad_input(running: Running, access: dict[str, Any]) -> None:
    async with running(council()) as world:
        told = await world.ask(access=access)

    assert (told.status, told.code) == (400, "BAD_USER_INPUT")


async def test_reason_and_case_reference_at_their_longest_are_taken_and_recorded(running: Running) -> None:
    async with running(council()) as world:
        told = await world.ask(access={"reason": "r" * 500, "caseReference": "c" * 100})
        intent = world.payload(EventKind.INTENT)

    assert told.outcome == "DISCLOSED"
    assert (intent["reason"], intent["caseReference"]) == ("r" * 500, "c" * 100)


async def test_an_ask_carries_neither_reason_nor_case_reference_nor_purpose(running: Running) -> None:
    connector = Remembering(council())
    async with running(connector) as world:
        await world.ask(reason="The very reason", access={"caseReference": "CASE-REF"})

    (asked,) = connector.asked
    assert asked.ask.asker is None
    assert asked.ask.purpose_class == "SAFEGUARDING"
    assert not any(word in repr(asked) for word in ("The very reason", "CASE-REF", "CP_S47"))


async def test_only_a_source_whose_answers_depend_on_the_asker_is_told_who_asks(running: Running) -> None:
    dependent = Remembering(source("cs-brook", known(CHILD, row()), depends_on_asker=True))
    async with running(dependent) as world:
        await world.ask(sub="the-worker")

    asker = dependent.asked[0].ask.asker
    assert asker is not None
    assert (asker.subject, asker.organisation) == ("the-worker", "amber-council")


async def test_an_adult_is_refused_before_any_source_is_asked_and_nothing_of_them_is_kept(running: Running) -> None:
    connector = Remembering(council())
    async with running(connector) as world:
        told = await world.ask(born=years_ago(18))
        kinds, denied = world.kinds(), world.payload(EventKind.DENIED)
        child = await world.ask(born=years_ago(18) + timedelta(days=1), family="Nobody")

    assert (told.status, told.code) == (400, "BAD_USER_INPUT")
    assert (kinds, denied["code"], denied["subject"], denied["key"]) == (["DENIED"], "ADULT", None, None)
    assert str(CHILD) not in json.dumps(denied)
    assert child.outcome == "NOTHING_DISCLOSABLE"
    assert len(connector.asked) == 1


async def test_with_consent_a_young_person_may_be_looked_up_until_they_are_26(running: Running) -> None:
    terms = [Terms("cs-amber", [Opening(purposes=["CONSENT"])])]
    async with running(council(), agreements=terms) as world:
        young = await world.ask(born=years_ago(20), purpose="CONSENT")
        adult = await world.ask(born=years_ago(26), purpose="CONSENT")

    assert young.status == 200
    assert adult.code == "BAD_USER_INPUT"


async def test_a_system_test_takes_numbers_of_the_test_range_only(running: Running) -> None:
    async with running(council()) as world:
        real = await world.ask("4010232137", purpose="SYSTEM_TEST")
        test = await world.ask(purpose="SYSTEM_TEST")

    assert real.code == "BAD_USER_INPUT"
    assert test.outcome == "DISCLOSED"


async def test_a_purpose_that_has_not_commenced_forbids_the_lookup(running: Running) -> None:
    async with running(council(), commenced={"CP_S47": "false"}) as world:
        told = await world.ask()

    assert told.code == "FORBIDDEN"


# ------------------------------------------------------------------------------------------------------ the record


def _unlisted(records: list[Record]) -> dict[str, frozenset[str]]:
    return {r.kind.value: found for r in records if (found := unlisted_keys(r.kind, r.payload or {}))}


async def test_every_record_holds_listed_keys_only_and_never_the_number_the_name_or_the_day(running: Running) -> None:
    async with running(council()) as world:
        await world.ask()
        await world.ask(family="Other")
        await world.ask(org="border")
        await world.ask(born=years_ago(30))
        await world.client.post("/graphql", json={"query": "{ __typename }"}, headers={"Authorization": "Bearer bad"})
        records = world.records(*EventKind)

    assert _unlisted(records) == {}
    assert {r.kind for r in records} >= {EventKind.INTENT, EventKind.OUTCOME, EventKind.DENIED, EventKind.ADMIN}
    text = json.dumps([r.payload for r in records])
    assert CHILD not in text
    assert BORN.isoformat() not in text
    assert FAMILY not in text


async def test_the_outcome_holds_exactly_the_fields_of_the_body(running: Running) -> None:
    async with running(council(number="SW1", lead=True)) as world:
        told = await world.ask(
            select="outcome leadPractitioner { role } "
            "involvements { practitioner { name registration { number } } endedOn }"
        )
        outcome = world.payload(EventKind.OUTCOME)
        (intent,) = world.records(EventKind.INTENT)

    (entry,) = outcome["disclosed"]["entries"]
    assert entry["fields"] == ["practitioner.name", "practitioner.registration.number", "role"]
    assert entry["practitioner"] == {"name": "Ada Brook", "registration": "SWE:SW1"}
    assert outcome["response"] == hashlib.sha256(told.response.content).hexdigest()
    assert outcome["intent"] == intent.seq


async def test_the_key_in_the_record_opens_with_the_audit_key_alone(running: Running) -> None:
    async with running(council()) as world:
        told = await world.ask()
        intent = world.payload(EventKind.INTENT)
        opened = world.gateway.keys.decrypt(intent["key"], about=b"child-key" + told.child["receipt"].encode())
        expected = world.gateway.keys.pseudonym(CHILD)

    assert opened == f"{CHILD}\n{BORN.isoformat()}\n{FAMILY}"
    assert intent["subject"] == expected


async def test_a_document_with_the_identifier_in_it_leaves_no_digest_that_could_be_found_by_trying(
    running: Running,
) -> None:
    document = (
        f'{{ child(key: {{nhsNumber: "{CHILD}", dateOfBirth: "{BORN}", familyName: "{FAMILY}"}}, '
        'access: {purpose: CP_S47, reason: "r"}) { outcome involvements { role } } }'
    )
    async with running(council()) as world:
        told = await world.post(document)
        intent = world.payload(EventKind.INTENT)

    assert told.outcome == "DISCLOSED"
    assert intent["operation"]["document"] != hashlib.sha256(document.encode()).hexdigest()


async def test_identity_is_told_as_a_section_of_the_trace(running: Running) -> None:
    identity = ChildIdentity(given_names=("Ada",), family_name="Amis", date_of_birth=BORN)
    health = source(
        "health-amber",
        known(CHILD, trace=IdentityClaim(BORN, (FAMILY,)), sections=[identity]),
        kind=AgencyKind.HEALTH,
        holds={"identity.givenNames", "identity.familyName", "identity.dateOfBirth"},
    )
    async with running(health) as world:
        told = await world.ask(select="outcome identity { givenNames familyName dateOfBirth }")

    assert told.child["identity"] == {"givenNames": ["Ada"], "familyName": "Amis", "dateOfBirth": "2020-04-09"}


async def test_skipping_the_lookup_asks_nobody_and_is_refused_by_the_outcome_rule(running: Running) -> None:
    document = """
    query Q($key: ChildKey!, $access: AccessRequest!, $no: Boolean!) {
      child(key: $key, access: $access) @skip(if: $no) { outcome } __typename }
    """
    async with running(council()) as world:
        told = await world.post(document, {"key": {}, "access": {}, "no": True})

    assert told.code == "GRAPHQL_VALIDATION_FAILED"


async def test_an_extract_tells_as_of_when_it_speaks(running: Running) -> None:
    moment = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    async with running(source("cs-amber", known(CHILD, row(), as_of=moment))) as world:
        told = await world.ask()

    assert told.child["sources"][0]["asOf"] == "2026-01-02T03:04:00+00:00"


async def test_the_same_lookup_gives_the_same_entry_ids_to_one_viewer_and_others_to_another(running: Running) -> None:
    async with running(council()) as world:
        first, again, other = await world.ask(), await world.ask(), await world.ask(sub="somebody-else")

    ids = [told.entries[0]["id"] for told in (first, again, other)]
    assert ids[0] == ids[1] != ids[2]
    assert "local-1" not in ids[0]
    assert first.child["receipt"] != again.child["receipt"]


async def test_two_worlds_do_not_share_anything(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with running_world(tmp_path_factory.mktemp("a"), council()) as world:
        first = await world.ask()
    async with running_world(tmp_path_factory.mktemp("b"), council()) as world:
        second = await world.ask()

    assert first.entries[0]["id"] != second.entries[0]["id"]
