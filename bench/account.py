"""The whole of a lookup by name: parts that sum to it, so that what grows has a name even if nobody measured it apart.

A profile of the loop's thread by that thread's own CPU clock, each function's time without the functions it calls, put
together by the module it stands in. What the profiler takes for a call is taken off again, and the rest is scaled to
the same lookups without it: so the parts, the loop below them and the other threads add up to the whole.
"""

from __future__ import annotations

import asyncio
import cProfile
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOOP = "the event loop below them, tasks and wakings"
LIBRARIES = "libraries, and what is named nowhere above"
THREADS = "other threads (signing checkpoints)"
LOG = "the log's thread"

AREAS: Mapping[str, tuple[str, ...]] = {
    "front: request to operation": (
        "gateway/front/asgi",
        "gateway/graphql/endpoint",
        "gateway/graphql/body",
        "gateway/front/shed",
    ),
    "front: headers": ("gateway/graphql/negotiation", "gateway/graphql/preferences"),
    "guard, variables, input": ("gateway/graphql/", "gateway/asked", "schema/identifiers", "nhs_number", "<operation>"),
    "token and revocation": (
        *("auth/tokens", "auth/claims", "auth/keys"),
        *(
            "gateway/app",
            "gateway/front/authentication",
            "gateway/clock",
            "gateway/front/refused_tokens",
            "gateway/revocations",
        ),
    ),
    "plan and policy": (
        *("auth/", "gateway/plan", "gateway/floor", "gateway/legal_day", "gateway/agreements", "gateway/registers"),
    ),
    "budgets": ("gateway/budgets", "gateway/audit/charging"),
    "steps of a lookup": ("gateway/lookup", "gateway/graphql/execution"),
    "asking: tasks, bulkhead, breaker": (
        "gateway/federation/fanout",
        "gateway/federation/upstream",
        "gateway/federation/batching",
        "gateway/federation/breaker",
    ),
    "driver and wire": ("connectors/", "bench/driver"),
    "gathering": ("gateway/federation/gathering", "gateway/federation/corroboration", "gateway/federation/sources"),
    "shields": ("gateway/shields", "gateway/storage", "auth/shielding"),
    "door": ("auth/disclosure", "auth/entitlements", "auth/standing"),
    "merge": ("gateway/federation/merge",),
    "shape and recorded fields": ("gateway/graphql/compiled", "gateway/graphql/leaves", "gateway/disclosed_fields"),
    "INTENT and OUTCOME": ("gateway/lookup_record", "gateway/planned_words"),
    "canonical form": ("gateway/audit/canonical",),
    "log: queue and waking": ("gateway/audit/",),
    "opaque ids, random bytes": ("gateway/audit/keys", "gateway/randomness"),
    "memories": ("gateway/remembered",),
    "metrics and request lines": ("gateway/metrics", "gateway/tallies", "gateway/front/request_lines"),
    "records made": ("<string>", "schema/"),
    "what sends the lookups": ("bench/in_process",),
}
"""Area -> how the paths of its modules begin; where several fit, the longest."""

_PREFIXES = sorted(((p, area) for area, prefixes in AREAS.items() for p in prefixes), key=lambda e: -len(e[0]))


@dataclass(frozen=True)
class Part:
    """One row of the account: microseconds of CPU and calls of Python functions, for one lookup."""

    microseconds: float
    calls: float


def area_of(file: str) -> str:
    """Return the area of the functions of a file."""
    path = file.removeprefix(f"{ROOT}/")
    library = path.rpartition("site-packages/")[2]
    return next((area for prefix, area in _PREFIXES if library.startswith(prefix)), LIBRARIES)


async def account(lookup: Callable[[], Awaitable[Any]], *, at_once: int, groups: int, rounds: int) -> dict[str, Part]:
    """Return the parts of a lookup by area; they sum to its CPU, of all threads, in the least of the rounds."""

    async def lookups() -> None:
        for _ in range(groups):
            await asyncio.gather(*(lookup() for _ in range(at_once)))

    plain = min([await _cpu(lookups) for _ in range(rounds)], key=sum)
    profiles = []
    for _ in range(rounds):
        profile = cProfile.Profile(time.thread_time, builtins=False)
        with _running(profile):
            spent = await _cpu(lookups)
        profiles.append((spent[0], profile))
    profiled, profile = min(profiles, key=lambda each: each[0])
    return _put_together(profile, profiled, plain, groups * at_once)


@contextmanager
def _running(profile: cProfile.Profile) -> Iterator[None]:
    profile.enable()
    try:
        yield
    finally:
        profile.disable()


async def _cpu(work: Callable[[], Awaitable[None]]) -> tuple[float, float, float]:
    """Return the seconds of this thread, of the log's and of all others, while the work runs."""
    log = next(thread for thread in threading.enumerate() if thread.name == "audit-log")
    clock = time.pthread_getcpuclockid(log.ident or 0)
    began = time.thread_time(), time.clock_gettime(clock), time.process_time()
    await work()
    own, logs, whole = time.thread_time() - began[0], time.clock_gettime(clock) - began[1], time.process_time()
    return own, logs, max(0.0, whole - began[2] - own - logs)


def _of_a_call(calls: int = 20_000) -> float:
    """Return the seconds that the profiler takes for one call."""

    def nothing() -> None:
        return

    def many() -> float:
        began = time.thread_time()
        for _ in range(calls):
            nothing()
        return time.thread_time() - began

    bare = min(many() for _ in range(5))
    watched = []
    for _ in range(5):
        with _running(cProfile.Profile(time.thread_time, builtins=False)):
            watched.append(many())
    return (min(watched) - bare) / calls


def _put_together(
    profile: cProfile.Profile, profiled: float, plain: tuple[float, float, float], lookups: int
) -> dict[str, Part]:
    entries = profile.getstats()
    each = _of_a_call()
    seconds: defaultdict[str, float] = defaultdict(float)
    counted: defaultdict[str, int] = defaultdict(int)
    seconds[LOOP] = profiled
    for entry in entries:
        area = LIBRARIES if isinstance(entry.code, str) else area_of(entry.code.co_filename)
        below = sum(called.callcount for called in entry.calls or ())
        # a call is seen twice, as it begins and as it ends: half of what that takes falls to the caller
        seconds[area] += entry.inlinetime - each * (entry.callcount + below) / 2
        seconds[LOOP] -= entry.inlinetime + each * (entry.callcount - below) / 2
        counted[area] += entry.callcount
    # what the profiler takes besides, in caches above all, it takes of everything
    scale = plain[0] / sum(seconds.values()) / lookups * 1e6
    parts = {
        area: Part(seconds[area] * scale, counted[area] / lookups)
        for area in (*AREAS, LIBRARIES, LOOP)
        if area in seconds
    }
    for name, spent in ((LOG, plain[1]), (THREADS, plain[2])):
        parts[name] = Part(spent / lookups * 1e6, 0.0)
    return parts


def whole(parts: Mapping[str, Part]) -> float:
    """Return the microseconds of all parts together."""
    return sum(part.microseconds for part in parts.values())


def account_table(parts: Mapping[str, Part]) -> str:
    """Return the account as an aligned table, with its sum."""
    width = max(map(len, parts))
    lines = [f"{name:<{width}}  {part.microseconds:>9.1f}  {part.calls:>7.1f}" for name, part in parts.items()]
    total = f"{'the whole':<{width}}  {whole(parts):>9.1f}  {sum(part.calls for part in parts.values()):>7.1f}"
    return "\n".join([*lines, total])


def account_document(parts: Mapping[str, Part]) -> str:
    """Return the account as a table in Markdown, with its sum."""
    rows = [f"| {name} | {part.microseconds:.1f} | {part.calls:.1f} |" for name, part in parts.items()]
    rows.append(f"| **the whole** | {whole(parts):.1f} | {sum(part.calls for part in parts.values()):.1f} |")
    return "| area | microseconds | calls of Python functions |\n| --- | ---: | ---: |\n" + "\n".join(rows) + "\n"
