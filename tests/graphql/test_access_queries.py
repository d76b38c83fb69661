"""`agreements`, `accessMatrix`, `explainAccess`: the configuration, for those who answer for it and nobody else."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.__main__ import main
from schema.access_types import ChildState
from schema.vocabulary import AgencyKind
from tests.fixtures.sources import CHILD, known, row, source
from tests.fixtures.world import ORGANISATIONS, Opening, Terms, World, running_world, write_agreements

pytestmark = pytest.mark.anyio

AGREEMENTS = (
    Terms(
        "kind:POLICE",
        (Opening(("involvements", "police.events")), Opening(("involvements",), to=("HEALTH",), roles=("gp",))),
    ),
    Terms("kind:SCHOOL", (Opening(("involvements",), assurance="STRONG"),), review_on="2001-01-01"),
    Terms("cs-amber", (Opening(("involvements", "involvements.practitioner")),), areas=("amber",)),
)
CELLS = """
  query Cells($filter: AccessFilter, $first: Int, $after: String) {
    accessMatrix(filter: $filter, first: $first, after: $after) {
      totalCount version pageInfo { hasNextPage endCursor }
      edges {
        cursor
        node {
          custodian organisationKind role purpose relationship assurance field scope organisations agreement
        }
      }
    }
  }
"""
EXPLAIN = """
  query Why($asked: ExplainAccess!) {
    explainAccess(asked: $asked) { open told scope verdicts { about holds why } }
  }
"""
ASKED = {"organisation": "amber-council", "role": "social_worker", "purpose": "CP_S47", "custodian": "cs-amber"}
EVERY_QUERY = (
    ("{ agreements { id } }", {}),
    ("{ accessMatrix { totalCount } }", {}),
    (EXPLAIN, {"asked": {**ASKED, "field": "involvements"}}),
)


def world(folder: Path) -> Any:
    return running_world(
        folder,
        source("cs-amber", known(CHILD, row())),
        source("police", known(CHILD, row()), kind=AgencyKind.POLICE, holds=["police.events"]),
        agreements=AGREEMENTS,
    )


async def read(asked: World, query: str, variables: dict[str, Any] | None = None) -> Any:
    told = await asked.post(query, variables, scope="access:read", roles=["privacy_officer"])
    assert "errors" not in told.body, told.body
    return told.body["data"]


async def test_every_agreement_is_listed_with_who_answers_for_it(tmp_path: Path) -> None:
    async with world(tmp_path) as asked:
        fields = "id title custodian controller owner approver approvedOn reviewOn inForce areas"
        fields += " lawfulBases { purpose gateway commenced }"
        listed = (await read(asked, f"{{ agreements {{ {fields} }} }}"))["agreements"]

    assert [(a["custodian"], a["inForce"], a["areas"]) for a in listed] == [
        ("cs-amber", True, ["amber"]),
        ("kind:POLICE", True, []),
        ("kind:SCHOOL", False, []),
    ]
    assert listed[0]["owner"] == "o"
    assert {"purpose": "CP_S47", "gateway": "g", "commenced": "2000-01-01"} in listed[0]["lawfulBases"]


async def test_the_pages_of_the_matrix_are_the_rows_of_the_command(tmp_path: Path) -> None:
    async with world(tmp_path) as asked:
        found, after = [], None
        while True:
            page = (await read(asked, CELLS, {"first": 2, "after": after}))["accessMatrix"]
            found += [edge["node"] for edge in page["edges"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        whole = (await read(asked, CELLS))["accessMatrix"]
    printed = CliRunner().invoke(
        main, ["access", "matrix", "--format", "csv", "--agreements", str(tmp_path / "agreements")]
    )
    names = {"organisationKind": "organisation_kind"}
    rows = {tuple(cells) for cells in list(csv.reader(io.StringIO(printed.output)))[1:]}

    assert found == [edge["node"] for edge in whole["edges"]]
    assert len(found) == whole["totalCount"] == len(rows)
    told = {tuple(" ".join(v) or "any" if isinstance(v, list) else v for v in cell.values()) for cell in found}
    assert {cells[:9] for cells in told} == {cells[:9] for cells in rows}
    assert names["organisationKind"] in printed.output


async def test_a_filter_takes_what_agrees_with_every_member(tmp_path: Path) -> None:
    async with world(tmp_path) as asked:
        for wanted in (
            {"custodian": "cs-amber"},
            {"organisationKind": "HEALTH", "role": "gp"},
            {"field": "police.events", "purpose": "CP_S47"},
        ):
            page = (await read(asked, CELLS, {"filter": wanted}))["accessMatrix"]
            assert page["edges"]
            assert all(edge["node"][name] == word for edge in page["edges"] for name, word in wanted.items())
        nothing = (await read(asked, CELLS, {"filter": {"field": "no.such.path"}}))["accessMatrix"]
        assert (nothing["edges"], nothing["totalCount"]) == ([], 0)


async def test_a_cursor_belongs_to_one_version_and_one_filter(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with world(tmp_path / "one") as asked:
        cursor = (await read(asked, CELLS, {"first": 1}))["accessMatrix"]["pageInfo"]["endCursor"]
        bad = [
            {"after": cursor, "filter": {"purpose": "CP_S47"}},
            {"after": "bm90IG91cnM="},
            {"after": ""},
            {"after": "é"},
            {"after": "W10="},
        ]
        codes = [(await asked.post(CELLS, v, scope="access:read")).code for v in bad]
    async with running_world(tmp_path / "two", source("cs-amber"), agreements=AGREEMENTS[:2]) as other:
        elsewhere = await other.post(CELLS, {"after": cursor}, scope="access:read")

    assert codes == ["BAD_USER_INPUT"] * len(bad)
    assert elsewhere.code == "BAD_USER_INPUT"
    assert elsewhere.status == 400
    assert cursor not in elsewhere.response.text


@pytest.mark.parametrize("first", [0, -1, 51, 2**31 - 1])
async def test_a_page_has_one_to_fifty_cells(tmp_path: Path, first: int) -> None:
    async with world(tmp_path) as asked:
        refused = await asked.post(CELLS, {"first": first}, scope="access:read")

    assert (refused.status, refused.code) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize(("query", "variables"), EVERY_QUERY)
async def test_without_the_scope_it_is_forbidden_and_with_it_nothing_is_recorded(
    tmp_path: Path, query: str, variables: dict[str, Any]
) -> None:
    async with world(tmp_path) as asked:
        refused = await asked.post(query, variables, scope="involvement:read schema:read audit:read")
        recorded = asked.kinds()
        await read(asked, query, variables)

        assert (refused.status, refused.body["data"], refused.code) == (200, None, "FORBIDDEN")
        assert asked.kinds() == recorded  # configuration: reading it leaves no record


@pytest.mark.parametrize("wrong", [{"role": "minister"}, {"field": "all"}, {"custodian": "kind:POLIC"}])
async def test_words_that_are_no_words_of_ours_are_refused_and_not_repeated(
    tmp_path: Path, wrong: dict[str, str]
) -> None:
    async with world(tmp_path) as asked:
        refused = await asked.post(EXPLAIN, {"asked": {**ASKED, "field": "involvements", **wrong}}, scope="access:read")

    assert (refused.status, refused.code) == (400, "BAD_USER_INPUT")
    assert not any(word in refused.response.text for word in wrong.values())


async def test_an_explanation_tells_the_grant_and_the_child_apart(tmp_path: Path) -> None:
    async with world(tmp_path) as asked:
        told = {}
        for state in ChildState:
            variables = {"asked": {**ASKED, "field": "involvements", "child": state.value}}
            told[state] = (await read(asked, EXPLAIN, variables))["explainAccess"]

    assert all(answer["open"] for answer in told.values())
    assert {state for state, answer in told.items() if answer["told"]} == {
        ChildState.ORDINARY,
        ChildState.SHIELDED_BY_OWN_AUTHORITY,
        ChildState.UNBORN,
    }
    assert {"about": "row", "holds": False, "why": "held back: MORE_DETRIMENTAL"} in told[ChildState.REFUSED][
        "verdicts"
    ]


async def test_a_connector_is_explained_by_its_kind_where_it_has_no_agreement_of_its_own(tmp_path: Path) -> None:
    variables = {"asked": {**ASKED, "custodian": "police", "field": "police.events"}}
    async with world(tmp_path) as asked:
        explained = (await read(asked, EXPLAIN, variables))["explainAccess"]

    assert (explained["open"], explained["told"], explained["scope"]) == (True, True, "police.events:read")


def test_the_parties_of_these_tests_are_those_of_the_world(tmp_path: Path) -> None:
    assert write_agreements(tmp_path / "set", AGREEMENTS).is_dir()
    assert ("amber-council", "CHILDRENS_SERVICES", "amber") in ORGANISATIONS


ACCESS = "{ viewer { access(purpose: CP_S47) { agency { id } field open relationship code } } }"
TO_THE_APPOINTED = (
    Terms("cs-amber", (Opening(("involvements",), relationship="APPOINTED"),)),
    Terms(
        "kind:POLICE",
        (Opening(("involvements",)), Opening(("involvements.practitioner",), relationship="OVERRIDE")),
    ),
)


async def test_a_viewer_is_told_what_an_appointment_or_break_glass_would_open(tmp_path: Path) -> None:
    """Somebody to whom nothing opens before they are appointed is told so, and not that their role has no grant."""
    sources = source("cs-amber"), source("police", kind=AgencyKind.POLICE)
    async with running_world(tmp_path, *sources, agreements=TO_THE_APPOINTED) as asked:
        told = {
            scope: {
                (each["agency"]["id"], each["field"]): (each["relationship"], each["code"])
                for each in (await asked.post(ACCESS, scope=scope)).body["data"]["viewer"]["access"]
            }
            for scope in ("involvement:read", "involvement:read lookup:override")
        }

    without, with_override = told.values()
    assert without["cs-amber", "involvements"] == with_override["cs-amber", "involvements"] == ("APPOINTED", None)
    assert without["police", "involvements"] == ("NONE", None)
    assert without["police", "involvements.practitioner"] == (None, "ROLE_NOT_GRANTED")
    assert with_override["police", "involvements.practitioner"] == ("OVERRIDE", None)
