"""`make bench-strain`: ten times the connections of peak throughput, and one dead connector; a table of ratios.

These two scenarios the rig of `make bench` lacks; its agencies, data and tokens are used (BENCH_RIG, as there). The
gateway has a core of its own; load and agencies share another. BENCH_PYTHON names the interpreter that serves, as with
`make bench`. About five minutes; writes docs/benchmarks-strain.md. A figure that falls short of its aim is named on
standard error; where an answer was wrong nothing is written, and the exit code is 1.

examples:
  make bench-strain
  make bench-strain ARGS="--scale 0.2 --document /tmp/strain.md"
"""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.util
import json
import os
import random
import shutil
import statistics
import struct
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DOCUMENT = ROOT / "docs" / "benchmarks-strain.md"
sys.path.insert(0, str(ROOT))

from bench.commands import (  # noqa: E402 - after the path
    CannotRun,
    RunFailed,
    command,
    factor,
    must_be_free,
    must_be_writable,
    not_stopped,
    output_of,
    short_of_their_aims,
)
from bench.conditions import conditions  # noqa: E402

TRIED = (16, 32, 64, 128)
USUAL_CONNECTIONS = 32
TIMES = 10
ROUNDS = 9
_SEARCH_SECONDS, _PEAK_SECONDS, _STRAIN_SECONDS, _IMPATIENT_SECONDS, _DEAD_SECONDS = 5.0, 10.0, 60.0, 10.0, 6.0
_WARM_SECONDS = 5.0
_NEAR = 0.95  # of the best rate: a peak is flat, and the most connections on it are the hardest to multiply
_PORT = 18200
_DEAD = "health"
_WHOLE, _ANY = '"complete":true', '"outcome":"'  # what is in the answer: of every agency, or a lookup all the same

Figures = dict[str, float]
Row = tuple[str, str, str]


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
    """One gateway in the rig, and what is asked of it."""

    def __init__(self, rig: Any, port: int, scale: float, work: str, *, dead: str | None = None) -> None:
        spec = tomllib.loads((HERE / "system.toml").read_text(encoding="utf-8")) | {"here": str(HERE)}
        if dead is not None:
            spec["env"]["DEAD"] = dead
        self._name = "none dead" if dead is None else f"{dead} dead"
        self._mark = _WHOLE if dead is None else _ANY
        self._cpu, self._scale = rig.procs.cpu, scale
        with not_stopped():
            self._upstream = rig.Upstream(port, {1})
            self._system = rig.System(spec, port + 1, self._upstream.url)
        self._requests = Path(work, f"requests-{port}")
        keys = rig.data.nhs_numbers()
        random.Random(7).shuffle(keys)  # noqa: S311 - the same order each time
        try:
            self._upstream.latency(dict.fromkeys(rig.data.AGENCIES, 0))
            with not_stopped():
                self._system.start({0}, work)
            with self._requests.open("wb") as file:
                for number, nhs in enumerate(keys):
                    request = self._system.request(nhs, number)
                    file.write(struct.pack("<I", len(request)) + request)
            self.asked(8, _WARM_SECONDS)
        except BaseException:
            self.end()
            raise

    def asked(self, connections: int, seconds: float, *how: str) -> Figures:
        """Return what came of the lookups of so many connections in this time; see `closed_loop.py`."""
        seconds *= self._scale
        load = ["taskset", "-c", "1", sys.executable, str(HERE / "closed_loop.py")]
        asked = [str(self._system.port), str(connections), f"{seconds:.2f}", str(self._requests), self._mark, *how]
        spent, began = self._cpu(self._system.proc.pid), time.monotonic()
        code, told = output_of([*load, *asked])
        if code:
            raise RunFailed(f"{self._name}, {connections:,} connections: what asks ended with {code}")
        figures: Figures = json.loads(told)
        figures["cpu"] = (self._cpu(self._system.proc.pid) - spent) / max(1, figures["given in all"])
        figures["load share"] = figures["load cpu"] / (time.monotonic() - began)
        print(
            f"{self._name}, {connections:,} connections, {seconds:.1f} s{''.join(f', {each}' for each in how)}: "
            f"{figures['rate']:,.0f} a second, p99 {figures['p99']:.1f} ms; refused {figures['refused']:,.0f}, "
            f"p99 {figures['refused p99']:.1f} ms; load {figures['load share']:.0%} of its core, "
            f"late by {figures['late p99']:.1f} ms at most in 99 of 100",
            file=sys.stderr,
            flush=True,
        )
        return figures

    def end(self) -> None:
        """Stop the gateway and its agencies."""
        self._system.stop()
        self._upstream.proc.terminate()
        self._upstream.proc.wait()


@contextmanager
def _strain(*given: Any, dead: str | None = None) -> Iterator[Strain]:
    strain = Strain(*given, dead=dead)
    try:
        yield strain
    finally:
        strain.end()


def overloaded(strain: Strain, scale: float) -> list[Row]:
    """Return the rows of ten times the connections: what, how much, and the aim."""
    found = {count: strain.asked(count, _SEARCH_SECONDS) for count in TRIED}
    let_in = [count for count in TRIED if not found[count]["refused"]]
    if not let_in:
        raise RunFailed(f"already {TRIED[0]} connections are refused: there is no peak to compare with")
    best = max(found[count]["rate"] for count in let_in)
    most = max(count for count in let_in if found[count]["rate"] >= _NEAR * best)
    before = [strain.asked(most, _PEAK_SECONDS) for _ in range(2)]
    much = strain.asked(TIMES * most, _STRAIN_SECONDS)
    after = [strain.asked(most, _PEAK_SECONDS) for _ in range(2)]
    # a machine does not run alike all the time: the peak is what the time before and after it gave
    peak = {name: statistics.median(run[name] for run in (*before, *after)) for name in much}
    impatient = strain.asked(TIMES * most, _IMPATIENT_SECONDS, "impatient")
    unasked = sum(run["wrong"] + run["cut off"] for run in (*before, much, *after))
    return [
        ("connections at peak throughput, the most of " + ", ".join(map(str, TRIED)), f"{most}", ""),
        ("lookups a second there", f"{peak['rate']:,.0f}", ""),
        (
            f"goodput with {TIMES * most:,} connections for {_STRAIN_SECONDS * scale:.0f} s, part of peak",
            _ratio(much["rate"], peak["rate"]),
            "0.90 or more",
        ),
        ("CPU a lookup, refusals and all, part of that at peak", _ratio(much["cpu"], peak["cpu"]), ""),
        ("p99 of a lookup that was let in, part of that at peak", _ratio(much["p99"], peak["p99"]), "2.00 at most"),
        ("refused", f"{much['refused']:,.0f}", ""),
        ("p50 of a refusal, ms", f"{much['refused p50']:.1f}", "20.0 at most"),
        ("p99 of a refusal, ms", f"{much['refused p99']:.1f}", "20.0 at most"),
        (
            f"p99 of the first refusals, {much['first refused']:,.0f} of all that connect at the same moment, ms",
            f"{much['first refused p99']:.1f}",
            "",
        ),
        ("answers neither right nor refused, and requests cut off", f"{unasked:,.0f}", "0"),
        ("the load's CPU, part of its core", f"{much['load share']:.2f}", ""),
        ("p99 of how late the load itself was, which is in every latency above, ms", f"{much['late p99']:.1f}", ""),
        (
            "goodput when the refused ask again at once, against what they are told, part of peak",
            _ratio(impatient["rate"], peak["rate"]),
            "",
        ),
        ("p99 of a refusal then, ms", f"{impatient['refused p99']:.1f}", ""),
    ]


def one_dead(whole: Strain, dead: Strain) -> list[Row]:
    """Return the rows of one dead connector."""
    pairs = []
    for number in range(ROUNDS):
        order = (whole, dead) if number % 2 else (dead, whole)
        runs = {each: each.asked(USUAL_CONNECTIONS, _DEAD_SECONDS) for each in order}
        pairs.append((runs[dead], runs[whole]))
    among = f"{USUAL_CONNECTIONS} connections, median of {ROUNDS} rounds by turns"
    ratios = {
        name: f"{statistics.median(each):.2f}" if (each := [d[name] / w[name] for d, w in pairs if w[name]]) else "-"
        for name in ("p50", "p99")
    }
    return [
        (f"p99 with one dead connector, part of p99 with none, {among}", ratios["p99"], "1.10 at most"),
        ("p50, the same way", ratios["p50"], ""),
        (
            "answers that tell nobody, which leave at the next quarter second and are in neither, with and without",
            " / ".join(f"{statistics.median(run['nobody'] for run in runs):.1%}" for runs in zip(*pairs, strict=True)),
            "",
        ),
        (
            "answers neither right nor refused, and requests cut off, then",
            f"{sum(run['wrong'] + run['cut off'] for pair in pairs for run in pair):,.0f}",
            "0",
        ),
    ]


def _ratio(some: float, whole: float) -> str:
    return f"{some / whole:.2f}" if whole else "-"


def _document(arguments: list[str], busy: float, table: str) -> str:
    return (
        "# Under strain\n\nWritten by `make bench-strain`; do not edit. A closed loop: each connection asks again as "
        "soon as it is answered, and who is refused waits as it is told (`Retry-After`), as clients do, unless the row "
        "says otherwise. Goodput is the right answers to lookups in a second. Latencies are the client's, from when a "
        "request was due. Ratios count; absolute figures move from machine to machine.\n\n"
        f"{conditions(arguments)}- load average of the minute before: {busy:.1f}; of a "
        f"machine that does nothing else it is near 0, and on a busy one a refusal waits for the others' turns, too\n"
        f"\n{table}\n"
    )


def main(arguments: list[str]) -> int:
    """Print the table and write the document. Raises CannotRun, RunFailed."""
    options = argparse.ArgumentParser(
        prog="make bench-strain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--scale", type=factor, default=1.0, metavar="X", help="multiplies every time (default 1)")
    options.add_argument("--document", type=Path, default=DOCUMENT, metavar="FILE", help="what is written")
    options.add_argument("--json", action="store_true", help="the rows on standard output as JSON, for machines")
    options.add_argument("--port", type=int, default=_PORT, metavar="N", help=f"the first of four (default {_PORT})")
    chosen = options.parse_args(arguments)
    folder = Path(os.environ.get("BENCH_RIG", ROOT.parent / "shared" / "bench"))
    if not (folder / "run").exists():
        raise CannotRun("the rig is not there; set BENCH_RIG to its folder")
    must_be_writable(chosen.document)
    must_be_free(range(chosen.port, chosen.port + 4))
    busy = os.getloadavg()[0]
    rig = _rig(folder)
    if Path(rig.CACHE, "upstream").exists():
        rig.fresh_tokens()
    else:
        rig.setup([], chosen.port)
    rows = measured(rig, chosen.port, chosen.scale)
    lines = [f"| {' | '.join(row)} |" for row in rows]
    table = "\n".join(["| figure | measured | aim |", "| --- | ---: | ---: |", *lines])
    print(
        json.dumps([dict(zip(("figure", "measured", "aim"), row, strict=True)) for row in rows])
        if chosen.json
        else table
    )
    for line in short_of_their_aims(rows):
        print(f"bench: short of its aim: {line}", file=sys.stderr)
    if any(aim == "0" and told != "0" for _, told, aim in rows):
        raise RunFailed("answers were wrong, or requests were cut off; no document was written")
    chosen.document.write_text(
        _document([] if chosen.scale == 1 else ["--scale", f"{chosen.scale:g}"], busy, table), encoding="utf-8"
    )
    return 0


def measured(rig: Any, port: int, scale: float) -> list[Row]:
    """Return every row. Where something fails, the folder with the gateways' logs stays, and is named."""
    work = tempfile.mkdtemp(prefix="bench-strain-")
    try:
        with _strain(rig, port, scale, work) as whole:
            rows = overloaded(whole, scale)
        with _strain(rig, port, scale, work) as whole, _strain(rig, port + 2, scale, work, dead=_DEAD) as dead:
            rows += one_dead(whole, dead)
    except (Exception, SystemExit):  # SystemExit is the rig's: a gateway did not start
        print(f"bench: the gateways' logs are in {work}", file=sys.stderr)
        raise
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)
    return rows


if __name__ == "__main__":
    raise SystemExit(command(main, sys.argv[1:]))
