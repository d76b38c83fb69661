"""The plan of a lookup: what an operation selects, what of it may be asked for, and what is told to be withheld."""

from __future__ import annotations

from typing import Any

import pytest

from auth.paths import INVOLVEMENTS, PRACTITIONER, PREVIOUS
from auth.sharing import AgreementSet
from auth.standing import NO_STANDING, Standing, standing_of
from gateway.graphql.body import GraphQLRequest
from gateway.graphql.documents import Documents, Operation
from gateway.graphql.query import GRAPHQL_SCHEMA
from gateway.graphql.selection import EntryFilter, lookup_fields, select
from gateway.plan import Plan, Planner
from gateway.remembered import Remembered
from schema.vocabulary import AgencyKind, InvolvementStatus, Purpose, Relationship
from tests.auth.model import EVERY_SCOPE, TODAY, agreed, agreement, caller, custodian, grant

CURRENT, PAST = InvolvementStatus.CURRENT, InvolvementStatus.PREVIOUS
DOCUMENTS = Documents(GRAPHQL_SCHEMA)


def operation(selection: str, variables: str = "", more: str = "") -> Operation:
    text = (
        f"query Q($key: ChildKey!, $access: AccessRequest! {variables}) "
        f"{{ child(key: $key, access: $access) {{ {selection} }} }} {more}"
    )
    return DOCUMENTS.prepare(GraphQLRequest(text, None, {}), may_introspect=False)


def selected(selection: str, variables: str = "", more: str = "", **values: Any) -> Any:
    return select(operation(selection, variables, more), values)


@pytest.mark.parametrize(
    ("selection", "filters"),
    [
        pytest.param("outcome", [EntryFilter(frozenset({CURRENT}), None)], id="the-outcome-alone"),
        pytest.param("outcome involvements { id }", [EntryFilter(frozenset({CURRENT}), None)], id="default"),
        pytest.param(
            "outcome involvements(status: [PREVIOUS, CURRENT]) { id }",
            [EntryFilter(frozenset({CURRENT, PAST}), None)],
            id="both-states",
        ),
        pytest.param(
            "outcome involvements(status: PREVIOUS) { id }",
            [EntryFilter(frozenset({PAST}), None)],
            id="one-word-as-list",
        ),
        pytest.param(
            "outcome involvements(status: [], agencyKinds: []) { id }",
            [EntryFilter(frozenset({CURRENT}), None)],
            id="empty-lists",
        ),
        pytest.param(
            "outcome involvements(status: null, agencyKinds: null) { id }",
            [EntryFilter(frozenset({CURRENT}), None)],
            id="nulls",
        ),
        pytest.param(
            "outcome involvements(agencyKinds: [SCHOOL]) { id }",
            [EntryFilter(frozenset({CURRENT}), frozenset({AgencyKind.SCHOOL}))],
            id="one-kind",
        ),
        pytest.param(
            "outcome leadPractitioner { id }",
            [EntryFilter(frozenset({CURRENT}), None, leads_only=True)],
            id="the-lead",
        ),
        pytest.param("outcome health { registration { practice } }", [], id="a-section-alone"),
        pytest.param("outcome health { __typename }", [EntryFilter(frozenset({CURRENT}), None)], id="a-typename-alone"),
        pytest.param(
            "outcome a: involvements { id } b: involvements(status: PREVIOUS) { id }",
            [EntryFilter(frozenset({CURRENT}), None), EntryFilter(frozenset({PAST}), None)],
            id="two-aliases",
        ),
    ],
)
def test_the_entries_that_an_operation_asks_for(selection: str, filters: list[EntryFilter]) -> None:
    assert list(selected(selection).filters) == filters


@pytest.mark.parametrize(
    ("selection", "alone"),
    [
        ("outcome involvements(status: PREVIOUS) { id }", True),
        ("outcome a: involvements(status: PREVIOUS) { id } b: involvements { id }", False),
        ("outcome involvements(status: PREVIOUS) { id } leadPractitioner { id }", False),
        ("outcome health { registration { practice } }", False),
        ("outcome", False),
    ],
)
def test_whether_ended_entries_alone_are_asked_for(selection: str, *, alone: bool) -> None:
    assert selected(selection).previous_alone is alone


def test_the_sections_that_an_operation_asks_for_through_fragments_and_aliases() -> None:
    found = selected(
        "outcome ...f x: police { y: events { kind } } assessments { kind }",
        more="fragment f on ChildLookup { ... on ChildLookup { health { ...g } } } "
        "fragment g on HealthRecord { safeguarding { code } }",
    )

    assert found.section_paths == {"police.events", "assessments", "health.safeguarding"}


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        ("outcome involvements { id sources { name } }", False),
        ("outcome sources @skip(if: true) { status }", False),
        ("outcome sources { status }", True),
        ("outcome ... on ChildLookup { of: sources { status } }", True),
    ],
)
def test_whether_the_operation_asks_what_each_source_did(selection: str, *, told: bool) -> None:
    assert selected(selection).tells_of_sources is told


@pytest.mark.parametrize(
    ("directive", "there"),
    [
        ("@include(if: $yes)", True),
        ("@include(if: $no)", False),
        ("@skip(if: $yes)", False),
        ("@skip(if: $no)", True),
        ("@include(if: true) @skip(if: $no)", True),
        ("@include(if: true) @skip(if: true)", False),
        ("@include(if: false)", False),
    ],
)
def test_what_skip_and_include_leave_out_is_not_asked_for(directive: str, *, there: bool) -> None:
    variables = ", $yes: Boolean!, $no: Boolean!"
    unused = "a: involvements @skip(if: $yes) { id } b: involvements @include(if: $no) { id }"
    for selection, more in (
        (f"police {directive} {{ events {{ kind }} }}", ""),
        (f"... {directive} {{ police {{ events {{ kind }} }} }}", ""),
        (f"police {{ events {directive} {{ kind }} __typename }}", ""),
        (f"...f {directive}", "fragment f on ChildLookup { police { events { kind } } }"),
    ):
        found = selected(f"outcome {unused} {selection}", variables, more, yes=True, no=False)
        assert found.section_paths == ({"police.events"} if there else frozenset())


def test_filters_may_come_from_variables_whole_or_in_part() -> None:
    variables = ", $all: [InvolvementStatus!], $one: InvolvementStatus!, $kinds: [AgencyKind!]"
    selection = (
        "outcome a: involvements(status: $all, agencyKinds: $kinds) { id } b: involvements(status: [$one]) { id }"
    )
    given = {"all": [PAST], "one": CURRENT, "kinds": [AgencyKind.POLICE]}
    whole, part = selected(selection, variables, **given).filters
    left_out, _ = selected(selection, variables, one=CURRENT).filters

    assert whole == EntryFilter(frozenset({PAST}), frozenset({AgencyKind.POLICE}))
    assert part == EntryFilter(frozenset({CURRENT}), None)
    assert left_out == EntryFilter(frozenset({CURRENT}), None)


def test_the_variables_that_decide_what_is_selected_are_those_of_directives_and_filters() -> None:
    asked = operation(
        "outcome ...f involvements(status: $all) @include(if: $yes) { id } a: involvements(status: [$one]) { id }",
        ", $all: [InvolvementStatus!], $one: InvolvementStatus!, $yes: Boolean!, $kinds: [AgencyKind!], $no: Boolean!",
        "fragment f on ChildLookup { ... @skip(if: $no) { b: involvements(agencyKinds: $kinds) { id } } }",
    )

    assert set(asked.selecting) == {"all", "one", "yes", "no", "kinds"}


def test_an_operation_without_a_lookup_selects_no_lookup_field() -> None:
    asked = DOCUMENTS.prepare(GraphQLRequest("{ viewer { subject } }", None, {}), may_introspect=False)

    assert lookup_fields(asked, {}) == []


# -------------------------------------------------------------------------------------------------------- the plan


WIDE = "outcome involvements(status: [CURRENT, PREVIOUS]) { id } police { events { kind } }"
OPEN = agreed(
    agreement(grant(opens=frozenset({INVOLVEMENTS, PREVIOUS, "police.events", "police.orders"}))),
    agreement(grant(opens=frozenset({INVOLVEMENTS})), id="b", custodian="b"),
)


def plan(
    selection: str,
    agreements: AgreementSet = OPEN,
    *,
    planner: Planner | None = None,
    variables: str = "",
    values: dict[str, Any] | None = None,
    floor: Standing = NO_STANDING,
    **who: Any,
) -> Plan:
    made = planner or Planner([custodian(), custodian("b"), custodian("c")])
    asked = operation(selection, variables)
    entitlements = made.entitlements(agreements, caller(**who), Purpose.CP_S47, TODAY, floor)
    return made.plan(asked, values or {}, entitlements)


def test_a_source_is_asked_for_what_is_both_open_and_wanted() -> None:
    found = plan(WIDE)

    assert {name: mask.paths for name, mask in found.masks.items()} == {
        "cs": {INVOLVEMENTS, PREVIOUS, "police.events"},
        "b": {INVOLVEMENTS},
    }
    assert found.withheld == ()


def test_ended_entries_are_asked_for_only_when_wanted() -> None:
    assert plan("outcome involvements { id }").masks["cs"].paths == {INVOLVEMENTS}


def test_what_is_closed_everywhere_is_withheld_in_the_order_of_its_path() -> None:
    found = plan(
        "outcome police { orders { kind } } health { registration { practice } } assessments { kind }",
        scopes=EVERY_SCOPE - {"assessment:read"},
    )

    assert [w.formatted() for w in found.withheld] == [
        {"path": "child.assessments", "code": "MISSING_SCOPE", "requiredScopes": ["assessment:read"]},
        {"path": "child.health.registration", "code": "ROLE_NOT_GRANTED", "requiredScopes": []},
    ]


def test_the_second_wave_holds_only_what_the_relationship_adds() -> None:
    agreements = agreed(
        agreement(
            grant(opens=frozenset({INVOLVEMENTS})),
            grant(opens=frozenset({PRACTITIONER, "police.events"}), relationship=Relationship.ORGANISATION),
        ),
        agreement(grant(opens=frozenset({INVOLVEMENTS})), id="b", custodian="b"),
    )
    found = plan(WIDE, agreements)

    assert dict(found.more(NO_STANDING)) == {}
    assert {k: m.paths for k, m in found.more(standing_of(Relationship.ORGANISATION)).items()} == {
        "cs": {PRACTITIONER, "police.events"}
    }


def test_a_plan_is_remembered_for_one_standing_and_made_anew_for_another() -> None:
    planner = Planner([custodian()])
    first = plan(WIDE, planner=planner)

    assert plan(WIDE, planner=planner, subject="somebody-else", token_id="another") is first
    other = agreed(*OPEN.agreements)
    for differs in (
        {"scopes": EVERY_SCOPE - {"police.events:read"}},
        {"roles": frozenset()},
        {"organisation": "unheard-of"},
        {"assurance": "STANDARD"},
        {"floor": standing_of(Relationship.OVERRIDE)},
        {"agreements": AgreementSet("v2", other.organisations, other.bases, other.agreements)},
    ):
        assert plan(WIDE, planner=planner, **differs) is not first  # type: ignore[arg-type]


def test_a_plan_depends_on_the_variables_that_select_and_on_no_others() -> None:
    planner = Planner([custodian()])
    variables = ", $yes: Boolean!, $which: [InvolvementStatus!]"
    selection = "outcome police @include(if: $yes) { events { kind } } involvements(status: $which) { id }"

    def made(**values: Any) -> Plan:
        return plan(selection, planner=planner, variables=variables, values=values)

    first = made(yes=True, which=[CURRENT], key="a")
    assert made(yes=True, which=[CURRENT], key="b") is first
    assert "police.events" not in made(yes=False, which=[CURRENT]).masks["cs"]
    assert PREVIOUS in made(yes=True, which=[PAST]).masks["cs"]


def test_the_plan_of_a_text_that_may_hold_an_identifier_is_not_remembered() -> None:
    planner = Planner([custodian()])
    text = (
        '{ child(key: {nhsNumber: "9990000018", dateOfBirth: "2020-04-09", familyName: "Amis"}, '
        'access: {purpose: CP_S47, reason: "r"}) { outcome } }'
    )
    asked = DOCUMENTS.prepare(GraphQLRequest(text, None, {}), may_introspect=False)

    def made() -> Plan:
        return planner.plan(asked, {}, planner.entitlements(OPEN, caller(), Purpose.CP_S47, TODAY))

    assert made() is not made()
    assert made().masks == made().masks


def test_the_least_recently_used_is_forgotten_first() -> None:
    memory: Remembered[str, int] = Remembered(2)
    memory.keep("a", 1)
    memory.keep("b", 2)
    assert memory.get("a") == 1
    memory.keep("c", 3)

    assert "a" in memory
    assert "b" not in memory
    assert memory.get("b") is None
