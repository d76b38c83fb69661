"""Two small worlds side by side for the leaks that one response does not show, and what their callers could observe.

    async with two_worlds(folder, SHIELDED, UNKNOWN) as worlds:
        differences = await compared(worlds, ask_it_twice)

The shielding, refusing and sensitive sources hold canaries: texts that nothing outside the log may ever hold.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from connectors.base import Connector
from gateway.audit.keys import AuditKeys
from schema.records import Answered, Team
from schema.vocabulary import AgencyKind, RefusalReason
from tests.fixtures.sources import CHILD, OTHER_CHILD, known, row, sensitive, source
from tests.fixtures.world import EVERY_PATH, WHO, Opening, Terms, Told, World, running_world

CANARY: Final = "Zzyzx"
RECEIPT: Final = re.compile(r'"receipt":"[A-Za-z0-9_-]{22}"')
NARROW: Final = {"scope": "involvement:read", "sub": "second-person"}
ORDINARY: Final = [path for path in EVERY_PATH if path != "involvements.sensitive"]

_GRANTS = (
    Opening(opens=["involvements", "involvements.previous"]),
    Opening(opens=ORDINARY, assurance="STRONG"),
    Opening(opens=["involvements"], to=("HEALTH",), roles=("health_visitor",)),
)
AGREEMENTS: Final = tuple(Terms(f"kind:{kind}", _GRANTS) for kind in AgencyKind)


@dataclass(frozen=True)
class Staging:
    """What the council, the police and the health service hold about the child in one world."""

    council: tuple[Answered, ...]
    police: tuple[Answered, ...] = ()
    health: tuple[Answered, ...] = ()


_TELLABLE = row("open", name="Open Worker", number="SW1")
_OTHER = known(OTHER_CHILD, row("other", name="Other Worker", number="SW2"))
_REFUSED = row(
    f"refused-{CANARY}",
    name=f"Refused {CANARY}",
    team=Team(f"Team {CANARY}", "01632 960777", None, None),
    refusal=RefusalReason.RESTRICTED,
)
_SENSITIVE = sensitive(f"sensitive-{CANARY}", name=f"Clinician {CANARY}")

PLAIN: Final = Staging((known(CHILD, _TELLABLE), _OTHER), (_OTHER,), (_OTHER,))
"""One entry may be told, and there is nothing else."""
RICH: Final = Staging(
    (known(CHILD, _TELLABLE), _OTHER), (known(CHILD, _REFUSED), _OTHER), (known(CHILD, _SENSITIVE), _OTHER)
)
"""The same entry may be told; others are held back."""
SHIELDED: Final = Staging((known(CHILD, _TELLABLE), _OTHER), (known(CHILD, row("p"), shielded=True), _OTHER), (_OTHER,))
"""The child is shielded by a police force."""
UNKNOWN: Final = Staging((_OTHER,), (_OTHER,), (_OTHER,))
"""Nobody knows the child."""


def sources(staging: Staging) -> list[Connector]:
    """Return the three sources of a staging."""
    return [
        source("cs-staged", *staging.council),
        source("police-staged", *staging.police, kind=AgencyKind.POLICE),
        source("health-staged", *staging.health, kind=AgencyKind.HEALTH),
    ]


@cache
def _audit_key() -> bytes:
    with TemporaryDirectory() as folder:
        AuditKeys.load_or_create(file := Path(folder) / "key")
        return file.read_bytes()


@asynccontextmanager
async def world_of(connectors: Sequence[Connector], **differs: Any) -> AsyncIterator[World]:
    """Start a gateway over these sources in a folder of its own; all have one audit key, and so the same opaque ids."""
    with TemporaryDirectory() as folder:
        key = Path(folder) / "gateway.audit-key.json"
        key.write_bytes(_audit_key())
        key.chmod(0o600)
        async with running_world(Path(folder), *connectors, agreements=AGREEMENTS, **differs) as world:
            yield world


Story = Callable[[World], Awaitable[Any]]


async def both(story: Story, first: Staging, second: Staging, **differs: Any) -> list[Any]:
    """Return what a story observes in each of two worlds."""
    seen = []
    for staging in (first, second):
        async with world_of(sources(staging), **differs) as world:
            seen.append(await story(world))
    return seen


def observed(told: Told) -> tuple[int, Mapping[str, str], str]:
    """Return what a caller sees of a response, but for what is drawn anew for each."""
    headers = {n: v for n, v in told.response.headers.items() if n not in {"x-request-id", "date"}}
    if told.status == 429:
        headers.pop("retry-after", None)  # the clock's, and not the child's
    return told.status, headers, RECEIPT.sub('"receipt":""', told.response.text)


def receipts(told: Iterable[Told]) -> list[str]:
    """Return the receipts of some responses."""
    return [str(each.child["receipt"]) for each in told if each.body.get("data")]


async def ask(world: World, **claims: Any) -> Told:
    """Ask about the child, with the entries, their contacts and the sources selected."""
    return await world.ask(CHILD, select=WHO + "police { orders { agency { id } kind } }", **claims)


async def ask_other(world: World, **claims: Any) -> Told:
    """Ask about another child, of whom an entry may be told."""
    return await world.ask(OTHER_CHILD, select=WHO, **claims)
