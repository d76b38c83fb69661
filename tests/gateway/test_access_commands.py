"""`contactpoint access`: the table is what is enforced, a diff notices what opens, an explanation agrees with both."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from auth import agreement_files
from auth.access_changes import difference
from auth.access_matrix import COLUMNS, Asked, explain
from auth.access_page import page_of
from auth.access_words import FIELD_WORDS, HARD_RULE_WORDS, PURPOSE_MARKS, RELATIONSHIP_WORDS, role_words
from auth.hard_rules import HardRule
from auth.paths import SCOPES
from auth.policy import LOOK_UP_A_CHILD
from auth.sharing import AccessCell, AgreementSet, Organisation, open_cells
from gateway.__main__ import main
from gateway.demo.configuration import write_agreements
from schema.vocabulary import AgencyKind, Assurance, Purpose, Relationship, Role
from tests.auth.model import agreed, agreement, grant

TODAY = datetime.now(UTC).date()
ROOT = Path(__file__).parents[2]
PAGES = (["--page"], ["--format", "html"], ["--format", "markdown"])
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
    pages = [run("matrix", *form, "--agreements", str(demo)).output for form in PAGES]
    rows = list(csv.DictReader(io.StringIO(run("matrix", "--format", "csv", "--agreements", str(demo)).output)))

    for role in {row["role"] for row in rows}:
        assert role in text
        assert all(role_words(Role(role)) in " ".join(page.split()) for page in pages)
    assert "immigration_officer" not in text
    assert all(f"{len(rows)} open cells" in page for page in (text, *pages))


def named(cell: AccessCell) -> tuple[str, ...]:
    return tuple(sorted(cell.organisations))


def test_the_page_holds_every_open_cell_and_no_other() -> None:
    """The page is joined until it can be read; taken apart again, it is the matrix."""
    agreements = agreement_files.load(agreement_files.SHIPPED)
    page = page_of(agreements, TODAY)

    told = {
        (part.custodian, group.kind, role, purpose, line.relationship, line.assurance, field, line.organisations)
        for part in page.custodians
        for group in part.askers
        for role in group.roles
        for line in group.lines
        for purpose in line.purposes
        for field in line.fields
    }

    assert told == {
        (c.custodian, c.organisation_kind, c.role, c.purpose, c.relationship, c.assurance, c.field, named(c))
        for c in open_cells(agreements, TODAY)
    }
    assert sum(len(group.lines) for part in page.custodians for group in part.askers) < len(told) / 5


def test_every_word_of_the_access_model_can_be_said() -> None:
    assert set(FIELD_WORDS) >= set(SCOPES)
    assert set(PURPOSE_MARKS) == set(Purpose)
    assert set(RELATIONSHIP_WORDS) == set(Relationship)
    assert set(HARD_RULE_WORDS) >= {rule.value for rule in HardRule}
    assert len(set(PURPOSE_MARKS.values())) == len(Purpose)
    assert len(set(FIELD_WORDS.values())) == len(FIELD_WORDS)


def test_the_page_needs_nothing_from_elsewhere_and_its_header_cells_say_what_they_head() -> None:
    page = run("matrix", "--format", "html").output

    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|https?:|\son\w+=|javascript", page, re.IGNORECASE)
    assert len(re.findall(r"<th[ >]", page)) == len(re.findall(r'<th scope="(?:col|row|rowgroup)"', page)) > 40
    assert len(re.findall("<table", page)) == len(re.findall("<caption", page))
    assert '<html lang="en">' in page
    assert "@media print" in page
    ElementTree.fromstring(page.partition("<body>")[2].partition("</body>")[0])  # noqa: S314 - our own page


def test_the_page_names_who_answers_for_each_agreement_and_what_lapses(tmp_path: Path) -> None:
    page = run("matrix", "--page").output
    after_review = run("matrix", "--page", "--on", "2027-10-01").output

    for shipped in agreement_files.load(agreement_files.SHIPPED).agreements:
        for word in (shipped.id, *shipped.owner.split(), *shipped.approver.split()):
            assert word in page
    assert "NO: opens nothing" in after_review
    assert "0 open cells" in after_review


def test_the_document_who_sees_what_is_the_page_of_the_shipped_set() -> None:
    written = (ROOT / "docs" / "who-sees-what.md").read_text(encoding="utf-8")

    assert written == run("matrix", "--format", "markdown").output, "make fix writes it again"


def test_every_open_cell_is_explained_as_open_and_a_weaker_asker_as_closed(demo: Path) -> None:
    parties = {kind.value: Organisation(kind.value, kind.value, kind, None) for kind in AgencyKind}
    agreements = replace(agreement_files.load(demo), organisations=parties)
    checked = 0

    for cell in open_cells(agreements, TODAY):
        asked = Asked(
            cell.organisation_kind.value,
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


def test_a_grant_that_opens_something_makes_diff_exit_1(demo: Path, tmp_path: Path) -> None:
    wider = tmp_path / "wider"
    shutil.copytree(demo, wider)
    file = wider / "police.toml"
    file.write_text(
        file.read_text()
        + '\n[[grant]]\nto = ["HOUSING"]\nroles = ["housing_officer"]\npurposes = ["VITAL_INTERESTS"]\n'
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
    assert [set(cell) for cell in listed["opens"]] == [{*COLUMNS, "since"}]


# ------------------------------------------------------------------------------------- what a child's state changes


def explained(child: str, *more: str, field: str = "involvements", agreements: Path) -> dict[str, object]:
    """Return the explanation of a field of health to a health visitor of the demo's trust."""
    asked = ["explain", "--organisation", "northshire-nhs", "--role", "health_visitor", "--purpose", "CP_S47"]
    asked += ["--custodian", "kind:HEALTH", "--field", field, "--agreements", str(agreements), "--child", child]
    result = run(*asked, *more, "--json")
    assert result.exit_code == 0, result.output
    read: dict[str, object] = json.loads(result.output)
    return read


def why(explanation: dict[str, object], about: str) -> str:
    """Return the reason of the one verdict about this."""
    verdicts: list[dict[str, str]] = explanation["verdicts"]  # type: ignore[assignment]
    (found,) = [verdict["why"] for verdict in verdicts if verdict["about"] == about]
    return found


@pytest.mark.parametrize(
    ("child", "field", "told"),
    [
        ("ordinary", "involvements", True),
        ("ordinary", "involvements.practitioner", True),
        ("ordinary", "health.safeguarding", True),
        ("ordinary", "involvements.sensitive", False),
        ("shielded", "involvements", False),
        ("shielded", "health.safeguarding", False),
        ("shielded-by-own-authority", "involvements", True),
        ("sensitive", "involvements.sensitive", False),
        ("sensitive-with-consent", "involvements.sensitive", True),
        ("sensitive-with-consent", "involvements.practitioner", False),
        ("sensitive-consent-ended", "involvements.sensitive", False),
        ("significant-harm", "involvements.sensitive", True),
        ("unknown-sensitivity", "involvements.sensitive", False),
        ("linked-adult", "involvements.linkedAdult", False),
        ("previous", "involvements.previous", True),
        ("refused", "involvements", False),
        ("unborn", "involvements", True),
        ("uncorroborated", "involvements", False),
        ("unknown", "involvements", False),
    ],
)
def test_what_is_told_depends_on_the_child_and_what_is_open_does_not(
    demo: Path, child: str, field: str, told: bool
) -> None:
    explanation = explained(child, field=field, agreements=demo)

    assert explanation["told"] is told
    assert explanation["open"] is explained("unknown", field=field, agreements=demo)["open"]


def test_every_rule_gives_its_verdict_in_the_order_of_a_lookup(demo: Path) -> None:
    verdicts = explained("refused", agreements=demo)["verdicts"]
    about = [verdict["about"] for verdict in verdicts]  # type: ignore[attr-defined]

    policy = [f"policy {rule}" for rule in ("has-scope involvement:read", "names-a-practitioner", "something-is-open")]
    order = ["token", *policy, "organisation", "source", "corroboration", "shield", "row", "door"]
    assert [about.index(each) for each in order] == sorted(about.index(each) for each in order)
    assert sum(each.startswith("policy ") for each in about) == len(LOOK_UP_A_CHILD.rules)
    assert why(explained("refused", agreements=demo), "row") == "held back: MORE_DETRIMENTAL"
    assert why(explained("sensitive-consent-ended", agreements=demo), "row") == "held back: CONSENT_ENDED"


def test_who_sees_through_a_shield_is_told_and_a_machine_or_a_lacking_scope_is_not(demo: Path) -> None:
    assert explained("shielded", "--relationship", "PRACTITIONER", agreements=demo)["told"]
    assert explained("shielded", "--override", agreements=demo)["told"]
    assert not explained("shielded", "--relationship", "ORGANISATION", agreements=demo)["told"]
    assert not explained("shielded", "--appointed", agreements=demo)["told"]
    assert not explained("ordinary", "--machine", agreements=demo)["told"]
    assert not explained("ordinary", "--scope", "health.safeguarding:read", agreements=demo)["told"]


# ------------------------------------------------------------------------------- what a changed set opens and closes

DAY = date(2026, 6, 1)
BEFORE = agreed(agreement(grant(opens=frozenset({"involvements"}), relationship=Relationship.ORGANISATION)))


def with_grant(**differs: object) -> AgreementSet:
    """Return the set with its one grant changed."""
    (one,) = BEFORE.agreements
    return replace(BEFORE, agreements=(replace(one, grants=(replace(one.grants[0], **differs),)),))


def with_agreement(**differs: object) -> AgreementSet:
    """Return the set with its one agreement changed."""
    return replace(BEFORE, agreements=(replace(BEFORE.agreements[0], **differs),))


@pytest.mark.parametrize(
    ("after", "opens", "since"),
    [
        pytest.param(with_grant(relationship=Relationship.NONE), 1, DAY, id="relationship-lowered"),
        pytest.param(with_grant(roles=frozenset(Role)), len(Role) - 1, DAY, id="every-role"),
        pytest.param(with_grant(opens=frozenset({"involvements", "assessments"})), 1, DAY, id="one-field-more"),
        pytest.param(with_agreement(review_on=date(2027, 12, 31)), 1, date(2027, 1, 1), id="review-put-off"),
        pytest.param(with_agreement(approved_on=date(2025, 1, 1)), 0, DAY, id="only-the-past"),
    ],
)
def test_what_opens_is_told_with_its_first_day_and_nothing_is_said_to_close(
    after: AgreementSet, opens: int, since: date
) -> None:
    found = difference(BEFORE, after, DAY)

    assert [change.since for change in found.opens] == [since] * opens
    assert found.closes == ()
    assert found.widens is bool(opens)
    assert len(difference(after, BEFORE, DAY).closes) == opens
    assert not difference(after, BEFORE, DAY).widens


def test_a_lowered_sign_in_opens_one_cell_and_closes_none() -> None:
    strong, standard = with_grant(assurance=Assurance.STRONG), with_grant(assurance=Assurance.STANDARD)

    (opened,) = difference(strong, standard, DAY).opens

    assert opened.cell.assurance is Assurance.STANDARD
    assert difference(strong, standard, DAY).closes == ()


def test_a_lapse_closes_and_a_power_that_commences_opens_on_its_day() -> None:
    lapsed = with_agreement(review_on=date(2026, 5, 31))
    not_yet = agreed(*BEFORE.agreements, commenced=date(2026, 9, 1))
    never = agreed(*BEFORE.agreements, commenced=None)

    assert len(difference(BEFORE, lapsed, DAY).closes) == 1
    assert [change.since for change in difference(never, not_yet, DAY).opens] == [date(2026, 9, 1)]


def test_a_new_party_opens_what_its_kind_may_see_and_a_named_or_distant_one_does_not() -> None:
    brook = replace(BEFORE.organisations["amber-council"], id="brook-council", area="brook")
    parties = {**BEFORE.organisations, "brook-council": brook}
    amber_only = with_agreement(areas=frozenset({"amber"}))
    named = with_grant(organisations=frozenset({"amber-council"}))

    found = difference(BEFORE, replace(BEFORE, organisations=parties), DAY)

    assert [change.cell.organisations for change in found.opens] == [frozenset({"brook-council"})]
    assert [note.text for note in found.notes] == ["new party: brook-council (CHILDRENS_SERVICES, brook)"]
    for narrow in (amber_only, named):
        assert not difference(narrow, replace(narrow, organisations=parties), DAY).widens
    assert difference(amber_only, BEFORE, DAY).opens
    assert difference(named, BEFORE, DAY).opens


def test_a_custodian_that_loses_its_own_agreement_falls_back_to_its_kinds() -> None:
    """Taking an agreement away opens something here: what the agreement of the kind says counts again."""
    of_kind = agreement(grant(), id="of-kind", custodian="kind:CHILDRENS_SERVICES")
    own = agreed(of_kind, *BEFORE.agreements)
    kind_alone = agreed(of_kind)

    blind = difference(own, kind_alone, DAY)
    knowing = difference(own, kind_alone, DAY, {"cs": AgencyKind.CHILDRENS_SERVICES})

    assert blind.widens
    assert ["those of its kind" in note.text for note in blind.notes] == [True]
    assert {change.cell.field for change in knowing.opens} >= {"police.events"}
    assert {change.cell.custodian for change in knowing.opens} == {"cs"}


def test_who_may_audit_whom_is_a_change_that_somebody_must_approve() -> None:
    council = BEFORE.organisations["amber-council"]
    auditing = replace(BEFORE, organisations={"amber-council": replace(council, audits=frozenset({"*"}))})

    assert difference(BEFORE, auditing, DAY).widens
    assert not difference(auditing, BEFORE, DAY).widens
    assert "every organisation" in difference(auditing, BEFORE, DAY).notes[0].text


def test_a_silent_read_and_a_right_to_appoint_are_changes_that_somebody_must_approve() -> None:
    council = BEFORE.organisations["amber-council"]
    appoints = replace(council, appoints=frozenset({Purpose.COURT_ORDER}))

    silent = difference(BEFORE, with_grant(silent=True), DAY)
    appointing = difference(BEFORE, replace(BEFORE, organisations={"amber-council": appoints}), DAY)

    assert silent.widens
    assert appointing.widens
    assert not difference(with_grant(silent=True), BEFORE, DAY).widens
    assert not difference(BEFORE, BEFORE, DAY).widens


def test_the_summary_counts_what_it_groups_and_the_cells_are_there_for_who_wants_them(tmp_path: Path) -> None:
    wider = tmp_path / "wider"
    shutil.copytree(agreement_files.SHIPPED, wider)
    probation = (wider / "probation.toml").read_text()
    (wider / "probation.toml").write_text(probation.replace('relationship = "ORGANISATION"', 'relationship = "NONE"'))

    summary = run("diff", str(agreement_files.SHIPPED), str(wider))
    cells = run("diff", str(agreement_files.SHIPPED), str(wider), "--cells")

    counted = [int(n) for n in re.findall(r": (\d+) cells", summary.output)]
    lines = [line for line in cells.output.splitlines() if line.startswith("opens")]
    assert (summary.exit_code, cells.exit_code) == (1, 1)
    assert sum(counted) == len(lines) == int(summary.output.rpartition("\n")[0].rpartition("\n")[2].split()[0])
    assert "MAPPA level of a linked adult" in summary.output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["matrix", "--agreements", "/nowhere"], id="no-such-directory"),
        pytest.param(["matrix", "--format", "pdf"], id="unknown-format"),
        pytest.param(["explain", "--organisation", "x"], id="missing-options"),
        pytest.param([*EXPLAIN, "--custodian", "kind:POLIC"], id="misspelt-kind"),
        pytest.param([*EXPLAIN, "--custodian", "police-northshire"], id="connector-without-its-configuration"),
        pytest.param([*EXPLAIN, "--custodian", "kind:POLICE", "--role", "x"], id="unknown-role"),
        pytest.param([*EXPLAIN, "--custodian", "kind:POLICE", "--child", "x"], id="unknown-state"),
        pytest.param([*EXPLAIN, "--custodian", "kind:POLICE", "--child", "ordinary", "--scope", "x"], id="no-scope"),
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
