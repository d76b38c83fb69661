"""`make bench`: this project beside one peer in the rig; the run writes its table to docs/benchmarks.md.

The rig is a folder of its own (BENCH_RIG, by default `../shared/bench` beside the repository) with a `run` command.
Arguments go to it; without any: one peer, 0 ms, 1, 32 and 128 connections, a third of the requests.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "benchmarks.md"
DEFAULT = ["--only", "grafbase,python-floor", "--scenario", "0 ms", "--scale", "0.3"]


def main(arguments: list[str]) -> int:
    """Return 0 when every answer of the run was right."""
    rig = Path(os.environ.get("BENCH_RIG", ROOT.parent / "shared" / "bench"))
    if not (rig / "run").exists():
        print("bench: the rig is not there; set BENCH_RIG to its folder", file=sys.stderr)
        return 2
    options = arguments or DEFAULT
    command = [sys.executable, str(rig / "run"), *options, "--with", str(ROOT / "bench" / "system.toml")]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    print(done.stdout)
    if done.returncode:
        return done.returncode
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ).stdout.strip()
    DOCUMENT.write_text(
        "# Benchmarks\n\nWritten by `make bench`; do not edit. "
        "Ratios count; absolute figures move from machine to machine.\n\n"
        f"- when: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}\n"
        f"- machine: {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}\n"
        f"- options: `{' '.join(options)}`\n\n{done.stdout}",
        encoding="utf-8",
    )
    return 1 if "FAILED" in done.stdout else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
