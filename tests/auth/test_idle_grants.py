"""Grants that open nothing are named with their cause, before anybody wonders why; they are no faults."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from auth.agreement_files import SHIPPED, load
from auth.idle_grants import Idleness, idle_grants
from auth.sharing import Organisation
from gateway.__main__ import main
from schema.vocabulary import AgencyKind, Purpose
from tests.auth.model import TODAY, agreed, agreement, grant


def test_a_grant_that_opens_something_to_somebody_is_not_named() -> None:
    half = grant(kinds=frozenset({AgencyKind.CHILDRENS_SERVICES, AgencyKind.CAFCASS}))

    assert idle_grants(agreed(agreement(grant(), half)), TODAY) == []


def test_a_grant_under_a_hard_rule_is_named_with_its_number_and_the_rule() -> None:
    framework = grant(purposes=frozenset({Purpose.COOP_S10}))
    claimed = grant(purposes=frozenset({Purpose.COURT_ORDER}))

    found = idle_grants(agreed(agreement(grant(), framework, claimed)), TODAY)

    assert {each.idleness for each in found} == {Idleness.HARD_RULE}
    assert list(map(str, found)) == [
        "these grants open nothing, for the hard rule APPOINTMENT: an-agreement 3",
        "these grants open nothing, for the hard rule NOT_A_POWER: an-agreement 2",
    ]


def test_a_grant_whose_purposes_have_not_commenced_is_named_with_them() -> None:
    found = idle_grants(agreed(agreement(grant()), commenced=None), TODAY)

    assert [(each.idleness, str(each)) for each in found] == [
        (
            Idleness.NOT_COMMENCED,
            "these grants open nothing, for no purpose of theirs has commenced (CP_S47): an-agreement 1",
        )
    ]


def test_a_connector_is_judged_by_its_kind_and_one_that_is_not_known_by_every_kind() -> None:
    duty = grant(purposes=frozenset({Purpose.SERIOUS_VIOLENCE_S16}), opens=frozenset({"involvements"}))
    terms = agreed(agreement(duty))  # of the custodian `cs`

    assert idle_grants(terms, TODAY) == []
    assert idle_grants(terms, TODAY, {"cs": AgencyKind.POLICE}) == []
    assert "SERIOUS_VIOLENCE" in str(idle_grants(terms, TODAY, {"cs": AgencyKind.HEALTH})[0])


def test_what_names_a_practitioner_to_a_kind_that_sees_teams_only_is_named() -> None:
    names = grant(opens=frozenset({"involvements.practitioner"}))
    (found,) = idle_grants(agreed(agreement(names, team_only=frozenset({AgencyKind.CHILDRENS_SERVICES}))), TODAY)

    assert found.idleness is Idleness.TEAM_ONLY
    assert "team_only closes involvements.practitioner" in str(found)


@pytest.mark.parametrize("named", ["nobody", "force"])
def test_a_grant_that_names_no_party_of_its_kinds_is_named(named: str) -> None:
    force = Organisation("force", "Force", AgencyKind.POLICE, None)
    found = agreed(agreement(grant(organisations=frozenset({named}))), parties=(force,))

    assert [(each.idleness, str(each)) for each in idle_grants(found, TODAY)] == [
        (Idleness.NO_PARTY, "these grants open nothing, for they name no party of their kinds: an-agreement 1")
    ]


def test_no_shipped_grant_is_idle_but_for_a_purpose_that_has_not_commenced() -> None:
    found = idle_grants(load(SHIPPED), TODAY)

    assert found
    assert all(each.idleness is Idleness.NOT_COMMENCED for each in found)
    assert all("no purpose of theirs has commenced" in str(each) for each in found)


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.toml"
    file.write_text(
        '[resource]\nidentifier = "https://gateway.example/graphql"\n'
        '[database]\nurl = "sqlite:///gateway.db"\n[agreements]\ndirectory = "agreements"\n'
    )
    shutil.copytree(SHIPPED, tmp_path / "agreements")
    return file


def test_check_config_warns_of_them_and_the_configuration_is_good(configuration: Path) -> None:
    checked = CliRunner().invoke(main, ["check-config", "--config", str(configuration)])

    assert (checked.exit_code, checked.stdout) == (0, f"{configuration}: good\n")
    assert all(line.startswith(f"{configuration}: warning: agreements: ") for line in checked.stderr.splitlines())
    assert "(SAFEGUARD_S16LA)" in checked.stderr


def test_check_config_says_nothing_of_the_templates_that_nobody_is_a_party_to(configuration: Path) -> None:
    configuration.write_text(configuration.read_text().partition("[agreements]")[0])
    checked = CliRunner().invoke(main, ["check-config", "--config", str(configuration)])

    assert (checked.exit_code, checked.stderr) == (0, "")
