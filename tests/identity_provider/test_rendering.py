"""What a person reads: nothing that says "nobody", and an INCOMPLETE answer that cannot be overlooked."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gateway.commands.rendering import plain, render_lookup
from schema.vocabulary import SourceReason, SourceStatus, WithheldCode

ANSWERS = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "answers").glob("*.json")}
ANSWERED = sorted(name for name, body in ANSWERS.items() if body["data"])


def printed(body: dict[str, Any], *, asker: str | None = None, width: int = 100, colour: bool = False) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=width,
        highlight=False,
        force_terminal=colour,
        color_system="standard" if colour else None,
    )
    console.print(render_lookup(body, asker=asker))
    return stream.getvalue()


def words(text: str) -> str:
    return " ".join("".join(c if c.isalnum() or c in "_.@:'-" else " " for c in text).split())


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_no_answer_says_that_the_child_is_known_to_nobody(name: str) -> None:
    text = words(printed(ANSWERS[name])).lower()

    for claim in ("nobody", "no one", "no-one", "not involved", "no involvement", "none", "unknown", "not found"):
        assert claim not in text


@pytest.mark.parametrize("name", [name for name in ANSWERED if name.startswith("incomplete")])
def test_an_incomplete_answer_says_so_first_and_last_and_names_who_is_silent(name: str) -> None:
    body = ANSWERS[name]
    text = printed(body)

    head, tail = text[: len(text) // 2], text.rstrip().splitlines()[-3:]
    silent = [s["agency"]["name"] for s in body["data"]["child"]["sources"] if s["status"] == "NO_ANSWER"]
    assert text.lstrip("┏━┓\n ┃").startswith("INCOMPLETE")
    assert any("INCOMPLETE" in line for line in tail)
    assert all(agency in head for agency in silent)
    assert "may be working with this child" in head
    assert "NO ANSWER" in text


@pytest.mark.parametrize("name", [name for name in ANSWERED if not name.startswith("incomplete")])
def test_a_complete_answer_is_not_called_incomplete(name: str) -> None:
    assert "INCOMPLETE" not in printed(ANSWERS[name])


@pytest.mark.parametrize(
    "flaw",
    [
        pytest.param({"complete": False}, id="complete-is-false"),
        pytest.param({"complete": None}, id="complete-is-null"),
        pytest.param({"outcome": "INCOMPLETE"}, id="the-outcome-says-so"),
        pytest.param(
            {"sources": [{"agency": {"name": "A"}, "status": "NO_ANSWER", "reason": None}]}, id="a-source-is-silent"
        ),
    ],
)
def test_any_one_sign_of_a_missing_answer_is_enough(flaw: dict[str, Any]) -> None:
    body = copy.deepcopy(ANSWERS["disclosed"])
    body["data"]["child"] |= flaw

    text = printed(body)

    assert "INCOMPLETE" in text.splitlines()[1]


def test_an_empty_answer_says_what_it_does_not_mean() -> None:
    text = words(printed(ANSWERS["nothing-disclosable"]))

    assert text.startswith("NOTHING_DISCLOSABLE Nothing can be shown to you. This does not mean")
    assert "Work with this child may be going on all the same" in text
    assert "Who is involved" not in text


def test_the_parts_stand_in_the_order_in_which_they_are_needed() -> None:
    text = printed(ANSWERS["withheld"])

    order = ["DISCLOSED", "Only what you may see", "Who is involved", "Sources:", "Closed to you", "Receipt"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_everything_needed_to_reach_a_practitioner_is_on_the_screen() -> None:
    text = printed(ANSWERS["disclosed"])

    for unbroken in ("Sam Okoro", "SW900001", "01632 960123", "sam.okoro@northshire.example", "01632 960999"):
        assert unbroken in text
    everything = words(text)
    for part in ("through the team", "through the broker", "an adult", "lead", "2026-02-03", "to 2025-01-01"):
        assert part in everything
    assert "Lead practitioner: Sam Okoro" in everything


def test_every_section_that_is_open_is_printed_with_its_agency() -> None:
    text = words(printed(ANSWERS["disclosed"], width=160))

    for entry in (
        "The child as traced Ada Mae Amis born 2019-01-02",
        "Status Northshire Council CP_PLAN 2026-03-01",
        "CHILD_PROTECTION review due 2026-09-01 conference 2026-09-03",
        "group 2026-07-10",
        "POLICE_PROTECTION_S46 ended 2026-01-04 through Public Protection",
        "01632 960302 out of hours 01632 960300",
        "PUBLIC_PROTECTION_NOTICE told to CHILDRENS_SERVICES 2026-01-03",
        "CUSTODY officer not yet allocated at MDI",
        "RCCO Child concerns",
        "level HIGH 2026-01-16",
        "level 2 category 1 review due 2026-12-20 2026-01-20",
        "CPP Northshire Council 01632 960101",
        "Y99901",
        "EARLY_HELP held by Family hub 2025-11-11",
        "DOMESTIC_ABUSE OPEN 2026-01-01",
    ):
        assert entry in text
    assert "What else you may see" not in printed(ANSWERS["incomplete"])


def test_what_is_closed_is_said_with_its_code_and_the_scope_that_would_be_needed() -> None:
    text = words(printed(ANSWERS["withheld"]))

    assert "probation.risk your sign-in lacks the scope MISSING_SCOPE probation.risk:read" in text
    for code in WithheldCode:
        assert code in text


@pytest.mark.parametrize("reason", SourceReason)
def test_every_reason_is_put_in_words(reason: SourceReason) -> None:
    body = copy.deepcopy(ANSWERS["disclosed"])
    body["data"]["child"]["sources"] = [
        {"agency": {"name": "A"}, "status": SourceStatus.NOT_ASKED.value, "reason": reason.value}
    ]

    text = words(printed(body))

    assert f"see the reason {reason}" not in text
    assert reason in text


def test_a_refusal_prints_its_code_under_who_asked() -> None:
    text = printed(ANSWERS["forbidden"], asker="Ines Ward, immigration officer, home-office-immigration")

    lines = text.splitlines()
    assert lines[0] == "As Ines Ward, immigration officer, home-office-immigration"
    assert lines[1] == "FORBIDDEN: You may not look up a child for this purpose."


@pytest.mark.parametrize("name", sorted(ANSWERS))
@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_no_line_is_wider_than_the_page(name: str, width: int) -> None:
    assert max(map(len, printed(ANSWERS[name], width=width).splitlines())) <= width


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_there_is_colour_on_a_terminal_and_none_in_a_pipe(name: str) -> None:
    assert "\x1b[" not in printed(ANSWERS[name])
    assert "\x1b[" in printed(ANSWERS[name], colour=True)


def test_what_an_agency_wrote_neither_steers_the_terminal_nor_is_markup() -> None:
    body = copy.deepcopy(ANSWERS["disclosed"])
    child = body["data"]["child"]
    child["advice"] = "[red]advice[/red]\x1b[2J"
    child["involvements"][0]["practitioner"]["name"] = "[link=x]Sam\x1b]0;t\x07\u202eokO"
    child["sources"][0]["agency"]["name"] = "\x9b31mCouncil"

    text = printed(body)

    assert not set("\x1b\x07\x9b\u202e") & set(text)
    assert "[red]advice[/red]" in text
    assert "[link=x]Sam" in words_kept(text)


def words_kept(text: str) -> str:
    return text.replace(" ", "")


@given(st.text())
def test_plain_text_holds_no_control_or_direction_character(text: str) -> None:
    result = plain(text)

    assert len(result) == len(text)
    assert result.isprintable()


@given(st.sampled_from(ANSWERED), st.data())
def test_an_answer_with_a_field_left_out_is_still_printed(name: str, data: st.DataObject) -> None:
    body = copy.deepcopy(ANSWERS[name])
    child = body["data"]["child"]
    del child[data.draw(st.sampled_from(sorted(child)))]
    for row in child.get("involvements", []):
        del row[data.draw(st.sampled_from(sorted(row)))]

    assert printed(body)


def test_who_leads_on_safeguarding_stands_beside_each_silent_source() -> None:
    box = printed(ANSWERS["incomplete"]).partition("People there may be")[0]

    assert "safeguarding lead 01632 960300" in box
    assert "out of hours 01632 960301" in box
    assert "01632 960200" not in box  # an agency that answered


@pytest.mark.parametrize("mode", ["NONE", "TEAM_ONLY", "BROKERED"])
def test_an_entry_without_contact_details_gives_those_of_its_agency(mode: str) -> None:
    body = copy.deepcopy(ANSWERS["incomplete"])
    row = body["data"]["child"]["involvements"][0]
    row["contact"] = {"mode": mode, "phone": None, "email": None, "outOfHours": None, "expectedResponse": None}

    text = printed(body, width=80).partition("Who is involved")[2]

    assert "no contact details given" in words(text)
    assert "01632 960200" in text
    row["agency"]["safeguardingLead"] = None
    assert "call the agency" in words(printed(body, width=80))


def test_a_number_for_the_night_alone_is_said_to_be_that() -> None:
    body = copy.deepcopy(ANSWERS["incomplete"])
    contact = {
        "mode": "TEAM_ONLY",
        "phone": None,
        "email": None,
        "outOfHours": "01632 960999",
        "expectedResponse": None,
    }
    body["data"]["child"]["involvements"][0]["contact"] = contact

    text = words(printed(body, width=80))

    assert "through the team only out of hours is" in text
    assert "out of hours 01632 960999" in text


def test_what_may_be_mistyped_is_said_whatever_the_cause() -> None:
    body = copy.deepcopy(ANSWERS["nothing-disclosable"])
    first = printed(body)
    body["data"]["child"] |= {"sources": [], "advice": "Something else."}

    for text in (first, printed(body)):
        assert "Check the NHS number, the date of birth and the family name" in text
    for name in ("disclosed", "withheld", "incomplete"):
        assert "Check the NHS number" not in printed(ANSWERS[name])


def test_an_answer_that_discloses_something_else_says_nothing_of_work_with_the_child() -> None:
    body = copy.deepcopy(ANSWERS["disclosed"])
    body["data"]["child"] |= {"involvements": [], "leadPractitioner": None}

    text = words(printed(body))

    assert "no practitioner can be shown in this answer. Others may be involved all the same" in text
    assert "Work with this child" not in text


def test_the_lead_practitioner_stands_apart_and_no_line_of_it_ends_in_a_space() -> None:
    lines = printed(ANSWERS["disclosed"]).splitlines()
    at = lines.index("Lead practitioner: Sam Okoro")

    assert lines[at + 1] == ""


def test_a_lead_practitioner_without_a_name_is_one_line() -> None:
    body = copy.deepcopy(ANSWERS["incomplete"])
    body["data"]["child"]["involvements"][0]["practitioner"] = None

    assert "(lead practitioner, not named)" in printed(body, width=140)


@pytest.mark.parametrize("width", [60, 80, 89])
def test_a_narrow_page_has_a_block_for_each_entry_and_breaks_no_word(width: int) -> None:
    text = printed(ANSWERS["disclosed"], width=width)

    for unbroken in (
        "lead practitioner",
        "sam.okoro@northshire.example",
        "Since: 2026-02-03",
        "out of hours 01632 960999",
    ):
        assert unbroken in text
    assert "─" not in text
    assert "─" in printed(ANSWERS["disclosed"], width=90)


@pytest.mark.parametrize("width", [60, 160])
def test_an_entry_that_its_agency_did_not_confirm_now_says_so_in_words_and_as_of_when(width: int) -> None:
    body = copy.deepcopy(ANSWERS["disclosed"])
    child = body["data"]["child"]
    child |= {"outcome": "INCOMPLETE", "complete": False}
    before = printed(body, width=width)
    for entry in (child["involvements"][0], child["leadPractitioner"]):
        entry["staleAsOf"] = "2026-07-01T13:02:00+00:00"
    text = words(printed(body, width=width))

    assert "did not answer now" not in words(before)
    assert text.count("as of 14:02 on 2026-07-01 did not answer now") == 2
    assert "INCOMPLETE" in text


def test_a_moment_that_is_none_is_printed_as_it_stands() -> None:
    body = copy.deepcopy(ANSWERS["disclosed"])
    body["data"]["child"]["involvements"][0]["staleAsOf"] = "yesterday"

    assert "as of yesterday did not answer now" in words(printed(body, width=160))
