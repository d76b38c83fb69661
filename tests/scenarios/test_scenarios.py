"""Every scenario is asked over HTTP and seen to hold; together they agree with the matrix; seeded faults are caught."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import get_args

import anyio
import pytest

from auth import agreement_files, sharing
from auth.agreement_files import SHIPPED
from auth.hard_rules import HardRule
from auth.sharing import AccessCell, AgreementSet, open_cells
from schema.vocabulary import Purpose, Relationship, Role
from tests.scenarios.holdings import TOWN, held
from tests.scenarios.reading import Outcome, Scenario, Supposed, scenarios, themes
from tests.scenarios.render import DOCUMENT, rendered
from tests.scenarios.running import Seen, run_all, written

ALL = scenarios()
AS_SHIPPED = [scenario for scenario in ALL if scenario.suppose == Supposed()]
TODAY = datetime.now(UTC).date()


def ids(scenario: Scenario) -> str:
    return scenario.name.lower().replace(" ", "-").replace(",", "")


def run(folder: Path, chosen: Iterable[Scenario], shipped: Path = SHIPPED) -> Mapping[str, Seen]:
    return anyio.run(partial(run_all, folder, list(chosen), shipped))


def differs(scenario: Scenario, seen: Seen) -> list[str]:
    """Return in what an answer differs from its scenario; nothing if it holds."""
    wanted = scenario.paths(scenario.sees)
    return [
        *([f"outcome {seen.outcome}"] if seen.outcome != scenario.outcome else []),
        *(f"sees {agency} {path}" for agency, path in sorted(seen.fields - wanted)),
        *(f"misses {agency} {path}" for agency, path in sorted(wanted - seen.fields)),
        *(f"asked {agency}" for agency in scenario.not_asked if agency not in seen.not_asked),
    ]


def failing(chosen: Iterable[Scenario], seen: Mapping[str, Seen]) -> list[str]:
    return [scenario.name for scenario in chosen if differs(scenario, seen[scenario.name])]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Seen]:
    return run(tmp_path_factory.mktemp("town"), ALL)


@pytest.mark.parametrize("scenario", ALL, ids=ids)
def test_the_asker_sees_this_and_nothing_else(scenario: Scenario, seen: Mapping[str, Seen]) -> None:
    assert differs(scenario, seen[scenario.name]) == []


# ------------------------------------------------------------------------------------------- the files themselves


@pytest.mark.parametrize("scenario", ALL, ids=ids)
def test_what_must_not_be_seen_is_there_to_be_hidden(scenario: Scenario) -> None:
    there = {(agency, path) for agency, phrases in scenario.holds.items() for path in held(agency, phrases)}
    hidden, told = scenario.paths(scenario.must_not_see), scenario.paths(scenario.sees)

    assert hidden <= there
    assert not hidden & told
    # who is named is not said of ended work apart, and a team's worker is held without being told
    assert told <= there
    assert scenario.because.endswith(".")
    assert (scenario.outcome in {"told", "incomplete"}) == bool(told)


def test_the_scenarios_cover_every_purpose_role_relationship_and_outcome(seen: Mapping[str, Seen]) -> None:
    assert len(ALL) >= 40
    assert len({scenario.name for scenario in ALL}) == len(ALL)
    assert {scenario.purpose for scenario in ALL} == set(Purpose)
    assert {scenario.role for scenario in ALL} == set(Role)
    assert {each.relationship for each in seen.values() if each.relationship} == {r.value for r in Relationship}
    assert {scenario.outcome for scenario in ALL} == set(get_args(Outcome))


def test_a_shielded_child_reads_as_one_whom_nobody_knows(seen: Mapping[str, Seen]) -> None:
    shielded = seen["A health visitor asks about a child in a refuge"]
    unknown = seen["A health visitor asks about a child whom nobody knows"]

    assert shielded.text == unknown.text != ""


def test_a_misspelt_file_is_refused_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "08-wrong.toml"
    monkeypatch.setattr("tests.scenarios.reading.FOLDER", tmp_path)
    good = (Path(__file__).parent / "03-shields.toml").read_text(encoding="utf-8")
    for wrong in (good.replace("because", "becuase"), good.replace("CP_S47", "CP_S74"), good + "\n[["):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(ValueError, match=r"08-wrong\.toml: "):
            themes()


def test_the_document_is_what_the_files_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == rendered(themes()), (
        "python -m tests.scenarios.render writes it again"
    )


# ------------------------------------------------------------------------------------------ scenarios and the matrix


@pytest.fixture(scope="module")
def matrices(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Supposed], tuple[AgreementSet, list[AccessCell]]]:
    """The agreements that a scenario supposes, with their matrix; each is read once."""
    folder = tmp_path_factory.mktemp("sets")
    made: dict[str, tuple[AgreementSet, list[AccessCell]]] = {}

    def matrix(suppose: Supposed) -> tuple[AgreementSet, list[AccessCell]]:
        if (key := repr(suppose)) not in made:
            agreements = agreement_files.load(written(folder / str(len(made)), suppose))
            made[key] = agreements, list(open_cells(agreements, TODAY))
        return made[key]

    return matrix


@pytest.mark.parametrize("scenario", ALL, ids=ids)
def test_what_is_seen_is_an_open_cell_of_the_matrix(
    scenario: Scenario, matrices: Callable[[Supposed], tuple[AgreementSet, list[AccessCell]]]
) -> None:
    agreements, open_ = matrices(scenario.suppose)
    party = agreements.organisations.get(scenario.organisation)
    cells = {
        (cell.custodian, cell.field)
        for cell in open_
        if party is not None
        and cell.organisation_kind is party.kind
        and (not cell.organisations or party.id in cell.organisations)
        and (cell.role, cell.purpose) == (scenario.role, scenario.purpose)
    }

    seen = {(f"kind:{TOWN[agency].kind}", path) for agency, path in scenario.paths(scenario.sees)}

    assert seen <= cells


def test_every_hard_rule_has_a_scenario_in_which_it_alone_stands_against_a_grant(tmp_path: Path) -> None:
    ruled = [scenario for scenario in ALL if scenario.rule]

    assert {scenario.rule for scenario in ruled} == {rule.value for rule in HardRule}
    for scenario in ruled:
        agreements = agreement_files.load(written(tmp_path / "set", scenario.suppose))
        party = agreements.organisations[scenario.organisation]
        (mistake,) = scenario.suppose.grant
        (agreement,) = (a for a in agreements.agreements if a.id == mistake.agreement)
        grant = agreement.grants[-1]
        kind = sharing.custodian_kind(agreement.custodian, {})
        assert grant.admits(party, scenario.role, scenario.purpose), scenario.name
        assert agreement.in_force(TODAY)
        assert agreements.basis(scenario.purpose, TODAY)
        (path,) = grant.opens
        broken = agreements.broken_rule(agreement, grant, kind, party.kind, scenario.purpose, path)
        assert broken == scenario.rule, scenario.name


def test_without_the_hard_rules_their_scenarios_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ruled = [scenario for scenario in ALL if scenario.rule]
    monkeypatch.setattr(sharing, "broken_by", lambda **_: None)

    assert failing(ruled, run(tmp_path, ruled)) == [scenario.name for scenario in ruled]


# ------------------------------------------------------------------------------------ seeded faults in the agreements


@dataclass(frozen=True)
class Fault:
    """A text of one shipped agreement, and what somebody makes of it."""

    file: str
    was: str
    becomes: str


WIDER = {
    "the-officer-is-named": Fault(
        "police", 'opens = ["involvements"]', 'opens = ["involvements", "involvements.practitioner"]'
    ),
    "risk-to-whoever-asks": Fault("probation", 'relationship = "ORGANISATION"', 'relationship = "NONE"'),
    "plans-to-whoever-asks": Fault("childrens-services", 'relationship = "ORGANISATION"', 'relationship = "NONE"'),
    "a-weaker-sign-in": Fault("police", 'assurance = "STRONG"', 'assurance = "STANDARD"'),
    "no-appointment": Fault("childrens-services", 'relationship = "APPOINTED"', 'relationship = "NONE"'),
}


def seeded(folder: Path, fault: Fault) -> Path:
    shutil.copytree(SHIPPED, folder)
    file = folder / f"{fault.file}.toml"
    text = file.read_text(encoding="utf-8")
    assert fault.was in text
    file.write_text(text.replace(fault.was, fault.becomes), encoding="utf-8")
    return folder


@pytest.mark.parametrize("fault", WIDER.values(), ids=WIDER)
def test_a_grant_that_somebody_widened_fails_a_scenario(fault: Fault, tmp_path: Path) -> None:
    shipped = seeded(tmp_path / "seeded", fault)

    assert failing(AS_SHIPPED, run(tmp_path, AS_SHIPPED, shipped))


def test_an_agreement_that_somebody_took_away_fails_a_scenario(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "narrower")
    (tmp_path / "narrower" / "health.toml").unlink()

    assert failing(AS_SHIPPED, run(tmp_path, AS_SHIPPED, tmp_path / "narrower"))
