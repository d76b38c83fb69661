"""The GraphQL over HTTP server audits, written and kept by others, against a real server."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

pytestmark = [pytest.mark.node, pytest.mark.network]

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", ".npmrc", "audit.mjs")
AUDITS = 61


def cannot_run(reason: str) -> NoReturn:
    """Skip, or fail where a missing tool would hide a missing proof."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def installed(pytestconfig: pytest.Config) -> Path:
    """Return a directory in which the audits are installed exactly as locked; made once for each state of the files."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        cannot_run("the graphql-http audits need Node.js and npm")
    digest = hashlib.sha256(b"\0".join((HERE / name).read_bytes() for name in FILES)).hexdigest()[:16]
    cache: Path = pytestconfig.cache.mkdir("conformance")  # type: ignore[union-attr]
    ready = cache / digest
    if not ready.exists():
        making = cache / f"{digest}.{os.getpid()}"
        making.mkdir()
        for name in FILES:
            shutil.copy(HERE / name, making / name)
        install = ["npm", "ci", "--ignore-scripts"]
        made = subprocess.run(install, cwd=making, capture_output=True, text=True, timeout=300, check=False)
        if made.returncode != 0:
            shutil.rmtree(making)
            cannot_run(f"npm ci did not succeed: {made.stderr[-500:]}")
        making.rename(ready)
    return ready


def audit(installed: Path, url: str, headers: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return name and status of each audit by its id; `ok`, `notice` (MAY), `warn` (SHOULD) or `error` (MUST)."""
    run = subprocess.run(
        ["node", "audit.mjs", url],
        cwd=installed,
        input=json.dumps(dict(headers)),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    results = [json.loads(line) for line in run.stdout.splitlines()]
    return {result["id"]: (result["status"], result["name"]) for result in results}


def test_every_audit_passes_for_a_client_with_a_token_and_the_preflight_header(
    installed: Path, served: tuple[str, Mapping[str, str]]
) -> None:
    url, headers = served

    results = audit(installed, url, {**headers, "graphql-require-preflight": "1"})

    assert {key: result for key, result in results.items() if result[0] != "ok"} == {}
    assert len(results) == AUDITS


def test_without_the_preflight_header_only_the_optional_gets_are_missing(
    installed: Path, served: tuple[str, Mapping[str, str]]
) -> None:
    # negative control too: an audit that cannot fail would prove nothing
    url, headers = served

    results = audit(installed, url, headers)

    assert {key: result[0] for key, result in results.items() if result[0] != "ok"} == {
        "5A70": "notice",
        "D6D5": "notice",
        "6A70": "notice",
    }
