"""`check-config --json` tells a pipeline what people are told: no more, no less, and with the same exit codes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from auth.agreement_files import SHIPPED, load
from auth.idle_grants import Idleness
from gateway.__main__ import main
from tests.docs.markdown import codes, rows, text_of
from tests.fixtures.school import written_configuration
from tests.fixtures.token_factory import AUDIENCE

AGREEMENTS = '[agreements]\ndirectory = "agreements"\n'
FEED = "issuer,subject,organisation,team,front_door\nhttps://id.example,SECRET,,north,no\n"
GRANT = """
[[grant]]
to = ["POLICE"]
roles = ["police_safeguarding_officer"]
relationship = "NONE"
assurance = "STANDARD"
opens = ["involvements"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    shutil.copytree(SHIPPED, tmp_path / "agreements")
    return written_configuration(tmp_path)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["check-config", *map(str, arguments)])


def told(file: Path) -> tuple[dict[str, Any], Result]:
    """Return the object, and what people are told of the same file; asserts that both end alike, and one object."""
    machine, people = run("--config", file, "--json"), run("--config", file)

    assert machine.exit_code == people.exit_code
    assert machine.stderr == ""
    assert machine.stdout.count("\n") == 1
    return json.loads(machine.stdout), people


def changed(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_good_configuration_is_one_object_and_nothing_that_was_given_is_said_back_but_the_file(file: Path) -> None:
    found, people = told(file)

    assert (people.exit_code, people.stdout) == (0, f"{file}: good\n")
    assert found == {
        "file": str(file),
        "good": True,
        "found": {"sources": 1, "issuers": 1, "agreements": 0},
        "warnings": [],
        "faults": [],
    }


def test_a_configuration_without_sources_or_issuers_is_good_and_a_pipeline_can_see_that_there_are_none(
    file: Path,
) -> None:
    changed(
        file, file.read_text(), f'[resource]\nidentifier = "{AUDIENCE}"\n[database]\nurl = "sqlite:///gateway.db"\n'
    )

    assert told(file)[0]["found"] == {"sources": 0, "issuers": 0, "agreements": 0}


def test_a_source_that_is_disabled_is_counted_too(file: Path) -> None:
    file.write_text(file.read_text() + "enabled = false\n")

    assert told(file)[0]["found"]["sources"] == 1


def test_a_warning_has_a_code_and_its_setting_and_is_no_fault(file: Path) -> None:
    file.write_text(file.read_text() + AGREEMENTS)
    school = file.parent / "agreements" / "school.toml"
    school.write_text(
        school.read_text()
        + f'{GRANT}purposes = ["COOP_S10"]\n'
        + f'{GRANT}purposes = ["CP_S47"]\norganisations = ["nobody"]\n'
    )
    found, people = told(file)

    assert (people.exit_code, found["good"], found["faults"]) == (0, True, [])
    assert found["found"]["agreements"] == len(load(file.parent / "agreements").agreements) > 0
    assert {each["code"] for each in found["warnings"]} == {
        Idleness.HARD_RULE,
        Idleness.NOT_COMMENCED,
        Idleness.NO_PARTY,
    }
    assert {each["setting"] for each in found["warnings"]} == {"agreements.directory"}
    assert [f"{file}: warning: agreements: {each['message']}" for each in found["warnings"]] == (
        people.stderr.splitlines()
    )


def pigeon(file: Path) -> None:
    changed(file, 'driver = "memory"', 'driver = "SECRET"')


def port(file: Path) -> None:
    file.write_text('[server]\nport = "SECRET"\n' + file.read_text())


def database(file: Path) -> None:
    changed(file, "sqlite:///gateway.db", "mysql://user:SECRET@database.example/gateway")


def no_key_file(file: Path) -> None:
    changed(file, "sqlite:///gateway.db", "postgresql://user:SECRET@database.example/gateway")


def no_file(file: Path) -> None:
    file.unlink()


def no_toml(file: Path) -> None:
    file.write_text("[server\nSECRET = 1\n")


def agreement(file: Path) -> None:
    file.write_text(file.read_text() + AGREEMENTS)
    changed(file.parent / "agreements" / "school.toml", 'purposes = ["PREVENT_CHANNEL"]', "")


def no_agreements(file: Path) -> None:
    file.write_text(file.read_text() + '[agreements]\ndirectory = "nowhere"\n')


def custodian(file: Path) -> None:
    file.write_text(file.read_text() + AGREEMENTS)
    changed(file.parent / "agreements" / "school.toml", '"kind:SCHOOL"', '"school-elf"')


def workforce(file: Path) -> None:
    file.write_text(file.read_text() + '[detection]\nworkforce_file = "workforce.csv"\n')
    (file.parent / "workforce.csv").write_text(FEED)


def canaries(file: Path) -> None:
    file.write_text(file.read_text() + '[detection]\ncanaries_file = "canaries.txt"\n')
    (file.parent / "canaries.txt").write_text("SECRET\n")


def broker(file: Path) -> None:
    hub = '[[brokers]]\nid = "hub"\nname = "Hub"\nkind = "POLICE"\nphone = "01632 960001"\n'
    file.write_text(f'{file.read_text()}{hub}connectors = ["school-elf"]\n')


FAULTS: list[tuple[Callable[[Path], None], str | None]] = [
    (pigeon, "connectors[school-elm].driver"),
    (port, "server.port"),
    (database, "database.url"),
    (no_key_file, "audit.key_file"),
    (no_file, None),
    (no_toml, None),
    (agreement, "agreements.directory"),
    (no_agreements, "agreements.directory"),
    (custodian, "agreements.directory"),
    (workforce, "detection.workforce_file"),
    (canaries, "detection.canaries_file"),
    (broker, "brokers.connectors"),
]


def agree(found: dict[str, Any], people: Result) -> None:
    """Assert that each fault is a line for people, in the same order: file, setting and message, or another file's."""
    lines = people.stderr.splitlines()

    assert (found["good"], found["found"], found["warnings"]) == (False, None, [])
    for line, fault in zip(lines, found["faults"], strict=True):
        setting, message = fault["setting"], fault["message"]
        section = str(setting).partition(".")[0]
        assert line in {
            message,
            f"{found['file']}: {message}",
            f"{found['file']}: {setting}: {message}",
            f"{found['file']}: {section}: {message}",
            f"environment: {setting}: {message}",
        }
        assert line == message or setting is None or section in line


@pytest.mark.parametrize(("spoil", "setting"), FAULTS, ids=[spoil.__name__ for spoil, _ in FAULTS])
def test_a_fault_is_on_standard_output_with_its_setting_and_says_what_people_are_told(
    file: Path, spoil: Callable[[Path], None], setting: str | None
) -> None:
    spoil(file)
    found, people = told(file)

    assert people.exit_code == 2
    assert [fault["setting"] for fault in found["faults"]] == [setting]
    assert found["faults"][0]["message"]
    agree(found, people)
    assert "SECRET" not in json.dumps(found)


def test_a_variable_that_is_no_setting_is_named_and_its_value_is_not(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTACTPOINT_LIMIT__PERSON_MISSES__DAY", "5-SECRET")
    found, people = told(file)

    assert found["faults"] == [{"setting": "CONTACTPOINT_LIMIT__PERSON_MISSES__DAY", "message": "is not a setting"}]
    agree(found, people)


def test_no_fault_hides_another_and_all_stand_in_the_order_of_the_lines(file: Path) -> None:
    port(file)
    pigeon(file)
    no_agreements(file)
    changed(file, "sqlite:///gateway.db", "sqlite:///nowhere/gateway.db")
    found, people = told(file)

    assert [fault["setting"] for fault in found["faults"]] == [
        "server.port",
        "connectors[school-elm].driver",
        "agreements.directory",
        "database.url",
    ]
    agree(found, people)


def test_no_warning_is_given_while_anything_is_wrong(file: Path) -> None:
    file.write_text(file.read_text() + AGREEMENTS)
    warned = told(file)[0]["warnings"]
    port(file)

    found, people = told(file)

    assert warned
    assert found["warnings"] == []
    agree(found, people)


@pytest.mark.parametrize("arguments", [("--json",), ("--json", "--config"), ("--json", "--conf", "x")], ids=" ".join)
def test_a_command_that_is_misused_is_one_line_on_standard_error_as_with_every_command(
    arguments: tuple[str, ...],
) -> None:
    result = run(*arguments)

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)


def test_the_document_names_each_member_and_each_code_and_no_other(file: Path) -> None:
    table = list(rows(text_of("docs/configuration.md").partition("## Checked by a pipeline")[2]))
    named = [code for cells in table for code in codes(cells[0])]

    assert named == [*told(file)[0], *sorted(Idleness)]
