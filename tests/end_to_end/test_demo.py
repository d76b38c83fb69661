"""`contactpoint demo --once`, as a newcomer runs it: in a process of its own."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.network

REPOSITORY = Path(__file__).parents[2]
CONTACTPOINT = [sys.executable, "-m", "gateway"]
_NOTE = re.compile(r"^\[ *[0-9.]+ s\] .+ \.\.\.$")
_LOG = re.compile(r"^\d{4}-\d\d-\d\dT\S+Z \[(info|warning) *\] ")


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CONTACTPOINT_", "COLUMNS"))}
    return kept | {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "default"}


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What one run of the demo says."""
    data = tmp_path_factory.mktemp("once")
    return run([*CONTACTPOINT, "demo", "--once", "--port", "0", "--children", "60", "--data", str(data)])


def test_the_demo_ends_with_exit_code_0(once: subprocess.CompletedProcess[str]) -> None:
    assert once.returncode == 0, once.stderr


def test_it_prints_three_different_answers_about_one_child(once: subprocess.CompletedProcess[str]) -> None:
    _, *answers = re.split(r"^As ", once.stdout, flags=re.MULTILINE)
    answers[-1] = answers[-1].partition("One fictional child for each story")[0]

    assert [answer.partition(",")[0] for answer in answers] == ["Sam Okoro", "Hana Lind", "Dana Amin"]
    assert all("DISCLOSED" in answer for answer in answers)
    assert "INCOMPLETE" not in once.stdout
    held = [answer.partition("\n")[2] for answer in answers]
    assert len(set(held)) == 3
    assert "R Okafor" in held[0]
    assert "R Okafor" not in held[1] + held[2]
    assert "Petra Blum" not in once.stdout
    assert len({re.search(r"Receipt (\S+)", answer)[1] for answer in answers}) == 3  # type: ignore[index]


def test_only_diagnostics_go_to_standard_error_and_no_token_anywhere(once: subprocess.CompletedProcess[str]) -> None:
    odd = [line for line in once.stderr.splitlines() if not (_NOTE.match(line) or _LOG.match(line))]

    assert odd == []
    for text in (once.stdout, once.stderr):
        assert "eyJ" not in text
        assert "Traceback" not in text
    assert "999" not in once.stderr


def test_it_lists_every_story_and_says_where_everything_is(once: subprocess.CompletedProcess[str]) -> None:
    for story in ("ordinary", "twins", "shielded", "sensitive-service", "linked-adult-probation", "three-authorities"):
        assert re.search(rf"^ +{story} +999\d{{7}}  \d{{4}}-\d\d-\d\d  \S+", once.stdout, re.MULTILINE), story
    for what in ("/graphql", "/idp", "/demo/children.json", "budgets are raised"):
        assert what in once.stdout


def test_a_demo_that_stops_does_not_offer_its_curl_as_live(once: subprocess.CompletedProcess[str]) -> None:
    assert "Ask for yourself" not in once.stdout
    assert "While the demo runs (without --once):\n\ncurl -s http" in once.stdout


@pytest.mark.parametrize("words", [["demo", "--once"], ["demo"]], ids=["once", "told-to-stop"])
def test_a_folder_that_the_demo_made_goes_when_it_ends(tmp_path: Path, words: list[str]) -> None:
    with subprocess.Popen(
        [*CONTACTPOINT, *words, "--port", "0", "--children", "60"],
        cwd=REPOSITORY,
        env=environment() | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        printed = ""
        while "curl -s" not in printed:
            line = process.stdout.readline()
            assert line, "the demo ended before it printed the curl"
            printed += line
        if "--once" not in words:
            assert list(tmp_path.iterdir())
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0

    assert f"Data      {tmp_path}/" in printed
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_named_stays(tmp_path: Path) -> None:
    run([*CONTACTPOINT, "demo", "--once", "--port", "0", "--children", "60", "--data", str(tmp_path / "kept")])

    assert (tmp_path / "kept" / "contactpoint.db").is_file()


@pytest.fixture(scope="module")
def staying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Yield what a demo that stays up printed, and its URL."""
    data = tmp_path_factory.mktemp("staying")
    with subprocess.Popen(
        [*CONTACTPOINT, "demo", "--port", "0", "--children", "60", "--data", str(data)],
        cwd=REPOSITORY,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            printed = ""
            while "curl" not in printed.rpartition("\n")[2] and "-d '" not in printed:
                line = process.stdout.readline()
                assert line, "the demo ended before it printed the curl"
                printed += line
            found = re.search(r"^Gateway +(http://\S+)/graphql$", printed, re.MULTILINE)
            assert found
            yield printed, found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def test_the_printed_curl_works_and_gets_its_token_by_command(staying: tuple[str, str]) -> None:
    printed, url = staying
    command = printed[printed.index("curl -s ") :].splitlines()[0]
    assert f"$(.venv/bin/contactpoint token --as social-worker --url {url})" in command
    assert "eyJ" not in printed

    # the documents are written for a clone; here the program may stand elsewhere
    here = command.replace(".venv/bin/contactpoint", shlex.join(CONTACTPOINT))
    ran = run(["sh", "-c", here])

    assert ran.returncode == 0, ran.stderr
    assert '"outcome":"DISCLOSED"' in ran.stdout
    assert "Sam Okoro" in ran.stdout


def test_the_demo_lists_its_children_for_scripts(staying: tuple[str, str]) -> None:
    _, url = staying

    listed = httpx.get(f"{url}/demo/children.json", trust_env=False).json()

    assert set(listed[0]) == {"nhsNumber", "dateOfBirth", "familyName", "story"}
    assert {"ordinary", "twins", "shielded", "agency-down", "turned-18", "deceased"} <= {c["story"] for c in listed}


@pytest.mark.parametrize("persona", ["social-worker", "health-visitor", "case-system"])
def test_a_lookup_from_the_terminal_is_answered(staying: tuple[str, str], persona: str) -> None:
    _, url = staying
    child = next(c for c in httpx.get(f"{url}/demo/children.json", trust_env=False).json() if c["story"] == "ordinary")
    words = ["lookup", child["nhsNumber"], "--born", child["dateOfBirth"], "--family", child["familyName"]]
    words += ["--purpose", "CP_S47", "--reason", "Strategy discussion", "--as", persona, "--url", url]

    ran = run([*CONTACTPOINT, *words])

    assert ran.returncode == 0, ran.stderr
    assert "Hana Lind" in ran.stdout
    assert ran.stderr == ""


def test_viewer_says_what_is_open_for_each_purpose_and_for_one(staying: tuple[str, str]) -> None:
    _, url = staying

    every = run([*CONTACTPOINT, "viewer", "--as", "school-lead", "--url", url])
    one = run([*CONTACTPOINT, "viewer", "--as", "school-lead", "--purpose", "SAFEGUARD_S16LA", "--url", url])

    assert (every.returncode, one.returncode) == (0, 0), every.stderr + one.stderr
    assert re.search(r"^SAFEGUARD_S16LA +open at ", every.stdout, re.MULTILINE)
    assert re.search(r"^UKVI_S55 +closed$", every.stdout, re.MULTILINE)
    assert re.search(r"^Northshire Constabulary +involvements +open ", one.stdout, re.MULTILINE)


def test_a_port_that_is_taken_is_one_line_and_exit_code_2(staying: tuple[str, str]) -> None:
    port = staying[1].rpartition(":")[2]

    ran = run([*CONTACTPOINT, "demo", "--once", "--port", port])

    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1


def test_whenever_it_is_told_to_stop_it_does() -> None:
    """Also in the moment in which it looks whether it was told: thousands of signals at moments of their own."""
    waiting = "from gateway.commands.demo import ToldToStop\n\nstop = ToldToStop()\nprint(flush=True)\nwhile True:\n"
    waiting += "    stop.within(0.0001)\n    print(end='.', flush=True)\n"
    with subprocess.Popen([sys.executable, "-c", waiting], cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        hangs = threading.Timer(60, process.kill)
        hangs.start()
        try:
            for _ in range(4_000):
                process.send_signal(signal.SIGINT)
                assert process.stdout.read1(), "it waits for itself"
        finally:
            hangs.cancel()
            process.kill()
