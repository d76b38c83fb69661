from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.memory_file import read_records
from connectors.memory_sections import Holding
from gateway.demo.families import PUBLISHED_STORIES, World, make_world, school_records
from gateway.demo.people import Allocation, Child, NameUse
from gateway.demo.registry_office import nhs_numbers
from gateway.demo.staff import phone
from schema.identifiers import NHSNumber
from schema.records import Agency, ChildRef
from schema.vocabulary import AgencyKind
from tests.demo.fictional import strays

TODAY = date(2026, 11, 22)
DAYS = st.dates(date(2024, 1, 1), date(2040, 12, 31))


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(today=TODAY)


def age(child: Child, today: date = TODAY) -> int:
    born = child.date_of_birth
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def workers(child: Child) -> set[str | None]:
    """Registrations and names of everybody who works with a child."""
    found: set[str | None] = set()
    for record in child.councils:
        found |= {row.worker.registration for row in record.involvements if row.worker}
    for team in child.health.care_teams if child.health else ():
        found |= {worker.registration for worker in team.practitioners}
    for event in child.police.involvements if child.police else ():
        found |= {event.officer.name if event.officer else None}
    for row in child.school:
        found |= {row.worker.name}
    return found


# the world as a whole


def test_the_same_seed_and_day_give_the_same_world(world: World) -> None:
    assert make_world(today=TODAY) == world


def test_another_seed_gives_other_children_and_the_same_stories(world: World) -> None:
    other = make_world(seed=8, today=TODAY)
    assert other.children != world.children
    assert other.stories() == world.stories()


def test_a_world_has_as_many_children_as_asked_for_and_always_the_stories(world: World) -> None:
    assert len(world.children) == 2000
    assert make_world(children=0, today=TODAY).stories() == world.stories()


@given(seed=st.integers(0, 2**32), today=DAYS)
@settings(max_examples=25)
def test_nothing_in_a_world_belongs_to_a_real_person(seed: int, today: date) -> None:
    assert strays(make_world(seed, 120, today)) == []


def test_nothing_in_the_demo_belongs_to_a_real_person(world: World) -> None:
    assert strays(world) == []


@pytest.mark.parametrize(
    ("flaw", "found"),
    [
        ({"nhs_number": "9434765919"}, "nhs number ordinary"),
        ({"nhs_number": "9990000019"}, "nhs number ordinary"),
        ({"postcode": "020 7946 0018"}, "telephone"),
        ({"postcode": "someone@mail.test"}, "e-mail"),
    ],
)
def test_a_stray_number_or_address_is_found(world: World, flaw: dict[str, str], found: str) -> None:
    flawed = replace(world, children=(replace(world.children[0], **flaw), *world.children[1:]))  # type: ignore[arg-type]
    assert found in strays(flawed)


def test_nhs_numbers_ascend_from_the_first_of_the_range_without_repetition(world: World) -> None:
    numbers = [child.nhs_number for child in world.children]
    assert numbers[0] == "9990000018"
    assert numbers == sorted(set(numbers))
    first = nhs_numbers()
    vectors = ["18", "26", "34", "42", "50", "69", "77", "85", "93", "107", "115"]
    assert [next(first) for _ in range(11)] == ["9990000" + two.zfill(3) for two in vectors]


def test_adults_have_numbers_of_their_own(world: World) -> None:
    assert len({adult.crn for adult in world.adults}) == len(world.adults)
    assert all(world.by_adult_identifier[adult.crn] is adult for adult in world.adults)


def test_a_telephone_beyond_the_range_kept_for_drama_is_refused() -> None:
    with pytest.raises(ValueError):
        phone(1000)


@given(today=DAYS)
@settings(max_examples=40)
def test_only_the_grown_up_of_the_story_is_18_whatever_the_day(today: date) -> None:
    world = make_world(3, 80, today)
    assert [child.story for child in world.children if age(child, today) >= 18] == ["turned-18"]
    assert all(child.date_of_birth <= today for child in world.children)


def test_most_children_are_known_to_nobody_or_to_health_only(world: World) -> None:
    known = [child for child in world.children if child.councils or child.police]
    assert 200 < len(known) < len(world.children) / 3
    assert sum(1 for child in world.children if child.police) > 50
    assert {record.authority for child in known for record in child.councils} == {"northshire", "eastmarch", "westvale"}


def test_a_child_shielded_by_an_authority_is_restricted_wherever_else_they_are_known(world: World) -> None:
    shielded = [child for child in world.children if any(record.shielded for record in child.councils)]
    assert len(shielded) > 5
    for child in shielded:
        assert child.health is None or child.health.confidentiality == "R"
        assert child.police is None or child.police.restricted
        assert child.postcode is None


def test_no_persona_of_the_demo_works_with_a_shielded_child(world: World) -> None:
    personas = {"SW900001", "SW900002", "99A0001N", "R Okafor", "Dana Amin"}
    for child in world.children:
        if any(record.shielded for record in child.councils):
            assert not workers(child) & personas


# the stories


def test_the_stories_of_the_contract_come_first_and_in_order(world: World) -> None:
    told = list(dict.fromkeys(story for story, *_ in world.stories()))
    assert tuple(told[: len(PUBLISHED_STORIES)]) == PUBLISHED_STORIES


def test_a_story_that_is_not_told_raises_key_error(world: World) -> None:
    with pytest.raises(KeyError):
        world.story("no such story")


def test_the_ordinary_child_is_known_to_health_council_police_and_school_but_not_probation(world: World) -> None:
    child = world.story("ordinary")
    assert {"SW900001", "99A0001N", "R Okafor", "Dana Amin"} <= workers(child)
    council = child.council("northshire")
    assert council is not None
    assert [row.worker and row.worker.registration for row in council.involvements if row.is_lead] == ["SW900001"]
    assert council.linked_adults == ()
    assert [plan.kind for plan in council.plans] == ["CHILD_PROTECTION"]


def test_twins_share_all_but_the_first_name(world: World) -> None:
    one, other = (child for child in world.children if child.story == "twins")
    assert (one.date_of_birth, one.current_name.family, one.postcode) == (
        other.date_of_birth,
        other.current_name.family,
        other.postcode,
    )
    assert one.current_name.given != other.current_name.given
    assert one.nhs_number != other.nhs_number


def test_the_shielded_child_is_eastmarchs_and_is_restricted_by_police_and_health(world: World) -> None:
    child = world.story("shielded")
    assert [(record.authority, record.shielded) for record in child.councils] == [("eastmarch", True)]
    assert child.police is not None
    assert child.police.restricted
    assert child.health is not None
    assert child.health.confidentiality == "R"
    assert not child.school


def test_one_sensitive_service_has_consent_until_next_year_and_another_has_no_basis(world: World) -> None:
    health = world.story("sensitive-service").health
    assert health is not None
    ordinary, mental_health, substance_use = health.care_teams
    assert ordinary.labels == ()
    assert mental_health.labels == ("MH",)
    assert mental_health.basis is not None
    assert mental_health.basis.code == "CONSENT"
    assert mental_health.basis.until is not None
    assert mental_health.basis.until.year == TODAY.year + 1
    assert (substance_use.labels, substance_use.basis) == (("SUD",), None)


@pytest.mark.parametrize(
    ("story", "allocation", "officer"),
    [
        ("linked-adult-probation", Allocation.OFFICER, "Petra Blum"),
        ("unallocated", Allocation.PLACEHOLDER_UNALLOCATED, None),
    ],
)
def test_the_linked_adult_is_on_probation(
    world: World, story: str, allocation: Allocation, officer: str | None
) -> None:
    council = world.story(story).council("northshire")
    assert council is not None
    (link,) = council.linked_adults
    assert link.crn is not None
    adult = world.by_adult_identifier[link.crn]
    assert adult.allocation is allocation
    assert (adult.officer and adult.officer.name) == officer


def test_three_authorities_each_hold_an_open_involvement(world: World) -> None:
    child = world.story("three-authorities")
    assert sorted(record.authority for record in child.councils) == ["eastmarch", "northshire", "westvale"]
    assert all(any(row.ended_on is None for row in record.involvements) for record in child.councils)


def test_the_child_with_nobody_involved_is_registered_and_nothing_else(world: World) -> None:
    child = world.story("nobody-involved")
    assert child.health is not None
    assert (child.health.care_teams, child.health.flags) == ((), ())
    assert (child.police, child.councils, child.school) == (None, (), ())


def test_no_agency_holds_the_unknown_child(world: World) -> None:
    child = world.story("unknown")
    assert (child.health, child.police, child.councils, child.school) == (None, None, (), ())


@pytest.mark.parametrize("story", ["agency-down", "former-surname"])
def test_the_social_worker_works_with_the_child(world: World, story: str) -> None:
    child = world.story(story)
    assert "SW900001" in workers(child)
    assert child.health is not None
    assert child.health.care_teams


def test_the_former_surname_is_the_one_that_is_listed(world: World) -> None:
    child = world.story("former-surname")
    current, former = child.names
    assert (current.use, former.use) == (NameUse.CURRENT, NameUse.FORMER)
    listed = {story: family for story, _, _, family in reversed(world.stories())}
    assert listed["former-surname"] == former.family != current.family


def test_all_work_with_the_deceased_child_has_ended(world: World) -> None:
    child = world.story("deceased")
    assert child.deceased_on is not None
    assert child.health is not None
    assert all(team.ended_on for team in child.health.care_teams)
    assert all(row.ended_on for record in child.councils for row in record.involvements)


def test_an_adopted_child_shares_nothing_with_the_former_identity_but_the_birthday(world: World) -> None:
    now, then = world.story("adopted"), world.story("adopted-former-identity")
    assert now.date_of_birth == then.date_of_birth
    assert {name.family for name in now.names}.isdisjoint(name.family for name in then.names)
    assert all(record.shielded for record in then.councils)


def test_half_siblings_share_a_home_and_not_a_surname(world: World) -> None:
    one, other = (child for child in world.children if child.story == "half-siblings")
    assert one.postcode == other.postcode
    assert one.current_name.family != other.current_name.family


def test_a_child_without_a_fixed_address_has_no_postcode(world: World) -> None:
    assert world.story("no-fixed-address").postcode is None


def test_a_transliterated_name_has_the_other_spelling_as_an_alias(world: World) -> None:
    children = [child for child in world.children if child.story == "transliterated"]
    assert len(children) == 6
    assert all(child.names[1].use is NameUse.ALIAS for child in children)


def test_the_child_looked_after_out_of_area_is_known_to_the_placing_and_the_host_authority(world: World) -> None:
    child = world.story("looked-after-out-of-area")
    assert [(record.authority, bool(record.statutory)) for record in child.councils] == [
        ("westvale", True),
        ("northshire", False),
    ]


# the school


def test_the_memory_driver_reads_the_school_records(world: World, tmp_path: Path) -> None:
    file = tmp_path / "school.json"
    file.write_text(json.dumps(school_records(world)), encoding="utf-8")
    oak = Agency("school-oak", "Oak Primary School", AgencyKind.SCHOOL)
    held = read_records(file, traces=False, holding=Holding(oak, frozenset({"assessments"})))
    answer = held[ChildRef(NHSNumber(world.story("ordinary").nhs_number))]
    (row,) = answer.involvements
    assert row.practitioner is not None
    assert (row.practitioner.name, row.practitioner.registration) == ("Dana Amin", None)
    assert (row.status, row.sensitivity, answer.shielded) == ("CURRENT", "STANDARD", False)


def test_only_children_at_the_school_are_in_its_records(world: World) -> None:
    held = {record["nhsNumber"] for record in school_records(world)}
    assert held == {child.nhs_number for child in world.children if child.school}


# what was decided about a child


@pytest.mark.parametrize("story", ["refused", "withdrawn-consent", "early-help-at-school", "early-help-withdrawn"])
def test_a_child_about_whom_somebody_decided_is_told_of_after_all_others(world: World, story: str) -> None:
    told = [name for name, *_ in world.stories()]

    assert told.count(story) == 1
    assert told.index(story) >= len(told) - 4


def test_a_refusal_is_more_detrimental_and_a_withdrawal_lies_in_the_past(world: World) -> None:
    sharing = world.story("refused").councils[0].sharing
    (basis,) = [team.basis for team in world.story("withdrawn-consent").health.care_teams if team.basis]  # type: ignore[union-attr]
    ended = world.story("early-help-withdrawn")

    assert sharing is not None
    assert (sharing.decision, sharing.reason) == ("DO_NOT_SHARE", "MORE_DETRIMENTAL")
    consents = [held.consent for held in (*ended.councils[0].assessments, *ended.school_assessments)]
    assert len(consents) == 2
    assert all(consent is not None and consent.withdrawn_on and consent.withdrawn_on < TODAY for consent in consents)
    assert basis.withdrawn_on is not None
    assert basis.until is not None
    assert basis.withdrawn_on < TODAY < basis.until
