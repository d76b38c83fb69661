"""Two public tools against the real server on a port: one makes operations from the schema, one recovers a schema.

CONTACTPOINT_TEST_TOOLS sets how many cases the first makes for each operation. From 50 on the second runs too: its
dependencies do not go with ours, so it gets an environment of its own, from the registry of Python packages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from gateway.graphql.query import GRAPHQL_SCHEMA
from tests.attacks.open_door import open_door
from tests.attacks.recovering import NOISE, names_of
from tests.end_to_end.world import DemoWorld, demo_world

pytestmark = pytest.mark.network

CASES = int(os.environ.get("CONTACTPOINT_TEST_TOOLS", "4"))
SEED = os.environ.get("CONTACTPOINT_TEST_SEED", "3")
ROOT = Path(__file__).resolve().parents[2]
RECOVERY = "clairvoyance==2.5.5"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoWorld]:
    with demo_world(tmp_path_factory.mktemp("tools")) as running:
        yield running


@pytest.fixture(scope="module")
def open_url() -> Iterator[str]:
    """Yield the URL of the open door on a port."""
    server = uvicorn.Server(
        uvicorn.Config(open_door, host="127.0.0.1", port=0, log_config=None, access_log=False, ws="none")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/graphql"
    server.should_exit = True
    thread.join(10)


def schemathesis(location: str, url: str, folder: Path, token: str | None, planted: str = "") -> dict[str, Any]:
    """Run the tool; return its report."""
    report = folder / "report.json"
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--no-color", "run", location, "--url", url),
        *("-n", str(CASES), "--seed", SEED, "--phases", "fuzzing", "--checks", CHECKS, "--continue-on-failure"),
        *("--warnings", "off", "--report", "json", "--report-json-path", str(report)),
        *(("-H", f"Authorization: Bearer {token}") if token else ()),
    ]
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.attacks.schemathesis_hooks",
        "PYTHONPATH": str(ROOT),
        "CONTACTPOINT_TEST_PLANTED": planted,
    }
    ran = subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True)
    assert report.exists(), ran.stdout + ran.stderr
    read: dict[str, Any] = json.loads(report.read_text())
    return {**read, "printed": ran.stdout, "code": ran.returncode}


@pytest.mark.parametrize("persona", ["integrator", "social-worker", "cafcass-guardian"])
def test_operations_made_from_the_schema_never_fail(
    world: DemoWorld, persona: str, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    url = f"{world.url}/graphql"
    planted = ",".join(f"{number}/{born.isoformat()}" for _, number, born, _ in world.families.stories())
    # who may read the schema gives it to the tool by introspection; the others are attacked with the published file
    location = url if persona == "integrator" else str(ROOT / "schema" / "directory.graphql")

    report = schemathesis(location, url, tmp_path, world.token(persona), planted)

    cases = report["test_cases"]
    told = f"{cases['generated']}, {cases['with_failures']}"
    record_testsuite_property(f"schemathesis cases as {persona}, and failures", told)
    assert report["failures"] == [], report["printed"][-3000:]
    assert report["errors"] == [], report["printed"][-3000:]
    assert report["code"] == 0
    assert cases["generated"] >= CASES


def test_the_tool_notices_a_server_that_fails(
    open_url: str, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """The control: the open door has no data behind its schema, so most operations fail."""
    report = schemathesis(str(ROOT / "schema" / "directory.graphql"), open_url, tmp_path, None)

    record_testsuite_property("control: schemathesis failures at an open door", report["test_cases"]["with_failures"])
    assert report["failures"]


def _recovers_no_name(
    world: DemoWorld, open_url: str, record_testsuite_property: Callable[[str, object], None]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        venv.create(place / "env", with_pip=True)
        install = [place / "env/bin/python", "-m", "pip", "install", "--quiet", RECOVERY]
        subprocess.run(install, check=True, capture_output=True)
        words = place / "words.txt"
        words.write_text("\n".join(sorted(names_of(GRAPHQL_SCHEMA) | set(NOISE))))
        told = _recovered(place, words, f"{world.url}/graphql", world.token("social-worker"))
        control = _recovered(place, words, open_url, None)

    record_testsuite_property(f"names recovered by {RECOVERY}", len(told))
    record_testsuite_property(f"control: names recovered by {RECOVERY} at an open door", len(control))
    assert told == set()
    assert len(control) > 50


if CASES >= 50:
    # an ordinary run downloads nothing; `test_scanners` makes the same attempt by itself
    test_the_tool_recovers_no_name = _recovers_no_name


def _recovered(place: Path, words: Path, url: str, token: str | None) -> set[str]:
    """Return the names of the schema in what the tool writes down."""
    written = place / "schema.json"
    written.unlink(missing_ok=True)
    command = [place / "env/bin/clairvoyance", url, "-w", words, "-o", written, "-m", "2", "-c", "4"]
    command += ["-H", f"Authorization: Bearer {token}"] if token else []
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=400)
    text = written.read_text() if written.exists() else ""
    # it asked, and either went through to the end or gave up for want of suggestions
    assert ran.returncode == 0 or "Field Suggestion is not fully enabled" in ran.stderr, ran.stderr[-2000:]
    found = {word for word in names_of(GRAPHQL_SCHEMA) if f'"{word}"' in text}
    # what the tool calls its own roots when it knows none
    return found - {"Query", "Mutation"}
