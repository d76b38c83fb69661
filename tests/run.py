"""`make test`: every test in two processes, with branch coverage and its floor. With arguments: those, as pytest."""

from __future__ import annotations

import os
import subprocess
import sys

FLOOR = 90
MEASURED = ("auth", "schema", "gateway")


def main(arguments: list[str]) -> int:
    """Return pytest's exit code."""
    command = [sys.executable, "-m", "pytest"]
    if arguments:
        command += arguments
    else:
        command += ["-q", "-n", "2", "--dist", "loadfile", "--cov-branch", f"--cov-fail-under={FLOOR}"]
        command += ["--cov-report=term:skip-covered", *(f"--cov={package}" for package in MEASURED)]
    return subprocess.run(command, check=False, env={**os.environ, "PYTHONHASHSEED": "0"}).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
