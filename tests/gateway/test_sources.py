"""From a manifest to what the access model needs to know of a source."""

from __future__ import annotations

from auth.paths import INVOLVEMENTS, LINKED_ADULT, PRACTITIONER, PREVIOUS, SENSITIVE
from gateway.federation.sources import Source, custodian_of
from schema.vocabulary import AgencyKind
from tests.fixtures.sources import source


def test_a_source_about_children_holds_entries_of_every_kind_but_adults() -> None:
    held = custodian_of(source("cs", holds={"childrensServices.plans", "assessments"}).manifest)

    assert held.holds == {INVOLVEMENTS, PRACTITIONER, PREVIOUS, SENSITIVE, "childrensServices.plans", "assessments"}
    assert not held.about_adults


def test_a_source_about_adults_holds_no_entry_about_the_child() -> None:
    held = custodian_of(
        source("p", kind=AgencyKind.PROBATION, about_adults=True, holds={"probation.risk", INVOLVEMENTS}).manifest
    )

    assert held.holds == {LINKED_ADULT, PRACTITIONER, "probation.risk"}
    assert held.about_adults


def test_a_source_about_adults_holds_ended_entries_only_if_it_says_so() -> None:
    held = custodian_of(source("p", about_adults=True, holds={PREVIOUS}).manifest)

    assert PREVIOUS in held.holds


def test_a_source_is_known_by_its_agencys_id() -> None:
    found = Source(source("cs", organisation="amber-council"), enabled=True, broker=None)

    assert (found.id, found.agency.name, found.custodian.organisation) == ("cs", "CS", "amber-council")
