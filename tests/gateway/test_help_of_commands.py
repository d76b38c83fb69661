"""Every command's help shows how it is used, and what it shows can be given to it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from gateway.__main__ import main


def commands(group: click.Group, *above: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*above, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)


COMMANDS = {" ".join(path): command for path, command in commands(main)} | {"": main}


def examples(command: click.Command) -> list[list[str]]:
    """Return the words after `contactpoint` of each example, without what a shell does before and after it."""
    told = re.sub(r"\\\n\s*", " ", command.help or "").replace("\b", "")
    lines = re.findall(r"^ *(?:[A-Z_]+=\S+ )*contactpoint (.*)$", told, re.MULTILINE)
    return [shlex.split(line.partition(" > ")[0].partition(" | ")[0].partition(" < ")[0]) for line in lines]


def fault(words: list[str]) -> str | None:
    """Return what is wrong with an example, or None: it names a command that there is, and options of that command."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if word.startswith("--") and word not in known | {"--help"}]
    missing = [
        option.opts[0]
        for option in command.params
        if option.required and isinstance(option, click.Option) and not set(option.opts) & set(words)
    ]
    if "--help" in words:
        missing = []
    return f"unknown {unknown}, missing {missing}" if unknown or missing else None


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example_that_can_be_given_to_the_command(name: str) -> None:
    shown = examples(COMMANDS[name])

    assert shown, "no example"
    assert [each for each in map(fault, shown) if each] == []
    assert all(words[: len(name.split())] == name.split() for words in shown)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("serve --config gateway.toml", None),
        ("serve", "unknown [], missing ['--config']"),
        ("serve --config gateway.toml --worker 4", "unknown ['--worker'], missing []"),
        ("audit shout", "no command shout"),
        ("lookup --help", None),
    ],
)
def test_an_example_that_cannot_be_given_would_be_found(words: str, found: str | None) -> None:
    assert fault(words.split()) == found
