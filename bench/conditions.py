"""Under what a figure was measured: when, on which machine, by which interpreter and libraries."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
_LIBRARIES = ("uvicorn", "uvloop", "httptools", "graphql-core", "strawberry-graphql", "msgspec", "sqlalchemy")


def conditions(arguments: Sequence[str]) -> str:
    """Return the lines that stand above the figures of a run with these arguments."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, stdout=subprocess.PIPE, text=True, cwd=HERE
    ).stdout.strip()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES)
    return (
        f"- when: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}\n"
        f"- machine: {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"served by {_interpreter()}\n- libraries: {versions}\n"
        f"- options: {'`' + shlex.join(arguments) + '`' if arguments else 'none, so everything'}\n"
    )


def _interpreter() -> str:
    """Return the version of the interpreter that serves, and whether it says that it was built optimised."""
    asked = (
        "import platform, sysconfig; "
        "built = ' '.join(str(sysconfig.get_config_var(name)) for name in ('CONFIG_ARGS', 'PY_CORE_CFLAGS')); "
        "print(platform.python_implementation(), platform.python_version(), "
        "', built with optimisation by profile' if 'enable-optimizations' in built or 'profile-use' in built else '')"
    )
    command = [str(HERE / "python"), "-c", asked]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    chosen = ", chosen by BENCH_PYTHON" if os.environ.get("BENCH_PYTHON") else ""
    return told.replace(" ,", ",") + chosen
