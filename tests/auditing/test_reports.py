"""Reports as they are built and printed: who stands out, what is overdue, and three forms that say the same."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.reports.counting import TIMES, Period, Person, Rate, outliers, peers_report, rates_report
from gateway.audit.reports.decisions import DecisionsUnreadable, read
from gateway.audit.reports.ledger import NO_REVIEW, Override, ledger_report
from gateway.audit.reports.rendering import FORMS
from gateway.audit.reports.report import Report, Table

EVER = Period(None, None, None)
NOW = datetime(2026, 11, 26, 9, 0, tzinfo=UTC)
STEERING = "\x1b[31mred\u202e<script>alert(1)</script>"


def report(cell: str = "Elm School") -> Report:
    return Report(
        "k", f"Title {cell}", "2026-11-26", [("Fact", cell)], [f"Note {cell}"], [Table("T", ("A", "N"), [(cell, 3)])]
    )


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_the_title_the_facts_the_notes_and_the_rows(form: str) -> None:
    printed = FORMS[form](report())

    for text in ("Title Elm School", "Fact", "Note Elm School", "3", "2026-11-26"):
        assert text in printed


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_table_says_so(form: str) -> None:
    printed = FORMS[form](Report("k", "t", "m", tables=[Table("T", ("A",), [], "nothing here")]))

    assert "nothing here" in printed or json.loads(printed)["tables"][0]["rows"] == []


def test_text_steers_no_terminal() -> None:
    printed = FORMS["text"](report(STEERING))

    assert "\x1b" not in printed
    assert "\u202e" not in printed


def test_a_page_runs_and_loads_nothing_whatever_stands_in_it() -> None:
    printed = FORMS["html"](report(STEERING))

    assert "<script" not in printed
    assert "&lt;script&gt;" in printed
    assert "default-src 'none'" in printed
    assert not re.search(r"(?:src|href)\s*=", printed)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, Any]]] = []

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.found.append((tag, dict(attributes)))


def test_a_page_can_be_read_aloud() -> None:
    page = _Page()
    page.feed(FORMS["html"](report()))
    tags = [tag for tag, _ in page.found]

    assert ("html", {"lang": "en-GB"}) in page.found
    assert tags.count("h1") == tags.count("main") == tags.count("caption") == 1
    assert all(attributes.get("scope") == "col" for tag, attributes in page.found if tag == "th")


def test_json_is_for_machines() -> None:
    assert json.loads(FORMS["json"](report()))["tables"] == [
        {"title": "T", "columns": ["A", "N"], "rows": [["Elm School", 3]]}
    ]


def person(name: str, lookups: int, role: str = "social_worker") -> Person:
    return Person("amber-council", role, name, lookups, 0, 0)


def test_somebody_far_beyond_their_peers_stands_out() -> None:
    peers = [person(f"p{n}", 20 + n) for n in range(10)]

    assert outliers(peers) == []
    assert [p.person for p, _ in outliers([*peers, person("much", 200)])] == ["much"]


def test_one_who_stands_out_does_not_raise_their_own_measure() -> None:
    """The control of the measure: with themselves among the peers, in a small group nobody could ever stand out."""
    peers = [person(f"p{n}", 1) for n in range(5)]

    assert [p.person for p, _ in outliers([*peers, person("much", 3)])] == ["much"]


@given(counts=st.lists(st.integers(0, 300), min_size=6, max_size=60))
def test_who_stands_out_is_measured_against_exactly_the_others(counts: list[int]) -> None:
    members = [person(str(place), count) for place, count in enumerate(counts)]

    expected = set()
    for place, count in enumerate(counts):
        others = counts[:place] + counts[place + 1 :]
        if count > TIMES * round(quantiles(others, n=100, method="inclusive")[94], 1):
            expected.add(str(place))

    assert {p.person for p, _ in outliers(members)} == expected


def test_of_a_small_group_nothing_is_said() -> None:
    assert outliers([person("a", 1), person("b", 1000)]) == []


def test_peers_have_the_same_role_and_organisation() -> None:
    nurses = [person(f"n{n}", 100, "school_nurse") for n in range(6)]
    workers = [person(f"w{n}", 10) for n in range(6)]

    printed = FORMS["text"](peers_report([*nurses, *workers], EVER, "m"))

    assert "Standing out  0" in printed
    assert "school_nurse" in printed


def test_rates_are_of_a_thousand_look_ups() -> None:
    rate = Rate("amber-council", lookups=200, refusals=10, overrides=1, misses=50, incomplete=4, unknown=2)
    found = json.loads(FORMS["json"](rates_report({"organisation": [rate]}, EVER, "m")))

    assert found["tables"][0]["rows"] == [["amber-council", 200, 50.0, 5.0, 250.0, 20.0, 2]]


def override(state: str, due: str | None) -> Override:
    return Override(0, "amber-council", "p", "social_worker", "CP_S47", "r", state, due, None)


@pytest.mark.parametrize(
    ("state", "due", "late"),
    [
        ("OPEN", "2026-11-26T08:00:00+00:00", True),
        ("OPEN", "2026-11-26T10:00:00+00:00", False),
        ("ESCALATED", "2026-11-20T10:00:00+00:00", True),
        ("UPHELD", "2026-11-20T10:00:00+00:00", False),
        (NO_REVIEW, None, True),
    ],
)
def test_the_ledger_knows_what_is_overdue(state: str, due: str | None, late: bool) -> None:
    found = ledger_report([override(state, due)], EVER, NOW, "m")

    assert len(found.tables[0].rows) == int(late)
    assert dict(found.facts)["overdue"] == int(late)


@pytest.mark.parametrize(
    "text",
    [
        "release = 3",
        "[[release]]\nreceipt = 'r1'",
        "[[release]]\nreceipt = 'r1'\nwhy = ' '",
        "[[release]]\nreceipt = 'r1'\nwhy = 'x'\n[[withhold]]\nreceipt = 'r1'\nwhy = 'y'",
        "[[release]]\nreceipt = 'r1'\nwhy = 'x'\ncolour = 'red'",
        "not toml",
    ],
)
def test_decisions_that_are_none_or_say_two_things_are_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "decisions.toml"
    file.write_text(text)

    with pytest.raises(DecisionsUnreadable):
        read(file)


def test_a_missing_file_of_decisions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DecisionsUnreadable, match="No such file"):
        read(tmp_path / "none.toml")
