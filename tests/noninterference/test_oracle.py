"""The oracle is a second reading of the policy, and no copy of the first: it imports nothing that it judges."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

from schema.sections import section_fields
from schema.vocabulary import AgencyKind, Role
from tests.noninterference.coverage import FIELDS
from tests.noninterference.table import AGENCY_KINDS, ALL_SCOPES, HOMES, SCOPE, SECTION_FIELDS

HERE = Path(__file__).parent
JUDGED = {"auth", "gateway", "connectors", "schema"}


def imported_by(module: Path) -> set[str]:
    """Every module that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def reached_from(module: Path) -> set[str]:
    """Every module that a file imports, and those that its neighbours in turn import."""
    waiting, seen = [module], set[str]()
    while waiting:
        for name in imported_by(waiting.pop()) - seen:
            seen.add(name)
            beside = HERE.parents[1] / Path(*name.split(".")).with_suffix(".py")
            if name.startswith("tests.") and beside.is_file():
                waiting.append(beside)
    return seen


def test_the_oracle_imports_nothing_that_it_judges() -> None:
    reached = reached_from(HERE / "oracle.py")

    assert {"tests.noninterference.table", "tests.noninterference.facts"} <= reached
    assert not {name for name in reached if name.partition(".")[0] in JUDGED}


def test_the_walk_would_find_it() -> None:
    assert "auth" in {name.partition(".")[0] for name in reached_from(HERE / "gateways.py")}
    assert "schema" in {name.partition(".")[0] for name in reached_from(HERE / "staging.py")}


def test_the_table_speaks_of_every_role_kind_path_and_field() -> None:
    """What the schema gains, this suite has to learn: else it would be silent about it."""
    declared = {field.path: field for field in section_fields()}
    assert set(HOMES) == {role.value for role in Role}
    assert set(AGENCY_KINDS) == {kind.value for kind in AgencyKind}
    assert set(SCOPE) - {path for path in SCOPE if path.startswith("involvements")} == set(declared)
    assert {path: field.scope.value for path, field in declared.items()}.items() <= SCOPE.items()
    for path, names in SECTION_FIELDS.items():
        item = declared[path].item
        assert item is not None
        assert {*names, "agency"} == {_camel(field.name) for field in fields(item)}, path
    assert set(SCOPE.values()) == ALL_SCOPES
    assert len(FIELDS) == len(set(FIELDS))


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
