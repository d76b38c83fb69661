"""One list from what the door let through: joined by registration number only, never by name."""

from __future__ import annotations

import copy
import dataclasses
from datetime import date
from typing import Any

import strawberry
from hypothesis import given
from hypothesis import strategies as st

from gateway.federation.merge import merge
from schema import types
from schema.vocabulary import AgencyKind, ContactMode, InvolvementRelationship, InvolvementStatus


def entry(source: str = "a", **differs: Any) -> types.Involvement:
    """Return what the door makes of one row of a source; `name` and `number` make the person."""
    name, number = differs.pop("name", "Ada Brook"), differs.pop("number", "SW1")
    registration = types.Registration(body="SWE", number=number) if number else None
    agency = types.Agency(
        id=strawberry.ID(source), name=source, kind=AgencyKind.HEALTH, area=None, safeguarding_lead=None
    )
    contact = {
        "mode": ContactMode.DIRECT,
        "phone": None,
        "email": None,
        "out_of_hours": None,
        "expected_response": None,
    }
    usual: dict[str, Any] = {
        "id": strawberry.ID(f"{source}-{name}-{number}"),
        "agency": agency,
        "sources": [agency],
        "service": None,
        "practitioner": types.Practitioner(name=name, role=None, registration=registration) if name else None,
        "role": None,
        "team": None,
        "contact": types.Contact(**(contact | differs.pop("contact", {}))),
        "status": InvolvementStatus.CURRENT,
        "started_on": None,
        "ended_on": None,
        "lead": False,
        "relationship": InvolvementRelationship.CHILD,
        "last_confirmed_at": None,
    }
    return types.Involvement(**(usual | differs))


def sources_of(entries: list[types.Involvement]) -> list[list[str]]:
    return [[str(a.id) for a in e.sources] for e in entries]


def test_one_registered_practitioner_whom_two_sources_name_is_one_entry_with_both_sources() -> None:
    merged = merge([entry("a", name="Ada Brook"), entry("b", name="A. Brook")])

    assert sources_of(merged) == [["a", "b"]]


def test_two_people_of_one_name_are_two_entries() -> None:
    assert len(merge([entry("a", number=None), entry("b", number=None)])) == 2
    assert len(merge([entry("a", number="SW1"), entry("b", number="SW2")])) == 2
    assert len(merge([entry("a", number="SW1"), entry("b", number=None)])) == 2


def test_teams_are_never_joined() -> None:
    assert len(merge([entry("a", name=None), entry("b", name=None)])) == 2


def test_one_person_in_two_standings_is_two_entries() -> None:
    ended = entry("b", status=InvolvementStatus.PREVIOUS)
    of_an_adult = entry("c", relationship=InvolvementRelationship.LINKED_ADULT)

    assert len(merge([entry("a"), ended, of_an_adult])) == 3


def test_what_one_source_lacks_another_completes() -> None:
    team = types.Team(name="Duty")
    service = types.Service(code=None, name="Visiting")
    merged = merge(
        [
            entry("a", role="Health visitor", contact={"mode": ContactMode.NONE}),
            entry(
                "b",
                team=team,
                service=service,
                started_on=date(2025, 1, 1),
                lead=True,
                contact={"phone": "01632 960001", "expected_response": "today"},
            ),
        ]
    )

    (one,) = merged
    assert (one.role, one.team, one.service, one.started_on, one.lead) == (
        "Health visitor",
        team,
        service,
        date(2025, 1, 1),
        True,
    )
    assert (one.contact.mode, one.contact.phone, one.contact.expected_response) == (
        ContactMode.DIRECT,
        "01632 960001",
        "today",
    )


def test_an_entry_without_a_contact_takes_the_way_to_reach_the_person_from_where_it_is_known() -> None:
    (one,) = merge([entry("a", contact={"mode": ContactMode.NONE}), entry("b", contact={"phone": "01632 960001"})])

    assert (one.contact.mode, one.contact.phone) == (ContactMode.DIRECT, "01632 960001")


def test_rows_that_contradict_each_other_both_stay_each_with_its_source() -> None:
    for differs in (
        [{"role": "x"}, {"role": "y"}],
        [{"started_on": date(2025, 1, 1)}, {"started_on": date(2025, 1, 2)}],
        [{"contact": {"phone": "01632 960001"}}, {"contact": {"phone": "01632 960002"}}],
        [{"team": types.Team(name="x")}, {"team": types.Team(name="y")}],
        [{"service": types.Service(code=None, name="x")}, {"service": types.Service(code=None, name="y")}],
    ):
        merged = merge([entry(source, **each) for source, each in zip("ab", differs, strict=True)])
        assert sorted(sources_of(merged)) == [["a"], ["b"]]


def test_current_entries_come_first_and_among_them_the_lead() -> None:
    ended = entry("a", number="1", status=InvolvementStatus.PREVIOUS, lead=True)
    other, lead = entry("b", number="2"), entry("c", number="3", lead=True)

    assert [str(e.agency.id) for e in merge([ended, other, lead])] == ["c", "b", "a"]


MAYBE_TEAM = st.sampled_from([None, types.Team(name="Alder"), types.Team(name="Zelkova")])
ENTRIES = st.builds(
    lambda i, source, number, team, role, started_on, lead, status, phone: entry(
        source,
        id=strawberry.ID(f"{source}-{i}"),
        number=number,
        team=team,
        role=role,
        started_on=started_on,
        lead=lead,
        status=status,
        contact={"phone": phone},
    ),
    st.integers(0, 10_000),
    st.sampled_from("abc"),
    st.sampled_from([None, "SW1", "SW2"]),
    MAYBE_TEAM,
    st.sampled_from([None, "x", "y"]),
    st.sampled_from([None, date(2025, 1, 1), date(2025, 1, 2)]),
    st.booleans(),
    st.sampled_from(InvolvementStatus),
    st.sampled_from([None, "01632 960001", "01632 960002"]),
)
LISTS = st.lists(ENTRIES, max_size=6, unique_by=lambda e: e.id)


def told(entries: list[types.Involvement]) -> list[Any]:
    return [dataclasses.asdict(e) for e in entries]


@given(LISTS, st.randoms())
def test_the_order_in_which_sources_reply_does_not_change_the_answer(rows: list[Any], random: Any) -> None:
    shuffled = copy.deepcopy(rows)
    random.shuffle(shuffled)

    assert told(merge(shuffled)) == told(merge(rows))


@given(LISTS)
def test_merging_twice_changes_nothing(rows: list[Any]) -> None:
    once = merge(rows)
    before = told(once)

    assert told(merge(once)) == before


@given(LISTS)
def test_no_source_and_no_value_is_lost_and_none_is_made(rows: list[Any]) -> None:
    before = copy.deepcopy(rows)
    merged = merge(rows)

    for name in ("role", "started_on", "team"):
        assert {str(getattr(e, name)) for e in before} | {"None"} == {str(getattr(e, name)) for e in merged} | {"None"}
    assert {e.contact.phone for e in before} | {None} == {e.contact.phone for e in merged} | {None}
    assert {a.id for e in before for a in e.sources} == {a.id for e in merged for a in e.sources}
    assert {e.id for e in merged} <= {e.id for e in before}


@given(LISTS)
def test_entries_without_a_registration_are_never_joined(rows: list[Any]) -> None:
    unregistered = {e.id for e in rows if e.practitioner.registration is None}

    assert unregistered <= {e.id for e in merge(rows)}
