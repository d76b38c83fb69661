"""What takes long to read says on a terminal how far it is, and nowhere else."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from gateway.__main__ import main
from gateway.commands import progress_bar as bar
from gateway.commands.progress_bar import progress_bar
from tests.auditing.conftest import Running, council
from tests.fixtures.sources import CHILD
from tests.fixtures.token_factory import AUDIENCE

SUBJECT: Final = ("subject", "--requested-by", "A. Clerk", "--approved-by", "B. Officer", "--authority", "SAR-2026-014")
PURGE: Final = ("purge", "--dry-run", "--before", "2999-01-01", "--earlier-than-allowed")
FOR_MACHINES: Final = {
    ("verify",): ("--json",),
    ("detect",): ("--json",),
    ("detect", "--verify"): ("--json",),
    PURGE: ("--json",),
    ("events",): ("--json",),
    **{
        ("report", *kind): ("--format", "json")
        for kind in (("rates",), ("peers",), ("break-glass",), ("integrity",), SUBJECT)
    },
}
COMMANDS: Final = [*FOR_MACHINES, ("index",), ("index", "--rebuild"), ("index", "--check")]


class Stream(io.StringIO):
    """Standard error, as a terminal or not."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(tmp_path: Path, running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command over a log with a lookup, and return what it wrote to standard output and to standard error."""

    async def live() -> None:
        async with running(council()) as world:
            await world.ask()

    asyncio.run(live())
    file, number = tmp_path / "gateway.toml", tmp_path / "number.txt"
    file.write_text(
        f'[resource]\nidentifier = "{AUDIENCE}"\n[database]\nurl = "sqlite:///{tmp_path}/gateway.db"\n'
        f'[agreements]\ndirectory = "{tmp_path}/agreements"\n'
    )
    number.write_text(CHILD)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(bar, "_AFTER_SECONDS", 0.0)

    def ran(*arguments: str, terminal: bool) -> tuple[str, str]:
        of_whom = ("--nhs-number-file", str(number)) if "subject" in arguments else ()
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", errors := Stream(terminal=terminal))
            with pytest.raises(SystemExit) as end:
                main.main(["audit", *arguments, *of_whom, "--config", str(file)])
        assert end.value.code in {None, 0}, errors.getvalue()
        return capsys.readouterr().out, errors.getvalue()

    return ran


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_it_is_shown_on_a_terminal_and_standard_output_has_nothing_of_it(run: Run, command: tuple[str, ...]) -> None:
    out, errors = run(*command, terminal=True)

    assert "records" in errors
    assert "0:00:0" in errors, "for how long it goes on"
    assert out
    assert "\x1b" not in out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_it_is_not_shown_where_standard_error_is_no_terminal(
    run: Run, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # asks for colours in a file, and not for a bar

    _, errors = run(*command, terminal=False)

    assert "0:00:0" not in errors
    assert "\x1b" not in errors


@pytest.mark.parametrize(("command", "for_machines"), FOR_MACHINES.items(), ids=" ".join)
def test_it_is_not_shown_to_who_asks_for_json(
    run: Run, command: tuple[str, ...], for_machines: tuple[str, ...]
) -> None:
    out, errors = run(*command, *for_machines, terminal=True)

    assert out.startswith(("{", "["))
    assert "0:00:0" not in errors
    assert "\x1b" not in errors


def test_the_words_of_a_purge_are_the_same_with_and_without_it(run: Run) -> None:
    shown, _ = run(*PURGE, terminal=True)
    not_shown, _ = run(*PURGE, terminal=False)

    assert shown == not_shown


def test_what_is_done_within_two_seconds_shows_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar, "_AFTER_SECONDS", float("inf"))

    _, errors = run("index", "--rebuild", terminal=True)

    assert "records" not in errors


def test_a_terminal_that_cannot_move_its_cursor_is_left_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")

    _, errors = run("index", "--rebuild", terminal=True)

    assert errors == ""


@pytest.mark.parametrize("known", [True, False])
def test_how_far_it_is_stands_there_only_where_that_is_known(monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(bar, "_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", errors := Stream(terminal=True))

    with progress_bar("records", shown=True) as progress:
        if known:
            progress(1, 4)

    assert ("25%" in errors.getvalue()) is known
    assert "records" in errors.getvalue()
