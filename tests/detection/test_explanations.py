"""Why an access was reasonable: each ground by what shows it, and none from the asker's word alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.detection.detector import Alert, Detector
from gateway.detection.explanations import Ground
from gateway.detection.lookups import Place, SeenLookup
from gateway.detection.thresholds import Thresholds
from gateway.detection.workforce import Member, Workforce, read_workforce

MONDAY = 1_772_445_600_000  # 2 March 2026, 10:00
HOUR = 3_600_000
DAY = 24 * HOUR
FEED = (
    "person,organisation,team,registration,surname,address_district,serves_district,front_door,rota,own_children\n"
    "amis,amber,north,SWE:1,Amis,ZZ1,,no,Mon-Fri 08:00-18:00,\n"
    "bert,amber,north,SWE:2,Bert,ZZ2,ZZ1,no,Mon-Fri 08:00-18:00,\n"
    "cora,amber,south,SWE:3,Cora,ZZ3,,no,Mon-Fri 08:00-18:00,\n"
    "desk,amber,mash,SWE:4,Desk,ZZ3,,yes,Mon-Fri 08:00-18:00,\n"
)
_count = iter(range(10**9))


def look(person: str, child: str = "kim", *, at: int = MONDAY, **differs: Any) -> SeenLookup:
    number = next(_count)
    usual = SeenLookup(
        place=Place("s", number),
        at_ms=at,
        receipt=f"r{number}",
        person=person,
        organisation="amber",
        team=None,
        role="social_worker",
        client="cases",
        token=f"{person}-token",
        purpose="CP_S47",
        reason=f"reason {number}",
        case_reference=None,
        subject=child,
        outcome="DISCLOSED",
        denied=False,
        relationship="NONE",
        overridden=False,
        told=True,
        involved=(),
        number=None,
        born=None,
        surname=None,
    )
    return replace(usual, **differs)


def detector(feed: str = FEED, **differs: Any) -> Detector:
    return Detector(read_workforce(feed, lambda _, subject: subject, lambda number: number), Thresholds(), frozenset())


def grounds(*looks: SeenLookup, feed: str = FEED) -> list[Ground]:
    watching = detector(feed)
    for each in looks:
        watching.see(each)
    return list(watching.grounds.elements())


@pytest.mark.parametrize("relationship", ["PRACTITIONER", "APPOINTED"])
def test_own_work_as_a_source_says(relationship: str) -> None:
    assert grounds(look("amis", relationship=relationship)) == [Ground.OWN_WORK]


def test_a_colleague_of_the_team_is_involved() -> None:
    assert grounds(look("amis", involved=("SWE:2",))) == [Ground.TEAM]


def test_a_colleague_of_another_team_is_not_the_team() -> None:
    assert grounds(look("amis", involved=("SWE:3",))) == []


def test_the_asker_alone_is_not_their_own_colleague() -> None:
    assert grounds(look("amis", involved=("SWE:1",))) == []


def test_a_colleague_whose_own_work_was_shown_before() -> None:
    found = grounds(look("bert", relationship="PRACTITIONER"), look("amis", at=MONDAY + DAY))

    assert found == [Ground.OWN_WORK, Ground.TEAM]


def test_a_follow_up_of_an_explained_look_up() -> None:
    found = grounds(look("desk"), look("desk", at=MONDAY + 10 * HOUR))

    assert found == [Ground.DUTY, Ground.FOLLOW_UP]


def test_a_case_reference_of_somebody_explained() -> None:
    found = grounds(look("desk", case_reference="R1"), look("cora", at=MONDAY + DAY, case_reference="R1"))

    assert found == [Ground.DUTY, Ground.SHARED_CASE]


def test_a_case_reference_that_only_the_unexplained_typed_explains_nothing() -> None:
    assert grounds(look("amis", case_reference="R1"), look("cora", case_reference="R1")) == []


def test_a_case_reference_of_another_child_explains_nothing() -> None:
    assert grounds(look("desk", "tom", case_reference="R1"), look("cora", case_reference="R1")) == [Ground.DUTY]


def test_a_case_reference_of_long_ago_explains_nothing() -> None:
    found = grounds(look("desk", case_reference="R1"), look("cora", at=MONDAY + 31 * DAY, case_reference="R1"))

    assert found == [Ground.DUTY]


def test_a_desk_explains_only_on_its_rota() -> None:
    assert grounds(look("desk", at=MONDAY + 10 * HOUR)) == []


def test_the_organisation_is_involved() -> None:
    assert grounds(look("amis", relationship="ORGANISATION")) == [Ground.ORGANISATION]


def test_involvement_that_is_found_within_72_hours() -> None:
    found = grounds(look("amis"), look("amis", at=MONDAY + 70 * HOUR, relationship="PRACTITIONER"))

    assert sorted(found) == [Ground.LATER, Ground.OWN_WORK]


def test_involvement_that_is_found_later_than_that_explains_nothing() -> None:
    found = grounds(look("amis"), look("amis", at=MONDAY + 73 * HOUR, relationship="PRACTITIONER"))

    assert found == [Ground.OWN_WORK]


def test_somebody_elses_involvement_does_not_explain_later() -> None:
    found = grounds(look("cora"), look("amis", at=MONDAY + HOUR, relationship="PRACTITIONER"))

    assert found == [Ground.OWN_WORK]


def test_nobody_in_the_feed_still_has_what_sources_say() -> None:
    found = grounds(look("amis", relationship="PRACTITIONER"), look("amis", "tom", involved=("SWE:2",)), feed=_nobody())

    assert found == [Ground.OWN_WORK]


def _nobody() -> str:
    return FEED.splitlines()[0] + "\n"


def alerts(*looks: SeenLookup, feed: str = FEED, days: int = 4) -> list[Alert]:
    watching = detector(feed)
    found = [alert for each in looks for alert in watching.see(each)]
    return found + watching.advance(looks[-1].at_ms + days * DAY)


def test_what_is_explained_opens_nothing_but_what_is_looked_at_every_time() -> None:
    assert alerts(look("amis", relationship="PRACTITIONER", at=MONDAY + 14 * HOUR)) == []
    (alert,) = alerts(look("amis", relationship="PRACTITIONER", overridden=True))

    assert (alert.rules, alert.explained) == (("D5",), Ground.OWN_WORK)


def test_an_own_child_is_looked_at_even_on_duty() -> None:
    feed = FEED.replace("yes,Mon-Fri 08:00-18:00,", f"yes,Mon-Fri 08:00-18:00,{'a' * 64}")
    (alert,) = alerts(look("desk", "a" * 64), feed=feed)

    assert alert.rules == ("D1",)


def test_what_joins_the_queue_waits_for_its_72_hours() -> None:
    watching = detector()
    night = look("amis", at=MONDAY + 12 * HOUR)

    assert watching.see(night) == []
    assert watching.advance(night.at_ms + 71 * HOUR) == []
    (alert,) = watching.advance(night.at_ms + 72 * HOUR)
    assert set(alert.rules) == {"D4", "D7"}
    assert alert.caused_by_time


def test_no_words_of_an_alert_name_the_child_or_the_asker() -> None:
    found = alerts(
        *[look("amis", at=MONDAY + 14 * HOUR + day * DAY, surname="amis", number="9990000018") for day in range(4)]
    )

    assert found
    assert not any(name in word for alert in found for word in alert.words for name in ("amis", "kim", "9990000018"))


def test_the_same_is_not_said_twice_of_one_person_and_child() -> None:
    feed = FEED.replace("yes,Mon-Fri 08:00-18:00,", f"yes,Mon-Fri 08:00-18:00,{'a' * 64}")

    assert len(alerts(look("desk", "a" * 64), look("desk", "a" * 64, at=MONDAY + HOUR), feed=feed)) == 1


def test_a_member_is_one_of_the_feed() -> None:
    workforce: Workforce = detector().workforce
    member: Member = workforce.members["amis"]

    assert workforce.by_registration["SWE:1"] is member
