"""What the README tells people to type works, and what it shows is what they get."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from gateway.__main__ import main
from tests.docs.markdown import code_blocks, documents, headings, prose, text_of

README = text_of("README.md")
NOT_YET = README.partition("\n## What is not done yet\n")[2].partition("\n## ")[0]
MAKEFILE = text_of("Makefile")

_LINE = re.compile(r"^\$ (.+?)(?<!\\)$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:make|contactpoint|\.venv/bin/contactpoint) [^`]*)`")


def commands(text: str) -> list[str]:
    """Return every command line of a document: in console blocks, and in the text. What is not done yet is left out."""
    text = text.replace(NOT_YET, "")
    found = [line for block in code_blocks(text, "console") for line in _LINE.findall(block)]
    return found + list(_INLINE.findall(prose(text)))


def every_command() -> list[tuple[str, str]]:
    return [(name, line) for name in documents() for line in commands(text_of(name))]


def subcommand(line: str) -> tuple[list[str], list[str]]:
    """Return the words that name a command of ours, and the options that follow."""
    words = line.replace("$(", " ").split()
    start = next(i for i, word in enumerate(words) if word.removeprefix(".venv/bin/") == "contactpoint") + 1
    path: list[str] = []
    group: click.Command = main
    for word in words[start:]:
        if not isinstance(group, click.Group) or word not in group.commands:
            break
        group = group.commands[word]
        path.append(word)
    return path, [w.rstrip(")\"'") for w in words[start + len(path) :] if w.startswith("--")]


def ours(line: str) -> bool:
    return "contactpoint " in line.replace("contactpoint-gateway", "") and not line.startswith(("make", "docker"))


OURS = [(name, line) for name, line in every_command() if ours(line)]
MAKES = [(name, line) for name, line in every_command() if line.startswith("make ")]


def test_there_are_commands_to_try() -> None:
    assert len(OURS) > 5
    assert len(MAKES) > 3


@pytest.mark.parametrize(("name", "line"), MAKES)
def test_every_make_target_that_a_document_names_exists(name: str, line: str) -> None:
    target = line.split()[1]

    assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE), f"{name}: {line}"


@pytest.mark.parametrize(("name", "line"), OURS)
def test_every_command_that_a_document_names_exists_with_its_options(name: str, line: str) -> None:
    path, options = subcommand(line)

    told = CliRunner().invoke(main, [*path, "--help"])

    assert path, f"{name}: {line}"
    assert told.exit_code == 0
    assert [option for option in options if option.partition("=")[0] not in told.output] == []


def leaves(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from leaves(command, (*path, name))


@pytest.mark.parametrize("path", list(leaves(main)), ids=lambda path: " ".join(path) or "contactpoint")
def test_help_works_for_every_command(path: tuple[str, ...]) -> None:
    told = CliRunner().invoke(main, [*path, "--help"])

    assert told.exit_code == 0
    assert told.output.startswith("Usage:")


def test_commands_said_not_to_exist_do_not() -> None:
    named = {tuple(code.split()[1:]) for code in re.findall(r"`(contactpoint [\w ]+)`", NOT_YET)}

    assert named
    assert named & set(leaves(main)) == set(), "say what it does, and take it off the list"


def test_every_target_of_the_makefile_has_its_line_of_help() -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))

    assert targets == set(re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE))


def test_the_first_screen_has_its_parts_in_order() -> None:
    first = README.partition("\n## ")[0]
    places = [
        first.find(part)
        for part in (
            "Who else is working",
            "It keeps no record",
            "**Status:**",
            "$ make demo",
            "$ make test",
            "DISCLOSED",
            "**Read on:**",
        )
    ]

    assert -1 not in places
    assert places == sorted(places)
    assert headings(README)[0].text == "ContactPoint Gateway"


def test_the_variables_shown_fit_the_query_shown() -> None:
    (body,) = (json.loads(block) for block in code_blocks(README, "json"))
    (query,) = code_blocks(README, "graphql")

    assert set(body["variables"]) == set(re.findall(r"\$(\w+):", query))


@pytest.mark.network
def test_the_answer_that_the_readme_shows_is_what_the_demo_prints() -> None:
    (shown,) = code_blocks(README, "text")

    run = subprocess.run(
        [sys.executable, "-m", "gateway", "demo", "--once", "--port", "0"],
        capture_output=True, text=True, check=True, timeout=120, env={**os.environ, "COLUMNS": "160"},
    )  # fmt: skip

    printed = re.sub(r"\s+", " ", run.stdout)
    parts = [part for line in shown.splitlines() for part in re.split(r"\s{2,}|: (?=\d)", line.strip())]
    assert [part for part in parts if part not in {"", "...", "lead"} and part not in printed] == []
    assert re.search(r"\blead\b", printed)
    assert re.search(r"ordinary 9990000018 [\d-]{10} Amis", printed)  # the child of the examples below it
    assert "contactpoint lookup 9990000018 " in README


def test_identifiers_in_documents_are_fictional() -> None:
    for name in documents():
        text = text_of(name)
        assert [n for n in re.findall(r"(?<![\w/.-])\d{10}(?![\w/-])", text) if not n.startswith("999")] == [], name
        assert [n for n in re.findall(r"\b0\d{4} ?\d{6}\b", text) if not n.startswith("01632 960")] == [], name
