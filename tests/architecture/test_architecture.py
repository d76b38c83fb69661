"""The walls between packages, held by tests."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import schema
from gateway import errors
from schema import types
from schema.records import Involvement

ROOT = Path(__file__).parents[2]
PACKAGES = ("schema", "auth", "connectors", "gateway")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "base_utils"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_the_packages_under_test_are_those_of_this_repository() -> None:
    assert schema.__file__ is not None
    assert Path(schema.__file__).resolve().is_relative_to(ROOT)
    assert len(MODULES) > 50


def test_import_contracts_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


# ------------------------------------------------------------------------------------------------- the only door

# what a caller may see of a child: an instance of one of these is a disclosure
RECORD_TYPES = frozenset({"Contact", "Agency", "Service", "Registration", "Practitioner", "Team", "Involvement"})
# the frame of an answer, which holds what the door made
FRAME_TYPES = frozenset({"ChildLookup", "SourceAnswer"})
# the caller's own standing; nothing of any child
CALLER_TYPES = frozenset({"FieldAccess", "ViewerFacts"})
DOOR = "auth/disclosure.py"
FRAME = frozenset({"gateway/federation/gathering.py"})


def constructions(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield every type of schema.types that a module makes an instance of: `types.X(...)`, or `X(...)` if imported.

    One that is handed to a call (`object.__new__(types.X)`) may be made there.
    """
    imported = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module == "schema.types"
        for alias in node.names
    }
    modules = {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module == "schema"
        for alias in node.names
        if alias.name == "types"
    } | {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "schema.types"
    }
    for node in ast.walk(module):
        if not isinstance(node, ast.Call):
            continue
        made = node.func.value if isinstance(node.func, ast.Subscript) else node.func
        if isinstance(made, ast.Attribute) and ast.unparse(made.value) in modules:
            yield made.attr, node.lineno
        elif isinstance(made, ast.Name) and made.id in imported:
            yield imported[made.id], node.lineno
        elif isinstance(node.func, ast.Name) and node.func.id == "replace" and node.args:
            yield "replace", node.lineno
        if isinstance(node.func, ast.Name) and node.func.id in {"isinstance", "issubclass"}:
            continue
        for handed in node.args:
            if isinstance(handed, ast.Attribute) and ast.unparse(handed.value) in modules:
                yield handed.attr, node.lineno
            elif isinstance(handed, ast.Name) and handed.id in imported:
                yield imported[handed.id], node.lineno


def made_outside(paths: list[Path]) -> list[str]:
    """Every construction of what a caller may see of a child, outside the door."""
    found = []
    generated = {"SECTION_TYPES", "ITEM_TYPES"}
    for path in paths:
        name = name_of(path) if path.is_relative_to(ROOT) else path.name
        if name in {DOOR, "schema/types.py"}:
            continue
        for made, line in constructions(tree(path)):
            allowed = FRAME_TYPES if name in FRAME else frozenset()
            if made in (RECORD_TYPES | FRAME_TYPES | generated) - allowed:
                found.append(f"{name}:{line} makes {made}")
    return found


def test_only_the_door_makes_what_a_caller_may_see() -> None:
    assert made_outside(MODULES) == []


@pytest.mark.parametrize(
    "text",
    [
        "from schema import types\nx = types.Involvement(id='1')\n",
        "from schema import types as seen\nx = seen.Practitioner(name='a')\n",
        "from schema.types import Contact\nx = Contact(mode=None)\n",
        "from schema.types import Contact as C\nx = C(mode=None)\n",
        "import schema.types\nx = schema.types.Agency(id='1')\n",
        "from schema import types\nx = types.SECTION_TYPES['police'](events=None)\n",
        "from schema import types\nx = types.ChildLookup(outcome=None)\n",
        "from schema import types\nx = object.__new__(types.Involvement)\n",
        "from schema import types\nblank = object.__new__\nx = blank(types.Contact)\n",
        "from schema.types import Team\nx = Team.__new__(Team)\n",
    ],
)
def test_the_search_for_other_doors_finds_one(text: str, tmp_path: Path) -> None:
    (tmp_path / "another_door.py").write_text(text)

    assert made_outside([tmp_path / "another_door.py"])


def test_the_search_knows_every_type_of_the_schema() -> None:
    known = RECORD_TYPES | FRAME_TYPES | CALLER_TYPES | {"ChildKey", "Override", "AccessRequest"}
    classes = inspect.getmembers(types, inspect.isclass)
    declared = {
        name
        for name, kind in classes
        if kind.__module__ == types.__name__ and hasattr(kind, "__strawberry_definition__") and name[0].isupper()
    }

    assert declared == known


def test_records_of_sources_are_not_made_or_changed_by_the_front_door() -> None:
    for path in (ROOT / "gateway" / "graphql").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "schema.records" not in text
        assert "connectors" not in text, f"{name_of(path)} speaks to sources"


# ------------------------------------------------------------------------------------------------- shape of the tree


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=name_of)
def test_a_package_file_holds_a_docstring_and_no_import(path: Path) -> None:
    body = tree(path).body

    assert len(body) == 1
    assert ast.get_docstring(tree(path))


def test_no_module_hides_behind_a_vague_name() -> None:
    assert [name_of(p) for p in MODULES if VAGUE & set(p.stem.split("_"))] == []


def test_every_module_says_what_it_is_for() -> None:
    assert [name_of(p) for p in MODULES if "migrations" not in p.parts and not ast.get_docstring(tree(p))] == []


def test_no_module_is_many_ideas_at_once() -> None:
    long = {name_of(p): len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}

    assert {name: lines for name, lines in long.items() if lines > 600} == {}


def test_no_module_prints_or_runs_text() -> None:
    calls = ((path, node) for path in MODULES for node in ast.walk(tree(path)) if isinstance(node, ast.Call))

    assert [
        f"{name_of(path)}:{node.lineno}" for path, node in calls if ast.unparse(node.func) in {"print", "exec"}
    ] == []


# ------------------------------------------------------------------------------------------------------------ errors


def error_classes() -> list[type[errors.GatewayError]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.GatewayError) and kind.__module__ == errors.__name__
    ]


def test_every_error_that_a_caller_is_told_stands_in_the_tree_and_has_a_code_of_its_own() -> None:
    leaves = [kind for kind in error_classes() if not kind.__subclasses__()]
    codes = [kind.code for kind in leaves]

    assert all(codes)
    assert len(set(codes)) == len(codes)
    assert errors.__doc__ is not None
    assert all(kind.__name__ in errors.__doc__.split() for kind in error_classes())


def test_no_field_that_decides_access_has_a_default() -> None:
    deciding = {"sensitivity", "basis", "basis_until", "refusal", "identity", "status", "relationship"}
    parameters = inspect.signature(Involvement).parameters
    assert deciding <= set(parameters)
    assert all(parameters[name].default is inspect.Parameter.empty for name in deciding)
