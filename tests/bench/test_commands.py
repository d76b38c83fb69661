"""A measuring command that is stopped leaves nothing running, also when it is stopped while it starts something."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench import commands
from bench.commands import STOPPED, command, not_stopped, output_of

pytestmark = pytest.mark.network  # it starts processes


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_something_is_started_comes_after_it(
    how: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    steps: list[str] = []

    def main(arguments: list[str]) -> int:
        with not_stopped():
            os.kill(os.getpid(), how)
            steps.append("started")
        steps.append("never")
        return 0

    assert command(main, []) == STOPPED
    assert steps == ["started"]
    assert capsys.readouterr().err == "bench: stopped; no document was written\n"


def test_a_program_that_was_just_started_ends_with_the_command_that_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[subprocess.Popen[str]] = []
    real = subprocess.Popen

    def popen(*arguments: object, **how: object) -> subprocess.Popen[str]:
        begun.append(real(*arguments, **how))  # type: ignore[call-overload]
        os.kill(os.getpid(), signal.SIGTERM)
        return begun[-1]

    monkeypatch.setattr(commands.subprocess, "Popen", popen)
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]

    assert command(lambda _: output_of(sleeping)[0], []) == STOPPED
    assert [each.returncode for each in begun] == [-signal.SIGKILL]


def test_what_a_program_says_and_its_exit_code_are_returned() -> None:
    assert output_of([sys.executable, "-c", "print('said'); raise SystemExit(3)"]) == (3, "said\n")
