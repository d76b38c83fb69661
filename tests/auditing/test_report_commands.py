"""The commands that read the log at the gateway's machine: what they print, what they keep out, what is on record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from gateway.__main__ import main
from gateway.audit.events import EventKind, unlisted_keys
from gateway.audit.indexed import FORGOTTEN
from gateway.audit.records import read_records
from gateway.audit.reports import exemptions
from gateway.audit.reports.rendering import FORMS
from gateway.commands.log_reading import OpenedLog
from gateway.storage.engine import open_engine
from tests.auditing.conftest import Running, break_glass, council
from tests.fixtures.sources import CHILD, UNKNOWN_CHILD
from tests.fixtures.token_factory import AUDIENCE
from tests.fixtures.world import OPEN_TO_AMBER, Opening, Terms, World

ORDER: Final = ("--requested-by", "A. Clerk", "--approved-by", "B. Officer", "--authority", "SAR-2026-014")
EVERYBODY: Final = ["CHILDRENS_SERVICES", "POLICE", "SCHOOL", "HEALTH"]
ROLES: Final = ["social_worker", "police_safeguarding_officer", "school_safeguarding_lead", "health_visitor"]


def run(folder: Path, *arguments: str, typed: str | None = None, connectors: str = "") -> Result:
    file = folder / "gateway.toml"
    file.write_text(
        f'[resource]\nidentifier = "{AUDIENCE}"\n[database]\nurl = "sqlite:///{folder}/gateway.db"\n'
        f'[agreements]\ndirectory = "{folder}/agreements"\n{connectors}'
    )
    return CliRunner().invoke(main, ["audit", *arguments, "--config", str(file)], input=typed)


def report(folder: Path, *arguments: str, number: str = CHILD, connectors: str = "") -> dict[str, Any]:
    """Return a subject report as JSON."""
    asked = ("report", "subject", *ORDER, "--format", "json", *arguments)
    result = run(folder, *asked, typed=f"{number}\n", connectors=connectors)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def column(found: dict[str, Any], name: str) -> list[Any]:
    table = found["tables"][0]
    return [row[table["columns"].index(name)] for row in table["rows"]]


def readings(folder: Path) -> list[dict[str, Any]]:
    engine = open_engine(f"sqlite:///{folder}/gateway.db", create=False)
    try:
        return [r.payload for r in read_records(engine) if r.kind is EventKind.READ and r.payload]
    finally:
        engine.dispose()


def lived(running: Running, *steps: Callable[[World], Any], **world: Any) -> None:
    """Run a gateway for as long as the steps take."""

    async def live() -> None:
        async with running(council(), **world) as running_world:
            for step in steps:
                await step(running_world)

    asyncio.run(live())


def asking(purpose: str = "CIN_S17", number: str = CHILD, **claims: Any) -> Callable[[World], Any]:
    return lambda world: world.ask(number, purpose=purpose, reason=f"In confidence, {purpose}", **claims)


# CIN_S17 is not among the commenced purposes of a world: such look-ups are refused attempts, which a report tells too
SCHOOL: Final = asking("CIN_S17", org="elm-school", sub="lead-1", name="Ms Elm")
ENQUIRY: Final = asking("CP_S47", name="Mr Amber")
POLICE: Final = asking("CIN_S17", org="amber-police", sub="officer-1", roles=["police_safeguarding_officer"])


COUNTED: Final = [("report", "rates"), ("report", "peers"), ("report", "break-glass"), ("events",)]


@pytest.mark.parametrize("command", COUNTED, ids=lambda command: command[-1])
def test_an_organisation_that_nobody_knows_is_not_answered_with_zero(
    tmp_path: Path, running: Running, command: tuple[str, ...]
) -> None:
    lived(running, SCHOOL)
    before = len(readings(tmp_path))

    mistyped = run(tmp_path, *command, "--organisation", "elm-scool")
    of_an_agreement = run(tmp_path, *command, "--organisation", "amber-police")
    on_the_log = run(tmp_path, *command, "--organisation", "elm-school")

    assert (mistyped.exit_code, mistyped.stdout) == (2, "")
    assert mistyped.stderr.count("\n") == 1
    assert "no agreement names the organisation" in mistyped.stderr
    assert (of_an_agreement.exit_code, on_the_log.exit_code) == (0, 0)
    assert len(readings(tmp_path)) == before + 2, "what was not shown is not on record as read"


def test_an_organisation_that_left_every_agreement_is_known_by_what_it_did(tmp_path: Path, running: Running) -> None:
    lived(running, SCHOOL)
    for agreement in (tmp_path / "agreements").iterdir():
        agreement.write_text(agreement.read_text().replace("elm-school", "oak-school"))

    assert run(tmp_path, "events", "--organisation", "elm-school").exit_code == 0
    assert run(tmp_path, "events", "--organisation", "oak-school").exit_code == 0


def test_the_copy_that_leaves_says_who_looked_when_and_why(tmp_path: Path, running: Running) -> None:
    lived(running, SCHOOL)

    found = report(tmp_path)

    assert column(found, "Organisation") == ["Elm-School"]
    assert column(found, "Why") == ["help for a child in need"]
    assert column(found, "What they were told") == ["refused: nothing"]
    assert "In confidence" not in str(found)


def test_an_enquiry_is_kept_out_and_all_that_came_after_it_began(tmp_path: Path, running: Running) -> None:
    lived(running, SCHOOL, ENQUIRY, SCHOOL, POLICE)

    assert column(report(tmp_path), "Why") == ["help for a child in need"]
    everything = report(tmp_path, "--for-approver")
    assert column(everything, "Kept out by") == [None, "CHILD_ABUSE", "CHILD_ABUSE", "CRIME"]
    assert "In confidence, CP_S47" in str(everything)
    assert "Sch 3 para 21" in str(everything)


def test_the_copy_that_leaves_is_the_same_for_a_child_of_whom_all_is_kept_out_and_for_an_unknown_one(
    tmp_path: Path, running: Running
) -> None:
    lived(running, ENQUIRY, POLICE, break_glass)

    hidden, unknown = report(tmp_path), report(tmp_path, number=UNKNOWN_CHILD)

    assert hidden | {"madeAt": ""} == unknown | {"madeAt": ""}
    assert hidden["tables"][0]["rows"] == []


@pytest.mark.parametrize("lost", ["ByPurpose", "WhileAnEnquiryIsLive"])
def test_a_redaction_that_is_lost_would_be_noticed(
    tmp_path: Path, running: Running, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without one of the rules the copies of the test above differ."""
    lived(running, ENQUIRY, SCHOOL)
    assert column(report(tmp_path), "Why") == []
    kept = [rule for rule in exemptions.RULES if type(rule).__name__ != lost]

    monkeypatch.setattr(exemptions, "RULES", kept)

    assert report(tmp_path)["tables"][0]["rows"] != []


def test_a_shielded_child_s_look_ups_are_kept_out(tmp_path: Path, running: Running) -> None:
    async def shield(world: World) -> None:
        await world.gateway.shields.load(world.gateway.log, "cs-amber", [CHILD], replace=False)

    lived(running, SCHOOL, shield)

    assert column(report(tmp_path), "Why") == []
    assert column(report(tmp_path, "--for-approver"), "Kept out by") == ["SERIOUS_HARM"]


POLICE_SOURCE: Final = """[[connectors]]
id = "police-amber"
name = "Amber Police"
kind = "POLICE"
driver = "police"
base_url = "https://police.example"
auth = { token_url = "https://police.example/token", client_id = "gateway", client_secret = "none" }
"""
COUNCIL_SOURCE: Final = (
    POLICE_SOURCE.replace("police-amber", "cs-brook")
    .replace("POLICE", "CHILDRENS_SERVICES")
    .replace('driver = "police"', 'driver = "childrens_services"')
)


@pytest.mark.parametrize(
    ("source", "kept_out"),
    [
        pytest.param(COUNCIL_SOURCE, "SERIOUS_HARM", id="never-read"),
        pytest.param('[[connectors]]\nid = "cs-brook"\n', "SERIOUS_HARM", id="not-known-whether-it-lists"),
        pytest.param(COUNCIL_SOURCE + "enabled = false\n", None, id="disabled"),
        pytest.param(POLICE_SOURCE, None, id="lists-none"),
    ],
)
def test_while_a_source_s_list_of_shields_was_never_read_every_child_counts_as_shielded(
    tmp_path: Path, running: Running, source: str, kept_out: str | None
) -> None:
    """As lookups have it. Once the list is read, the register decides again."""
    lived(running, SCHOOL)
    told = ["help for a child in need"]

    assert column(report(tmp_path, connectors=source), "Why") == ([] if kept_out else told)
    assert column(report(tmp_path, "--for-approver", connectors=source), "Kept out by") == [kept_out]

    async def read_the_list(world: World) -> None:
        await world.gateway.shields.load(world.gateway.log, "cs-brook", [UNKNOWN_CHILD], replace=False)

    lived(running, read_the_list)
    assert column(report(tmp_path, connectors=source), "Why") == told


def test_the_approver_releases_and_withholds_single_look_ups(tmp_path: Path, running: Running) -> None:
    lived(running, SCHOOL, ENQUIRY)
    school, enquiry = column(report(tmp_path, "--for-approver"), "Receipt")
    file = tmp_path / "decisions.toml"
    file.write_text(
        f"[[release]]\nreceipt = '{enquiry}'\nwhy = 'The enquiry ended'\nperson = true\nreason = true\n"
        f"[[withhold]]\nreceipt = '{school}'\nwhy = 'The school asks for it'\n"
    )

    found = report(tmp_path, "--decisions", str(file))

    assert column(found, "Receipt") == [enquiry]
    assert column(found, "Who") == ["Mr Amber"]
    assert column(found, "Reason given") == ["In confidence, CP_S47"]
    payload = readings(tmp_path)[-1]
    assert (payload["released"], payload["withheld"]) == ([enquiry], {"DECIDED": 1})


def test_decisions_about_another_child_are_refused(tmp_path: Path, running: Running) -> None:
    lived(running, SCHOOL)
    file = tmp_path / "decisions.toml"
    file.write_text("[[release]]\nreceipt = 'of-another'\nwhy = 'x'\n")

    result = run(tmp_path, "report", "subject", *ORDER, "--decisions", str(file), typed=f"{CHILD}\n")

    assert result.exit_code == 2
    assert "of-another" not in result.output
    assert readings(tmp_path) == []


@pytest.mark.parametrize("names", [True, False])
def test_a_practitioner_is_named_unless_an_agreement_of_their_kind_names_teams_alone(
    tmp_path: Path, running: Running, names: bool
) -> None:
    lived(running, SCHOOL)
    if not names:
        agreement = tmp_path / "agreements" / "kind-school.toml"
        agreement.write_text(agreement.read_text().replace("review_on", 'team_only = ["HOUSING"]\nreview_on', 1))

    assert column(report(tmp_path), "Who") == ["Ms Elm" if names else "not named"]


def test_every_report_is_on_record_before_it_is_shown(tmp_path: Path, running: Running) -> None:
    lived(running, SCHOOL, ENQUIRY)
    report(tmp_path)
    (payload,) = readings(tmp_path)

    assert unlisted_keys(EventKind.READ, payload) == frozenset()
    assert (payload["reading"], payload["copy"], payload["count"]) == ("SUBJECT", "LEAVING", 1)
    assert (payload["requestedBy"], payload["approvedBy"]) == ("A. Clerk", "B. Officer")
    assert payload["authority"] == "SAR-2026-014"
    assert payload["withheld"] == {"CHILD_ABUSE": 1}
    assert len(payload["filter"]["subject"]) == 64
    assert CHILD not in json.dumps(payload)


def test_a_report_that_cannot_be_recorded_is_not_shown(
    tmp_path: Path, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(running, SCHOOL)

    async def refuses(self: OpenedLog, payload: Any) -> None:
        self.log.close()
        await self.log.append(EventKind.READ, payload)

    monkeypatch.setattr(OpenedLog, "_append", refuses)
    for arguments in (("report", "rates"), ("report", "subject", *ORDER), ("events",)):
        result = run(tmp_path, *arguments, typed=f"{CHILD}\n")
        assert result.exit_code == 2
        assert result.stdout == ""


def test_a_reading_that_is_not_recorded_would_be_noticed(
    tmp_path: Path, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the tests that count readings."""
    lived(running, SCHOOL)

    async def forgets(self: OpenedLog, payload: Any) -> None: ...

    monkeypatch.setattr(OpenedLog, "_append", forgets)
    report(tmp_path)

    assert readings(tmp_path) == []


@pytest.mark.parametrize(
    "approver", ["A. Clerk", "a clerk", "  A.   CLERK ", "Clerk, A."], ids=["same", "case", "space", "turned"]
)
def test_nobody_approves_their_own_request(tmp_path: Path, running: Running, approver: str) -> None:
    lived(running, SCHOOL)
    result = run(tmp_path, "report", "subject", *ORDER[:2], "--approved-by", approver, *ORDER[4:], typed=f"{CHILD}\n")

    assert result.exit_code == 2
    assert "another person" in result.output


@pytest.mark.parametrize("missing", range(0, 6, 2))
def test_a_report_about_somebody_needs_who_asks_who_approves_and_on_what(
    tmp_path: Path, running: Running, missing: int
) -> None:
    lived(running, SCHOOL)
    result = run(tmp_path, "report", "subject", *ORDER[:missing], *ORDER[missing + 2 :], typed=f"{CHILD}\n")

    assert result.exit_code == 2


@pytest.mark.parametrize("typed", ["", "9990000019\n", "not a number\n"])
def test_what_is_no_nhs_number_is_refused_and_not_repeated(tmp_path: Path, running: Running, typed: str) -> None:
    lived(running, SCHOOL)
    result = run(tmp_path, "report", "subject", *ORDER, typed=typed)

    assert result.exit_code == 2
    assert typed.strip() == "" or typed.strip() not in result.output


def test_the_number_can_come_from_a_file(tmp_path: Path, running: Running) -> None:
    lived(running, SCHOOL)
    file = tmp_path / "number"
    file.write_text(f"{CHILD}\n")

    assert column(report(tmp_path, "--nhs-number-file", str(file), number="nothing"), "Organisation") == ["Elm-School"]


HIDDEN: Final = {
    "taken out": "DELETE FROM event_index WHERE kind = 'INTENT'",
    "moved to another child": "UPDATE event_index SET subject = 'another' WHERE kind = 'INTENT'",
    "said to be purged": "UPDATE event_index SET "  # noqa: S608
    + ", ".join(f"{name} = {'NULL' if value is None else value}" for name, value in FORGOTTEN.items()),
}


@pytest.mark.parametrize("how", HIDDEN)
def test_a_look_up_that_the_index_hides_is_missed_by_a_report_about_somebody_and_by_the_check(
    tmp_path: Path, running: Running, how: str
) -> None:
    """Whoever keeps the database could else leave a look-up out of what a family is told."""
    lived(running, ENQUIRY)
    assert run(tmp_path, "index", "--check").exit_code == 0
    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    with engine.begin() as connection:
        connection.execute(sa.text(HIDDEN[how]))
    engine.dispose()

    asked = run(tmp_path, "report", "subject", *ORDER, "--for-approver", typed=f"{CHILD}\n")
    checked = run(tmp_path, "index", "--check")

    assert (asked.exit_code, asked.stdout) == (4, "")
    assert "the index lacks what the log says" in asked.stderr
    assert checked.exit_code == 4


@pytest.mark.parametrize("by", ["registration", "name", "entry"])
def test_a_practitioner_learns_who_was_told_of_them_and_not_about_which_child(
    tmp_path: Path, running: Running, by: str
) -> None:
    told: list[Any] = []

    async def ask(world: World) -> None:
        told.append((await world.ask(purpose="SAFEGUARD_S16LA")).entries[0])

    agreements = [Terms(each.custodian, (Opening(purposes=("SAFEGUARD_S16LA",)),)) for each in OPEN_TO_AMBER]
    lived(running, ask, agreements=agreements)
    practitioner = told[0]["practitioner"]
    registration = practitioner["registration"]
    who = {
        "entry": told[0]["id"],
        "name": practitioner["name"],
        "registration": f"{registration['body']}:{registration['number']}",
    }

    result = run(tmp_path, "report", "practitioner", *ORDER, "--by", by, "--format", "json", typed=f"{who[by]}\n")
    found = json.loads(result.stdout)
    nobody = run(tmp_path, "report", "practitioner", *ORDER, "--by", by, "--format", "json", typed="nobody at all\n")

    assert column(found, "Organisation") == ["Amber-Council"]
    assert "practitioner.name" in column(found, "What they were told of you")[0]
    assert "child" not in str(found["tables"]).lower().replace("keeping a child safe", "")
    assert column(json.loads(nobody.stdout), "Organisation") == []
    assert who[by] not in json.dumps(readings(tmp_path))


@pytest.mark.parametrize("kind", ["rates", "peers", "break-glass", "integrity"])
@pytest.mark.parametrize("form", FORMS)
def test_the_other_reports_name_no_child_and_are_on_record(
    tmp_path: Path, running: Running, kind: str, form: str
) -> None:
    lived(running, ENQUIRY, break_glass)
    out = tmp_path / "report"
    result = run(tmp_path, "report", kind, "--format", form, "--out", str(out))

    assert (result.exit_code, result.stdout) == (0, "")
    assert out.stat().st_mode & 0o777 == 0o600
    assert CHILD not in out.read_text()
    (payload,) = readings(tmp_path)
    assert payload["reading"] == kind.upper().replace("-", "_")
    assert unlisted_keys(EventKind.READ, payload) == frozenset()


def test_a_report_overwrites_no_file(tmp_path: Path, running: Running) -> None:
    lived(running, ENQUIRY)
    out = tmp_path / "report"
    out.write_text("mine")

    assert run(tmp_path, "report", "rates", "--out", str(out)).exit_code == 2
    assert out.read_text() == "mine"


def test_the_ledger_lists_an_override_whose_review_was_lost(tmp_path: Path, running: Running) -> None:
    lived(running, break_glass, break_glass)
    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM review WHERE id = (SELECT min(id) FROM review)"))
    engine.dispose()

    found = json.loads(run(tmp_path, "report", "break-glass", "--format", "json").stdout)

    assert found["facts"]["Overrides"] == 2
    assert found["facts"]["overdue"] == 1


def test_rates_count_look_ups_refusals_and_overrides(tmp_path: Path, running: Running) -> None:
    lived(running, ENQUIRY, break_glass, SCHOOL, asking("CP_S47", UNKNOWN_CHILD))

    found = json.loads(run(tmp_path, "report", "rates", "--format", "json").stdout)

    rows = {row[0]: row[1:] for row in found["tables"][0]["rows"]}
    assert rows["amber-council"] == [3, 0.0, 333.3, 333.3, 0.0, 0]
    assert rows["elm-school"][0] == 0


def test_integrity_says_what_verification_found_and_what_is_open(tmp_path: Path, running: Running) -> None:
    lived(running, ENQUIRY)

    found = json.loads(run(tmp_path, "report", "integrity", "--format", "json").stdout)

    assert found["facts"]["Verification"] == "GOOD"
    assert found["facts"]["Rows of the index that differ"] == 0
    assert found["facts"]["Open INTENTs"] == 0


def test_integrity_is_told_of_a_log_that_cannot_be_read_to_its_end(tmp_path: Path, running: Running) -> None:
    """The report is wanted most where the log is damaged."""
    lived(running, ENQUIRY)
    assert run(tmp_path, "index").exit_code == 0
    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_leaf_fixed")
        connection.exec_driver_sql("UPDATE audit_leaf SET body = x'00' WHERE seq = 2")
    engine.dispose()

    reported = run(tmp_path, "report", "integrity", "--format", "json")
    assert reported.exit_code == 0, reported.output
    found = json.loads(reported.stdout)
    checked = run(tmp_path, "index", "--check")

    assert found["facts"]["Verification"] == "TAMPERED"
    assert found["facts"]["Rows of the index that differ"] == "cannot be told"
    assert checked.exit_code == 4
    assert checked.stderr.splitlines()[-1].startswith("contactpoint: a record of the log cannot be read")


def test_events_lists_who_asked_what_and_is_on_record(tmp_path: Path, running: Running) -> None:
    lived(running, ENQUIRY, SCHOOL)

    shown = run(tmp_path, "events", "--kind", "INTENT", "--organisation", "amber-council")
    (event,) = [json.loads(line) for line in run(tmp_path, "events", "--kind", "INTENT", "--json").stdout.splitlines()]

    assert "Mr Amber" in shown.stdout
    assert "elm-school" not in shown.stdout
    assert event["outcomeRecord"]["outcome"] == "DISCLOSED"
    assert "key" not in event["record"]
    assert CHILD not in shown.stdout + json.dumps(event)
    assert [payload["reading"] for payload in readings(tmp_path)] == ["EVENTS", "EVENTS"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "yesterday"),
        ("--since", "2026-11-26T09:00"),
        ("--since", "2026-11-27", "--until", "2026-11-26"),
        ("--flag", "NONE"),
        ("--most", "0"),
        ("--person", "a\udce9"),
    ],
)
def test_what_cannot_be_a_filter_is_refused(tmp_path: Path, running: Running, arguments: tuple[str, ...]) -> None:
    lived(running, ENQUIRY)
    result = run(tmp_path, "events", *arguments)

    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "command", [("export", "--format", "jsonl"), ("report", "rates"), ("report", "subject", *ORDER)]
)
def test_a_period_that_holds_no_moment_is_refused_and_not_answered_with_nothing(
    tmp_path: Path, running: Running, command: tuple[str, ...]
) -> None:
    lived(running, ENQUIRY)
    result = run(tmp_path, *command, "--since", "2026-11-26", "--until", "2026-11-26", typed=f"{CHILD}\n")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "contactpoint: --since must be before --until\n"
    assert readings(tmp_path) == []


def test_the_index_is_checked_and_rebuilt(tmp_path: Path, running: Running) -> None:
    lived(running, ENQUIRY)
    assert run(tmp_path, "index").exit_code == 0
    assert run(tmp_path, "index", "--check").exit_code == 0
    engine = open_engine(f"sqlite:///{tmp_path}/gateway.db")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE event_index SET organisation = 'brook-council' WHERE kind = 'INTENT'"))
    engine.dispose()

    assert run(tmp_path, "index", "--check").exit_code == 4
    assert run(tmp_path, "index", "--rebuild").exit_code == 0
    assert run(tmp_path, "index", "--check").exit_code == 0


@pytest.mark.parametrize("arguments", [("index",), ("events",), ("report", "rates")])
def test_without_a_log_each_is_one_line_and_exit_two(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "agreements").mkdir()
    result = run(tmp_path, *arguments)

    assert result.exit_code == 2
    assert "there is no log there" in result.stderr
    assert not (tmp_path / "gateway.db").exists()
