"""docs/security-flow.md: its list of symbols leads to code that exists, and the text names nothing else."""

from __future__ import annotations

import ast

from tests.docs.markdown import ROOT, codes, rows, text_of

DOCUMENT = "docs/security-flow.md"
LIST, _, FLOW = text_of(DOCUMENT).partition("\n## Before anybody is known\n")


def concepts(text: str) -> dict[str, str]:
    """Return each listed symbol with its file."""
    return {
        symbol: codes(cells[1])[0]
        for cells in rows(text)
        if len(cells) == 2 and codes(cells[1])
        for symbol in codes(cells[0])
    }


def defined(file: str) -> set[str]:
    """Return the names that a module defines at its top."""
    names: set[str] = set()
    for node in ast.parse((ROOT / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def missing(listed: dict[str, str]) -> list[str]:
    return [s for s, file in listed.items() if not (ROOT / file).is_file() or s not in defined(file)]


def test_every_listed_symbol_is_defined_in_its_file() -> None:
    assert missing(concepts(LIST)) == []


def test_a_symbol_that_moved_would_be_found() -> None:
    assert missing({"merge": "gateway/plan.py", "gone": "gateway/no_such_file.py"}) == ["merge", "gone"]


def test_every_listed_symbol_is_spoken_of() -> None:
    assert [symbol for symbol in concepts(LIST) if f"`{symbol}`" not in FLOW] == []


def test_files_are_named_in_the_list_alone() -> None:
    # moving a file edits one line; what does not exist yet as a command is named by its file
    flow = FLOW.partition("\n## What is not here yet\n")[0]

    assert [code for code in codes(flow) if code.endswith(".py")] == []
