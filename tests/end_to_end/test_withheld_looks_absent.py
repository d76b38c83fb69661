"""A child about whom nothing may be said, a child nobody knows, and a wrong key: the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import date, timedelta

import pytest

from gateway.demo.agencies.faults import Fault
from tests.end_to_end.documents import VARIANTS
from tests.end_to_end.world import OF_ANY_CHILD, SOURCES, DemoWorld, Exchange, Key

pytestmark = pytest.mark.network

_RECEIPT = re.compile(rb'"receipt":"[A-Za-z0-9_-]{22}"')
_PER_REQUEST = {"x-request-id", "date"}


def comparable(answer: Exchange) -> tuple[int, dict[str, str], bytes]:
    """Return everything of an answer but what is drawn anew for each: receipt, request id, date."""
    body, replaced = _RECEIPT.subn(b'"receipt":""', answer.content)
    assert replaced == answer.content.count(b'"receipt"')
    return answer.status, {n: v for n, v in answer.headers.items() if n not in _PER_REQUEST}, body


@pytest.mark.parametrize("persona", OF_ANY_CHILD)
def test_a_shielded_and_an_unknown_child_give_the_same_bytes(world: DemoWorld, persona: str) -> None:
    shielded, unknown = world.ask(persona, "shielded"), world.ask(persona, "unknown")

    assert comparable(shielded) == comparable(unknown)
    assert shielded.child["outcome"] == "NOTHING_DISCLOSABLE"
    assert shielded.child["receipt"] != unknown.child["receipt"]
    assert len(shielded.child["receipt"]) == 22


@pytest.mark.parametrize("variant", VARIANTS)
def test_they_do_so_however_the_question_is_written(world: DemoWorld, variant: str) -> None:
    shielded, unknown = (world.ask("social-worker", s, query=VARIANTS[variant]) for s in ("shielded", "unknown"))

    assert comparable(shielded) == comparable(unknown)


def wrong_keys(world: DemoWorld) -> dict[str, Key]:
    real, other = world.key("ordinary"), world.key("three-authorities")
    day_later = (date.fromisoformat(real.born) + timedelta(days=1)).isoformat()
    return {
        "wrong surname": replace(real, family="Quayle"),
        "wrong date of birth": replace(real, born=day_later),
        "day and month exchanged": replace(real, born=f"{real.born[:4]}-01-01"),
        "another child's surname and date": replace(other, nhs_number=real.nhs_number),
        "a name that is nothing but punctuation": replace(real, family="-'-"),
        "the former identity's number with the new name": replace(
            world.key("adopted-former-identity"), family=world.key("adopted").family
        ),
        "shielded, by a wrong name": replace(world.key("shielded"), family="Nobody"),
    }


@pytest.mark.parametrize("persona", OF_ANY_CHILD)
def test_a_wrong_key_to_a_real_child_gives_the_bytes_of_an_unknown_one(world: DemoWorld, persona: str) -> None:
    unknown = comparable(world.ask(persona, "unknown"))

    for name, key in wrong_keys(world).items():
        assert comparable(world.ask(persona, key)) == unknown, name


def test_a_right_key_does_not(world: DemoWorld) -> None:
    """The control: this comparison tells a disclosed answer from an empty one."""
    assert comparable(world.ask("social-worker", "ordinary")) != comparable(world.ask("social-worker", "unknown"))


@pytest.mark.parametrize("persona", OF_ANY_CHILD)
def test_the_sources_are_the_same_for_every_child(world: DemoWorld, persona: str) -> None:
    stories = ["ordinary", "twins", "shielded", "sensitive-service", "linked-adult-probation", "three-authorities"]
    stories += ["unallocated", "nobody-involved", "unknown", "former-surname", "deceased", "adult-not-known"]

    assert len({tuple(world.ask(persona, story).sources.items()) for story in stories}) == 1


@contextmanager
def down(world: DemoWorld, *connectors: str) -> Iterator[None]:
    with ExitStack() as stack:
        for connector in connectors:
            stack.enter_context(world.stopped(connector))
        yield


@pytest.mark.parametrize("persona", OF_ANY_CHILD)
@pytest.mark.parametrize(
    "stopped",
    [
        ("cs-eastmarch",),
        ("police-northshire",),
        ("health-northshire",),
        ("cs-eastmarch", "police-northshire"),
        ("cs-eastmarch", "health-northshire"),
        ("police-northshire", "health-northshire"),
    ],
    ids=" and ".join,
)
def test_a_shielded_child_stays_shielded_while_those_who_shield_it_are_down(
    world: DemoWorld, persona: str, stopped: tuple[str, ...]
) -> None:
    with down(world, *stopped):
        shielded, unknown = world.ask(persona, "shielded"), world.ask(persona, "unknown")

    assert shielded.child["outcome"] == "INCOMPLETE"
    assert shielded.entries == []
    assert comparable(shielded) == comparable(unknown)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.MALFORMED, Fault.EMPTY_BODY, Fault.BARE_NOT_FOUND])
def test_a_shielded_child_stays_shielded_while_its_authority_answers_badly(world: DemoWorld, fault: Fault) -> None:
    world.agencies.childrens_services.faults.set(fault)

    shielded, unknown = world.ask("social-worker", "shielded"), world.ask("social-worker", "unknown")

    assert shielded.child["outcome"] == "INCOMPLETE"
    assert comparable(shielded) == comparable(unknown)


def test_only_the_log_knows_the_difference(world: DemoWorld) -> None:
    """The control of this file: the two lookups were not the same to the gateway itself."""
    shielded, unknown = world.ask("social-worker", "shielded"), world.ask("social-worker", "unknown")

    told = [world.records_of(each)[1].payload or {} for each in (shielded, unknown)]
    assert "cs-eastmarch" in told[0]["shields"]["by"]
    assert told[1]["shields"]["by"] == []
    assert told[0]["identity"] == "CORROBORATED"
    assert told[1]["identity"] == "UNCORROBORATED"
    assert set(told[0]) == set(told[1])


AGENCY_OF = {
    "police-northshire": ["police-northshire"],
    "health-northshire": ["health-northshire"],
    "probation-northshire": ["probation-northshire"],
    # one process serves the three authorities, and one port
    "cs-northshire": ["cs-northshire", "cs-eastmarch", "cs-westvale"],
}


@pytest.mark.parametrize("stopped", AGENCY_OF)
@pytest.mark.parametrize("story", ["ordinary", "linked-adult-probation"])
def test_with_one_agency_stopped_the_others_answer_in_full(world: DemoWorld, stopped: str, story: str) -> None:
    whole = world.ask("social-worker", story)

    with world.stopped(stopped):
        partial = world.ask("social-worker", story)
    again = world.ask("social-worker", story)

    silent = AGENCY_OF[stopped]
    assert partial.child["outcome"] == "INCOMPLETE"
    assert partial.child["complete"] is False
    assert {partial.sources[name] for name in silent} == {("NO_ANSWER", "CONNECT")}
    # who could have named an adult is down, so probation cannot have been asked about everybody
    unasked = ["probation-northshire"] if "cs-northshire" in silent else []
    assert [partial.sources[name] for name in unasked] == [("NO_ANSWER", "CONNECT")] * len(unasked)
    for name in set(SOURCES) - {*silent, *unasked}:
        assert partial.sources[name] == ("ANSWERED", None)
    expected = [e for e in whole.entries if e["agency"]["id"] not in {*silent, *unasked}]
    assert partial.entries == expected
    assert expected
    assert again.entries == whole.entries
    assert again.child["outcome"] == "DISCLOSED"


@pytest.mark.parametrize("stopped", AGENCY_OF)
def test_the_status_of_a_stopped_agency_does_not_depend_on_the_child(world: DemoWorld, stopped: str) -> None:
    sources = []
    for story in ("ordinary", "unknown", "shielded", "unallocated"):
        # a circuit opens by the number of failures, whoever is asked about: each child stands at the same number
        with world.stopped(stopped):
            sources.append(world.ask("social-worker", story).sources)

    assert all(each == sources[0] for each in sources)
