"""Reads the project's documents: which there are, their headings, tables, links and code blocks."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@cache
def text_of(name: str) -> str:
    """Return the text of a file of the repository, named from its top."""
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def tracked_files() -> tuple[str, ...]:
    """Return every file under version control that exists; in a copy without it, every file outside hidden folders."""
    try:
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        names = [str(path) for path in found if not any(part.startswith(".") for part in path.parts)]
    else:
        names = [name for name in listed.splitlines() if (ROOT / name).is_file()]
    return tuple(sorted(names))


def documents() -> list[str]:
    """Return the documents that people read: Markdown outside the tests."""
    return [name for name in tracked_files() if name.endswith(".md") and not name.startswith("tests/")]


def prose(text: str) -> str:
    """Return a document without its code blocks."""
    return _FENCE.sub("", text)


def headings(text: str) -> list[Heading]:
    return [Heading(len(signs), title.strip()) for signs, title in _HEADING.findall(prose(text))]


def anchors(text: str) -> set[str]:
    """Return what links may point to: headings in lower case, no punctuation, spaces as hyphens, twins numbered."""
    seen: dict[str, int] = {}
    found = set()
    for heading in headings(text):
        plain = re.sub(r"[^\w\- ]", "", _CODE.sub(r"\1", heading.text).lower()).replace(" ", "-")
        count = seen.get(plain, 0)
        seen[plain] = count + 1
        found.add(f"{plain}-{count}" if count else plain)
    return found


def links(text: str) -> list[str]:
    return _LINK.findall(prose(text))


def code_blocks(text: str, language: str) -> list[str]:
    return [body for kind, body in _FENCE.findall(text) if kind == language]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of every table row, without the lines under the headers."""
    for line in prose(text).splitlines():
        if line.startswith("|") and not set(line) <= set("|-: "):
            # a bar inside a cell is written \|
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def codes(cell: str) -> list[str]:
    """Return what stands between backticks."""
    return _CODE.findall(cell)
