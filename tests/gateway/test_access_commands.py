"""`contactpoint access`: the table is what is enforced, a diff notices what opens, an explanation agrees with both."""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auth import agreement_files
from auth.access_matrix import COLUMNS, Asked, explain
from auth.sharing import open_cells
from gateway.__main__ import main
from gateway.demo.configuration import write_agreements
from schema.vocabulary import AgencyKind

TODAY = datetime.now(UTC).date()
EXPLAIN = ["explain", "--organisation", "northshire-council", "--role", "social_worker", "--purpose", "CP_S47"]
EXPLAIN += ["--field", "involvements"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["access", *arguments])


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    write_agreements(tmp_path / "agreements")
    return tmp_path / "agreements"


def test_the_csv_begins_with_the_contracts_columns_and_holds_every_open_cell(demo: Path) -> None:
    rows = list(csv.reader(io.StringIO(run("matrix", "--format", "csv", "--agreements", str(demo)).output)))

    contract = ["custodian", "organisation_kind", "role", "purpose", "relationship", "assurance", "field"]
    assert rows[0][: len(contract)] == contract
    assert len(rows) - 1 == len(list(open_cells(agreement_files.load(demo), TODAY))) > 400


def test_the_text_and_the_page_hold_the_same_askers_as_the_csv(demo: Path) -> None:
    text = run("matrix", "--agreements", str(demo)).output
    page = run("matrix", "--format", "html", "--agreements", str(demo)).output
    rows = list(csv.DictReader(io.StringIO(run("matrix", "--format", "csv", "--agreements", str(demo)).output)))

    assert {row["role"] for row in rows} == {
        role for role in (r["role"] for r in rows) if role in text and role in page
    }
    assert "immigration_officer" not in text
    assert f"{len(rows)} open cells" in text


def test_every_open_cell_is_explained_as_open_and_a_weaker_asker_as_closed(demo: Path) -> None:
    agreements = agreement_files.load(demo)
    by_kind = {o.kind: o.id for o in agreements.organisations.values()}
    checked = 0

    for cell in open_cells(agreements, TODAY):
        asked = Asked(
            by_kind[cell.organisation_kind],
            cell.role,
            cell.purpose,
            cell.relationship,
            cell.assurance,
            cell.custodian,
            cell.field,
        )
        nobody = Asked("not-a-party", *(getattr(asked, n) for n in list(Asked.__dataclass_fields__)[1:]))
        assert explain(agreements, asked, TODAY)[0]
        assert not explain(agreements, nobody, TODAY)[0]
        checked += 1

    assert checked > 400
    assert AgencyKind.IMMIGRATION in by_kind


def test_a_grant_that_opens_something_makes_diff_exit_1(demo: Path, tmp_path: Path) -> None:
    wider = tmp_path / "wider"
    shutil.copytree(demo, wider)
    file = wider / "police.toml"
    file.write_text(
        file.read_text() + '\n[[grant]]\nto = ["HOUSING"]\nroles = ["housing_officer"]\npurposes = ["CP_S47"]\n'
        'relationship = "NONE"\nassurance = "STANDARD"\nopens = ["involvements"]\n'
    )

    opened, closed, same = (
        run("diff", str(demo), str(wider)),
        run("diff", str(wider), str(demo)),
        run("diff", str(demo), str(demo)),
    )

    assert (opened.exit_code, closed.exit_code, same.exit_code) == (1, 0, 0)
    assert "housing_officer" in opened.output
    assert "1 open, 0 close" in opened.output
    assert "0 open, 1 close" in closed.output
    listed = json.loads(run("diff", str(demo), str(wider), "--json").output)
    assert [set(cell) for cell in listed["opens"]] == [set(COLUMNS)]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["matrix", "--agreements", "/nowhere"], id="no-such-directory"),
        pytest.param(["matrix", "--format", "pdf"], id="unknown-format"),
        pytest.param(["explain", "--organisation", "x"], id="missing-options"),
        pytest.param([*EXPLAIN, "--custodian", "kind:POLIC"], id="misspelt-kind"),
        pytest.param([*EXPLAIN, "--custodian", "police-northshire"], id="connector-without-its-configuration"),
        pytest.param([*EXPLAIN, "--custodian", "kind:POLICE", "--role", "x"], id="unknown-role"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments: list[str]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert len(result.output.strip().splitlines()) == 1


@pytest.fixture
def config(tmp_path: Path, demo: Path) -> Path:
    """A configuration with two police connectors, one with an agreement of its own that opens nothing to us."""
    connector = '[[connectors]]\nname = "A force"\ndriver = "memory"\nrecords = "none.json"\n'
    (tmp_path / "gateway.toml").write_text(
        '[resource]\nidentifier = "https://gateway.example/graphql"\n'
        '[[issuers]]\nissuer = "https://idp.example"\njwks_uri = "https://idp.example/jwks"\n'
        f'[agreements]\ndirectory = "{demo}"\n'
        f'{connector}id = "police-northshire"\nkind = "POLICE"\n{connector}id = "police-apart"\nkind = "POLICE"\n'
        f'{connector}id = "fire"\nkind = "FIRE_AND_RESCUE"\n'
    )
    own = (demo / "police.toml").read_text()
    own = own.replace('"kind:POLICE"', '"police-apart"').replace('id = "police"', 'id = "police-apart"')
    (demo / "police-apart.toml").write_text(own.replace('"social_worker"', '"early_help_worker"'))
    return tmp_path / "gateway.toml"


def test_a_connector_is_explained_by_its_own_agreements_and_without_any_by_its_kinds(config: Path) -> None:
    by_kind = run(*EXPLAIN, "--custodian", "police-northshire", "--config", str(config))
    own = run(*EXPLAIN, "--custodian", "police-apart", "--config", str(config))
    neither = run(*EXPLAIN, "--custodian", "fire", "--config", str(config))

    assert "those of kind:POLICE" in by_kind.output
    assert "involvements is open" in by_kind.output
    assert "kind:POLICE" not in own.output
    assert "involvements is closed" in own.output
    assert "no agreement speaks of kind:FIRE_AND_RESCUE" in neither.output
    assert "involvements is closed" in neither.output


def test_an_unknown_custodian_is_told_what_there_is_and_not_what_was_typed(config: Path) -> None:
    result = run(*EXPLAIN, "--custodian", "police-northsire", "--config", str(config))

    assert result.exit_code == 2
    assert "police-northshire" in result.output
    assert "kind:POLICE" in result.output
    assert "northsire" not in result.output


def test_words_of_a_closed_list_are_listed_and_may_be_written_otherwise() -> None:
    wrong = run(*EXPLAIN, "--custodian", "kind:POLICE", "--role", "minister")

    assert "social_worker" in wrong.output
    assert "minister" not in wrong.output
    assert run(*EXPLAIN, "--custodian", "kind:POLICE", "--purpose", "cp_s47").exit_code == 0


def test_the_lines_of_the_matrix_fit_a_page(demo: Path) -> None:
    lines = run("matrix", "--agreements", str(demo)).output.splitlines()

    assert max(map(len, lines)) <= 165
