"""The workforce feed: what a strict reader takes and what it refuses, and what a rota means."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from gateway.detection.rota import Rota, RotaFault
from gateway.detection.workforce import Workforce, WorkforceFault, read_workforce

CHILD = "9990000018"
HEAD = "issuer,subject,organisation,team,registration,surname,address_district,rota,leave,leaves_on,own_children\n"
GOOD = (
    "https://id.example,amis,amber-council,north,SWE:1,Smith-Jones,zz12,"
    f"Mon-Fri 08:30-17:30,2026-04-06..2026-04-17,2026-09-30,{CHILD}\n"
)


def read(text: str) -> Workforce:
    return read_workforce(
        text, lambda issuer, subject: f"person of {issuer} {subject}", lambda number: f"child {number}"
    )


def faults(text: str) -> list[str]:
    with pytest.raises(WorkforceFault) as caught:
        read(text)
    return caught.value.faults


def test_a_line_says_who_somebody_is_where_and_when_they_work_and_whose_parent_they_are() -> None:
    (member,) = read(HEAD + GOOD).members.values()

    assert (member.person, member.team) == ("person of https://id.example amis", "north")
    assert (member.surname, member.address_district) == ("smithjones", "ZZ12")
    assert member.leaves_on == date(2026, 9, 30)
    assert member.children == {f"child {CHILD}"}
    assert not member.front_door


def test_nothing_private_of_a_member_shows_in_a_traceback() -> None:
    (member,) = read(HEAD + GOOD).members.values()

    for text in ("smithjones", "ZZ12", CHILD, "SWE:1"):
        assert text not in repr(member)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "line 1: organisation: the column is missing"),
        ("organisation,team\n", "line 1: issuer and subject, or person: the columns are missing"),
        ("person,organisation,team,team\n", "line 1: team: is a column twice"),
        ("person,organisation,team,9990000018\n", "line 1: there is a column that is none of issuer, subject"),
        (HEAD + "a,b\n", "line 2: has 2 cells, and the header has 11"),
        (HEAD + GOOD + GOOD, "line 3: person: is in the feed twice"),
        (HEAD + GOOD.replace("north", ""), "line 2: team: is empty"),
        (HEAD + GOOD.replace("amis", ""), "line 2: give issuer and subject, or person, and not both"),
        (HEAD + GOOD.replace("zz12", "12 High Street"), "line 2: address_district: must be the first half"),
        (HEAD + GOOD.replace("08:30", "8.30"), "line 2: rota: a window must read as"),
        (HEAD + GOOD.replace("08:30", "25:30"), "line 2: rota: a time must be"),
        (HEAD + GOOD.replace("Mon-Fri", "Fri-Mon"), "line 2: rota: a range of days must not"),
        (HEAD + GOOD.replace("2026-04-17", "2026-04-01"), "line 2: leave: ends before it begins"),
        (HEAD + GOOD.replace("2026-09-30", "30/9/2026"), "line 2: leaves_on: must be a date"),
        (HEAD + GOOD.replace(CHILD, "9990000019"), "line 2: own_children: must hold NHS numbers or pseudonyms"),
        (HEAD + '"a\n', "line 2: is not CSV"),
    ],
)
def test_a_faulty_feed_is_refused_with_the_line_and_without_its_values(text: str, fault: str) -> None:
    found = faults(text)

    assert any(each.startswith(fault) for each in found), found
    assert not any(value in each for each in found for value in (CHILD, "9990000019", "High Street", "30/9"))


def test_every_faulty_line_is_named_at_once() -> None:
    assert len(faults(HEAD + GOOD.replace("north", "") + GOOD.replace("08:30", "8.30"))) == 2


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("rota", "moment", "minutes"),
    [
        ("Mon-Fri 08:30-17:30", "2026-03-02 12:00", 0),
        ("Mon-Fri 08:30-17:30", "2026-03-02 19:30", 120),
        ("Mon-Fri 08:30-17:30", "2026-03-02 07:30", 60),
        ("Sun 22:00-06:00", "2026-03-02 05:00", 0),
        ("Sun 22:00-06:00", "2026-03-02 08:00", 120),
        ("Mon 08:00-10:00", "2026-03-01 23:00", 540),
        ("2026-03-02 20:00-08:00", "2026-03-03 07:59", 0),
        ("2026-03-02 20:00-08:00", "2026-03-03 09:00", 60),
        ("2026-03-02 20:00-08:00; 2026-03-09 20:00-08:00", "2026-03-05 12:00", 1440),
        ("", "2026-03-02 03:00", 0),
    ],
)
def test_how_far_a_moment_is_from_the_hours_of_work(rota: str, moment: str, minutes: int) -> None:
    assert Rota.read(rota, "").minutes_outside(at(moment)) == minutes


def test_somebody_on_leave_does_not_work() -> None:
    rota = Rota.read("Mon-Fri 08:30-17:30", "2026-04-06..2026-04-17; 2026-05-04")

    assert rota.on_leave(date(2026, 4, 17))
    assert rota.on_leave(date(2026, 5, 4))
    assert not rota.on_leave(date(2026, 4, 18))
    assert rota.works_at(at("2026-04-20 09:00"))
    assert not rota.works_at(at("2026-04-07 09:00"))


def test_a_rota_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(RotaFault):
        Rota.read("always", "")
