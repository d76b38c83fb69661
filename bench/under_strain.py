"""The two scenarios that the rig lacks: ten times the connections of peak throughput, and one dead connector.

usage: under_strain.py RIG   (after the rig has been set up; prints a table in markdown)
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PEAK_CONNECTIONS = 128
OVERLOAD_SECONDS = 60
_PORT = 18200
_DEAD = "health"


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

    def __init__(self, rig: Any, descriptor: Path, dead: str | None) -> None:
        spec = tomllib.loads(descriptor.read_text(encoding="utf-8")) | {"here": str(HERE)}
        if dead is not None:
            spec["env"]["DEAD"] = dead
        rig.fresh_tokens()
        self._rig = rig
        self._work = tempfile.mkdtemp(prefix="bench-strain-")
        self._upstream = rig.Upstream(_PORT, {1})
        self._upstream.latency(dict.fromkeys(rig.data.AGENCIES, 0))
        self._system = rig.System(spec, _PORT + 1, self._upstream.url)
        self._keys = rig.data.nhs_numbers()
        random.Random(7).shuffle(self._keys)  # noqa: S311 - the same order each time
        self._system.start({0}, self._work)
        self.asked(8, 2000)

    def asked(self, conns: int, count: int) -> dict[str, float]:
        """Return what happened to `count` lookups over so many connections, the answers by status."""
        used = [self._keys[i % len(self._keys)] for i in range(count)]
        requests, answers = Path(self._work, "requests"), Path(self._work, "answers")
        with requests.open("wb") as file:
            for i, nhs in enumerate(used):
                request = self._system.request(nhs, i)
                file.write(struct.pack("<I", len(request)) + request)
        load = [f"{self._rig.CACHE}/load", str(self._system.port), str(conns), str(requests), str(answers), "300"]
        done = subprocess.run(["taskset", "-c", "1", *load], check=True, capture_output=True, text=True)
        wall = json.loads(done.stdout)["wall"]
        good, shed, other, at, blob = [], [], 0, 0, answers.read_bytes()
        for _ in used:
            nanoseconds, status, size = struct.unpack_from("<QII", blob, at)
            at += 16 + size
            if status == 200:
                good.append(nanoseconds / 1e6)
            elif status in {429, 503}:
                shed.append(nanoseconds / 1e6)
            else:
                other += 1
        return {
            "rate": len(good) / wall,
            "p99": _p99(good),
            "shed": len(shed),
            "shed p99": _p99(shed),
            "other": other,
        }

    def end(self) -> None:
        """Stop the gateway and its agencies."""
        self._system.stop()
        self._upstream.proc.terminate()
        self._upstream.proc.wait()


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98] if len(values) > 1 else sum(values)


def main(arguments: list[str]) -> int:
    """Print the table."""
    rig = _rig(Path(arguments[0]))
    rows = []
    whole = Strain(rig, HERE / "system.toml", None)
    try:
        peak = max((whole.asked(PEAK_CONNECTIONS, 4000) for _ in range(3)), key=lambda run: run["rate"])
        much = whole.asked(10 * PEAK_CONNECTIONS, int(peak["rate"] * OVERLOAD_SECONDS))
        usual = whole.asked(32, 4000)
    finally:
        whole.end()
    rows.append(("lookups a second at peak, 128 connections", f"{peak['rate']:,.0f}"))
    rows.append(("goodput with 1,280 connections, part of peak", f"{much['rate'] / peak['rate']:.2f}"))
    rows.append(("shed, and p99 of a shed answer in ms", f"{much['shed']:,.0f}, {much['shed p99']:.1f}"))
    rows.append(("answers that were neither given nor shed", f"{much['other']:,.0f}"))
    dead = Strain(rig, HERE / "system.toml", _DEAD)
    try:
        without = dead.asked(32, 4000)
    finally:
        dead.end()
    rows.append(("p99 with one dead connector, part of p99 with none, 32 connections", _part(without, usual)))
    print("### Under strain\n\n| figure | measured |\n| --- | ---: |")
    print("\n".join(f"| {name} | {figure} |" for name, figure in rows))
    return 0


def _part(some: dict[str, float], whole: dict[str, float]) -> str:
    return f"{some['p99'] / whole['p99']:.2f}" if whole["p99"] else "-"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
