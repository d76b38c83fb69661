"""`make test`: every test in two processes, first the proofs, then the parts with branch coverage and its floor.

The proofs attack, kill and load a whole gateway, or try what one part gives with hundreds of operations. They are not
what shows that a line is tested, and tracing every line doubles what they cost, so the floor is held by the tests of
the parts alone; those of the connectors, for which there is no floor, are not traced either. With arguments: those, as
pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fixtures.memory import roomy_memory

FLOOR = 90
MEASURED = ("auth", "schema", "gateway")
PROOFS = (
    "end_to_end",
    "attacks",
    "graphql/test_compiled.py",
    "faults",
    "noninterference",
    "crash",
    "tampering",
    "canaries",
    "conformance",
    "monotonicity",
    "scenarios",
    "timing",
)
NOT_MEASURED = ("connectors", "connectors_http")
"""Many small files: after the proofs, so that both processes end together."""
_TESTS = Path(__file__).parent
_IN_TWO = ["-q", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]


def main(arguments: list[str]) -> int:
    """Return pytest's exit code, of two runs that of the first that failed."""
    if arguments:
        return _pytest(arguments, dict(os.environ))
    with tempfile.TemporaryDirectory(prefix="contactpoint-tests-", dir=roomy_memory()) as folder:
        environment = {**os.environ, "TMPDIR": folder}
        # the gateways that tests start need not compile every module again
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        untraced = [str(_TESTS / name) for name in (*PROOFS, *NOT_MEASURED)]
        parts = [f"--ignore={each}" for each in untraced]
        coverage = ["--cov-branch", f"--cov-fail-under={FLOOR}", "--cov-report=term:skip-covered"]
        codes = [
            _pytest([*_IN_TWO, *untraced], environment),
            _pytest([*_IN_TWO, *parts, *coverage, *(f"--cov={package}" for package in MEASURED)], environment),
        ]
    return next((code for code in codes if code), 0)


def _pytest(arguments: list[str], environment: dict[str, str]) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, check=False, env={**environment, "PYTHONHASHSEED": "0"}).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
