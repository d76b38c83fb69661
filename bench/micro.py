"""`make bench-micro`: what each part of a lookup costs, so that a regression has a name.

Microseconds of this process's CPU, all threads together, least of the rounds: a busy machine adds to a round and takes
nothing away. The parts are called as a real lookup called them: their arguments are taken from one. Beside them stands
the account of the whole (`bench/account.py`), whose parts sum to it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
import uvloop

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "benchmarks-micro.md"
sys.path.insert(0, str(ROOT))

from bench import driver  # noqa: E402 - after the path
from bench.account import Part, account, account_document, account_table  # noqa: E402
from bench.commands import command, factor, must_be_writable, times  # noqa: E402
from bench.in_process import BODY, gateway_in, request_of  # noqa: E402
from connectors.base import Ask, Deadline, FieldMask  # noqa: E402
from connectors.http import SourceClient  # noqa: E402
from connectors.settings import read  # noqa: E402
from gateway import app as wiring  # noqa: E402
from gateway.audit import log as audit_log  # noqa: E402
from gateway.collecting import spare_what_stays  # noqa: E402
from gateway.federation import gathering  # noqa: E402
from gateway.front import asgi  # noqa: E402
from gateway.graphql import execution  # noqa: E402
from gateway.lookup_record import LookupRecord  # noqa: E402
from schema.identifiers import NHSNumber  # noqa: E402
from schema.records import Answered, ChildRef  # noqa: E402
from schema.vocabulary import PurposeClass  # noqa: E402

GROUP = 32
Figures = dict[str, float]


def say(line: str) -> None:
    """Say how far the run is, beside where the gateway's own lines go."""
    print(line, file=sys.__stderr__, flush=True)


class _Taken:
    """The calls that one real lookup makes of a function: with what, so that they can be made again."""

    def __init__(self, owner: Any, name: str) -> None:
        self._owner, self._name = owner, name
        self._function: Callable[..., Any] = getattr(owner, name)
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        def note(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((args, kwargs))
            return self._function(*args, **kwargs)

        setattr(self._owner, self._name, note)
        try:
            yield
        finally:
            setattr(self._owner, self._name, self._function)

    def again(self) -> None:
        """Make all the calls once more."""
        for args, kwargs in self.calls:
            self._function(*args, **kwargs)


class Bench:
    """Least-of-rounds measurements, by name."""

    def __init__(self, rounds: int, scale: float) -> None:
        self._rounds, self._scale = rounds, scale
        self.figures: Figures = {}
        self.account: dict[str, Part] = {}

    def part(self, name: str, work: Callable[[], Any], count: int) -> None:
        """Measure a function."""
        count = max(1, int(count * self._scale))
        least = float("inf")
        for _ in range(self._rounds):
            started = time.process_time_ns()
            for _ in range(count):
                work()
            least = min(least, time.process_time_ns() - started)
        self._found(name, least / count / 1000)

    async def group(self, name: str, work: Callable[[], Awaitable[Any]], count: int, *, at_once: int = GROUP) -> None:
        """Measure a coroutine of which so many run at once."""
        groups = max(1, int(count * self._scale / at_once))
        least = float("inf")
        for _ in range(self._rounds):
            started = time.process_time_ns()
            for _ in range(groups):
                await asyncio.gather(*(work() for _ in range(at_once)))
            least = min(least, time.process_time_ns() - started)
        self._found(name, least / groups / at_once / 1000)

    def _found(self, name: str, microseconds: float) -> None:
        """Keep a figure, and say on standard error how far the run is."""
        self.figures[name] = microseconds
        say(f"{name}: {microseconds:.1f} microseconds")


async def measured(base: str, rounds: int, scale: float, only: str | None = None) -> Bench:
    """Return microseconds by the name of the part, in the order of a lookup, and the account of the whole."""
    bench = Bench(rounds, scale)
    with tempfile.TemporaryDirectory(prefix="contactpoint-micro-") as folder:
        gateway, token = gateway_in(Path(folder))
        app = asgi.application(gateway)
        async with app.router.lifespan_context(app):
            lookup = request_of(app, token)
            for _ in range(3):
                await lookup()
            spare_what_stays()  # as `contactpoint serve` does
            if only in (None, "parts"):
                await _parts(bench, gateway, token, lookup)
            if only in (None, "ask"):
                await _ask(bench, base)
            if only in (None, "lookup"):
                await bench.group("whole lookup, in process, 32 at once", lookup, 3200)
                await bench.group("whole lookup, in process, alone", lookup, 640, at_once=1)
            if only in (None, "account"):
                groups = max(1, int(50 * scale))
                say("the account of a whole lookup ...")
                bench.account = await account(lookup, at_once=GROUP, groups=groups, rounds=rounds)
    return bench


async def _parts(bench: Bench, gateway: wiring.Gateway, token: str, lookup: Callable[[], Awaitable[Any]]) -> None:
    places: list[tuple[str, Any, str]] = [
        ("plan", gateway.lookups.planner, "plan"),
        ("corroborate", gathering, "corroborated"),
        ("door", gathering, "disclose"),
        ("merge", gathering, "merge"),
        ("recorded fields", execution, "disclosed_fields"),
        ("serialise", execution, "_body"),
        ("record INTENT", LookupRecord, "intent"),
        ("record OUTCOME", LookupRecord, "outcome"),
        ("canonical, both", audit_log, "canonical"),
    ]
    # an object without a __dict__ entry of that name is watched through its class
    taken = {name: _Taken(type(owner) if name == "plan" else owner, method) for name, owner, method in places}
    appended = _Taken(type(gateway.log), "append")
    watching = [each.watching() for each in (*taken.values(), appended)]
    for each in watching:
        each.__enter__()
    try:
        await lookup()
    finally:
        for each in reversed(watching):
            each.__exit__(None, None, None)
    documents, requests = gateway.endpoint._documents, gateway.endpoint._requests

    def guard() -> None:
        request = requests.read(BODY)
        documents.check_source(request)
        documents.coerce(documents.prepare(request, may_introspect=False), request.variables)

    bench.part("guard", guard, 2000)
    header = [f"Bearer {token}"]

    async def known_token() -> None:
        await gateway.authenticate(header)

    await bench.group("token", known_token, 6400)
    for name, part in taken.items():
        bench.part(name, part.again, 1000)
    compiled, _, tree = taken["recorded fields"].calls[0][0]
    bench.part("shape", lambda: compiled.shape(tree), 1000)
    args, kwargs = appended.calls[0]
    await bench.group("audit append, 32 at once", lambda: gateway.log.append(*args[1:], **kwargs), 3200)


@contextmanager
def _agency() -> Iterator[str]:
    """Run the agency that answers; give its base URL."""
    command = [sys.executable, str(ROOT / "bench" / "agency.py")]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is not for it
    ) as agency:
        assert agency.stdout is not None
        yield f"http://127.0.0.1:{int(agency.stdout.readline())}"
        # its input ends here, and so does it


async def _ask(bench: Bench, base: str) -> None:
    entry = {
        "id": "police",
        "name": "police",
        "kind": "POLICE",
        "driver": "bench",
        "base_url": base,
        "agency": "police",
    }
    settings = read(driver.Settings, entry)
    client = SourceClient(base, allow_private=False, max_connections=128)
    connector = driver.BenchConnector(settings.manifest(holds=frozenset()), client, "police")
    child = ChildRef(NHSNumber("9990000018"))
    mask = FieldMask(frozenset({"involvements", "involvements.previous"}))

    async def ask() -> None:
        deadline = Deadline.after(5)
        wanted = Ask("6dbcb7ba-7a4e-4ee4-a2a9-d7a4a5a5b0b5", None, PurposeClass.SAFEGUARDING, deadline, None)
        answer = (await connector.involvements((child,), mask, wanted))[child]
        assert isinstance(answer, Answered), "the agency's answer was not understood"

    try:
        await ask()
        await bench.group("ask, 32 at once", ask, 6400)
        await bench.group("ask, alone", ask, 1280, at_once=1)
    finally:
        await client.aclose()


def table(figures: Figures) -> str:
    """Return the figures as an aligned table."""
    width = max(map(len, figures))
    return "\n".join(f"{name:<{width}}  {figure:>9.1f}" for name, figure in figures.items())


def _document(figures: Figures, parts: dict[str, Part]) -> str:
    rows = "\n".join(f"| {name} | {figure:.1f} |" for name, figure in figures.items())
    return (
        "# What the parts of a lookup cost\n\nWritten by `make bench-micro`; do not edit. Microseconds of CPU, all "
        "threads of the gateway together, least of the rounds. Compare figures of one machine only.\n\n"
        f"- when: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n"
        f"- machine: {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}\n"
        f"- processes that wanted a core meanwhile, this one among them: {os.getloadavg()[0]:.1f}\n\n"
        f"| part | microseconds |\n| --- | ---: |\n{rows}\n\n"
        "## The account of a whole lookup\n\nIn process, many at once. The parts sum to the whole; a row is the time "
        "of the functions of its modules without those they call, so that rows here and above of one name differ.\n\n"
        + account_document(parts)
    )


def main(arguments: list[str]) -> int:
    """Measure, print, and write docs/benchmarks-micro.md when everything was measured."""
    options = argparse.ArgumentParser(
        prog="make bench-micro",
        description=__doc__,
        epilog='examples: make bench-micro · make bench-micro ARGS="--only ask" · make bench-micro ARGS="--json"',
    )
    options.add_argument("--json", action="store_true", help="figures by name, for machines")
    options.add_argument("--rounds", type=times, default=7, metavar="N", help="least of so many (default 7)")
    options.add_argument("--scale", type=factor, default=1.0, metavar="X", help="multiplies every count")
    options.add_argument(
        "--only", choices=["parts", "ask", "lookup", "account"], help="measure these alone, write no document"
    )
    chosen = options.parse_args(arguments)
    if chosen.only is None:
        must_be_writable(DOCUMENT)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    # a line for each of hundreds of thousands of lookups is part of what one costs, and is nothing to read
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere), _agency() as base:
        bench = uvloop.run(measured(base, chosen.rounds, chosen.scale, chosen.only))
    figures = bench.figures
    if chosen.json:
        print(json.dumps({**figures, "account": {name: part.microseconds for name, part in bench.account.items()}}))
    else:
        tables = [table(figures)] if figures else []
        print("\n\n".join(tables + ([account_table(bench.account)] if bench.account else [])))
    if chosen.only is None:
        DOCUMENT.write_text(_document(figures, bench.account), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(command(main, sys.argv[1:]))
