"""The simulated agencies know nothing of the gateway: an error in common would otherwise hide itself."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AGENCIES = sorted((ROOT / "gateway" / "demo" / "agencies").glob("*.py"))
LIBRARIES = {"starlette", "strawberry", "graphql", "uvicorn", "uvloop"}
FAMILIES = {f"gateway.demo.{name}" for name in ("families", "people", "staff", "agencies")}


def imported(source: str) -> set[str]:
    """Return the dotted names of the modules that a source imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def foreign(source: str) -> set[str]:
    """Return what a simulated agency may not import: all but its libraries, the standard library and the families."""
    allowed = LIBRARIES | sys.stdlib_module_names | {"__future__"}
    return {
        name
        for name in imported(source)
        if name.partition(".")[0] not in allowed and not any(f"{name}.".startswith(f"{one}.") for one in FAMILIES)
    }


@pytest.mark.parametrize("module", AGENCIES, ids=lambda path: path.stem)
def test_a_simulated_agency_imports_only_libraries_and_the_families(module: Path) -> None:
    assert foreign(module.read_text()) == set()


@pytest.mark.parametrize(
    "line",
    [
        "from connectors.http import SourceClient",
        "import auth",
        "from gateway.lookup import lookup",
        "from schema.records import Involvement",
        "from gateway.demo import personas",
        "import msgspec",
    ],
)
def test_another_import_is_found(line: str) -> None:
    assert foreign(line)
