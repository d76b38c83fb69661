"""`make bench-strain`: ten times the connections of peak throughput, and one dead connector; writes its own document.

These two scenarios the rig lacks; its agencies, data and tokens are used (BENCH_RIG, as with `make bench`). Gateway and
load have a core each. ARGS=N makes ten times the connections last for N seconds, not 60, and writes nothing.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import platform
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parent / "docs" / "benchmarks-strain.md"
PEAK_CONNECTIONS = 128
USUAL_CONNECTIONS = 32
OVERLOAD_SECONDS = 60.0
PEAK_SECONDS = 10.0
ROUNDS = 3
_PORT = 18200
_DEAD = "health"
_GIVEN = '"outcome":"'  # a lookup, whatever its outcome


def _rig(folder: Path) -> Any:
    """Return the rig's command as a module."""
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader("rig_run", str(folder / "run"))
    spec = importlib.util.spec_from_loader("rig_run", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


class Strain:
    """One gateway in the rig, asked beyond what it can do."""

    def __init__(self, rig: Any, descriptor: Path, port: int, dead: str | None = None) -> None:
        spec = tomllib.loads(descriptor.read_text(encoding="utf-8")) | {"here": str(HERE)}
        if dead is not None:
            spec["env"]["DEAD"] = dead
        self._work = tempfile.mkdtemp(prefix="bench-strain-")
        self._upstream = rig.Upstream(port, {1})
        self._upstream.latency(dict.fromkeys(rig.data.AGENCIES, 0))
        self._system = rig.System(spec, port + 1, self._upstream.url)
        self._keys = rig.data.nhs_numbers()
        random.Random(7).shuffle(self._keys)  # noqa: S311 - the same order each time
        try:
            self._system.start({0}, self._work)
            self.asked(8, 5.0)
        except BaseException:
            self.end()
            raise

    def asked(self, connections: int, seconds: float) -> dict[str, float]:
        """Return what happened to the lookups of so many connections in this time; see `closed_loop.py`."""
        requests = Path(self._work, "requests")
        with requests.open("wb") as file:
            for number, nhs in enumerate(self._keys):
                request = self._system.request(nhs, number)
                file.write(struct.pack("<I", len(request)) + request)
        command = [sys.executable, str(HERE / "closed_loop.py"), str(self._system.port), str(connections), str(seconds)]
        done = subprocess.run(
            ["taskset", "-c", "1", *command, str(requests), _GIVEN], check=True, capture_output=True, text=True
        )
        figures: dict[str, float] = json.loads(done.stdout)
        print(connections, "connections:", figures, file=sys.stderr, flush=True)
        return figures

    def end(self) -> None:
        """Stop the gateway and its agencies."""
        self._system.stop()
        self._upstream.proc.terminate()
        self._upstream.proc.wait()


def overloaded(rig: Any, seconds: float) -> list[tuple[str, str, str]]:
    """Return the figures of ten times the connections: what, how much, and the aim."""
    strain = Strain(rig, HERE / "system.toml", _PORT)
    try:
        before = [strain.asked(PEAK_CONNECTIONS, PEAK_SECONDS) for _ in range(ROUNDS)]
        much = strain.asked(10 * PEAK_CONNECTIONS, seconds)
        after = [strain.asked(PEAK_CONNECTIONS, PEAK_SECONDS) for _ in range(ROUNDS)]
    finally:
        strain.end()
    # a machine does not run alike all the time: the peak is what the time before and after it gave
    peak = statistics.median(run["rate"] for run in (*before, *after))
    return [
        (f"lookups a second at peak, {PEAK_CONNECTIONS} connections", f"{peak:,.0f}", ""),
        (
            f"goodput with {10 * PEAK_CONNECTIONS:,} connections for {seconds:.0f} s, part of peak",
            f"{much['rate'] / peak:.2f}",
            "0.90 or more",
        ),
        ("p99 of a lookup that was let in, ms", f"{much['p99']:,.0f}", ""),
        ("refused", f"{much['refused']:,.0f}", ""),
        ("p50 and p99 of a refusal, ms", f"{much['refused p50']:.1f}, {much['refused p99']:.1f}", "20 at most"),
        ("answers neither given nor refused, and connections cut off", f"{much['wrong'] + much['cut off']:,.0f}", "0"),
    ]


def one_dead(rig: Any) -> list[tuple[str, str, str]]:
    """Return the figures of one dead connector."""
    whole, dead = Strain(rig, HERE / "system.toml", _PORT), None
    try:
        dead = Strain(rig, HERE / "system.toml", _PORT + 10, _DEAD)
        pairs = [[each.asked(USUAL_CONNECTIONS, PEAK_SECONDS)["p99"] for each in (whole, dead)] for _ in range(ROUNDS)]
    finally:
        whole.end()
        if dead is not None:
            dead.end()
    ratio = statistics.median(without / usual for usual, without in pairs)
    what = f"p99 with one dead connector, part of p99 with none, {USUAL_CONNECTIONS} connections, median of {ROUNDS}"
    return [(what, f"{ratio:.2f}", "1.10 at most")]


def _document(table: str) -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, stdout=subprocess.PIPE, text=True, cwd=HERE
    ).stdout.strip()
    return (
        "# Under strain\n\nWritten by `make bench-strain`; do not edit. A closed loop on a core of its own; who is "
        "refused waits as it is told (`Retry-After`), as clients do.\n\n"
        f"- when: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}\n"
        f"- machine: {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}\n\n{table}\n"
    )


def main(arguments: list[str]) -> int:
    """Print the table, and write it when nothing was shortened; 2 when there is no rig."""
    folder = Path(os.environ.get("BENCH_RIG", HERE.parent.parent / "shared" / "bench"))
    if not (folder / "run").exists():
        print("bench: the rig is not there; set BENCH_RIG to its folder", file=sys.stderr)
        return 2
    rig = _rig(folder)
    if Path(rig.CACHE, "upstream").exists():
        rig.fresh_tokens()
    else:
        rig.setup([], _PORT)
    rows = overloaded(rig, float(arguments[0]) if arguments else OVERLOAD_SECONDS) + one_dead(rig)
    lines = ["| figure | measured | aim |", "| --- | ---: | ---: |", *(f"| {' | '.join(row)} |" for row in rows)]
    print("\n".join(lines))
    if not arguments:
        DOCUMENT.write_text(_document("\n".join(lines)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
