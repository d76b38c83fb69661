"""Looks up for a long time in one process while sources do wrong; notes what is wrong, and what the process holds."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from connectors import wire
from gateway.allocating import free_into_one_place
from gateway.federation.breaker import BreakerRules
from tests.faults.matrix import DEEDS, WELL, Deed
from tests.faults.rig import SOURCES, Rig, running_rig
from tests.faults.standing import Standing, grown, kinds_of_objects, make_what_is_made_once

AT_ONCE = 8
ROUND = 64
TROUBLED = 0.1  # of a source's answers
WARM = 3  # rounds before the first look
LOOKS = 30
_LOOKS_AGAIN = 3
_ROUND_SECONDS = 120.0  # many times what a round may take
_AFTERWARDS_SECONDS = 60.0  # within which every source must be whole again
SAID_SECONDS = 60.0
_IDLE_SECONDS = 0.5  # in place of 15: after which the client of a source closes a connection that nobody uses
# it remembers every lookup of a month (docs/detection.md); a gateway of so many has it run by itself, by a timer
_WITHOUT_DETECTION = {"detection": {"every_seconds": 0}}
_NEVER_LOST = {"CIRCUIT_OPEN", "TIMEOUT", "OVERLOADED"}  # what a source in order may read while its circuit is open


def wrong(data: Mapping[str, Any], deeds: Mapping[str, Deed]) -> list[str]:
    """Return what is wrong with an answer whose sources did this, whatever their circuits were."""
    found = []
    answered = set()
    for line in data["sources"]:
        source, reason = line["agency"]["id"], line["reason"]
        deed = deeds.get(source, WELL)
        if line["status"] == "ANSWERED":
            answered.add(source)
            if deed.code is not None:
                found.append(f"{source} is ANSWERED after {deed.code}")
        elif reason != deed.reason and reason not in _NEVER_LOST:
            found.append(f"{source} is {reason}, not {deed.reason}")
    told = Counter((entry["agency"]["id"], entry["practitioner"]["name"]) for entry in data["involvements"])
    wanted = {(source, f"Worker {source} 0"): deeds.get(source, WELL).rows for source in answered}
    if told != wanted:
        found.append(f"practitioners are {dict(told)}, not {wanted}")
    complete = answered == set(SOURCES)
    if data["complete"] != complete:
        found.append(f"complete is {data['complete']} with {sorted(answered)} answered")
    if data["outcome"] != ("DISCLOSED" if complete else "INCOMPLETE"):
        found.append(f"outcome is {data['outcome']} with {sorted(answered)} answered")
    return found


@dataclass
class Soaked:
    """What came of it."""

    lookups: int = 0
    complete: int = 0
    injected: Counter[str] = field(default_factory=Counter)  # by the code that it must be given
    deeds: set[str] = field(default_factory=set)
    read: Counter[str] = field(default_factory=Counter)  # what sources in order read in place of ANSWERED
    wrong: Counter[str] = field(default_factory=Counter)
    standings: list[Standing] = field(default_factory=list)
    objects: Counter[str] = field(default_factory=Counter)  # more of each type at the end

    def __str__(self) -> str:
        worst = "".join(f"; {count} times: {each}" for each, count in self.wrong.most_common(3))
        return f"{self.lookups:,} lookups, {self.wrong.total()} wrong, {self.standings[-1]}{worst}"

    async def round(self, rig: Rig, chance: random.Random) -> None:
        """Look up many times, some at once. Raises TimeoutError if that does not end."""
        free = asyncio.Semaphore(AT_ONCE)

        async def one() -> None:
            names = {s: chance.choice(list(DEEDS)) for s in SOURCES if chance.random() < TROUBLED}
            async with free:
                self.note(await self.asked(rig, {s: DEEDS[name] for s, name in names.items()}), names)

        async with asyncio.timeout(_ROUND_SECONDS):
            await asyncio.gather(*(one() for _ in range(ROUND)))
        rig.forget()

    async def asked(self, rig: Rig, deeds: Mapping[str, Deed]) -> Mapping[str, Any] | None:
        """Return the data of one lookup, None if there was none; what is wrong is counted."""
        answer = await rig.answered(deeds)
        data: Mapping[str, Any] | None = (answer.body.get("data") or {}).get("child")
        found = [f"refused with {answer.status} {answer.code}"] if data is None else wrong(data, deeds)
        self.wrong.update(found)
        return data

    def note(self, data: Mapping[str, Any] | None, names: Mapping[str, str]) -> None:
        """Count one lookup whose sources did what has these names."""
        self.lookups += 1
        self.deeds.update(names.values())
        self.injected.update(str(DEEDS[name].code or "none: must be answered") for name in names.values())
        if data is not None:
            self.complete += data["complete"]
            lines = (line for line in data["sources"] if line["agency"]["id"] not in names and line["reason"])
            self.read.update(line["reason"] for line in lines)

    async def look_again(self) -> None:
        """Look at what has grown once more, in place of the last look: what was only under way ends, a leak stays."""
        for _ in range(_LOOKS_AGAIN):
            if not grown(self.standings, memory=False):
                return
            self.standings[-1] = await Standing.at_rest(self.lookups)

    async def afterwards(self, rig: Rig) -> None:
        """Look up without faults until as many answers as make a round are complete; say so if that does not come."""
        until, well = time.monotonic() + _AFTERWARDS_SECONDS, 0
        while well < ROUND and time.monotonic() < until:
            data = await self.asked(rig, {})
            well = well + 1 if data is not None and data["complete"] else 0
            rig.forget()
        if well < ROUND:
            self.wrong[f"only {well} answers in a row are complete {_AFTERWARDS_SECONDS:.0f} s after the faults"] += 1


def soaked(seconds: float, say: Callable[[str], None] = lambda _: None) -> Soaked:
    """Look up so long; return how often, what was wrong, and what was held each time all was at rest.

    Raises RuntimeError if what is printed stays in this process.
    """
    _require_output_to_leave()
    free_into_one_place()  # as `serve` does

    async def soak() -> Soaked:
        chance = random.Random(9990000018)
        all_of_it = Soaked()
        with patch.object(wire, "_IDLE_SECONDS", _IDLE_SECONDS):
            async with running_rig(rules=BreakerRules(), sections=_WITHOUT_DETECTION) as rig:
                for _ in range(WARM):
                    await all_of_it.round(rig, chance)
                await make_what_is_made_once(rig.world.gateway)
                started = time.monotonic()
                look = said = started
                objects = None
                while True:
                    now = time.monotonic()
                    ended = now - started >= seconds
                    if now >= look or ended:
                        look = now + seconds / LOOKS
                        all_of_it.standings.append(await Standing.at_rest(all_of_it.lookups))
                        if objects is None and now - started >= seconds / 5:
                            objects = kinds_of_objects()
                        if now >= said or ended:
                            said = now + SAID_SECONDS
                            say(f"{now - started:.0f} of {seconds:.0f} s: {all_of_it}")
                    if ended:
                        await all_of_it.look_again()
                        break
                    await all_of_it.round(rig, chance)
                all_of_it.objects = kinds_of_objects() - (objects or Counter())
                await all_of_it.afterwards(rig)
        return all_of_it

    return asyncio.run(soak())


def _require_output_to_leave() -> None:
    # the gateway writes a line for each lookup, and a test's buffer of them is as good as a leak
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.fileno()
        except OSError:
            raise RuntimeError("what is printed stays in this process: capture it by file descriptor") from None


def faults_of(soak: Soaked, *, memory: bool) -> list[str]:
    """Return what was wrong, the most frequent first, and what grew."""
    found = [f"{count} times: {each}" for each, count in soak.wrong.most_common(20)]
    more = grown(soak.standings, memory=memory)
    if any("memory" in each or "MiB" in each for each in more):
        more.append(f"more objects of {', '.join(f'{t} ({n})' for t, n in soak.objects.most_common(8))}")
    return found + more
